"""What entries about requests and reviews do: the way of a request (S3), and the rules that are asked on it."""

from __future__ import annotations

from typing import Final

from loglease.audit.semantic import people_rules, request_rules, review_rules
from loglease.audit.semantic.facts import Fact, instant_of
from loglease.audit.semantic.objects import AfterReview, Grant, Request, Review
from loglease.audit.semantic.state import State

_BREAK_GLASS: Final = "break_glass"
_AFTER: Final = {
    "open": frozenset({"justified", "not_justified", "follow_up"}),
    "follow_up": frozenset({"justified", "not_justified"}),
    "not_justified": frozenset({"justified"}),
}
"""Which verdicts an after-review takes, by where it stands; none once it is justified."""


def submitted(state: State, entry: Fact) -> None:
    """A request begins."""
    one, data = entry.ref["request"], entry.data
    state.introduce("request", one)
    request = Request(one, state.index, entry, instant_of(data["expires_at"]))
    if "extends" in data:
        request.extends = _named(state, data["extends"])
    if "reveal" in data:
        request.reveals = _named(state, data["reveal"]["grant"])
    state.requests[one] = request


def _named(state: State, one: str) -> Grant | None:
    found = state.grants.get(one)
    if found is None:
        state.unknown("grant", one)
    return found


def offered(state: State, entry: Fact) -> None:
    """The offer that a request takes; with it the request can be decided."""
    request = state.request(entry)
    if request is None:
        return
    if request.made is not None or request.approved is not None:
        state.breach("S3", f"{request.id} has its offer already", request.index)
        return
    request.made = entry
    request_rules.digest_is_computed(state, request)
    request_rules.offer_is_of_its_bundle(state, request)
    request_rules.offer_is_inside(state, request)


def reviewed(state: State, entry: Fact) -> None:
    """Somebody approves or denies."""
    data, ref = entry.data, entry.ref
    state.introduce("review", ref["review"])
    request = state.request(entry)
    if request is None:
        return
    people_rules.may_act(state, entry.actor, "a review")
    if request.approved is not None:
        state.breach("S3", f"{ref['review']} is given on {request.id}, which is decided", request.approved)
        return
    review = Review(
        id=ref["review"],
        index=state.index,
        reviewer=entry.actor,
        approves=data["verdict"] == "approve",
        digest=data["digest_sha256"],
        names=frozenset(data["eligible"]),
        stands_for=data.get("stands_for"),
        narrowed=data.get("narrowed"),
        was_pending=state.at < request.until and request.made is not None,
    )
    request.reviews[review.id] = review
    if not review.approves:
        request.denied = request.denied or review
    request_rules.review_is_inside(state, request, review)


def approved(state: State, entry: Fact) -> None:
    """The last missing approval came, or none was needed."""
    request, data = state.request(entry), entry.data
    if request is None:
        return
    if request.made is None or request.approved is not None or state.at >= request.until:
        state.breach("S3", f"{request.id} is approved while it is not pending", request.index, request.approved)
        return
    request.approved, request.counted = state.index, tuple(data["reviews"])
    request.looked_at = state.people.version
    request_rules.digest_is_named(state, request, data["digest_sha256"], "the approval")
    request_rules.is_not_denied(state, request)
    counted = request_rules.reviews_count(state, request, data["reviews"], "the approval")
    review_rules.reviewers_may(state, request, counted, "the approval")
    if len(counted) == len(data["reviews"]):
        review_rules.plans_are_met(state, request, counted, "the approval")


def denied(state: State, entry: Fact) -> None:
    """A review, or policy, says no."""
    request, data = state.request(entry), entry.data
    if request is None:
        return
    by_review = data["by"] == "review"
    if request.approved is not None:
        state.breach("S3", f"{request.id} is denied after it was approved", request.approved)
        return
    if by_review and (request.denied is None or data.get("review") != request.denied.id):
        state.breach("S3", f"{request.id} is denied by a review that is not there", request.index)
    del state.requests[request.id]


def over(state: State, entry: Fact) -> None:
    """A request ends without a grant: cancelled, or nobody decided in time."""
    request = state.request(entry)
    if request is None:
        return
    if request.approved is not None:
        state.breach("S3", f"{request.id} ends after it was approved", request.approved)
        return
    if entry.type == "request.expired" and state.at < request.until:
        state.breach("S3", f"{request.id} expired before its time", request.index)
    del state.requests[request.id]


def countered(state: State, entry: Fact) -> None:
    """A counter-offer; the request stays as it is."""
    state.request(entry)


def looked_at(state: State, entry: Fact) -> None:
    """Somebody looks afterwards at what was read without an approval."""
    data, one = entry.data, entry.ref["request"]
    after = state.after_reviews.get(one)
    if after is None or after.grant != entry.ref["grant"]:
        if state.machine.restored is None or one not in state.seen["request"]:
            state.unknown("request", one)
        else:
            state.finding("S3", f"{one} is looked at again: a restored database did not know that it was")
        return
    review_rules.after_reviewer_may(state, entry, after)
    verdict, stands = data["verdict"], data["state"]
    if verdict not in _AFTER[after.state] or stands not in (
        {verdict, after.state} if verdict == "justified" else {verdict}
    ):
        state.breach("S3", f"the after-review of {one} is {after.state} and cannot become {stands}", after.index)
    if after.state == "open" and stands != "open":
        review_rules.after_review_is_in_time(state, after)
    after.objected = entry.actor if stands == "not_justified" != after.state else after.objected
    after.state = stands
    if stands == "justified":
        del state.after_reviews[one]


def opened_after_review(state: State, grant: Grant) -> None:
    """An after-review opens with a grant that says when it is due."""
    if "review_by_at" in grant.data:
        request = grant.request
        due = instant_of(grant.data["review_by_at"])
        asks = frozenset({request.subject, request.wish.get("beneficiary", request.subject)})
        state.after_reviews[request.id] = AfterReview(request.id, grant.id, state.index, asks, due)
    elif grant.data["basis"] == _BREAK_GLASS:
        review_rules.nobody_is_to_look(state, grant)


STEPS: Final = {
    "request.submitted": submitted,
    "offer.made": offered,
    "review.given": reviewed,
    "request.approved": approved,
    "request.denied": denied,
    "request.cancelled": over,
    "request.expired": over,
    "request.countered": countered,
    "breakglass.reviewed": looked_at,
}
