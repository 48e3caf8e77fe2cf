"""The engine against a slow evaluator that was written separately, over generated lines and queries.

`LOGQL_ROUNDS` sets how many queries are tried of each kind.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st
from tests.logql import fitting
from tests.logql.records import BEGIN, SECOND, records, redacted
from tests.logql.reference import lines
from tests.logql.reference import metrics as reference
from tests.logql.reference.joins import Refused
from tests.logql.reference.lines import Record
from tests.volume import volume

from loglease.logql import Entry, LogQuery, Metric, Pipeline, Streams, parse, print_query, split_filters
from loglease.logql.errors import QueryFailed
from loglease.logql.metrics import Answer, Grid, MetricQuery

ROUNDS = int(os.environ.get("LOGQL_ROUNDS", volume(50, 200)))
NOW = BEGIN + 3600 * SECOND
unhurried = settings(
    max_examples=ROUNDS, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)


class Span(NamedTuple):
    start: int
    end: int
    kind: str = "mask"


def rescan(_name: str, text: str) -> str:
    return redacted(text)


def entry_of(record: Record) -> Entry:
    spans = [Span(start, end) for start, end in record.masks]
    return Entry(record.ns, record.text.encode(), spans, record.stream, record.metadata)


def described(line: lines.Line | None) -> object:
    if line is None:
        return None
    return line.text, {(name, value, kind) for name, (value, kind) in line.labels.items()}, line.error


def by_engine(query: LogQuery, record: Record) -> object:
    entry = entry_of(record)
    if not Streams(query.selector).selects(record.stream):
        return None
    if not Pipeline(query.stages, rescan=rescan, now=NOW).passes(entry):
        return None
    labels = {(name, value, kind.name.lower()) for name, value, kind in entry.items()}
    return entry.line.decode(), labels, entry.fault and entry.fault[0]


def by_definition(query: LogQuery, record: Record) -> object:
    if not lines.selects(query.selector, record.stream):
        return None
    return described(lines.evaluate(query.stages, record, rescan))


@pytest.mark.volume
@unhurried
@given(fitting.log_queries, records)
def test_log_queries_are_as_defined(query, data):
    note(print_query(query))
    for record in data:
        note(repr(record))
        assert by_engine(query, record) == by_definition(query, record)


def _computed(query: Metric, data: Sequence[Record], grid: Grid, *, is_instant: bool) -> Answer | None:
    engine = MetricQuery(query, grid, rescan=rescan, now=NOW, is_instant=is_instant)
    try:
        for number, log_range in enumerate(engine.ranges):
            first, behind = grid.read_interval(log_range)
            streams = Streams(log_range.query.selector)
            read = [one for one in data if first <= one.ns < behind and streams.selects(one.stream)]
            filters = Pipeline(split_filters(log_range.query.stages)[0], rescan=rescan, now=NOW)
            engine.feed(number, filter(filters.passes, map(entry_of, read)))
        return engine.answer()
    except QueryFailed as error:
        note(f"engine: {error.reason} {error.message}")
        return None


def _defined(query: Metric, data: Sequence[Record], grid: Grid, *, is_instant: bool) -> reference.Answer | None:
    steps = [grid.at(index) for index in range(grid.count)]
    try:
        return reference.answer(query, reference.Evaluation(data, rescan), steps, is_instant=is_instant)
    except Refused as error:
        note(f"reference: {error}")
        return None


def _same(left: float, right: float) -> bool:
    return math.isclose(left, right, rel_tol=1e-9, abs_tol=1e-9) or (math.isnan(left) and math.isnan(right))


def assert_equal(found: Answer | None, expected: reference.Answer | None) -> None:
    if found is None or expected is None:
        assert (found is None) is (expected is None)
        return
    assert (found.scalar is None) is (expected.scalar is None)
    assert found.scalar is None or _same(found.scalar, expected.scalar)
    assert [series for series, _ in found.series] == [series for series, _ in expected.series]
    for (_, points), (_, wanted) in zip(found.series, expected.series, strict=True):
        assert [step for step, _ in points] == [step for step, _ in wanted]
        assert all(_same(one, other) for (_, one), (_, other) in zip(points, wanted, strict=True)), (points, wanted)


grids = st.one_of(
    st.integers(0, 26).map(lambda number: (Grid.instant(BEGIN + number * 5 * SECOND), True)),
    st.tuples(st.integers(-20, 100), st.integers(0, 80), st.sampled_from([1, 5, 15, 60])).map(
        lambda drawn: (
            Grid.range(BEGIN + drawn[0] * SECOND, BEGIN + (drawn[0] + drawn[1]) * SECOND, drawn[2] * SECOND),
            False,
        )
    ),
)


@pytest.mark.volume
@unhurried
@given(st.one_of(fitting.metrics, fitting.operations), records, grids)
def test_metric_queries_are_as_defined(query, data, drawn):
    grid, is_instant = drawn
    note(f"{print_query(query)}\n{grid} instant={is_instant}")
    for record in data:
        note(repr(record))
    found = _computed(query, data, grid, is_instant=is_instant)
    expected = _defined(query, data, grid, is_instant=is_instant)
    note(f"engine: {found}\nreference: {expected}")
    assert_equal(found, expected)


@pytest.mark.volume
@unhurried
@given(st.one_of(fitting.log_queries, fitting.metrics))
def test_queries_of_the_comparison_can_be_written(query):
    assert parse(print_query(query)) == query
