"""Grafana's requests, played against the gateway on a real socket by GET and by POST: status and shape of each."""

from __future__ import annotations

import asyncio
import json
from base64 import b64encode
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
import yaml
from tests.gateway.world import T0, TOKEN, Answer, Line, World, answer_of, call, line, world

SECOND = 10**9
START, MIDDLE, END = T0, T0 + 15 * SECOND, T0 + 60 * SECOND
TIMES = {
    "start": str(START),
    "middle": str(MIDDLE),
    "end": str(END),
    "start_iso": "2023-11-14T22:13:20.000Z",
    "end_iso": "2023-11-14T22:14:20.000Z",
}
PLACES = {f"{{{name}}}" for name in TIMES}
REQUESTS: list[dict[str, Any]] = yaml.safe_load((Path(__file__).parent / "grafana.yaml").read_text())
HEADERS = ("X-Loki-Response-Encoding-Flags: categorize-labels", "X-Query-Tags: Source=grafana", "X-Scope-OrgID: fake")
BASIC = f"Authorization: Basic {b64encode(f'loglease:{TOKEN}'.encode()).decode()}"
GET_ALONE = {"status/buildinfo", "drilldown-limits"}


def lines() -> list[Line]:
    made = []
    for n in range(30):
        level, status = ("error", 500) if n % 3 == 0 else ("info", 200)
        text = json.dumps({"level": level, "status": status, "took": f"{n}ms", "msg": f"hello bob{n}@example.com"})
        made.append(line(T0 + n * SECOND, text, service="pay-api", pod=str(n % 2 + 1), env="prod"))
    hidden = [line(T0 + n * SECOND, "hidden", service="ledger", pod="9", env="prod") for n in range(30)]
    return sorted([*made, *hidden], key=lambda one: one.ts)


def parameters(request: Mapping[str, Any]) -> dict[str, str]:
    return {
        name: text.format(**TIMES) if text in PLACES else text for name, text in request.get("parameters", {}).items()
    }


async def posted(w: World, path: str, form: str) -> Answer:
    head = [f"POST {path} HTTP/1.1", "Host: x", f"Authorization: Bearer {TOKEN}", *HEADERS, "Connection: close"]
    head += ["Content-Type: application/x-www-form-urlencoded", f"Content-Length: {len(form)}", "", ""]
    reader, writer = await asyncio.open_connection("127.0.0.1", w.port)
    writer.write("\r\n".join(head).encode() + form.encode())
    raw = await asyncio.wait_for(reader.read(), 20)
    writer.close()
    return answer_of(raw)


def is_sample(pair: Any) -> bool:
    at, value = pair
    return isinstance(at, int | float) and isinstance(value, str) and float(value) >= 0


def is_set(labels: Any) -> bool:
    return isinstance(labels, dict) and all(isinstance(one, str) for pair in labels.items() for one in pair)


def data(body: Any) -> Any:
    assert body["status"] == "success"
    return body["data"]


def result(body: Any, kind: str) -> list[Any]:
    found = data(body)
    assert found["resultType"] == kind
    assert set(found["stats"]["summary"]) == {"totalEntriesReturned", "totalLinesProcessed", "totalPostFilterLines"}
    return list(found["result"])


def streams(body: Any) -> list[Any]:
    values = []
    assert data(body)["encodingFlags"] == ["categorize-labels"]
    for one in result(body, "streams"):
        assert is_set(one["stream"])
        assert set(one["stream"]) == {"service", "pod", "env"}
        for ns, text, categories in one["values"]:
            assert START <= int(ns) < END
            assert isinstance(text, str)
            assert set(categories) <= {"structuredMetadata", "parsed"}
            assert all(map(is_set, categories.values()))
        values += one["values"]
    return values


def vector(body: Any) -> list[Any]:
    found = result(body, "vector")
    assert all(is_set(one["metric"]) and is_sample(one["value"]) for one in found)
    return [one["value"] for one in found]


def matrix(body: Any) -> list[Any]:
    found = result(body, "matrix")
    assert found
    for one in found:
        assert is_set(one["metric"])
        assert all(map(is_sample, one["values"]))
        assert one["values"] == sorted(one["values"], key=lambda pair: pair[0])
    return [pair for one in found for pair in one["values"]]


def names(body: Any) -> list[Any]:
    found = data(body)
    assert found == sorted(found)
    return list(found)


def series(body: Any) -> list[Any]:
    assert all(map(is_set, data(body)))
    return list(data(body))


def statistics(body: Any) -> list[Any]:
    assert body == {"streams": 0, "chunks": 0, "bytes": 0, "entries": 0}
    return []


def build(body: Any) -> list[Any]:
    assert set(body) == {"version", "revision", "branch", "buildDate", "buildUser", "goVersion"}
    return []


def limits(body: Any) -> list[Any]:
    assert body["limits"] == {}
    assert body["pattern_ingester_enabled"] is False
    return []


def detected_labels(body: Any) -> list[Any]:
    assert all(set(one) == {"label", "cardinality"} for one in body["detectedLabels"])
    return list(body["detectedLabels"])


def detected_fields(body: Any) -> list[Any]:
    kinds = {"string", "int", "float", "boolean", "duration", "bytes"}
    assert body["limit"] == 1000
    assert all(one["type"] in kinds and one["cardinality"] > 0 for one in body["fields"])
    assert all(isinstance(one["parsers"], list) for one in body["fields"])
    return list(body["fields"])


def detected_values(body: Any) -> list[Any]:
    assert body["limit"] == 1000
    return list(body["values"])


SHAPES: Mapping[str, Callable[[Any], list[Any]]] = {
    shape.__name__: shape
    for shape in (
        streams,
        vector,
        matrix,
        names,
        series,
        statistics,
        build,
        limits,
        detected_labels,
        detected_fields,
        detected_values,
    )
}


async def test_every_request_of_grafana_is_answered_as_it_expects(tmp_path):
    async with world(tmp_path, lines=lines()) as w:
        grant = await w.grant('{service="pay-api"}', profile="pii-default@1")
        for request in REQUESTS:
            path = f"/g/{grant.id}/loki/api/v1/{request['route']}"
            form = urlencode(parameters(request))
            answers = [await call(w, f"{path}?{form}", None, *HEADERS, BASIC)]
            if request["route"] not in GET_ALONE:
                answers.append(await posted(w, path, form))
            for answer in answers:
                assert (answer.status, answer.header("content-type")) == (200, "application/json"), request["name"]
                assert answer.whole
                assert not [word for word in (b"ledger", b"hidden", b"example.com") if word in answer.body]
                items = SHAPES[request["shape"]](json.loads(answer.body))
                assert len(items) == request.get("items", len(items)), request["name"]
                if "sum" in request:
                    assert sum(float(value) for _, value in items) == request["sum"], request["name"]
            assert len({answer.body for answer in answers}) == 1, request["name"]


async def test_a_data_source_without_a_grant_in_its_address_is_served_by_all_that_are_active(tmp_path):
    async with world(tmp_path, lines=lines()) as w:
        await w.grant('{service="pay-api"}')
        path = f"/loki/api/v1/label/pod/values?start={START}&end={END}"
        assert json.loads((await call(w, path)).body)["data"] == ["1", "2"]
        assert (await call(w, "/loki/api/v1/query?query=vector(1)%2Bvector(1)&time=4000000")).status == 200
        await w.grant('{service="ledger"}')
        answer = await call(w, f"/loki/api/v1/label/service/values?start={START}&end={END}")
        assert json.loads(answer.body)["data"] == ["ledger", "pay-api"]


async def test_the_health_check_starts_no_clock_and_tells_of_a_grant_that_is_over(tmp_path):
    async with world(tmp_path) as w:
        grant = await w.grant(state="scheduled")
        path = f"/g/{grant.id}/loki/api/v1/query?query=vector(1)%2Bvector(1)&time=4000000"
        assert (await call(w, path)).status == 200
        assert (await w.stored_grant(grant)).state == "scheduled"
        await w.revoke(grant)
        answer = await call(w, path)
        assert (answer.status, b"grant_ended" in answer.body) == (403, True)


@pytest.mark.parametrize("token", [None, "llp_unknown"])
async def test_a_data_source_without_a_valid_token_is_told_how(tmp_path, token):
    async with world(tmp_path) as w:
        answer = await call(w, "/loki/api/v1/query?query=vector(1)%2Bvector(1)", token)
        assert answer.status == 401
        assert (answer.header("www-authenticate") or "").startswith("Bearer")
