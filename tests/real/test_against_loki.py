"""A real Loki and the gateway answer the same queries over the same log with the same lines and numbers.

The gateway reads with the profile `raw`, so nothing is masked. Compared are lines with time, order and labels, and numbers
with their labels and times, to a relative 1e-9. What this Loki, release 2.2.1, does not know is left out: the label
`__error_details__`, and `detected_level`, which each query asked of the gateway drops behind its first line filters. Where the two differ on purpose `loki_differences.toml` has the query and
the reason; a difference that is not listed fails, and so does a listed one that is none.
"""

from __future__ import annotations

import json
import math
import tomllib
import urllib.error
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from tests.gateway.world import TOKEN, World, call, line, world
from tests.real.loki import Loki
from tests.real.loki_lines import END, SECOND, START, lines

from loglease.logql import LogQuery, ParseError, parse, print_query
from loglease.logql.syntax import Drop, LineFilter
from loglease.model.limits import Limits

pytestmark = pytest.mark.real_loki

HERE = Path(__file__).parent
FLAG = "X-Loki-Response-Encoding-Flags: categorize-labels"
UNKNOWN_TO_LOKI = "__error_details__"

Answer = Mapping[Any, Any] | str


@dataclass(frozen=True)
class Variant:
    """One way to ask a query."""

    name: str
    route: str
    parameters: Mapping[str, str | int]


LOG_VARIANTS = [
    Variant("forward", "query_range", {"start": START, "end": END, "limit": 5000, "direction": "forward"}),
    Variant("backward", "query_range", {"start": START, "end": END, "limit": 5000, "direction": "backward"}),
    Variant("oldest seven", "query_range", {"start": START, "end": END, "limit": 7, "direction": "forward"}),
    Variant("newest seven", "query_range", {"start": START, "end": END, "limit": 7, "direction": "backward"}),
    Variant("spaced", "query_range", {"start": START, "end": END, "limit": 5000, "interval": "20"}),
    Variant("a part", "query_range", {"start": START + 100 * SECOND, "end": START + 501_007_000_250, "limit": 5000}),
]
METRIC_VARIANTS = [
    Variant("every 30 s", "query_range", {"start": START, "end": END, "step": "30"}),
    Variant("every minute", "query_range", {"start": START + 60 * SECOND, "end": END + 300 * SECOND, "step": "60s"}),
    Variant("in the middle", "query", {"time": START + 301_500_000_000}),
    Variant("at the end", "query", {"time": END}),
]


def _groups() -> dict[str, list[str]]:
    groups: dict[str, list[str]] = {}
    name = ""
    for text in (HERE / "loki_queries.txt").read_text().splitlines():
        if text.startswith("## "):
            name = text[3:]
        elif text and not text.startswith("#"):
            groups.setdefault(name, []).append(text)
    return groups


def _listed() -> dict[str, str]:
    found = tomllib.loads((HERE / "loki_differences.toml").read_text())
    return {query: one["reason"] for one in found["difference"] for query in one["queries"]}


GROUPS = _groups()


@pytest.fixture(scope="module")
def tenant(loki_server: Loki) -> str:
    name = next(loki_server.tenants)
    streams: dict[tuple[tuple[str, str], ...], list[tuple[int, str]]] = {}
    for ts, labels, text in lines():
        streams.setdefault(tuple(labels.items()), []).append((ts, text))
    loki_server.push(name, [(dict(labels), values) for labels, values in streams.items()])
    return name


@pytest.mark.parametrize("group", GROUPS)
async def test_the_same_answers(group: str, loki_server: Loki, tenant: str, tmp_path: Path) -> None:
    differing: dict[str, list[str]] = {}
    written = [line(ts, text, **labels) for ts, labels, text in lines()]
    async with world(tmp_path, lines=written) as w:
        grant = await w.grant('{env="prod"}', limits=Limits(queries_per_min=100_000))
        base = f"/g/{grant.id}"
        for query in GROUPS[group]:
            for variant in METRIC_VARIANTS if _is_metric(query) else LOG_VARIANTS:
                parameters = {"query": query, **variant.parameters}
                theirs = _loki(loki_server, tenant, variant.route, parameters)
                ours = await _gateway(w, base, variant.route, parameters)
                if not _equal(ours, theirs):
                    differing.setdefault(query, []).append(f"{variant.name}: {_first(ours, theirs)}")
    listed = {query for query in _listed() if query in GROUPS[group]}
    assert {query: said for query, said in differing.items() if query not in listed} == {}
    assert listed <= set(differing), "listed as a difference, but it is none"


@pytest.mark.parametrize("route", ["labels", "label", "label/service/values", "label/missing/values", "series"])
async def test_the_same_names(route: str, loki_server: Loki, tenant: str, tmp_path: Path) -> None:
    parameters: dict[str, str | int] = {"start": START, "end": END}
    if route == "series":
        parameters["match[]"] = '{service=~"a.*|db", pod="1"}'
    written = [line(ts, text, **labels) for ts, labels, text in lines()]
    async with world(tmp_path, lines=written) as w:
        grant = await w.grant('{env="prod"}')
        found = await call(w, f"/g/{grant.id}/loki/api/v1/{route}?{urlencode(parameters)}", TOKEN)
        theirs = loki_server.get(tenant, f"/loki/api/v1/{route}", **parameters)
        assert found.status == 200
        ours = json.loads(found.body)
        assert ours["status"] == theirs["status"] == "success"
        assert _sorted(ours.get("data")) == _sorted(theirs.get("data"))


def _sorted(found: list[Any] | None) -> list[str]:
    return sorted(json.dumps(one, sort_keys=True) for one in found or () if one != "__name__")


def test_every_listed_difference_is_of_a_query_that_is_asked() -> None:
    asked = {query for queries in GROUPS.values() for query in queries}
    assert set(_listed()) <= asked
    assert len(asked) >= 300


def _is_metric(query: str) -> bool:
    return not query.startswith("{")


def _loki(server: Loki, tenant: str, route: str, parameters: Mapping[str, str | int]) -> Answer:
    try:
        found = server.get(tenant, f"/loki/api/v1/{route}", **parameters)
    except urllib.error.HTTPError as error:
        with error:
            return f"refused with {error.code}"
    return _answer(found["data"])


async def _gateway(w: World, base: str, route: str, parameters: Mapping[str, str | int]) -> Answer:
    asked = {**parameters, "query": _without_level(str(parameters["query"]))}
    found = await call(w, f"{base}/loki/api/v1/{route}?{urlencode(asked)}", TOKEN, FLAG)
    if found.status != 200:
        return f"refused with {found.status}"
    return _answer(json.loads(found.body)["data"])


def _without_level(query: str) -> str:
    """Return a query that drops the derived level first; one that is refused as it is."""
    try:
        return print_query(_dropping(parse(query)))
    except ParseError:
        return query


def _dropping(node: Any) -> Any:
    if isinstance(node, LogQuery):
        at = next((n for n, stage in enumerate(node.stages) if not isinstance(stage, LineFilter)), len(node.stages))
        return replace(node, stages=(*node.stages[:at], Drop(("detected_level",)), *node.stages[at:]))
    if not is_dataclass(node) or isinstance(node, type):
        return node
    return replace(node, **{one.name: _dropping(getattr(node, one.name)) for one in fields(node)})


def _answer(data: Mapping[str, Any]) -> Answer:
    if data["resultType"] == "scalar":
        return {(): [_sample(data["result"])]}
    if data["resultType"] == "streams":
        return _lines(data["result"])
    answer = {}
    for one in data["result"]:
        samples = one["values"] if "values" in one else [one["value"]]
        answer[_labels(one["metric"])] = [_sample(sample) for sample in samples]
    return answer


def _lines(streams: list[dict[str, Any]]) -> Mapping[Any, Any]:
    answer: dict[Any, list[tuple[str, str]]] = {}
    for one in streams:
        for ts, text, *categories in one["values"]:
            labels = dict(one["stream"])
            for category in categories[0].values() if categories else ():
                labels |= category
            answer.setdefault(_labels(labels), []).append((ts, text))
    return answer


def _labels(labels: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted((name, value) for name, value in labels.items() if name != UNKNOWN_TO_LOKI and value))


def _sample(sample: list[Any]) -> tuple[float, float]:
    return float(sample[0]), float(sample[1])


def _equal(ours: Answer, theirs: Answer) -> bool:
    if isinstance(ours, str) or isinstance(theirs, str) or ours.keys() != theirs.keys():
        return ours == theirs
    return all(_same(ours[key], theirs[key]) for key in ours)


def _same(ours: list[Any], theirs: list[Any]) -> bool:
    if len(ours) != len(theirs):
        return False
    for mine, other in zip(ours, theirs, strict=True):
        if mine[0] != other[0]:
            return False
        if isinstance(mine[1], str):
            if mine[1] != other[1]:
                return False
        elif not (math.isclose(mine[1], other[1], rel_tol=1e-9) or (math.isnan(mine[1]) and math.isnan(other[1]))):
            return False
    return True


def _first(ours: Answer, theirs: Answer) -> str:
    """Say where two answers part."""
    if isinstance(ours, str) or isinstance(theirs, str):
        return f"ours {str(ours)[:200]}, Loki {str(theirs)[:200]}"
    return next(_partings(ours, theirs))


def _partings(ours: Mapping[Any, Any], theirs: Mapping[Any, Any]) -> Iterator[str]:
    for key in sorted({*ours, *theirs}):
        if not _same(ours.get(key, []), theirs.get(key, [])):
            mine, other = ours.get(key, []), theirs.get(key, [])
            at = next(
                (n for n, (a, b) in enumerate(zip(mine, other, strict=False)) if not _same([a], [b])),
                min(len(mine), len(other)),
            )
            yield f"{key} at {at}: ours {mine[at : at + 2]} of {len(mine)}, Loki {other[at : at + 2]} of {len(other)}"
