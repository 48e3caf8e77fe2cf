"""Which values of a label a request may ask for, so that selectors and conditions tell the difference."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from typing import Final

from loglease.model.labels import Matcher, matcher_of
from loglease.policy.conditions.distinct import something_else

MAX_COMBINED: Final = 5
"""Of more sorts of values not every set of them is tried."""

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
    sorts: dict[object, str] = {}
    for value in _candidates(own, words, literals):
        named = value if value in literals else None
        sorts.setdefault((tuple(one.matches(value) for one in own), named, value in (words or ())), value)
    values = list(sorts.values())
    is_all = len(values) <= MAX_COMBINED
    sizes = range(1, len(values) + 1) if is_all else (1, 2, len(values))
    sets = (matcher_of(exact=chosen) for size in sizes for chosen in itertools.combinations(values, size))
    return tuple(dict.fromkeys((*sets, *own, matcher_of(any_value=True), None))), is_all


def _candidates(own: Iterable[Matcher], words: frozenset[str] | None, literals: frozenset[str]) -> list[str]:
    """Return the values that are named anywhere, one below each prefix, and one that is named nowhere."""
    matchers = list(own)
    named = {*(words or ()), *literals} | {value for one in matchers for value in (*one.exact, *one.except_exact)}
    prefixes = {prefix for one in matchers for prefix in (*one.prefixes, *one.except_prefixes)}
    named |= {prefix + something_else([]) for prefix in prefixes}
    return [*sorted(named), something_else(sorted(named))]
