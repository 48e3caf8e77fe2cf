"""The errors of redaction: a root of its own, since this package imports nothing of ours.

No message here ever holds log text: a reason, a rule, a profile, a place in a file, and nothing else.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final, Literal, get_args

_SHOWN: Final = 120
_SHOWN_BEFORE: Final = 60
_FEW: Final = 12

Reason = Literal[
    "engine_error",
    "canary_lost",
    "rule_error",
    "key_missing",
    "profile_invalid",
    "selftest_failed",
    "deadline",
]
REASONS: Final[frozenset[str]] = frozenset(get_args(Reason))


class RedactionError(Exception):
    """The root: a stable code and a text that is safe to show."""

    code: ClassVar[str] = "redaction_error"


class Withheld(RedactionError):
    """Nothing of this chunk may leave, and the stream that raised it is dead.

    Args:
        reason: one of the closed list `Reason`.
        rule: id of the rule or profile involved, where one is.
        engine: the engine at work, where one was.
        profile: the profiles in force by name and version, where they were.
    """

    code = "redaction_withheld"

    def __init__(
        self, reason: Reason, *, rule: str | None = None, engine: str | None = None, profile: str | None = None
    ) -> None:
        super().__init__(f"redaction withheld the text: {reason}" + (f" ({rule})" if rule else ""))
        self.reason: Reason = reason
        self.rule = rule
        self.engine = engine
        self.profile = profile

    @property
    def detail(self) -> str:
        """Return what a record says of it: reason, engine, profile and rule, and never a value."""
        named = (("engine", self.engine), ("profile", self.profile), ("rule", self.rule))
        return "; ".join([self.reason, *(f"{name} {value}" for name, value in named if value)])


@dataclass(frozen=True, slots=True, order=True)
class Fault:
    """One mistake in a pack or profile.

    Attributes:
        file: as the caller named it; line and column count from 1.
        where: the pack, profile or rule.
        remedy: what to write instead.
        text: the line of the file.
    """

    file: str
    line: int
    column: int
    where: str
    detail: str
    remedy: str | None = None
    text: str = ""

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}: {self.where}: {self.detail}"

    def render(self) -> str:
        """Write it for people: place, reason, the line with a mark, and what to write instead."""
        remedy = f"= help: {self.remedy}" if self.remedy else ""
        if not self.text:
            return f"{self}\n  {remedy}" if remedy else str(self)
        start = max(0, self.column - 1 - _SHOWN_BEFORE)
        shown = "".join(char if char.isprintable() else "\ufffd" for char in self.text[start : start + _SHOWN])
        gutter = " " * len(str(self.line))
        mark = f" {gutter} | {' ' * (self.column - 1 - start)}^ {remedy}".rstrip()
        return f"{self}\n {self.line} | {shown}\n{mark}"

    def as_json(self) -> dict[str, str | int]:
        """Return it for programs; absent instead of null."""
        found: dict[str, str | int] = {
            "file": self.file,
            "line": self.line,
            "column": self.column,
            "where": self.where,
            "message": self.detail,
        }
        return found | ({"help": self.remedy} if self.remedy else {})


def did_you_mean(word: str, known: Iterable[str]) -> str | None:
    """Return help for an unknown word: the nearest known one, else a few of all."""
    words = sorted(known)
    close = difflib.get_close_matches(word[:64], words, n=1, cutoff=0.6)
    if close:
        return f"did you mean {close[0]!r}?"
    return f"known: {', '.join(words[:_FEW])}{', …' * (len(words) > _FEW)}" if words else None


class RulesInvalid(RedactionError):
    """Rule packs do not load; the set in force stays. `faults` has every mistake, at least one."""

    code = "rules_invalid"

    def __init__(self, faults: Sequence[Fault]) -> None:
        super().__init__("\n".join(map(str, faults)))
        self.faults = tuple(faults)


class PluginInvalid(RedactionError):
    """A plug-in that was enabled cannot be used."""

    code = "plugin_invalid"

    def __init__(self, name: str, detail: str) -> None:
        super().__init__(f"plug-in {name}: {detail}")
        self.name = name


class ProfileInvalid(RedactionError):
    """A profile does not load, or names what does not exist; `faults` is empty where there is no file."""

    code = "profile_invalid"

    def __init__(self, detail: str, faults: Sequence[Fault] = ()) -> None:
        super().__init__("\n".join(map(str, faults)) or detail)
        self.faults = tuple(faults)


class ProfileUnknown(ProfileInvalid):
    """There is no profile of this name and version."""

    code = "profile_unknown"


class EngineUnavailable(RedactionError):
    """The engine asked for cannot be used on this machine."""

    code = "engine_unavailable"
