"""Lines that are only counted give the same numbers as lines that are looked at one by one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loglease.logql import Entry, LogQuery, parse
from loglease.logql.metrics import Grid, MetricQuery

STREAMS = ({"a": "x", "b": "1"}, {"a": "x", "b": "2"}, {"a": "y"})


def evaluation(text: str, grid: Grid) -> MetricQuery:
    query = parse(text)
    assert not isinstance(query, LogQuery)
    return MetricQuery(query, grid, rescan=lambda _, value: value, now=0, is_instant=False)


@pytest.mark.parametrize(
    "text",
    [
        "sum by (a) (count_over_time({} [7ms]))",
        "sum(rate({} [3ms] offset 2ms))",
        "sum by (a, b) (count_over_time({} [20ms] offset -1ms))",
        "sum by (a) (bytes_over_time({} [7ms]))",
        "sum(bytes_rate({} [3ms] offset 2ms))",
        "absent_over_time({} [2ms])",
    ],
)
@given(
    times=st.lists(st.tuples(st.integers(-50, 80), st.integers(0, 2)), max_size=30),
    first=st.integers(-20, 20),
    step=st.integers(1, 9),
    count=st.integers(1, 12),
)
def test_counting_times_is_counting_lines(text, times, first, step, count):
    grid = Grid(first * 10**6, step * 10**6, count)
    times = sorted((ns * 10**6, stream) for ns, stream in times)
    one_by_one, at_once = evaluation(text, grid), evaluation(text, grid)
    one_by_one.feed(0, (Entry(ns, b"x" * (ns % 7), (), STREAMS[stream]) for ns, stream in times))
    assert at_once.counts(0)
    assert not at_once.reads(0, "detected_level")
    for number, labels in enumerate(STREAMS):
        own = [ns for ns, stream in times if stream == number]
        at_once.count(0, labels, own, [ns % 7 for ns in own] if at_once.measures(0) else None)
    assert at_once.answer() == one_by_one.answer()


@pytest.mark.parametrize(
    ("text", "reads"),
    [
        ("sum by (a) (bytes_over_time({} | decolorize [1m]))", False),
        ("sum by (a) (count_over_time({} | json [1m]))", False),
        ('sum by (a) (count_over_time({} | detected_level="info" [1m]))', True),
        ("sum by (a) (count_over_time({} | drop detected_level [1m]))", False),
        ('sum by (a) (count_over_time({} | drop detected_level="info" [1m]))', True),
        ("sum by (a) (count_over_time({} | label_format x=detected_level [1m]))", True),
        ("sum_over_time({} | unwrap ms [1m])", True),
        ("avg_over_time({} | unwrap ms [1m]) by (a)", False),
        ("avg_over_time({} | unwrap detected_level [1m]) by (a)", True),
    ],
)
def test_what_depends_on_more_than_times_is_not_only_counted(text, reads):
    query = evaluation(text, Grid.instant(1))
    assert not query.counts(0)
    assert query.reads(0, "detected_level") is reads


@pytest.mark.parametrize("text", ["count_over_time({} [1m])", "sum by (detected_level) (rate({} [1m]))"])
def test_series_by_all_labels_or_by_the_level_read_it(text):
    assert evaluation(text, Grid.instant(1)).reads(0, "detected_level")
