"""What is different between a decision and what a policy test wants of it."""

from __future__ import annotations

from collections.abc import Iterator

from loglease.model.instant import duration_text
from loglease.model.offer import Offer
from loglease.policy.documents import NETWORK
from loglease.policy.expected import TestOutcome, Want
from loglease.policy.explain import next_steps
from loglease.policy.trace import Decision

NOBODY = "nobody"
NEVER = "never"
NOTHING = "nothing"


def differences(want: Want, found: Decision) -> list[str]:
    """Compare with the offer of the wanted policy, or else the first; with the refusal where there is none.

    Args:
        want: what is compared.
        found: the decision on the request of the case.
    """
    offer = found.offers[0] if found.offers else None
    if want.policy is not None and want.outcome is not TestOutcome.DENY:
        offer = found.offer_of(want.policy)
        if offer is None:
            given = ", ".join(one.policy for one in found.offers) or "none"
            return [f"want an offer of {want.policy}, got {given}"]
    got = TestOutcome(offer.outcome) if offer is not None else TestOutcome.DENY
    if got is not want.outcome:
        why = f" by {offer.rule}" if offer is not None else f": {found.refusal.message}" if found.refusal else ""
        return [f"want outcome {want.outcome}, got {got}{why}"]
    if offer is None:
        return list(_of_denial(want, found))
    return [*_of_offer(want, offer), *_of_terms(want, offer)]


def _of_denial(want: Want, found: Decision) -> Iterator[str]:
    refusal = found.refusal
    yield from _unless_same("code", want.code, refusal.code if refusal else NOTHING)
    yield from _unless_same("rule", want.rule, (refusal and refusal.rule) or NOTHING)
    following = [str(one) for one in next_steps(found)]
    missing = [one for one in want.next or () if one not in following]
    if missing:
        yield f"want next {', '.join(missing)}, got {', '.join(following)}"


def _of_offer(want: Want, offer: Offer) -> Iterator[str]:
    yield from _unless_same("route", want.route, offer.route or "none")
    stages = max(len(plan.stages) for plan in offer.plans)
    if want.stages is not None and want.stages != stages:
        yield f"want {want.stages} stages, got {stages}"
    if want.reviews is not None and want.reviews != offer.need:
        yield f"want {want.reviews} reviews, got {offer.need}"
    if want.notify is not None and {*want.notify} != {*offer.notify}:
        yield f"want notify {', '.join(want.notify) or NOBODY}, got {', '.join(offer.notify) or NOBODY}"
    yield from _unless_same("after_review", want.after_review, offer.after is not None)


def _of_terms(want: Want, offer: Offer) -> Iterator[str]:
    shape = offer.shape
    yield from _unless_as_long("duration", want.duration_s, offer.terms.duration_s)
    profile = offer.terms.scopes[0].profile or ""
    if want.redaction is not None and want.redaction not in (profile, profile.partition("@")[0]):
        yield f"want redaction {want.redaction}, got {profile}"
    limits = offer.terms.limits.named()
    for name, value in want.limits.named().items():
        yield from _unless_same(f"limits.{name}", value, limits.get(name, "none"))
    yield from _unless_as_long("activate_within", want.activate_within_s, shape.activate_within_s)
    yield from _unless_as_long("pending_max", want.pending_max_s, shape.review_within_s)
    yield from _unless_as_long("idle_timeout", want.idle_timeout_s, shape.idle_timeout_s)
    yield from _unless_same("single_use", want.single_use, shape.single_use)
    yield from _unless_same("pseudonyms", want.pseudonyms, shape.pseudonyms)
    yield from _unless_same("audit", want.ack, shape.ack)
    if want.network_bound is not None:
        yield from _unless_same("bind", _binding(bound=want.network_bound), _binding(bound=shape.network_bound))


def _binding(*, bound: bool) -> str:
    return NETWORK if bound else NOTHING


def _unless_same(name: str, want: str | int | None, got: str | int) -> Iterator[str]:
    if want is not None and want != got:
        yield f"want {name} {_word(want)}, got {_word(got)}"


def _word(value: str | int) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _unless_as_long(name: str, want: int | None, got: int | None) -> Iterator[str]:
    if want is not None and want != got:
        yield f"want {name} {duration_text(want)}, got {NEVER if got is None else duration_text(got)}"
