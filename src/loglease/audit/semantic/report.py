"""What the semantic pass answers: which rules are broken where, what was not checked and why, what is still open."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

MOST_OF_A_RULE: Final = 1_000
"""How many breaches of one rule and kind are kept; of the others only the number is."""


class BreachKind(StrEnum):
    """How bad a breach is: a violation is a broken rule, a finding something that a person should look at."""

    VIOLATION = "violation"
    FINDING = "finding"


@dataclass(frozen=True, slots=True)
class Breach:
    """One place where a rule does not hold.

    Attributes:
        rule: its name, such as ``S13``.
        index: the entry at which it shows.
        entries: all entries that it takes to see it, in order, that one among them.
        text: what is wrong, in a sentence for a person; it names ids and no private text.
    """

    rule: str
    kind: BreachKind
    index: int
    entries: tuple[int, ...]
    text: str

    def __str__(self) -> str:
        places = ", ".join(f"#{one}" for one in self.entries)
        return f"{self.rule} {self.text} ({places})"


@dataclass(frozen=True, slots=True)
class Unchecked:
    """A part of a rule that could not be checked.

    Attributes:
        times: how often it came up.
    """

    rule: str
    text: str
    times: int


@dataclass(frozen=True, slots=True)
class OpenSession:
    """A session that has no end in the log yet, with the replica that is to write it."""

    session: str
    grant: str
    replica: str
    index: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Open:
    """What is not over at the end of the log."""

    requests: int = 0
    grants: int = 0
    sessions: tuple[OpenSession, ...] = ()
    after_reviews: int = 0
    elevations: int = 0
    proposals: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The answer of one pass.

    Attributes:
        entries: how many entries were read.
        rules: how many rules there are.
        breaches: in order of index, at most `MOST_OF_A_RULE` of one rule and kind.
        not_kept: how many more there are, by rule and kind.
        unchecked: what was not checked; never empty where something was passed over.
    """

    entries: int
    rules: int
    breaches: tuple[Breach, ...] = ()
    not_kept: Mapping[tuple[str, BreachKind], int] = field(default_factory=dict)
    unchecked: tuple[Unchecked, ...] = ()
    open: Open = field(default_factory=Open)

    def of(self, kind: BreachKind) -> tuple[Breach, ...]:
        """Return the breaches of one kind."""
        return tuple(one for one in self.breaches if one.kind is kind)

    def count(self, kind: BreachKind) -> int:
        """Return how many breaches of one kind there are, those that were not kept among them."""
        return len(self.of(kind)) + sum(count for (_, other), count in self.not_kept.items() if other is kind)

    @property
    def broken(self) -> frozenset[str]:
        """The rules with a violation, also one that was not kept."""
        unkept = {rule for rule, kind in self.not_kept if kind is BreachKind.VIOLATION}
        return frozenset({one.rule for one in self.of(BreachKind.VIOLATION)} | unkept)

    def holds(self, *, strict: bool = False) -> bool:
        """Say whether the log keeps all rules; with `strict`, whether there is no finding either."""
        return not self.broken and not (strict and self.count(BreachKind.FINDING))

    def summary(self) -> str:
        """Return the line for people: ``27 checked, 27 hold, 1 finding``, and which rules were checked only in part."""
        findings = self.count(BreachKind.FINDING)
        text = f"{self.rules} checked, {self.rules - len(self.broken)} hold"
        if findings:
            text += f", {findings} finding{'' if findings == 1 else 's'}"
        partly = sorted({one.rule for one in self.unchecked}, key=lambda name: int(name[1:]))
        return f"{text}; in part: {' '.join(partly)}" if partly else text
