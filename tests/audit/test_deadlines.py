from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

import pytest

from loglease.audit.deadlines import Deadlines


class Late(Exception):
    """What those get who waited too long."""


def waiting() -> asyncio.Future[Any]:
    return asyncio.get_running_loop().create_future()


def noted(order: list[int], number: int, _: object) -> None:
    order.append(number)


async def test_each_waits_as_long_as_its_own_limit() -> None:
    deadlines = Deadlines(Late)
    limits = [0.03, 0.01, 0.02, 0.01]
    answers = [waiting() for _ in limits]
    order: list[int] = []
    for number, (answer, limit) in enumerate(zip(answers, limits, strict=True)):
        answer.add_done_callback(partial(noted, order, number))
        deadlines.add(answer, limit)
    found = await asyncio.gather(*answers, return_exceptions=True)
    assert [str(one) for one in found] == ["0.03", "0.01", "0.02", "0.01"]
    assert order == [1, 3, 2, 0]


async def test_who_was_answered_in_time_keeps_the_answer() -> None:
    deadlines = Deadlines(lambda _: Late())
    answered, cancelled, forgotten, late = waiting(), waiting(), waiting(), waiting()
    for answer in (answered, cancelled, forgotten, late):
        deadlines.add(answer, 0.005)
    answered.set_result("in time")
    cancelled.cancel()
    deadlines.discard(forgotten)
    with pytest.raises(Late):
        await late
    assert await answered == "in time"
    assert cancelled.cancelled()
    assert not forgotten.done()


async def test_a_deadline_is_told_in_the_time_of_the_loop() -> None:
    deadlines = Deadlines(lambda _: Late())
    loop = asyncio.get_running_loop()
    before, answer = loop.time(), waiting()
    at = deadlines.add(answer, 7.0)
    assert before + 7.0 <= at <= loop.time() + 7.0
    deadlines.discard(answer)
    deadlines.discard(answer)


async def test_somebody_who_comes_after_a_pause_is_limited_as_well() -> None:
    deadlines = Deadlines(Late)
    for limit in (0.001, 0.002):
        answer = waiting()
        deadlines.add(answer, limit)
        with pytest.raises(Late):
            await answer
    first, second = waiting(), waiting()
    deadlines.add(first, 60.0)
    deadlines.discard(first)
    deadlines.add(second, 0.001)  # before the timer that the first one left
    with pytest.raises(Late):
        await second
