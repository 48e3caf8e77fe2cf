"""Bounds that hold under a flood, and times that count what they say."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.access.journey import active_grant
from tests.fakes.clock import FakeClock, FakeIds
from tests.fakes.world import POLICY, World, caller, principal

from loglease.access import refusals
from loglease.access.close_session import close_session
from loglease.access.expire_due import expire_due
from loglease.access.open_session import Opened, open_session
from loglease.access.recover_sessions import recover_sessions
from loglease.access.refusals import Refusals
from loglease.access.serving import NOTHING
from loglease.model.errors import GrantEnded
from loglease.model.grant import EndWhy, Grant, GrantState
from loglease.model.ids import SessionId
from loglease.model.instant import Interval
from loglease.model.session import CloseWhy, Front, SessionKind

IDLE = POLICY.replace(b"activate_within: 1h\n", b"activate_within: 1h\n  idle_timeout: 1m\n")


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    made = await World(tmp_path, policy=IDLE).start()
    await made.add(principal("alice"), principal("bob", groups=("engineering", "approvers")))
    yield made
    await made.stop()


async def opened(world: World, grant: Grant) -> Opened:
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


async def test_idle_counts_from_the_session_that_closed_last(world: World) -> None:
    grant = await active_grant(world)
    assert grant.shape.idle_timeout_s == 60
    sessions: list[SessionId] = []
    for _ in range(2):
        world.clock.advance(1)
        sessions.append((await opened(world, grant)).session.id)
    ports = {key: value for key, value in world.ports.items() if key != "rules"}
    for session_id in reversed(sessions):
        await close_session(session_id, why=CloseWhy.CLIENT, settled=NOTHING, cut_ms=None, replica="one", **ports)
        world.clock.advance(59)
    await expire_due(log=world.log, new_id=world.new_id)
    assert (await world.store.read(lambda tx: tx.grants.find(grant.id))).state is GrantState.ACTIVE
    world.clock.advance(1)
    await expire_due(log=world.log, new_id=world.new_id)
    assert (await world.store.read(lambda tx: tx.grants.find(grant.id))).state is GrantState.ENDED


async def test_a_grant_that_lies_idle_is_over_whether_a_sweeper_has_run_or_not(world: World) -> None:
    grant = await active_grant(world)
    world.clock.advance(60)
    with pytest.raises(GrantEnded, match="idle"):
        await opened(world, grant)
    await expire_due(log=world.log, new_id=world.new_id)
    found = await world.store.read(lambda tx: tx.grants.find(grant.id))
    assert (found.ended_why, found.ended_at) == (EndWhy.IDLE, grant.idle_at)


async def test_a_session_that_a_crash_left_open_counts_as_use_until_it_is_closed(world: World) -> None:
    grant = await active_grant(world)
    await opened(world, grant)
    world.clock.advance(90)
    await recover_sessions(log=world.log, new_id=world.new_id)
    world.clock.advance(59)
    await opened(world, grant)


def test_a_flood_of_different_refusals_is_counted_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refusals, "MAX_KEYS", 5)
    clock = FakeClock()
    noted = Refusals(FakeIds(clock))
    singly = [
        noted.note(operation=f"op{number}", code="not_permitted", caller=None, now=clock.now()) for number in range(200)
    ]
    assert len([one for one in singly if one is not None]) <= 5 + refusals.SINGLY_A_MINUTE
    clock.advance(60)
    assert [one.data["count"] for one in noted.due(clock.now())] == [200 - 5 - refusals.SINGLY_A_MINUTE]
