"""What is taken out of logfmt lines without the parser is just what the parser would make."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.logql.test_json_values import through

from loglease.logql import Entry
from loglease.logql.extraction import logfmt_step
from loglease.logql.logfmt_values import all_logfmt_values, logfmt_values
from loglease.logql.syntax import LogfmtParser

PIECES = (
    "a=x", "a=y", "a", "a=", 'a=""', 'a="x"', 'a="b=z c"', 'b="x" c', "b=1", "a_b=2", "a.b=3", "a-b=4", "ab=5",
    "xa=6", "=a=7", "a=b=8", 'a="', 'q"q', 'a="x"a=9', 'c="é"', "é=1", "a_extracted=e", "1a=d", "_1a=u", 'b="\\n"',
    "\t", "\n", "msg=a=x", '"', "__error__=e", "b\u00a0=s", 'c="⟦k⟧"', "b_extracted=f",
)  # fmt: skip
NAMES = ("a", "b", "a_b", "ab", "a_extracted", "b_extracted", "_1a", "__error__", "no", "_")

lines = st.lists(st.tuples(st.sampled_from(PIECES), st.sampled_from(["", " ", " ", " "])), max_size=6).map(
    lambda parts: "".join(piece + gap for piece, gap in parts)
)


def parsed(line: str) -> Entry:
    entry = Entry(0, line.encode(), (), {"b": "stream"})
    assert logfmt_step(LogfmtParser(), lambda name, value: f"{name}:{value}")(entry)
    return entry


@given(line=lines, names=st.sets(st.sampled_from(NAMES), min_size=1))
def test_labels_that_are_needed_are_those_of_the_parser(line, names):
    _, few = through("| logfmt", line, frozenset(names))
    for name in names:
        assert few.get(name) == parsed(line).get(name)
    assert few.fault is None


@given(line=lines)
def test_all_labels_are_those_of_the_parser(line):
    _, found = through("| logfmt", line, None)
    assert list(found.items()) == list(parsed(line).items())


@pytest.mark.parametrize("tests", ['| a="x"', "| a > 1", '|= "x" | b_extracted=~".+"', '| __error__=""'])
@given(line=lines)
def test_tests_that_come_first_drop_what_they_would_drop_behind_the_parser(tests, line):
    # A stage that takes away nothing parts the parser from its tests.
    passed, entry = through(f"| logfmt {tests}", line, None)
    expected, apart = through(f"| logfmt | drop nothing {tests}", line, None)
    assert passed == expected
    if passed:
        assert (entry.labels(), entry.fault) == (apart.labels(), apart.fault)


def test_lines_that_are_nothing_special_need_no_parser():
    line = b'ts="2026-01-01 10:00" level=info msg="a b" ms=5'
    few = logfmt_values(["level", "ms", "no"])
    assert few is not None
    assert few(line) == {"level": "info", "ms": "5"}
    assert all_logfmt_values()(line) == {"ts": "2026-01-01 10:00", "level": "info", "msg": "a b", "ms": "5"}
    assert logfmt_values(["level", "__"]) is None
