"""Who gets the next thread, piece by piece of work."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loglease.gateway.turns import Turns


@pytest.fixture
async def turns() -> AsyncIterator[Turns]:
    one = Turns(1)
    yield one
    one.close()


class Waiting:
    """Pieces that ask for a thread in an order, and the order in which they got it."""

    def __init__(self, turns: Turns) -> None:
        self.turns = turns
        self.begun: list[str] = []
        self.tags: dict[str, float] = {}

    async def ask(self, name: str, had_s: float) -> asyncio.Task[None]:
        async def wait() -> None:
            self.tags[name] = await self.turns.wait(had_s)
            self.begun.append(name)

        task = asyncio.create_task(wait())
        await asyncio.sleep(0)
        return task


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_who_had_least_goes_next(turns: Turns) -> None:
    waiting = Waiting(turns)
    for name, had_s in (("first", 0.0), ("heavy", 9.0), ("light", 0.1), ("middle", 2.0), ("light too", 0.1)):
        await waiting.ask(name, had_s)
    for _ in range(5):
        turns.done()
        await settle()
    assert waiting.begun == ["first", "light", "light too", "middle", "heavy"]


async def test_a_new_session_starts_level_with_those_that_are_there(turns: Turns) -> None:
    waiting = Waiting(turns)
    await waiting.ask("running", 5.0)
    await waiting.ask("new", 0.0)
    await waiting.ask("like it", 5.0)
    turns.done()
    await settle()
    assert waiting.tags["new"] == 5.0
    assert waiting.begun == ["running", "new"]


async def test_one_that_is_cancelled_takes_no_thread(turns: Turns) -> None:
    waiting = Waiting(turns)
    await waiting.ask("running", 0.0)
    gone = await waiting.ask("gone", 0.1)
    await waiting.ask("there", 0.2)
    gone.cancel()
    await settle()
    turns.done()
    await settle()
    assert waiting.begun == ["running", "there"]


async def test_one_that_is_cancelled_as_its_turn_comes_hands_it_on(turns: Turns) -> None:
    waiting = Waiting(turns)
    await waiting.ask("running", 0.0)
    gone = await waiting.ask("gone", 0.1)
    await waiting.ask("there", 0.2)
    turns.done()
    gone.cancel()
    await settle()
    assert waiting.begun == ["running", "there"]


async def test_a_failure_gives_the_thread_back(turns: Turns) -> None:
    turn = turns.turn()

    def fail() -> None:
        raise ValueError

    for _ in range(3):
        with pytest.raises(ValueError):  # noqa: PT011 - the one above
            await turn(fail)
    assert await turn(lambda one, two: one + two, 1, 2) == 3


async def test_no_more_run_at_once_than_there_are_threads() -> None:
    turns = Turns(2)
    lock = threading.Lock()
    running = most = 0

    def work() -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        threading.Event().wait(0.01)
        with lock:
            running -= 1

    await asyncio.gather(*(turns.turn()(work) for _ in range(12)))
    turns.close()
    assert most == 2


@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), max_size=30))
async def test_everyone_who_stays_gets_a_turn(asked: list[tuple[int, bool]]) -> None:
    turns = Turns(2)
    waiting = Waiting(turns)
    tasks = [await waiting.ask(str(number), float(had_s)) for number, (had_s, _) in enumerate(asked)]
    for task, (_, leaves) in zip(tasks[2:], asked[2:], strict=True):
        if leaves:
            task.cancel()
    await settle()
    stay = [str(number) for number, (_, leaves) in enumerate(asked) if number < 2 or not leaves]
    for _ in stay:
        turns.done()
        await settle()
    turns.close()
    assert sorted(waiting.begun) == sorted(stay)


@given(st.lists(st.sampled_from(["ask", "ask", "done", "pause", "resume"]), max_size=40))
async def test_nothing_begins_during_a_pause_and_everything_after_it(acts: list[str]) -> None:
    turns = Turns(2)
    waiting = Waiting(turns)
    asked = over = 0
    paused = False
    for act in [*acts, "resume"]:
        before = len(waiting.begun)
        if act == "ask":
            asked += 1
            await waiting.ask(str(asked), 0.0)
        elif act == "done" and over < before:
            over += 1
            turns.done()
        elif act == "pause":
            paused = True
            turns.pause()
        elif act == "resume":
            paused = False
            turns.resume()
        await settle()
        expected = before if paused else min(asked, over + 2)
        assert len(waiting.begun) == expected
    for _ in range(asked - over):
        turns.done()
        await settle()
    turns.close()
    assert len(waiting.begun) == asked
