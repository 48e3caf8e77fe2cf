"""Looking a clear value up: as which pseudonym it was shown, under which profiles, and where it has none.

The way back, from a pseudonym to its value, does not exist. Whoever asks here has the value already, and a grant's key.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from enum import StrEnum

from loglease.redaction.builtin import profile_named
from loglease.redaction.decisions import FIELD, is_below
from loglease.redaction.edits import canonical
from loglease.redaction.errors import ProfileUnknown
from loglease.redaction.library import Library
from loglease.redaction.profile import Profile
from loglease.redaction.rules import Rule
from loglease.redaction.tokens import Keys, hashed_of, pseudonym_under, under_grants


class Hidden(StrEnum):
    """Why a profile shows no pseudonym for some or all values of a class.

    RAW: it masks nothing. ABSENT: it has no rule for the class. MASKED: what it finds of the class it masks without
    equality. PARTLY: so it does with some of what belongs to the class. UNKNOWN: no such profile is here any more.
    """

    RAW = "profile_raw"
    ABSENT = "class_absent"
    MASKED = "class_masked"
    PARTLY = "class_partly_masked"
    UNKNOWN = "profile_unknown"


class Lookup:
    """The rules of a library that may have found a value of one class.

    Args:
        cls: a class, which stands for those below it, too, or the label that masks of it have.
    """

    def __init__(self, library: Library, cls: str) -> None:
        self._library = library
        self._cls = cls
        rules = [rule for pack in library.packs for rule in pack.rules if self._takes(rule)]
        # Rules that differ in how they find give the same pseudonym.
        self._rules = {(rule.cls, rule.label, rule.canonical): rule for rule in rules}
        # The whole value of a field that a path of a profile names.
        self._rules[FIELD.cls, FIELD.label, None] = FIELD
        self.is_known = bool(rules) or self._takes(FIELD)
        """Whether any rule finds such values."""

    @property
    def classes(self) -> frozenset[str]:
        """The classes of these rules."""
        return frozenset(cls for cls, _, _ in self._rules)

    def value(self, value: bytes) -> Callable[[Keys], frozenset[str]]:
        """Return what gives all pseudonyms that a value of the class may have, by key; quick, for many keys.

        Raises (what is returned):
            Withheld: ``key_missing``.
        """
        hashed = self._hashed(value)
        return lambda keys: frozenset(pseudonym_under(one, label=label, key=keys.pseudonym) for label, one in hashed)

    def value_of_grants(self, value: bytes, master: bytes) -> Callable[[bytes, str], Sequence[str]]:
        """Return what gives all pseudonyms that a value of the class may have under a grant, by its salt and id.

        Args:
            master: the deployment's key.

        Raises (what is returned):
            Withheld: ``key_missing``.
        """
        return under_grants(self._hashed(value), master)

    def _hashed(self, value: bytes) -> frozenset[tuple[str, bytes]]:
        """Return label, and what is hashed, of each form that rules may have found the value in."""
        return frozenset(
            (rule.label, hashed_of(rule.cls, form))
            for rule in self._rules.values()
            if (form := canonical(rule, value)) is not None
        )

    def pseudonyms(self, value: bytes, keys: Keys) -> frozenset[str]:
        """Return all pseudonyms that a value of the class may have under a key.

        Raises:
            Withheld: ``key_missing``.
        """
        return self.value(value)(keys)

    def hidden(self, pin: str) -> Hidden | None:
        """Return why a profile does not show all values of the class as pseudonyms; None if it does."""
        try:
            profile = profile_named(pin, self._library.profiles)
        except ProfileUnknown:
            return Hidden.UNKNOWN
        by_rule = {profile.treatment_of(rule.cls).kind for rule in self._rules_of(profile)}
        by_path = {treatment.kind for _, treatment in profile.fields} | ({"mask"} if profile.mode == "allow" else set())
        if not profile.packs and not by_path:
            return Hidden.RAW
        if not by_rule and not self._takes(FIELD):
            return Hidden.PARTLY if "pseudonym" in by_path else Hidden.ABSENT
        kinds = by_rule | by_path
        if kinds == {"pseudonym"}:
            return None
        return Hidden.PARTLY if "pseudonym" in kinds else Hidden.ABSENT if kinds <= {"keep"} else Hidden.MASKED

    def _takes(self, rule: Rule) -> bool:
        return is_below(rule.cls, (self._cls,)) or rule.label == self._cls

    def _rules_of(self, profile: Profile) -> Iterable[Rule]:
        return (
            rule
            for pack in self._library.packs
            if pack.pin in profile.packs
            for rule in pack.rules
            if rule.id not in profile.disabled and self._takes(rule)
        )
