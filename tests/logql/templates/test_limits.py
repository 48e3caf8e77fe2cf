"""Whatever a template says: it is read or refused, fills or fails, and takes no more than its share."""

from __future__ import annotations

import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.logql.templates.filling import LABELS, filled
from tests.volume import volume

from loglease.logql import Malformed
from loglease.logql.templates import Template, TemplateFailed
from loglease.logql.templates.evaluation import MAX_STEPS
from loglease.logql.templates.functions import FUNCTIONS
from loglease.logql.templates.values import MAX_OUTPUT

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
        "if",
        "else",
        "end",
        "with",
        "range",
        "break",
        "continue",
        "define",
        "block",
        "true",
        "nil",
        "1",
        "-1",
        "1.5",
        "0x",
        "'a'",
        "'\\",
        '"s"',
        "`",
        '"',
        "lower",
        "print",
        "fromJson",
        ".j",
        "/*",
        "*/",
        "é",
        "⟦",
        "{",
        "}",
    ]
) | st.sampled_from((" ", "\n", "\0", "\ufffd"))
soups = st.lists(pieces, max_size=20).map("".join) | st.text(max_size=30)


@settings(max_examples=volume(125, 500), deadline=None)
@given(soups)
def test_any_text_is_read_or_refused(text):
    try:
        template = Template(text)
    except Malformed:
        return
    assert template.labels is None or all(isinstance(name, str) for name in template.labels)


@pytest.mark.parametrize(
    "text",
    [
        "{{" + "(" * 100_000,
        "{{if .a}}" * 30_000,
        "{{if .a}}" + "{{else if .a}}" * 10_000 + "{{end}}",
        "{{" * 50_000,
        "{{/*" * 30_000,
        "{{'" + "\\'" * 50_000,
        '{{"' + "\\n" * 50_000,
        "{{$x := " * 20_000,
        "{{.a" + ".a" * 50_000,
    ],
)
def test_long_templates_that_are_none_are_refused(text):
    with pytest.raises(Malformed):
        Template(text)


values = st.one_of(
    st.sampled_from((".a", ".n", ".j", ".missing", ".", "$", "nil", "true", "now", "__timestamp__", "__line__")),
    st.sampled_from(("(fromJson .j)", "(fromJson .j).l", '(fromJson "[[[1e300]]]")', "(fromJson .missing)")),
    st.integers(-(1 << 63), (1 << 63) - 1).map(str),
    st.integers(-3, 400).map(str),
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.text(st.characters(exclude_characters="`"), max_size=8).map(lambda text: f"`{text}`"),
    st.sampled_from(("`inf`", "`nan`", "`%d%*.*f%[3]s`", "`(a*)*`", "`2006-01-02T15:04:05.999Z07:00`", "`Europe`")),
)
calls = st.recursive(
    values,
    lambda inner: st.builds(
        lambda name, arguments: f"({name} {' '.join(arguments)})",
        st.sampled_from(sorted(FUNCTIONS)),
        st.lists(inner, max_size=4),
    ),
    max_leaves=8,
)


@settings(max_examples=volume(200, 800), deadline=None)
@given(calls)
def test_filling_fails_in_one_way_only(call):
    try:
        made = filled(f"{{{{print {call}}}}}{{{{range {call}}}}}{{{{.}}}}{{{{end}}}}")
    except (Malformed, TemplateFailed):
        return
    assert len(made.encode()) <= MAX_OUTPUT


HUGE = {**LABELS, "x": "x" * 60_000, "lines": "\n" * 60_000, "list": f"[{'1e9,' * 20_000}1]", "one": '{"a":1}'}


@pytest.mark.attack("QL-09")
@pytest.mark.parametrize(
    "text",
    [
        "{{repeat 1000000000 .a}}",
        "{{repeat 9223372036854775807 .a}}",
        "{{.lines | indent 100000}}",
        "{{alignLeft 2000000 .a}}",
        "{{alignRight 2000000000 .a}}",
        '{{replace "x" .x .x}}',
        '{{Replace .x "x" .x 60000}}',
        '{{regexReplaceAll "x" .x .x}}',
        '{{regexReplaceAllLiteral "x" .x .x}}',
        '{{printf "%1000000s%1000000s" "a" "a"}}',
        '{{printf "%*d" 1000000000 1}}{{printf "%1000000d%1000000d" 1 1}}',
        '{{printf "%1000000v" (fromJson .list)}}',
        '{{printf "%.1000000f%.1000000f" 1.5 1.5}}',
        "{{print " + ".x " * 1000 + "}}",
        "{{html " + ".x " * 1000 + "}}",
        "{{.x}}" * 20_000,
        "{{.x}} {{.n | lower}}" * 5_000,
        "{{range 10000}}{{$.x}}{{end}}",
        "".join(f"{{{{$v{number} := repeat 10 .x}}}}" for number in range(3_000)),
        "{{range 9000}}{{$y := repeat 10 $.x}}{{end}}",
        "{{$l := fromJson .list}}{{range 9000}}{{$y := slice $l 1}}{{end}}",
        '{{range 9000}}{{count (print "(" . "|x{1,900}){9}") "x"}}{{end}}',
    ],
    ids=lambda text: text[:40],
)
def test_what_would_be_too_much_is_not_made(text):
    template = Template(text)
    tracemalloc.start()
    try:
        with pytest.raises(TemplateFailed):
            filled(template, HUGE)
        assert tracemalloc.get_traced_memory()[1] < 100 << 20
    finally:
        tracemalloc.stop()


def test_the_output_may_be_just_as_large_as_allowed():
    assert len(filled(f"{{{{repeat {MAX_OUTPUT} `x`}}}}")) == MAX_OUTPUT
    with pytest.raises(TemplateFailed):
        filled(f"{{{{repeat {MAX_OUTPUT} `x`}}}}y")
    with pytest.raises(TemplateFailed):
        filled("{{.a}}", {"a": "é" * (MAX_OUTPUT // 2 + 1)})


@pytest.mark.parametrize(
    "text",
    [
        "{{range 10000}}{{range 10000}}{{end}}{{end}}",
        "{{range 10000}}{{range 10000}}x{{end}}{{end}}",
        "{{range 9223372036854775807}}{{end}}",
        "{{range $i := 100000}}{{if $i}}{{end}}{{end}}",
        "{{range 9999}}{{lower .}}{{end}}",
    ],
)
def test_steps_have_an_end(text):
    with pytest.raises(TemplateFailed):
        filled(text)


def test_a_range_may_be_as_long_as_there_are_steps():
    rounds = MAX_STEPS // 2 - 1
    assert filled(f"{{{{range {rounds}}}}}x{{{{end}}}}") == "x" * rounds
