"""Whatever goes wrong in redaction, on whatever route: no byte of the chunk leaves, and the end is recorded and counted."""

from __future__ import annotations

import json
from urllib.parse import urlencode

import pytest
from tests.fakes.redaction import FAULTS, POISON, with_validator
from tests.gateway.test_loki_refusals import READING, asked
from tests.gateway.world import T0, TOKEN, Answer, Tail, World, call, line, world

from loglease.gateway import GatewaySettings
from loglease.redaction import Redactor

FINE = "fine-companion"
LINES = [
    line(T0, f"{FINE} one", service="a", pod="p"),
    line(T0 + 1, b"password=" + POISON + b" from bob@example.org", service="a", pod="p"),
    line(T0 + 2, f"{FINE} two", service="a", pod="p"),
]
PLAIN = {
    "logs": {"start": T0},
    "logs backward": {"start": T0, "direction": "backward"},
    "logs filtered": {"start": T0, "query": '{} |= "fine"'},
    "logs metric": {"start": T0, "end": T0 + 10**9, "query": "sum(count_over_time({}[1m]))"},
    "logs decoded": {"start": T0, "query": "{} | line_format `{{ .pod }}`"},
}
ROUTES = [*PLAIN, *READING, "index/stats", "every grant"]


async def spoil(w: World, redactor: Redactor) -> str:
    grant = await w.grant()
    w.redactors[grant.id] = redactor
    return f"/g/{grant.id}"


def path_of(base: str, route: str) -> str:
    if route == "every grant":
        return f"/logs?{urlencode({'start': T0})}"
    if route in PLAIN:
        return f"{base}/logs?{urlencode(PLAIN[route])}"
    return asked(base, route)


async def answered(w: World, path: str, *more: str) -> Answer:
    """Call until this machine was quick enough to keep its lease of the database; no answer may show anything."""
    while True:
        answer = await call(w, path, TOKEN, *more)
        shows_nothing(answer.raw)
        if not any(code in answer.body for code in (b"store_unavailable", b"index_stale")):
            return answer


def shows_nothing(raw: bytes) -> None:
    assert POISON not in raw
    assert FINE.encode() not in raw
    assert b"bob" not in raw
    assert "⟦".encode() not in raw


FEW = ["logs", "query_range", "query", "labels"]
"""One of each way in which an answer is made."""


@pytest.mark.attack("RD-08")
@pytest.mark.parametrize(
    ("fault", "routes"), [(fault, FEW if number else ROUTES) for number, fault in enumerate(FAULTS)], ids=FAULTS
)
async def test_no_byte_of_the_chunk_leaves(tmp_path, fault: str, routes: list[str]) -> None:
    make, reason = FAULTS[fault]
    settings = GatewaySettings(exact_statistics=True)
    async with world(tmp_path, settings=settings, lines=LINES) as w:
        base = await spoil(w, make())
        for route in routes:
            more = ("Accept: application/json",) if route == "logs metric" else ()
            answer = await answered(w, path_of(base, route), *more)
            assert answer.status == 503, route
            assert b"Redaction is not available, so nothing is shown." in answer.body, route
        closed = [one for one in await w.entries("session.closed") if one["data"]["why"] != "database"]
        assert {one["data"]["why"] for one in closed} == {"redaction"}
        assert {one["data"]["total"]["lines"] for one in closed} == {0}
        details = {one["data"]["detail"] for one in closed}
        assert {one.partition(";")[0] for one in details} == {reason}
        assert all("engine hyperscan; profile pii-default@1" in one for one in details)
        assert len(w.withheld) >= len(closed) >= len(routes)
        assert {one.reason for one in w.withheld} == {reason}
        everything = json.dumps([closed, [str(one) for one in w.withheld], *details])
        shows_nothing(everything.encode())


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_tail_ends_before_the_chunk(tmp_path, fault: str) -> None:
    make, reason = FAULTS[fault]
    async with world(tmp_path) as w:
        base = await spoil(w, make())
        tail = await Tail.open(w, f"{base}/logs?follow=true")
        await tail.head()
        first = line(w.clock.now() * 1_000, "before it", service="a", pod="p")
        w.reader.add(first)
        while (await tail.next()).get("line") != "before it":
            pass
        w.reader.add(*(line(first.ts + n, one.text, service="a", pod="p") for n, one in enumerate(LINES, 1)))
        rest = await tail.rest()
        shows_nothing(rest.raw)
        assert rest.end == "redaction"
        (closed,) = await w.entries("session.closed")
        assert closed["data"]["detail"].startswith(reason)
        assert closed["data"]["total"]["lines"] == 1


async def test_what_was_read_before_stays_and_the_answer_says_that_it_is_not_whole(tmp_path) -> None:
    before = [line(T0 - 1_000 + n, f"before {n}", service="a", pod="p") for n in range(100)]
    async with world(tmp_path, lines=[*before, *LINES], page_lines=100) as w:
        base = await spoil(w, FAULTS["an engine that raises"][0]())
        answer = await answered(w, f"{base}/logs?start=0")
        assert answer.status == 503 or answer.end == "redaction"


@pytest.mark.attack("RD-08")
async def test_a_validator_that_raises_masks(tmp_path) -> None:
    def check(value: bytes) -> bool:
        raise ValueError(value.decode())

    async with world(tmp_path, lines=[line(T0, "code=a1b2c3d4e5 ok", service="a")]) as w:
        base = await spoil(w, with_validator(check))
        answer = await call(w, f"{base}/logs?start=0")
        assert answer.lines == ["code=⟦code⟧ ok"]
        assert answer.end == "complete"
