"""Functions over vectors, operations between them, and the order of answers."""

from __future__ import annotations

import math

import pytest
from tests.logql.running import SECOND, Lines, at, compute

from loglease.logql.errors import QueryFailed
from loglease.logql.metrics import Grid

LINES: Lines = [
    *((10 + number, {"app": "pay", "pod": "1"}, "x") for number in range(4)),
    *((20 + number, {"app": "pay", "pod": "2"}, "x") for number in range(2)),
    (30, {"app": "web", "pod": "1"}, "x"),
]
ALL = "count_over_time({} [1m])"
PAY = 'count_over_time({app="pay"} [1m])'
WEB = 'count_over_time({app="web"} [1m])'
NONE = 'count_over_time({app="none"} [1m])'


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (f"sum({ALL})", {"": 7}),
        (f"sum by (app) ({ALL})", {"app=pay": 6, "app=web": 1}),
        (f"sum without (app) ({ALL})", {"pod=1": 5, "pod=2": 2}),
        (f"sum by (missing) ({ALL})", {"": 7}),
        (f"avg by (app) ({ALL})", {"app=pay": 3, "app=web": 1}),
        (f"min({ALL})", {"": 1}),
        (f"max({ALL})", {"": 4}),
        (f"count({ALL})", {"": 3}),
        (f"stdvar by (app) ({ALL})", {"app=pay": 1, "app=web": 0}),
        (f"stddev by (app) ({ALL})", {"app=pay": 1, "app=web": 0}),
        (f"topk(1, {ALL})", {"app=pay pod=1": 4}),
        (f"topk(1, {ALL}) by (app)", {"app=pay pod=1": 4, "app=web pod=1": 1}),
        (f"bottomk(2, {ALL})", {"app=web pod=1": 1, "app=pay pod=2": 2}),
        (f"approx_topk(2, {ALL})", {"app=pay pod=1": 4, "app=pay pod=2": 2}),
        (f"sum({NONE})", {}),
        (f"max({WEB} % 0)", {"": math.nan}),
        (f"max({WEB} % 0 or {PAY})", {"": 4}),
        (f"topk(1, {WEB} % 0 or {PAY})", {"app=pay pod=1": 4}),
    ],
)
def test_vector_functions(query, expected):
    assert at(query, LINES) == pytest.approx(expected, nan_ok=True)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (f"{PAY} * 2", {"app=pay pod=1": 8, "app=pay pod=2": 4}),
        (f"10 - {WEB}", {"app=web pod=1": 9}),
        (f"{WEB} / 0", {"app=web pod=1": math.nan}),
        (f"{PAY} % 3", {"app=pay pod=1": 1, "app=pay pod=2": 2}),
        (f"{WEB} * -7 % 3", {"app=web pod=1": -1}),
        (f"2 ^ {PAY}", {"app=pay pod=1": 16, "app=pay pod=2": 4}),
        (f"{PAY} ^ 9999", {"app=pay pod=1": math.inf, "app=pay pod=2": math.inf}),
        (f"{ALL} > 1", {"app=pay pod=1": 4, "app=pay pod=2": 2}),
        (f"3 > {ALL}", {"app=pay pod=2": 2, "app=web pod=1": 1}),
        (f"{PAY} > bool 3", {"app=pay pod=1": 1, "app=pay pod=2": 0}),
        (f"{PAY} + {PAY}", {"app=pay pod=1": 8, "app=pay pod=2": 4}),
        (f"{PAY} + {WEB}", {}),
        (f"{PAY} + on (pod) {WEB}", {"pod=1": 5}),
        (f"{PAY} + ignoring (app) {WEB}", {"pod=1": 5}),
        (f"{PAY} > on (pod) {WEB}", {"pod=1": 4}),
        (f"{PAY} - on (app) group_left sum by (app) ({PAY})", {"app=pay pod=1": -2, "app=pay pod=2": -4}),
        (f"sum by (app) ({PAY}) - on (app) group_right {PAY}", {"app=pay pod=1": 2, "app=pay pod=2": 4}),
        (f"sum by (app) ({PAY}) > on (app) group_right {PAY}", {"app=pay pod=1": 6, "app=pay pod=2": 6}),
        (f"{PAY} * on (pod) group_left (app) {WEB}", {"app=web pod=1": 4}),
        (f"{PAY} * on (pod) group_left (missing) {WEB}", {"app=pay pod=1": 4}),
        (f"{PAY} and on (pod) {WEB}", {"app=pay pod=1": 4}),
        (f"{PAY} unless on (pod) {WEB}", {"app=pay pod=2": 2}),
        (f"{PAY} or {WEB}", {"app=pay pod=1": 4, "app=pay pod=2": 2, "app=web pod=1": 1}),
        (f"{WEB} or on (pod) {PAY}", {"app=web pod=1": 1, "app=pay pod=2": 2}),
        (f"{NONE} or vector(0)", {"": 0}),
        ("vector(1) + vector(1)", {"": 2}),
        # Nothing can match, so that it would be ambiguous is no error.
        (f"{NONE} + on (app) {PAY}", {}),
    ],
)
def test_operations(query, expected):
    assert at(query, LINES) == pytest.approx(expected, nan_ok=True)


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        (f"{WEB} + on () {PAY}", "match_ambiguous"),
        (f"{PAY} + on () {WEB}", "match_ambiguous"),
        (f"{PAY} + on () group_right {WEB}", "match_ambiguous"),
        (f'label_replace({PAY}, "pod", "x", "app", ".*")', "series_doubled"),
    ],
)
def test_ambiguous_series_are_refused(query, reason):
    with pytest.raises(QueryFailed) as failed:
        at(query, LINES)
    assert failed.value.reason == reason


@pytest.mark.parametrize(
    ("target", "replacement", "source", "pattern", "expected"),
    [
        ("new", "$1-${2}", "app", "(w)(.*)", "app=web new=w-eb pod=1"),
        ("new", "x", "app", "we", "app=web pod=1"),
        ("app", "", "app", ".*", "pod=1"),
        ("new", "$9", "app", ".*", "app=web pod=1"),
        ("new", "$1x", "app", "(.*)", "app=web pod=1"),
        ("new", "$$1", "app", "(.*)", "app=web new=$1 pod=1"),
        ("new", "none", "missing", "", "app=web new=none pod=1"),
        ("new", "$first", "app", "(?P<first>.).*", "app=web new=w pod=1"),
    ],
)
def test_label_replace(target, replacement, source, pattern, expected):
    query = f'label_replace({WEB}, "{target}", "{replacement}", "{source}", "{pattern}")'
    assert at(query, LINES) == {expected: 1}


@pytest.mark.parametrize(
    ("query", "values"),
    [
        (ALL, [4, 2, 1]),
        (f"sort({ALL})", [1, 2, 4]),
        (f"sort_desc({ALL})", [4, 2, 1]),
        (f"sort({WEB} % 0 or {PAY})", [2, 4, math.nan]),
        (f"sort_desc({WEB} % 0 or {PAY})", [4, 2, math.nan]),
        (f"sort({ALL}) + 0", [4, 2, 1]),
    ],
)
def test_vectors_are_ordered_by_labels_unless_sorted(query, values):
    assert list(at(query, LINES).values()) == pytest.approx(values, nan_ok=True)


def test_a_number_by_itself_is_a_scalar_or_a_flat_line():
    assert compute("1 + 1", [], Grid.instant(0), is_instant=True).scalar == 2
    flat = compute("2", [], Grid.range(0, 10 * SECOND, 10 * SECOND))
    assert flat.series == [((), [(0, 2), (1, 2)])]
