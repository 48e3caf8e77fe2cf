"""The decision: which offers a bundle makes to a wish, or why it makes none. A pure function of its arguments.

Guardrails come first and only tighten; then each policy answers for itself. Several matching policies give several
offers, never a merge. The trace keeps what each step found, for `explain`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final

from loglease.model.access_request import Wish
from loglease.model.instant import NANOSECONDS, EventWindow, Instant, duration_text, instant_text
from loglease.model.offer import AfterPlan, Offer, Outcome, Plan, Shape, Terms
from loglease.model.principal import Directory, Kind, Principal
from loglease.model.reveal import is_class_among
from loglease.model.scope import Scope
from loglease.policy import routes
from loglease.policy.asking import Reading, ask_steps, ask_values, keep_steps, rail_fix, route_steps, when_steps
from loglease.policy.bundle import Bundle
from loglease.policy.conditions.values import Value
from loglease.policy.documents import AccessPolicy, BreakGlass, Guardrail, Route, ScopeRule, Tightening
from loglease.policy.observed import NOTHING_KNOWN, Facts
from loglease.policy.people import People
from loglease.policy.plan import Bench, Refusal, plans_words, unsatisfiable
from loglease.policy.profiles import RAW, Profiles, is_as_strict, known_profile, strictest
from loglease.policy.remedies import Tried
from loglease.policy.roots import roots_of
from loglease.policy.trace import EXPIRED, Decision, Fix, GuardrailTrace, PolicyTrace, Step, StepName

MAX_OFFERS: Final = 20


class Point(StrEnum):
    """Where a decision is made; later points leave out what was settled before, a draft what it may still lack."""

    DRAFT = "draft"
    SUBMIT = "submit"
    FINAL_APPROVAL = "final_approval"
    ACTIVATION = "activation"
    SESSION_OPEN = "session_open"


@dataclass(frozen=True, slots=True)
class _Asked:
    """The subject of one decision, and what the guardrails make of it.

    Attributes:
        inside: what is known already of policies that the wish lies inside of, by their ids.
        tells: the answers are to be explained, not only decided by.
    """

    bundle: Bundle
    wish: Wish
    principal: Principal
    people: People
    bench: Bench
    submitted_at: Instant
    now: Instant
    profiles: Profiles
    point: Point
    roots: Mapping[str, Value]
    known: Facts
    route: int | None = None
    rails: tuple[Guardrail, ...] = ()
    closed: str | None = None
    inside: Mapping[str, Step] = field(default_factory=dict)
    tells: bool = False


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
    counted_from = wish.reveal.asked_at if wish.reveal is not None else submitted_at or now
    asked = _asked(bundle, wish, principal, directory, counted_from, now, profiles, facts, point)
    rails = tuple(_guardrail(one, asked) for one in bundle.guardrails)
    index = bundle.index_for(wish)
    near = index.candidates(principal, {scope.source for scope in wish.scopes})
    inside = {one.id: step for one in near if (step := _scope(one, asked)).ok}
    asked = replace(
        asked,
        route=route,
        closed=closed if wish.reveal is None else None,  # routes do not apply to reveals
        rails=tuple(one.guardrail for one in rails if one.applies and one.guardrail.enforced),
        inside=inside,
    )
    candidates = [one for one in near if one.id in inside]
    offers = _numbered([one.offer for one in _answers(asked, candidates) if one.offer is not None])

    def tried(other: Wish, among: Bundle) -> Decision:
        """Decide on what might be offered instead; a draft may lack reason, ticket and approvers."""
        return decide(
            among, other, principal, directory=directory, now=now, profiles=profiles, facts=facts, point=Point.DRAFT,
            closed=closed,
        )  # fmt: skip

    told = replace(asked, tells=True)
    return Decision(
        bundle_sha256=bundle.hash,
        revision=bundle.revision,
        decided_at=now,
        principal=principal,
        wish=wish,
        offers=offers,
        guardrails=rails,
        facts=facts,
        roots=asked.roots,
        bans=tuple(_rails(asked)),
        named=index.for_principal(principal),
        answers=lambda policies: _answers(told, index.policies if policies is None else policies),
        remedies=Tried(bundle, tried) if point is Point.SUBMIT and wish.reveal is None else None,
    )


def _asked(
    bundle: Bundle,
    wish: Wish,
    principal: Principal,
    directory: Directory,
    at: Instant,
    now: Instant,
    profiles: Profiles,
    facts: Facts,
    point: Point,
) -> _Asked:
    people = People(directory, bundle.approver_sets, principal.manager, now)
    bench = Bench(people=people, requester=principal.id, excluded=principal.persons)
    roots = roots_of(bundle, wish, principal, facts, submitted_at=at, now=now)
    return _Asked(bundle, wish, principal, people, bench, at, now, profiles, point, roots, facts)


def _numbered(offers: list[Offer]) -> tuple[Offer, ...]:
    ordered = sorted(offers, key=lambda one: (one.need, -one.terms.duration_s, one.policy))
    return tuple(one.numbered(number) for number, one in enumerate(ordered[:MAX_OFFERS], 1))


def _guardrail(guardrail: Guardrail, asked: _Asked) -> GuardrailTrace:
    overlaps = any(
        (guardrail.applies.sources is None or scope.source in guardrail.applies.sources)
        and guardrail.applies.selector.overlaps(scope.selector)
        for scope in asked.wish.scopes
    )
    is_about = overlaps and (guardrail.even_break_glass or not asked.wish.break_glass)
    applies = is_about and routes.applies(guardrail, asked.roots)
    return GuardrailTrace(guardrail=guardrail, applies=applies, overlaps=is_about, roots=asked.roots)


def _answers(asked: _Asked, policies: Iterable[AccessPolicy]) -> tuple[PolicyTrace, ...]:
    """Ask policies; what overlaps an exclusive one is left to exclusive ones."""
    exclusive = [one for one in asked.bundle.index_for(asked.wish).exclusive if _overlaps(one, asked.wish)]
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


def _answer(policy: AccessPolicy, asked: _Asked) -> PolicyTrace:
    """Ask one policy for its offer."""
    reading = _reading(policy, asked)
    taken = routes.taken_route(policy, reading.roots, closed=asked.closed)
    route = taken.route
    if asked.point is Point.SESSION_OPEN:
        # That another route would be taken by now changes nothing; what its own one became does.
        none = replace(route, grant=Tightening())
        route = none if asked.route is None else routes.granted_route(policy, asked.route)
    profile, profile_step = _profile(policy, route, asked)
    steps = [*_rails(asked), _who(policy, asked), asked.inside.get(policy.id) or _scope(policy, asked)]
    steps.append(profile_step)
    if asked.point in (Point.SUBMIT, Point.FINAL_APPROVAL, Point.ACTIVATION):
        steps += ask_steps(policy, asked.wish, reading)
    if asked.point is Point.SESSION_OPEN:
        steps += keep_steps(policy, reading)
    else:
        steps += [*when_steps(policy, reading), *routes.standing_steps(policy, taken)]
    steps += _reveal(policy, asked)
    is_candidate = all(step.ok for step in steps if step.name in (StepName.WHO, StepName.SCOPE, StepName.REVEAL))
    plans = _plans(policy, taken, asked)
    after = routes.after_plan(policy, route, asked.rails, plans)
    if asked.point is Point.SUBMIT and is_candidate:
        steps.append(_plan_step(plans if after is None else after.demanded(late=True), after, asked))
    offer = None
    if asked.tells and is_candidate and asked.wish.reveal is None and not all(step.ok for step in steps):
        steps.append(Step(StepName.SHAPE, ok=True, text=_duration(policy, route, asked)[1]))  # what it would be
    elif profile is not None and all(step.ok for step in steps):
        offer, shape_step = _offer(policy, route, plans, profile, asked)
        emergency = asked.bundle.emergency(policy.id) if asked.wish.break_glass else None
        offer = replace(offer, after=after, notify=_told(offer, emergency))
        steps.append(shape_step)
    refusal = next((step.refusal for step in steps if step.refusal is not None), None)
    choice = asked.tells and asked.wish.reveal is None and len(policy.routes) > 1
    return PolicyTrace(
        policy=policy,
        steps=tuple(steps),
        offer=offer,
        refusal=refusal,
        roots=reading.roots,
        routes=tuple(route_steps(policy.routes, taken.route, reading)) if choice else (),
    )


def _reading(policy: AccessPolicy, asked: _Asked) -> Reading:
    """Return what the conditions of a policy may read: what those of all may, and the claims that it asks for."""
    roots = asked.roots
    if policy.ask.inputs:
        roots = {**roots, "ask": ask_values(policy.ask, asked.wish)}
    return Reading(asked.bundle, roots, asked.known, asked.now, asked.tells)


def _rails(asked: _Asked) -> list[Step]:
    """Collect bans and bounds on how far back one may look: scopes are refused, never clamped."""
    steps = _expired(asked)
    for rail in asked.rails:
        if rail.deny:
            text = f"{rail.title}: denied. {rail.help}".rstrip()
            refusal = Refusal(code="guardrail_denied", message=text, next_step=rail.help or None, rule=rail.id)
            fix = rail_fix(rail, Reading(asked.bundle, asked.roots, asked.known, asked.now))
            steps.append(Step(StepName.GUARDRAIL, ok=False, text=text, fix=fix, refusal=refusal))
        if rail.caps.lookback_s is not None and _oldest(asked.wish) < _earliest(rail.caps.lookback_s, asked):
            text = f"{rail.title}: events of the last {duration_text(rail.caps.lookback_s)} at most"
            refusal = Refusal(code="guardrail_denied", message=f"{text}.", next_step="Ask for less.", rule=rail.id)
            steps.append(Step(StepName.GUARDRAIL, ok=False, text=text, fix=Fix.NARROW, refusal=refusal))
    return steps


def _expired(asked: _Asked) -> list[Step]:
    """Grant nothing new under a bundle whose time is over; grants that are active are read to their end."""
    expires = asked.bundle.expires
    if expires is None or asked.now < expires or asked.point is Point.SESSION_OPEN:
        return []
    refusal = Refusal(
        code="policy_denied",
        message=f"The policy expired at {instant_text(expires)}. Nothing new is granted until there is a newer one.",
        next_step="Ask those who run LogLease to load one.",
        rule=EXPIRED,
    )
    return [Step(StepName.BUNDLE, ok=False, text="the policy has expired", refusal=refusal)]


def _oldest(wish: Wish) -> int:
    return min((scope.window.start_ns for scope in wish.scopes), default=0)


def _earliest(lookback_s: int, asked: _Asked) -> int:
    return asked.submitted_at * 1_000 - lookback_s * NANOSECONDS


def _who(policy: AccessPolicy, asked: _Asked) -> Step:
    fits = asked.people.fits(policy.who, asked.principal)
    if not fits:
        return Step(StepName.WHO, ok=False, text="is not for this principal", fix=Fix.ASK_OWNER)
    sees_values = policy.grant.redaction.partition("@")[0] == RAW or asked.wish.reveal is not None
    if asked.principal.kind is not Kind.HUMAN and sees_values:
        name = f"{asked.principal.kind}:{asked.principal.account}"
        if name not in policy.who.any_of:
            return Step(StepName.WHO, ok=False, text="unmasked values need the policy to name this very principal")
    named = [name for name in policy.who.any_of if asked.people.is_named(name, asked.principal)]
    return Step(StepName.WHO, ok=True, text=", ".join(named))


def rule_scope(rule: ScopeRule, source: str, submitted_at: Instant) -> Scope:
    """Return an entry of a policy as a scope, as of the submission of a request."""
    submitted_ns = submitted_at * 1_000
    window = EventWindow(submitted_ns - rule.lookback_s * NANOSECONDS, None if rule.live else submitted_ns)
    return Scope(
        source=source, selector=rule.selector, window=window, level_from=rule.level_from, contains=rule.contains
    )


def _scope(policy: AccessPolicy, asked: _Asked) -> Step:
    """Find, for every requested scope, one entry that contains it."""
    found = []
    for scope in asked.wish.scopes:
        for number, rule in enumerate(policy.scopes, 1):
            if (
                scope.source in rule.sources
                and rule.selector.contains(scope.selector)  # what most rules fail by, and quickly told
                and rule_scope(rule, scope.source, asked.submitted_at).contains_lines_of(scope)
            ):
                found.append(str(number))
                break
        else:
            return Step(StepName.SCOPE, ok=False, text="not inside one entry of the policy", fix=Fix.NARROW)
    if not found:
        return Step(StepName.SCOPE, ok=False, text="nothing is asked for")
    return Step(StepName.SCOPE, ok=True, text=f"entry {', '.join(found)}")


def _profile(policy: AccessPolicy, route: Route, asked: _Asked) -> tuple[str | None, Step]:
    """Choose the strictest profile that anybody demands; return it pinned."""
    profiles = asked.profiles
    given = known_profile(policy.grant.redaction, profiles)
    wanted = [scope.profile for scope in asked.wish.scopes if scope.profile is not None]
    unknown = [one for one in wanted if known_profile(one, profiles) is None]
    if unknown:
        names = ", ".join(sorted(profiles))
        refusal = Refusal(
            code="profile_unknown",
            message=f"There is no redaction profile {unknown[0][:64]!r}.",
            next_step=f"Choose one of: {names}.",
        )
        return None, Step(StepName.PROFILE, ok=False, text="the profile asked for is not known", refusal=refusal)
    demanded = [policy.grant.redaction, route.grant.redaction or policy.grant.redaction, *wanted]
    demanded += [rail.at_least for rail in asked.rails if rail.at_least is not None]
    if given is None or any(known_profile(one, profiles) is None for one in demanded):
        return None, Step(StepName.PROFILE, ok=False, text="the policy's profile is not known to this server")
    names_wanted = [one.partition("@")[0] for one in wanted]
    if given.name == RAW and RAW not in names_wanted:
        return None, Step(StepName.PROFILE, ok=False, text="raw is offered only to those who ask for it")
    if any(not is_as_strict(one, given.name, profiles) for one in names_wanted):
        text = f"gives {given.name}, which masks more than was asked"
        return None, Step(StepName.PROFILE, ok=False, text=text, fix=Fix.NARROW)
    chosen = strictest([one.partition("@")[0] for one in demanded], profiles)
    if chosen is None:
        return None, Step(StepName.PROFILE, ok=False, text="no profile is as strict as all that are demanded")
    return profiles[chosen].pinned, Step(StepName.PROFILE, ok=True, text=profiles[chosen].pinned)


def _reveal(policy: AccessPolicy, asked: _Asked) -> list[Step]:
    """Say whether the policy lets people ask for the value that is asked for; nothing where lines are."""
    reveal, rule = asked.wish.reveal, policy.grant.reveal
    if reveal is None:
        return []
    if policy.id != reveal.policy:
        return [Step(StepName.REVEAL, ok=False, text="the grant is from another policy")]
    if rule is None:
        return [_no_reveal(policy, "The policy of this grant reveals no single values.")]
    if not is_class_among(reveal.cls, rule.classes):
        named = ", ".join(rule.classes)
        return [_no_reveal(policy, f"The policy of this grant reveals values of class {named}, none of {reveal.cls}.")]
    return [Step(StepName.REVEAL, ok=True, text=reveal.cls)]


def _no_reveal(policy: AccessPolicy, message: str) -> Step:
    next_step = f"Ask {policy.owner}, who own the policy." if policy.owner else "Ask the owner of the logs."
    refusal = Refusal(code="policy_denied", message=message, next_step=next_step, rule=policy.id)
    return Step(StepName.REVEAL, ok=False, text=message.lower().rstrip("."), fix=Fix.ASK_OWNER, refusal=refusal)


def _plans(policy: AccessPolicy, taken: routes.Taken, asked: _Asked) -> tuple[Plan, ...]:
    """Return the plans of the route, or of a reveal, and one for each guardrail that demands a stage."""
    rule = policy.grant.reveal if asked.wish.reveal is not None else None
    own = (taken.route.stages, *taken.also) if rule is None else (rule.stages,)
    rails = [rail for rail in asked.rails if rail.require is not None and not asked.wish.break_glass]
    extra = tuple(Plan(rail.id, (rail.require,)) for rail in rails if rail.require is not None)
    return (*(Plan(policy.id, stages) for stages in own), *extra)


def _plan_step(plans: tuple[Plan, ...], after: AfterPlan | None, asked: _Asked) -> Step:
    for plan in plans:
        refusal = unsatisfiable(plan, asked.bench)
        if refusal is not None:
            return Step(StepName.PLAN, ok=False, text=refusal.message, fix=Fix.ASK_OWNER, refusal=refusal)
    if after is not None:
        return Step(StepName.PLAN, ok=True, text=f"looked at afterwards, within {duration_text(after.within_s)}")
    return Step(StepName.PLAN, ok=True, text=plans_words(plans) if asked.tells else "")


def _offer(
    policy: AccessPolicy, route: Route, plans: tuple[Plan, ...], profile: str, asked: _Asked
) -> tuple[Offer, Step]:
    """Shape the grant: the minimum of what policy, route, guardrails and wish say."""
    reveal = asked.wish.reveal
    duration_s, why = _duration(policy, route, asked)
    limits = policy.grant.limits.tightest(route.grant.limits).tightest(asked.wish.limits)
    for rail in asked.rails:
        limits = limits.tightest(rail.caps.limits)
    scopes = tuple(replace(scope, profile=profile) for scope in asked.wish.scopes)
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
    )
    outcome = Outcome.REVIEW if any(plan.stages for plan in plans) else Outcome.AUTO
    way = f"route {route.number}" if reveal is None else "reveal"
    if asked.wish.break_glass:
        outcome, way = Outcome.BREAK_GLASS, "break-glass"
    offer = Offer(
        number=1,
        policy=policy.id,
        rule=f"{policy.title}, {way}",
        outcome=outcome,
        plans=plans,
        terms=Terms(scopes=scopes, duration_s=duration_s, limits=limits),
        shape=shape,
        bundle_sha256=asked.bundle.hash,
        revision=asked.bundle.revision,
        route=route.number if reveal is None else None,
        notify=_notified(route if reveal is None else None, asked),
    )
    return offer, Step(StepName.SHAPE, ok=True, text=why)


def _is_bound(policy: AccessPolicy, route: Route, asked: _Asked) -> bool:
    """Say whether anything binds the grant to the network that it is asked from: bindings only add up."""
    return policy.grant.network_bound or route.grant.network_bound or any(rail.network_bound for rail in asked.rails)


def _told(offer: Offer, emergency: BreakGlass | None) -> tuple[str, ...]:
    """Return whom an emergency tells besides."""
    return offer.notify if emergency is None else tuple(sorted({*offer.notify, *emergency.notify}))


def _notified(route: Route | None, asked: _Asked) -> tuple[str, ...]:
    """Return who is told of the grant: whom the route names, and each guardrail that applies."""
    named = [() if route is None else route.notify or (), *(rail.notify or () for rail in asked.rails)]
    return tuple(sorted({name for names in named for name in names}))


def _duration(policy: AccessPolicy, route: Route, asked: _Asked) -> tuple[int, str]:
    wanted = asked.wish.duration_s
    bounds = [(policy.grant.max_s, "limit of the policy")]
    if route.grant.max_s is not None:
        bounds.append((route.grant.max_s, f"limit of route {route.number}"))
    bounds += [(one.caps.duration_s, f"limit of {one.id}") for one in asked.rails if one.caps.duration_s is not None]
    most, whose = min(bounds, key=lambda bound: bound[0])
    if (wanted or policy.grant.default_s) <= most:
        granted = wanted or policy.grant.default_s
        return granted, duration_text(granted)
    return most, f"{duration_text(most)} ({f'asked {duration_text(wanted)}, ' if wanted else ''}{whose})"
