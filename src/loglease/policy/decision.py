"""The decision: which offers a bundle makes to a wish, or why it makes none. A pure function of its arguments.

Guardrails come first and only tighten; then each policy answers for itself. Several matching policies give several
offers, never a merge. The trace keeps what each step found, for `explain`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import cached_property
from typing import Final, NamedTuple

from loglease.model.access_request import Wish
from loglease.model.ack import strongest
from loglease.model.instant import Instant, duration_text
from loglease.model.key_scope import KeyScope, narrowest
from loglease.model.limits import Limits
from loglease.model.offer import AfterPlan, Offer, Outcome, Plan, Shape, Stage, Terms, need_of
from loglease.model.principal import Directory, Kind, Principal
from loglease.policy import routes
from loglease.policy.asking import Reading, ask_steps, ask_values, keep_steps, route_steps, when_steps
from loglease.policy.bans import bans_of, expired, guardrail_trace
from loglease.policy.bundle import Bundle
from loglease.policy.documents import AccessPolicy, Guardrail, Route, Tightening, Who
from loglease.policy.entries import Entries
from loglease.policy.extending import extend_rule, extend_steps
from loglease.policy.index import PolicyIndex
from loglease.policy.observed import NOTHING_KNOWN, Facts
from loglease.policy.people import People
from loglease.policy.plan import Bench, plans_words, unsatisfiable
from loglease.policy.profile_choice import UNCOUNTABLE, Demands, is_raw, wanted_profiles
from loglease.policy.profiles import RAW, Profiles
from loglease.policy.remedies import Tried
from loglease.policy.reveal_answer import reveal_step
from loglease.policy.roots import LateRoots
from loglease.policy.trace import Decision, Fix, GuardrailTrace, PolicyTrace, Step, StepName

MAX_OFFERS: Final = 20
_FITS: Final = Step(StepName.WHO, ok=True, text="")
_SEATED: Final = Step(StepName.PLAN, ok=True, text="")
"""A yes whose words nobody reads."""


class Point(StrEnum):
    """Where a decision is made; later points leave out what was settled before, a draft what it may still lack."""

    DRAFT = "draft"
    SUBMIT = "submit"
    FINAL_APPROVAL = "final_approval"
    ACTIVATION = "activation"
    SESSION_OPEN = "session_open"


_ABOUT: Final = (StepName.WHO, StepName.SCOPE, StepName.REVEAL, StepName.EXTEND)
_WITH_CLAIMS: Final = frozenset({Point.SUBMIT, Point.FINAL_APPROVAL, Point.ACTIVATION})
"""Where reason, ticket and inputs are looked at."""


@dataclass(frozen=True, kw_only=True)
class _Asked:
    """The subject of one decision, and what all policies have in common, found out once, and only if it is needed.

    Attributes:
        tells: the answers are to be explained, not only decided by.
        meant: what is known already of whether the principal is among those whom a `who` means.
        seated: the stages of which is known already that there are people for them, with how many it takes.
    """

    bundle: Bundle
    wish: Wish
    principal: Principal
    directory: Directory
    submitted_at: Instant
    now: Instant
    profiles: Profiles
    point: Point
    known: Facts
    route: int | None
    closed: str | None
    tells: bool = False
    meant: dict[int, tuple[Who, bool]] = field(init=False, default_factory=dict)
    seated: dict[int, tuple[tuple[Stage, ...], int]] = field(init=False, default_factory=dict)

    @cached_property
    def people(self) -> People:
        """The directory as the policies see it."""
        return People(self.directory, self.bundle.approver_sets, self.principal.manager, self.now)

    @cached_property
    def bench(self) -> Bench:
        """Who could review."""
        return Bench(people=self.people, requester=self.principal.id, excluded=self.principal.persons)

    @cached_property
    def late(self) -> LateRoots:
        """What the conditions of all policies may read."""
        return LateRoots(self.bundle, self.wish, self.principal, self.known, self.submitted_at, self.now)

    @cached_property
    def reading(self) -> Reading:
        """What the conditions are asked against of a policy that asks for nothing of its own."""
        return Reading(self.bundle, self.late.read(), self.known, self.now, self.tells)

    @cached_property
    def guardrails(self) -> tuple[GuardrailTrace, ...]:
        """What each guardrail says."""
        return tuple([guardrail_trace(one, self.wish, self.late.read) for one in self.bundle.guardrails])

    @cached_property
    def rails(self) -> tuple[Guardrail, ...]:
        """The guardrails that apply and are enforced."""
        return tuple([one.guardrail for one in self.guardrails if one.applies and one.guardrail.enforced])

    @cached_property
    def demands(self) -> Demands:
        """The profiles that the wish and the guardrails demand."""
        floors = tuple([one.at_least for one in self.rails if one.at_least is not None])
        return Demands(self.profiles, wanted_profiles(self.wish), floors)

    @cached_property
    def entries(self) -> Entries:
        """Which entries of policies hold the scopes."""
        return Entries(self.wish, self.submitted_at)

    @cached_property
    def bans(self) -> list[Step]:
        """What stands in the way of any offer."""
        expires = self.bundle.expires
        # Nothing new under a bundle whose time is over; grants that are active are read to their end.
        is_over = expires is not None and self.now >= expires and self.point is not Point.SESSION_OPEN
        over = [expired(expires)] if expires is not None and is_over else []
        return [*over, *bans_of(self.rails, self.wish, self.submitted_at, lambda: self.reading)]


def decide(
    bundle: Bundle,
    wish: Wish,
    principal: Principal,
    *,
    directory: Directory,
    now: Instant,
    profiles: Profiles,
    facts: Facts = NOTHING_KNOWN,
    submitted_at: Instant | None = None,
    point: Point = Point.SUBMIT,
    route: int | None = None,
    closed: str | None = None,
) -> Decision:
    """Decide on a wish, real or hypothetical.

    Policies answer an ordinary wish, BreakGlass documents one that says it is an emergency; never both.

    Args:
        bundle: the policy; one with no policies denies everything.
        wish: what is asked; its windows are absolute.
        principal: who asks, as of now.
        directory: everybody, as of now.
        now: the instant of the decision.
        profiles: the redaction profiles of this server; a policy whose profile is not among them offers nothing.
        facts: what providers and the call say; what is not among them is in fault.
        submitted_at: when the wish was submitted, from where lookbacks count; now where it is new. Those of a reveal
            count from the request of the grant that it is about.
        point: where in the life of the request the decision is made.
        route: number of the route that a grant came by, for a session of that grant.
        closed: why nothing is given to this person without a review, in words for them; None where that is not so.
    """
    asked = _Asked(
        bundle=bundle,
        wish=wish,
        principal=principal,
        directory=directory,
        submitted_at=wish.reveal.asked_at if wish.reveal is not None else submitted_at or now,
        now=now,
        profiles=profiles,
        point=point,
        known=facts,
        route=route,
        closed=closed if wish.reveal is None else None,  # routes do not apply to reveals
    )
    index = bundle.index_for(wish)

    def answers(policies: Iterable[AccessPolicy] | None) -> tuple[PolicyTrace, ...]:
        return _answers(replace(asked, tells=True), index.policies if policies is None else policies)

    def tried(other: Wish, among: Bundle) -> Decision:
        """Decide on what might be offered instead; a draft may lack reason, ticket and approvers."""
        return decide(
            among, other, principal, directory=directory, now=now, profiles=profiles, facts=facts, point=Point.DRAFT,
            closed=closed,
        )  # fmt: skip

    return Decision(
        bundle_sha256=bundle.hash,
        revision=bundle.revision,
        decided_at=now,
        principal=principal,
        wish=wish,
        offers=_offers(asked, index),
        guardrails=asked.guardrails,
        facts=facts,
        read=asked.late.read,
        bans=tuple(asked.bans),
        asked=index.policies,
        named=lambda: index.for_principal(principal),
        answers=answers,
        remedies=Tried(bundle, tried) if point is Point.SUBMIT and wish.reveal is None else None,
    )


def _offers(asked: _Asked, index: PolicyIndex) -> tuple[Offer, ...]:
    """Return the offers of all policies that have one, in their order; what overlaps an exclusive one is left to it."""
    if asked.bans:
        return ()
    is_left = bool(_exclusive(asked))
    drafts = [
        draft
        for policy in index.near(asked.principal, asked.wish.scopes)
        if (policy.exclusive or not is_left) and (draft := _draft(policy, asked)) is not None
    ]
    drafts.sort()
    return tuple([_offer(draft, number, asked) for number, draft in enumerate(drafts[:MAX_OFFERS], 1)])


def _exclusive(asked: _Asked) -> list[AccessPolicy]:
    """Return the exclusive policies that the wish overlaps."""
    return [one for one in asked.bundle.index_for(asked.wish).exclusive if _overlaps(one, asked.wish)]


def _answers(asked: _Asked, policies: Iterable[AccessPolicy]) -> tuple[PolicyTrace, ...]:
    """Ask policies; what overlaps an exclusive one is left to exclusive ones."""
    exclusive = _exclusive(asked)
    traces = []
    for policy in policies:
        trace = _answer(policy, asked)
        if exclusive and not policy.exclusive:
            titles = ", ".join(one.title for one in exclusive)
            step = Step(StepName.EXCLUSIVE, ok=False, text=f"left to: {titles}", fix=Fix.NARROW)
            trace = replace(trace, offer=None, steps=(*trace.steps, step))
        traces.append(trace)
    return tuple(traces)


def _overlaps(policy: AccessPolicy, wish: Wish) -> bool:
    return any(
        scope.source in rule.sources and rule.selector.overlaps(scope.selector)
        for rule in policy.scopes
        for scope in wish.scopes
    )


class _Way(NamedTuple):
    """How a policy would answer: the route, what is read on it, the profile, and who has to approve."""

    policy: AccessPolicy
    reading: Reading
    taken: routes.Taken
    route: Route
    profile: str | None
    profile_step: Step
    plans: tuple[Plan, ...]
    after: AfterPlan | None


class _Draft(NamedTuple):
    """What is offered, before it is written out; drafts are in the order of offers."""

    need: int
    shorter_by: int
    policy: str
    way: _Way
    profile: str


def _way(policy: AccessPolicy, asked: _Asked) -> _Way:
    reading = _reading(policy, asked)
    taken = routes.taken_route(policy, reading.roots, closed=asked.closed)
    route = taken.route
    if asked.point is Point.SESSION_OPEN:
        # That another route would be taken by now changes nothing; what its own one became does.
        none = replace(route, grant=Tightening())
        route = none if asked.route is None else routes.granted_route(policy, asked.route)
    profile, step = asked.demands.chosen(policy.grant.redaction, route.grant.redaction)
    if profile is not None and is_raw(profile) and _limits(policy, route, asked).subjects is not None:
        profile, step = UNCOUNTABLE
    plans = _plans(policy, taken, asked)
    after = routes.after_plan(policy, route, asked.rails, plans)
    return _Way(policy, reading, taken, route, profile, step, plans, after)


def _questions(way: _Way, asked: _Asked) -> Iterator[Step]:
    """Yield the answers of a policy to all that decides whether it makes an offer: it does if there is no no."""
    policy, reading = way.policy, way.reading
    yield from asked.bans
    about = [_who(policy, asked), asked.entries.step(policy, tells=asked.tells)]
    yield from about
    yield way.profile_step
    if asked.point in _WITH_CLAIMS:
        yield from ask_steps(policy, asked.wish, reading)
    if asked.point is Point.SESSION_OPEN:
        yield from keep_steps(policy, reading)
    else:
        yield from when_steps(policy, reading)
        yield from routes.standing_steps(policy, way.taken)
    of_grant = [] if asked.wish.reveal is None else [reveal_step(policy, asked.wish.reveal)]
    of_grant += extend_steps(policy, way.route, asked.wish)
    about += of_grant
    yield from of_grant
    if asked.point is Point.SUBMIT and all(step.ok for step in about):
        yield _plan_step(way, asked)


def _draft(policy: AccessPolicy, asked: _Asked) -> _Draft | None:
    """Ask one policy for its offer; the first no is its last word. `_answer` asks the same questions to the end."""
    way = _way(policy, asked)
    if way.profile is None:
        return None
    for step in _questions(way, asked):
        if not step.ok:
            return None
    duration_s, _ = _duration(policy, way.route, asked)
    return _Draft(_need(way.plans, asked), -duration_s, policy.id, way, way.profile)


def _need(plans: tuple[Plan, ...], asked: _Asked) -> int:
    """Return how many approvals can suffice."""
    if len(plans) == 1 and (known := asked.seated.get(id(plans[0].stages))) is not None:
        return known[1]
    return need_of(plans)


def _answer(policy: AccessPolicy, asked: _Asked) -> PolicyTrace:
    """Ask one policy for its offer, and keep all that it says."""
    way = _way(policy, asked)
    steps = list(_questions(way, asked))
    is_candidate = all(step.ok for step in steps if step.name in _ABOUT)
    offer, duration = None, _duration(policy, way.route, asked)
    if all(step.ok for step in steps):
        draft = _draft(policy, asked)
        offer = None if draft is None else _offer(draft, 1, asked)
    if offer is not None or (is_candidate and asked.wish.reveal is None):
        steps.append(Step(StepName.SHAPE, ok=True, text=duration[1]))  # what it is, or would be
    refusal = next((step.refusal for step in steps if step.refusal is not None), None)
    choice = asked.wish.reveal is None and len(policy.routes) > 1
    return PolicyTrace(
        policy=policy,
        steps=tuple(steps),
        offer=offer,
        refusal=refusal,
        roots=way.reading.roots,
        routes=tuple(route_steps(policy, way.taken.route, way.reading)) if choice else (),
    )


def _reading(policy: AccessPolicy, asked: _Asked) -> Reading:
    """Return what the conditions of a policy may read: what those of all may, and the claims that it asks for."""
    if not policy.ask.inputs:
        return asked.reading
    return replace(asked.reading, roots={**asked.reading.roots, "ask": ask_values(policy.ask, asked.wish)})


def _who(policy: AccessPolicy, asked: _Asked) -> Step:
    known = asked.meant.get(id(policy.who))
    if known is None:
        known = asked.meant[id(policy.who)] = (policy.who, asked.people.fits(policy.who, asked.principal))
    if not known[1]:
        return Step(StepName.WHO, ok=False, text="is not for this principal", fix=Fix.ASK_OWNER)
    sees_values = policy.grant.redaction.partition("@")[0] == RAW or asked.wish.reveal is not None
    if asked.principal.kind is not Kind.HUMAN and sees_values:
        name = f"{asked.principal.kind}:{asked.principal.account}"
        if name not in policy.who.any_of:
            return Step(StepName.WHO, ok=False, text="unmasked values need the policy to name this very principal")
    if not asked.tells:
        return _FITS
    named = [name for name in policy.who.any_of if asked.people.is_named(name, asked.principal)]
    return Step(StepName.WHO, ok=True, text=", ".join(named))


def _plans(policy: AccessPolicy, taken: routes.Taken, asked: _Asked) -> tuple[Plan, ...]:
    """Return the plans of the route, or of a reveal, and one for each guardrail that demands a stage."""
    rule = policy.grant.reveal if asked.wish.reveal is not None else None
    own = (taken.route.stages, *taken.also) if rule is None else (rule.stages,)
    found = [Plan(policy.id, stages) for stages in own]
    if not asked.wish.break_glass:
        found += [Plan(rail.id, (rail.require,)) for rail in asked.rails if rail.require is not None]
    return tuple(found)


def _plan_step(way: _Way, asked: _Asked) -> Step:
    after = way.after
    for plan in way.plans if after is None else after.demanded(late=True):
        if id(plan.stages) in asked.seated:
            continue
        refusal = unsatisfiable(plan, asked.bench)
        if refusal is not None:
            return Step(StepName.PLAN, ok=False, text=refusal.message, fix=Fix.ASK_OWNER, refusal=refusal)
        asked.seated[id(plan.stages)] = (plan.stages, plan.need)  # kept, so that nothing else gets this place
    if not asked.tells:
        return _SEATED
    if after is not None:
        return Step(StepName.PLAN, ok=True, text=f"looked at afterwards, within {duration_text(after.within_s)}")
    return Step(StepName.PLAN, ok=True, text=plans_words(way.plans))


def _offer(draft: _Draft, number: int, asked: _Asked) -> Offer:
    """Shape the grant: the minimum of what policy, route, guardrails and wish say."""
    chosen, reveal = draft.way, asked.wish.reveal
    policy, route, plans = chosen.policy, chosen.route, chosen.plans
    scopes = asked.demands.scopes(asked.wish, draft.profile)
    idle = [one for one in (policy.grant.idle_timeout_s, route.grant.idle_timeout_s) if one is not None]
    shape = Shape(
        activate_within_s=min(
            policy.grant.activate_within_s, route.grant.activate_within_s or policy.grant.activate_within_s
        ),
        review_within_s=policy.pending_max_s,
        single_use=policy.grant.single_use or route.grant.single_use or reveal is not None,
        idle_timeout_s=min(idle, default=None) if reveal is None else None,
        cut_on_change=policy.grant.cut_on_change,
        network_bound=_is_bound(policy, route, asked),
        pseudonyms=_pseudonyms(policy, route, asked) if reveal is None else KeyScope.GRANT,
        ack=strongest((policy.grant.ack, route.grant.ack, *(rail.ack for rail in asked.rails))),
        extend=extend_rule(policy, route) if reveal is None else None,
    )
    outcome = Outcome.REVIEW if any(plan.stages for plan in plans) else Outcome.AUTO
    way = f"route {route.number}" if reveal is None else "reveal"
    if asked.wish.break_glass:
        outcome, way = Outcome.BREAK_GLASS, "break-glass"
    notify = _notified(route if reveal is None else None, asked)
    return Offer(
        number=number,
        policy=policy.id,
        rule=f"{policy.title}, {way}",
        outcome=outcome,
        plans=plans,
        terms=Terms(scopes=scopes, duration_s=-draft.shorter_by, limits=_limits(policy, route, asked)),
        shape=shape,
        bundle_sha256=asked.bundle.hash,
        revision=asked.bundle.revision,
        route=route.number if reveal is None else None,
        notify=_told(notify, policy, asked) if asked.wish.break_glass else notify,
        after=chosen.after,
    )


def _pseudonyms(policy: AccessPolicy, route: Route, asked: _Asked) -> KeyScope:
    """Return how far pseudonyms reach: nobody lets them reach farther than anybody else does."""
    own = policy.grant.pseudonyms
    if own is KeyScope.GRANT:
        return own
    return narrowest((own, route.grant.pseudonyms, *(rail.pseudonyms for rail in asked.rails)))


def _limits(policy: AccessPolicy, route: Route, asked: _Asked) -> Limits:
    """Return the smallest budgets that anybody sets."""
    limits = policy.grant.limits.tightest(route.grant.limits).tightest(asked.wish.limits)
    for rail in asked.rails:
        limits = limits.tightest(rail.caps.limits)
    return limits


def _is_bound(policy: AccessPolicy, route: Route, asked: _Asked) -> bool:
    """Say whether anything binds the grant to the network that it is asked from: bindings only add up."""
    return policy.grant.network_bound or route.grant.network_bound or any(rail.network_bound for rail in asked.rails)


def _told(notify: tuple[str, ...], policy: AccessPolicy, asked: _Asked) -> tuple[str, ...]:
    """Return whom an emergency tells besides."""
    emergency = asked.bundle.emergency(policy.id)
    return notify if emergency is None else tuple(sorted({*notify, *emergency.notify}))


def _notified(route: Route | None, asked: _Asked) -> tuple[str, ...]:
    """Return who is told of the grant: whom the route names, and each guardrail that applies."""
    if not asked.rails and (route is None or not route.notify):
        return ()
    named = [() if route is None else route.notify or (), *(rail.notify or () for rail in asked.rails)]
    return tuple(sorted({name for names in named for name in names}))


def _duration(policy: AccessPolicy, route: Route, asked: _Asked) -> tuple[int, str]:
    wanted, usual = asked.wish.duration_s, policy.grant.default_s
    bounds = [(policy.grant.max_s, "limit of the policy")]
    if asked.wish.extends is not None and (rule := extend_rule(policy, route)) is not None:
        usual = rule.by_s
        bounds.append((usual, "limit of an extension"))
    if route.grant.max_s is not None:
        bounds.append((route.grant.max_s, f"limit of route {route.number}"))
    bounds += [(one.caps.duration_s, f"limit of {one.id}") for one in asked.rails if one.caps.duration_s is not None]
    most, whose = min(bounds, key=lambda bound: bound[0])
    granted = wanted or usual
    if granted <= most:
        return granted, duration_text(granted) if asked.tells else ""
    return most, f"{duration_text(most)} ({f'asked {duration_text(wanted)}, ' if wanted else ''}{whose})"
