"""Policies that read facts, and a desk that answers what a test wants; shared by the tests of what is decided with them."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from tests.fakes.world import POLICY, World, caller, principal, rules_of

from loglease.access.caller import Caller
from loglease.access.journal import Journal
from loglease.access.keep_grants import Keeper
from loglease.access.open_session import Opened, open_session
from loglease.model.grant import Grant
from loglease.model.ids import GrantId
from loglease.model.instant import MICROSECONDS, Instant, Interval
from loglease.model.session import Front, SessionKind
from loglease.policy.conditions import Fault
from loglease.policy.conditions.values import Value
from loglease.policy.observed import FactKey, Facts, Observed, Question

FACTS = b"""
---
api: loglease/v1
kind: Facts
id: main
facts:
  ctx.calm: {type: bool, from: desk, per: app, combine: all, max_age: 60s}
  ctx.mfa_age: {type: duration, from: identity}
  ctx.net: {type: [corp, other], from: gateway}
  approver.mfa_age: {type: duration, from: identity}
  approver.trained: {type: bool, from: hr, max_age: 1h}
"""


AWAY = '{when: ctx.net != "other", every: 30s}'


def policy_with(*, when: str = "", keep: str = "", approver_when: str = "") -> bytes:
    policy = POLICY + FACTS
    head, _, rest = policy.partition(b"kind: AccessPolicy\n")
    if when:
        rest = rest.replace(b"approve:\n", f"when: {when}\napprove:\n".encode(), 1)
    if approver_when:
        rest = rest.replace(b"approve:\n", f"approver_when: {approver_when}\napprove:\n".encode(), 1)
    if keep:
        rest = rest.replace(b"  redaction: pii-default\n", f"  redaction: pii-default\n  keep: {keep}\n".encode(), 1)
    return head + b"kind: AccessPolicy\n" + rest


class Desk:
    """Providers that say what a test wants, and remember what they were asked."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.answers: dict[str, Value] = {"ctx.calm": True, "approver.trained": True}
        self.asked: list[tuple[str, str, tuple[str, str] | None]] = []
        self.sign_in_s: int | None = 60
        self.net: str | None = None

    async def ask(self, questions: Collection[Question]) -> Facts:
        now = self.world.clock.now()
        self.asked += [(one.rule.name, one.account, one.label) for one in questions]
        return {
            (one.rule.name, None if one.label is None else one.label[1]): Observed(
                self.answers[one.rule.name], one.rule.provider, now
            )
            for one in questions
        }

    def presence(self, _caller: Caller, now: Instant) -> Facts:
        no_sign_in = Fault("the call has a token and no sign-in")
        age: Value = no_sign_in if self.sign_in_s is None else self.sign_in_s * MICROSECONDS
        said: dict[FactKey, Observed] = {
            (f"{root}.mfa_age", None): Observed(age, "identity", now) for root in ("ctx", "approver")
        }
        if self.net is not None:
            said["ctx.net", None] = Observed(self.net, "gateway", now)
        return said


def informed(world: World, policy: bytes) -> Desk:
    desk = Desk(world)
    world.rules = replace(rules_of(policy), ask=desk.ask, presence=desk.presence)
    return desk


async def held(world: World, grant: GrantId) -> list[str]:
    found = await world.store.read(lambda tx: tx.holds.suspensions(grant))
    return [f"{one.cause}: {one.reason}" for one in found]


async def found_grant(world: World, grant: GrantId) -> Grant:
    found = await world.store.read(lambda tx: tx.grants.find(grant))
    assert found is not None
    return found


@contextmanager
def keeping(world: World) -> Iterator[Keeper]:
    journal = Journal.open(Path(world.directory) / "revocations.journal")
    try:
        yield Keeper(
            log=world.log,
            store=world.store,
            journal=journal,
            clock=world.clock,
            new_id=world.new_id,
            random=world.random,
        )
    finally:
        journal.close()


async def read_with(world: World, grant: Grant) -> Opened:
    now = world.clock.now()
    return await open_session(
        grant.id,
        kind=SessionKind.QUERY,
        front=Front.PLAIN,
        query="{}",
        interval=Interval(now * 1_000 - 10**9, now * 1_000),
        limit=None,
        caller=caller(principal("alice"), now),
        replica="one",
        **world.ports,
    )
