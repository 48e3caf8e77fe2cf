"""A decider written as nested loops: it enumerates streams where the real one compares selectors.

It takes the documents as loaded, and of conditions only the few that it knows the meaning of.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable

from tests.policy.world import NOW

from loglease.model.access_request import Wish
from loglease.model.offer import Stage
from loglease.model.principal import Directory, Kind, Principal
from loglease.model.scope import Level, Scope
from loglease.policy import Bundle
from loglease.policy.documents import AccessPolicy, ApproverSet
from loglease.policy.profiles import RAW

STREAMS = [
    {"env": env, "service": service, "data_class": data_class}
    for env, service, data_class in itertools.product(
        ("", "prod", "staging", "dev", "other"),
        ("", "pay-api", "pay-vault", "pay-other", "cart"),
        ("", "public", "internal", "pii", "restricted", "other"),
    )
]


def streams_of(scope_selector: object) -> set[int]:
    return {
        number
        for number, stream in enumerate(STREAMS)
        if scope_selector.matches(tuple(sorted((k, v) for k, v in stream.items() if v)))  # type: ignore[attr-defined]
    }


def naive_offers(bundle: Bundle, wish: Wish, asks: Principal, directory: Directory) -> dict[str, tuple[int, str, int]]:
    """Return (duration, profile, approvals) by policy, from the text of the specification, without our algebra."""
    (scope,) = wish.scopes
    asked = streams_of(scope.selector)
    rails = [
        one
        for one in bundle.guardrails
        if one.enforced
        and (one.applies.sources is None or scope.source in one.applies.sources)
        and asked & streams_of(one.applies.selector)
    ]
    now_ns = NOW * 1000
    if any(one.deny for one in rails):
        return {}
    if any(one.caps.lookback_s and scope.window.start_ns < now_ns - one.caps.lookback_s * 10**9 for one in rails):
        return {}
    found = {}
    for policy in bundle.policies:
        if (
            not _is_for(policy, asks)
            or not _is_inside(policy, scope, asked)
            or len(wish.reason.strip()) < policy.ask.reason_min
        ):
            continue
        if policy.ask.ticket is not None and wish.ticket != "PAY-7":
            continue
        order = {"raw": 0, "secrets": 1, "pii-default": 2, "strict": 3}
        wanted = scope.profile or policy.grant.redaction
        if (policy.grant.redaction == RAW and scope.profile != RAW) or order[wanted] < order[policy.grant.redaction]:
            continue
        floors = [one.at_least for one in rails if one.at_least is not None]
        profile = max([policy.grant.redaction, wanted, *floors], key=order.__getitem__)
        if policy.when is not None and HOLDS[policy.when.text](scope, asked) is not True:
            continue
        plans = [*naive_plans(policy, scope, asked), *([one.require] for one in rails if one.require is not None)]
        stages = [stage for plan in plans for stage in plan]
        sets = bundle.approver_sets
        groups = [
            [sets[one.partition(":")[2]].any_of if one.startswith("approvers:") else (one,) for one in block.approvers]
            for stage in stages
            for block in stage.blocks
        ]
        able = all(
            any(
                other.kind is Kind.HUMAN
                and other.person != asks.person
                and any(_is_meant(name, other, asks, directory) for names in group for name in names)
                for other in directory.principals.values()
            )
            for group in groups
        )
        if not able:
            continue
        caps = [one.caps.duration_s for one in rails if one.caps.duration_s is not None]
        duration = min([wish.duration_s or policy.grant.default_s, policy.grant.max_s, *caps])
        found[policy.id] = (duration, profile, max(map(len, plans)))
    return found


def _is_meant(name: str, other: Principal, asks: Principal, directory: Directory) -> bool:
    if name == "relation:manager":
        return other.person == asks.manager
    if name.startswith("oncall:"):
        return other.id in directory.on_call.get(name[7:], ())
    return name.removeprefix("group:") in other.groups


def naive_seats(
    chosen: ApproverSet, asks: Principal, directory: Directory, submitted_at: int, now: int
) -> dict[str, str]:
    """Return who may speak in a set, each with the member in whose place: themselves, or who named them before."""
    seats = {}
    humans = [one for one in directory.principals.values() if one.kind is Kind.HUMAN and one.enabled]
    deputies = [
        (one, other)
        for one in humans
        for other in humans
        if one.stand_in is not None
        and one.stand_in.person == other.person
        and one.stand_in.since <= now < one.stand_in.until
    ]
    own = {asks.person, *(other.person for one, other in deputies if one.person == asks.person)}

    def is_in(names: tuple[str, ...], who: Principal) -> bool:
        return any(name.removeprefix("group:") in who.groups for name in names)

    def is_member(who: Principal) -> bool:
        return is_in(chosen.any_of, who) and not is_in(chosen.none_of, who)

    for one, other in deputies:
        rule, found = chosen.stand_ins, one.stand_in
        if rule is None or found is None or not is_member(one) or is_in(chosen.none_of, other):
            continue
        short = found.until - found.since <= rule.max_s * 1_000_000
        if short and found.since <= submitted_at and is_in(rule.approvers, other) and other.person not in own:
            seats[other.account] = one.account
    seats |= {one.account: one.account for one in humans if is_member(one) and one.person not in own}
    return seats


def _is_for(policy: AccessPolicy, asks: Principal) -> bool:
    groups = {f"group:{one}" for one in asks.groups}
    return (
        asks.kind in policy.who.kinds
        and groups.isdisjoint(policy.who.none_of)
        and not groups.isdisjoint(policy.who.any_of)
    )


def _is_inside(policy: AccessPolicy, scope: Scope, asked: set[int]) -> bool:
    now_ns = NOW * 1000
    return any(
        scope.source in rule.sources
        and asked <= streams_of(rule.selector)
        and rule.selector.keys <= scope.selector.keys
        and scope.window.start_ns >= now_ns - rule.lookback_s * 10**9
        and (rule.live or (scope.window.end_ns is not None and scope.window.end_ns <= now_ns))
        and (rule.level_from is None or (scope.level_from or Level.TRACE).rank >= rule.level_from.rank)
        for rule in policy.scopes
    )


def naive_plans(policy: AccessPolicy, scope: Scope, asked: set[int]) -> list[list[Stage]]:
    """Return the stages of the first route that holds, and of those before it that cannot be judged."""
    besides = []
    for route in policy.routes:
        holds = True if route.condition is None else HOLDS[route.condition.text](scope, asked)
        if holds:
            return [list(route.stages), *besides]
        if holds is None and not route.auto:
            besides.append(list(route.stages))
    raise AssertionError(policy.id)


def _cards(scope: Scope, asked: set[int]) -> bool | None:
    matcher = scope.selector.matcher("service")
    if matcher is None or matcher.any_value or matcher.prefixes:
        return None
    return any(STREAMS[number]["service"] == "pay-api" for number in asked)


# What the conditions of these bundles mean, without evaluating them; None is: cannot be told.
HOLDS: dict[str, Callable[[Scope, set[int]], bool | None]] = {
    '!req.live || req.lookback <= duration("6h")': lambda scope, _: (
        not scope.window.live or scope.window.start_ns >= NOW * 1000 - 6 * 3600 * 10**9
    ),
    '"pii" in req.labels.data_class': lambda _, asked: any(STREAMS[one].get("data_class") == "pii" for one in asked),
    'req.labels.service.exists(x, x == "pay-api")': _cards,
}
