"""Decisions: what profiles say of a field of a structured line, of a label or of metadata."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple

from loglease.redaction.paths import Path, PathPattern, names_in, normal, words_in
from loglease.redaction.profile import MASK, Profile, Treatment, strictest
from loglease.redaction.rules import Rule, named_alone

MAX_NAME: Final = 256
_MAX_KNOWN: Final = 10_000
_KEPT: Final = Treatment("keep")
# Forms that other numbers happen to have, such as an id that looks like a card.
NUMBER_SHAPED: Final = ("net", "pci.card", "pii.iban", "pii.national-id", "pii.phone", "pii.ssn")
SUBJECT: Final = ("pii",)
SECRET: Final = ("credential", "secret")

_FIELD: Final = named_alone("field", cls="field", label="field", severity=0)
FIELD: Final[Rule] = _FIELD
MASKED: Final[Rule] = replace(_FIELD, id="field.masked", label="masked", severity=4)


class Decision(NamedTuple):
    """What a profile says of a field.

    Attributes:
        hidden: it is not among those that may pass.
        treatment: of its whole value; None where it is only scanned.
        kept: numbers in it are not taken for what they look like.
    """

    hidden: bool = False
    treatment: Treatment | None = None
    kept: bool = False


SCANNED: Final = Decision()
HIDDEN: Final = Decision(hidden=True)


@dataclass(frozen=True, slots=True, eq=False)
class Paths:
    """What some profiles say of fields. Immutable but for what it remembers; shared by threads.

    Attributes:
        profiles: all in force; of what they say of a field the strictest counts.
        hides: one of them names all fields that may pass.
        alone: there is one profile, so that a path may concede what its classes do not.
    """

    profiles: tuple[Profile, ...]
    hides: bool
    alone: bool
    _known: dict[Path, Decision] = field(default_factory=dict)
    _rules: dict[tuple[str, str], Rule] = field(default_factory=dict)

    @property
    def treatments(self) -> dict[str, Treatment]:
        """Return the treatment of each rule that `rule` returns, by id."""
        named = {one for profile in self.profiles for _, one in profile.fields if one.kind != "keep"}
        return {MASKED.id: MASK, **{_id_of(one): one for one in (*named, MASK)}}

    def of(self, path: Path) -> Decision:
        """Return what is said of a field of a line."""
        known = self._known.get(path)
        if known is None:
            known = self._combined([_in_line(profile, path) for profile in self.profiles])
            if sum(map(len, path)) <= MAX_NAME:
                if len(self._known) >= _MAX_KNOWN:
                    self._known.clear()
                self._known[path] = known
        return known

    def named(self, name: str) -> Decision:
        """Return what is said of a label, of metadata, or of a field that a query made.

        Queries join the names of a path with ``_``. Where that is ambiguous, the strict reading counts.
        """
        if len(name) > MAX_NAME:
            return HIDDEN if self.hides else SCANNED
        return self._combined([_by_name(profile, name) for profile in self.profiles])

    def rule(self, treatment: Treatment, like: Rule) -> Rule:
        """Return the rule that stands for a treated value.

        Args:
            treatment: of the path.
            like: the rule that finds the same value by itself; `FIELD` if there is none.
        """
        identity = like.id, _id_of(treatment)
        if identity not in self._rules:
            self._rules[identity] = replace(like, id=identity[1])
        return self._rules[identity]

    def _combined(self, decisions: Sequence[Decision]) -> Decision:
        if any(one.hidden for one in decisions):
            return HIDDEN
        treatments = [one.treatment for one in decisions if one.treatment is not None]
        if treatments:
            return Decision(treatment=strictest(treatments))
        return Decision(kept=all(one.kept for one in decisions))


def paths_of(profiles: Sequence[Profile]) -> Paths | None:
    """Return what profiles say of fields; None if they say nothing."""
    if all(profile.mode == "scan" for profile in profiles):
        return None
    return Paths(tuple(profiles), any(one.mode == "allow" for one in profiles), len(profiles) == 1)


def is_below(cls: str, prefixes: Sequence[str]) -> bool:
    """Say whether a class is one of some, or below one."""
    return any(cls == prefix or cls.startswith(prefix + ".") for prefix in prefixes)


def _id_of(treatment: Treatment) -> str:
    return f"field.{treatment.kind}" + (f"-{treatment.part}" if treatment.part else "")


def _in_line(profile: Profile, path: Path) -> Decision:
    if profile.mode == "allow" and not any(one.reach(path) == len(path) for one in profile.allow):
        return HIDDEN
    found = [
        (one, treatment)
        for one, treatment in profile.fields
        if (reach := one.reach(path)) == len(path) or (reach >= 0 and treatment.kind != "keep")
    ]
    return _most_specific(found)


def _by_name(profile: Profile, name: str) -> Decision:
    """Return what a profile says of a name alone: as a path, word by word, and with its words together."""
    path, words, together = names_in(name), words_in(name), normal(name).replace(".", "")

    def is_listed(one: PathPattern) -> bool:
        return one.reach(path) == len(path) or one.together == together

    if profile.mode == "allow" and not any(is_listed(one) for one in profile.allow):
        return HIDDEN
    found = [
        (one, treatment)
        for one, treatment in profile.fields
        if is_listed(one) or (treatment.kind != "keep" and (one.reach(path) >= 0 or one.fits_words(words)))
    ]
    return _most_specific(found)


def _most_specific(found: Sequence[tuple[PathPattern, Treatment]]) -> Decision:
    if not found:
        return SCANNED
    best = min(one.generality for one, _ in found)
    treatment = strictest([treatment for one, treatment in found if one.generality == best])
    return Decision(kept=True) if treatment == _KEPT else Decision(treatment=treatment)
