"""The Loki API over real sockets: what its clients get, and that every byte of it is inside the grant and on the record."""

from __future__ import annotations

import asyncio
import json
from urllib.parse import quote, urlencode

import pytest
from tests.gateway.world import T0, TOKEN, answer_of, call, line, world

from loglease.gateway import GatewaySettings
from loglease.model.limits import Limits

SECOND = 10**9
FLAG = "X-Loki-Response-Encoding-Flags: categorize-labels"
LINES = [
    line(T0 + 0 * SECOND, '{"level":"info","status":200,"msg":"one"}', service="a", pod="1"),
    line(T0 + 1 * SECOND, '{"level":"error","status":500,"msg":"mail bob@example.com"}', service="a", pod="2"),
    line(T0 + 2 * SECOND, '{"level":"info","status":200,"msg":"three"}', service="a", pod="1"),
    line(T0 + 3 * SECOND, '{"level":"info","status":200,"msg":"hidden"}', service="b", pod="1"),
]
SPAN = f"start={T0}&end={T0 + 10 * SECOND}"


def loki(grant, route: str, **parameters: object) -> str:
    return f"/g/{grant.id}/loki/api/v1/{route}?{urlencode(parameters)}" + (
        f"&{SPAN}" if "time" not in parameters else ""
    )


async def asked(w, grant, route: str, *headers: str, **parameters: object) -> dict:
    answer = await call(w, loki(grant, route, **parameters), TOKEN, *headers)
    assert answer.status == 200, answer.raw
    assert answer.whole
    return json.loads(answer.body)


async def test_lines_come_by_stream_newest_first(tmp_path):
    async with world(tmp_path, lines=LINES) as w:
        grant = await w.grant(profile="pii-default@1")
        found = await asked(w, grant, "query_range", query='{service="a"}')
        assert found["status"] == "success"
        assert found["data"]["resultType"] == "streams"
        by_pod = {one["stream"]["pod"]: one for one in found["data"]["result"]}
        assert set(by_pod) == {"1", "2"}
        assert [text for _, text in by_pod["1"]["values"]] == [LINES[2].text.decode(), LINES[0].text.decode()]
        assert by_pod["1"]["values"][0][0] == str(T0 + 2 * SECOND)
        assert by_pod["2"]["stream"]["detected_level"] == "error"
        assert "bob@example.com" not in by_pod["2"]["values"][0][1]
        assert found["data"]["stats"]["summary"]["totalEntriesReturned"] == 3
        closed = (await w.entries("session.closed"))[0]["data"]
        assert (closed["total"]["lines"], closed["why"]) == (3, "complete")


async def test_categories_are_kept_apart_for_whoever_asks(tmp_path):
    async with world(tmp_path, lines=LINES) as w:
        grant = await w.grant()
        found = await asked(w, grant, "query_range", FLAG, query='{service="a"} | json | status = 500')
        assert found["data"]["encodingFlags"] == ["categorize-labels"]
        [stream] = found["data"]["result"]
        assert stream["stream"] == {"service": "a", "pod": "2"}
        [[_, _, categories]] = stream["values"]
        assert categories["structuredMetadata"] == {"detected_level": "error"}
        assert categories["parsed"]["status"] == "500"


@pytest.mark.parametrize(("direction", "first"), [("forward", "one"), ("BACKWARD", "three")])
async def test_limit_and_direction(tmp_path, direction, first):
    async with world(tmp_path, lines=LINES) as w:
        grant = await w.grant()
        found = await asked(w, grant, "query_range", query="{}", limit=1, direction=direction)
        [stream] = found["data"]["result"]
        assert first in stream["values"][0][1]


async def test_a_client_that_pages_sees_each_line_once(tmp_path):
    lines = [line(T0 + n // 3, f"line {n}", service="a") for n in range(20)]
    async with world(tmp_path, lines=lines) as w:
        grant = await w.grant()
        seen: list[str] = []
        end = T0 + 10 * SECOND
        while True:
            path = f"/g/{grant.id}/loki/api/v1/query_range?query={quote('{}')}&start={T0}&end={end}&limit=5"
            found = json.loads((await call(w, path)).body)["data"]["result"]
            values = [(ts, text) for one in found for ts, text in one["values"]]
            new = [text for _, text in values if text not in seen]
            if not new:
                break
            seen += new
            end = int(values[-1][0]) + 1
        assert sorted(seen) == sorted(f"line {n}" for n in range(20))


async def test_numbers_over_time_and_at_one_time(tmp_path):
    async with world(tmp_path, lines=LINES) as w:
        grant = await w.grant()
        query = "sum by (pod) (count_over_time({}[10s]))"
        found = await asked(w, grant, "query", query=query, time=T0 + 5 * SECOND)
        assert found["data"]["resultType"] == "vector"
        at = (T0 + 5 * SECOND) / SECOND
        assert [(one["metric"], one["value"]) for one in found["data"]["result"]] == [
            ({"pod": "1"}, [at, "2"]),
            ({"pod": "2"}, [at, "1"]),
        ]
        matrix = await asked(w, grant, "query_range", query="sum(count_over_time({}[1s]))", step="1s")
        assert matrix["data"]["resultType"] == "matrix"
        [series] = matrix["data"]["result"]
        assert series["values"] == [[(T0 + n * SECOND) / SECOND, "1"] for n in (0, 1, 2)]
        closed = [one["data"]["total"]["lines"] for one in await w.entries("session.closed")]
        assert closed == [2, 3]


async def test_numbers_are_of_lines_inside_the_window_alone(tmp_path):
    async with world(tmp_path, lines=LINES) as w:
        grant = await w.grant(start_ns=T0 + 1 * SECOND)
        for query in ("count_over_time({}[30d])", "count_over_time({}[5s] offset 1s)", "sum(rate({}[1h])) * 3600"):
            found = await asked(w, grant, "query", query=f"sum({query})", time=T0 + 4 * SECOND)
            assert [one["value"][1] for one in found["data"]["result"]] == ["2"]
        assert all(plan.interval.start >= T0 + SECOND for plan in w.reader.plans)


async def test_a_number_by_itself_takes_no_session(tmp_path):
    async with world(tmp_path) as w:
        grant = await w.grant()
        found = await asked(w, grant, "query", query="vector(1)+vector(1)", time=T0)
        assert found["data"] == {
            "resultType": "vector",
            "result": [{"metric": {}, "value": [T0 // SECOND, "2"]}],
            "stats": found["data"]["stats"],
        }
        assert (await asked(w, grant, "query", query="1 + 1", time=T0))["data"] == {
            "resultType": "scalar",
            "result": [T0 // SECOND, "2"],
        }
        assert await w.entries("session.opened") == []


async def test_a_query_outside_the_scope_is_empty_and_says_why(tmp_path):
    async with world(tmp_path, lines=LINES) as w:
        grant = await w.grant()
        for query in ('{service="b"}', 'count_over_time({service="b"}[5s])'):
            found = await asked(w, grant, "query_range", query=query)
            assert found["data"]["result"] == []
            assert found["warnings"] == ["the query asks for service=b, the grant covers service=a"]
        assert w.reader.plans == []


OUTSIDE_WINDOW = "the query asks for a time that the event window of the grant has nothing of"


@pytest.mark.parametrize(
    ("route", "parameters", "shape"),
    [
        ("query_range", {"query": "{}"}, {"resultType": "streams", "result": []}),
        ("query_range", {"query": "sum(rate({}[1s]))", "step": 1}, {"resultType": "matrix", "result": []}),
        ("query", {"query": "sum(rate({}[1s]))", "time": T0}, {"resultType": "vector", "result": []}),
        ("labels", {}, []),
        ("label/pod/values", {}, []),
        ("series", {"match[]": "{}"}, []),
        ("index/volume", {"query": "{}"}, {"resultType": "vector", "result": []}),
        ("index/volume_range", {"query": "{}"}, {"resultType": "matrix", "result": []}),
        ("detected_labels", {}, None),
        ("detected_fields", {}, None),
        ("detected_field/msg/values", {}, None),
    ],
)
async def test_outside_the_event_window_lines_do_not_exist(tmp_path, route, parameters, shape):
    async with world(tmp_path, lines=LINES) as w:
        grant = await w.grant(start_ns=T0 + 3_600 * SECOND)
        found = await asked(w, grant, route, **parameters)
        assert found["warnings"] == [OUTSIDE_WINDOW]
        if isinstance(shape, dict):
            assert {key: found["data"][key] for key in shape} == shape
        elif shape is not None:
            assert found["data"] == shape
        assert w.reader.plans == []
        recorded = (await w.entries("query.recorded"))[0]["data"]
        assert (recorded["scopes"], recorded["start_ns"]) == ([], recorded["end_ns"])
        assert (await w.entries("session.closed"))[0]["data"]["why"] == "complete"


async def test_the_steps_of_a_metric_stay_where_no_line_exists(tmp_path):
    async with world(tmp_path, lines=LINES) as w:
        grant = await w.grant(start_ns=T0 + 3_600 * SECOND)
        found = await asked(w, grant, "query_range", query="absent_over_time({}[1s])", step="5s")
        assert [value for _, value in found["data"]["result"][0]["values"]] == ["1", "1", "1"]


@pytest.mark.parametrize(
    ("interval", "direction", "expected"),
    [
        ("2", "forward", ["0", "2", "4", "7"]),
        ("2s", "backward", ["7", "4.5", "2", "0"]),
        ("1.5", "forward", ["0", "1.5", "3", "4.5", "7"]),
        ("500ms", "forward", ["0", "0.5", "1", "1.5", "2", "3", "4", "4.5", "7"]),
        ("0", "forward", ["0", "0.5", "1", "1.5", "2", "3", "4", "4.5", "7"]),
        ("1h", "backward", ["7"]),
    ],
)
async def test_of_lines_that_are_closer_than_the_interval_one_is_given(tmp_path, interval, direction, expected):
    times = [0, 0.5, 1, 1.5, 2, 3, 4, 4.5, 7]
    lines = [line(T0 + int(at * SECOND), str(at), service="a", pod=str(n % 2)) for n, at in enumerate(times)]
    async with world(tmp_path, lines=lines, page_lines=2) as w:
        grant = await w.grant()
        found = await asked(w, grant, "query_range", query="{}", interval=interval, direction=direction)
        values = [value for stream in found["data"]["result"] for value in stream["values"]]
        ordered = sorted(values, key=lambda one: int(one[0]), reverse=direction == "backward")
        assert [text for _, text in ordered] == expected
        assert found["data"]["stats"]["summary"]["totalEntriesReturned"] == len(expected)
        limited = await asked(w, grant, "query_range", query="{}", interval=interval, direction=direction, limit=2)
        assert sum(len(stream["values"]) for stream in limited["data"]["result"]) == min(2, len(expected))


async def test_an_interval_counts_after_the_filters_of_the_query(tmp_path):
    async with world(tmp_path, lines=LINES) as w:
        grant = await w.grant()
        found = await asked(w, grant, "query_range", query='{} |= "info"', interval="2s", direction="forward")
        assert sum(len(stream["values"]) for stream in found["data"]["result"]) == 2


async def test_names_are_those_of_permitted_lines(tmp_path):
    lines = [
        *LINES,
        line(T0 - SECOND, "early", service="a", pod="9"),
        line(T0, "x", service="a", mail="bob@example.com"),
    ]
    async with world(tmp_path, lines=lines) as w:
        grant = await w.grant(start_ns=T0, profile="pii-default@1")
        assert (await asked(w, grant, "labels"))["data"] == ["mail", "pod", "service"]
        assert (await asked(w, grant, "label"))["data"] == ["mail", "pod", "service"]
        assert (await asked(w, grant, "label/pod/values"))["data"] == ["1", "2"]
        assert (await asked(w, grant, "label/service/values", query='{pod="2"}'))["data"] == ["a"]
        assert (await asked(w, grant, "label/nothing/values"))["data"] == []
        [mail] = (await asked(w, grant, "label/mail/values"))["data"]
        assert mail.startswith("⟦email:")
        series = (await asked(w, grant, "series", **{"match[]": '{pod=~"1|2"}'}))["data"]
        assert series == [{"pod": "1", "service": "a"}, {"pod": "2", "service": "a"}]
        found = await asked(w, grant, "detected_labels")
        assert {"label": "pod", "cardinality": 2} in found["detectedLabels"]


async def test_line_rules_hold_for_names_too(tmp_path):
    async with world(tmp_path, lines=LINES) as w:
        grant = await w.grant(contains=("mail",))
        assert (await asked(w, grant, "label/pod/values"))["data"] == ["2"]


async def test_volume_is_of_redacted_lines(tmp_path):
    async with world(tmp_path, lines=LINES) as w:
        grant = await w.grant()
        found = await asked(w, grant, "index/volume", query='{service="a"}', targetLabels="pod")
        assert [(one["metric"], one["value"][1]) for one in found["data"]["result"]] == [
            ({"pod": "1"}, str(len(LINES[0].text) + len(LINES[2].text))),
            ({"pod": "2"}, found["data"]["result"][1]["value"][1]),
        ]
        ranged = await asked(w, grant, "index/volume_range", query='{service="a"}', step=1)
        assert ranged["data"]["resultType"] == "matrix"


async def test_volume_is_of_both_ends_and_told_at_the_last(tmp_path):
    async with world(tmp_path, lines=[line(T0 + n * SECOND, "x" * 10**n, service="a") for n in range(4)]) as w:
        grant = await w.grant()
        path = f"/g/{grant.id}/loki/api/v1/index/volume?query=%7B%7D&start={T0 + SECOND}&end={T0 + 2 * SECOND}"
        [found] = json.loads((await call(w, path)).body)["data"]["result"]
        assert found["value"] == [T0 // SECOND + 2, "110"]


async def test_volume_by_labels_tells_of_each_label_what_its_streams_hold(tmp_path):
    lines = [*LINES[:3], line(T0, "four", service="a"), line(T0, "not b", service="a", host="h")]
    size = {"1": len(lines[0].text) + len(lines[2].text), "2": len(lines[1].text)}
    async with world(tmp_path, lines=[*lines, LINES[3]]) as w:
        grant = await w.grant()

        async def volume(route: str = "index/volume", **parameters: object) -> list[tuple[dict, str]]:
            found = await asked(w, grant, route, aggregateBy="labels", **parameters)
            return [(one["metric"], (one.get("value") or one["values"][0])[1]) for one in found["data"]["result"]]

        pods, every = size["1"] + size["2"], size["1"] + size["2"] + len("four") + len("not b")
        assert await volume(query='{service="a"}') == [
            ({"service": ""}, str(every)),
            ({"pod": ""}, str(pods)),
            ({"host": ""}, str(len("not b"))),
        ]
        assert await volume(query="{}", targetLabels="pod") == [({"pod": ""}, str(pods))]
        assert await volume(query="{}", limit=1) == [({"service": ""}, str(every))]
        assert await volume("index/volume_range", query="{}", targetLabels="host", step="60s") == [
            ({"host": ""}, str(len("not b")))
        ]


async def test_volume_by_series_leaves_out_streams_without_a_label_that_is_asked_for(tmp_path):
    async with world(tmp_path, lines=[*LINES, line(T0, "no pod", service="a")]) as w:
        found = await asked(w, await w.grant(), "index/volume", query="{}", targetLabels="pod")
        assert [one["metric"] for one in found["data"]["result"]] == [{"pod": "1"}, {"pod": "2"}]


async def test_statistics_are_exact_over_permitted_lines_where_that_is_configured(tmp_path):
    settings = GatewaySettings(exact_statistics=True)
    lines = [
        *LINES,
        line(T0 - SECOND, "early", service="a", pod="9"),
        line(T0 + 10 * SECOND, "at the end", service="a"),
    ]
    async with world(tmp_path, settings=settings, lines=lines, loose=True) as w:
        grant = await w.grant(start_ns=T0)
        found = await asked(w, grant, "index/stats", query='{pod=~"1|2"}')
        size = sum(len(one.text) for one in LINES[:3])
        assert found == {"streams": 2, "chunks": 0, "entries": 3, "bytes": size}
        assert (await asked(w, grant, "index/stats"))["entries"] == 4
        assert await asked(w, grant, "index/stats", query='{service="b"}') == dict.fromkeys(found, 0)
        masked = await w.grant(start_ns=T0, profile="pii-default@1")
        assert (await asked(w, masked, "index/stats", query='{pod="2"}'))["bytes"] != len(LINES[1].text)
        assert [one["data"]["total"]["lines"] for one in await w.entries("session.closed")] == [1, 1, 1, 1]


async def test_statistics_hold_to_the_limits_of_a_query_and_to_budgets(tmp_path):
    settings = GatewaySettings(exact_statistics=True, scan_lines=2)
    async with world(tmp_path, settings=settings, lines=LINES) as w:
        answer = await call(w, loki(await w.grant(), "index/stats", query="{}"))
        assert (answer.status, b"query_limit" in answer.body) == (422, True)
    async with world(tmp_path / "other", settings=GatewaySettings(exact_statistics=True), lines=LINES) as w:
        found = await asked(w, await w.grant(limits=Limits(bytes=10)), "index/stats", query="{}")
        assert found == {"chunks": 0, "warnings": ["The budget of the grant is used up: this answer is not whole."]}


async def test_constants_tell_nothing(tmp_path):
    async with world(tmp_path, lines=LINES) as w:
        grant = await w.grant()
        assert await asked(w, grant, "index/stats", query="{}") == dict.fromkeys(
            ("streams", "chunks", "bytes", "entries"), 0
        )
        assert (await asked(w, grant, "patterns", query="{}"))["data"] == []
        assert (await asked(w, grant, "format_query", query='{a="b"}|json'))["data"] == '{a="b"} | json'
        assert (await asked(w, grant, "status/buildinfo"))["version"]
        assert (await asked(w, grant, "drilldown-limits"))["limits"] == {}
        assert await w.entries("session.opened") == []


@pytest.mark.parametrize(
    ("route", "parameters", "status", "text"),
    [
        ("query_range", {"query": "{"}, 400, "query_invalid: parse error at line 1, col 2"),
        ("query_range", {}, 400, "There is no query"),
        ("query", {"query": "{}", "time": T0}, 400, "An instant query is about numbers"),
        ("query_range", {"query": "{}", "limit": "5001"}, 400, "limit has to be"),
        ("query_range", {"query": "{}", "direction": "up"}, 400, "direction has to be"),
        ("query_range", {"query": "sum(rate({}[1m]))", "step": "0"}, 400, "step has to be"),
        ("query_range", {"query": "sum(rate({}[1m]))", "step": "0.0001"}, 400, "11000 steps"),
        ("query_range", {"query": "sum_over_time({} | json | unwrap msg [1m])"}, 400, "SampleExtractionErr"),
        ("query_range", {"query": "{}", "regexp": "x"}, 400, "regexp is not supported"),
        ("labels", {"query": '{} |= "x"'}, 400, "a selector alone"),
        ("index/volume", {"query": "1"}, 400, "a log query"),
        ("index/volume", {"query": "{}", "aggregateBy": "pods"}, 400, "aggregateBy"),
        ("index/stats", {"query": '{} |= "x"'}, 400, "a selector alone"),
        ("patterns", {"query": "{"}, 400, "parse error"),
    ],
)
async def test_what_is_wrong_is_named(tmp_path, route, parameters, status, text):
    async with world(tmp_path, lines=LINES) as w:
        answer = await call(w, loki(await w.grant(), route, **parameters))
        assert (answer.status, text in answer.body.decode()) == (status, True), answer.body


async def test_what_is_given_twice_is_refused_in_any_mix(tmp_path):
    async with world(tmp_path, lines=LINES) as w:
        path = f"/g/{(await w.grant()).id}/loki/api/v1/query_range?query=%7B%7D&{SPAN}"
        assert (await posted(w, path, b"query=%7B%7D")).status == 400
        assert (await call(w, f"{path}&qu%65ry=%7B%7D")).status == 400
        assert (await posted(w, path, b"limit=1")).status == 200
        assert (await posted(w, path, b"{}", "application/json")).status == 415
        assert (await posted(w, path, b"limit=" + b"1" * (257 * 1024))).status == 413


async def posted(w, path: str, body: bytes, kind: str = "application/x-www-form-urlencoded"):
    reader, writer = await asyncio.open_connection("127.0.0.1", w.port)
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\nContent-Type: {kind}\r\n"
    writer.write(f"{head}Content-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body)
    raw = await asyncio.wait_for(reader.read(), 20)
    writer.close()
    return answer_of(raw)


async def test_a_used_up_budget_closes_the_answer_properly(tmp_path):
    async with world(tmp_path, lines=LINES) as w:
        grant = await w.grant(limits=Limits(lines=2))
        found = await asked(w, grant, "query_range", query="{}")
        assert sum(len(one["values"]) for one in found["data"]["result"]) == 2
        assert found["warnings"] == ["The budget of the grant is used up: this answer is not whole."]


async def test_a_grant_that_ended_says_so(tmp_path):
    async with world(tmp_path, lines=LINES) as w:
        grant = await w.grant()
        await w.revoke(grant)
        answer = await call(w, loki(grant, "query_range", query="{}"))
        assert answer.status == 403
        assert b"grant_ended" in answer.body


async def test_fields_are_those_of_redacted_lines(tmp_path):
    lines = [
        line(T0, '{"a":{"b":1},"took":"5ms","mail":"bob\\u0040example.com","up":true}', service="a"),
        line(T0 + 1, '{"a":{"b":2},"took":"1.5s","size":"5KiB","service":"x"}', (("trace", "t"),), service="a"),
        line(T0 + 2, 'level=info ratio=0.5 msg="all well" took=7ms', service="a"),
        line(T0 + 3, '{"hidden":1}', service="b"),
    ]
    async with world(tmp_path, lines=lines) as w:
        grant = await w.grant(profile="pii-default@1")
        found = await asked(w, grant, "detected_fields", query='{service="a"}')
        assert found["limit"] == 1000
        by_name = {one.pop("label"): one for one in found["fields"]}
        assert by_name == {
            "a_b": {"type": "int", "cardinality": 2, "parsers": ["json"], "jsonPath": ["a", "b"]},
            "detected_level": {"type": "string", "cardinality": 2, "parsers": []},
            "level": {"type": "string", "cardinality": 1, "parsers": ["logfmt"]},
            "mail": {"type": "string", "cardinality": 1, "parsers": ["json"], "jsonPath": ["mail"]},
            "msg": {"type": "string", "cardinality": 1, "parsers": ["logfmt"]},
            "ratio": {"type": "float", "cardinality": 1, "parsers": ["logfmt"]},
            "service_extracted": {"type": "string", "cardinality": 1, "parsers": ["json"], "jsonPath": ["service"]},
            "size": {"type": "bytes", "cardinality": 1, "parsers": ["json"], "jsonPath": ["size"]},
            "took": {"type": "duration", "cardinality": 3, "parsers": ["logfmt", "json"], "jsonPath": ["took"]},
            "trace": {"type": "string", "cardinality": 1, "parsers": []},
            "up": {"type": "boolean", "cardinality": 1, "parsers": ["json"], "jsonPath": ["up"]},
        }
        values = await asked(w, grant, "detected_field/took/values")
        assert values == {"values": ["1.5s", "5ms", "7ms"], "limit": 1000}
        [mail] = (await asked(w, grant, "detected_field/mail/values"))["values"]
        assert mail.startswith("⟦email:")
        assert (await asked(w, grant, "detected_field/hidden/values"))["values"] == []
        served = [one["data"]["total"]["lines"] for one in await w.entries("session.closed")]
        assert served == [11, 3, 1, 0]


async def test_fields_are_looked_for_as_far_as_was_asked(tmp_path):
    async with world(tmp_path, lines=LINES) as w:
        grant = await w.grant()
        newest = await asked(w, grant, "detected_field/msg/values", line_limit=1)
        assert newest["values"] == ["three"]
        one = await asked(w, grant, "detected_fields", field_limit=1)
        assert ([field["label"] for field in one["fields"]], one["limit"]) == (["detected_level"], 1)
        own = await asked(w, grant, "detected_fields", query='{} | regexp "(?P<digits>[0-9]+)"')
        assert {field["label"]: field["parsers"] for field in own["fields"]} == {
            "detected_level": [],
            "digits": ["regexp"],
        }
        outside = await asked(w, grant, "detected_fields", query='{service="b"}')
        assert (outside["fields"], len(outside["warnings"])) == ([], 1)


async def test_fields_hold_to_the_budget(tmp_path):
    async with world(tmp_path, lines=LINES) as w:
        grant = await w.grant(limits=Limits(lines=2))
        found = await asked(w, grant, "detected_fields")
        assert len(found["fields"]) == 2
        assert found["warnings"] == ["The budget of the grant is used up: this answer is not whole."]
