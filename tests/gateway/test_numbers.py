"""Numbers at the plain endpoint: one JSON object, inside the grant and on the record."""

from __future__ import annotations

import json
from urllib.parse import quote

import pytest
from tests.gateway.world import T0, TOKEN, call, line, world

SECOND = 10**9
LINES = [
    line(T0, "one", service="a", pod="1"),
    line(T0 + SECOND, "two", service="a", pod="2"),
    line(T0 + SECOND, "hidden", service="b", pod="3"),
]
COUNT = quote("sum by (pod) (count_over_time({}[1h]))")


async def test_a_metric_query_is_answered_at_its_end(tmp_path):
    async with world(tmp_path, lines=LINES) as w:
        grant = await w.grant()
        end = T0 + 10 * SECOND
        answer = await call(w, f"/g/{grant.id}/logs?query={COUNT}&start={T0}&end={end}")
        assert (answer.status, answer.header("content-type")) == (200, "application/json")
        found = json.loads(answer.body)
        assert found["data"]["resultType"] == "vector"
        assert [(one["metric"], one["value"]) for one in found["data"]["result"]] == [
            ({"pod": "1"}, [end // SECOND, "1"]),
            ({"pod": "2"}, [end // SECOND, "1"]),
        ]
        [opened] = await w.entries("session.opened")
        assert opened["data"]["front"] == "plain"
        [closed] = await w.entries("session.closed")
        assert closed["data"]["total"]["lines"] == 2


async def test_a_step_makes_it_a_series(tmp_path):
    async with world(tmp_path, lines=LINES) as w:
        grant = await w.grant()
        query = quote("sum(count_over_time({}[1s]))")
        accept = "Accept: application/json"
        path = f"/g/{grant.id}/logs?query={query}&start={T0}&end={T0 + 2 * SECOND}&step=1s"
        found = json.loads((await call(w, path, TOKEN, accept)).body)
        assert found["data"]["resultType"] == "matrix"
        assert [value for _, value in found["data"]["result"][0]["values"]] == ["1", "1"]


async def test_a_number_by_itself_and_one_outside_the_scope(tmp_path):
    async with world(tmp_path, lines=LINES) as w:
        grant = await w.grant()
        alone = json.loads((await call(w, f"/g/{grant.id}/logs?query={quote('1+1')}")).body)
        assert alone["data"]["result"][1] == "2"
        assert await w.entries("session.opened") == []
        outside = quote('count_over_time({service="b"}[1h])')
        found = json.loads((await call(w, f"/g/{grant.id}/logs?query={outside}")).body)
        assert (found["data"]["result"], len(found["warnings"])) == ([], 1)


@pytest.mark.parametrize(
    ("rest", "accept", "status", "text"),
    [
        ("&follow=true", "*/*", 400, "query_invalid: Lines can be followed"),
        ("&step=0", "*/*", 400, "step has to be"),
        ("&step=1&step=1", "*/*", 400, "step is given twice"),
        ("", "text/event-stream", 406, "not_acceptable: Numbers come as application/json."),
        ("", "text/plain", 406, "not_acceptable"),
    ],
)
async def test_what_numbers_cannot_be_is_said(tmp_path, rest, accept, status, text):
    async with world(tmp_path, lines=LINES) as w:
        grant = await w.grant()
        answer = await call(w, f"/g/{grant.id}/logs?query={COUNT}{rest}", TOKEN, f"Accept: {accept}")
        assert (answer.status, text in answer.body.decode()) == (status, True), answer.body


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("sum by (pod) (bytes_over_time({}[1h]))", {"1": "3", "2": "8"}),
        ('sum by (pod) (bytes_over_time({} |= "o" [1h]))', {"1": "3", "2": "3"}),
        ('sum by (pod) (count_over_time({} |= "w" [1h]))', {"2": "1"}),
        ('sum by (pod) (bytes_over_time({} != "one" | decolorize [1h]))', {"2": "8"}),
        ("sum by (pod) (bytes_rate({}[2s]))", {"1": "1.5", "2": "4"}),
    ],
)
async def test_bytes_and_lines_are_counted_by_page(tmp_path, query, expected):
    lines = [*LINES[:2], line(T0 + SECOND, "three", service="a", pod="2"), LINES[2]]
    async with world(tmp_path, lines=lines, loose=True) as w:
        grant = await w.grant()
        path = f"/g/{grant.id}/logs?query={quote(query)}&start={T0}&end={T0 + SECOND}"
        found = json.loads((await call(w, path)).body)["data"]["result"]
        assert {one["metric"]["pod"]: one["value"][1] for one in found} == expected
