"""Functions over ranges, on a few samples."""

from __future__ import annotations

import math
from itertools import permutations

import pytest
from tests.logql.running import SECOND, Lines, at, compute

from loglease.logql.errors import QueryFailed
from loglease.logql.metrics import Grid

PAY = {"app": "pay"}
WEB = {"app": "web"}
LINES: Lines = [
    (10, PAY, "v=1 s=1KB d=1s k=a"),
    (20, PAY, "v=5 s=2KB d=500ms k=a"),
    (30, WEB, "v=4"),
    (40, PAY, "v=3 d=1m k=b"),
    (60, PAY, "v= k=c"),
]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("count_over_time({} [60s])", {"app=pay": 4, "app=web": 1}),
        # The beginning of a range is not in it, its end is.
        ("count_over_time({} [50s])", {"app=pay": 3, "app=web": 1}),
        ("count_over_time({} [60s] offset 20s)", {"app=pay": 3, "app=web": 1}),
        ('rate({app="pay"} [1m])', {"app=pay": 4 / 60}),
        ('bytes_over_time({app="web"} [1m])', {"app=web": 3}),
        ('bytes_rate({app="web"} | line_format "é" [1m])', {"app=web": 2 / 60}),
        ('sum_over_time({app="pay"} | logfmt | unwrap v | keep_all="" [1m])', {"app=pay d=1s k=a s=1KB": 1, "app=pay d=500ms k=a s=2KB": 5, "app=pay d=1m k=b": 3}),
        ("sum_over_time({} | logfmt v | unwrap v [1m])", {"app=pay": 9, "app=web": 4}),
        ("rate({} | logfmt v | unwrap v [1m])", {"app=pay": 9 / 60, "app=web": 4 / 60}),
        ("avg_over_time({} | logfmt | unwrap v [1m]) by (app)", {"app=pay": 3, "app=web": 4}),
        ("avg_over_time({} | logfmt | unwrap v [1m]) by ()", {"": 13 / 4}),
        ("min_over_time({} | logfmt | unwrap v [1m]) by (app)", {"app=pay": 1, "app=web": 4}),
        ("max_over_time({} | logfmt | unwrap v [1m]) without (s, d, k)", {"app=pay": 5, "app=web": 4}),
        ("stdvar_over_time({} | logfmt | unwrap v [1m]) by (app)", {"app=pay": 8 / 3, "app=web": 0}),
        ("stddev_over_time({} | logfmt | unwrap v [1m]) by (app)", {"app=pay": math.sqrt(8 / 3), "app=web": 0}),
        ("first_over_time({} | logfmt | unwrap v [1m]) by (app)", {"app=pay": 1, "app=web": 4}),
        ("last_over_time({} | logfmt | unwrap v [1m]) by (app)", {"app=pay": 3, "app=web": 4}),
        ("quantile_over_time(0.5, {} | logfmt | unwrap v [1m]) by (app)", {"app=pay": 3, "app=web": 4}),
        ("quantile_over_time(0.25, {} | logfmt | unwrap v [1m]) by (app)", {"app=pay": 2, "app=web": 4}),
        ("quantile_over_time(-1, {} | logfmt | unwrap v [1m]) by ()", {"": -math.inf}),
        ("quantile_over_time(2, {} | logfmt | unwrap v [1m]) by ()", {"": math.inf}),
        ("max_over_time({} | logfmt | unwrap bytes(s) [1m]) by (app)", {"app=pay": 2000}),
        ("max_over_time({} | logfmt | unwrap duration(d) [1m]) by (app)", {"app=pay": 60}),
        ("min_over_time({} | logfmt | unwrap duration_seconds(d) [1m]) by (app)", {"app=pay": 0.5}),
        ('max_over_time({} | logfmt | unwrap v | k="a" [1m]) by (app)', {"app=pay": 5}),
        # The label that gives the numbers leaves the series, unless they are grouped by it.
        ('max_over_time({app="web"} | logfmt | unwrap v [1m])', {"app=web": 4}),
        ('max_over_time({app="web"} | logfmt | unwrap v [1m]) by (v)', {"v=4": 4}),
        ('sum by (v) (sum_over_time({app="web"} | logfmt | unwrap v [1m]))', {"v=4": 4}),
        ('max by (v) (max_over_time({app="web"} | logfmt | unwrap v [1m]))', {"": 4}),
        ('absent_over_time({app="pay"} [1m])', {}),
        ('absent_over_time({app="x", b=~"y"} [1m])', {"app=x": 1}),
        ('absent_over_time({app="x", app!="y", b="z"} [1m])', {"b=z": 1}),
        ('absent_over_time({app="pay"} |= "nothing" [1m])', {"app=pay": 1}),
    ],
)  # fmt: skip
def test_range_functions(query, expected):
    assert at(query, LINES) == pytest.approx(expected)


COUNTER: Lines = [(10, PAY, "10"), (20, PAY, "30"), (30, PAY, "5"), (40, PAY, "45")]


@pytest.mark.parametrize(
    ("seconds", "span", "expected"),
    [
        # It grew by 20, 5 and 40, so 65 in 30 s; both ends lie close enough to be reached, up to where it was 0.
        (45, 40, 65 * (30 + 30 * 10 / 65 + 5) / 30 / 40),
        # Far from both ends it is continued by half a distance.
        (90, 85, 65 * (30 + 30 * 10 / 65 + 5) / 30 / 85),
        (25, 20, 20 * (10 + 5 + 5) / 10 / 20),
    ],
)
def test_rate_counter_extrapolates(seconds, span, expected):
    query = f'rate_counter({{}} | pattern "<v>" | unwrap v [{span}s])'
    assert at(query, COUNTER, seconds) == pytest.approx({"app=pay": expected})


def test_rate_counter_reaches_no_further_than_half_a_distance_where_zero_lies_before():
    lines: Lines = [(50, PAY, "9"), (60, PAY, "19")]
    # Zero would be 9 s before; half the distance between samples is 5 s.
    expected = {"app=pay": 10 * (10 + 5 + 0) / 10 / 60}
    assert at('rate_counter({} | pattern "<v>" | unwrap v [60s])', lines) == pytest.approx(expected)


def test_rate_counter_needs_two_samples():
    assert at('rate_counter({} | pattern "<v>" | unwrap v [60s])', COUNTER[:1]) == {}


def test_steps_are_multiples_from_the_start_rounded_down_to_the_end_rounded_up():
    grid = Grid.range(11 * SECOND, 31 * SECOND, 10 * SECOND)
    assert [grid.at(number) // SECOND for number in range(grid.count)] == [10, 20, 30, 40]
    answer = compute("count_over_time({} [10s])", LINES, grid)
    assert answer.series == [
        ((("app", "pay"),), [(0, 1), (1, 1), (3, 1)]),
        ((("app", "web"),), [(2, 1)]),
    ]


BROKEN: Lines = [(10, PAY, '{"a": 1}'), (50, PAY, "{"), (55, PAY, '{"a": "x"}')]


@pytest.mark.parametrize(
    "query",
    [
        "count_over_time({} | json [1m])",
        "sum by (a) (count_over_time({} | json [1m]))",
        'sum by (app) (count_over_time({} | json | a="" [1m]))',
        "sum_over_time({} |= `}` | json | unwrap a [1m])",
        'sum(count_over_time({} | json a="a" | a > 5 [1m]))',
    ],
)
def test_an_error_in_a_window_fails_the_query(query):
    with pytest.raises(QueryFailed, match="to skip such lines add"):
        at(query, BROKEN)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ('sum(count_over_time({} | json | __error__="" [1m]))', {"": 2}),
        ('sum(count_over_time({} | json | __error__!="" [1m]))', {"": 1}),
        ("sum by (__error__) (count_over_time({} | json [1m]))", {"": 2, "__error__=JSONParserErr": 1}),
        ("count by (__error__) (count_over_time({} | json [1m]))", {"": 2, "__error__=JSONParserErr": 1}),
        ("sum(count_over_time({} | json | drop __error__ [1m]))", {"": 3}),
        ('sum_over_time({} |= "}" | json | unwrap a | __error__="" [1m])', {"app=pay": 1}),
        # Nothing reads what the parser finds, so it does not run.
        ("sum(count_over_time({} | json [1m]))", {"": 3}),
        ('sum by (app) (count_over_time({} | json a="a" [1m]))', {"app=pay": 3}),
        ('absent_over_time({app="x"} | json [1m])', {"app=x": 1}),
        # The line with the error is in no window.
        ("sum by (a) (count_over_time({} | json [10s] offset 45s))", {"a=1": 1}),
    ],
)
def test_errors_that_a_query_expects_or_does_not_meet(query, expected):
    assert at(query, BROKEN) == expected


def test_an_error_between_two_windows_is_none_of_the_query():
    grid = Grid.range(20 * SECOND, 60 * SECOND, 20 * SECOND)
    lines: Lines = [(15, PAY, '{"a": 1}'), (25, PAY, "{")]
    answer = compute("count_over_time({} | json [10s])", lines, grid)
    assert answer.series == [((("a", "1"), ("app", "pay")), [(0, 1)])]


TIED: Lines = [
    (10, {"app": name}, text) for name, text in (("a", "v=0.1"), ("b", "v=0.2"), ("c", "v=0.3"), ("d", "v=0.7"))
]


@pytest.mark.parametrize(
    "function", ["rate", *(f"{name}_over_time" for name in ("sum", "first", "last", "stddev", "avg"))]
)
def test_lines_of_one_time_give_the_same_numbers_in_any_order(function):
    """Streams that look the same after redaction come in the order of their hidden labels."""
    numbers = set()
    for lines in permutations(TIED):
        query = f"{function}({{}} | logfmt | drop app | unwrap v [1m])"
        numbers.add(repr(at(query, lines)))
    assert len(numbers) == 1


def test_series_are_added_in_the_same_order_whichever_had_a_line_first():
    query = "sum(sum_over_time({} | logfmt | unwrap v [1m]))"
    assert len({repr(at(query, lines)) for lines in permutations(TIED)}) == 1


def test_of_errors_at_one_time_the_same_one_is_named():
    lines: Lines = [(10, {"app": "a"}, "{"), (10, {"app": "b"}, '{"v": "x"}'), (20, PAY, "{}")]
    named = set()
    for order in (lines, [lines[1], lines[0], lines[2]], lines[:2], lines[1::-1]):
        with pytest.raises(QueryFailed) as failed:
            at("sum_over_time({} | json | label_format v=`{{ if .v }}x{{ else }}1{{ end }}` | unwrap v [1m])", order)
        named.add(failed.value.message)
    assert len(named) == 1
