"""What would help with a denial. Each remedy is tried before it is named, by deciding again; no more than a few are."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from loglease.model.access_request import Wish
from loglease.model.errors import LogLeaseError
from loglease.model.instant import NANOSECONDS, EventWindow, Instant
from loglease.model.labels import matcher_of
from loglease.model.scope import Scope
from loglease.policy.bundle import Bundle
from loglease.policy.documents import AccessPolicy, ScopeRule
from loglease.policy.trace import Decision, Fix, GuardrailTrace, Step, StepName

MAX_SUGGESTIONS: Final = 3
MAX_TRIED: Final = 20
_REPAIRABLE: Final = frozenset({StepName.SCOPE, StepName.GUARDRAIL, StepName.EXCLUSIVE, StepName.PROFILE})
_CLOSED: Final = frozenset(
    {StepName.SCOPE, StepName.PROFILE, StepName.EXTEND, StepName.STANDING, StepName.GUARDRAIL, StepName.BUNDLE}
)
"""What nobody gets past who breaks the glass; all else they can bring, such as a reason or a newer sign-in."""
_SPANS_S: Final = (4 * 3_600, 2 * 3_600, 3_600, 1_800, 900, 300)


@dataclass(frozen=True, slots=True)
class Tried:
    """The remedies of one decision.

    Attributes:
        bundle: what was decided by.
        tried: decides on another wish of the same person, by this bundle or by a part of it.
    """

    bundle: Bundle
    tried: Callable[[Wish, Bundle], Decision]

    def narrowed(self, found: Decision) -> tuple[tuple[str, Wish], ...]:
        """Return smaller wishes that policies would cover: the first few of those that were tried."""
        wishes: list[tuple[str, Wish]] = []
        for policy, wish in itertools.islice(_smaller(found), MAX_TRIED):
            rivals = tuple(one for one in self.bundle.policies if one.exclusive or one.id == policy.id)
            again = self.tried(wish, replace(self.bundle, policies=rivals))
            if again.offer_of(policy.id) is not None and all(wish != other for _, other in wishes):
                wishes.append((policy.id, wish))
        return tuple(wishes[:MAX_SUGGESTIONS])

    def shorter_s(self, found: Decision) -> int | None:
        """Return the longest time for which it would be offered, of those that policies and people commonly name."""
        if not any(step.fix is Fix.SHORTEN for step in _noes(found)):
            return None
        asked_s = found.wish.duration_s
        spans = {
            *_SPANS_S,
            *(span for one in found.own for span in (one.policy.grant.max_s, one.policy.grant.default_s)),
        }
        shorter = sorted((span for span in spans if asked_s is None or span < asked_s), reverse=True)
        tries = (
            span for span in shorter[:MAX_TRIED] if self.tried(replace(found.wish, duration_s=span), self.bundle).offers
        )
        return next(tries, None)

    def opens_glass(self, found: Decision) -> bool:
        """Say whether a BreakGlass document is for this person, covers what was asked, and is not closed to them."""
        if found.wish.break_glass or not self.bundle.emergencies:
            return False
        again = self.tried(replace(found.wish, break_glass=True), self.bundle)
        return any(not one.failed() & _CLOSED for one in again.own)


def _noes(found: Decision) -> Iterator[Step]:
    yield from found.bans
    yield from (step for one in found.own for step in one.steps if not step.ok)


def _smaller(found: Decision) -> Iterator[tuple[AccessPolicy, Wish]]:
    """Yield what policies that are for this person have in common with the wish."""
    for trace in found.own:
        if trace.failed() & _REPAIRABLE:
            for wish in narrowed_scopes(trace.policy, found.wish, found.decided_at, found.guardrails):
                yield trace.policy, wish


def touching(found: Decision) -> frozenset[str]:
    """Return the policies for this person that have something in common with the wish but do not cover it."""
    return frozenset(policy.id for policy, _ in itertools.islice(_smaller(found), MAX_TRIED))


def is_split(wish: Wish, parts: Sequence[Wish]) -> bool:
    """Say whether smaller wishes are together all that was asked, so that nothing is lost by asking for each.

    They have one scope each. Where a scope is taken apart, it has to be along the values of one label.
    """
    pieces = [part.scopes[0] for part in parts]
    return len(pieces) > 1 and all(_is_covered(scope, pieces) for scope in wish.scopes)


def _is_covered(scope: Scope, pieces: Sequence[Scope]) -> bool:
    alike = [replace(piece, profile=scope.profile) for piece in pieces]
    if scope in alike:
        return True
    for key, matcher in scope.selector.matchers:
        values: set[str] = set()
        for piece in alike:
            part = dict(piece.selector.matchers).get(key)
            rest = tuple(one for one in piece.selector.matchers if one[0] != key)
            same = rest == tuple(one for one in scope.selector.matchers if one[0] != key)
            if (
                part is not None
                and same
                and replace(piece, selector=scope.selector) == scope
                and part == matcher_of(exact=part.exact)
            ):
                values |= part.exact
        if values and matcher == matcher_of(exact=values):
            return True
    return False


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
