"""What the parsers make of lines."""

from __future__ import annotations

import pytest
from tests.logql.running import labels, run


@pytest.mark.parametrize(
    ("line", "found", "error"),
    [
        ('{"a": "x", "b": 1.50, "c": 1e3, "d": true, "e": null, "f": [1]}', {"a": "x", "b": "1.50", "c": "1e3", "d": "true"}, None),
        ('{"a": {"b": {"c": "x"}, "1d": 2}}', {"a_b_c": "x", "a_1d": "2"}, None),
        ('{"a": 1, "a": 2}', {"a": "1"}, None),
        ('{" dot.ted ": 1, "9x": 2, "é-x": 3}', {"dot_ted": "1", "_9x": "2", "__x": "3"}, None),
        ('{"a": {" b ": 1}}', {"a_b": "1"}, None),
        ('{"": 1, " ": 2}', {}, None),
        (' {"a":1} and more', {"a": "1"}, None),
        ('{"a": 1, "b": "x', {"a": "1"}, "JSONParserErr"),
        ('{"a": {"b": 1, "c": }, "d": 2}', {"a_b": "1"}, "JSONParserErr"),
        ('{"a": {"b": 1,}, "d": 2}', {"a_b": "1"}, "JSONParserErr"),
        ('{"a": 1 "b": 2}', {"a": "1"}, "JSONParserErr"),
        ("[1]", {}, "JSONParserErr"),
        ("", {}, "JSONParserErr"),
        ("plain", {}, "JSONParserErr"),
        (r'{"a": "\ud800", "b": "\ud83d\ude00"}', {"a": "\ufffd", "b": "😀"}, None),
    ],
)  # fmt: skip
def test_json_members_become_labels(line, found, error):
    assert run("{} | json", line)[1:] == (found, error)


@pytest.mark.parametrize(
    ("path", "line", "found", "error"),
    [
        ("b", '{"b": "x"}', "x", None),
        ('b[\\"c d\\"][1]', '{"b": {"c d": [0, 1.50]}}', "1.50", None),
        ("b", '{"b": {"c": [1, "x"] }}', '{"c": [1, "x"] }', None),
        ("b", '{"b": null}', "", None),
        ("c", '{"b": 1}', "", None),
        ("b.c", '{"b": "x"}', "", None),
        ("b[0]", '{"b": {"0": 1}}', "", None),
        ("b", '{"b": 1, "b": 2}', "1", None),
        ("[1]", "[1, 2]", "2", None),
        ("b", '{"b": 1, "c', "1", "JSONParserErr"),
        ("c", '{"b": 1 "c": 2}', "", "JSONParserErr"),
        ("b", '{"b": {"c": 1', "", "JSONParserErr"),
        ("b.c", '{"b": {"c": 1', "1", "JSONParserErr"),
        ("b", "plain", None, "JSONParserErr"),
    ],
)
def test_json_paths_give_one_label_each(path, line, found, error):
    expected = {} if found is None else {"a": found}
    assert run(f'{{}} | json a="{path}"', line)[1:] == (expected, error)


@pytest.mark.parametrize(
    ("options", "line", "found"),
    [
        ("", 'a=x b="y z" c= d e="q\\"\\u00e9"', {"a": "x", "b": "y z", "e": 'q"é'}),
        ("--keep-empty", "a= b", {"a": "", "b": ""}),
        ("", "a=1 a=2", {"a": "1"}),
        ("", "dot.ted=1 9x=2", {"dot_ted": "1", "_9x": "2"}),
        ("", "url=/x?a=b c=1", {"c": "1"}),
        ("", 'a="b"c=1', {"a": "b", "c": "1"}),
        ("", 'a=x"y=1 c=2', {"c": "2"}),
        ("", 'a=1 b="open c=2', {"a": "1"}),
        ("", '=x "q" a=1', {"a": "1"}),
        ("", 'a="bad \\q" b=1', {"b": "1"}),
        ("", "a=x\u00a0y b=\u2028", {"a": "x\u00a0y", "b": "\u2028"}),
        ("", "plain words", {}),
        ('x="a", y="a", z="b"', "a=1 c=2", {"x": "1", "y": "1"}),
        ('--keep-empty x="a", z="b"', "a=1", {"x": "1", "z": ""}),
        ('x="dot.ted"', "dot.ted=1", {"x": "1"}),
    ],
)
def test_logfmt_pairs_become_labels(options, line, found):
    assert run(f"{{}} | logfmt {options}", line)[1:] == (found, None)


@pytest.mark.parametrize(
    ("line", "found", "error"),
    [
        ("a=1 b", {"a": "1"}, None),
        ("a=1 b=x=y c=2", {"a": "1"}, "LogfmtParserErr"),
        ('a=1 b="open', {"a": "1"}, "LogfmtParserErr"),
    ],
)
def test_strict_logfmt_stops_at_what_is_no_pair(line, found, error):
    assert run("{} | logfmt --strict", line)[1:] == (found, error)


def test_values_with_escapes_are_redacted_again():
    escaped = r"\u0073ecret"
    assert labels("{} | json", f'{{"a": "{escaped}", "b": "xsecret"}}') == {"a": "⟦secret⟧", "b": "xsecret"}
    assert labels("{} | json", f'{{"{escaped}": 1}}') == {"_secret_": "1"}
    assert labels('{} | json x="a[0]"', f'{{"a": ["{escaped}"]}}') == {"x": "⟦secret⟧"}
    assert labels("{} | logfmt", f'a="{escaped}"') == {"a": "⟦secret⟧"}
    assert run("{} | unpack", f'{{"a": "{escaped}", "_entry": "a {escaped}"}}')[:2] == ("a ⟦secret⟧", {"a": "⟦secret⟧"})


def test_a_value_that_stands_elsewhere_unescaped_is_redacted_again_all_the_same():
    # There the redactor may have had a reason to leave it, such as a letter before it.
    line = r'{"a": "\u0073ecret", "b": "xsecret"}'
    assert labels("{} | json", line) == {"a": "⟦secret⟧", "b": "xsecret"}


@pytest.mark.parametrize(
    ("line", "outcome"),
    [
        ('{"_entry": "a b", "pod": "x", "n": 42, "s": "42", "o": {}}', ("a b", {"pod": "x", "s": "42"}, None)),
        ('{"pod": "x"}', ('{"pod": "x"}', {}, None)),
        ('{"_entry": 1, "pod": "x"}', ('{"_entry": 1, "pod": "x"}', {}, None)),
        ('{"_entry": "a"', ('{"_entry": "a"', {}, "JSONParserErr")),
        ("plain", ("plain", {}, "JSONParserErr")),
    ],
)
def test_unpack_takes_strings_and_the_line(line, outcome):
    assert run("{} | unpack", line) == outcome


@pytest.mark.parametrize(
    ("pattern", "line", "found"),
    [
        (r"(?P<a>\\d+)-(?P<b>x)?", "n 12-", {"a": "12", "b": ""}),
        (r"(?P<a>\\d+)", "none", {}),
        ("(?P<a>.+)", "é\nx", {"a": "é"}),
    ],
)
def test_regexp_names_what_its_first_match_holds(pattern, line, found):
    assert run(f'{{}} | regexp "{pattern}"', line)[1:] == (found, None)


@pytest.mark.parametrize(
    ("pattern", "line", "found"),
    [
        ("<ip> - <_> [<at>]", "10.0.0.1 - u [now] x", {"ip": "10.0.0.1", "at": "now"}),
        ("<a>: <b>", "no colon", {"a": "no colon"}),
        ("x<a> <b>", "x1 2 3", {"a": "1", "b": "2 3"}),
        ("x<a>", "1x2", {}),
        ("<_>x<a>", "1x2", {"a": "2"}),
        ("<a>", "", {}),
        ("<a> ", " b", {"a": ""}),
    ],
)
def test_a_pattern_begins_where_the_line_begins(pattern, line, found):
    assert labels(f'{{}} | pattern "{pattern}"', line) == found


def test_names_of_the_stream_and_of_metadata_are_extended():
    found = run("{} | json", '{"a": 1, "b": 2, "c": 3}', {"a": "s"}, {"b": "m", "a": "n"})
    # Metadata that has a name of the stream is extended itself; what is parsed then comes before it.
    assert found.labels == {"a": "s", "b": "m", "a_extracted": "1", "b_extracted": "2", "c": "3"}
    assert run("{}", "", {"a": "s"}, {"a": "n"}).labels == {"a": "s", "a_extracted": "n"}


def test_the_first_of_several_parsers_wins():
    assert labels('{} | regexp "(?P<a>.)" | json', '{"a": 1, "b": 2}') == {"a": "{", "b": "2"}
