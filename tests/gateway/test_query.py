"""Queries over a real socket: what comes, in which shape and order."""

from __future__ import annotations

from tests.gateway.world import T0, call, line, world


async def test_a_query_gives_the_lines_of_the_grant_and_says_how_it_ended(tmp_path):
    lines = [line(T0 + n, f"line {n}", service="a" if n % 2 else "b") for n in range(10)]
    async with world(tmp_path, lines=lines) as w:
        grant = await w.grant()
        answer = await call(w, f"/g/{grant.id}/logs?start=0&direction=forward")
        assert answer.status == 200
        assert answer.lines == [f"line {n}" for n in range(1, 10, 2)]
        assert answer.end == "complete"
        assert answer.whole
        closed = await w.entries("session.closed")
        assert closed[0]["data"]["total"]["lines"] == 5
