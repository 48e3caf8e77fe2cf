"""Which labels of a source somebody may name in a request, with the values that policy knows.

Values come from the documents alone. Which ones there are in the logs is told to nobody without a grant.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from loglease.model.labels import Matcher
from loglease.model.principal import Principal
from loglease.policy.bundle import Bundle
from loglease.policy.people import People


@dataclass(frozen=True, slots=True)
class Askable:
    """What may be asked for of one label.

    Attributes:
        values: those that policy names.
        open: whether policy allows values besides these.
    """

    values: frozenset[str]
    open: bool


def askable(
    bundle: Bundle, principal: Principal, *, people: People, source: str, labels: Iterable[str]
) -> Mapping[str, Askable]:
    """Return those labels of a source that a policy for this principal covers; empty where none covers the source."""
    selectors = [
        rule.selector
        for policy in bundle.every_policy
        if people.fits(policy.who, principal)
        for rule in policy.scopes
        if source in rule.sources
    ]
    if not selectors:
        return {}
    found = {}
    for label in labels:
        parts = [_part(selector.matcher(label), bundle.catalog.labels.get(label)) for selector in selectors]
        found[label] = Askable(
            values=frozenset().union(*(part.values for part in parts)), open=any(part.open for part in parts)
        )
    return found


def _part(matcher: Matcher | None, declared: frozenset[str] | None) -> Askable:
    """Return what one selector allows of a label; `declared` are all values there can be, None where that is open."""
    if declared is not None:
        return Askable(frozenset(one for one in declared if matcher is None or matcher.matches(one)), open=False)
    if matcher is None:
        return Askable(frozenset(), open=True)
    return Askable(matcher.exact, open=matcher.any_value or bool(matcher.prefixes))
