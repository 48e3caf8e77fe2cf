"""Line filters over a whole page decide as they do over each line alone."""

from __future__ import annotations

from itertools import accumulate
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loglease.logql import JoinedLines, LogQuery, early_test, parse, split_filters


class Span(NamedTuple):
    start: int
    end: int
    kind: str = "mask"


TOKEN = "⟦k:ab⟧"
FILTERS = (
    '|= "ab"',
    '|= "a" or "b\\nc"',
    '|= ""',
    '|= "⟦k:ab⟧"',
    '!= "ab"',
    '!= "ab" or "c"',
    '!= "ab" !~ "^c"',
    '|~ "^a"',
    '|~ "b$"',
    '|~ "^$"',
    '|~ "^ab$"',
    '|~ "b\\\\.|c"',
    '|~ "10\\\\.0\\\\.0\\\\.7"',
    '|~ "^10\\\\.0"',
    '|~ "7$" or "c"',
    '|~ "(a)(b)|(c)"',
    '|~ "⟦⟧$"',
    '|~ "a[^x]*c"',
    '|~ "a\\\\s+b"',
    '|~ "(?s)a.b" or "c{2}"',
    '|~ "(?-m:^b)"',
    '|~ "\\\\Ac|b\\\\z"',
    '|~ "x*"',
    '|~ "k:|⟧c"',
    '|~ "\\\\bab\\\\b"',
    '!~ "a.*c"',
    '!~ "a" |= "b"',
    '|> "a<_>"',
    '!> "<_>b"',
    '|= ip("10.0.0.0/8")',
)

pieces = st.lists(st.sampled_from(["a", "b", "c", " ", "\n", TOKEN, "10.0.0.7"]), max_size=6)


def filters_of(text: str):
    query = parse("{} " + text)
    assert isinstance(query, LogQuery)
    return split_filters(query.stages)[0]


def spans_in(line: bytes) -> list[Span]:
    found = []
    at = line.find(TOKEN.encode())
    while at >= 0:
        found.append(Span(at, at + len(TOKEN.encode())))
        at = line.find(TOKEN.encode(), at + 1)
    return found


def joined(lines: list[bytes]) -> JoinedLines[Span]:
    spans = {number: found for number, line in enumerate(lines) if (found := spans_in(line))}
    return JoinedLines.of(b"".join(line + b"\n" for line in lines), list(accumulate(len(x) + 1 for x in lines)), spans)


@pytest.mark.parametrize("text", FILTERS)
@given(made=st.lists(pieces, max_size=8), data=st.data())
def test_a_page_is_filtered_as_its_lines_are(text, made, data):
    lines = ["".join(parts).encode() for parts in made]
    numbers = sorted(data.draw(st.sets(st.sampled_from(range(len(lines)))))) if lines else []
    test = early_test(filters_of(text))
    page = joined(lines)
    expected = [number for number, line in enumerate(lines) if test(line, spans_in(line))]
    assert list(test.kept(page, range(len(lines)))) == expected
    assert list(test.kept(page, numbers)) == [number for number in numbers if number in expected]


@pytest.mark.parametrize("text", ['|= "ab"', '|~ "ab"', '|~ "a+b"', '!= "ab"', '|= "b" !~ "^a" |~ "c"'])
@given(made=st.lists(pieces, max_size=4), times=st.integers(1, 40))
def test_a_page_with_many_hits_is_filtered_as_its_lines_are(text, made, times):
    lines = ["".join(parts).encode() for parts in made] * times
    test = early_test(filters_of(text))
    expected = [number for number, line in enumerate(lines) if test(line, spans_in(line))]
    assert list(test.kept(joined(lines), range(len(lines)))) == expected


def test_a_literal_too_long_to_be_an_expression_is_found_in_a_page():
    lines = [b"x" * 300, b"y", b"x" * 299, b"x" * 301]
    assert list(early_test(filters_of(f'|= "{"x" * 300}"')).kept(joined(lines), range(4))) == [0, 3]


def test_lines_of_a_page_are_found_again():
    lines = [b"", b"one", b"two\nthree", b""]
    page = joined(lines)
    assert [page.line(number) for number in range(4)] == lines
    assert page.broken == {2}
