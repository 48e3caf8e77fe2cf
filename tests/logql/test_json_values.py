"""What is taken out of JSON lines without the parser is just what the parser would make."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loglease.logql import Entry, LogQuery, Pipeline, parse
from loglease.logql.extraction import json_step
from loglease.logql.json_values import all_json_values
from loglease.logql.syntax import JsonParser

KEYS = ("a", "b", " a", "a ", "", "A", "a_b", "a.b", "a_extracted", "1a", "_1a", "__error__", "é")
SCALARS = (
    '"x"', '"a"', '"5"', '""', "0", "-0", "7", "-7", "1.50", "1e3", "18446744073709551616", "1e999", "true", "false",
    "null", "[1,2]", '["a"]', '"\\u0061"', '"\\n"', "NaN", "01", '"⟦k⟧"',
)  # fmt: skip

members: st.SearchStrategy[str] = st.deferred(
    lambda: st.lists(st.tuples(st.sampled_from(KEYS), values), max_size=4).map(written)
)
values: st.SearchStrategy[str] = st.sampled_from(SCALARS) | members
lines = st.tuples(st.sampled_from(["", " "]), members | values, st.sampled_from(["", " ", "}", " x", ","])).map("".join)


def written(pairs: list[tuple[str, str]]) -> str:
    return "{" + ",".join(f'"{key}":{value}' for key, value in pairs) + "}"


def through(query: str, line: str, wanted: frozenset[str] | None) -> tuple[bool, Entry]:
    parsed = parse("{} " + query)
    assert isinstance(parsed, LogQuery)
    entry = Entry(0, line.encode(), (), {"b": "stream"})
    pipeline = Pipeline(parsed.stages, rescan=lambda name, value: f"{name}:{value}", now=0, wanted=wanted)
    return pipeline.passes(entry), entry


@given(line=lines, name=st.sampled_from(["a", "b", "b_extracted", "a_b", "a_extracted", "_1a", "__error__", "missing"]))
def test_labels_that_are_needed_are_those_of_the_parser(line, name):
    _, few = through("| json", line, frozenset({name}))
    _, all_of_them = through("| json", line, None)
    assert few.get(name) == all_of_them.get(name)
    assert few.fault == all_of_them.fault


def test_a_member_whose_key_was_that_of_an_object_before_is_left_to_the_parser():
    _, entry = through("| json", '{"a":{"b":"x"},"a":5}', frozenset({"a_b"}))
    assert entry.get("a_b") == "x"


@pytest.mark.parametrize(
    "tests",
    ['| a="x"', "| a > 1", '| a="5" or a_b=""', '|= "x" | b_extracted=~".+"', '| __error__=""', "| a > 1 | a < 9"],
)
@given(line=lines)
def test_tests_that_come_first_drop_what_they_would_drop_behind_the_parser(tests, line):
    # A stage that takes away nothing parts the parser from its tests.
    passed, entry = through(f"| json {tests}", line, None)
    expected, apart = through(f"| json | drop nothing {tests}", line, None)
    assert passed == expected
    if passed:
        assert (entry.labels(), entry.fault) == (apart.labels(), apart.fault)


def test_only_labels_that_are_needed_are_made():
    _, entry = through('| json | a="x"', '{"a":"x","c":"1","d":2}', frozenset({"c"}))
    assert sorted(entry.own) == ["a", "c"]


@given(line=lines)
def test_all_labels_are_those_of_the_parser(line):
    _, found = through("| json", line, None)
    entry = Entry(0, line.encode(), (), {"b": "stream"})
    assert json_step(JsonParser(), lambda name, value: f"{name}:{value}")(entry)
    assert list(found.items()) == list(entry.items())
    assert found.fault == entry.fault


def test_flat_lines_need_no_parser():
    line = b'{"a":"x","b.c":5,"d":true,"e":null,"f":1.50,"g":0,"h":-0}'
    assert all_json_values()(line) == {"a": "x", "b_c": "5", "d": "true", "f": "1.50", "g": "0", "h": "-0"}
