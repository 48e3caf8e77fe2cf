"""A clock that cannot be trusted: what is on the record, and what waits for it."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
import pytest
from tests.access.journey import active_grant, reviewed, revoke_grant, submitted
from tests.fakes.world import World, caller, principal

from loglease.access.activate_grant import activate_grant
from loglease.access.clock_doubts import ClockRecorder
from loglease.access.errors import ClockSuspect
from loglease.access.open_session import Opened, open_session
from loglease.access.watch import Watch
from loglease.audit.interface import AuditUnavailable
from loglease.model.access_request import RequestState
from loglease.model.ids import GrantId
from loglease.model.instant import Interval
from loglease.model.pace import SETTLED_S
from loglease.model.session import Front, SessionKind

CLOCKS = frozenset({"clock.suspect", "clock.trusted"})
HOUR_S = 3_600


class Server:
    """One process over the world: its watch, and what records the state of its clock."""

    def __init__(self, world: World, replica: str = "node-1") -> None:
        self.world = world
        self.watch = Watch(world.store, world.steady, world.random)
        self.recorder = ClockRecorder(log=world.log, watch=self.watch, replica=replica, new_id=world.new_id)

    async def goes_on(self) -> None:
        await self.watch.poll()
        await self.recorder.step()

    async def recorded(self) -> list[tuple[str, Any]]:
        rows = await self.world.store.read(lambda tx: tx.entries.since(0, types=CLOCKS))
        return [(entry["type"], entry["data"]) for entry in (orjson.loads(one.content) for one in rows)]

    def steps(self, seconds: float) -> None:
        self.world.clock.wall += round(seconds * 1_000_000)


@pytest.fixture
async def server(world: World) -> Server:
    made = Server(world)
    await made.goes_on()
    return made


async def reading(world: World, grant: GrantId) -> Opened:
    now = world.clock.now()
    return await open_session(
        grant,
        kind=SessionKind.QUERY,
        front=Front.PLAIN,
        query="{}",
        interval=Interval(0, now * 1_000),
        limit=None,
        caller=caller(principal("alice"), now),
        replica="node-1",
        **world.ports,
    )


async def test_a_clock_that_was_never_wrong_is_not_spoken_of(server: Server) -> None:
    server.world.clock.advance(7_200)
    await server.goes_on()
    assert await server.recorded() == []


@pytest.mark.answers_lost("clock_doubts.ClockRecorder._suspect", "clock_doubts.ClockRecorder._trust")
@pytest.mark.parametrize("seconds", [-HOUR_S, HOUR_S])
async def test_a_step_is_recorded_once_and_its_correction_too(server: Server, seconds: int) -> None:
    server.steps(seconds)
    for _ in range(3):
        await server.goes_on()
    suspect = ("clock.suspect", {"replica": "node-1", "skew_ms": seconds * 1_000, "check": "boot"})
    assert await server.recorded() == [suspect]
    server.steps(-seconds)
    for _ in range(3):
        await server.goes_on()
    assert await server.recorded() == [suspect, ("clock.trusted", {"replica": "node-1", "skew_ms": 0})]
    server.watch.require_ready()


async def test_no_entry_has_the_time_of_a_clock_that_stepped_ahead(server: Server) -> None:
    world, before = server.world, server.world.clock.now()
    server.steps(HOUR_S)
    await submitted(world)  # before anybody looks
    await server.goes_on()
    await submitted(world)
    head = await world.store.read(lambda tx: tx.entries.head())
    assert head.last_at == before
    mark = await world.store.read(lambda tx: tx.values.find("high_water"))
    assert mark == str(before)


async def test_a_step_ahead_that_stays_is_trusted_with_what_it_was(server: Server) -> None:
    server.steps(HOUR_S)
    await server.goes_on()
    server.world.clock.advance(SETTLED_S)
    await server.goes_on()
    assert (await server.recorded())[1:] == [("clock.trusted", {"replica": "node-1", "skew_ms": HOUR_S * 1_000})]


async def test_while_it_is_suspect_nothing_opens_or_activates_and_the_rest_goes_on(server: Server) -> None:
    world = server.world
    active, revoked = await active_grant(world), await active_grant(world)
    request = await submitted(world)
    server.steps(-HOUR_S)
    await server.goes_on()
    with pytest.raises(ClockSuspect):
        await reading(world, active.id)
    done = await reviewed(world, request)
    assert done.request.state is RequestState.APPROVED
    assert done.grant is not None
    ports = {key: value for key, value in world.ports.items() if key != "random"}
    who = caller(principal("alice"), world.clock.now())
    with pytest.raises(ClockSuspect):
        await activate_grant(done.grant.id, caller=who, watch=server.watch, **ports)
    with pytest.raises(ClockSuspect):  # by what is on the record, whatever a process has in memory
        await activate_grant(done.grant.id, caller=who, watch=Watch(world.store, world.steady, world.random), **ports)
    assert (await revoke_grant(world, revoked.id, watch=server.watch)).grants == (revoked.id,)
    server.steps(HOUR_S)
    await server.goes_on()
    await activate_grant(done.grant.id, caller=who, watch=server.watch, **ports)
    assert (await reading(world, active.id)).session.grant == active.id


async def test_what_waited_for_the_log_gets_no_place_behind_the_doubt(server: Server) -> None:
    """Both wait for the same commit: what was let in before the step, and the record that goes ahead of it."""
    world = server.world
    grant = await active_grant(world)
    server.steps(-HOUR_S)
    await server.watch.poll()
    opening = asyncio.create_task(reading(world, grant.id))
    await asyncio.gather(server.recorder.step(), opening, return_exceptions=True)
    assert isinstance(opening.exception(), ClockSuspect)


async def test_a_doubt_that_cannot_be_recorded_counts_and_is_recorded_later(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fails(*_: Any, **__: Any) -> None:
        raise AuditUnavailable("no")

    server.steps(-HOUR_S)
    with monkeypatch.context() as patch:
        patch.setattr(server.world.log, "commit", fails)
        for _ in range(2):
            with pytest.raises(AuditUnavailable):
                await server.goes_on()
        server.steps(HOUR_S)  # it is right again before anybody could say that it was wrong
        with pytest.raises(AuditUnavailable):
            await server.goes_on()
        with pytest.raises(ClockSuspect):
            server.watch.require_ready()
    await server.recorder.step()
    assert [name for name, _ in await server.recorded()] == ["clock.suspect", "clock.trusted"]
    server.watch.require_ready()


async def test_it_is_suspect_until_the_record_says_that_it_is_not(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fails(*_: Any, **__: Any) -> None:
        raise AuditUnavailable("no")

    server.steps(-HOUR_S)
    await server.goes_on()
    server.steps(HOUR_S)
    with monkeypatch.context() as patch:
        patch.setattr(server.world.log, "commit", fails)
        with pytest.raises(AuditUnavailable):
            await server.goes_on()
    assert server.watch.clock_doubt is None
    with pytest.raises(ClockSuspect):
        server.watch.require_ready()
    await server.goes_on()
    server.watch.require_ready()


async def test_a_doubt_that_comes_while_trust_is_recorded_is_one_of_its_own(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.steps(-HOUR_S)
    await server.goes_on()
    server.steps(HOUR_S)
    await server.watch.poll()
    commit = server.world.log.commit

    async def steps_meanwhile(*given: Any, **more: Any) -> Any:
        done = await commit(*given, **more)
        server.steps(-60)
        await server.watch.poll()
        return done

    with monkeypatch.context() as patch:
        patch.setattr(server.world.log, "commit", steps_meanwhile)
        await server.recorder.step()
    with pytest.raises(ClockSuspect):
        server.watch.require_ready()
    await server.recorder.step()
    suspect = {"replica": "node-1", "skew_ms": -60_000, "check": "boot"}
    assert (await server.recorded())[1:] == [
        ("clock.trusted", {"replica": "node-1", "skew_ms": 0}),
        ("clock.suspect", suspect),
    ]


async def test_a_process_that_starts_with_a_suspect_clock_begins_nothing_until_it_is_trusted(server: Server) -> None:
    world = server.world
    grant = await active_grant(world)
    server.steps(-HOUR_S)
    await server.goes_on()
    world.steady = type(world.steady)(world.clock)  # it knows nothing of where the clock was
    after = Server(world, "node-2")
    await after.goes_on()
    assert after.watch.clock_doubt is not None
    with pytest.raises(ClockSuspect):
        after.watch.require_ready()
    with pytest.raises(ClockSuspect):
        await reading(world, grant.id)
    world.clock.advance(HOUR_S)  # nobody sets it right: it has to reach what was recorded
    await after.goes_on()
    after.watch.require_ready()
    assert (await after.recorded())[1:] == [("clock.trusted", {"replica": "node-1", "skew_ms": 0})]


async def test_a_start_looks_at_the_record_before_anything_begins(server: Server) -> None:
    server.steps(-HOUR_S)
    await server.goes_on()
    server.steps(HOUR_S)
    after = Server(server.world, "node-2")
    await after.watch.poll()
    assert after.watch.clock_doubt is None
    with pytest.raises(ClockSuspect):
        after.watch.require_ready()
    await after.recorder.step()
    after.watch.require_ready()
