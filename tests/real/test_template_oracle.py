"""Templates against Go's own, with the functions of the library whose names they carry.

Where we differ on purpose:

- `define`, `template`, `block` and `call` are refused, and there are no complex numbers.
- What no line could evaluate is refused when the query is read; Go lets some of it fail line by line.
- Whole numbers are of one kind, so that what `add` gives can go where Go wants a plain `int`; a literal such as `2.0`
  cannot. The complaints of `printf` therefore name no other kind than `int`.
- `date` of what is no moment fails; Go's shows the present time, which would be a wrong time without a word.
- `printf` has no `%p`, no `%x` and `%b` of floats; of a moment it writes no more than its text.
- Bytes that are no UTF-8, as `b64dec` can give them, become U+FFFD at once.
- JSON that is nested over 100 deep fails.
"""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.real.oracle import Oracle
from tests.real.template_cases import CASES

from loglease.logql import Malformed
from loglease.logql.templates import Surroundings, Template, TemplateFailed

pytestmark = pytest.mark.real_go

NS = 1_700_000_000_123_456_789
NOW = 1_700_000_100_000_000_000
LINE = "the quick <brown> fox"
LABELS = {
    "a": "alpha",
    "b": "Bravo Charlie",
    "n": "42",
    "f": "-3.75",
    "empty": "",
    "u": "héllo wörld ⟦email:q3f⟧",
    "j": '{"k":"v","n":1.5,"big":12345678,"l":[1,"two",null,true,{"x":"y"}],"o":{"z":null,"a":{"b":"c"}},"e":""}',
    "t": "2024-02-29T12:30:45.678Z",
    "q": "a b&c=d/é?<x>\"'",
    "d": "1m30s",
    "s": "5KiB",
    "lines": "one\ntwo\n\nfour",
}

MALFORMED = ("malformed",)
FAILED = ("failed",)
Outcome = str | tuple[str]

many = settings(max_examples=300, deadline=None)


_OTHER_WHOLES = re.compile(r"\((?:uint8|int64)=")


def ours(text: str, labels: dict[str, str], ns: int) -> Outcome:
    try:
        template = Template(text)
    except Malformed:
        return MALFORMED
    try:
        return template.fill(labels, Surroundings(line=LINE, ns=ns, now=NOW, rescan=lambda decoded: decoded))
    except TemplateFailed:
        return FAILED


def theirs(oracle: Oracle, text: str, labels: dict[str, str], ns: int) -> Outcome:
    answer = oracle.ask("template", text, labels=labels, line=LINE, ns=ns, now=NOW)
    if answer.get("malformed"):
        return MALFORMED
    if answer.get("failed"):
        return FAILED
    return _OTHER_WHOLES.sub("(int=", bytes.fromhex(answer["hex"]).decode("utf-8", "replace"))


def agree(oracle: Oracle, text: str, labels: dict[str, str] | None = None, ns: int = NS) -> None:
    given_labels = LABELS if labels is None else labels
    here, there = ours(text, given_labels, ns), theirs(oracle, text, given_labels, ns)
    if here == MALFORMED and there == FAILED:
        return
    assert here == there, f"{text!r} with {given_labels if labels else 'the labels'}"


@pytest.mark.parametrize("text", CASES)
def test_named_cases(oracle: Oracle, text: str) -> None:
    agree(oracle, text)


# Characters whose letters have changed with no version of Unicode.
characters = st.sampled_from("abcXYZ019 _-.'\t\nßéÉüÑğΣσςжЖ漢⟦⟧😀ǆ\u00a0\u2003$\\%/") | st.characters(
    max_codepoint=0x24F, exclude_categories=("Cs",)
)
texts = st.text(characters, max_size=10)
ascii_texts = st.text(st.characters(max_codepoint=0x7E), max_size=8)
small = st.integers(-3, 12)
wholes = small | st.integers(-(1 << 63), (1 << 63) - 1)
reals = st.floats(-1e6, 1e6) | st.floats(allow_nan=False, allow_infinity=False)
numeric_texts = (
    wholes.map(str)
    | reals.map(repr)
    | st.text("0123456789_xXbBoO.eE+-", max_size=6)
    | st.sampled_from(("inf", "-inf", "nan", "0x1p4", "", "x"))
)
sizes = st.builds("{}{}".format, st.integers(0, 5000), st.sampled_from(("", "B", "kB", "KiB", " MB", "x")))
durations = st.builds("{}{}".format, st.integers(-500, 5000), st.sampled_from(("ns", "ms", "s", "m", "h", "d")))


def quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\x7f")


def operands(values: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return values.map(quoted)


def called(name: str, *arguments: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Return calls of a function, some with the last argument from a pipe."""
    parts = st.tuples(*arguments)
    return parts.map(lambda found: f"({name} {' '.join(found)})") | parts.map(
        lambda found: f"({found[-1]} | {name} {' '.join(found[:-1])})"
    )


strings = operands(texts) | st.sampled_from((".a", ".b", ".n", ".f", ".u", ".q", ".missing", "$.lines", "__line__"))
ascii_strings = operands(ascii_texts) | st.sampled_from((".a", ".b", ".n", ".missing", "__line__"))
counts = small.map(str) | st.sampled_from(('(int "3")', "(len .a)"))
numbers = (
    wholes.map(str) | reals.map(repr) | operands(numeric_texts) | st.sampled_from((".n", ".f", "true", ".missing"))
)
truths = st.sampled_from(("true", "false", ".missing", ".a", "0", "1", '""'))


def of_text(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    plain = ("lower", "upper", "title", "trim", "ToLower", "ToUpper", "TrimSpace", "b64enc", "b64dec", "urlencode")
    escaping = ("urldecode", "html", "js", "urlquery", "print", "println", "len", "not", "fromJson", "int", "float64")
    two = ("trimAll", "trimPrefix", "trimSuffix", "contains", "hasPrefix", "hasSuffix", "Trim", "TrimLeft", "TrimRight")
    more = ("TrimPrefix", "TrimSuffix", "default", "eq", "ne", "lt", "le", "gt", "ge", "and", "or", "print")
    return st.one_of(
        st.sampled_from(plain + escaping).flatmap(lambda name: called(name, inner)),
        st.sampled_from(two + more).flatmap(lambda name: called(name, inner, inner)),
        called("replace", inner, inner, inner),
        called("Replace", inner, inner, inner, counts),
        st.sampled_from(("alignLeft", "alignRight", "repeat", "indent", "nindent")).flatmap(
            lambda name: called(name, counts, inner)
        ),
        called("trunc", counts, ascii_strings),
        called("substr", counts, counts, ascii_strings),
        called("slice", ascii_strings, counts, counts),
        called("index", ascii_strings, counts),
        called("printf", operands(st.sampled_from(("%s", "%q", "%8.3s|", "%-8s|", "%x", "%v %v"))), inner),
    )


def of_numbers(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    two = ("add", "sub", "mul", "div", "mod", "max", "min", "addf", "subf", "mulf", "divf", "maxf", "minf", "print")
    compared = ("eq", "ne", "lt", "le", "gt", "ge", "default", "and", "or")
    return st.one_of(
        st.sampled_from(two + compared).flatmap(lambda name: called(name, inner, inner)),
        st.sampled_from(("add", "mul", "max", "addf", "subf", "mulf", "divf", "maxf", "minf")).flatmap(
            lambda name: called(name, inner, inner, inner)
        ),
        st.sampled_from(("ceil", "floor", "int", "float64", "not", "print", "html")).flatmap(
            lambda name: called(name, inner)
        ),
        st.builds("(round {} {})".format, inner, st.integers(-3, 8)),
        st.builds("(round {} {} 0.{})".format, inner, st.integers(0, 4), st.integers(1, 9)),
    )


text_expressions = st.recursive(strings, of_text, max_leaves=5)
number_expressions = st.recursive(numbers, of_numbers, max_leaves=5)


@many
@given(text_expressions)
def test_functions_on_text(oracle: Oracle, text: str) -> None:
    agree(oracle, "{{" + text + "}}")


@many
@given(number_expressions)
def test_functions_on_numbers(oracle: Oracle, text: str) -> None:
    agree(oracle, "{{" + text + "}}")


@many
@given(st.sampled_from(("bytes", "duration")), sizes | durations | numeric_texts)
def test_quantities(oracle: Oracle, name: str, text: str) -> None:
    agree(oracle, "{{" + name + " .x}}", {"x": text})


blanks = st.sampled_from(("", " ", "\n", "  "))


def action(body: str, before: str, after: str) -> str:
    left, right = ("{{- " if before else "{{"), (" -}}" if after else "}}")
    return before + left + body + right + after


def structured(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    condition = text_expressions | number_expressions | truths | st.sampled_from(("$x := .a", "$x", "fromJson .j"))
    ranged = st.sampled_from(
        ("(fromJson .j).l", "$i, $e := (fromJson .j).l", "$k, $v := (fromJson .j).o", "3", "$i := 2", ".", ".a", "0")
    )
    return st.one_of(
        st.builds("{{{{if {}}}}}{}{{{{end}}}}".format, condition, inner),
        st.builds("{{{{if {}}}}}{}{{{{else}}}}{}{{{{end}}}}".format, condition, inner, inner),
        st.builds("{{{{if {}}}}}{}{{{{else if {}}}}}{}{{{{end}}}}".format, condition, inner, condition, inner),
        st.builds("{{{{with {}}}}}{}{{{{else}}}}{}{{{{end}}}}".format, condition, inner, inner),
        st.builds("{{{{with {}}}}}{}{{{{else with {}}}}}{}{{{{end}}}}".format, condition, inner, condition, inner),
        st.builds("{{{{range {}}}}}{}{{{{end}}}}".format, ranged, inner),
        st.builds("{{{{range {}}}}}{}{{{{else}}}}{}{{{{end}}}}".format, ranged, inner, inner),
        st.builds("{}{}".format, inner, inner),
    )


bodies = (
    text_expressions
    | number_expressions
    | st.sampled_from((".", "$", "$x", "$x := 1", "$x = .a", "$i", "$e", "$k", "$v", "break", "continue", "print ."))
)
trees = st.recursive(
    st.builds(action, bodies, blanks, blanks) | st.sampled_from((" x ", "{{/* c */}}", "{{- /* c */ -}}")),
    structured,
    max_leaves=6,
)


@many
@given(trees)
def test_trees(oracle: Oracle, text: str) -> None:
    agree(oracle, "{{$x := 0}}" + text)


pieces = st.sampled_from(
    [
        "{{",
        "}}",
        "{{-",
        "-}}",
        "|",
        "(",
        ")",
        ".",
        ",",
        "=",
        ":=",
        "$",
        "$x",
        ".a",
        ".b.",
        "$.a",
        "if",
        "else",
        "end",
        "range",
        "with",
        "break",
        "continue",
        "true",
        "false",
        "nil",
        "1",
        "-1",
        "1.5",
        "0x1F",
        "'a'",
        "'\\n'",
        '"s"',
        "`r`",
        '"\\"',
        "lower",
        "print",
        "len",
        "index",
        "not",
        "eq",
        "/*",
        "*/",
        "x",
        "08",
        "1_0",
        "1e3",
        "$x,",
        "-",
    ]
) | st.sampled_from((" ", "  ", "\n"))
soups = st.lists(pieces, max_size=10).map("".join) | st.lists(pieces, max_size=8).map(" ".join)


@many
@given(soups.map(lambda inner: "{{" + inner + "}}") | soups | st.text("{}-/* .a$|()\"`'1", max_size=12))
def test_what_is_a_template(oracle: Oracle, text: str) -> None:
    agree(oracle, text)


flags = st.text("+-# 0", max_size=3)
widths = st.sampled_from(("", "", "1", "8", "*", "12"))
precisions = st.sampled_from(("", "", ".", ".0", ".2", ".10", ".*"))
verbs = st.builds(
    "%{}{}{}{}{}".format,
    flags,
    st.sampled_from(("", "", "", "[1]", "[2]", "[9]", "[x]")),
    widths,
    precisions,
    st.sampled_from("vvsdqxXobOcUtTeEfFgG%zé"),
)
layouts = st.lists(verbs | st.sampled_from(("a", " ", "%", "é")), max_size=3).map("".join)
filled = st.one_of(
    operands(texts),
    wholes.map(str),
    st.integers(-1, 0x3000).map(str),
    reals.map(repr),
    st.sampled_from(("true", "nil", "'é'", "(fromJson .j).l", "(fromJson .j).o", "(fromJson `[1.5,[2]]`)", ".")),
)


@settings(max_examples=600, deadline=None)
@given(layouts, st.lists(filled, max_size=3))
@example("%*d", ["-5", "42"])
@example("%.*f", ["-1", "1.5"])
@example("%-010d|%+-08.3f", ["42", "1.5"])
@example("%1000001d", ["1"])
@example("%[1]*d %[1]d", ["5"])
@example("%[2]*[1]d", ["7", "5"])
@example("%.[2]*[1]f", ["1.5", "1"])
@example("%[", ["1"])
@example("%[]d", ["1"])
@example("%[1]2d", ["1"])
def test_layouts(oracle: Oracle, layout: str, values: list[str]) -> None:
    if any(verb in layout for verb in "xXb") and any("." in value for value in values):
        layout = layout.replace("x", "d").replace("X", "d").replace("b", "d")
    agree(oracle, "{{printf " + quoted(layout) + " " + " ".join(values) + "}}")


expressions = st.lists(
    st.sampled_from(
        ("a", "b", "é", ".", "x*", "a+", "(a|b)", "(?P<n>a?)", "^", "$", "\\b", "[a-c]", "\\d", "|", "(", "\\s", "b?")
    ),
    max_size=4,
).map("".join)
replacements = st.lists(
    st.sampled_from(("$1", "${1}", "$n", "${n}x", "$$", "$", "-", "é", "${", "$0", "$2")), max_size=3
).map("".join)


@many
@given(expressions, st.text("ab é1\nx", max_size=8), replacements)
def test_expressions(oracle: Oracle, pattern: str, text: str, replacement: str) -> None:
    labels = {"p": pattern, "t": text, "r": replacement}
    agree(oracle, "{{count .p .t}}", labels)
    agree(oracle, "{{regexReplaceAll .p .t .r}}", labels)
    agree(oracle, "{{regexReplaceAllLiteral .p .t .r}}", labels)


date_parts = st.sampled_from(
    [
        "2006",
        "06",
        "01",
        "1",
        "Jan",
        "January",
        "02",
        "2",
        "_2",
        "002",
        "__2",
        "Mon",
        "Monday",
        "15",
        "03",
        "3",
        "04",
        "4",
        "05",
        "5",
        "PM",
        "pm",
        "MST",
        "Z07",
        "Z0700",
        "Z07:00",
        "Z070000",
        "Z07:00:00",
        "-07",
        "-0700",
        "-07:00",
        "-070000",
        "-07:00:00",
        ".000",
        ".999",
        ",000000",
        ".000000000",
        ".0",
        ".9",
        "-",
        ":",
        "/",
        "T",
        "x",
        "é",
        ",",
        ".",
    ]
) | st.just(" ")
date_layouts = st.lists(date_parts, min_size=1, max_size=8).map("".join)
common_layouts = st.sampled_from(
    (
        "2006-01-02T15:04:05Z07:00",
        "2006-01-02T15:04:05.999999999Z07:00",
        "Mon, 02 Jan 2006 15:04:05 MST",
        "02/Jan/2006:15:04:05 -0700",
        "Jan _2 15:04:05",
        "3:04:05PM",
        "2006-002",
        "2006-01-02 15:04:05,000",
    )
)
zones = st.sampled_from(
    ("UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "", "America/Sao_Paulo", "Nope")
)
moments = st.integers(-(1 << 63), (1 << 63) - 1) | st.integers(0, 4_000_000_000).map(lambda second: second * 10**9)


@many
@given(date_layouts | common_layouts, moments)
def test_written_dates(oracle: Oracle, layout: str, ns: int) -> None:
    agree(
        oracle, "{{__timestamp__ | date .l}} {{__timestamp__}} {{__timestamp__ | unixEpochMillis}}", {"l": layout}, ns
    )


@many
@given(date_layouts | common_layouts, moments, zones, st.data())
def test_read_dates(oracle: Oracle, layout: str, ns: int, zone: str, data: st.DataObject) -> None:
    shown = ours("{{__timestamp__ | date .l}}", {"l": layout}, ns)
    assert isinstance(shown, str)
    place = data.draw(st.integers(0, len(shown)))
    changed = data.draw(
        st.sampled_from((shown, shown[:place], shown[:place] + "0" + shown[place + 1 :], f" {shown}", shown.lower()))
    )
    labels = {"l": layout, "t": changed, "z": zone}
    agree(oracle, "{{toDate .l .t}} {{toDate .l .t | unixEpochNanos}}", labels)
    agree(oracle, "{{toDateInZone .l .z .t}} {{toDateInZone .l .z .t | unixEpoch}}", labels)


values = st.recursive(
    st.none() | st.booleans() | reals | st.integers(-(10**18), 10**18) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)


@many
@given(values.map(json.dumps) | st.text('{}[]",:0123456789.eE+-ntrufalse\\ud80\n ', max_size=12))
def test_json(oracle: Oracle, text: str) -> None:
    agree(oracle, "{{fromJson .j}} {{range fromJson .j}}<{{.}}>{{end}} {{printf `%s %v` (fromJson .j) 1}}", {"j": text})
