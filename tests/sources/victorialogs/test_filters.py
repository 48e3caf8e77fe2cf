from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st
from tests.fakes.victorialogs import Stored, passes, time_of

from loglease.model.instant import Interval
from loglease.model.labels import Matcher, Selector, labels_of, matcher_of, selector_of
from loglease.sources.interface import MAX_TIME_NS, Direction
from loglease.sources.victorialogs.filters import (
    extra_filters,
    literal_filter,
    sorted_query,
    stream_filter,
    time_filter,
)

TEXTS = st.text(st.sampled_from("ab\\\"'`{}()[]|.*+?^$,= \n\té\U0001f600:~!#-0"), max_size=6)
VALUES = TEXTS.filter(bool)


@st.composite
def matchers(draw: st.DrawFn) -> Matcher:
    sets = [draw(st.sets(VALUES, max_size=3)) for _ in range(4)]
    any_value = draw(st.booleans())
    matcher = matcher_of(
        exact=sets[0], prefixes=sets[1], any_value=any_value, except_exact=sets[2], except_prefixes=sets[3]
    )
    return matcher or matcher_of(exact=("x",))


@given(
    st.dictionaries(st.sampled_from(["service", "or", "in"]), matchers(), max_size=3),
    st.lists(TEXTS, min_size=3, max_size=3),
)
def test_a_stream_filter_selects_what_the_selector_selects(chosen: dict[str, Matcher], values: list[str]) -> None:
    selector = selector_of(chosen)
    written = stream_filter(selector)
    labels = {name: value for name, value in zip(["service", "or", "in"], values, strict=True) if value}
    assert (written is None) is (not chosen)
    assert written is None or written.isascii()
    assert (written is None or passes(written)(Stored(0, labels, ""))) == selector.matches(labels_of(labels))


@given(VALUES, TEXTS)
def test_a_literal_filter_means_that_a_line_has_it(literal: str, line: str) -> None:
    written = literal_filter(literal.encode())
    assert written is not None
    assert passes(written)(Stored(0, {}, line)) == (literal in line)


def test_a_literal_that_cannot_be_written_is_left_out() -> None:
    assert literal_filter(b"\xff") is None
    assert literal_filter(b"") is None
    assert literal_filter(b"x", [b"\xff"]) is None
    assert literal_filter(b"x", [b""]) is None


def test_a_line_with_a_mark_passes_each_filter_of_a_literal() -> None:
    written = literal_filter(b"a.c", [b"-- ", b"[y]"])
    assert written is not None
    for line, expected in (("a.c", True), ("-- x", True), ("[y]", True), ("y", False), ("abc", False), ("--", False)):
        assert passes(written)(Stored(0, {}, line)) is expected


@given(st.integers(0, 1 << 62), st.integers(0, 1 << 62))
def test_a_time_filter_has_both_bounds_to_the_nanosecond(start: int, end: int) -> None:
    match = re.fullmatch(r"_time:\[(\S{30}), (\S{30})\)", time_filter(Interval(start, end)))
    assert match is not None
    assert (time_of(match[1]), time_of(match[2])) == (start, end)


def test_a_time_filter_stays_within_what_the_store_can_say() -> None:
    whole = f"_time:[1970-01-01T00:00:00.000000000Z, {'2262-04-11T23:47:16.854775807Z'})"
    assert time_filter(Interval(-5, None)) == time_filter(Interval(0, 1 << 70)) == whole
    assert time_of("2262-04-11T23:47:16.854775807Z") == MAX_TIME_NS


def test_the_scope_stands_in_extra_filters_and_the_query_is_constant() -> None:
    selector = selector_of({"service": Matcher(exact=frozenset({"pay"}))})
    pairs = extra_filters(selector, (b"x.y", b"\xff"), Interval(0, 10**9))
    assert pairs == [
        ("extra_filters", "_time:[1970-01-01T00:00:00.000000000Z, 1970-01-01T00:00:01.000000000Z)"),
        ("extra_stream_filters", '_stream:{"service"="pay"}'),
        ("extra_filters", '_msg:~"x\\x5c.y"'),
    ]
    assert extra_filters(Selector(), (), Interval(0, 10**9)) == pairs[:1]
    assert sorted_query(Direction.FORWARD, 5) == "* | sort by (_time) limit 5"
    assert sorted_query(Direction.BACKWARD, 5) == "* | sort by (_time desc) limit 5"
