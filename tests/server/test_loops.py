from __future__ import annotations

import asyncio

import pytest
from tests.api.world import WISH, World

from loglease.server import loops
from loglease.server.loops import running, supervised


async def test_a_loop_that_fails_is_started_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loops, "RESTART_AFTER_S", 0.0)
    times = 0
    done = asyncio.Event()

    async def body() -> None:
        nonlocal times
        times += 1
        if times == 3:
            done.set()
        raise RuntimeError

    task = asyncio.create_task(supervised("test", body))
    async with asyncio.timeout(5):
        await done.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_the_sweeper_writes_down_what_the_clock_decided(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loops, "SWEEP_EVERY_S", 0.01)
    alice = await world.add("alice@example.com")
    await world.add("bob@example.com", groups=("approvers",))
    request = (await world.created("/requests", WISH, alice)).json()
    world.clock.later_s = 5 * 3_600
    async with running(world.services), asyncio.timeout(10):
        while not await world.services.store.read(
            lambda tx: tx.entries.page(types=frozenset({"request.expired"}), request=request["id"])
        ):
            await world.services.hub.wait(1)


async def test_leaving_the_block_ends_all_loops(world: World) -> None:
    before = len(asyncio.all_tasks())
    async with running(world.services):
        assert len(asyncio.all_tasks()) > before
    assert len(asyncio.all_tasks()) == before
