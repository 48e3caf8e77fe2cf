"""Reading and printing queries."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loglease.logql import FilterOp, LabelTest, LineFilter, LogQuery, MatchOp, NotYet, ParseError, parse, print_query

names = st.from_regex(r"[a-z_][a-z0-9_]{0,5}", fullmatch=True)
texts = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), max_size=12)
tests = st.one_of(
    st.builds(LabelTest, names, st.sampled_from([MatchOp.EQUAL, MatchOp.NOT_EQUAL]), texts),
    st.builds(
        LabelTest, names, st.sampled_from([MatchOp.MATCHES, MatchOp.NOT_MATCHES]), st.sampled_from(["a|b", ".+", "x.*"])
    ),
)
filters = st.builds(LineFilter, st.sampled_from(list(FilterOp)), st.lists(texts, min_size=1, max_size=3).map(tuple))
queries = st.builds(LogQuery, st.lists(tests, max_size=3).map(tuple), st.lists(filters, max_size=3).map(tuple))


@given(queries)
def test_what_is_printed_reads_as_the_same_query(query):
    printed = print_query(query)
    assert parse(printed) == query
    assert print_query(parse(printed)) == printed


@given(st.text(alphabet="{}=\"!~|,. \\n\\'`#/*ax1@[()", max_size=25))
def test_any_text_is_read_or_refused_and_never_hangs(text):
    try:
        parse(text)
    except ParseError as error:
        assert error.caret.endswith("^")
        assert error.line >= 1
        assert error.column >= 1


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
def test_the_subset_is_read(text, query):
    assert parse(text) == query


@pytest.mark.parametrize(
    ("text", "construct"),
    [
        ('{a="b"} | json', "the parser json"),
        ('{a="b"} | LOGFMT', "the parser logfmt"),
        ('{a="b"} | line_format "x"', "line_format"),
        ('{a="b"} | level="error"', "the label filter on level"),
        ('{a="b"} |~ "x"', "the line filter |~"),
        ('{a="b"} !~ "x"', "the line filter !~"),
        ('{a="b"} |> "x"', "the pattern filter |>"),
        ('{a="b"} |= ip("10.0.0.0/8")', "ip()"),
        ('rate({a="b"}[5m])', "the metric query rate"),
        ('sum by (x) (rate({a="b"}[5m]))', "the metric query sum"),
        ('{a="b"}[5m]', "a range"),
        ('({a="b"})', "a query in parentheses"),
        ("1 + 1", "arithmetic"),
    ],
)
def test_what_is_to_come_is_refused_by_name(text, construct):
    with pytest.raises(NotYet) as caught:
        parse(text)
    assert caught.value.construct == construct
    assert "not yet" in caught.value.message


@pytest.mark.parametrize(
    ("text", "column"),
    [
        ('{a="b"', 7),
        ('{a="b",}', 8),
        ('{"a"="b"}', 2),
        ("{a='b'}", 4),
        ('{a="b}', 4),
        ('{a=~"("}', 5),
        ('{a="b"} foo', 9),
        ('{a="b"} |=', 11),
        ('{a="\\q"}', 5),
        ('{a="\\xff"}', 4),
        ("{a=`b}", 4),
        ("{} /* open", 4),
        ('{a="b"} @ 5', 9),
        ('{a="b"} |', 10),
        ("{}\0", 3),
        ('{a=="b"}', 3),
    ],
)
def test_a_fault_has_its_place(text, column):
    with pytest.raises(ParseError) as caught:
        parse(text)
    assert (caught.value.line, caught.value.column) == (1, column)
    assert caught.value.caret.split("\n")[1].index("^") == column - 1


def test_lines_are_counted():
    with pytest.raises(ParseError) as caught:
        parse('{a="b"}\n|= x')
    assert (caught.value.line, caught.value.column) == (2, 4)


def test_long_lines_are_shown_around_the_fault():
    with pytest.raises(ParseError) as caught:
        parse('{a="' + "x" * 500 + '"} foo')
    shown, below = caught.value.caret.split("\n")
    assert len(shown) <= 60
    assert shown[below.index("^")] == "f"


def test_sizes_are_bounded():
    with pytest.raises(ParseError):
        parse("{}" + ' |= "x"' * 300)
    with pytest.raises(ParseError):
        parse('|= "' + "x" * 140_000 + '"')
    with pytest.raises(ParseError):
        parse("{" + ",".join(f'a{n}="b"' for n in range(200)) + "}")
