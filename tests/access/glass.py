"""A world with an emergency policy and an automatic route, and the acts around them in a few calls."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tests.fakes.world import POLICY, World, caller, principal, wish

from loglease.access.break_glass import break_glass
from loglease.access.caller import Caller
from loglease.access.review_afterwards import review_afterwards
from loglease.access.submit_request import submit_request
from loglease.access.watch import Watch
from loglease.model.access_request import AccessRequest
from loglease.model.after_review import AfterReview, AfterVerdict
from loglease.model.ids import RequestId
from loglease.model.principal import Kind, Principal

HOUR = 3_600_000_000
EMERGENCY = b"""
---
api: loglease/v1
kind: Catalog
id: more
names: {groups: [sre, leads, privacy], channels: [security]}
---
api: loglease/v1
kind: BreakGlass
id: on-fire
title: Production on fire
who: {any_of: [group:sre]}
scopes: [{sources: [files], labels: {app: {prefix: web}}, lookback: 6h, live: true}]
ask: {reason: {min: 5}}
step_up: {within: 5m}
grant: {duration: {default: 15m, max: 30m}, limits: {lines: 500}, redaction: pii-default}
notify: [channel:security, group:leads]
after_review: {from: [group:leads], need: 1, within: 24h, escalate: {to: [group:privacy]}}
rate: {per_person: 2, window: 7d, alarm_at: 3}
---
api: loglease/v1
kind: AccessPolicy
id: quick
who: {any_of: [group:engineering, group:sre]}
scopes: [{sources: [files], labels: {app: quick}, lookback: 6h, live: true}]
grant: {duration: {max: 30m}, redaction: pii-default}
approve:
  - if: req.redaction != "raw"
    auto: true
    after_review: {from: [group:leads], need: 1, within: 24h}
  - otherwise: true
    stages: [{from: [group:leads], need: 1}]
"""
GLASS = POLICY + EMERGENCY
ALICE = principal("alice", groups=("sre", "engineering"))
TWIN = principal("alice-two", person="per_alice", groups=("sre", "leads"))
BOT = principal("alice-bot", kind=Kind.AGENT, person="per_alice", groups=("sre", "leads"))
BOB = principal("bob", groups=("leads", "sre", "approvers"))
CAROL = principal("carol", groups=("leads",))
PRIYA = principal("priya", groups=("privacy",))
MALLORY = principal("mallory", groups=("engineering",))
DAVE = principal("dave", groups=("sre",))
EVERYONE = (ALICE, TWIN, BOT, BOB, CAROL, PRIYA, MALLORY, DAVE)


def fresh(world: World, who: Principal) -> Caller:
    return caller(who, world.clock.now())


def stale(world: World, who: Principal, age_s: int) -> Caller:
    return replace(fresh(world, who), signed_in_at=world.clock.now() - age_s * 1_000_000)


def watch_of(world: World) -> Watch:
    return Watch(world.store, world.clock, world.random)


async def broken(
    world: World, who: Principal = ALICE, *, by: Caller | None = None, log: Any = None, **changes: Any
) -> AccessRequest:
    draft = wish(**({"reason": "production is on fire", "break_glass": True} | changes))
    asks = by or fresh(world, who)
    ports = world.ports | {"log": log or world.log, "watch": watch_of(world)}
    return await break_glass(draft, caller=asks, offer=None, **ports)


async def quick(world: World, who: Principal = ALICE) -> AccessRequest:
    """Ask for what an automatic route gives."""
    return await submit_request(wish("quick"), caller=fresh(world, who), offer=None, **world.ports)


async def looked_at(
    world: World, request: RequestId, who: Principal = BOB, verdict: AfterVerdict = AfterVerdict.JUSTIFIED, **more: Any
) -> AfterReview:
    given = {"caller": fresh(world, who), "comment": "looked at it"} | more
    return await review_afterwards(request, verdict=verdict, **(world.ports | given))
