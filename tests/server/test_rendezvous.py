"""Of servers that come back to a database that lost something, the one that has published most begins first."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.fakes.world import World

from loglease.access.replicas import begun
from loglease.audit.interface import Recorded
from loglease.audit.lost import LogBehind
from loglease.model.instant import Instant
from loglease.model.replica import Run
from loglease.server.rendezvous import meet, require_most
from loglease.store.interface import Transaction


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    found = await World(tmp_path).start()
    yield found
    await found.stop()


async def said(world: World, replica: str, size: int) -> None:
    await asyncio.wait_for(meet(replica, size, store=world.store, log=world.log, clock=world.clock), 60)


async def may_begin(world: World, size: int) -> None:
    await world.store.read(lambda tx: require_most(tx, size, world.clock.now()))


async def running(world: World, *names: str) -> None:
    def work(tx: Transaction, now: Instant) -> Recorded[list[str]]:
        return Recorded([begun(tx, Run(name, "a"), now) for name in names])

    await world.log.commit(work)


async def test_who_has_less_waits_for_who_has_more(world: World) -> None:
    await running(world, "node-1", "node-2")
    await asyncio.gather(said(world, "node-1", 60), said(world, "node-2", 64))
    await may_begin(world, 64)
    with pytest.raises(LogBehind, match="node-2 has published 64"):
        await may_begin(world, 60)


async def test_nobody_waits_for_who_says_nothing(world: World) -> None:
    await running(world, "node-1", "node-2")
    waiting = asyncio.create_task(said(world, "node-1", 60))
    await asyncio.sleep(0.5)
    assert not waiting.done()
    world.clock.advance(6)
    await waiting
    await may_begin(world, 60)


async def test_what_was_said_long_ago_counts_no_more(world: World) -> None:
    await said(world, "node-2", 64)
    world.clock.advance(61)
    await may_begin(world, 60)
    await said(world, "node-1", 60)
    world.clock.advance(-60)
    await may_begin(world, 60)
