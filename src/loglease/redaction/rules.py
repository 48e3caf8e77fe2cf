"""Rules and packs as values.

Not here: finding anything (`confirm`, `structured`, `blocks`), or what a file says (`rule_documents`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from loglease.redaction.plugins import CanonicalForm, Detector
from loglease.redaction.validators import Check

FORMAT: Final = "loglease-rules/1"
SEVERITIES: Final = ("low", "medium", "high", "critical")
EXCEPT: Final = (
    "", "null", "none", "nil", "true", "false", "undefined", "<nil>", "<none>", "<null>", "***", "****", "*****",
    "******", "********", "[redacted]", "<redacted>", "redacted", "[filtered]", "xxx", "xxxx", "{}", "[]", "-", "%s",
    "(null)", "(nil)", "(none)", "(empty)", "...",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Near:
    """Words that have to stand, or must not, within so many bytes before a match."""

    words: tuple[bytes, ...]
    within: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What all rules have.

    `digest` covers everything the pack says about the rule, and the plug-ins that it names. `reach` is how far before
    the end of a tripwire's match the rule's own match can begin, in bytes; `shortest` how long a tripwire's match is at
    least. `checks` names what `validate` holds.
    """

    id: str
    cls: str
    label: str
    severity: int
    validate: tuple[Check, ...]
    examples: tuple[str, ...]
    non_examples: tuple[str, ...]
    digest: str
    tripwire: str
    reach: int
    shortest: int
    checks: tuple[str, ...] = ()
    canonical: CanonicalForm | None = None

    @property
    def scanned(self) -> str:
        """Return the pattern to scan for: the tripwire, with what else a match needs where that makes hits rarer."""
        return self.tripwire

    def window(self, first: int, last: int) -> tuple[int, int]:
        """Return where the rule's matches can begin, from and to.

        Args:
            first: where the tripwire's first match ends at the earliest, less one.
            last: where its last match ends at the latest.
        """
        return first + 1 - self.reach, last - self.shortest + 1


@dataclass(frozen=True, slots=True, kw_only=True)
class PatternRule(Rule):
    """A value known by its form."""

    pattern: str
    mask: str | None
    extend: str | None
    all_lengths: bool
    near: Near | None
    not_near: Near | None

    @property
    def scanned(self) -> str:
        """Return the tripwire behind one of the words that have to stand before a match.

        A word is a literal, for which scans skip through a text; many tripwires of numbers have none of their own.
        """
        near = self.near
        if near is None or len(near.words) > _MANY_WORDS or near.within + self.reach > _FAR:
            return self.tripwire
        words = "|".join("".join(map(_escaped, word)) for word in near.words)
        # A tripwire that ignores case says so at its beginning, where a group takes it for itself alone.
        tripwire = f"(?i:{self.tripwire[4:]})" if self.tripwire.startswith("(?i)") else f"(?:{self.tripwire})"
        return rf"(?i:{words})[^\n]{{0,{near.within + self.reach}}}{tripwire}"


# An automaton with more words, or with more bytes between them and the tripwire, is large or refused.
_MANY_WORDS: Final = 16
_FAR: Final = 192


def _escaped(byte: int) -> str:
    return chr(byte) if chr(byte).isascii() and chr(byte).isalnum() else f"\\x{byte:02x}"


def named_alone(name: str, *, cls: str, label: str, severity: int) -> PatternRule:
    """Return a rule that finds nothing: it names an edit that no pattern asks for, such as that of a line too long."""
    return PatternRule(
        id=name,
        cls=cls,
        label=label,
        severity=severity,
        validate=(),
        examples=(),
        non_examples=(),
        digest="",
        tripwire="",
        reach=1,
        shortest=1,
        pattern="",
        mask=None,
        extend=None,
        all_lengths=False,
        near=None,
        not_near=None,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRule(Rule):
    """A value known by the name before it."""

    keys: tuple[str, ...]
    value: Literal["any", "word", "number"]
    excepted: frozenset[bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockRule(Rule):
    """A value over several lines, between two marks."""

    begin: str
    end: str
    marks: tuple[bytes, ...]
    payload: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectorRule(Rule):
    """Values that a plug-in finds in a line.

    Attributes:
        others: classes that other rules of the pack take from the same detector. None: this rule takes only its own
            class; else it takes every class but these.
    """

    detector: Detector
    others: tuple[str, ...] | None

    def takes(self, cls: str) -> bool:
        """Say whether finds of a class are this rule's."""
        if self.others is None:
            return is_below(cls, self.cls)
        return not any(is_below(cls, other) for other in self.others)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pack:
    """One file of rules, versioned as a whole."""

    name: str
    version: int
    rules: tuple[Rule, ...]
    trusted: bool

    @property
    def pin(self) -> str:
        """Return name and version, as profiles name a pack."""
        return f"{self.name}@{self.version}"


def is_below(cls: str, prefix: str) -> bool:
    """Say whether a class is another one or a part of it."""
    return cls == prefix or cls.startswith(prefix + ".")


def key_pattern(keys: Sequence[str]) -> str:
    """Return the pattern of all spellings of some keys: without case, with any or no separator between words."""
    spelled = []
    for key in sorted(keys, key=lambda one: (-len(one), one)):
        words = [re.escape(word) for word in re.split(r"[-_ .]", key)]
        spelled.append("[-_ .]?".join(words))
    return "(?:" + "|".join(spelled) + ")"
