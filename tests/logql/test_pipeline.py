"""Line filters on redacted lines: tokens are atoms."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loglease.logql import FilterOp, LineFilter, Streams, early_test, parse, split_filters


class Span(NamedTuple):
    start: int
    end: int
    kind: str = "mask"


def holds_literal(line: bytes, literal: bytes, spans: Sequence[Span]) -> bool:
    return early_test([LineFilter(FilterOp.HOLDS, (literal.decode(),))])(line, spans)


LINE = "mail ⟦email:q3f7k2p9xa⟧ and ⟦ip⟧ email".encode()
FIRST = Span(5, 5 + len("⟦email:q3f7k2p9xa⟧".encode()))
SECOND = Span(LINE.index("⟦ip".encode()), LINE.index("⟦ip⟧".encode()) + len("⟦ip⟧".encode()))
SPANS = [FIRST, SECOND]


@pytest.mark.parametrize(
    ("literal", "found"),
    [
        ("mail", True),
        ("email", True),
        ("q3f7", False),
        ("ip", False),
        ("⟦ip⟧", True),
        ("⟦email:q3f7k2p9xa⟧", True),
        ("mail ⟦email:q3f7k2p9xa⟧ and", True),
        ("⟦email:q3f7k2p9xa⟧ and ⟦ip⟧", True),
        ("⟦email", False),
        ("xa⟧ and", False),
        ("⟧", False),
        ("", True),
        ("absent", False),
    ],
)
def test_an_occurrence_counts_only_around_whole_masks(literal, found):
    assert holds_literal(LINE, literal.encode(), SPANS) is found


def test_control_marks_hide_nothing():
    assert holds_literal(b"a\xe2\x90\x9bb", "a␛".encode(), [Span(1, 4, "control")])


@given(st.text("ab⟦⟧", max_size=8), st.text("ab⟦⟧", min_size=1, max_size=3), st.integers(0, 8), st.integers(1, 4))
def test_what_is_under_a_mask_changes_no_answer(text, literal, start, length):
    raw = text.encode()
    start = min(start, len(raw))
    hidden = [raw[:start] + body + raw[start:] for body in ("⟦x:aaaa⟧".encode(), "⟦x:baba⟧".encode())]
    span = [Span(start, start + len("⟦x:aaaa⟧".encode()))]
    answers = {holds_literal(one, literal.encode(), span) for one in hidden}
    assert len(answers) == 1


@pytest.mark.parametrize(
    ("query", "line", "passes"),
    [
        ('|= "a"', b"cat", True),
        ('|= "x"', b"cat", False),
        ('|= "x" or "a"', b"cat", True),
        ('!= "x" or "a"', b"cat", False),
        ('!= "x" or "y"', b"cat", True),
        ('|= "c" != "d"', b"cat", True),
        ('|= "C"', b"cat", False),
        ('|= ""', b"", True),
    ],
)
def test_filters_hold_one_after_the_other(query, line, passes):
    filters, stages = split_filters(parse(query).stages)
    assert not stages
    assert early_test(filters)(line, []) is passes


@pytest.mark.parametrize(
    ("query", "labels", "selected"),
    [
        ('{a="x"}', {"a": "x"}, True),
        ('{a="x"}', {}, False),
        ('{a!="x"}', {}, True),
        ('{a=""}', {}, True),
        ('{a=~"x|y"}', {"a": "xy"}, False),
        ('{a=~"x.*"}', {"a": "x\ny"}, True),
        ('{a!~"x.*"}', {"a": "x1"}, False),
        ('{a=~".*"}', {}, True),
    ],
)
def test_selectors_match_whole_values_and_missing_is_empty(query, labels, selected):
    assert Streams(parse(query).selector).selects(labels) is selected
