"""What is read stays inside the event window of the grant, however a question is written; the grid stays as asked."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlencode

import pytest
from tests.gateway.test_tail import tailing
from tests.gateway.world import T0, ListReader, World, call, eventually, line, world

from loglease.gateway import prefilter
from loglease.gateway.reading import FOLLOW_BYTES
from loglease.model.grant import Grant
from loglease.model.instant import Interval

SECOND = 10**9
START, END = T0 + 100 * SECOND + 3, T0 + 200 * SECOND + 7
WINDOW = Interval(START, END)
AROUND = [START - 1, START, START + 1, END - 2, END - 1, END, END + 1]
LINES = sorted(
    (line(ts, f"needle {ts}", service=service) for service in "ab" for ts in [*AROUND, T0, T0 + 500 * SECOND]),
    key=lambda one: one.ts,
)
INSIDE = [one.text.decode() for one in LINES if WINDOW.holds(one.ts) and dict(one.labels)["service"] == "a"]
WIDE: dict[str, object] = {"start": T0 - 10**15, "end": T0 + 10**15}
EDGE: dict[str, object] = {"start": START, "end": END}
ODD: dict[str, object] = {"start": START - 1, "end": END + 1, "step": 7}

QUESTIONS: list[tuple[str, dict[str, object]]] = [
    *[("logs", {**times, "query": query}) for times in ({}, WIDE, EDGE) for query in ("", '|= "needle"')],
    ("logs", {**WIDE, "direction": "forward", "query": '|= "needle"'}),
    *[("loki/api/v1/query_range", {**times, "query": "{}", "limit": 500}) for times in (WIDE, EDGE)],
    ("loki/api/v1/query_range", {**WIDE, "query": '{} |= "needle"', "direction": "forward"}),
    ("loki/api/v1/query_range", {**ODD, "query": "count_over_time({}[30d])"}),
    ("loki/api/v1/query_range", {**ODD, "query": 'count_over_time({} |= "needle" [30d])'}),
    ("loki/api/v1/query_range", {**ODD, "query": "count_over_time({}[1s] offset 90s)"}),
    ("loki/api/v1/query_range", {**ODD, "query": "count_over_time({}[1s] offset -90s)"}),
    ("loki/api/v1/query_range", {**ODD, "query": "count_over_time({}[9s]) + sum(rate({}[2y] offset -1h))"}),
    ("loki/api/v1/query_range", {"query": "count_over_time({}[30d])"}),
    ("loki/api/v1/query_range", {"since": "5000d", "query": "count_over_time({}[1d])"}),
    ("loki/api/v1/query_range", {**WIDE, "step": "1w", "query": "count_over_time({}[30d])"}),
    *[
        ("loki/api/v1/query", {"time": at, "query": f"count_over_time({{}}[{back}]{shift})"})
        for at in (START, END - 1, END, END + 1, T0 + 10**15)
        for back, shift in (("30d", ""), ("1s", ""), ("30d", " offset 5s"), ("30d", " offset -5s"))
    ],
    ("loki/api/v1/query", {"query": "count_over_time({}[30d])"}),
    *[(f"loki/api/v1/{route}", WIDE) for route in ("labels", "label/service/values", "series", "index/stats")],
    *[(f"loki/api/v1/{route}", {**WIDE, "query": "{}"}) for route in ("index/volume", "detected_fields")],
    ("loki/api/v1/index/volume_range", {**ODD, "query": "{}"}),
    ("loki/api/v1/detected_labels", WIDE),
]


@pytest.fixture(autouse=True)
def _early(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prefilter, "WHOLE_LINES", 2)


def path(grant: Grant, route: str, parameters: dict[str, object]) -> str:
    return f"/g/{grant.id}/{route}?{urlencode(parameters)}"


@contextmanager
def spied(reader: ListReader) -> Iterator[list[Interval]]:
    """Note the times of everything that the source is asked for."""
    asked: list[Interval] = []
    series = reader.series

    def noting(selector, interval):
        asked.append(interval)
        return series(selector, interval)

    reader.plans.clear()
    reader.series = noting  # type: ignore[method-assign]
    try:
        yield asked
    finally:
        asked += [one.interval for one in reader.plans]
        reader.series = series  # type: ignore[method-assign]


def lies_inside(interval: Interval, window: Interval) -> bool:
    if window.end is not None and (interval.end is None or interval.end > window.end):
        return False
    return interval.start >= window.start


async def answers_to_all(w: World, grant: Grant) -> tuple[list[Interval], list[str]]:
    with spied(w.reader) as asked:
        bodies = []
        for route, parameters in QUESTIONS:
            answer = await call(w, path(grant, route, parameters))
            assert answer.status in (200, 403), (route, parameters, answer.raw)
            bodies.append(re.sub('"resume":"[^"]*"', "", answer.body.decode()))  # made with a key of the process
    return asked, bodies


@pytest.mark.parametrize("exact", [False, True])
async def test_nothing_is_read_beside_the_window(tmp_path, exact):
    async with world(tmp_path, lines=LINES, exact=exact, page_lines=3) as w:
        grant = await w.grant("{}", start_ns=START, end_ns=END)
        asked, bodies = await answers_to_all(w, grant)
        assert len(asked) > len(QUESTIONS)
        assert [one for one in asked if not lies_inside(one, WINDOW)] == []
        shown = "".join(bodies)
        assert INSIDE[0] in shown
        assert f"needle {START - 1}" not in shown
        assert f"needle {END}" not in shown


async def test_lines_beside_the_window_change_no_answer(tmp_path):
    """The source gives everything it has, whatever it is asked for."""
    found = []
    for name, lines in (("all", LINES), ("inside", [one for one in LINES if WINDOW.holds(one.ts)])):
        (tmp_path / name).mkdir()
        async with world(tmp_path / name, lines=lines, loose=True, page_lines=3) as w:
            w.clock.stop()
            w.clock.ahead_us = 1_900_000_000 * 10**6 - w.clock.now()
            grant = await w.grant("{}", start_ns=START, end_ns=END, grant_id="grt_" + "0" * 26)
            found.append((await answers_to_all(w, grant))[1])
    for question, one, other in zip(QUESTIONS, *found, strict=True):
        assert one == other, question


@pytest.mark.parametrize(
    ("query", "at", "count"),
    [
        ("count_over_time({}[1s])", START, 1),
        ("count_over_time({}[1s])", START - 1, 0),
        ("count_over_time({}[30d])", END - 1, 4),
        ("count_over_time({}[30d])", T0 + 500 * SECOND, 4),
        ("count_over_time({}[1s] offset 1s)", START + SECOND, 1),
        ("count_over_time({}[1s] offset -1s)", END - SECOND - 2, 1),
        ("count_over_time({}[1s] offset -1s)", END - SECOND, 2),
        ("count_over_time({}[1s] offset -1s)", END - SECOND + 5, 2),
    ],
)
async def test_counts_are_of_lines_inside_to_the_nanosecond(tmp_path, query, at, count):
    async with world(tmp_path, lines=LINES) as w:
        grant = await w.grant(start_ns=START, end_ns=END)
        answer = await call(w, path(grant, "loki/api/v1/query", {"query": query, "time": at}))
        found = json.loads(answer.body)["data"]["result"]
        assert [one["value"][1] for one in found] == ([str(count)] if count else [])


async def test_the_steps_outside_the_window_stay(tmp_path):
    async with world(tmp_path, lines=LINES) as w:
        grant = await w.grant(start_ns=START, end_ns=END)
        asked = {"query": "vector(1) unless sum(count_over_time({}[10s]))", "start": T0, "end": T0 + 400 * SECOND}
        answer = await call(w, path(grant, "loki/api/v1/query_range", {**asked, "step": 10}))
        [series] = json.loads(answer.body)["data"]["result"]
        at = [round(time) - T0 // SECOND for time, _ in series["values"]]
        assert at == [one for one in range(0, 401, 10) if one not in (110, 210)]


@pytest.mark.parametrize("query", ["{}", '{} |= "needle"'])
@pytest.mark.parametrize("route", ["logs?follow=true&", "loki/api/v1/tail?"])
async def test_a_tail_stays_inside_the_window(tmp_path, route, query):
    async with world(tmp_path, exact=True) as w:
        now = w.clock.now() * 1_000
        start, end = now - 50 * SECOND, now + 300 * SECOND
        window = Interval(start, end)
        times = [start - 1, start, now, end - 1, end]
        lines = [line(ts, f"needle {ts}", service="a") for ts in times]
        w.reader.lines = lines[:3]
        grant = await w.grant(start_ns=start, end_ns=end)
        with spied(w.reader) as asked:
            if route.startswith("logs"):
                answer = await call(w, path(grant, "logs", {"follow": "true", "start": 0, "limit": 2, "query": query}))
                assert answer.lines == [one.text.decode() for one in lines[1:3]]
            else:
                async with tailing(w, grant, query=query) as client, asyncio.timeout(20):
                    await eventually(lambda: any(one.page_bytes == FOLLOW_BYTES for one in w.reader.plans))
                    w.reader.add(*lines[3:])
                    text = ""
                    while lines[3].text.decode() not in text:
                        text += str(await client.recv())
                assert lines[0].text.decode() not in text
                assert lines[4].text.decode() not in text
        assert asked
        assert [one for one in asked if not lies_inside(one, window)] == []
