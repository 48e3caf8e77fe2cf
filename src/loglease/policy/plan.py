"""Approval plans: is a plan satisfied, by whom could it be, and may this person review now.

Progress is the maximum matching of approving people to slots, so the order of arrival never matters. People are
counted, not logins: whoever is, or may be, one human being fills one slot of a plan at most, and none of their own.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Hashable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from loglease.model.ids import PersonId, PrincipalId
from loglease.model.instant import duration_text
from loglease.model.offer import Joint, Plan, Slots, Stage
from loglease.model.principal import Kind, Principal
from loglease.model.review import Review, Verdict
from loglease.policy.people import MANAGER, People, is_of_the_moment

Seats = list[frozenset[PersonId]]
"""One entry a slot: the people who could fill it."""
Sitter = TypeVar("Sitter", bound=Hashable)


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """One plan that is not satisfied yet.

    Attributes:
        origin: the policy or guardrail that demands it.
        stage: the stage that takes reviews now, from 1.
        stages: how many stages the plan has.
        missing: how many more approvals that stage needs, at least.
        approvers: the names it asks for, as written in the policy.
        people: principals who could bring it forward now.
    """

    origin: str
    stage: int
    stages: int
    missing: int
    approvers: tuple[str, ...]
    people: frozenset[PrincipalId]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanState:
    """What the reviews so far add up to. A request with `denied_by` is denied, whatever else is true.

    Attributes:
        counted: the approvals of people who are still eligible.
        complete: for each plan, how many of its stages are complete.
    """

    satisfied: bool
    waiting: tuple[Waiting, ...] = ()
    denied_by: Review | None = None
    counted: tuple[Review, ...] = ()
    complete: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Why something is refused: a public error code, a text for the person, and what to do next.

    Attributes:
        for_now: nobody could tell, and that may change by itself: no rule said no.
    """

    code: str
    message: str
    next_step: str | None = None
    rule: str | None = None
    for_now: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """Who may review one request.

    Attributes:
        requester: the principal that asks, for a message of its own.
        excluded: persons who count as the requester: the requester, the beneficiary, the owner of an agent.
        eligible: principals who could review when the request was submitted; None before that. Whom an escalation
            names need not have been among them, nor whoever is on call now, who counts as that and as nothing else.
        waited_s: how long ago the request was submitted, in whole seconds.
    """

    people: People
    requester: PrincipalId
    excluded: frozenset[PersonId]
    eligible: frozenset[PrincipalId] | None = None
    waited_s: int = 0
    _others: list[tuple[Principal, ...]] = field(init=False, repr=False, compare=False, default_factory=list)

    def is_own(self, principal: Principal) -> bool:
        """Say whether a principal is, or may be, somebody who counts as the requester, or who stands in for one."""
        return principal.id == self.requester or self._counts_among(principal, self._own())

    def _own(self) -> frozenset[PersonId]:
        return self.people.counted(self.excluded) | self.people.stand_ins_of(self.excluded)

    def _counts_among(self, principal: Principal, persons: frozenset[PersonId]) -> bool:
        return not persons.isdisjoint(self.people.counted(principal.persons))

    def humans(self) -> tuple[Principal, ...]:
        """Return the people who could review something of this request, names of stages aside."""
        if not self._others:  # found once: every plan asks for them
            own = self._own()
            humans = (one for one in self.people.directory.humans() if one.id != self.requester)
            self._others.append(tuple(one for one in humans if not self._counts_among(one, own)))
        return self._others[0]

    def may_fill(self, stage: Stage, block: Slots, principal: Principal, spoken: Collection[PersonId] = ()) -> bool:
        """Say whether a principal's approval counts in a block: by its names, or by an escalation that is due.

        Args:
            spoken: persons who have spoken for themselves: nobody stands in for one of them.
        """
        if self.people.may_approve(self.names(block, principal), principal, spoken):
            return True
        also = stage.escalate
        is_due = also is not None and self.waited_s >= also.after_s
        return also is not None and is_due and self.people.may_approve(also.to, principal, spoken)

    def names(self, block: Slots, principal: Principal) -> tuple[str, ...]:
        """Return the names of a block under which a person could review, if they mean that person."""
        known = self.eligible is None or principal.id in self.eligible
        return tuple(one for one in block.approvers if known or is_of_the_moment(one))

    def as_given(self, reviews: Iterable[Review]) -> Bench:
        """Return the bench with those on call who were when they gave these reviews."""
        on_call: dict[str, frozenset[PrincipalId]] = {}
        for review in reviews:
            for rota in review.on_call:
                on_call[rota] = on_call.get(rota, frozenset()) | {review.reviewer}
        directory = self.people.directory
        if not on_call and not directory.on_call:
            return self
        return replace(self, people=replace(self.people, directory=replace(directory, on_call=on_call)))

    def is_in(self, stages: Iterable[Stage], principal: Principal) -> bool:
        """Say whether a principal's approval counts in some block of these stages."""
        return any(self.may_fill(stage, block, principal) for stage in stages for block in stage.blocks)


def plan_state(plans: Sequence[Plan], reviews: Iterable[Review], bench: Bench) -> PlanState:
    """Add up the reviews of a request.

    Args:
        plans: all must be satisfied; a review may count in several. No plan at all is satisfied by nobody.
        reviews: those that were accepted, in any order.
        bench: who may review. Approvals of people who are not eligible any more do not count, nor those given in
            another's place by somebody who stands in for nobody any more; a denial always does.
    """
    given = sorted(reviews, key=lambda one: (one.given_at, one.id))
    stages = [stage for plan in plans for stage in plan.stages]
    humans = {one.id: one for one in bench.humans()}
    then = bench.as_given(given)
    able = {one for one in {each.reviewer for each in given} & humans.keys() if then.is_in(stages, humans[one])}
    approvals = [
        one
        for one in given
        if one.verdict is Verdict.APPROVE
        and one.reviewer in able
        # What was said in another's place is nobody's own word later.
        and (one.stands_for is None or then.people.stands_in(humans[one.reviewer]))
    ]
    voters = [humans[one.reviewer] for one in approvals]
    waiting, complete, useful = [], [], set[PrincipalId]()
    for plan in plans:
        done = _complete_stages(plan, voters, then)
        complete.append(done)
        useful |= {one.id for one in voters if then.is_in(plan.stages, one)}
        if done < len(plan.stages):
            waiting.append(_waiting(plan, done, voters, then, bench))
    denied = next((one for one in given if one.verdict is Verdict.DENY), None)
    return PlanState(
        satisfied=bool(plans) and not waiting and denied is None,
        waiting=tuple(waiting),
        denied_by=denied,
        counted=tuple(one for one in approvals if one.reviewer in useful),
        complete=tuple(complete),
    )


def _waiting(plan: Plan, done: int, voters: Sequence[Principal], then: Bench, bench: Bench) -> Waiting:
    open_stages, people = plan.stages[: done + 1], bench.people
    voted = {people.counted_as(one) for one in voters}
    missing = min(len(seats) - matched(seats) for seats in _ways(open_stages, voters, then))
    others = (one for one in bench.humans() if people.counted_as(one) not in voted)
    helpful = (one.id for one in others if bench.is_in(open_stages, one))
    stage = plan.stages[done]
    names = {name for block in stage.blocks for name in block.approvers}
    if stage.escalate is not None and bench.waited_s >= stage.escalate.after_s:
        names |= set(stage.escalate.to)
    return Waiting(
        origin=plan.origin,
        stage=done + 1,
        stages=len(plan.stages),
        missing=missing,
        approvers=tuple(sorted(names)),
        people=frozenset(helpful),
    )


def _complete_stages(plan: Plan, voters: Collection[Principal], bench: Bench) -> int:
    """Return how many stages, from the first, these approvals fill completely."""
    for done in range(len(plan.stages), 0, -1):
        if any(matched(seats) == len(seats) for seats in _ways(plan.stages[:done], voters, bench)):
            return done
    return 0


def _ways(stages: Sequence[Stage], voters: Collection[Principal], bench: Bench) -> Iterable[Seats]:
    """Yield the slots to fill, once for each way through the stages that let one choose a block."""
    choices = [
        ((stage, stage.blocks),) if stage.joint is Joint.ALL else tuple((stage, (one,)) for one in stage.blocks)
        for stage in stages
    ]
    for chosen in itertools.product(*choices):
        yield [seat for stage, blocks in chosen for block in blocks for seat in _seats(stage, block, voters, bench)]


def _seats(stage: Stage, block: Slots, voters: Collection[Principal], bench: Bench) -> Seats:
    spoken = {bench.people.counted_as(one) for one in voters}
    who = frozenset([bench.people.counted_as(one) for one in voters if bench.may_fill(stage, block, one, spoken)])
    return [who] * block.need


def matched(seats: Sequence[frozenset[Sitter]]) -> int:
    """Return how many slots can be filled at once by different people: a maximum bipartite matching.

    Source: augmenting paths, H. W. Kuhn 1955.
    """
    sits: dict[Sitter, int] = {}
    return sum(_is_seated(seats, seat, sits, set()) for seat in range(len(seats)))


def _is_seated(seats: Sequence[frozenset[Sitter]], seat: int, sits: dict[Sitter, int], tried: set[Sitter]) -> bool:
    """Fill one slot, if need be by moving people who sit already; `tried` are those who were asked to move."""
    for person in seats[seat]:
        if person in tried:
            continue
        tried.add(person)
        if person not in sits or _is_seated(seats, sits[person], sits, tried):
            sits[person] = seat
            return True
    return False


def eligible_reviewers(plans: Iterable[Plan], bench: Bench) -> frozenset[PrincipalId]:
    """Return everybody who could fill a slot of some plan, whatever stage is open."""
    stages = [stage for plan in plans for stage in plan.stages]
    return frozenset(one.id for one in bench.humans() if bench.is_in(stages, one))


def unsatisfiable(plan: Plan, bench: Bench) -> Refusal | None:
    """Say why nobody could complete a plan now: the first such stage and the remedy; None if somebody could."""
    humans = bench.humans()
    done = _complete_stages(plan, humans, bench)
    if done == len(plan.stages):
        return None
    stage = plan.stages[done]
    names = ", ".join(sorted({name for block in stage.blocks for name in block.approvers}))
    could = sum(1 for one in humans if bench.is_in((stage,), one))
    next_step = "Add a person: `loglease admin user add NAME --group GROUP`."
    if bench.people.manager is None and any(MANAGER in block.approvers for block in stage.blocks):
        next_step = "Have an administrator name your manager: `loglease admin person change YOU --manager NAME`."
    if not could:
        return Refusal(
            code="no_eligible_approver",
            message=f"Nobody but you may approve this. Stage {done + 1} of {plan.origin} needs somebody of {names}.",
            next_step=next_step,
            rule=plan.origin,
        )
    return Refusal(
        code="no_eligible_approver",
        message=f"Too few people may approve this: stage {done + 1} of {plan.origin} needs {_need(stage)} of {names}.",
        next_step=next_step,
        rule=plan.origin,
    )


def _need(stage: Stage) -> str:
    joint = " and " if stage.joint is Joint.ALL else " or "
    return joint.join(str(block.need) for block in stage.blocks)


def review_refusal(
    plans: Sequence[Plan], reviews: Iterable[Review], bench: Bench, reviewer: Principal, verdict: Verdict
) -> Refusal | None:
    """Say why this principal cannot give this review now; None if it can.

    Whether the request is pending, the digest right and the review new is the business of `access`. A denial may come
    from anybody who is eligible for any stage; an approval counts from the stage that is open, or one before it.
    """
    if reviewer.kind is not Kind.HUMAN:
        return Refusal(code="reviewer_not_human", message=f"Only people review; {reviewer.name} is none.")
    if reviewer.id == bench.requester:
        return Refusal(
            code="self_review",
            message="Nobody reviews their own request.",
            next_step="Ask one of the people it is waiting for.",
        )
    if bench.is_own(reviewer):
        return Refusal(
            code="same_person",
            message="This account may belong to the person who asked, so it cannot review.",
            next_step="Ask somebody else.",
        )
    eligible = eligible_reviewers(plans, bench)
    if reviewer.id not in eligible:
        return Refusal(
            code="reviewer_not_eligible",
            message="The policy does not let you review this request.",
            next_step="Ask one of the people it is waiting for.",
        )
    if verdict is Verdict.DENY:
        return None
    state = plan_state(plans, reviews, bench)
    if any(bench.is_in(plan.stages[: done + 1], reviewer) for plan, done in zip(plans, state.complete, strict=True)):
        return None
    return Refusal(
        code="stage_not_open",
        message="Your stage takes reviews once the stages before it are complete.",
        next_step="Wait for the earlier stages; you will see the request when it is your turn.",
    )


def stages_words(plan: Plan) -> tuple[str, ...]:
    """Say who has to approve, stage after stage."""
    return tuple(map(stage_words, plan.stages))


def stage_words(stage: Stage) -> str:
    """Say who has to approve in a stage."""
    joint = " and " if stage.joint is Joint.ALL else " or "
    words = joint.join(f"{block.need} of {', '.join(block.approvers)}" for block in stage.blocks)
    also = stage.escalate
    return words if also is None else f"{words}, after {duration_text(also.after_s)} also {', '.join(also.to)}"


def plans_words(plans: Iterable[Plan]) -> str:
    """Say who has to approve in all: each plan on its own; nobody where it is automatic."""
    demanded = [" then ".join(stages_words(plan)) for plan in plans if plan.stages]
    return "; and ".join(demanded) or "automatic"
