"""Rules about who decides: S7 and S8 for reviews, S25 for after-reviews."""

from __future__ import annotations

from collections.abc import Sequence

from loglease.audit.semantic.facts import Fact
from loglease.audit.semantic.objects import AfterReview, Grant, Request, Review
from loglease.audit.semantic.people import HUMAN
from loglease.audit.semantic.slots import Voter, has_slots, is_met
from loglease.audit.semantic.state import State


def reviewers_may(state: State, request: Request, counted: Sequence[Review], what: str, *, rule: str = "S7") -> None:
    """S7: who reviewed may have, and is somebody else than who asks."""
    people = state.people
    own = people.own(_askers(request))
    known: set[str] = set()
    for review in counted:
        one = review.reviewer
        if one in known:
            state.breach(rule, f"{what} of {request.id} counts {one} twice", request.index, review.index)
        known.add(one)
        fault, index = _fault_of(state, one, own)
        if fault is not None:
            state.breach(rule, f"{what} of {request.id} counts {one}, who {fault}", request.index, review.index, index)


def _askers(request: Request) -> list[str]:
    beneficiary = request.wish.get("beneficiary")
    return [request.subject, *([] if beneficiary is None else [beneficiary])]


def _fault_of(state: State, one: str, own: set[str]) -> tuple[str | None, int | None]:
    people = state.people
    if people.person(one) in own:
        return "is, or may be, who asks", None
    if any(people.person(member) in own for member in people.members_of(one, state.at)):
        return "stands in for who asks", None
    kind = people.kinds.get(one)
    if kind is None and state.partial:
        state.unchecked("S7", "what kind of principal somebody is who was added before the first entry that is there")
    elif kind != HUMAN:
        return f"is {'nobody' if kind is None else f'an {kind}' if kind == 'agent' else f'a {kind}'}", None
    held = people.held(one, state.at)
    return (None, None) if held is None else held


def plans_are_met(state: State, request: Request, counted: Sequence[Review], what: str, *, rule: str = "S8") -> None:
    """S8: the counted reviews fill the slots of every plan."""
    plans = request.offer.get("plans", [])
    if request.offer.get("outcome") == "review" and not any(map(has_slots, plans)):
        state.breach(rule, f"{what} of {request.id} needs no review, and the offer says that it does", request.index)
        return
    voters = _voters(state, request, counted)
    for number, plan in enumerate(plans, 1):
        if not is_met(plan, voters):
            given = [review.index for review in counted]
            text = f"{what} of {request.id} does not have the approvals of plan {number} of its offer"
            state.breach(rule, text, request.index, *given)
            return


def _voters(state: State, request: Request, counted: Sequence[Review]) -> list[Voter]:
    people = state.people
    persons = {people.person(review.reviewer) for review in counted}
    return [
        Voter(people.person(review.reviewer), review.names)
        for review in counted
        if review.stands_for is None or not persons.issuperset(_represented(state, request, review, review.stands_for))
    ]


def _represented(state: State, request: Request, review: Review, member: str) -> set[str]:
    """Return in whose place a review counts now; nobody once the reviewer stands in no longer."""
    people = state.people
    members = people.members_of(review.reviewer, state.at, named_by=request.submitted.at)
    if not members and state.partial:
        state.unchecked("S8", "who was named as a stand-in before the first entry that is there")
        members = [member]
    return {people.person(one) for one in members}


def after_reviewer_may(state: State, entry: Fact, after: AfterReview) -> None:
    """S25: who looks afterwards is another person, human and not locked."""
    one = entry.actor
    fault, index = _fault_of(state, one, state.people.own(after.subjects))
    if fault is not None:
        state.breach("S25", f"the after-review of {after.request} is by {one}, who {fault}", after.index, index)
    same = after.objected is not None and state.people.person(after.objected) == state.people.person(one)
    if same and entry.data["verdict"] == "justified":
        state.breach("S25", f"{one} called {after.request} not justified, and now the contrary", after.index)


def nobody_is_to_look(state: State, grant: Grant) -> None:
    """S25, when somebody breaks the glass: that nobody has to look at it afterwards is a finding."""
    state.finding("S25", f"{grant.id} broke the glass, and nobody is to look at it afterwards", grant.request.index)


def after_review_is_in_time(state: State, after: AfterReview) -> None:
    """S25, once it is not open any more, and at the end of the log: a late or missing one is a finding."""
    if state.at >= after.due:
        word = "missing" if after.state == "open" else "late"
        state.finding("S25", f"the after-review of {after.request} is {word}", after.index)
