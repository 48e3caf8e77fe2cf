"""Rules about requests, their offers, and what is inside of what: S4, S5, S6, S9, S10."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import orjson

from loglease.audit.semantic.facts import Data
from loglease.audit.semantic.inputs import NotCheckable
from loglease.audit.semantic.objects import Request, Review
from loglease.audit.semantic.scopes import terms_fault
from loglease.audit.semantic.state import Bundle, State
from loglease.model.digest import sha256_hex
from loglease.model.instant import MICROSECONDS

STILL_COUNTS_S: Final = 10
"""How long the bundle before counts: processes take a new one over each second, and decisions that began then end."""

_BASIS: Final = {"review": "reviews", "auto": "auto", "break_glass": "break_glass"}


def digest_is_computed(state: State, request: Request) -> None:
    """S4, at the offer: the digest is that of wish and offer."""
    wish = {name: value for name, value in request.wish.items() if name not in ("digest_sha256", "channel")}
    # Of parts that were read from canonical bytes, so this is canonical, too.
    bound: Data = {"offer": dict(request.offer), "request": request.id, "subject": request.subject, "wish": wish}
    if sha256_hex(orjson.dumps(bound, option=orjson.OPT_SORT_KEYS)) != request.wish["digest_sha256"]:
        state.breach("S4", f"the digest of {request.id} is not that of its wish and offer", request.index)


def digest_is_named(state: State, request: Request, named: str, what: str) -> None:
    """S4, later on: whatever names the request's digest names that one."""
    if named != request.wish["digest_sha256"]:
        state.breach("S4", f"{what} of {request.id} names another digest", request.index)


def offer_is_of_its_bundle(state: State, request: Request) -> None:
    """S5: the bundle was in force, and the offer is what it gives."""
    offer = request.offer
    if not state.bundles and state.partial:
        state.unchecked("S5", "which bundle was in force before the first entry that is there")
    elif not any(_counts(state, one, offer) for one in state.bundles):
        last = state.bundles[-1].index if state.bundles else None
        state.breach("S5", f"the offer for {request.id} names a bundle that was not in force", request.index, last)
    if state.inputs.recompute is None or request.made is None:
        state.unchecked("S5", "whether offers are what their bundles give: no bundles were given")
        return
    try:
        fault = state.inputs.recompute(request.submitted, request.made)
    except NotCheckable as error:
        state.unchecked("S5", error.message)
    else:
        if fault is not None:
            state.breach("S5", f"the offer for {request.id} is not what its bundle gives: {fault}", request.index)


def _counts(state: State, bundle: Bundle, offer: Data) -> bool:
    if (bundle.sha256, bundle.revision) != (offer["bundle_sha256"], offer["revision"]):
        return False
    return bundle.until is None or state.at - bundle.until <= STILL_COUNTS_S * MICROSECONDS


def reviews_count(state: State, request: Request, named: Sequence[str], what: str, *, rule: str = "S6") -> list[Review]:
    """S6, and return those reviews of the request that are named and known."""
    found = []
    for one in named:
        review = request.reviews.get(one)
        if review is None:
            if not state.partial or one in state.seen["review"]:
                state.breach(rule, f"{what} of {request.id} counts {one}, which is no review of it", request.index)
            continue
        found.append(review)
        fault = _fault_of(request, review)
        if fault is not None:
            state.breach(rule, f"{what} of {request.id} counts {one}, {fault}", request.index, review.index)
    return found


def _fault_of(request: Request, review: Review) -> str | None:
    if not review.approves:
        return "which is a denial"
    if review.digest != request.wish["digest_sha256"]:
        return "which is on another digest"
    return None if review.was_pending else "which was given when nothing could be decided any more"


def same_reviews(state: State, request: Request, named: Sequence[str], grant: str) -> None:
    """S6: the grant rests on the reviews that the approval counted."""
    if set(named) != set(request.counted):
        state.breach("S6", f"{grant} names other reviews than the approval of {request.id}", request.approved)


def is_not_denied(state: State, request: Request) -> None:
    """S9: what somebody denied is not approved."""
    if request.denied is not None:
        state.breach("S9", f"{request.id} is approved although {request.denied.id} denies it", request.denied.index)


def basis_is_offered(state: State, request: Request, basis: str, grant: str) -> None:
    """S9: only an offer that says so leads to a grant without reviews."""
    outcome = request.offer.get("outcome", "")
    if _BASIS.get(outcome) != basis:
        made = None if request.made is None else request.index
        state.breach("S9", f"{grant} rests on {basis}, and the offer says {outcome or 'nothing'}", made)


def offer_is_inside(state: State, request: Request) -> None:
    """S10: the offer is inside of the wish."""
    fault = terms_fault(request.offer, request.wish) or _reveal_fault(request.offer, request.wish)
    if fault is not None:
        state.breach("S10", f"the offer for {request.id} gives more than was asked: {fault}", request.index)


def review_is_inside(state: State, request: Request, review: Review) -> None:
    """S10: what a review narrows to is inside of the offer."""
    fault = None if review.narrowed is None else terms_fault(review.narrowed, request.offer)
    if fault is not None:
        state.breach("S10", f"{review.id} allows more than the offer for {request.id}: {fault}", request.index)


def grant_is_inside(state: State, request: Request, data: Data, counted: Sequence[Review], grant: str) -> None:
    """S10: the grant is its requester's, and inside of the offer and of every counted review."""
    if data["holder"] not in (request.subject, request.wish.get("beneficiary")):
        state.breach("S10", f"{grant} is held by somebody who did not ask for it", request.index)
    fault = terms_fault(data, request.offer) or _reveal_fault(data, request.offer)
    if fault is not None:
        state.breach("S10", f"{grant} gives more than the offer: {fault}", request.index)
    for review in counted:
        fault = None if review.narrowed is None else terms_fault(data, review.narrowed)
        if fault is not None:
            state.breach("S10", f"{grant} gives more than {review.id} allows: {fault}", review.index)


def _reveal_fault(inner: Data, outer: Data) -> str | None:
    return None if inner.get("reveal") == outer.get("reveal") else "it shows another value"
