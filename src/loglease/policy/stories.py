"""Plays what happens after the request of a policy test: reviews, first use, sessions, after-reviews, asking again.

It is the way that `access` goes with requests and grants, over people who are made up and a clock that steps set;
each answer comes from the same functions of this package.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from loglease.model.access_request import Wish
from loglease.model.after_review import AfterOpinion, AfterReview, AfterState, AfterVerdict, with_opinion
from loglease.model.errors import AlreadyReviewed
from loglease.model.ids import GrantId, PrincipalId, RequestId, ReviewId
from loglease.model.instant import MICROSECONDS, NANOSECONDS, EventWindow, Instant, after
from loglease.model.offer import Offer, Outcome, Plan, Terms
from loglease.model.principal import Directory, Principal
from loglease.model.review import Channel, Review, Verdict
from loglease.policy.bundle import Bundle
from loglease.policy.conditions.values import Value
from loglease.policy.decision import Point, decide
from loglease.policy.documents import AccessPolicy
from loglease.policy.fact_literals import supposed_facts
from loglease.policy.observed import Facts
from loglease.policy.people import People
from loglease.policy.plan import Bench, Refusal, eligible_reviewers, plan_state, review_refusal
from loglease.policy.profiles import Profiles
from loglease.policy.recheck import Recheck, redecide, stricter_terms
from loglease.policy.reviewing import approver_refusal, reading_later
from loglease.policy.steps import REFUSED, SERVED, Act, Standing, TestPerson, TestStep
from loglease.policy.supposed import made_up
from loglease.policy.trace import Decision

_REQUEST: Final = RequestId("")
_NOT_PENDING: Final = Refusal(code="request_not_pending", message="The request does not wait for reviews.")
_OWN: Final = Refusal(code="self_review", message="Nobody reviews their own request.")
_DENIED_ALREADY: Final = Refusal(code="already_reviewed", message="A denial cannot be taken back.")
_NO_GRANT: Final = Refusal(code="not_found", message="There is no grant.")
_OVER: Final = Refusal(code="grant_ended", message="The time of the grant is over.")
_NO_AFTER_REVIEW: Final = Refusal(code="not_found", message="There is no after-review.")
_SUFFICE: Final = Refusal(code="policy_denied", message="The approvals do not suffice any more.")
_TIME_IS_OVER: Final = Refusal(code="policy_denied", message="The policy allows this for a shorter time by now.")


@dataclass(frozen=True, slots=True)
class Later:
    """What a policy was asked after the request: of whoever reviews, or of a grant; and what it could read."""

    policy: AccessPolicy
    act: Act
    roots: Mapping[str, Value]


@dataclass(slots=True, kw_only=True)
class Story:
    """One request of a test and what becomes of it.

    Attributes:
        bundle: decides from the request on.
        wish: what was asked first.
        decision: on it.
        policy: whose offer is taken; None takes the first.
        people: everybody, as they are now.
        values: facts by name, as they are now.
        now: the instant of the request, moved on by each step.
        again: decisions on the same request at later steps.
        later: what was asked besides.
    """

    bundle: Bundle
    profiles: Profiles
    wish: Wish
    decision: Decision
    policy: str | None
    people: dict[str, TestPerson]
    values: dict[str, Value]
    now: Instant
    again: list[Decision] = field(init=False, default_factory=list)
    later: list[Later] = field(init=False, default_factory=list)
    _asked_at: Instant = field(init=False)
    _first_at: Instant = field(init=False)
    _asks: PrincipalId = field(init=False)
    _offer: Offer | None = field(init=False, default=None)
    _standing: Standing = field(init=False, default=Standing.NONE)
    _since: Instant = field(init=False, default=Instant(0))
    _used_at: Instant = field(init=False, default=Instant(0))
    _terms: Terms | None = field(init=False, default=None)
    _eligible: frozenset[PrincipalId] = field(init=False, default=frozenset())
    _reviews: list[Review] = field(init=False, default_factory=list)
    _after_reviews: list[AfterReview] = field(init=False, default_factory=list)
    _broken: list[tuple[str, Instant]] = field(init=False, default_factory=list)

    def __post_init__(self) -> None:
        self._asks = self.decision.principal.id
        self._first_at = self.now
        self._begin(self.decision, self.policy)

    def play(self, steps: tuple[TestStep, ...]) -> list[str]:
        """Play the steps and say where it first differs from what they want; nothing where it never does."""
        for number, step in enumerate(steps, start=1):
            got, refusal = self.step(step)
            why = f": {refusal.message}" if refusal is not None else self._whom_it_waits_for(got)
            place = f"step {number}, line {step.at.line}"
            if step.want is not None and got != step.want:
                return [f"{place}: want {step.want}, got {got}{why}"]
            code = code_of(refusal)
            if step.code not in (None, code):
                return [f"{place}: want code {step.code}, got {code}{why}"]
        return []

    def step(self, step: TestStep) -> tuple[str, Refusal | None]:
        """Play one step, and return what came of it, with the reason where that is a refusal."""
        self.now = after(self.now, step.after_s)
        self.people |= step.people
        self.values |= step.facts
        match step.act:
            case None:
                return self._stands(), None
            case Act.ACTIVATE:
                return self._activate()
            case Act.READ:
                return self._read()
            case Act.ASK:
                return self._ask()
            case _:
                return self._done_by(self._known(PrincipalId(step.by or "")), step.act)

    def _done_by(self, by: Principal, act: Act) -> tuple[str, Refusal | None]:
        """Play what somebody else than the requester does."""
        match act:
            case Act.APPROVE:
                return self._give(by, Verdict.APPROVE)
            case Act.DENY:
                return self._give(by, Verdict.DENY)
            case _:
                return self._look(by, AfterVerdict.JUSTIFIED if act is Act.JUSTIFY else AfterVerdict.NOT_JUSTIFIED)

    def _begin(self, decision: Decision, policy: str | None) -> None:
        """Take an offer of a decision, as somebody who submits the request does."""
        offers = decision.offers
        self._offer = decision.offer_of(policy) if policy is not None else next(iter(offers), None)
        self._asked_at = self._since = self.now
        self._standing, self._reviews, self._terms = Standing.NONE, [], None
        if self._offer is None:
            return
        self._terms = self._offer.terms
        self._eligible = eligible_reviewers(self._offer.plans, self._bench(None, self.now))
        if self._offer.outcome is Outcome.REVIEW:
            self._standing = Standing.WAITING
        elif self._offer.outcome is Outcome.AUTO:
            self._grant(Standing.APPROVED)
        else:
            self._broken.append((self._offer.policy, self.now))
            self._grant(Standing.ACTIVE)

    def _grant(self, standing: Standing) -> None:
        """Make the grant, and open the after-review that its offer asks for."""
        self._standing, self._since, self._used_at = standing, self.now, self.now
        plan = self._offer.after if self._offer is not None else None
        if self._offer is None or plan is None:
            return
        me, bench = self._requester(), self._bench(None, self.now)
        self._after_reviews.append(
            AfterReview(
                request=_REQUEST,
                grant=GrantId(""),
                basis=self._offer.outcome,
                policy=self._offer.policy,
                requester=me.id,
                person=me.person,
                persons=me.persons,
                plan=plan,
                eligible=eligible_reviewers(plan.demanded(late=False), bench),
                escalated=eligible_reviewers(plan.demanded(late=True), bench),
                opened_at=self.now,
                due_at=after(self.now, plan.within_s),
            )
        )

    def _stands(self) -> Standing:
        """Return where request and grant are by now: time ends all but what has ended."""
        if self._offer is None or self._terms is None:
            return Standing.NONE
        shape = self._offer.shape
        ends: Mapping[Standing, tuple[int, Standing]] = {
            Standing.WAITING: (shape.review_within_s, Standing.EXPIRED),
            Standing.APPROVED: (shape.activate_within_s, Standing.LAPSED),
            Standing.ACTIVE: (self._terms.duration_s, Standing.ENDED),
        }
        within_s, then = ends.get(self._standing, (0, self._standing))
        idle_s = shape.idle_timeout_s if self._standing is Standing.ACTIVE else None
        lies_idle = idle_s is not None and self.now >= after(self._used_at, idle_s)
        return then if lies_idle or self.now >= after(self._since, within_s) else self._standing

    def _give(self, by: Principal, verdict: Verdict) -> tuple[str, Refusal | None]:
        """Give a review; the same one again is the same review."""
        if self._offer is None:
            return REFUSED, _NOT_PENDING
        if by.id == self._asks:
            return REFUSED, _OWN
        mine = [one.verdict for one in self._reviews if one.reviewer == by.id]
        if verdict in mine:
            return self._decided(), None
        if Verdict.DENY in mine:
            return REFUSED, _DENIED_ALREADY
        if self._stands() is not Standing.WAITING:
            return REFUSED, _NOT_PENDING
        refusal = self._may_not_review(self._offer, by, verdict)
        if refusal is not None:
            return REFUSED, refusal
        return self._counted(self._offer, self._review(by, verdict))

    def _counted(self, offer: Offer, review: Review) -> tuple[str, Refusal | None]:
        """Count a review that may be given; with the last approval policy is decided again."""
        reviews = [*self._reviews, review]
        if review.verdict is Verdict.DENY:
            self._standing, self._reviews = Standing.DENIED, reviews
            return self._standing, None
        if plan_state(self._plans(offer), reviews, self._bench(self._eligible)).satisfied:
            again = self._again(offer, Point.FINAL_APPROVAL)
            if again.refusal is not None and again.refusal.for_now:
                return REFUSED, again.refusal
            if not self._cut_to(again):
                self._standing, self._reviews = Standing.DENIED, reviews
                return self._standing, again.refusal or _SUFFICE
            self._grant(Standing.APPROVED)
        self._reviews = reviews
        return self._standing, None

    def _decided(self) -> Standing:
        """Return where the request is, whatever became of its grant."""
        waits = self._standing in (Standing.WAITING, Standing.DENIED)
        return self._stands() if waits else Standing.APPROVED

    def _may_not_review(self, offer: Offer, by: Principal, verdict: Verdict) -> Refusal | None:
        refusal = review_refusal(self._plans(offer), self._reviews, self._bench(self._eligible), by, verdict)
        policy = self._policy()
        if refusal is not None or policy is None or verdict is Verdict.DENY:
            return refusal
        self._note(policy, Act.APPROVE)
        return approver_refusal(
            policy, self.bundle, self.wish, self._requester(), self._facts(), submitted_at=self._asked_at, now=self.now
        )

    def _activate(self) -> tuple[str, Refusal | None]:
        stands = self._stands()
        if stands is Standing.ACTIVE:
            return stands, None
        if stands is not Standing.APPROVED or self._offer is None:
            return REFUSED, _OVER if stands in (Standing.LAPSED, Standing.ENDED) else _NO_GRANT
        closed = self._closed() if self._offer.outcome is Outcome.AUTO else None
        if closed is not None:
            return REFUSED, Refusal(code="policy_denied", message=closed)
        plans = self._plans(self._offer)
        demanded = self._offer.outcome is Outcome.REVIEW or any(one.stages for one in plans)
        if demanded and not plan_state(plans, self._reviews, self._bench(self._eligible)).satisfied:
            return REFUSED, _SUFFICE
        again = self._again(self._offer, Point.ACTIVATION)
        if not self._cut_to(again):
            return REFUSED, again.refusal or _SUFFICE
        self._standing, self._since, self._used_at = Standing.ACTIVE, self.now, self.now
        return Standing.ACTIVE, None

    def _read(self) -> tuple[str, Refusal | None]:
        """Open a session and close it; the first one starts an approved grant."""
        got, refusal = self._activate()
        if got is REFUSED or self._offer is None or self._terms is None:
            return REFUSED, refusal
        policy = self._policy()
        if policy is not None:
            self._note(policy, Act.READ)
        again = self._again(self._offer, Point.SESSION_OPEN)
        terms = None if again.terms is None else stricter_terms(self._terms, again.terms, self.profiles)
        if terms is None:
            return REFUSED, again.refusal or _SUFFICE
        if self.now >= after(self._since, terms.duration_s):
            return REFUSED, _TIME_IS_OVER
        self._used_at = self.now
        if self._offer.shape.single_use:
            self._standing = Standing.ENDED
        return SERVED, None

    def _ask(self) -> tuple[str, Refusal | None]:
        """Ask for the same once more, its windows moved on with the clock; steps are about that from now on."""
        passed = (self.now - self._first_at) * (NANOSECONDS // MICROSECONDS)
        wish = replace(
            self.wish,
            scopes=tuple(replace(one, window=_moved(one.window, passed)) for one in self.decision.wish.scopes),
        )
        found = decide(
            self.bundle,
            wish,
            self._requester(),
            directory=self._directory(),
            now=self.now,
            profiles=self.profiles,
            facts=supposed_facts(self.bundle, wish, self.values, self.now),
            closed=self._closed(),
        )
        self.wish = wish
        self.again.append(found)
        self._begin(found, None)
        return ("deny", found.refusal) if self._offer is None else (self._offer.outcome, None)

    def _policy(self) -> AccessPolicy | None:
        """Return the policy of the offer, as it is now; None where it is gone or no AccessPolicy."""
        return next((one for one in self.bundle.policies if self._offer and one.id == self._offer.policy), None)

    def _note(self, policy: AccessPolicy, act: Act) -> None:
        reading = reading_later(
            policy, self.bundle, self.wish, self._requester(), self._facts(), submitted_at=self._asked_at, now=self.now
        )
        self.later.append(Later(policy, act, reading.roots))

    def _look(self, by: Principal, verdict: AfterVerdict) -> tuple[str, Refusal | None]:
        """Give a verdict on the first after-review that is not justified."""
        open_ = (one for one in self._after_reviews if one.state is not AfterState.JUSTIFIED)
        found = next(open_, None)
        if found is None:
            return REFUSED, _NO_AFTER_REVIEW
        last = [(one.reviewer, one.verdict) for one in found.opinions[-1:]]
        if last == [(by.id, verdict)] and by.id != self._asks:
            return found.state, None
        late = found.is_late(self.now)
        plans, bench = found.plan.demanded(late=late), self._bench(found.escalated if late else found.eligible)
        refusal = review_refusal(plans, (), bench, by, Verdict.DENY)
        if refusal is None and by.person in found.objectors():
            refusal = Refusal(code="same_person", message="Only somebody else can say that it was justified.")
        if refusal is not None:
            return REFUSED, refusal
        opinion = AfterOpinion(
            id=ReviewId(""), reviewer=by.id, person=by.person, verdict=verdict, given_at=self.now, channel=Channel.API
        )
        reviews = [self._review(self._known(one.reviewer), Verdict.APPROVE) for one in (*found.counted, opinion)]
        try:
            done = with_opinion(found, opinion, completes=plan_state(plans, reviews, bench).satisfied)
        except AlreadyReviewed as error:
            return REFUSED, Refusal(code=error.code, message=str(error))
        self._after_reviews[self._after_reviews.index(found)] = done
        return done.state, None

    def _closed(self) -> str | None:
        """Say why nothing is given without a review for now."""
        if any(one.closes(self.now) is not None for one in self._after_reviews):
            return "an after-review is late, or says that it was not justified"
        for document in self.bundle.emergencies:
            since = self.now - document.rate.window_s * MICROSECONDS
            if sum(policy == document.id and at > since for policy, at in self._broken) >= document.rate.per_person:
                return f"{document.id} lets nobody break the glass more often"
        return None

    def _cut_to(self, again: Recheck) -> bool:
        """Keep what is still allowed of the terms; say whether that is something."""
        if again.refusal is not None or again.terms is None or self._terms is None:
            return False
        both = stricter_terms(self._terms, again.terms, self.profiles)
        self._terms = both or self._terms
        return both is not None

    def _plans(self, offer: Offer) -> tuple[Plan, ...]:
        again = self._again(offer, Point.FINAL_APPROVAL)
        return offer.plans if again.refusal is not None else again.plans

    def _again(self, offer: Offer, point: Point) -> Recheck:
        return redecide(
            point,
            offer,
            self.bundle,
            self.wish,
            self._requester(),
            directory=self._directory(),
            now=self.now,
            submitted_at=self._asked_at,
            profiles=self.profiles,
            facts=self._facts(),
        )

    def _facts(self) -> Facts:
        return supposed_facts(self.bundle, self.wish, self.values, self.now)

    def _bench(self, eligible: frozenset[PrincipalId] | None, named_by: Instant | None = None) -> Bench:
        me = self._requester()
        return Bench(
            people=People(
                self._directory(), self.bundle.approver_sets, me.manager, self.now, named_by or self._asked_at
            ),
            requester=me.id,
            excluded=me.persons,
            eligible=eligible,
            waited_s=(self.now - self._asked_at) // MICROSECONDS,
        )

    def _review(self, by: Principal, verdict: Verdict) -> Review:
        return Review(
            id=ReviewId(by.id),
            request=_REQUEST,
            reviewer=by.id,
            person=by.person,
            verdict=verdict,
            digest="",
            given_at=self.now,
            channel=Channel.API,
            on_call=self._directory().rotas_of(by.id),
        )

    def _requester(self) -> Principal:
        return self._known(self._asks)

    def _known(self, principal: PrincipalId) -> Principal:
        return self._directory().principals[principal]

    def _directory(self) -> Directory:
        return made_up(self.people.values())

    def _whom_it_waits_for(self, got: str) -> str:
        if self._offer is None or got != Standing.WAITING:
            return ""
        waiting = plan_state(self._plans(self._offer), self._reviews, self._bench(self._eligible)).waiting
        return "".join(f": {one.missing} of {', '.join(one.approvers)}" for one in waiting[:1])


def code_of(refusal: Refusal | None) -> str:
    """Return the code of the problem that a server answers with."""
    if refusal is None:
        return "none"
    return "policy_undecided" if refusal.for_now else refusal.code


def _moved(window: EventWindow, nanoseconds: int) -> EventWindow:
    end = None if window.end_ns is None else window.end_ns + nanoseconds
    return EventWindow(window.start_ns + nanoseconds, end)
