"""Smaller wishes that lie inside one entry of a policy: what a denial offers as "narrow to"."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from loglease.model.access_request import Wish
from loglease.model.errors import LogLeaseError
from loglease.model.instant import NANOSECONDS, EventWindow, Instant
from loglease.model.scope import Scope
from loglease.policy.documents import AccessPolicy, ScopeRule
from loglease.policy.trace import GuardrailTrace


def narrowed_scopes(
    policy: AccessPolicy, wish: Wish, submitted_at: Instant, guardrails: Sequence[GuardrailTrace]
) -> Iterator[Wish]:
    """Yield wishes for one scope each: what a scope asked for has in common with an entry, within all bounds."""
    lookbacks = [one.guardrail.caps.lookback_s for one in guardrails if one.applies and one.guardrail.enforced]
    bounds = [one for one in lookbacks if one is not None]
    for scope in wish.scopes:
        for rule in policy.scopes:
            if scope.source in rule.sources:
                common = _common(scope, rule, submitted_at, bounds)
                if common is not None:
                    yield replace(wish, scopes=(_with_profile(common, policy),))


def _common(scope: Scope, rule: ScopeRule, submitted_at: Instant, lookbacks: Iterable[int]) -> Scope | None:
    submitted_ns = submitted_at * 1_000
    lookback_s = min([rule.lookback_s, *lookbacks])
    window = EventWindow(submitted_ns - lookback_s * NANOSECONDS, None if rule.live else submitted_ns)
    try:
        entry = Scope(
            source=scope.source,
            selector=rule.selector,
            window=window,
            level_from=rule.level_from,
            contains=rule.contains,
        )
        return scope.intersect(entry)
    except LogLeaseError:
        return None  # together they have more literals than a scope may hold: there is no such wish


def _with_profile(scope: Scope, policy: AccessPolicy) -> Scope:
    """Leave the choice of the profile to the policy; a wish that names a looser one would be refused again."""
    return replace(scope, profile=None) if policy.grant.redaction != scope.profile else scope
