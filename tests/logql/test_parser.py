"""Reading and printing queries."""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.logql.queries import queries
from tests.volume import volume

from loglease.logql import FilterOp, LabelTest, LineFilter, LogQuery, MatchOp, ParseError, parse, print_query

pytestmark = pytest.mark.volume

ROUNDS = int(os.environ.get("PARSER_ROUNDS", volume(300, 1500)))


@settings(max_examples=ROUNDS, suppress_health_check=[HealthCheck.too_slow])
@given(queries)
def test_what_is_printed_reads_as_the_same_query(query):
    printed = print_query(query)
    read = parse(printed)
    assert print_query(read) == printed
    assert read == query or "nan" in repr(query)


@settings(max_examples=ROUNDS)
@given(st.text(alphabet="{}=\"!~|,. \\n\\'`#/*ax1@[()5m<>-+^", max_size=25))
def test_any_text_is_read_or_refused_and_never_hangs(text):
    try:
        parse(text)
    except ParseError as error:
        assert error.caret.endswith("^")
        assert error.line >= 1
        assert error.column >= 1


WORDS = st.sampled_from(
    [
        "{",
        "}",
        'a="b"',
        "|=",
        '"x"',
        "|",
        "json",
        "sum",
        "by",
        "(",
        ")",
        "[5m]",
        "rate",
        "unwrap",
        "a",
        ",",
        "offset",
        "5m",
        "+",
        "==",
        "bool",
        "on",
        "3",
        "or",
        "and",
        "line_format",
        '"{{.a}}"',
        "drop",
        "topk",
        "ip",
        "!=",
        "-",
    ]
)


@settings(max_examples=ROUNDS)
@given(st.lists(WORDS, max_size=14).map(" ".join))
def test_any_words_are_read_or_refused(text):
    try:
        query = parse(text)
    except ParseError:
        return
    assert parse(print_query(query)) == query


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("{}", LogQuery()),
        ("", LogQuery()),
        ('|= "x"', LogQuery((), (LineFilter(FilterOp.HOLDS, ("x",)),))),
        (
            '{ a = "b" , c!~`d.*` } # why\n != "x" or `y"` /* z */ |= "\\x41\\u00e9\\n"',
            LogQuery(
                (LabelTest("a", MatchOp.EQUAL, "b"), LabelTest("c", MatchOp.NOT_MATCHES, "d.*")),
                (LineFilter(FilterOp.LACKS, ("x", 'y"')), LineFilter(FilterOp.HOLDS, ("Aé\n",))),
            ),
        ),
    ],
)
def test_log_queries_are_read(text, query):
    assert parse(text) == query


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ('({a="b"})', '{a="b"}'),
        ('{a="b"} | JSON | x', None),
        ('{a="b"} | a="1", b="2" or c="3"', '{a="b"} | (a="1" and (b="2" or c="3"))'),
        ('{a="b"} | a="1" b="2" or c="3"', '{a="b"} | (a="1" and (b="2" or c="3"))'),
        ('{a="b"} | a="1" or b="2" and c="3"', '{a="b"} | (a="1" or (b="2" and c="3"))'),
        ('{a="b"} | a="1" and b="2" or c="3"', '{a="b"} | ((a="1" and b="2") or c="3")'),
        ('{a="b"} | d > 1.5h', '{a="b"} | d > 90m'),
        ('{a="b"} | d = -300us', '{a="b"} | d == -300us'),
        ('{a="b"} | s >= 10KiB', '{a="b"} | s >= 10240B'),
        ('{a="b"} | s >= 1.5kb', '{a="b"} | s >= 1500B'),
        ('{a="b"} | n == 5m', '{a="b"} | n == 5m'),
        ('{a="b"} | logfmt --keep-empty --strict x="y"', '{a="b"} | logfmt --strict --keep-empty x="y"'),
        ('rate({a="b"}[5m] offset 1h | json | unwrap bytes(x) | x > 5)', None),
        (
            'sum_over_time({a="b"}[5m] offset 1h | json | unwrap bytes(x) | x > 5)',
            'sum_over_time({a="b"} | json | unwrap bytes(x) | x > 5 [5m] offset 1h)',
        ),
        ('count_over_time(({a="b"} |= "x" [1h30m]))', 'count_over_time({a="b"} |= "x" [90m])'),
        ('count_over_time(({a="b"} |= "x")[5m] offset -1h)', 'count_over_time({a="b"} |= "x" [5m] offset -1h)'),
        ('SUM(rate({a="b"}[1m])) BY (x)', 'sum by (x)(rate({a="b"} [1m]))'),
        ('topk(3, rate({a="b"}[1m])) by ()', 'topk by ()(3, rate({a="b"} [1m]))'),
        ("1 + 2 * 3 ^ 2", "19"),
        ("2 ^ 3 ^ 2", "512"),
        ("-2 ^ 2", "4"),
        ("1 == bool 1", "1"),
        ("1 / 0", "(0 / 0)"),
        (
            "rate({}[1m]) > bool on (a) group_left (b) rate({}[2m]) or vector(1)",
            "((rate({} [1m]) > bool on (a) group_left (b) rate({} [2m])) or vector(1))",
        ),
        ('{rate="x"} | count > 5', '{rate="x"} | count > 5'),
        ("quantile_over_time(.99, {}|unwrap x[1m]) by (y)", "quantile_over_time(0.99, {} | unwrap x [1m]) by (y)"),
    ],
)
def test_queries_have_one_canonical_text(text, canonical):
    if canonical is None:
        with pytest.raises(ParseError):
            parse(text) if "JSON" in text else parse(text.replace("[5m]", "[5x]"))
        return
    assert print_query(parse(text)) == canonical
