"""Servers on one database: how a run begins and ends, and when the others give it up."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
import pytest
from tests.access.journey import active_grant
from tests.fakes.world import World, caller, principal

from loglease.access.open_session import open_session
from loglease.access.recover_sessions import are_left, recover_sessions
from loglease.access.replicas import begun, ended, give_up_silent, wait_for_place
from loglease.access.watch import LEASE_S, Watch
from loglease.audit.interface import Recorded
from loglease.model.ids import SessionId
from loglease.model.instant import Instant, Interval
from loglease.model.replica import GIVEN_UP_S, Replica, ReplicaState, Run
from loglease.model.session import Front, SessionKind
from loglease.store.errors import ReplicaGone, StoreInUse
from loglease.store.interface import Transaction

FIRST, SECOND = Run("node-1", "a"), Run("node-2", "b")


async def opened_on(world: World, replica: str) -> SessionId:
    now = world.clock.now()
    opened = await open_session(
        (await active_grant(world)).id,
        kind=SessionKind.TAIL,
        front=Front.PLAIN,
        query="{}",
        interval=Interval(now * 1_000 - 10**9, None),
        limit=None,
        caller=caller(principal("alice"), now),
        replica=replica,
        **world.ports,
    )
    return opened.session.id


async def recorded(world: World, count: int) -> list[dict[str, Any]]:
    """Return the last entries of the log."""
    rows = await world.store.read(lambda tx: tx.entries.newest(count))
    return [orjson.loads(row.content) for row in rows]


async def begin(world: World, run: Run) -> str:
    return await world.log.commit(lambda tx, now: Recorded(begun(tx, run, now)))


async def end(world: World, run: Run) -> bool:
    return await world.log.commit(lambda tx, _: Recorded(ended(tx, run)))


async def state_of(world: World, name: str) -> ReplicaState:
    found = await world.store.read(lambda tx: tx.replicas.find(name))
    assert found is not None
    return found.state


def watching(world: World, run: Run = FIRST) -> Watch:
    watch = Watch(world.store, world.clock, world.random)
    watch.run_of = run
    return watch


async def lives(world: World, watch: Watch, seconds: float) -> None:
    """Let time pass in which a server renews its lease."""
    for _ in range(round(seconds)):
        world.clock.advance(1)
        await watch.poll()


async def give_up(world: World, watch: Watch) -> int:
    return await give_up_silent(log=world.log, store=world.store, watch=watch, new_id=world.new_id)


async def test_a_start_knows_how_the_run_before_ended(world: World) -> None:
    assert await begin(world, FIRST) == "none"
    assert await begin(world, Run("node-1", "a2")) == "crash"
    assert not await end(world, FIRST), "another run has begun"
    assert await end(world, Run("node-1", "a2"))
    assert not await end(world, Run("node-1", "a2"))
    assert await begin(world, FIRST) == "stop"
    assert await begin(world, SECOND) == "none"


@pytest.mark.answers_lost("recover_sessions.recover_sessions", "replicas.give_up_silent")
async def test_a_silent_server_is_given_up_with_its_sessions(world: World) -> None:
    await begin(world, FIRST)
    await begin(world, SECOND)
    session = await opened_on(world, "node-2")
    watch = watching(world)
    await watch.poll()
    await lives(world, watch, GIVEN_UP_S - 1)
    assert await give_up(world, watch) == 0
    await lives(world, watch, 1)
    assert await recover_sessions(log=world.log, new_id=world.new_id) == 0, "node-2 counts as running"
    assert await give_up(world, watch) == 1
    assert await give_up(world, watch) == 0
    assert await state_of(world, "node-2") is ReplicaState.LOST
    assert await world.store.read(are_left), "whoever gave it up may die before it closes them"
    assert await recover_sessions(log=world.log, new_id=world.new_id) == 1
    assert not await world.store.read(are_left)
    entries = await recorded(world, 2)
    assert [one["data"]["why"] for one in entries] == ["lost", "crash"]
    assert entries[-1]["ref"]["session"] == session
    with pytest.raises(ReplicaGone):
        await watching(world, SECOND).poll()
    assert await begin(world, Run("node-2", "b2")) == "lost"


async def test_who_was_away_itself_gives_nobody_up(world: World) -> None:
    """After an outage of the database every other server is silent, too."""
    await begin(world, FIRST)
    await begin(world, SECOND)
    watch = watching(world)
    await watch.poll()
    world.clock.advance(GIVEN_UP_S * 2)
    assert await give_up(world, watch) == 0
    await watch.poll()
    assert await give_up(world, watch) == 0
    await lives(world, watch, GIVEN_UP_S - 1)
    assert await give_up(world, watch) == 0
    await lives(world, watch, 1)
    assert await give_up(world, watch) == 1


async def test_a_server_that_stopped_or_renews_its_lease_is_not_given_up(world: World) -> None:
    third = Run("node-3", "c")
    for run in (FIRST, SECOND, third):
        await begin(world, run)
    await end(world, third)
    watch, other = watching(world), watching(world, SECOND)
    await watch.poll()
    await other.poll()
    for _ in range(GIVEN_UP_S * 2):
        await lives(world, watch, 1)
        await other.poll()
        assert await give_up(world, watch) == 0


async def test_a_place_is_there_at_once_or_after_a_lease(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(world.store, "is_shared", True)

    async def place() -> None:
        await wait_for_place("node-1", store=world.store, clock=world.clock)

    await place()
    await begin(world, FIRST)
    waiting = asyncio.create_task(place())
    await asyncio.sleep(0.3)
    assert not waiting.done()
    world.clock.advance(LEASE_S)
    await waiting
    await end(world, FIRST)
    await place()


async def test_there_is_no_place_beside_a_server_of_the_same_name(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(world.store, "is_shared", True)
    await begin(world, FIRST)
    waiting = asyncio.create_task(wait_for_place("node-1", store=world.store, clock=world.clock))
    await asyncio.sleep(0.15)
    world.clock.advance(0.25)
    await watching(world).poll()
    with pytest.raises(StoreInUse, match="calls itself node-1"):
        await waiting


async def test_a_start_closes_its_own_sessions_and_nobody_elses(world: World) -> None:
    await begin(world, FIRST)
    await begin(world, SECOND)
    for name in ("node-1", "node-2"):
        await opened_on(world, name)
    assert await recover_sessions(log=world.log, new_id=world.new_id, own="node-1") == 1
    assert await recover_sessions(log=world.log, new_id=world.new_id, own="node-1") == 0

    def left(tx: Transaction) -> list[str]:
        return [one.replica for one in tx.sessions.unclosed(10)]

    assert await world.store.read(left) == ["node-2"]


def test_silence_begins_with_the_last_renewal() -> None:
    at = Instant(1_000_000_000)
    one = Replica(run=FIRST, state=ReplicaState.RUNNING, started_at=at, seen_at=at)
    assert not one.is_silent(Instant(at + GIVEN_UP_S * 1_000_000 - 1))
    assert one.is_silent(Instant(at + GIVEN_UP_S * 1_000_000))
