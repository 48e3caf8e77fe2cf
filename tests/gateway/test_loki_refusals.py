"""Whatever is wrong with a call of Loki's API has its status, its code and its words, on every route that can be wrong so."""

from __future__ import annotations

import asyncio
import json
from itertools import product
from urllib.parse import urlencode

from tests.gateway.world import T0, TOKEN, Answer, World, answer_of, call, line, request_bytes, world

from loglease.audit.interface import AuditUnavailable
from loglease.gateway import GatewaySettings
from loglease.gateway import names as gateway_names
from loglease.model.errors import LogLeaseError
from loglease.model.grant import Grant
from loglease.model.limits import Limits
from loglease.redaction import Withheld
from loglease.sources.interface import SourceLimit, SourceProtocol, SourceTimeout, SourceUnavailable

SECOND = 10**9
LINES = [line(T0 + n, f'{{"n":{n},"word":"x"}}', service="a", pod=str(n)) for n in range(9)]
METRIC = "sum by (pod) (count_over_time({}[1m]))"

# Routes that read, each with the query that makes them.
READING = {
    "query_range": "{}",
    "query_range?step=1": METRIC,
    "query": METRIC,
    "labels": "{}",
    "label": "{}",
    "label/pod/values": "{}",
    "series": None,
    "detected_labels": "{}",
    "detected_fields": "{}",
    "detected_field/n/values": "{}",
    "index/volume": "{}",
    "index/volume_range": "{}",
}
NAMES = ("labels", "label", "label/pod/values", "series", "detected_labels")
"""What is asked about streams: each takes one line, however many it has."""

CONSTANT = ("index/stats", "patterns", "status/buildinfo", "drilldown-limits")


def address(grant: Grant | str, route: str, **parameters: object) -> str:
    path, _, more = route.partition("?")
    named = grant if isinstance(grant, str) else f"/g/{grant.id}"
    times = {"time": T0 + SECOND} if path == "query" else {"start": T0, "end": T0 + SECOND}
    return f"{named}/loki/api/v1/{path}?{more}&{urlencode({**times, **parameters})}"


def asked(grant: Grant | str, route: str) -> str:
    query = READING.get(route)
    return address(grant, route, **({} if query is None else {"query": query}))


def is_refused(answer: Answer, status: int, code: str, *words: str) -> bool:
    """Check status, words and form of a refusal; return True, so that a test can say what it is about."""
    text = answer.body.decode()
    assert (answer.status, text.partition(":")[0]) == (status, code), answer.raw
    assert answer.header("content-type") == "text/plain; charset=utf-8"
    assert answer.header("cache-control") == "no-store"
    assert all(word in text for word in words), text
    return True


QUERIES = [
    ("{", "parse error at line 1, col 2"),
    ('{a="b"} | jsn', "parse error at line 1, col 14"),
    ("{a='b'}", "parse error"),
    ('{a="b"} |~ "("', "parse error"),
    ("sum(rate({}[1m]) @ 5)", "parse error"),
    ("rate({}[0s])", "parse error"),
]


async def test_a_query_that_is_none(tmp_path):
    async with world(tmp_path) as w:
        grant = await w.grant()
        for route, (query, words) in product(READING.keys() - {"series"}, QUERIES):
            is_refused(await call(w, address(grant, route, query=query)), 400, "query_invalid", words)
        assert await w.entries("session.opened") == []
        assert w.reader.plans == []


async def test_selectors_of_series_are_read_likewise(tmp_path):
    async with world(tmp_path) as w:
        grant = await w.grant()
        for text in ("{", '{a="b"} |= "x"', "rate({}[1m])"):
            is_refused(await call(w, address(grant, "series", match=text)), 400, "query_invalid")


PARAMETERS: list[tuple[tuple[str, ...], dict[str, str], str]] = [
    (("query_range", "labels", "series", "index/volume", "detected_fields"), {"start": "soon"}, "start has to be"),
    (("query_range", "labels", "series", "index/volume", "detected_fields"), {"end": "-1"}, "end has to be"),
    (("query_range", "labels", "detected_labels"), {"since": "0"}, "has to be"),
    (("query_range?step=1", "query_range"), {"since": "1.5h"}, "since has to be"),
    (("query",), {"time": "noon"}, "time has to be"),
    (("query_range?",), {"query": METRIC, "step": "x"}, "step has to be"),
    (("index/volume_range",), {"step": "-1"}, "step has to be"),
    (("query_range?",), {"query": METRIC, "step": "0"}, "step has to be"),
    (("query_range",), {"limit": "0"}, "limit has to be a whole number from 1 to 5,000"),
    (("query_range", "index/volume", "detected_fields"), {"limit": "5001"}, "limit has to be"),
    (("detected_fields", "detected_field/n/values"), {"line_limit": "0"}, "line_limit has to be"),
    (("detected_fields",), {"field_limit": "many"}, "field_limit has to be"),
    (("query_range",), {"direction": "sideways"}, "direction has to be forward or backward"),
    (("index/volume", "index/volume_range"), {"query": "{}", "aggregateBy": "pods"}, "aggregateBy has to be series or"),
    (("query_range?step=1", "query_range"), {"interval": "often"}, "interval has to be"),
    (("query_range",), {"interval": "-1"}, "interval has to be"),
    (("index/stats", "patterns"), {"query": "{}", "start": "soon"}, "start has to be"),
]


async def test_a_parameter_that_cannot_have_its_value(tmp_path):
    async with world(tmp_path, lines=LINES) as w:
        grant = await w.grant()
        for routes, parameters, words in PARAMETERS:
            for route in routes:
                query = {} if READING.get(route) is None else {"query": READING[route]}
                path = address(grant, route, **{**query, **parameters})
                if "since" in parameters:
                    path = path.replace(f"start={T0}&", "")
                is_refused(await call(w, path), 400, "malformed", words)
        assert await w.entries("session.opened") == []


async def test_what_would_change_the_meaning_is_not_ignored(tmp_path):
    async with world(tmp_path) as w:
        grant = await w.grant()
        for route in READING:
            path = asked(grant, route)
            is_refused(await call(w, f"{path}&regexp=x"), 400, "unknown_parameter", "regexp is not supported")
            is_refused(await call(w, f"{path}&access_token=x"), 400, "malformed", "A token does not belong")
            is_refused(await call(w, f"{path}&since=1h&si%6ece=2h"), 400, "malformed", "since is given twice")
            is_refused(await call(w, f"{path}&x=%ff"), 400, "malformed", "not UTF-8")


async def test_an_end_before_the_start_and_too_many_steps(tmp_path):
    async with world(tmp_path) as w:
        grant = await w.grant()
        for route in READING:
            if route != "query":
                path = asked(grant, route).replace(f"end={T0 + SECOND}", f"end={T0 - 1}")
                is_refused(await call(w, path), 400, "query_invalid", "The end lies before the start.")
        for query in (METRIC, "vector(1)"):
            path = address(grant, "query_range", query=query, step="0.00001")
            is_refused(await call(w, path), 400, "query_invalid", "11000 steps")


async def test_who_may_not_and_where_nothing_is(tmp_path):
    async with world(tmp_path) as w:
        foreign, unknown = await w.grant(holder=w.bob), "grt_01HF7YAT00000000000000000A"
        for route in (*READING, *CONSTANT):
            path = asked(foreign, route)
            is_refused(await call(w, path, None), 401, "not_authenticated", "Authorization: Bearer")
            is_refused(await call(w, path, "llp_unknown"), 401, "not_authenticated")
            answers = [await call(w, path), await call(w, asked(f"/g/{unknown}", route))]
            assert is_refused(answers[0], 404, "not_found")
            assert answers[0].body.replace(foreign.id.encode(), unknown.encode()) == answers[1].body
            is_refused(await call(w, path, method="PUT"), 405, "method_not_allowed", "Use GET")
            missing = await call(w, path.replace("/api/v1/", "/api/v2/"))
            assert missing.body == b"not_found: There is nothing here.\n"


async def test_a_grant_that_is_over(tmp_path):
    async with world(tmp_path) as w:
        grant = await w.grant()
        await w.revoke(grant)
        for route in (*READING, *CONSTANT):
            is_refused(await call(w, asked(grant, route)), 403, "grant_ended", "Next: ")


async def test_forms_that_are_none(tmp_path):
    async with world(tmp_path) as w:
        path = f"/g/{(await w.grant()).id}/loki/api/v1/labels"
        is_refused(
            await sent(w, path, b"{}", "application/json"), 415, "unsupported_media_type", "x-www-form-urlencoded"
        )
        is_refused(await sent(w, path, b"a=" + b"1" * (256 * 1024)), 413, "too_large", "256 KiB")
        is_refused(await sent(w, path, b"&".join(b"a=1" for _ in range(101))), 413, "too_large", "100 parameters")
        is_refused(await sent(w, path, b"a=1", method="GET"), 400, "malformed", "takes no body")


async def test_more_than_one_may_look_at(tmp_path):
    async with world(tmp_path, settings=GatewaySettings(scan_lines=1), lines=LINES) as w:
        grant = await w.grant()
        for route in READING.keys() - NAMES:
            is_refused(await call(w, asked(grant, route)), 422, "query_limit", "Next: ")


async def test_more_series_than_one_may_have(tmp_path, monkeypatch):
    monkeypatch.setattr(gateway_names, "MAX_SERIES", 5)
    async with world(tmp_path, lines=LINES) as w:
        grant = await w.grant()
        for route in ("labels", "label/pod/values", "series", "detected_labels"):
            is_refused(await call(w, asked(grant, route)), 422, "query_limit", "more than 5 streams")
        w.reader.lines = [line(T0 + n, "x", service="a", pod=str(n)) for n in range(501)]
        is_refused(await call(w, asked(grant, "query")), 422, "query_limit", "500")


FAILURES: list[tuple[LogLeaseError, int, str]] = [
    (SourceUnavailable("The source cannot be reached."), 502, "source_failed"),
    (SourceProtocol("The source answered nonsense."), 502, "source_failed"),
    (SourceLimit("The source gives no more."), 502, "source_failed"),
    (SourceTimeout("The source did not answer in time."), 504, "source_timeout"),
]


async def test_a_source_that_fails(tmp_path):
    async with world(tmp_path, lines=LINES) as w:
        grant = await w.grant()
        for (failure, status, code), route in product(FAILURES, READING):
            w.reader.failure = failure
            is_refused(await call(w, asked(grant, route)), status, code, failure.message)


async def test_what_cannot_be_recorded_or_redacted(tmp_path):
    async with world(tmp_path, lines=LINES) as w:
        grant = await w.grant()
        for route in READING:
            w.log.fail_with, w.log.allowed = (lambda: AuditUnavailable("The log is full.")), 0
            is_refused(await call(w, asked(grant, route)), 503, "audit_unavailable")
            w.log.allowed = 1  # the opening is recorded, what is read is not
            is_refused(await call(w, asked(grant, route)), 503, "audit_unavailable")
            w.log.fail_with = None
            w.redactor_failure = Withheld("selftest_failed")
            is_refused(await call(w, asked(grant, route)), 503, "redaction_unavailable", "nothing is shown")
            w.redactor_failure = None


async def test_too_many_at_once_and_a_server_that_stops(tmp_path):
    async with world(tmp_path, settings=GatewaySettings(queries=0), lines=LINES) as w:
        grant = await w.grant()
        for route in ("query_range", "labels", "index/volume"):
            answer = await call(w, asked(grant, route))
            assert is_refused(answer, 503, "overload")
            assert answer.header("retry-after") == "2"
        await w.gateway.drain(within_s=0)
        answer = await call(w, asked(grant, "query_range"))
        assert is_refused(answer, 503, "draining")
        assert answer.header("retry-after") == "5"


async def test_queries_and_budgets_have_their_limits(tmp_path):
    async with world(tmp_path, lines=LINES) as w:
        often = await w.grant(limits=Limits(queries_per_min=2))
        for route in ("labels", "index/volume"):
            assert (await call(w, asked(often, route))).status == 200
        answer = await call(w, asked(often, "query_range"))
        assert answer.status == 429
        little = await w.grant(limits=Limits(lines=1))
        assert (await call(w, asked(little, "query_range"))).status == 200
        await w.entries("session.closed")
        is_refused(await call(w, asked(little, "query_range")), 403, "grant_ended")


IMPOSSIBLE = [
    ("sum_over_time({} | json | unwrap word [1m])", "SampleExtractionErr"),
    ("sum by (n) (rate({} | logfmt --strict [1m]))", "LogfmtParserErr"),
    ('{} | line_format "{{.x"', "parse error"),
    ("sum by (pod) (rate({}[1m])) / on (service) sum by (pod) (rate({}[1m]))", "several series on the right"),
    ('label_replace(sum by (pod) (rate({}[1m])), "pod", "same", "pod", ".*")', "label"),
]


async def test_a_pipeline_or_a_metric_that_cannot_be(tmp_path):
    async with world(tmp_path, lines=LINES) as w:
        grant = await w.grant()
        for query, words in IMPOSSIBLE:
            answer = await call(w, address(grant, "query_range?step=1", query=query))
            is_refused(answer, 400, "query_invalid", words)


async def test_a_client_of_json_alone_gets_its_message_in_json(tmp_path):
    async with world(tmp_path) as w:
        answer = await call(w, address(await w.grant(), "query_range", query="{"), TOKEN, "Accept: application/json")
        assert (answer.status, answer.header("content-type")) == (400, "application/json")
        assert "parse error at line 1, col 2" in json.loads(answer.body)["message"]


async def sent(w: World, path: str, body: bytes, kind: str = "application/x-www-form-urlencoded", method="POST"):
    fields = (f"Content-Type: {kind}", f"Content-Length: {len(body)}", "Connection: close")
    reader, writer = await asyncio.open_connection("127.0.0.1", w.port)
    writer.write(request_bytes(path, TOKEN, *fields, method=method) + body)
    raw = await asyncio.wait_for(reader.read(), 20)
    writer.close()
    return answer_of(raw)
