"""What one query may look at: only permitted lines count, and where the limit falls shows nothing of hidden ones."""

from __future__ import annotations

import asyncio

import pytest
from tests.gateway.world import T0, Line, call, line, page_of, world

from loglease.gateway import GatewaySettings
from loglease.model.scope import Level

SHOWN = [line(T0 + n, f"warn {n}", service="a") for n in range(10)]
HIDDEN = [
    *(line(T0 + n, "other stream", service="b") for n in range(10)),
    *(line(T0 - 5, "earlier", service="a") for _ in range(9)),
    *(line(T0 + n, "debug level", service="a") for n in range(10)),
]


@pytest.mark.parametrize("direction", ["forward", "backward"])
async def test_only_permitted_lines_count(tmp_path, direction):
    settings = GatewaySettings(scan_lines=10, scan_bytes=100)
    lines = sorted([*HIDDEN, *SHOWN], key=lambda one: one.ts)
    async with world(tmp_path, settings=settings, lines=lines, loose=True, page_lines=3) as w:
        grant = await w.grant(start_ns=T0, level=Level.INFO)
        answer = await call(w, f"/g/{grant.id}/logs?start=0&direction={direction}")
        assert (len(answer.lines), answer.end) == (10, "complete")


@pytest.mark.parametrize("settings", [GatewaySettings(scan_lines=4), GatewaySettings(scan_bytes=29)])
@pytest.mark.parametrize("direction", ["forward", "backward"])
async def test_an_answer_ends_at_the_limit_and_goes_on_behind_it(tmp_path, settings, direction):
    async with world(tmp_path, settings=settings, lines=SHOWN, page_lines=3) as w:
        grant = await w.grant()
        path = f"/g/{grant.id}/logs?start=0&direction={direction}"
        got: list[str] = []
        resume: list[str] = []
        for _ in range(5):
            answer = await call(w, path, "llp_test", *resume)
            assert answer.whole
            got += answer.lines
            if answer.end == "complete":
                break
            assert (answer.end, len(answer.lines) <= 4) == ("limit", True)
            resume = [f"Last-Event-ID: {answer.records[-1]['resume']}"]
        texts = [f"warn {n}" for n in range(10)]
        assert got == (texts if direction == "forward" else texts[::-1])
        closed = await w.entries("session.closed")
        assert [one["data"]["why"] for one in closed] == ["limit"] * (len(closed) - 1) + ["complete"]
        assert sum(one["data"]["total"]["lines"] for one in closed) == 10


async def test_a_query_that_finds_nothing_within_the_limit_is_refused(tmp_path):
    async with world(tmp_path, settings=GatewaySettings(scan_lines=9), lines=SHOWN) as w:
        grant = await w.grant()
        refused = await call(w, f"/g/{grant.id}/logs?start=0&direction=forward&query=%7C%3D%20%22warn%209%22")
        assert refused.status == 422
        assert refused.body.startswith(b"query_limit: ")
        assert b"Next: " in refused.body
        assert (await w.entries("session.closed"))[0]["data"]["why"] == "limit"


@pytest.mark.parametrize("limit", [3, 5])
@pytest.mark.parametrize("names", ["xyz", "zyx", "yxz"])
async def test_which_lines_of_one_time_fall_below_the_limit_is_not_shown(tmp_path, names, limit):
    """The hidden order of streams decides what is looked at first, so none of that time is shown."""

    def tied(ts: int) -> list[Line]:
        return [line(ts, name, service="a", pod=name) for name in names]

    async with world(tmp_path, settings=GatewaySettings(scan_lines=limit), lines=[*tied(T0), *tied(T0 + 1)]) as w:
        grant = await w.grant()
        answer = await call(w, f"/g/{grant.id}/logs?start=0&direction=forward")
        assert (answer.lines, answer.end) == (["x", "y", "z"], "limit")


@pytest.mark.parametrize("found", [0, 3])
async def test_a_source_that_takes_too_long_ends_the_query(tmp_path, found):
    """What is known to be whole is given, and not the newest line: of its time there could be more."""
    async with world(tmp_path, settings=GatewaySettings(scan_s=0.2)) as w:
        grant = await w.grant()

        async def read(plan):
            yield page_of(SHOWN[:found])
            yield page_of([line(T0 + 20, "later", service="a")])
            await asyncio.Event().wait()

        w.reader.read = read
        answer = await call(w, f"/g/{grant.id}/logs?start=0&direction=forward")
        if found:
            assert (answer.status, answer.end, len(answer.lines)) == (200, "time", found)
        else:
            assert (answer.status, answer.body[:12]) == (422, b"query_limit:")
        assert (await w.entries("session.closed"))[0]["data"]["why"] == "time"


async def test_a_tail_may_look_at_any_number_of_lines(tmp_path):
    async with world(tmp_path, settings=GatewaySettings(scan_lines=1, scan_bytes=1), lines=SHOWN) as w:
        grant = await w.grant()
        answer = await call(w, f"/g/{grant.id}/logs?start=0&follow=true&limit=10")
        assert (len(answer.lines), answer.end) == (10, "complete")
