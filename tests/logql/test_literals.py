"""The texts that a query demands of every line: never one that a line can do without."""

from __future__ import annotations

import contextlib
import re

import pytest
from hypothesis import HealthCheck, assume, given, reject, settings
from hypothesis import strategies as st
from tests.volume import volume

from loglease.logql import Malformed, parse
from loglease.logql.expressions import Expression, within_line
from loglease.logql.literals import parts_of_matches, required_literals

PIECES = [
    *("a", "b", "ab", "é", " ", "-", "]", "}", "{", '{"a":', "{,2}", "{a}"),
    *(".", "^", "$", "|", "(a|b)", "(ab)", "(?:ab)+", "(?P<n>b)", "(?<m>a)", "((a)b|[)])", "(?i)", "(?i:ab)", "(?s:.)"),
    *("*", "+", "?", "*?", "+?", "??", "{0}", "{0,}", "{1,2}", "{2}", "{2}?", "{,3}", "{ 1}"),
    *("[ab]", "[^a]", "[]a]", "[^]b]", "[[:alpha:]]", r"[\]a]", "[a-b]", "[(]", "[|]"),
    *(
        r"\.",
        r"\|",
        r"\(",
        r"\[",
        r"\\",
        r"\d",
        r"\b",
        r"\t",
        r"\A",
        r"\z",
        r"\Qa*\E",
        r"\x61",
        r"\x{62}",
        r"\pL",
        "\\",
    ),
]
patterns = st.lists(st.sampled_from(PIECES), min_size=1, max_size=7).map("".join)
texts = st.text(alphabet="abé .|()[]{}\\-\tA2*\"':", max_size=12)


def compiled(pattern: str) -> Expression:
    try:
        return within_line(pattern)
    except Malformed:
        reject()


@given(patterns, st.data())
@settings(
    max_examples=volume(150, 600), suppress_health_check=[HealthCheck.filter_too_much]
)  # most of what pieces make is none
def test_what_an_expression_demands_is_in_everything_that_it_matches(pattern, data):
    expression = compiled(pattern)
    parts = parts_of_matches(pattern)
    assume(parts)
    candidates = [data.draw(texts) for _ in range(5)]
    with contextlib.suppress(re.error, OverflowError, FutureWarning):  # Python's dialect differs; RE2 is the judge
        candidates.append(data.draw(st.from_regex(pattern)))
    for text in candidates:
        if expression.search(text.encode("utf-8", "replace")) is not None:
            assert all(part in text for part in parts)


@pytest.mark.parametrize(
    ("pattern", "parts"),
    [
        ("timeout", ("timeout",)),
        (r"user=(\w+) failed after \d+ms", ("user=", " failed after ", "ms")),
        (r"10\.0\.0\.1", ("10.0.0.1",)),
        ('{"level":"error"', ('{"level":"error"',)),
        ("abc?d", ("ab", "d")),
        ("abc+d", ("abc", "d")),
        ("abc{2}d", ("ab", "d")),
        ("x.y", ("x", "y")),
        ("(a|b)cd[|)]e", ("cd", "e")),
        ("", ()),
        ("ab|cd", ()),
        ("(?i)timeout", ()),
        ("a(?i:timeout)", ()),
        (r"\Qa.b\E", ()),
        (r"a\x62c", ()),
        ("ab{,2}c", ()),
        ("a{2}{3}b", ()),
    ],
)
def test_parts_of_an_expression(pattern, parts):
    assert parts_of_matches(pattern) == parts


@pytest.mark.parametrize(
    ("query", "literals"),
    [
        ('|= "abc" |= "b" or "c" != "def" !~ "ghi" |> "jkl<_>"', ("abc",)),
        ('|= "abc" |= "abc"', ("abc",)),
        ('|~ "time.*outwards"', ("outwards",)),
        ('|~ "abc" or "abcd"', ()),
        ('|= ip("10.0.0.1")', ()),
        ('| json | status > 3 | label_format a="b" |= "abc" | line_format "x" |= "def"', ("abc",)),
        ('| decolorize |= "abc"', ()),
        ('| unpack |= "abc"', ()),
        ('| logfmt | regexp "(?P<a>b)" | pattern "<c> d" | drop a | keep c |= "abc"', ("abc",)),
    ],
)
def test_literals_that_a_query_demands(query, literals):
    assert required_literals(parse("{} " + query).stages, lambda text: len(text) > 1) == literals


def test_of_an_expression_the_longest_usable_text_is_taken():
    stages = parse('{} |~ "abcdef.*xyz"').stages
    assert required_literals(stages, lambda text: len(text) < 5) == ("xyz",)
