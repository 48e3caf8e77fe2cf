"""One difference and its verdict, and the rules that are the same for every kind of document."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final

from loglease.model.limits import Limits
from loglease.policy.bundle import canonical_form
from loglease.policy.conditions import Condition
from loglease.policy.problems import At
from loglease.policy.scalars import size_text


class Verdict(StrEnum):
    """What a difference means for those who ask."""

    WIDENS = "WIDENS"
    """Somebody may get more, more easily, or with fewer eyes on it."""
    CHEAPER = "CHEAPER"
    """A policy asks for fewer approvals than another one for what both cover, and did not before."""
    UNDECIDED = "UNDECIDED"
    """Nothing is proved: it may give more."""
    NARROWS = "NARROWS"
    """Nobody gets anything that they did not get before."""
    SAME = "SAME"
    """Nothing that decides is different. Never a difference of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One field that is not what it was.

    Attributes:
        kind: of the document: AccessPolicy, Guardrail, ApproverSet, Catalog, Facts; Bundle for what has no document.
        document: id of the document.
        place: path of the field.
        old: what it was; None where there was nothing.
        new: what it is; None where nothing is left.
        about: whom and what it concerns, where the field does not say.
        at: where the new document or route stands, or the old one where none is left; None for what several documents
            declare together.
    """

    verdict: Verdict
    kind: str
    document: str
    place: str
    old: str | None = None
    new: str | None = None
    about: str = ""
    at: At | None = None

    @property
    def text(self) -> str:
        """The change in one line."""
        if self.verdict is Verdict.CHEAPER:
            change = f"{self.place}: {self.new} instead of {self.old}"
        elif self.old is not None and self.new is not None:
            change = f"{self.place} {self.old} -> {self.new}"
        else:
            change = f"{self.place} - {self.old}" if self.new is None else f"{self.place} + {self.new}"
        return f"{change}, {self.about}" if self.about else change

    def as_json(self) -> dict[str, str | int]:
        """Return the difference for programs; absent instead of null."""
        found: dict[str, str | int | None] = {
            "verdict": str(self.verdict),
            "kind": self.kind,
            "document": self.document,
            "place": self.place,
            "old": self.old,
            "new": self.new,
            "about": self.about or None,
        }
        if self.at is not None:
            found |= {"file": self.at.file, "line": self.at.line, "column": self.at.column}
        return {name: value for name, value in found.items() if value is not None}


def overall(found: Iterable[Difference]) -> Verdict:
    """Return the gravest verdict; SAME where there is no difference."""
    verdicts = {one.verdict for one in found}
    return next((one for one in Verdict if one in verdicts), Verdict.SAME)


OPPOSITE: Final[Mapping[Verdict, Verdict]] = MappingProxyType(
    {Verdict.WIDENS: Verdict.NARROWS, Verdict.NARROWS: Verdict.WIDENS}
)
NO_LIMIT: Final = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Collects the differences of one document, or of a part of it."""

    kind: str
    document: str
    at: At | None
    path: str = ""
    found: list[Difference] = field(default_factory=list)

    def inside(self, path: str, at: At | None = None) -> Comparison:
        """Return the comparison of a part: what it finds is found here."""
        return Comparison(
            kind=self.kind, document=self.document, at=at or self.at, path=self.path + path, found=self.found
        )

    def add(self, verdict: Verdict, place: str, old: str | None, new: str | None, about: str = "") -> None:
        """Add a difference; one that proves to be none is left out."""
        if verdict is not Verdict.SAME:
            self.found.append(
                Difference(
                    verdict=verdict, kind=self.kind, document=self.document, place=self.path + place, old=old, new=new,
                    about=about, at=self.at,
                )
            )  # fmt: skip

    def ordered(
        self,
        place: str,
        old: int | None,
        new: int | None,
        *,
        text: Callable[[int], str] = str,
        more: Verdict = Verdict.WIDENS,
    ) -> None:
        """Compare numbers of which `more` says what a greater one does; None is greater than all."""
        if old != new:
            grows = new is None or (old is not None and new > old)
            shown = [NO_LIMIT if one is None else text(one) for one in (old, new)]
            self.add(more if grows else OPPOSITE[more], place, *shown)

    def limits(self, path: str, old: Limits, new: Limits) -> None:
        """Compare budgets, one by one."""
        for name in (one.name for one in fields(Limits)):
            text = size_text if name == "bytes" else "{:,}".format
            self.ordered(f"{path}{name}", getattr(old, name), getattr(new, name), text=text)

    def flag(self, place: str, *, old: bool, new: bool, on: Verdict = Verdict.WIDENS) -> None:
        """Compare a switch; `on` says what switching it on does."""
        if old != new:
            self.add(on if new else OPPOSITE[on], place, _word(value=old), _word(value=new))

    def names(self, place: str, old: Collection[str], new: Collection[str], *, more: Verdict = Verdict.WIDENS) -> None:
        """Compare sets of names; what came and what went are two differences."""
        came, went = sorted(set(new) - set(old)), sorted(set(old) - set(new))
        if came:
            self.add(more, place, None, ", ".join(came))
        if went:
            self.add(OPPOSITE[more], place, ", ".join(went), None)

    def condition(
        self, place: str, old: Condition | None, new: Condition | None, *, one: Verdict = Verdict.NARROWS
    ) -> None:
        """Compare conditions; `one` says what it does to have one where there was none."""
        before, after = (None if each is None else each.text for each in (old, new))
        if before != after:
            verdict = Verdict.UNDECIDED if before is not None and after is not None else one
            self.add(OPPOSITE.get(verdict, verdict) if after is None else verdict, place, before, after)

    def rest(self, old: Any, new: Any, known: Collection[str]) -> None:
        """Call every field UNDECIDED that differs and that no rule knows: a field that is new here proves nothing."""
        before, after = unknown(old, known), unknown(new, known)
        for name in (one for one in after if before[one] != after[one]):
            self.add(Verdict.UNDECIDED, name, before[name], after[name])


def unknown(value: Any, known: Collection[str]) -> dict[str, str | None]:
    """Return the fields of a part that no rule knows, in canonical form; places are none, nor is what follows."""
    pairs = ((one.name, getattr(value, one.name)) for one in fields(value) if one.compare)
    return {name: form(item) for name, item in pairs if name not in known and not isinstance(item, At)}


def form(value: object) -> str | None:
    """Write a value in its canonical form; None for nothing."""
    return None if value is None else json.dumps(canonical_form(value), ensure_ascii=False, sort_keys=True)


def _word(*, value: bool) -> str:
    return "true" if value else "false"
