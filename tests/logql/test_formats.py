"""Stages that write lines and labels, or take labels away."""

from __future__ import annotations

import pytest
from tests.logql.running import run

STREAM = {"app": "pay"}
METADATA = {"trace": "t1"}


@pytest.mark.parametrize(
    ("stages", "line", "found"),
    [
        ('| line_format "{{.app}} {{.missing}}{{.trace | upper}}"', "pay T1", None),
        ('| line_format "{{ __line__ }}!"', "a=1!", None),
        ('| logfmt | line_format "{{.a}}"', "1", None),
        ('| line_format "{{ div 1 .missing }}"', "a=1", "TemplateFormatErr"),
        ('| line_format "{{ substr .app .app .app }}" | json', "a=1", "TemplateFormatErr"),
        # The error is seen by filters on text, drop and keep only.
        ('| json | line_format "{{.__error__}}|{{.app}}"', "|pay", "JSONParserErr"),
    ],
)
def test_line_format_writes_the_line(stages, line, found):
    outcome = run("{} " + stages, "a=1", STREAM, METADATA)
    assert (outcome.line, outcome.error) == (line, found)


@pytest.mark.parametrize(
    ("call", "made"),
    [
        ("substr 1 4", "réß"),
        ("substr -1 2", "Gr"),
        ("substr 4 -1", "e"),
        ("trunc 4", "Gréß"),
        ("trunc -3", "éße"),
        ("trunc -9", "Gréße"),
        ("alignLeft 3", "Gré"),
        ("alignLeft 6", "Gréße "),
        ("alignRight 3", "éße"),
        ("alignRight 6", " Gréße"),
        ("alignRight -1", "Gréße"),
    ],
)
def test_templates_cut_and_align_by_characters(call, made):
    assert run(f'{{}} | line_format "{{{{.word | {call}}}}}"', "", {"word": "Gréße"}).line == made


@pytest.mark.parametrize(
    ("sets", "labels", "error"),
    [
        ('x="{{.app}}-{{.trace}}"', {"app": "pay", "trace": "t1", "x": "pay-t1"}, None),
        ("x=app", {"x": "pay", "trace": "t1"}, None),
        ("x=missing", {"app": "pay", "trace": "t1"}, None),
        ('app="{{.app}}2"', {"app": "pay2", "trace": "t1"}, None),
        ('x="1", y="{{.x}}"', {"app": "pay", "trace": "t1", "x": "1", "y": ""}, None),
        ('x=app, y="{{.x}}"', {"x": "pay", "y": "pay", "trace": "t1"}, None),
        ("app=app", {"trace": "t1"}, None),
        ("x=app, app=trace", {"x": "pay", "app": "t1"}, None),
        ('x="{{ div 1 0 }}", y="2"', {"app": "pay", "trace": "t1", "y": "2"}, "TemplateFormatErr"),
        ("x=__error__", {"app": "pay", "trace": "t1"}, None),
    ],
)
def test_label_format_sets_labels(sets, labels, error):
    outcome = run(f"{{}} | label_format {sets}", "a=1", STREAM, METADATA)
    assert (outcome.labels, outcome.error) == (labels, error)


def test_the_error_is_not_renamed():
    assert run("{} | json | label_format x=__error__", "a").error == "JSONParserErr"


@pytest.mark.parametrize(
    ("line", "plain"),
    [
        ("\x1b[31mred\x1b[0m", "red"),
        ("␛[1;32mgreen␛[m x", "green x"),
        ("␛ alone [31m", "␛ alone [31m"),
    ],
)
def test_decolorize_takes_colours_away(line, plain):
    assert run("{} | decolorize", line).line == plain


@pytest.mark.parametrize(
    ("stages", "labels", "error"),
    [
        ("| drop a, app", {"b": "2", "trace": "t1"}, "JSONParserErr"),
        ('| drop a="1", b="x"', {"app": "pay", "b": "2", "trace": "t1"}, "JSONParserErr"),
        ('| drop app=~"p.*"', {"a": "1", "b": "2", "trace": "t1"}, "JSONParserErr"),
        ("| drop __error__", {"app": "pay", "a": "1", "b": "2", "trace": "t1"}, None),
        ('| drop __error__="JSONParserErr"', {"app": "pay", "a": "1", "b": "2", "trace": "t1"}, None),
        ('| drop __error__="LogfmtParserErr"', {"app": "pay", "a": "1", "b": "2", "trace": "t1"}, "JSONParserErr"),
        ("| keep a, trace", {"a": "1", "trace": "t1"}, "JSONParserErr"),
        ('| keep a="1", b="x", app=~".+"', {"a": "1", "app": "pay"}, "JSONParserErr"),
        ("| keep missing", {}, "JSONParserErr"),
    ],
)
def test_drop_and_keep(stages, labels, error):
    outcome = run("{} | logfmt | json " + stages, "a=1 b=2", STREAM, METADATA)
    assert (outcome.labels, outcome.error) == (labels, error)


def test_a_name_of_the_stream_stays_taken_when_its_label_is_gone():
    assert run("{} | drop app | json", '{"app": 1}', STREAM).labels == {"app_extracted": "1"}
