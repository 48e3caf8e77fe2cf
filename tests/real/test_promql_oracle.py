"""Metric queries against Prometheus' own engine, over the same samples.

Where we differ on purpose: dividing by zero gives NaN here, and plus or minus infinity there, so no divisor is 0; a sign
before a number belongs to the number here, while there it binds less than ``^``, so no number has one before ``^``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.real.oracle import Oracle

from loglease.logql import Entry, LogqlError, Metric, metrics, parse
from loglease.logql.metrics import Grid, MetricQuery

pytestmark = pytest.mark.real_go

AT_MS = 1_700_000_000_000
MS = 10**6

many = settings(max_examples=200, deadline=None)


class Samples(NamedTuple):
    """One series: the metric that it belongs to, its labels, and its samples as milliseconds before the query."""

    metric: str
    labels: tuple[tuple[str, str], ...]
    points: tuple[tuple[int, float], ...]


Answer = dict[tuple[tuple[str, str], ...], float] | float | str


def ours(query: str, series: Sequence[Samples], at_ms: int = AT_MS) -> Answer:
    """Answer a query at one point in time; a text says that there is no answer."""
    try:
        answer = answered(query, series, Grid.instant(at_ms * MS), is_instant=True)
    except LogqlError as error:
        return str(error)
    if answer.scalar is not None:
        return answer.scalar
    return {found: points[0][1] for found, points in answer.series}


def answered(query: str, series: Sequence[Samples], grid: Grid, *, is_instant: bool = False) -> metrics.Answer:
    metric = parse(query)
    assert isinstance(metric, Metric)
    asked = MetricQuery(metric, grid, rescan=lambda _, text: text, now=AT_MS * MS, is_instant=is_instant)
    for number, log_range in enumerate(asked.ranges):
        wanted = {test.value for test in log_range.query.selector if test.name == "src"}
        entries = [
            Entry(
                (AT_MS - before) * MS,
                b"line",
                (),
                {"src": one.metric, **dict(one.labels)},
                {"v": repr(value)} if "unwrap" in query else {},
            )
            for one in series
            if one.metric in wanted
            for before, value in one.points
        ]
        first, end = grid.read_interval(log_range)
        asked.feed(number, sorted((one for one in entries if first <= one.ns < end), key=lambda one: one.ns))
    return asked.answer()


def theirs(oracle: Oracle, query: str, series: Sequence[Samples], at_ms: int = AT_MS) -> Answer:
    stored = [
        {
            "labels": {"__name__": one.metric, "src": one.metric, **dict(one.labels)},
            "times": [AT_MS - before for before, _ in one.points],
            "values": [repr(value) for _, value in one.points],
        }
        for one in series
    ]
    answer = oracle.ask("promql", query, series=stored, at=at_ms)
    if answer.get("error"):
        return str(answer["error"])
    if answer.get("scalar"):
        return float(answer["scalar"])
    return {
        tuple(sorted((name, value) for name, value in one["labels"].items() if name != "__name__")): float(one["value"])
        for one in answer["vector"]
    }


def is_close(left: float, right: float) -> bool:
    if math.isnan(left) or math.isnan(right):
        return math.isnan(left) and math.isnan(right)
    return math.isclose(left, right, rel_tol=1e-9, abs_tol=1e-9)


def agree(here: Answer, there: Answer, *asked: object, in_order: bool = False) -> None:
    told = f"here: {here}\nthere: {there}\nasked: {asked}"
    if isinstance(here, dict) and isinstance(there, dict):
        assert (list(here) == list(there)) if in_order else (here.keys() == there.keys()), told
        assert all(is_close(here[series], there[series]) for series in here), told
    elif isinstance(here, float) and isinstance(there, float):
        assert is_close(here, there), told
    else:
        assert isinstance(here, str), told
        assert isinstance(there, str), told


LEAVES = ("one", "two")


def in_logql(query: str) -> str:
    for leaf in LEAVES:
        query = query.replace(f"<{leaf}>", f'max_over_time({{src="{leaf}"}} | unwrap v [1m]) by (a, b, c)')
    return query


def in_promql(query: str) -> str:
    for leaf in LEAVES:
        query = query.replace(f"<{leaf}>", f"max without (src) (max_over_time({leaf}[1m]))")
    return query


values = st.sampled_from((math.nan, math.inf, -math.inf)) | st.sampled_from(
    [number / 4 for number in range(-40, 41) if number]
)
labels = st.dictionaries(st.sampled_from("abc"), st.sampled_from(("x", "y", "z1")), max_size=3).map(
    lambda found: tuple(sorted(found.items()))
)


def members(metric: str) -> st.SearchStrategy[list[Samples]]:
    return st.lists(labels, max_size=5, unique=True).flatmap(
        lambda sets: st.lists(values, min_size=len(sets), max_size=len(sets), unique_by=repr).map(
            lambda numbers: [
                Samples(metric, found, ((500, value),)) for found, value in zip(sets, numbers, strict=True)
            ]
        )
    )


stores = st.builds(lambda one, two: [*one, *two], members("one"), members("two"))
names = st.lists(st.sampled_from("abc"), max_size=2, unique=True).map(lambda found: f"({', '.join(found)})")
leaves = st.sampled_from(("<one>", "<two>"))
groupings = st.one_of(st.just(""), names.map("by {} ".format), names.map("without {} ".format))
operators = st.sampled_from(["+", "-", "*", "%", "^", "==", "!=", ">", "<", ">=", "<=", "and", "or", "unless"])
numbers = st.sampled_from(("1", "-2", "0.5", "3"))
matchings = st.one_of(
    st.just(""),
    st.builds("{} {} ".format, st.sampled_from(("on", "ignoring")), names),
    st.builds(
        "{} {} {} {} ".format,
        st.sampled_from(("on", "ignoring")),
        names,
        st.sampled_from(("group_left", "group_right")),
        names | st.just(""),
    ),
)


def combined(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    comparisons = st.sampled_from(("==", "!=", ">", "<", ">=", "<="))
    return st.one_of(
        st.builds(
            "{} {}({})".format,
            st.sampled_from(("sum", "avg", "min", "max", "count", "stddev", "stdvar")),
            groupings,
            inner,
        ),
        st.builds("({}) {} {}({})".format, inner, operators, matchings, inner),
        st.builds("({}) {} bool {}({})".format, inner, comparisons, matchings, inner),
        st.builds("({}) {} {}".format, inner, st.sampled_from(["+", "-", "*", "/", "%", "^", ">", "<="]), numbers),
        st.builds(
            "{} {} ({})".format,
            st.sampled_from(("1", "0.5", "3")),
            st.sampled_from(["+", "-", "*", "^", "<", "!="]),
            inner,
        ),
        st.builds("({}) {} bool {}".format, inner, comparisons, numbers),
        st.builds("({}) / {}<two>".format, inner, matchings),
        st.builds("({}) or vector({})".format, inner, st.sampled_from(("0", "2.5"))),
    )


queries = st.recursive(leaves, combined, max_leaves=4)


@settings(max_examples=600, deadline=None)
@given(queries, stores)
def test_vectors(oracle: Oracle, query: str, store: list[Samples]) -> None:
    agree(ours(in_logql(query), store), theirs(oracle, in_promql(query), store), query, store)


@many
@given(st.sampled_from(("topk", "bottomk")), st.integers(1, 4), groupings, members("one"))
def test_largest_and_smallest(oracle: Oracle, name: str, most: int, grouping: str, store: list[Samples]) -> None:
    query = f"{name} {grouping}({most}, <one>)"
    agree(ours(in_logql(query), store), theirs(oracle, in_promql(query), store), query, store)


@many
@given(st.sampled_from(("sort", "sort_desc")), members("one"))
def test_order(oracle: Oracle, name: str, store: list[Samples]) -> None:
    query = f"{name}(<one>)"
    agree(ours(in_logql(query), store), theirs(oracle, in_promql(query), store), query, store, in_order=True)


@many
@given(
    st.sampled_from(("a", "b", "d")),
    st.lists(st.sampled_from(("$1", "${1}", "$2", "$name", "${name}_", "$$", "x", "é", "$")), max_size=3).map("".join),
    st.sampled_from(("a", "c", "d")),
    st.sampled_from(
        ("(.*)", "", ".*", "x|y", "(x)|(.*)", "(?P<name>[a-y]).*", "z", "z(\\\\d)", "(", ".+", "(?s)(.)", "X", "(?i)X")
    ),
    members("one"),
)
def test_label_replace(oracle: Oracle, target: str, text: str, source: str, pattern: str, store: list[Samples]) -> None:
    query = f'label_replace(<one>, "{target}", "{text}", "{source}", "{pattern}")'
    agree(ours(in_logql(query), store), theirs(oracle, in_promql(query), store), query, store)


def counted(metric: str) -> st.SearchStrategy[list[Samples]]:
    befores = st.lists(
        st.integers(-2, 14).map(lambda half: half * 1000) | st.integers(0, 14_000), max_size=8, unique=True
    )
    points = befores.flatmap(
        lambda times: st.lists(
            st.integers(-3, 1000).map(float) | st.floats(-100, 1e6) | values, min_size=len(times), max_size=len(times)
        ).map(lambda numbers: tuple(zip(sorted(times, reverse=True), numbers, strict=True)))
    )
    of_one = st.builds(Samples, st.just(metric), labels, points)
    return st.lists(of_one, max_size=3, unique_by=lambda one: one.labels)


RANGES = ("sum_over_time", "avg_over_time", "min_over_time", "max_over_time", "stddev_over_time", "stdvar_over_time")
MORE_RANGES = ("first_over_time", "last_over_time", "rate_counter", "quantile_over_time")
MARGINS = (10_000, 11_000, 9_000)


@settings(max_examples=400, deadline=None)
@given(
    st.sampled_from(RANGES + MORE_RANGES),
    st.sampled_from(("-1", "0", "0.3", "0.5", "0.99", "1", "2")),
    st.sampled_from(("", " offset 2s", " offset -1s")),
    counted("one"),
    st.integers(-2, 3),
)
def test_ranges(oracle: Oracle, name: str, share: str, offset: str, store: list[Samples], step: int) -> None:
    at_ms = AT_MS + step * 1000
    parameter = f"{share}, " if name == "quantile_over_time" else ""
    here = ours(f'{name}({parameter}{{src="one"}} | unwrap v [10s]{offset})', store, at_ms)
    there_name = "rate" if name == "rate_counter" else name
    agree(
        here,
        theirs(oracle, f"{there_name}({parameter}one[10s]{offset})", store, at_ms),
        name,
        share,
        offset,
        store,
        step,
    )


STEPPED = (
    ('count_over_time({src="one"}[3s])', "count_over_time(one[3s])"),
    ('sum_over_time({src="one"} | unwrap v [3s])', "sum_over_time(one[3s])"),
    ('last_over_time({src="one"} | unwrap v [2s] offset 1s)', "last_over_time(one[2s] offset 1s)"),
    ('rate_counter({src="one"} | unwrap v [6s])', "rate(one[6s])"),
    ('sum by (a) (count_over_time({src="one"}[3s]))', "sum by (a) (count_over_time(one[3s]))"),
    (
        'count_over_time({src="one"}[3s]) / on (a, b, c) count_over_time({src="one"}[6s] offset 1s)',
        "count_over_time(one[3s]) / on (a, b, c) count_over_time(one[6s] offset 1s)",
    ),
    ('absent_over_time({src="one"}[2s])', 'absent_over_time(one{src="one"}[2s])'),
    ('count_over_time({src="one"}[2s]) or vector(7)', "count_over_time(one[2s]) or vector(7)"),
)


@many
@given(
    st.sampled_from(STEPPED),
    counted("one"),
    st.integers(-16, 0),
    st.integers(1, 6),
    st.sampled_from((1000, 1500, 7000)),
)
def test_steps(
    oracle: Oracle, pair: tuple[str, str], store: list[Samples], start: int, count: int, step_ms: int
) -> None:
    start_ms = AT_MS + start * 1000
    grid = Grid.range(start_ms * MS, (start_ms + count * step_ms) * MS, step_ms * MS)
    found: dict[int, Answer] = {step: {} for step in range(grid.count)}
    for series, points in answered(pair[0], store, grid).series:
        for step, value in points:
            vector = found[step]
            assert isinstance(vector, dict)
            vector[series] = value
    for step, vector in found.items():
        agree(vector, theirs(oracle, pair[1], store, grid.at(step) // MS), pair, store, step, grid)


@many
@given(counted("one"), st.integers(-2, 3))
def test_counts(oracle: Oracle, store: list[Samples], step: int) -> None:
    at_ms = AT_MS + step * 1000
    agree(
        ours('count_over_time({src="one"}[10s])', store, at_ms),
        theirs(oracle, "count_over_time(one[10s])", store, at_ms),
    )
    agree(ours('rate({src="one"}[10s])', store, at_ms), theirs(oracle, "count_over_time(one[10s]) / 10", store, at_ms))
    agree(
        ours('rate({src="one"} | unwrap v [10s])', store, at_ms),
        theirs(oracle, "sum_over_time(one[10s]) / 10", store, at_ms),
    )


matchers = st.lists(
    st.builds(
        '{}{}"{}"'.format,
        st.sampled_from("abc"),
        st.sampled_from(("=", "=", "!=", "=~", "!~")),
        st.sampled_from(("x", "y", "")),
    ),
    max_size=4,
)


@many
@given(matchers)
@example(['a="x"', 'a="y"', 'b="x"'])
@example(['a!="x"', 'a="y"'])
@example(['a="y"', 'a!="x"'])
def test_absence(oracle: Oracle, found: list[str]) -> None:
    here = ours(f"absent_over_time({{{', '.join(found)}}}[10s])", [])
    agree(here, theirs(oracle, f"absent_over_time(none{{{', '.join(found)}}}[10s])", []))
