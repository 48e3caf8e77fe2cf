"""The loops that sign and publish: what stops them for good, what they try again, and what is said of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.api.world import World, world_in
from tests.audit.signing import UNGUARDED
from tests.store.fixtures import raw

from loglease.audit.files import LogUnwritable
from loglease.server.health import Check, checks
from loglease.server.publishing import LOG_FOLDER


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with world_in(tmp_path) as found:
        yield found


async def until(holds) -> None:
    async with asyncio.timeout(60):
        while not holds():  # noqa: ASYNC110 - the loops have no event for it
            await asyncio.sleep(0.01)


async def check(world: World) -> Check:
    return {one.name: one for one in await checks(world.services)}["log"]


async def ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_the_loops_bring_the_directory_up_to_the_newest_entry(world: World) -> None:
    publishing = world.services.publishing
    loops = [asyncio.create_task(loop()) for loop in (publishing.sign, publishing.publish)]
    await world.add("alice")
    size = await world.services.store.read(lambda tx: tx.entries.size())
    await until(lambda: publishing.publisher.head is not None and publishing.publisher.head.checkpoint.size >= size)
    found = await check(world)
    assert found.ok
    assert f"of {size} entries are signed" in found.detail
    for loop in loops:
        await ended(loop)


async def test_a_directory_that_cannot_be_written_is_said_and_stops_nobody(world: World, tmp_path: Path) -> None:
    publishing = world.services.publishing
    await publishing.integrator.finish()
    (tmp_path / "data" / LOG_FOLDER).write_text("not a directory")
    with pytest.raises(LogUnwritable):
        await publishing.publish()
    found = await check(world)
    assert (found.ok, found.decisive) == (False, False)
    assert "cannot be used" in found.detail
    await world.add("alice")
    (tmp_path / "data" / LOG_FOLDER).unlink()
    await publishing.integrator.finish()
    await publishing.publisher.publish()
    assert (await check(world)).ok


async def test_what_the_publisher_finds_stops_the_signing_for_good(world: World) -> None:
    publishing = world.services.publishing
    await publishing.integrator.finish()
    raw(world.services.store, *UNGUARDED, "UPDATE entries SET leaf = zeroblob(32) WHERE idx = 1")
    loop = asyncio.create_task(publishing.publish())
    await until(lambda: publishing.integrator.fault is not None)
    await world.services.alarm.aclose()
    rows = await world.services.store.read(lambda tx: tx.entries.since(0, types=frozenset({"tamper.found"})))
    assert [b'"check":"publisher"' in row.content for row in rows] == [True]
    assert not loop.done(), "nothing begins anew"
    await publishing.check_all()
    assert publishing.checked_at is None
    await ended(loop)


async def test_one_step_that_was_interrupted_is_made_up_for(world: World) -> None:
    integrator = world.services.publishing.integrator
    for waits in range(12):
        await world.add(f"user{waits}")
        step = asyncio.create_task(integrator.step())
        for _ in range(waits):
            await asyncio.sleep(0)
        await ended(step)
    await integrator.finish()
    size = await world.services.store.read(lambda tx: tx.entries.size())
    assert integrator.head.checkpoint.size == size
    signed = await world.services.store.read(lambda tx: tx.checkpoints.since(0))
    assert [one.prev_size for one in signed] == [None, *(one.size for one in signed[:-1])]
