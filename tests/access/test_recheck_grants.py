"""Other rules come into force while grants are in use: who is cut, for which reason, and what is left to open."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from tests.access.journey import active_grant
from tests.fakes.world import POLICY, World, caller, principal, rules_of

from loglease.access.errors import GuardrailDenied, PolicyDenied
from loglease.access.open_session import Opened, open_session
from loglease.access.queries import grant_view
from loglease.access.recheck_grants import recheck_grants
from loglease.access.reserve import reserve
from loglease.access.serving import NOTHING
from loglease.access.watch import GrantCut, Watch
from loglease.model.errors import GrantNotActive
from loglease.model.grant import Grant, GrantState
from loglease.model.instant import MICROSECONDS, Instant, Interval
from loglease.model.session import CloseWhy, Front, SessionKind

CUT = POLICY.replace(b"  redaction: pii-default\n", b"  redaction: pii-default\n  on_change: cut\n")


def railed(what: str, policy: bytes = POLICY) -> bytes:
    return policy + b"---\napi: loglease/v1\nkind: Guardrail\nid: rail\napplies: {all_streams: true}\n" + what.encode()


def fewer(policy: bytes) -> bytes:
    return policy.replace(b"lines: 1000", b"lines: 10")


def gone(policy: bytes) -> bytes:
    return policy.replace(b"prefix: web", b"prefix: shop")


async def opened(world: World, grant: Grant) -> Opened:
    return await open_session(
        grant.id,
        kind=SessionKind.TAIL,
        front=Front.PLAIN,
        query="",
        interval=Interval(0, None),
        limit=None,
        caller=caller(principal("alice"), world.clock.now()),
        replica="one",
        **world.ports,
    )


async def changed(world: World, policy: bytes) -> None:
    before, world.rules = world.rules, rules_of(policy)
    await recheck_grants(before, **world.ports)


async def told(world: World) -> list[tuple[str, str]]:
    types = frozenset({"grant.suspended", "grant.resumed"})
    rows = await world.store.read(lambda tx: tx.entries.since(0, types=types))
    found = [orjson.loads(row.content) for row in rows]
    assert all(one["actor"] == "system" for one in found)
    return [(one["type"], one["data"]["cause"]) for one in found]


async def state(world: World, grant: Grant) -> GrantState:
    who = caller(principal("alice"), world.clock.now())
    return (await world.store.read(lambda tx: grant_view(tx, who, grant.id, world.clock.now()))).state


PULSE = ["suspended", "resumed"]


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (POLICY, POLICY, []),
        (POLICY, fewer(POLICY), []),
        (POLICY, gone(POLICY), []),
        (CUT, fewer(CUT), [("policy", PULSE)]),
        (CUT, fewer(POLICY), [("policy", PULSE)]),
        (POLICY, fewer(CUT), [("policy", PULSE)]),
        (fewer(CUT), CUT, []),
        (CUT, CUT.replace(b"default: 10m, max: 1h", b"default: 5m, max: 5m"), [("policy", PULSE)]),
        (CUT, CUT.replace(b"need: 1", b"need: 2"), []),
        (CUT, gone(CUT), [("policy", ["suspended"])]),
        (CUT, CUT.replace(b"id: one-approval", b"id: other"), [("policy", ["suspended"])]),
        (POLICY, railed("caps: {lines: 10}"), [("guardrail", PULSE)]),
        (POLICY, railed("caps: {duration: 5m}"), [("guardrail", PULSE)]),
        (POLICY, railed("caps: {lines: 5000, duration: 2h}"), []),
        (railed("caps: {lines: 10}"), railed("caps: {lines: 10}"), []),
        (railed("caps: {lines: 10}"), POLICY, []),
        (POLICY, railed("deny: true"), [("guardrail", ["suspended"])]),
        (POLICY, railed("mode: observe\ndeny: true"), []),
        (CUT, railed("deny: true", gone(CUT)), [("guardrail", ["suspended"])]),
    ],
)
async def test_what_a_change_does_to_a_grant_with_an_open_session(
    world: World, before: bytes, after: bytes, expected: list[tuple[str, list[str]]]
) -> None:
    world.rules = rules_of(before)
    await opened(world, await active_grant(world))
    await changed(world, after)
    assert await told(world) == [(f"grant.{what}", cause) for cause, parts in expected for what in parts]


async def test_a_cut_session_ends_as_suspended_in_every_process_and_the_next_one_gets_what_is_left(
    world: World,
) -> None:
    grant = await active_grant(world)
    assert (await opened(world, grant)).grant.terms.limits.lines == 1000
    watch, cuts = Watch(world.store, world.clock, world.random), []
    watch.subscribe(cuts.append)
    await watch.poll()
    await changed(world, railed("caps: {lines: 10, duration: 5m}"))
    await watch.poll()
    assert cuts == [GrantCut(grant=grant.id, why=CloseWhy.SUSPENDED, text="grant suspended")]
    assert await state(world, grant) is GrantState.ACTIVE
    again = await opened(world, grant)
    assert again.grant.terms.limits.lines == 10
    assert again.grant.due_at == Instant(again.now + 300 * MICROSECONDS)
    stored = await world.store.read(lambda tx: tx.grants.find(grant.id))
    assert stored.valid_until == grant.valid_until


async def test_a_session_reserves_no_more_than_the_limits_it_was_opened_under(world: World) -> None:
    grant = await active_grant(world)
    world.rules = rules_of(railed("caps: {lines: 10}"))
    session = await opened(world, grant)
    ports: dict[str, Any] = {"log": world.log, "new_id": world.new_id, "random": world.random, "replica": "one"}
    limits = session.grant.terms.limits
    asked = {"settled": NOTHING, "want_lines": 200, "want_bytes": 500, "limits": limits}
    assert (await reserve(session.session.id, **asked, **ports)).ceiling_lines == 10
    assert (await reserve(session.session.id, **asked, **ports)).ceiling_lines == 10


async def test_without_a_session_only_a_grant_of_which_nothing_is_left_is_touched(world: World) -> None:
    grant = await active_grant(world)
    await changed(world, railed("caps: {lines: 10}"))
    assert await told(world) == []
    await changed(world, railed("deny: true"))
    await changed(world, railed("deny: true\ntitle: again"))
    assert await told(world) == [("grant.suspended", "guardrail")]
    assert await state(world, grant) is GrantState.SUSPENDED
    with pytest.raises(GrantNotActive):
        await opened(world, grant)


async def test_it_is_resumed_when_rules_allow_it_again(world: World) -> None:
    world.rules = rules_of(CUT)
    grant = await active_grant(world)
    await changed(world, gone(CUT))
    await recheck_grants(None, **world.ports)
    assert await told(world) == [("grant.suspended", "policy")]
    world.rules = rules_of(CUT)
    await recheck_grants(None, **world.ports)
    assert await told(world) == [("grant.suspended", "policy"), ("grant.resumed", "policy")]
    assert (await opened(world, grant)).grant.id == grant.id


@pytest.mark.parametrize("caps", ["caps: {duration: 5m}"])
async def test_a_grant_whose_time_is_over_by_the_new_rules_is_suspended(world: World, caps: str) -> None:
    grant = await active_grant(world)
    world.clock.advance(400)
    await changed(world, railed(caps))
    assert await told(world) == [("grant.suspended", "guardrail")]
    assert await state(world, grant) is GrantState.SUSPENDED


async def test_a_session_of_a_grant_whose_time_is_over_by_now_is_refused(world: World) -> None:
    grant = await active_grant(world)
    world.clock.advance(400)
    world.rules = rules_of(railed("caps: {duration: 5m}"))
    with pytest.raises(PolicyDenied, match="for 5m only"):
        await opened(world, grant)
    world.rules = rules_of(railed("deny: true"))
    with pytest.raises(GuardrailDenied):
        await opened(world, grant)


async def test_many_grants_are_decided_on_part_by_part(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("loglease.access.recheck_grants.AT_ONCE", 2)
    for _ in range(5):
        await active_grant(world)
    await changed(world, railed("deny: true"))
    assert len(await told(world)) == 5
