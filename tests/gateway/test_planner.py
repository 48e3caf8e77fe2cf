"""A plan stays inside the scope, loses no line that would match, and refuses what cannot overlap."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loglease.access.errors import NotPermitted
from loglease.gateway.errors import QueryInvalid
from loglease.gateway.planner import parsed, planned
from loglease.logql import Streams
from loglease.model.instant import EventWindow
from loglease.model.labels import labels_of
from loglease.model.scope import Scope
from loglease.model.selector_text import parse_selector

VALUES = ["a", "b", "ab", "abc", "b1"]
TESTS = [
    '{op}"a"',
    '{op}"ab"',
    '{op}""',
    '{rx}"a|b"',
    '{rx}"a.*"',
    '{rx}"[ab]+"',
    '{rx}".+"',
]
SCOPES = ["{}", '{s="a"}', '{s=~"a|b"}', '{s=~"a.*"}', '{s=~".+"}', '{s=~"a.*",s!="ab"}', '{s="a",t="b"}']


def scope_of(selector: str) -> Scope:
    return Scope(source="src", selector=parse_selector(selector), window=EventWindow(0, None), profile="raw@1")


@st.composite
def queries(draw):
    tests = draw(st.lists(st.tuples(st.sampled_from("st"), st.sampled_from(TESTS), st.booleans()), max_size=3))
    parts = [name + form.format(op="!=" if no else "=", rx="!~" if no else "=~") for name, form, no in tests]
    return "{" + ",".join(parts) + "}"


@given(queries(), st.sampled_from(SCOPES))
def test_what_is_pushed_down_loses_nothing_and_stays_inside(text, selector):
    scope, query = scope_of(selector), parsed(text)
    streams = [labels_of({"s": s, "t": t}) for s in [*VALUES, ""] for t in ["b", "c", ""]]
    wanted = [one for one in streams if scope.admits_stream(one) and Streams(query.selector).selects(dict(one))]
    try:
        selector_read = planned(query, scope)
    except NotPermitted:
        assert wanted == []
        return
    assert scope.selector.contains(selector_read)
    assert all(selector_read.matches(one) for one in wanted)


@pytest.mark.parametrize(
    ("query", "selector", "message"),
    [
        ('{s="b"}', '{s="a"}', "the query asks for s=b, the grant covers s=a"),
        ('{s!="a"}', '{s="a"}', "the query asks for s!=a, the grant covers s=a"),
        ('{s=~"c.*"}', '{s=~"a|b"}', "the query asks for s=~c.*, the grant covers s=~a|b"),
        ('{s=~"[c-d]"}', '{s=~"a|b"}', "the query asks for s=~[c-d], the grant covers s=~a|b"),
        ('{s="b"}', '{s=~"a.*"}', "the query asks for s=b, the grant covers s=~a.*"),
        ('{s=""}', '{s="a"}', "the query asks for s=, the grant covers s=a"),
    ],
)
def test_no_overlap_is_said_from_query_and_grant(query, selector, message):
    with pytest.raises(NotPermitted) as caught:
        planned(parsed(query), scope_of(selector))
    assert caught.value.message == message


def test_a_value_that_redaction_may_have_made_is_never_pushed():
    selector_read = planned(parsed('{s="⟦email:q3f7k2p9xa⟧"}'), scope_of('{s="a"}'))
    assert selector_read == parse_selector('{s="a"}')


def test_a_query_that_is_none_has_a_caret():
    with pytest.raises(QueryInvalid) as caught:
        parsed('{s="a"} | json |')
    assert "expected a stage" in caught.value.message
    assert caught.value.message.endswith("\n                ^")
