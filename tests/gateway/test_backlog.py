"""Evaluation pauses while many wait for their record."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack

from hypothesis import given
from hypothesis import strategies as st
from tests.gateway.world import T0, TOKEN, call, line, world

from loglease.gateway.backlog import FEW, MANY, Backlog


@given(st.lists(st.integers(-60, 60), max_size=30))
def test_it_pauses_once_when_many_wait_and_resumes_once_when_few_do(steps: list[int]) -> None:
    said: list[str] = []
    backlog = Backlog(pause=lambda: said.append("pause"), resume=lambda: said.append("resume"))
    waiting: list[ExitStack] = []
    for step in [*steps, -1_000]:
        for _ in range(step):
            waiting.append(one := ExitStack())
            one.enter_context(backlog)
        for _ in range(min(-step, len(waiting))):
            waiting.pop().close()
        assert backlog.waiting == len(waiting)
        is_paused = len(said) % 2 == 1
        assert is_paused or len(waiting) < MANY
        assert not is_paused or len(waiting) > FEW
    assert said == ["pause", "resume"] * (len(said) // 2)


async def test_who_gives_up_waits_no_more() -> None:
    said: list[str] = []
    backlog = Backlog(pause=lambda: said.append("pause"), resume=lambda: said.append("resume"))

    async def wait() -> None:
        with backlog:
            async with asyncio.timeout(0.05):
                await asyncio.Event().wait()

    ends = await asyncio.gather(*(wait() for _ in range(MANY)), return_exceptions=True)
    assert {type(one) for one in ends} == {TimeoutError}
    assert (backlog.waiting, said) == (0, ["pause", "resume"])


async def test_lines_are_evaluated_once_others_have_their_record(tmp_path) -> None:
    async with world(tmp_path, lines=[line(T0, "paid", service="a")]) as w:
        grant = await w.grant()
        backlog = w.gateway._sessions._recorder.backlog
        with ExitStack() as others:
            for _ in range(MANY):
                others.enter_context(backlog)
            answer = asyncio.create_task(call(w, f"/g/{grant.id}/logs?start=0", TOKEN))
            await asyncio.sleep(0.2)
            assert not answer.done()
        assert b"paid" in (await answer).body
