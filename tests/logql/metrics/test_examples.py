"""Metric functions at their edges; each answer is that of Prometheus' own engine."""

from __future__ import annotations

import math

import pytest

from loglease.logql import Entry, ParseError, parse
from loglease.logql.errors import QueryFailed
from loglease.logql.metrics import Grid, MetricQuery
from loglease.logql.metrics.functions import counter_rate, quantile

SECOND = 10**9
AT = 1_700_000_000 * SECOND


def answered(query, series):
    """Answer a query over series that are given as labels and value, each with one line in the window."""
    asked = MetricQuery(parse(query), Grid.instant(AT), rescan=lambda _, text: text, now=AT, is_instant=True)
    for number, _ in enumerate(asked.ranges):
        asked.feed(number, [Entry(AT, b"line", (), labels, {"v": repr(value)}) for labels, value in series])
    return [(dict(found), points[0][1]) for found, points in asked.answer().series]


def test_the_rate_reaches_back_no_further_than_to_zero():
    samples = [(AT - 3 * SECOND, 2.0), (AT - 2 * SECOND, 0.0), (AT - SECOND, 0.0), (AT, 6.0)]
    assert counter_rate(samples, AT, 6 * SECOND) == pytest.approx(7 / 6)


@pytest.mark.parametrize(
    ("share", "values", "expected"),
    [
        (0, [math.inf], math.inf),
        (1, [1.0, math.nan], 1.0),
        (0.5, [3.0, math.nan, 1.0], 1.0),
        (0.5, [1.0, 2.0], 1.5),
        (-0.1, [1.0], -math.inf),
        (1.1, [1.0], math.inf),
    ],
)
def test_quantiles(share, values, expected):
    assert quantile(share, values) == expected


def test_what_is_no_number_is_the_lowest_of_a_quantile():
    assert math.isnan(quantile(0, [1.0, math.nan]))


@pytest.mark.parametrize(("name", "expected"), [("sort", ["x", "y", "z"]), ("sort_desc", ["y", "x", "z"])])
def test_what_is_no_number_is_last_in_every_order(name, expected):
    series = [({"a": "z"}, math.nan), ({"a": "y"}, 2.0), ({"a": "x"}, 1.0)]
    found = answered(f"{name}(max_over_time({{}} | unwrap v [1m]))", series)
    assert [labels["a"] for labels, _ in found] == expected


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        ('{a="x", b="y"}', {"a": "x", "b": "y"}),
        ('{a="x", a="y", b="x"}', {"b": "x"}),
        ('{a="x", a!="y"}', {}),
        ('{a!="y", a="x"}', {"a": "x"}),
        ('{a=~"x"}', {}),
    ],
)
def test_labels_of_what_is_absent(selector, expected):
    assert answered(f"absent_over_time({selector}[1m])", []) == [(expected, 1.0)]


def test_a_comparison_that_drops_everything_still_tells_series_that_go_with_one():
    series = [({}, math.nan), ({"a": "x"}, 1.0)]
    value = "max_over_time({} | unwrap v [1m])"
    with pytest.raises(QueryFailed, match="group_left"):
        answered(f"{value} == on () (sum ({value}))", series)


def test_nothing_on_one_side_goes_with_anything():
    series = [({}, 1.0), ({"a": "x"}, 1.0)]
    nothing = "(max_over_time({} | unwrap missing [1m]))"
    assert answered(f"{nothing} + on () group_left max_over_time({{}} | unwrap v [1m])", series) == []


def test_a_label_is_not_given_and_matched_at_once():
    with pytest.raises(ParseError, match="at once"):
        parse("rate({}[1m]) / on (a) group_left (a) rate({}[1m])")
