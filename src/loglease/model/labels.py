"""Labels and the selector algebra: which streams, and is one set of streams inside another.

A selector is a conjunction over label keys. A matcher is a set of exact values and prefixes (or any value), less exact
values and prefixes. That is little enough for containment, overlap and intersection to be decidable, and enough for
people to say what they mean. A stream that lacks a key never matches; an empty value is a missing label.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Self

from loglease.model.errors import ScopeInvalid

Labels = tuple[tuple[str, str], ...]
"""The labels of a stream, sorted by name, names unique, values not empty."""

MAX_VALUES: Final = 1_000


def labels_of(pairs: Mapping[str, str]) -> Labels:
    """Return the sorted form; empty values are missing labels and fall away."""
    return tuple(sorted((name, value) for name, value in pairs.items() if value))


@dataclass(frozen=True, slots=True)
class Matcher:
    """The values that one label may have.

    Instances are in normal form: no exact value is excepted or covered by a prefix, no prefix by a shorter one, no
    exception is without effect. So two matchers that allow the same values are equal. A matcher that allows nothing
    cannot be made through `matcher_of`, which answers None instead.
    """

    exact: frozenset[str] = frozenset()
    prefixes: frozenset[str] = frozenset()
    any_value: bool = False
    except_exact: frozenset[str] = frozenset()
    except_prefixes: frozenset[str] = frozenset()

    def matches(self, value: str) -> bool:
        """Say whether a label with this value matches; an empty value is a missing label and never does."""
        if not value or self.excludes(value):
            return False
        return self.any_value or value in self.exact or _starts(value, self.prefixes)

    def excludes(self, value: str) -> bool:
        """Say whether an exception names this value."""
        return value in self.except_exact or _starts(value, self.except_prefixes)

    def contains(self, other: Self) -> bool:
        """Say whether every value that `other` allows is allowed here."""
        is_listed = other.exact <= self.exact and not (self.except_exact or self.except_prefixes)
        if not (is_listed or all(self.matches(value) for value in other.exact)):
            return False
        if other.any_value:
            return self.any_value and self._exceptions_kept_by(other, below="")
        return all(
            (self.any_value or _starts(prefix, self.prefixes))
            and not _starts(prefix, self.except_prefixes)
            and self._exceptions_kept_by(other, below=prefix)
            for prefix in other.prefixes
        )

    def _exceptions_kept_by(self, other: Self, *, below: str) -> bool:
        values = (value for value in self.except_exact if value.startswith(below))
        prefixes = (prefix for prefix in self.except_prefixes if prefix.startswith(below))
        return all(other.excludes(value) for value in values) and all(
            _starts(prefix, other.except_prefixes) for prefix in prefixes
        )

    def intersect(self, other: Self) -> Matcher | None:
        """Return the matcher that allows what both allow, or None where that is nothing."""
        exact = {value for value in self.exact if other.matches(value)}
        exact |= {value for value in other.exact if self.matches(value)}
        if self.any_value or other.any_value:
            prefixes = set(other.prefixes if self.any_value else self.prefixes)
        else:
            prefixes = {a for a in self.prefixes if _starts(a, other.prefixes)}
            prefixes |= {b for b in other.prefixes if _starts(b, self.prefixes)}
        return _normal_form(
            values=exact,
            starts=prefixes,
            any_value=self.any_value and other.any_value,
            not_values=set(self.except_exact | other.except_exact),
            not_starts=set(self.except_prefixes | other.except_prefixes),
        )


def _starts(value: str, prefixes: Iterable[str]) -> bool:
    return value.startswith(tuple(prefixes))


def matcher_of(
    *,
    exact: Iterable[str] = (),
    prefixes: Iterable[str] = (),
    any_value: bool = False,
    except_exact: Iterable[str] = (),
    except_prefixes: Iterable[str] = (),
) -> Matcher | None:
    """Return the normal form, or None if no value is left.

    Raises:
        ScopeInvalid: an empty string among the values, or more than 1,000 of one sort.
    """
    parts = [set(part) for part in (exact, prefixes, except_exact, except_prefixes)]
    if any("" in part for part in parts):
        raise ScopeInvalid("A label value is empty.", next_step="An empty value means a missing label: name a value.")
    if any(len(part) > MAX_VALUES for part in parts):
        raise ScopeInvalid(f"A label has more than {MAX_VALUES} values.", next_step="Use a prefix.")
    values, starts, not_values, not_starts = parts
    return _normal_form(values=values, starts=starts, any_value=any_value, not_values=not_values, not_starts=not_starts)


def _normal_form(
    *, values: set[str], starts: set[str], any_value: bool, not_values: set[str], not_starts: set[str]
) -> Matcher | None:
    """Drop what has no effect. No limit here: what two matchers have in common may need the exceptions of both."""
    excluded = tuple(_shortest(not_starts))
    not_values = {value for value in not_values if not value.startswith(excluded)}
    values = {value for value in values if value not in not_values and not value.startswith(excluded)}
    if any_value:
        values, covered = set(), tuple[str, ...]()
        kept_values, kept_starts = not_values, excluded
    else:
        covered = tuple(prefix for prefix in _shortest(starts) if not prefix.startswith(excluded))
        values = {value for value in values if not value.startswith(covered)}
        kept_values = {value for value in not_values if value.startswith(covered)}
        kept_starts = tuple(prefix for prefix in excluded if prefix.startswith(covered))
    if not (values or covered or any_value):
        return None
    return Matcher(
        exact=frozenset(values),
        prefixes=frozenset(covered),
        any_value=any_value,
        except_exact=frozenset(kept_values),
        except_prefixes=frozenset(kept_starts),
    )


def _shortest(prefixes: Iterable[str]) -> list[str]:
    """Keep those that no other one is a prefix of; in order of code points such a one comes right before."""
    kept: list[str] = []
    for prefix in sorted(prefixes):
        if not kept or not prefix.startswith(kept[-1]):
            kept.append(prefix)
    return kept


@dataclass(frozen=True, slots=True)
class Selector:
    """A conjunction: the stream has each key, with a value that its matcher allows. No keys: all streams."""

    matchers: tuple[tuple[str, Matcher], ...] = ()

    @property
    def keys(self) -> frozenset[str]:
        """The label names that the selector constrains."""
        return frozenset(key for key, _ in self.matchers)

    def matcher(self, key: str) -> Matcher | None:
        """Return what is demanded of a label, or None where nothing is."""
        for name, matcher in self.matchers:
            if name == key:
                return matcher
        return None

    def matches(self, labels: Labels) -> bool:
        """Say whether a stream is selected."""
        values = dict(labels)
        return all(matcher.matches(values.get(key, "")) for key, matcher in self.matchers)

    def contains(self, other: Self) -> bool:
        """Say whether every stream that `other` selects is selected here; what cannot be shown is no."""
        inside = dict(other.matchers)
        return all(key in inside and matcher.contains(inside[key]) for key, matcher in self.matchers)

    def intersect(self, other: Self) -> Selector | None:
        """Return the selector of the streams that both select, or None if no stream can be."""
        merged = dict(self.matchers)
        for key, matcher in other.matchers:
            both = merged[key].intersect(matcher) if key in merged else matcher
            if both is None:
                return None
            merged[key] = both
        return selector_of(merged)

    def overlaps(self, other: Self) -> bool:
        """Say whether some stream could match both."""
        if not self.matchers:
            return True
        theirs = dict(other.matchers)
        return all(key not in theirs or matcher.intersect(theirs[key]) is not None for key, matcher in self.matchers)


def selector_of(matchers: Mapping[str, Matcher]) -> Selector:
    """Return the selector with its keys in order."""
    return Selector(tuple(sorted(matchers.items(), key=lambda item: item[0])))
