from __future__ import annotations

import re
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.fakes.loki import Stored, passes, time_of
from tests.sources.conformance import chosen

from loglease.logql import LogQuery, Streams, parse
from loglease.model.instant import Interval
from loglease.model.labels import Labels, Matcher, Selector, labels_of, matcher_of, selector_of
from loglease.sources.interface import MAX_TIME_NS, Direction
from loglease.sources.loki.requests import Requests, literal_filters, selector_of_stream, selectors_of

NAMES = ["service", "env", "zone"]
TEXTS = st.text(st.sampled_from("ab\\\"'`{}()[]|.*+?^$,= \n\té\u2028\U0001f600:~!#-0"), max_size=6)
VALUES = TEXTS.filter(bool)
STREAMS = st.dictionaries(st.sampled_from(NAMES), TEXTS).map(labels_of)


@st.composite
def matchers(draw: st.DrawFn) -> Matcher:
    sets = [draw(st.sets(VALUES, max_size=3)) for _ in range(4)]
    any_value = draw(st.booleans())
    matcher = matcher_of(
        exact=sets[0], prefixes=sets[1], any_value=any_value, except_exact=sets[2], except_prefixes=sets[3]
    )
    return matcher or matcher_of(exact=("x",))


SELECTORS = st.dictionaries(st.sampled_from(NAMES), matchers(), max_size=3).map(selector_of)


@st.composite
def selectors_and_streams(draw: st.DrawFn) -> tuple[Selector, Labels]:
    """Values are mostly those that the selector names, so that both answers come often."""
    selector = draw(SELECTORS)
    pairs = {}
    for name in NAMES:
        matcher = selector.matcher(name) or Matcher()
        named = sorted(matcher.exact | matcher.prefixes | matcher.except_exact | matcher.except_prefixes)
        pairs[name] = draw(st.one_of(st.sampled_from(named), TEXTS) if named else TEXTS) + draw(
            st.sampled_from(["", "a"])
        )
    return selector, labels_of(pairs)


def selected(text: str, labels: Labels) -> bool:
    """Ask our own reading of the query language, which shares no code with the printer, and the fake's."""
    query = parse(text)
    assert isinstance(query, LogQuery)
    by_us = Streams(query.selector).selects(dict(labels))
    assert passes(text)(Stored(0, dict(labels), "")) == by_us
    return by_us


@given(selectors_and_streams())
def test_a_printed_selector_selects_what_the_selector_selects(case: tuple[Selector, Labels]) -> None:
    selector, labels = case
    written = selectors_of(selector, NAMES)
    found = sum(selected(text, labels) for text in written)
    assert found == (selector.matches(labels) and any(name in NAMES for name, _ in labels))
    assert "".join(written).isascii()
    assert len(written) == (1 if selector.matchers else len(NAMES))


@given(STREAMS)
def test_without_keys_each_stream_with_a_trusted_label_is_selected_once(labels: Labels) -> None:
    trusted = ["service", "env"]
    found = [text for text in selectors_of(Selector(), trusted) if selected(text, labels)]
    assert len(found) == any(name in trusted for name, _ in labels)


def test_tests_stand_beside_each_other_and_nothing_is_merged() -> None:
    selector = selector_of(
        {
            **dict(chosen("env", exact=["prod"]).matchers),
            **dict(chosen("service", prefixes=["pay."], exact=["a|b"], except_exact=["pay.x"]).matchers),
            **dict(chosen("zone", any_value=True, except_prefixes=["eu-"]).matchers),
        }
    )
    assert selectors_of(selector, ["env"]) == [
        r'{env="prod",service=~"a\x5c|b|pay\x5c.(?s:.*)",service!~"pay\x5c.x",zone=~"(?s:.+)",zone!~"eu-(?s:.*)"}'
    ]
    assert selectors_of(Selector(), ["b", "a"]) == ['{a=~"(?s:.+)"}', '{a="",b=~"(?s:.+)"}']


@given(STREAMS.filter(bool))
def test_a_stream_is_selected_by_its_own_selector(labels: Labels) -> None:
    assert selected(selector_of_stream(labels), labels)
    assert not selected(selector_of_stream(labels), labels[1:])


def test_a_label_that_cannot_be_written_is_left_out_of_the_selector_of_a_stream() -> None:
    assert selector_of_stream((("k8s.pod", "x"), ("service", "a"))) == '{service="a"}'


@given(st.lists(VALUES, max_size=3), TEXTS)
def test_a_literal_means_that_a_line_has_it(literals: list[str], line: str) -> None:
    text = '{a="b"}' + literal_filters(literal.encode() for literal in literals)
    assert text.isascii()
    assert passes(text)(Stored(0, {"a": "b"}, line)) == all(literal in line for literal in literals)
    query = parse(text)
    assert isinstance(query, LogQuery)
    assert [operand for stage in query.stages for operand in stage.operands] == literals


def test_a_literal_that_a_line_may_have_without_holding_it_is_left_out() -> None:
    assert literal_filters([b"\xff", b"", "a\ufffd".encode(), b"ok"]) == ' |= "ok"'
    assert literal_filters([b"ok"], [b"\xff"]) == literal_filters([b"ok"], ["\ufffd".encode()]) == ""


def test_a_line_with_a_mark_passes_each_filter_of_a_literal() -> None:
    passing = passes('{a="b"}' + literal_filters([b"a.c", b"b"], [b"-- ", b"[y]"]))
    for line, expected in (
        ("a.c b", True),
        ("a.c", False),
        ("-- x", True),
        ("[y]", True),
        ("y", False),
        ("abc", False),
    ):
        assert passing(Stored(0, {"a": "b"}, line)) is expected


@given(st.integers(-5, 1 << 70), st.integers(-5, 1 << 70))
def test_times_are_dates_to_the_nanosecond_and_within_what_can_be_kept(start: int, end: int) -> None:
    asked = Requests(None).read("{}", "", Interval(start, end), direction=Direction.FORWARD, limit=1)
    found = dict(asked.query)
    assert [time_of(found["start"]), time_of(found["end"])] == [min(max(at, 0), MAX_TIME_NS) for at in (start, end)]


@pytest.mark.parametrize("direction", Direction)
def test_a_request_has_all_that_loki_would_choose_itself(direction: Direction) -> None:
    asked = Requests(None).read('{a="b"}', ' |= "x"', Interval(0, 10), direction=direction, limit=7)
    assert (asked.path, asked.form, asked.headers) == ("/loki/api/v1/query_range", None, [])
    assert asked.query == (
        ("query", '{a="b"} |= "x"'),
        ("start", "1970-01-01T00:00:00.000000000Z"),
        ("end", "1970-01-01T00:00:00.000000010Z"),
        ("limit", "7"),
        ("direction", direction.value),
    )
    assert {name for name, _ in Requests(None).tail("{}", "", 0, limit=1).query} == {
        "query", "start", "limit", "delay_for",
    }  # fmt: skip
    assert [name for name, _ in Requests(None).series("{}", Interval(0, None)).query] == ["match[]", "start", "end"]


def test_a_label_policy_repeats_the_selector_in_the_name_of_the_tenant() -> None:
    requests = Requests("shop's")
    text = '{a="b,c",d=~"(?s:.+)"}'
    for asked in (
        requests.read(text, ' |= "x"', Interval(0, 1), direction=Direction.FORWARD, limit=1),
        requests.series(text, Interval(0, 1)),
        requests.tail(text, "", 0, limit=1),
    ):
        [(name, value)] = asked.headers
        assert name == "X-Prom-Label-Policy"
        assert re.fullmatch(r"shop%27s:[A-Za-z0-9%._~-]+", value)
        assert unquote(value.partition(":")[2]) == text
