"""The rules in force: one policy bundle and the redaction profiles it may name, as a value handed to the use cases.

Everything that `access` wants to know of policy is asked here, so that policy's refusals become errors in one place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import orjson

from loglease.access import errors
from loglease.access.caller import Caller
from loglease.access.facts import Ask, FactsNeeded, key_of, nobody
from loglease.model.access_request import AccessRequest, RequestState, Wish
from loglease.model.ack import Ack, strongest
from loglease.model.after_review import AfterOpinion, AfterReview
from loglease.model.errors import LogLeaseError
from loglease.model.grant import Grant, GrantState
from loglease.model.ids import PrincipalId
from loglease.model.instant import MICROSECONDS, Instant, duration_text
from loglease.model.key_scope import KeyScope, narrowest
from loglease.model.offer import Offer, Outcome, Plan, Stage, Terms
from loglease.model.principal import Directory, Principal
from loglease.model.review import Review, Verdict
from loglease.model.scope import Scope
from loglease.policy.bundle import Bundle
from loglease.policy.decision import Point, decide
from loglease.policy.documents import AccessPolicy, KeepRule
from loglease.policy.extending import reached
from loglease.policy.fact_records import facts_of
from loglease.policy.observed import NOTHING_KNOWN, Facts, Question
from loglease.policy.people import People
from loglease.policy.plan import Bench, PlanState, Refusal, eligible_reviewers, plan_state, review_refusal
from loglease.policy.profiles import Profiles
from loglease.policy.questions import APPROVER, questions_again, questions_for_review, questions_of
from loglease.policy.recheck import Recheck, redecide, stricter_terms
from loglease.policy.reviewing import approver_refusal, keep_refusal
from loglease.policy.roots import PRESENCE
from loglease.policy.trace import Decision

_ERRORS: Mapping[str, type[LogLeaseError]] = {
    error.code: error
    for error in (
        errors.ExtensionNotAllowed,
        errors.GuardrailDenied,
        errors.InputRequired,
        errors.NoEligibleApprover,
        errors.NotPermitted,
        errors.PolicyDenied,
        errors.ReasonRequired,
        errors.ReviewerNotEligible,
        errors.ReviewerNotHuman,
        errors.SamePerson,
        errors.SelfReview,
        errors.ProfileUnknown,
        errors.StageNotOpen,
        errors.TicketInvalid,
        errors.TicketRequired,
    )
}


def refused(refusal: Refusal) -> LogLeaseError:
    """Return policy's refusal as the error that doors show."""
    error = errors.PolicyUndecided if refusal.for_now else _ERRORS.get(refusal.code, errors.PolicyDenied)
    return error(refusal.message, next_step=refusal.next_step, rule=refusal.rule)


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowed:
    """What rules still allow of what was asked.

    Attributes:
        network_bound: whether a grant of it is bound to the network that it was asked for from.
        pseudonyms: where equal values have equal pseudonyms in it.
        ack: what has to be true of its record before anything is acknowledged.
    """

    terms: Terms
    network_bound: bool
    pseudonyms: KeyScope
    ack: Ack = Ack.DURABLE


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """One version of the rules, and what is known where they are applied.

    Attributes:
        profiles: all redaction profiles of this server, by name.
        profile_digests: SHA-256 of each profile by ``name@version``.
        presence: returns what a call itself says: `ctx` for whoever asks, `approver` for whoever reviews.
        network_of: returns the network of a call in the form of `model.network`; None where it is not known.
        ask: asks providers for other facts.
        caller: whose call this is; None outside of calls, where what is not known is in fault.
        answers: what providers said for this call.
        zones: version of the time-zone data that calendars are decided with.
        asks: whether what is missing may still be asked for.
        recalls: take the facts of submit for those of now: to show something, never to decide it.
    """

    bundle: Bundle
    profiles: Profiles
    profile_digests: Mapping[str, str]
    presence: Callable[[Caller, Instant], Facts] = lambda _caller, _now: NOTHING_KNOWN
    network_of: Callable[[Caller], str | None] = lambda _caller: None
    ask: Ask = nobody
    zones: str = ""
    caller: Caller | None = None
    answers: Facts = field(default_factory=dict)
    asks: bool = False
    recalls: bool = False

    def for_call(self, caller: Caller | None) -> Rules:
        """Return the same rules for one call, or for what goes on by itself, for which facts may be asked for."""
        return replace(self, caller=caller, asks=True)

    def knowing(self, answers: Facts, *, last: bool) -> Rules:
        """Return the same rules with more answers; after the last ones, what is missing is in fault."""
        return replace(self, answers={**self.answers, **answers}, asks=not last)

    @property
    def network(self) -> str | None:
        """From where the call is, in the form of `model.network`; None outside of calls, and where nobody knows."""
        return None if self.caller is None else self.network_of(self.caller)

    @property
    def bundle_sha256(self) -> str:
        """The hash that decisions and grants name."""
        return self.bundle.hash

    @property
    def revision(self) -> int:
        """The revision of the bundle."""
        return self.bundle.revision

    def decide(
        self, wish: Wish, principal: Principal, directory: Directory, now: Instant, *, closed: str | None
    ) -> Decision:
        """Return what is offered for a wish, with the reasons; no offers is a denial.

        Args:
            wish: what is asked.
            principal: who asks.
            directory: everybody.
            now: the instant of the decision.
            closed: what `access.standing` says of who asks.

        Raises:
            FactsNeeded: providers have to be asked first.
        """
        facts = self._facts(questions_of(self.bundle, wish, principal), principal, NOTHING_KNOWN, now)
        return decide(
            self.bundle,
            wish,
            principal,
            directory=directory,
            now=now,
            profiles=self.profiles,
            facts=facts,
            closed=closed,
        )

    def reached(self, policy: str, scope: Scope, now: Instant) -> Scope:
        """Return the part of a grant's scope that an extension of it can have."""
        return reached(self.bundle, policy, scope, self.profiles, now)

    def require_step_up(self, offer: Offer, caller: Caller, now: Instant) -> None:
        """Refuse to break the glass with a sign-in that is older than its document allows.

        Raises:
            StepUpRequired: it is, or there is none.
        """
        document = self.bundle.emergency(offer.policy)
        caller.require_sign_in(now, 0 if document is None else document.step_up_s)

    def _facts(self, questions: Sequence[Question], about: Principal, kept: Facts, now: Instant) -> Facts:
        """Return what is known of somebody: what their call says, else what an earlier one said, and answers.

        Raises:
            FactsNeeded: there are questions without an answer, and they may be asked.
        """
        if not self.bundle.facts:
            return NOTHING_KNOWN
        missing = [one for one in questions if key_of(one) not in self.answers]
        if missing and self.asks:
            raise FactsNeeded(missing)
        return {**kept, **self._own("ctx", about, now), **self.answers}

    def said(self, requester: PrincipalId, now: Instant) -> Facts:
        """Return what this call says of whoever asked for access; nothing where they do not call."""
        return self._said("ctx", requester, now)

    def _own(self, root: str, about: Principal, now: Instant) -> Facts:
        """Return what this call says of somebody, who has to be the caller."""
        return self._said(root, about.id, now)

    def _said(self, root: str, about: PrincipalId, now: Instant) -> Facts:
        if self.caller is None or self.caller.principal.id != about:
            return NOTHING_KNOWN
        found = self.presence(self.caller, now)
        return {key: one for key, one in found.items() if key[0].startswith(f"{root}.")}

    def eligible(
        self, plans: Sequence[Plan], *, requester: Principal, directory: Directory, now: Instant
    ) -> frozenset[PrincipalId]:
        """Return who may review such a request, now that it is submitted; nobody joins later."""
        bench = Bench(
            people=People(directory, self.bundle.approver_sets, requester.manager, now),
            requester=requester.id,
            excluded=requester.persons,
        )
        return eligible_reviewers(plans, bench)

    def plans(self, request: AccessRequest, directory: Directory, now: Instant) -> tuple[Plan, ...]:
        """Return all that must be satisfied: the plans of the offer that was taken, and what the policy adds today.

        A policy that allows nothing any more adds nothing: that is seen, and refused, when the request is decided.
        """
        again = self._again(Point.FINAL_APPROVAL, request, directory, now)
        return request.offer.plans if again is None or again.refusal is not None else again.plans

    def demanded(self, request: AccessRequest, directory: Directory, now: Instant) -> tuple[Plan, ...]:
        """Return the plans to show with a request: those of today while it is pending, else those it was under."""
        pending = request.state_at(now) is RequestState.PENDING
        return self.shown().plans(request, directory, now) if pending else request.offer.plans

    def shown(self) -> Rules:
        """Return the same rules to show a pending request with: as if what was known at submit were so still.

        Nothing may be granted by them.
        """
        return replace(self, recalls=True)

    def state(self, request: AccessRequest, reviews: Sequence[Review], directory: Directory, now: Instant) -> PlanState:
        """Return how far the reviews of a request satisfy the plans, counting only who is still eligible."""
        return plan_state(self.plans(request, directory, now), reviews, self._bench(request, directory, now))

    def satisfied(
        self, request: AccessRequest, reviews: Sequence[Review], directory: Directory, now: Instant
    ) -> tuple[Review, ...] | None:
        """Return the approvals that count, if they satisfy all plans; None if they do not."""
        plans = self.plans(request, directory, now)
        if request.offer.outcome is not Outcome.REVIEW and not any(plan.stages for plan in plans):
            return ()
        state = plan_state(plans, reviews, self._bench(request, directory, now))
        return state.counted if state.satisfied else None

    def require_may_review(
        self,
        request: AccessRequest,
        reviews: Sequence[Review],
        reviewer: Principal,
        verdict: Verdict,
        directory: Directory,
        now: Instant,
    ) -> None:
        """Refuse a review that policy does not let this person give now.

        Raises:
            LogLeaseError: with the code of policy's refusal.
        """
        bench = self._bench(request, directory, now)
        refusal = review_refusal(self.plans(request, directory, now), reviews, bench, reviewer, verdict)
        policy = self._policy(request.offer.policy)
        if refusal is None and policy is not None and verdict is Verdict.APPROVE:
            refusal = self._approver_refusal(policy, request, reviewer, directory, now)
        if refusal is not None:
            raise refused(refusal)

    def require_may_review_afterwards(
        self, request: AccessRequest, after_review: AfterReview, reviewer: Principal, directory: Directory, now: Instant
    ) -> None:
        """Refuse a verdict on an after-review that policy does not let this person give now.

        Raises:
            LogLeaseError: with the code of policy's refusal.
        """
        plans = after_review.plan.demanded(late=after_review.is_late(now))
        bench = self._bench(request, directory, now)
        refusal = review_refusal(plans, (), bench, reviewer, Verdict.DENY)
        if refusal is not None:
            raise refused(refusal)
        own = People(directory, self.bundle.approver_sets)
        if not own.counted(reviewer.persons).isdisjoint(own.counted(after_review.objectors())):
            raise errors.SamePerson(
                "You said that it was not justified; only somebody else can say that it was.",
                next_step="Ask another person who may do this after-review.",
            )

    def is_justified(
        self, request: AccessRequest, after_review: AfterReview, opinion: AfterOpinion, directory: Directory
    ) -> bool:
        """Say whether everybody who has to has called it justified, with one more opinion."""
        late = opinion.given_at >= after_review.due_at
        reviews = [_as_review(request, one) for one in (*after_review.counted, opinion)]
        bench = self._bench(request, directory, opinion.given_at)
        return plan_state(after_review.plan.demanded(late=late), reviews, bench).satisfied

    def _approver_refusal(
        self, policy: AccessPolicy, request: AccessRequest, reviewer: Principal, directory: Directory, now: Instant
    ) -> Refusal | None:
        """Return what the policy demands of whoever approves, where it does not hold."""
        requester = directory.principal(request.requester)
        if policy.approver_when is None or requester is None:
            return None
        questions = questions_for_review(self.bundle, policy, request.wish, requester=requester, reviewer=reviewer)
        known = {**self._facts(questions, requester, present_in(request), now), **self._own(APPROVER, reviewer, now)}
        return approver_refusal(
            policy, self.bundle, request.wish, requester, known, submitted_at=request.submitted_at, now=now
        )

    def names_of(
        self, request: AccessRequest, reviewer: Principal, directory: Directory, now: Instant
    ) -> tuple[str, ...]:
        """Return under which of the plans' names somebody reviews: what a verifier matches slots with."""
        people = self._bench(request, directory, now).people
        return tuple(name for name in self._names(request, reviewer, directory, now) if people.is_named(name, reviewer))

    def stands_for(
        self, request: AccessRequest, reviewer: Principal, directory: Directory, now: Instant
    ) -> Principal | None:
        """Return in whose place somebody reviews; None where they review in their own right."""
        people = self._bench(request, directory, now).people
        names = self._names(request, reviewer, directory, now)
        if any(people.is_named_itself(name, reviewer) for name in names):
            return None
        return next((one for name in names for one in people.stands_for(name, reviewer)), None)

    def lets_stand_in(self, one: Principal, members: Sequence[Principal], directory: Directory, now: Instant) -> bool:
        """Say whether some approver set lets one of its members, as they are to be, name this one."""
        changed = replace(directory, principals={**directory.principals, **{member.id: member for member in members}})
        people = People(changed, self.bundle.approver_sets, now=now)
        own = {member.id for member in members}
        sets = (f"approvers:{name}" for name in self.bundle.approver_sets)
        return any(member.id in own for name in sets for member in people.stands_for(name, one))

    def _names(self, request: AccessRequest, reviewer: Principal, directory: Directory, now: Instant) -> list[str]:
        """Return whom the plans ask for by now, those of escalations included."""
        bench = self._bench(request, directory, now)
        stages = [stage for plan in self.plans(request, directory, now) for stage in plan.stages]
        names = {name for stage in stages for block in stage.blocks for name in bench.names(block, reviewer)}
        due = (stage.escalate for stage in stages if stage.escalate and bench.waited_s >= stage.escalate.after_s)
        names |= {name for also in due for name in also.to}
        return sorted(names)

    def escalated_to(
        self, request: AccessRequest, stages: Iterable[Stage], directory: Directory
    ) -> frozenset[PrincipalId]:
        """Return whom the escalations of these stages mean now, whoever counts as the requester left out."""
        names = [name for stage in stages if stage.escalate is not None for name in stage.escalate.to]
        bench = self._bench(request, directory, request.submitted_at)
        return frozenset(one.id for one in bench.humans() if names and bench.people.may_approve(names, one))

    def still_allowed(
        self, point: Point, request: AccessRequest, terms: Terms, directory: Directory, now: Instant
    ) -> Allowed:
        """Decide again and return what may be granted: `terms`, cut by what the present policy still allows.

        Raises:
            PolicyDenied, GuardrailDenied: nothing of it is allowed any more.
            PolicyUndecided: nobody can tell at the moment.
        """
        again = self._again(point, request, directory, now)
        if again is None:
            raise errors.PolicyDenied("Whoever asked is no longer known.")
        if again.refusal is not None:
            raise refused(again.refusal)
        both = terms if again.terms is None else stricter_terms(terms, again.terms, self.profiles)
        if both is None:
            raise errors.PolicyDenied("The policy allows nothing of this any more.", rule=request.offer.policy)
        return Allowed(terms=both, network_bound=again.network_bound, pseudonyms=again.pseudonyms, ack=again.ack)

    def usable(self, request: AccessRequest, grant: Grant, directory: Directory, now: Instant) -> Grant:
        """Return an active grant as a session may use it now: its terms and its end, cut by the present policy.

        Where the present policy binds it to a network, it is bound. Whether the call is from there is not looked at.

        Raises:
            PolicyDenied, GuardrailDenied: nothing of it is allowed any more, or its time is over by now.
        """
        allowed = self.still_allowed(Point.SESSION_OPEN, request, grant.terms, directory, now)
        shape = replace(
            grant.shape,
            network_bound=grant.shape.network_bound or allowed.network_bound,
            pseudonyms=narrowest((grant.shape.pseudonyms, allowed.pseudonyms)),
            ack=strongest((grant.shape.ack, allowed.ack)),
        )
        found = replace(grant.within(allowed.terms), shape=shape)
        if found.stored_state_at(now) is not GrantState.ACTIVE:
            span = duration_text(found.terms.duration_s)
            raise errors.PolicyDenied(f"The policy allows this for {span} only by now.", rule=request.offer.policy)
        return found

    def keeps(self, grant: Grant) -> KeepRule | None:
        """Return what the policy of a grant wants to stay true while it is active; an emergency has none."""
        # A BreakGlass may have the name of a policy.
        policy = None if grant.basis is Outcome.BREAK_GLASS else self._policy(grant.policy)
        return None if policy is None else policy.grant.keep

    def keep_questions(self, request: AccessRequest, holder: Principal) -> tuple[Question, ...]:
        """Return what providers have to be asked before it is known whether that is still so."""
        return questions_again(self.bundle, request.offer.policy, request.wish, holder, Point.SESSION_OPEN)

    def keep_refusal(self, request: AccessRequest, holder: Principal, answers: Facts, now: Instant) -> Refusal | None:
        """Return what of it does not hold; None if all of it does."""
        policy = self._policy(request.offer.policy)
        if policy is None:
            return None
        known = {**present_in(request), **answers}
        return keep_refusal(
            policy, self.bundle, request.wish, holder, known, submitted_at=request.submitted_at, now=now
        )

    def _policy(self, policy_id: str) -> AccessPolicy | None:
        return next((one for one in self.bundle.policies if one.id == policy_id), None)

    def is_stricter(self, terms: Terms, before: Terms) -> bool:
        """Say whether these terms take away from those before."""
        both = stricter_terms(before, terms, self.profiles)
        return both is None or (set(both.scopes), both.duration_s, both.limits) != (
            set(before.scopes), before.duration_s, before.limits,
        )  # fmt: skip

    def cuts(self, request: AccessRequest) -> bool:
        """Say whether open sessions end at once when the policy of a request gives less than before."""
        policy = self._policy(request.offer.policy)
        return request.offer.shape.cut_on_change or (policy is not None and policy.grant.cut_on_change)

    def with_guardrails_of(self, other: Rules) -> Rules:
        """Return these policies under the guardrails and profiles of other rules."""
        return replace(other, bundle=replace(self.bundle, guardrails=other.bundle.guardrails))

    def _again(self, point: Point, request: AccessRequest, directory: Directory, now: Instant) -> Recheck | None:
        requester = directory.principal(request.requester)
        if requester is None:
            return None
        questions = questions_again(self.bundle, request.offer.policy, request.wish, requester, point)
        if self.recalls:
            known = {**facts_of(orjson.loads(request.facts)), **present_in(request)}
            facts: Facts = {key: replace(one, observed_at=now) for key, one in known.items()}
        else:
            facts = self._facts(questions, requester, present_in(request), now)
        return redecide(
            point,
            request.offer,
            self.bundle,
            request.wish,
            requester,
            directory=directory,
            now=now,
            submitted_at=request.submitted_at,
            profiles=self.profiles,
            facts=facts,
        )

    def _bench(self, request: AccessRequest, directory: Directory, now: Instant) -> Bench:
        requester = directory.principal(request.requester)
        manager = None if requester is None else requester.manager
        return Bench(
            people=People(directory, self.bundle.approver_sets, manager, now, request.submitted_at),
            requester=request.requester,
            excluded=request.persons,
            eligible=request.eligible,
            waited_s=max(0, now - request.submitted_at) // MICROSECONDS,
        )


def _as_review(request: AccessRequest, opinion: AfterOpinion) -> Review:
    return Review(
        id=opinion.id,
        request=request.id,
        reviewer=opinion.reviewer,
        person=opinion.person,
        verdict=Verdict.APPROVE,
        digest=request.digest,
        given_at=opinion.given_at,
        channel=opinion.channel,
    )


def present_in(request: AccessRequest) -> Facts:
    """Return what the requester's latest call said: that of the submit, or one under the request or its grant since."""
    known = {**facts_of(orjson.loads(request.facts)), **facts_of(orjson.loads(request.present or "[]"))}
    return {key: one for key, one in known.items() if one.provider in PRESENCE}
