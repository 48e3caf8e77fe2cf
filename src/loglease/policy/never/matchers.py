"""Which values of a label a request may ask for, so that selectors and conditions tell the difference."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from typing import Final

from loglease.model.labels import MAX_VALUES, Matcher, matcher_of
from loglease.policy.conditions.distinct import something_else

MAX_COMBINED: Final = 5
"""Of more sorts of values not every set of them is tried."""
MAX_PAIRED: Final = 30
"""Of more, no two of them together, but for all of them."""
MAX_COMPARED: Final = 200_000

Choice = Matcher | None
"""What a request demands of a label; None leaves it open."""


def matchers_of(
    own: Sequence[Matcher], words: frozenset[str] | None, literals: frozenset[str]
) -> tuple[tuple[Choice, ...], bool]:
    """Return what requests may demand of a label: sets of values, what documents demand, any value, and nothing.

    Args:
        own: what the selectors of documents demand of it.
        words: its declared values; None where it has any.
        literals: with which conditions compare it.

    Returns:
        The choices, and whether values can be combined in no other way that makes a difference.
    """
    demanded = list(dict.fromkeys(own))
    values = _sorts(demanded, words, literals)
    is_all = len(values) <= MAX_COMBINED
    sizes = range(1, len(values) + 1) if is_all else (1, 2) if len(values) <= MAX_PAIRED else (1,)
    sets = [matcher_of(exact=chosen) for size in sizes for chosen in itertools.combinations(values, size)]
    many = [] if is_all else [matcher_of(exact=values[:MAX_VALUES])]
    return tuple(dict.fromkeys((*sets, *many, *demanded, matcher_of(any_value=True), None))), is_all


def _sorts(own: Sequence[Matcher], words: frozenset[str] | None, literals: frozenset[str]) -> list[str]:
    """Return one value of each sort, or where there is too much to compare, all values."""
    candidates = _candidates(own, words, literals)
    if len(candidates) * len(own) > MAX_COMPARED:
        return candidates
    sorts: dict[object, str] = {}
    for value in candidates:
        named = value if value in literals else None
        sorts.setdefault((tuple(one.matches(value) for one in own), named, value in (words or ())), value)
    return list(sorts.values())


def _candidates(own: Iterable[Matcher], words: frozenset[str] | None, literals: frozenset[str]) -> list[str]:
    """Return the values that are named anywhere, one below each prefix, and one that is named nowhere."""
    matchers = list(own)
    named = {*(words or ()), *literals} | {value for one in matchers for value in (*one.exact, *one.except_exact)}
    prefixes = {prefix for one in matchers for prefix in (*one.prefixes, *one.except_prefixes)}
    named |= {prefix + something_else([]) for prefix in prefixes}
    return [*sorted(named), something_else(sorted(named))]
