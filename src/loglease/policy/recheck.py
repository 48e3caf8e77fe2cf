"""What is decided again after submit: both the policy that was asked and the present one must still allow it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from loglease.model.access_request import Wish
from loglease.model.ack import Ack, strongest
from loglease.model.instant import Instant
from loglease.model.key_scope import KeyScope, narrowest
from loglease.model.offer import Offer, Plan, Terms
from loglease.model.principal import Directory, Principal
from loglease.model.scope import Scope
from loglease.policy.bundle import Bundle
from loglease.policy.decision import Point, decide
from loglease.policy.observed import NOTHING_KNOWN, Facts
from loglease.policy.plan import Refusal
from loglease.policy.profiles import Profiles, known_profile, strictest
from loglease.policy.trace import EXPIRED, Decision


@dataclass(frozen=True, slots=True, kw_only=True)
class Recheck:
    """The stricter of both answers.

    Attributes:
        refusal: why nothing is allowed any more; None if something is.
        plans: all of them must be satisfied, those of the present policy included.
        terms: what may be read at most.
        network_bound: whether any of them binds the grant to a network.
        pseudonyms: the narrowest scope that any of them has.
        ack: the most that any of them demands of the record.
    """

    refusal: Refusal | None
    plans: tuple[Plan, ...] = ()
    terms: Terms | None = None
    network_bound: bool = False
    pseudonyms: KeyScope = KeyScope.GRANT
    ack: Ack = Ack.DURABLE


def redecide(
    point: Point,
    pinned: Offer,
    current: Bundle,
    wish: Wish,
    principal: Principal,
    *,
    directory: Directory,
    now: Instant,
    submitted_at: Instant,
    profiles: Profiles,
    facts: Facts = NOTHING_KNOWN,
    pinned_bundle: Bundle | None = None,
) -> Recheck:
    """Decide again at a later point of a request's life.

    Args:
        point: where: it says what is looked at. Whether reviews satisfy the plans is for `plan_state` to say.
        pinned: the offer that was taken at submit; its plans stay demanded and its terms are never exceeded.
        current: the newest bundle. A policy that it no longer has allows nothing.
        wish: what was asked.
        principal: the requester as of now.
        directory: everybody as of now.
        now: the instant of the decision.
        submitted_at: from where lookbacks count.
        profiles: redaction profiles of this server.
        facts: what providers and the latest call of the requester say.
        pinned_bundle: the bundle that made the offer, where it is still at hand; it is asked as well.
    """
    bundles = [current]
    if pinned_bundle is not None and pinned_bundle.hash != current.hash:
        bundles.append(pinned_bundle)
    plans, terms = list(pinned.plans), pinned.terms
    network_bound, pseudonyms, ack = pinned.shape.network_bound, pinned.shape.pseudonyms, pinned.shape.ack
    for bundle in bundles:
        found = decide(
            bundle, wish, principal, directory=directory, now=now, profiles=profiles, submitted_at=submitted_at,
            facts=facts, point=point, route=pinned.route if point is Point.SESSION_OPEN else None,
        )  # fmt: skip
        offer = found.offer_of(pinned.policy)
        if offer is None:
            return Recheck(refusal=_withdrawn(pinned, found))
        plans += [plan for plan in offer.plans if plan not in plans]
        network_bound = network_bound or offer.shape.network_bound
        pseudonyms = narrowest((pseudonyms, offer.shape.pseudonyms))
        ack = strongest((ack, offer.shape.ack))
        both = stricter_terms(terms, offer.terms, profiles)
        if both is None:
            return Recheck(refusal=_withdrawn(pinned, None))
        terms = both
    return Recheck(
        refusal=None, plans=tuple(plans), terms=terms, network_bound=network_bound, pseudonyms=pseudonyms, ack=ack
    )


def _withdrawn(pinned: Offer, found: Decision | None) -> Refusal:
    refusal = None if found is None else found.refusal
    if refusal is not None and (refusal.code == "guardrail_denied" or refusal.rule == EXPIRED):
        return refusal
    fault = None if found is None else _fault(pinned, found)
    if fault is not None:
        return fault
    return Refusal(
        code="policy_denied",
        message=f"The policy {pinned.policy} does not allow this any more.",
        next_step="Ask again: `loglease request` shows what is offered now.",
        rule=pinned.policy,
    )


def _fault(pinned: Offer, found: Decision) -> Refusal | None:
    """Return why nobody can tell, if that alone stands in the way of the policy: no rule says no then."""
    trace = next((one for one in found.own if one.policy.id == pinned.policy), None)
    failed = [step for step in trace.steps if not step.ok] if trace is not None else []
    if failed and all(step.refusal is not None and step.refusal.for_now for step in failed):
        return failed[0].refusal
    return None


def stricter_terms(one: Terms, other: Terms, profiles: Profiles) -> Terms | None:
    """Return what both terms allow, each scope under the stricter profile; None if that is nothing.

    `Terms.intersect` keeps the profiles of one side, because the model cannot compare them.
    """
    scopes = []
    for ours in one.scopes:
        for theirs in other.scopes:
            both = ours.intersect(theirs)
            profile = _stricter_profile(ours, theirs, profiles)
            if both is not None and profile is not None:
                scopes.append(replace(both, profile=profile))
    if not scopes:
        return None
    return Terms(
        scopes=tuple(dict.fromkeys(scopes)),
        duration_s=min(one.duration_s, other.duration_s),
        limits=one.limits.tightest(other.limits),
    )


def _stricter_profile(one: Scope, other: Scope, profiles: Profiles) -> str | None:
    if one.profile == other.profile:
        return one.profile
    names = [known_profile(scope.profile or "", profiles) for scope in (one, other)]
    chosen = strictest([info.name for info in names if info is not None], profiles) if None not in names else None
    return profiles[chosen].pinned if chosen is not None else None
