"""What the parser refuses: each construct with its message and place."""

from __future__ import annotations

import pytest

from loglease.logql import ParseError, parse

Refusal = tuple[str, str]
"""A text; line, column and message."""

NOT_PART: list[Refusal] = [
    ('{a="b",}', "1:7 a list does not end with a comma"),
    ('{a="b"} | distinct a', "1:11 distinct is not part of LogQL"),
    ('{a="b"} | a="1",', "1:16 a list does not end with a comma"),
    ('{a="b"} | json a,', "1:17 a list does not end with a comma"),
    ('{a="b"} | label_format a=b,', "1:27 a list does not end with a comma"),
    ('{a="b"} | drop a,', "1:17 a list does not end with a comma"),
    ('count_over_time({a="b"}[5m:1m])', "1:27 subqueries are not part of LogQL; write a range like [5m]"),
    ('count_over_time({a="b"}[5m] @ 1609746000)', "1:29 @ is not part of LogQL"),
    ('count_over_time({a="b"}[5m]) @ start()', "1:30 @ is not part of LogQL"),
    ('sum(rate({a="b"}[5m])) by (c,)', "1:29 a list does not end with a comma"),
    (
        'max_over_time(rate({a="b"}[5m])[1h:5m])',
        "1:15 a range function takes a log query, no metric; subqueries are not part of LogQL",
    ),
    ('rate({a="b"}[5m])[1h:5m]', "1:18 subqueries are not part of LogQL; a range follows a log query"),
    ('sum(rate({a="b"}[5m])[1h:5m])', "1:22 subqueries are not part of LogQL; a range follows a log query"),
    ("topk(3,)", "1:7 a list does not end with a comma"),
    ('sum(rate({a="b"}[5m])) by (c)[5m]', "1:30 subqueries are not part of LogQL; a range follows a log query"),
    ('variants(rate({a="b"}[5m])) of ({a="b"}[5m])', "1:1 variants(…) of (…) is not part of LogQL"),
    ("@", "1:1 @ is not part of LogQL"),
    ('{a="b"}\n  |= "x"\n  | json a,', "3:11 a list does not end with a comma"),
]
SELECTORS: list[Refusal] = [
    ('{a="b"', "1:7 expected ',' or '}', found the end"),
    ('{,a="b"}', "1:2 expected a label name, found ','"),
    ("{a}", "1:3 expected =, !=, =~ or !~, found '}'"),
    ('{a="b" b="c"}', "1:8 expected ',' or '}', found 'b'"),
    ("{a=b}", "1:4 expected a string in double quotes, found 'b'"),
    ("{a=5}", "1:4 expected a string in double quotes, found '5'"),
    ('{a>"b"}', "1:3 expected =, !=, =~ or !~, found '>'"),
    ('{by="x"}', "1:2 expected a label name (the word 'by' is reserved), found 'by'"),
    ('{"a"="b"}', "1:2 expected a label name, found the string 'a'"),
    ('{a.b="c"}', "1:3 expected =, !=, =~ or !~, found '.'"),
    ('{a=~"("}', "1:5 this is no regular expression of RE2: missing ): ("),
    ('{a="b"} json', "1:9 expected a stage such as |= \"…\" or | json, or the end, found 'json'"),
    ('{a="b"} [5m]', "1:9 a range needs a function around it, such as count_over_time({…} [5m])"),
    ('{a="b"} + 1', "1:9 both sides of '+' must be metrics, this is a log query"),
    ('{a="b"} offset 5m', "1:9 expected a stage such as |= \"…\" or | json, or the end, found 'offset'"),
    ('{a="b"})', "1:8 expected a stage such as |= \"…\" or | json, or the end, found ')'"),
]
TEXTS: list[Refusal] = [
    ("{} |= `\ud800`", "1:8 half of a surrogate pair is no character"),
    ("{a=\"b\"} |= 'x'", "1:12 strings take double quotes or backquotes, not single quotes"),
    ('{a="b"} |= "x', "1:12 this string has no end on its line"),
    ('{a="b"} |= `x', "1:12 this string has no end"),
    (r'{a="b"} |= "\q"', r"1:13 \q is no escape of a string"),
    (r'{a="b"} |= "\xff"', "1:12 the escapes of this string are not UTF-8"),
    (r'{a="b"} |= "\ud800"', "1:13 this escape is no character"),
    (r'{a="b"} |= "\U00110000"', "1:13 this escape is no character"),
    ('{a="b"} /* open', "1:9 this comment has no end"),
    ('{a="b"} ; ', "1:9 ';' has no meaning here"),
    ("$x", "1:1 '$' has no meaning here"),
    ('{a="b"} |= "x\ny"', "1:12 this string has no end on its line"),
    ('{a="b"}\x00', "1:8 a query holds no NUL"),
    ('é{a="b"}', "1:1 'é' is no function of LogQL"),
]
STAGES: list[Refusal] = [
    (r'{a="b"} | line_format "{{define \"x\"}}{{end}}"', "1:23 define is not allowed in a template"),
    ('{a="b"} | json a="b[",', '1:18 this is no path of JSON at character 2; write it like a.b[0]["c d"]'),
    ('{a="b"} |', "1:10 expected a stage or a label name, found the end"),
    ('{a="b"} | a', "1:12 expected an operator such as =, !=, =~, !~, ==, <, <=, > or >=, found the end"),
    (
        '{a="b"} | a ==',
        "1:15 expected a string, a number, a duration such as 5m, or a size such as 10KiB, found the end",
    ),
    ('{a="b"} | a =~ 5', "1:16 expected a string in double quotes, found '5'"),
    ('{a="b"} | a > "b"', "1:13 expected =, !=, =~ or !~, found '>'"),
    ('{a="b"} | a >= ip("10.0.0.1")', "1:13 ip() goes with = and != only"),
    ('{a="b"} | a = ip("x")', "1:18 this is no address, no network such as 10.0.0.0/8 and no range such as a-b"),
    ('{a="b"} | a = ip(5)', "1:18 expected a string in double quotes, found '5'"),
    ('{a="b"} | a > -5KiB', "1:15 a size is never negative"),
    ('{a="b"} | a > 5 parsecs', "1:17 expected a stage such as |= \"…\" or | json, or the end, found 'parsecs'"),
    (
        '{a="b"} | a > 5q',
        "1:15 expected a string, a number, a duration such as 5m, or a size such as 10KiB, found '5q'",
    ),
    ('{a="b"} | a="1" and', "1:20 expected a stage or a label name, found the end"),
    ('{a="b"} | (a="1"', "1:17 expected ')', found the end"),
    ('{a="b"} | a="1" unless b="2"', "1:17 both sides of 'unless' must be metrics, this is a log query"),
    ('{a="b"} | json a=b', "1:18 expected a string in double quotes, found 'b'"),
    ('{a="b"} | JSON a=""', '1:18 this is no path of JSON at character 1; write it like a.b[0]["c d"]'),
    ('{a="b"} | logfmt --lenient', "1:18 expected --strict or --keep-empty, each once, found '--lenient'"),
    ('{a="b"} | logfmt --strict --strict', "1:27 expected --strict or --keep-empty, each once, found '--strict'"),
    ('{a="b"} | logfmt a="b c"', "1:20 this is no key of logfmt"),
    ('{a="b"} | regexp "x"', r"1:18 this expression needs a named group such as (?P<status>\d+)"),
    ('{a="b"} | regexp "(?P<é>x)"', "1:18 this is no name of a label"),
    ('{a="b"} | regexp', "1:17 expected a string in double quotes, found the end"),
    ('{a="b"} | pattern "<_>"', "1:19 a pattern needs a named capture such as <status>"),
    ('{a="b"} | pattern "<a><b>"', "1:19 the captures before and at <b> need text between them"),
    ('{a="b"} | pattern "x"', "1:19 a pattern needs a named capture such as <status>"),
    ('{a="b"} | unpack a', "1:18 expected a stage such as |= \"…\" or | json, or the end, found 'a'"),
    ('{a="b"} | line_format {{.a}}', "1:23 expected a string in double quotes, found '{'"),
    ('{a="b"} | line_format "{{.a"', "1:23 an action of the template has no end; write {{ … }}"),
    ('{a="b"} | line_format "{{ nofunction }}"', "1:23 templates have no function 'nofunction'"),
    ('{a="b"} | label_format a', "1:25 expected '=', found the end"),
    ('{a="b"} | label_format a=b,a=c', "1:28 label_format sets a twice"),
    ('{a="b"} | label_format __error__="x"', "1:24 __error__ cannot be set"),
    ('{a="b"} | decolorize a', "1:22 expected a stage such as |= \"…\" or | json, or the end, found 'a'"),
    ('{a="b"} | drop', "1:15 expected a label name, found the end"),
    ('{a="b"} | keep a>5', "1:17 both sides of '>' must be metrics, this is a log query"),
    ('{a="b"} | keep a=~"("', "1:19 this is no regular expression of RE2: missing ): ("),
    ('{a="b"} | unwrap a', "1:9 unwrap belongs into a metric, such as sum_over_time({…} | unwrap LABEL [5m])"),
    ('{a="b"} | unwrapped a', "1:21 expected an operator such as =, !=, =~, !~, ==, <, <=, > or >=, found 'a'"),
    ('{a="b"} |= x', "1:12 expected a string in double quotes, found 'x'"),
    ('{a="b"} |= "x" or', "1:18 expected a string in double quotes, found the end"),
    ('{a="b"} |= "x" and "y"', "1:16 both sides of 'and' must be metrics, this is a log query"),
    ('{a="b"} |~ "("', "1:12 this is no regular expression of RE2: missing ): ("),
    ('{a="b"} |~ "(?=x)"', "1:12 this is no regular expression of RE2: invalid perl operator: (?="),
    ('{a="b"} |~ ip("10.0.0.1")', "1:12 ip() goes with |= and != only"),
    ('{a="b"} |> "<a>"', "1:12 a line is only tested: use <_> in place of <a>"),
    ('{a="b"} |> "<_><_>"', "1:12 the captures before and at <_> need text between them"),
    ('{a="b"} |= ip("10.0.0.1/99")', "1:15 this is no address, no network such as 10.0.0.0/8 and no range such as a-b"),
    ('({a="b"}', "1:9 expected ')', found the end"),
    ('{a="b"} # why\n | 5', "2:4 expected a stage or a label name, found '5'"),
]
RANGES: list[Refusal] = [
    ('count_over_time({a="b"})', "1:24 expected a range such as [5m], found ')'"),
    ('count_over_time({a="b"}[])', "1:25 a range takes whole numbers and units in descending order, such as [1h30m]"),
    ('count_over_time({a="b"}[5])', "1:25 a range takes whole numbers and units in descending order, such as [1h30m]"),
    ('count_over_time({a="b"}[0s])', "1:25 a range is longer than 0"),
    (
        'count_over_time({a="b"}[1.5h])',
        "1:25 a range takes whole numbers and units in descending order, such as [1h30m]",
    ),
    (
        'count_over_time({a="b"}[5m1h])',
        "1:25 a range takes whole numbers and units in descending order, such as [1h30m]",
    ),
    (
        'count_over_time({a="b"}[-5m])',
        "1:25 a range takes whole numbers and units in descending order, such as [1h30m]",
    ),
    ('count_over_time({a="b"}[5m)', "1:24 this range has no end; write it like [5m]"),
    ('count_over_time({a="b"}[5m] offset)', "1:35 expected an offset such as 5m or -1h, found ')'"),
    ('count_over_time({a="b"}[5m] offset 5)', "1:36 expected an offset such as 5m or -1h, found '5'"),
    ('count_over_time({a="b"}[5m] offset -1d)', "1:37 expected an offset such as 5m or -1h, found '1d'"),
    ('count_over_time({a="b"} offset 5m)', "1:25 expected a range such as [5m], found 'offset'"),
    ('count_over_time({a="b"} | unwrap c [5m])', "1:1 count_over_time counts lines, it takes no unwrap"),
    ('count_over_time({a="b"}[5m]) by (c)', "1:1 count_over_time takes no grouping; put it into sum by (…) (…)"),
    ('count_over_time(0.5, {a="b"}[5m])', "1:1 count_over_time takes no parameter"),
    (
        'count_over_time(rate({a="b"}[5m]))',
        "1:17 a range function takes a log query, no metric; subqueries are not part of LogQL",
    ),
    ('max_over_time({a="b"}[5m])', "1:1 max_over_time needs numbers: add | unwrap LABEL before the range"),
    ('quantile_over_time({a="b"} | unwrap c [5m])', "1:1 quantile_over_time takes a quantile such as 0.99 first"),
    (
        'quantile_over_time("0.5", {a="b"} | unwrap c [5m])',
        "1:20 expected a selector such as {service=\"pay-api\"}, found the string '0.5'",
    ),
    (
        'sum_over_time({a="b"} | unwrap c [5m]) by (d)',
        "1:1 sum_over_time takes no grouping; put it into sum by (…) (…)",
    ),
    (
        'sum_over_time({a="b"} | unwrap seconds(c) [5m])',
        "1:32 unwrap converts with bytes, duration or duration_seconds",
    ),
    ('sum_over_time({a="b"} | unwrap [5m])', "1:32 expected a label name, found '['"),
    (
        'sum_over_time({a="b"} | unwrap c | json [5m])',
        "1:36 expected a stage or a label name (the word 'json' is reserved), found 'json'",
    ),
]
FUNCTIONS: list[Refusal] = [
    ('sum({a="b"})', "1:5 a metric is expected here, this is a log query; put it into count_over_time(… [5m])"),
    ('sum({a="b"}[5m])', "1:5 a metric is expected here, this is a log query; put it into count_over_time(… [5m])"),
    ('sum(rate({a="b"}[5m])) by c', "1:27 expected '(', found 'c'"),
    ('sum(rate({a="b"}[5m])) by (c) by (d)', "1:31 expected an operator such as + or the end, found 'by'"),
    ('sum by (c) (rate({a="b"}[5m])) by (c)', "1:32 expected an operator such as + or the end, found 'by'"),
    ('sum(3, rate({a="b"}[5m]))', "1:6 sum takes no parameter"),
    ('sum(rate({a="b"}[5m]), 3)', "1:22 sum takes no parameter"),
    (
        'topk(rate({a="b"}[5m]))',
        "1:6 expected how many topk returns, a whole number from 1 to 2147483647, found 'rate'",
    ),
    (
        'topk(0, rate({a="b"}[5m]))',
        "1:6 expected how many topk returns, a whole number from 1 to 2147483647, found '0'",
    ),
    (
        'topk(1.5, rate({a="b"}[5m]))',
        "1:6 expected how many topk returns, a whole number from 1 to 2147483647, found '1.5'",
    ),
    (
        'topk(-1, rate({a="b"}[5m]))',
        "1:6 expected how many topk returns, a whole number from 1 to 2147483647, found '-'",
    ),
    (
        'topk(99999999999, rate({a="b"}[5m]))',
        "1:6 expected how many topk returns, a whole number from 1 to 2147483647, found '99999999999'",
    ),
    ('approx_topk(3, rate({a="b"}[5m])) by (c)', "1:1 approx_topk takes no grouping"),
    ('sort(rate({a="b"}[5m])) by (c)', "1:1 sort takes no grouping"),
    ('histogram_quantile(0.9, rate({a="b"}[5m]))', "1:1 'histogram_quantile' is no function of LogQL"),
    ("vector()", "1:8 expected a number, found ')'"),
    ("vector(-1)", "1:8 expected a number, found '-'"),
    ("vector(5m)", "1:8 expected a number, found '5m'"),
    ("vector(x)", "1:8 expected a number, found 'x'"),
    ('label_replace(rate({a="b"}[5m]))', "1:32 expected ',', found ')'"),
    ('label_replace(rate({a="b"}[5m]), "c", "d", "e")', "1:47 expected ',', found ')'"),
    ('label_replace(rate({a="b"}[5m]), "c d", "e", "f", "g")', "1:34 this is no name of a label"),
    ('label_replace(rate({a="b"}[5m]), "c", "d", "e", "(")', "1:49 this is no regular expression of RE2: missing ): ("),
    ('label_replace(rate({a="b"}[5m]), c, "d", "e", "f")', "1:34 expected a string in double quotes, found 'c'"),
]
OPERATIONS: list[Refusal] = [
    ("rate", "1:5 expected '(', found the end"),
    ("rate(", '1:6 expected a selector such as {service="pay-api"}, found the end'),
    ("rate(5)", "1:7 expected ',', found ')'"),
    (
        'rate({a="b"}[5m]) +',
        "1:20 expected a function such as rate, sum or count_over_time, or a number, found the end",
    ),
    (
        'rate({a="b"}[5m]) + {a="b"}',
        "1:21 a metric is expected here, this is a log query; put it into count_over_time(… [5m])",
    ),
    ('rate({a="b"}[5m]) and 1', "1:19 'and' joins series, a number has none"),
    ('1 or rate({a="b"}[5m])', "1:3 'or' joins series, a number has none"),
    ("1 + bool 1", "1:5 bool goes with comparisons only"),
    ('1 + on (c) rate({a="b"}[5m])', "1:3 on and ignoring go between series, a number has no labels"),
    ('rate({a="b"}[5m]) bool > 1', "1:19 expected an operator such as + or the end, found 'bool'"),
    (
        'rate({a="b"}[5m]) > bool > 1',
        "1:26 expected a function such as rate, sum or count_over_time, or a number, found '>'",
    ),
    ('rate({a="b"}[5m]) + on c rate({a="b"}[5m])', "1:24 expected '(', found 'c'"),
    (
        'rate({a="b"}[5m]) + group_left rate({a="b"}[5m])',
        "1:21 expected a function (the word 'group_left' is reserved), found 'group_left'",
    ),
    (
        'rate({a="b"}[5m]) + on (c) group_left (c) rate({a="b"}[5m])',
        "1:28 c stands in on (…) and in group_left (…) at once",
    ),
    ('rate({a="b"}[5m]) or on (c) group_left rate({a="b"}[5m])', "1:29 group_left does not go with 'or'"),
    ('rate({a="b"}[5m]) rate({a="b"}[5m])', "1:19 expected an operator such as + or the end, found 'rate'"),
    ('rate({a="b"}[5m]) =~ 1', "1:19 expected an operator such as + or the end, found '=~'"),
    ("5m", "1:1 expected a number, found '5m'"),
    ("5KiB", "1:1 expected a number, found '5KiB'"),
    ("1e999", "1:1 expected a number, found '1e999'"),
    ("1 2", "1:3 expected an operator such as + or the end, found '2'"),
    ("--1", "1:2 expected a number, found '-'"),
    ('"x"', "1:1 expected a function such as rate, sum or count_over_time, or a number, found the string 'x'"),
]


@pytest.mark.parametrize(
    ("text", "refusal"), [*NOT_PART, *SELECTORS, *TEXTS, *STAGES, *RANGES, *FUNCTIONS, *OPERATIONS]
)
def test_a_refusal_says_what_is_wrong_and_where(text: str, refusal: str) -> None:
    with pytest.raises(ParseError) as refused:
        parse(text)
    error = refused.value
    place, _, message = refusal.partition(" ")
    assert f"{error.line}:{error.column}" == place
    assert error.message == f"parse error at line {error.line}, col {error.column}: {message}"
    shown, caret = error.caret.split("\n")
    assert caret == " " * (len(caret) - 1) + "^"
    assert text.split("\n")[error.line - 1][error.column - 1 :].startswith(shown[len(caret) - 1 :])
