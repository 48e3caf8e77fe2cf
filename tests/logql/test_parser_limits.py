"""Long, deep and costly queries: refused at a place or read, in work that grows like the text."""

from __future__ import annotations

import sys
from types import FrameType

import pytest
from tests.logql.running import at, run

from loglease.logql import ParseError, parse, print_query
from loglease.logql.lexer import MAX_BYTES


def work(text: str) -> int:
    """Return how many functions are called to read a text, Python's own included."""
    calls = 0

    def count(_frame: FrameType, event: str, _what: object) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        parse(text)
    except ParseError:
        pass
    finally:
        sys.setprofile(before)
    return calls


def repeated(before: str, unit: str, after: str, size: int) -> str:
    return before + unit * ((size - len((before + after).encode())) // len(unit.encode())) + after


LONG = {
    "parentheses": ("", "(", ""),
    "functions": ("", "sum(", ""),
    "signs": ("", "-", "1"),
    "powers": ("2", "^2", ""),
    "digits": ("topk(", "9", ", rate({}[5m]))"),
    "digits-of-a-size": ("{} | a > ", "9", "KiB"),
    "digits-and-units": ("{} | a > ", "1s", "1"),
    "names-within-parentheses": ("rate(" + "(" * 95 + "{} | drop a", ", a", " [5m]" + ")" * 96),
    "names-without-range": ("rate(" + "(" * 95 + "{} | drop a", ", a", ")" * 96),
    "extractions": ("{} | json a", ', a="b.c"', ""),
    "labels": ("sum by (a", ", a", ") (rate({}[5m]))"),
    "operands": ('{} |= "a"', ' or "a"', ""),
    "filters": ("{} | a=1", " and a=1", ""),
    "nested-filters": ("{} | ", "(", "a=1"),
    "stages": ("{}", " | json", ""),
    "characters": ('{} |= "', "é", '"'),
    "escapes": ('{} |= "', r"\x41", '"'),
    "raw": ("{} |= `", "a\n", "`"),
    "comments": ("{}", "/**/", ""),
    "lines": ("{}", "\n#", "\n!"),
    "fields": ("{} | line_format `", "{{.a}}", "`"),
    "functions-of-a-template": ("{} | line_format `{{.a", "|upper", "}}`"),
    "branches": ("{} | line_format `", "{{if .a}}", "`"),
    "parentheses-of-a-template": ("{} | line_format `{{", "(", "}}`"),
    "captures": ("{} |> `", "a<_>", "`"),
    "path": ("{} | json a=`a", ".a", "`"),
    "expression": ("{} |~ `", "a|", "`"),
}


@pytest.mark.parametrize("kind", LONG)
def test_work_grows_like_the_text(kind: str) -> None:
    short, long = (work(repeated(*LONG[kind], size)) for size in (2048, 16 * 1024))
    assert long <= 9 * short


@pytest.mark.attack("QL-09")
def test_a_query_is_shorter_than_128_kib() -> None:
    parse(repeated("{} |= `", "a", "`", MAX_BYTES - 1))
    with pytest.raises(ParseError, match="less than 128 KiB"):
        parse(repeated("{} |= `", "a", "`", MAX_BYTES))


def reads_back(query: str) -> None:
    read = parse(query)
    assert parse(print_query(read)) == read


DEEP_SUM = ("sum(" * 50 + 'sum_over_time({} | a="b" | unwrap n [5m])' + " + vector(1)" * 48, " + vector(1)", ")" * 50)
DEEP_FILTER = ("{} | " + 'a="b", ' * 50 + 'a="b"' + ' and a="b"' * 49, ' and a="b"', "")
DEEP = {
    "sums": DEEP_SUM,
    "filter": DEEP_FILTER,
    "powers": ("vector(1)" + " ^ vector(1)" * 99, " ^ vector(1)", ""),
    "left": ("(" * 50 + "vector(1)" + " + vector(1))" * 50 + " + vector(1)" * 49, " + vector(1)", ""),
    "right": ("vector(1) + (" * 50 + "vector(1) ", "- vector(1) " * 50, ")" * 50),
    "infinite": ("vector(1) ^ " * 98, "vector(1) ^ ", "10 ^ 999"),
    "filter-of-a-range": (
        "rate({} | " + "(" * 49 + 'a="b"' + ' or a="b")' * 49 + ' and a="b"' * 49,
        ' and a="b"',
        " [5m])",
    ),
    "filter-behind-unwrap": ('sum_over_time({} | unwrap n | a="b"' + ' or a="b"' * 98, ' or a="b"', " [5m])"),
}


@pytest.mark.attack("QL-09")
@pytest.mark.parametrize("kind", DEEP)
def test_what_is_deepest_reads_back_and_one_more_is_refused(kind: str) -> None:
    before, more, after = DEEP[kind]
    reads_back(before + after)
    with pytest.raises(ParseError, match="a query is nested at most 100 deep"):
        parse(before + more + after)


def test_the_deepest_metric_is_computed() -> None:
    before, _, after = DEEP_SUM
    assert at(before + after, [(30, {"a": "b"}, "line")]) == {}


def test_the_deepest_filter_is_evaluated() -> None:
    before, _, after = DEEP_FILTER
    assert run(before + after, "line", {"a": "b"}) is not None
    assert run(before + after, "line", {"a": "c"}) is None


def leaning(opening: str, leaf: str, operation: str) -> str:
    """Return what is deep by parentheses and chains together, though neither is long by itself."""
    return opening * 90 + leaf + (operation * 9 + ")") * 90


@pytest.mark.parametrize(
    "query",
    [
        leaning("(", "vector(1)", " + vector(1)"),
        leaning("sum(", "rate({}[5m])", " or vector(1)"),
        "{} | " + leaning("(", 'a="b"', ' and a="b"'),
        "{} | " + leaning("(", 'a="b"', ' or a="b"'),
        "sum_over_time({} | unwrap c | " + leaning("(", 'a="b"', ' or a="b"') + " [5m])",
    ],
    ids=["sums", "aggregations", "both", "either", "behind-unwrap"],
)
def test_chains_within_parentheses_cannot_exhaust_recursion(query: str) -> None:
    with pytest.raises(ParseError, match="nested at most 100 deep, chains of operators included"):
        parse(query)


@pytest.mark.attack("QL-09")
@pytest.mark.parametrize(
    "query",
    [
        "{" + ", ".join([r"a=~`\pL{99}`"] * 5) + "}",
        "{}" + r" |~ `\pL{99}`" * 5,
        "{} |~ `x`" + r" or `\pL{99}`" * 5,
        "{}" + r" | a=~`\pL{99}`" * 5,
        "{}" + r" | regexp `(?P<a>\pL{99})`" * 5,
        " + ".join([r'label_replace(vector(1), "a", "b", "c", `\pL{99}`)'] * 5),
    ],
    ids=["selector", "line-filters", "operands", "label-filters", "regexp", "label-replace"],
)
def test_expressions_that_are_costly_together_are_refused_at_the_one_too_many(query: str) -> None:
    with pytest.raises(ParseError, match="expressions of this query are too large together") as refused:
        parse(query)
    assert query.rindex("`\\pL{99}" if "regexp" not in query else "`(?P") == refused.value.column - 1


def test_many_plain_expressions_are_read() -> None:
    parse("{}" + r' |~ "(?i)error|fail(ed|ure)? in \\w+ \\d{3}"' * 200)
