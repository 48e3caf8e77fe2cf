"""A client that wants to be told hears that a silent session still runs; it hears nothing else by that."""

from __future__ import annotations

import asyncio
import json
import re

import pytest
from tests.gateway.world import T0, ListReader, Tail, World, call, eventually, line, world

from loglease.gateway import GatewaySettings
from loglease.sources.interface import SourceUnavailable

OFTEN = GatewaySettings(progress_s=0.02)
LINES = [line(T0, "found", service="a")]


class GatedReader(ListReader):
    """A source that answers once it is allowed to."""

    def __init__(self, lines, **more):
        super().__init__(lines, **more)
        self.gate = asyncio.Event()

    async def read(self, plan):
        await self.gate.wait()
        async for page in super().read(plan):
            yield page


def gated(w: World) -> GatedReader:
    w.reader = GatedReader(w.reader.lines)
    return w.reader


async def test_records_say_for_how_long_it_runs_and_then_come_the_lines(tmp_path):
    async with world(tmp_path, settings=OFTEN, lines=LINES) as w:
        grant, reader = await w.grant(), gated(w)
        answer = await Tail.open(w, f"/g/{grant.id}/logs?start=0&progress=true")
        for _ in range(3):
            told = await answer.next()
            assert (set(told), told["type"]) == ({"type", "elapsed_s"}, "progress")
        reader.gate.set()
        whole = await answer.rest()
        assert whole.lines == ["found"]
        assert whole.end == "complete"
        size = sum(len(one) + 1 for one in whole.body.splitlines() if json.loads(one)["type"] == "line")
        total = (await w.entries("session.closed"))[0]["data"]["total"]
        assert (total["lines"], total["bytes"]) == (1, size)


@pytest.mark.parametrize(
    ("accept", "told"),
    [
        ("text/event-stream", rb'event: progress\ndata: {"type":"progress","elapsed_s":\d+}\n\n'),
        ("text/plain", rb"-- still reading after \d+ s\n"),
    ],
)
async def test_every_format_has_its_own(tmp_path, accept, told):
    async with world(tmp_path, settings=OFTEN, lines=LINES) as w:
        grant, reader = await w.grant(), gated(w)
        answer = await Tail.open(w, f"/g/{grant.id}/logs?start=0&progress=true", f"Accept: {accept}")
        while not re.search(told, await answer.more()):
            pass
        reader.gate.set()
        assert b"found" in (await answer.rest()).body


async def test_time_is_told_in_seconds_since_the_session_was_opened(tmp_path):
    async with world(tmp_path, settings=OFTEN, lines=LINES) as w:
        grant = await w.grant()
        gated(w)
        answer = await Tail.open(w, f"/g/{grant.id}/logs?start=0&progress=true")
        before = (await answer.next())["elapsed_s"]
        w.clock.ahead_us = 500_000_000
        await w.watch.poll()
        while (after := (await answer.next())["elapsed_s"]) < before + 500:
            pass
        assert after < 600
        answer.close()


async def test_a_tail_that_is_silent_is_told_to_run_too(tmp_path):
    async with world(tmp_path, settings=OFTEN, lines=LINES) as w:
        grant = await w.grant()
        tail = await Tail.open(w, f"/g/{grant.id}/logs?start=0&follow=true&progress=true")
        while (await tail.next())["type"] != "line":
            pass
        assert (await tail.next())["type"] == "progress"
        w.reader.add(line(T0 + 1, "arrived", service="a"))
        while (await tail.next())["type"] != "line":
            pass
        tail.close()


async def test_who_does_not_ask_is_told_nothing(tmp_path):
    async with world(tmp_path, settings=OFTEN, lines=LINES) as w:
        grant, reader = await w.grant(), gated(w)
        answer = await Tail.open(w, f"/g/{grant.id}/logs?start=0")
        asking = await Tail.open(w, f"/g/{grant.id}/logs?start=0&progress=true")
        for _ in range(5):
            await asking.next()
        reader.gate.set()
        assert [one["type"] for one in (await answer.rest()).records] == ["line", "end"]
        asking.close()


async def test_an_answer_that_spoke_ends_with_a_reason_instead_of_a_status(tmp_path):
    async with world(tmp_path, settings=OFTEN, lines=LINES) as w:
        grant, reader = await w.grant(), gated(w)
        failing = await Tail.open(w, f"/g/{grant.id}/logs?start=0&progress=true")
        await failing.next()
        reader.failure = SourceUnavailable("The source cannot be reached.")
        reader.gate.set()
        assert (await failing.rest()).end == "source"
        reader = gated(w)
        revoked = await Tail.open(w, f"/g/{grant.id}/logs?start=0&progress=true")
        await revoked.next()
        await w.revoke(grant)
        assert (await revoked.rest()).end == "revoked"
        await eventually(lambda: w.gateway.open_sessions == 0)


async def test_numbers_are_one_object_and_nothing_before_it(tmp_path):
    async with world(tmp_path, settings=OFTEN, lines=LINES) as w:
        grant, reader = await w.grant(), gated(w)
        path = f"/g/{grant.id}/logs?query=count_over_time(%7B%7D%5B1h%5D)&end={T0 + 1}&progress=true"
        asking = asyncio.create_task(call(w, path))
        spoken = await Tail.open(w, f"/g/{grant.id}/logs?start=0&progress=true")
        for _ in range(3):
            await spoken.next()
        reader.gate.set()
        answer = await asking
        assert (answer.status, json.loads(answer.body)["data"]["resultType"]) == (200, "vector")
        spoken.close()


async def test_it_is_asked_for_in_a_word(tmp_path):
    async with world(tmp_path, lines=LINES) as w:
        grant = await w.grant()
        assert (await call(w, f"/g/{grant.id}/logs?progress=often")).status == 400
        assert (await call(w, f"/g/{grant.id}/logs?progress=1&progress=1")).status == 400
