"""The language by example: conditions that are accepted, and what they say about the values in `facts`."""

from __future__ import annotations

import pytest
from tests.policy.conditions.facts import SECOND, answer, condition, values

from loglease.policy.conditions import BOOL, Condition, Field, Listed, Record, Text, compiled
from loglease.policy.conditions.types import name_of

BOOLS = [
    ("true", True),
    ("false", False),
    ("ctx.mfa", True),
    ("ctx.on_call", False),
    ("!ctx.on_call", True),
    ("!!ctx.on_call", False),
    ("!(ctx.mfa && ctx.on_call)", True),
    ("ctx.mfa && ctx.on_call", False),
    ("ctx.mfa || ctx.on_call", True),
    ("ctx.mfa == ctx.on_call", False),
    ("ctx.mfa != ctx.on_call", True),
    ("ctx.mfa == true", True),
    ("ctx.on_call in [true]", False),
    ("ctx.on_call in [true, false]", True),
]
PRECEDENCE = [
    ("true || true && false", True),
    ("(true || true) && false", False),
    ("!false || true", True),
    ("!(false || true)", False),
    ("1 + 2 == 3 && 4 - 1 > 2", True),
    ("1 - 2 - 3 == -4", True),
    ("1 - (2 - 3) == 2", True),
    ("1 + 1 in [2]", True),
    ("! ( true )", False),
    ("\ttrue\r\n&&\n true ", True),
    ("((true))", True),
    ("1-1==0", True),
    ("1 - -1 == 2", True),
    ("1--1 == 2", True),
    ("false||true&&!false", True),
]
NUMBERS = [
    ("ctx.risk == 20", True),
    ("ctx.risk != 20", False),
    ("ctx.risk < 20", False),
    ("ctx.risk <= 20", True),
    ("ctx.risk > 20", False),
    ("ctx.risk >= 20", True),
    ("-ctx.risk == -20", True),
    ("- 20 < 0", True),
    ("-(20) < 0", True),
    ("-(1 + 2) == -3", True),
    ("ctx.risk in [1, -5, 20]", True),
    ("ctx.risk in []", False),
    ("5 in ctx.counts", True),
    ("0 == -0", True),
    ("9223372036854775807 in ctx.counts", True),
    ("ctx.least == -9223372036854775808", True),
    ("- 9223372036854775808 == ctx.least", True),
    ("9223372036854775807 - 1 == 9223372036854775806", True),
]
TEXTS = [
    ('ctx.note == "cards fail: é😀"', True),
    (r'ctx.note == "cards fail: \u00e9😀"', True),
    (r'ctx.note == "cards fail: \u00E9😀"', True),
    ("ctx.short == ''", True),
    ("ctx.short != ctx.note", True),
    ("\"it's\" == 'it\\'s'", True),
    (r'"say \"a\"" == ' + "'say \"a\"'", True),
    (r'"\\" != "\n"', True),
    (r'"\t\n" == "\u0009\u000a"', True),
    (r'"\u0000" == ""', False),
    ('ctx.note.startsWith("cards")', True),
    ('ctx.note.startsWith("")', True),
    ('ctx.note.endsWith("😀")', True),
    ('ctx.note.endsWith("cards")', False),
    ('ctx.note.contains("fail")', True),
    ('ctx.note.contains("FAIL")', False),
    ('"cards fail: é😀 again".contains(ctx.note)', True),
    ("ctx.note.startsWith(ctx.short)", True),
    ("size(ctx.note) == 14", True),
    ("ctx.note.size() == 14", True),
    ("size('') == 0", True),
    ('"é" == "e\u0301"', False),
    ("ctx.note in [\"a\", 'b']", False),
    ('"pay-api" in ctx.names', True),
    ("ctx.note in ctx.names", False),
    ("ctx.device.id == 'd-1' && ctx.device.level > 2", True),
    ("ctx.device['level'] == 3", True),
]
ENUMS = [
    ('ctx.net == "corp"', True),
    ('"vpn" == ctx.net', False),
    ("ctx.net != ctx.zone", True),
    ("ctx.net == ctx.note", False),
    ('ctx.net in ["vpn", "corp"]', True),
    ('"vpn" in ctx.nets', True),
    ("ctx.net in ctx.nets", True),
    ("ctx.zone in ctx.nets", False),
    ("ctx.note in ctx.nets", False),
    ('ctx.net.startsWith("co")', True),
    ("ctx.net.size() == 4", True),
    ('"prod" in req.labels.env', True),
    ('"?" in req.labels["env"]', True),
    ('"api" in req.labels["k8s.io/name"]', True),
    (r'"api" in req.labels["k8s.io\u002fname"]', True),
]
DURATIONS = [
    ('ctx.age == duration("5m")', True),
    ('ctx.age <= duration("4m59s")', False),
    ('ctx.age + ctx.age > duration("9m")', True),
    ('ctx.age - ctx.limit < duration("0s")', True),
    ('ctx.limit == duration("1h60m")', True),
    ("duration('1h30m') == duration('5400s')", True),
    ('duration("1h1s") != duration("1h1m")', True),
    ('duration("87600h") > ctx.limit', True),
    ("ctx.age in ctx.ages", False),
]
LISTS = [
    ("size(ctx.names) == 2", True),
    ("ctx.names.size() > 2", False),
    ("ctx.ages.size() == 0", True),
    ('ctx.names.exists(n, n.startsWith("pay-d"))', True),
    ('ctx.names.all(n, n.startsWith("pay-d"))', False),
    ("ctx.names.all(n, size(n) > 5)", True),
    ("ctx.flags.exists(f, f)", True),
    ("ctx.flags.all(f, f)", False),
    ("ctx.ages.exists(a, true)", False),
    ("ctx.ages.all(a, false)", True),
    ('ctx.ages.all(a, a < duration("1h"))', True),
    ("ctx.counts.exists(c, c > ctx.risk)", True),
    ("ctx.counts.exists(c, c in ctx.counts)", True),
    ('ctx.nets.exists(n, n == "vpn") && ctx.nets.exists(n, n == "corp")', True),
    ('req.labels.env.exists(e, e in ["dev", "staging"])', False),
    ('req.labels["env"].all(e, e == "prod" || e == "?")', True),
    ("ctx.flags.exists(int, int) && ctx.flags.exists((_), _)", True),
    ("ctx.names.exists(size, size.size() == size(size))", True),
]
EXAMPLES = [*BOOLS, *PRECEDENCE, *NUMBERS, *TEXTS, *ENUMS, *DURATIONS, *LISTS]


@pytest.mark.parametrize(("text", "expected"), EXAMPLES)
def test_conditions_say(text: str, expected: bool) -> None:
    assert answer(text) is expected


def test_a_condition_keeps_its_text_and_what_it_reads() -> None:
    text = 'ctx.risk < 60 && (has(opt.ticket) && opt.ticket.state == "open" || ctx.names.exists(n, n == ctx.note))'
    assert condition(text).text == text
    assert condition(text).reads == {
        ("ctx", "risk"), ("opt", "ticket"), ("opt", "ticket", "state"), ("ctx", "names"), ("ctx", "note"),
    }  # fmt: skip
    assert condition('"a" in req.labels["k8s.io/name"]').reads == {("req", "labels", "k8s.io/name")}
    assert condition("1 < 2").reads == frozenset()


PARTS = [
    ("ctx.mfa", ["ctx.mfa"]),
    ("ctx.mfa || ctx.on_call", ["ctx.mfa || ctx.on_call"]),
    ("ctx.mfa && !ctx.on_call  &&  1 < 2", ["ctx.mfa", "!ctx.on_call", "1 < 2"]),
    ("(ctx.mfa && ctx.on_call)", ["ctx.mfa", "ctx.on_call"]),
    ("(ctx.mfa && true) && (ctx.on_call || false)", ["(ctx.mfa && true)", "(ctx.on_call || false)"]),
    ("(ctx.risk + 1) > 2 && 2 < (3)", ["(ctx.risk + 1) > 2", "2 < (3)"]),
    ("((ctx.risk)) + (1) > 2", ["((ctx.risk)) + (1) > 2"]),
    ("(ctx.names).exists(n, (n) == 'a') && -(1) < 0", ["(ctx.names).exists(n, (n) == 'a')", "-(1) < 0"]),
]


@pytest.mark.parametrize(("text", "parts"), PARTS)
def test_parts_are_the_operands_of_the_outermost_and_with_their_parentheses(text: str, parts: list[str]) -> None:
    assert [part.text for part in condition(text).parts] == parts


def test_each_part_answers_by_itself() -> None:
    found = condition('ctx.mfa && ctx.on_call && ctx.age < duration("1m")')
    assert [part.answer(values()) for part in found.parts] == [True, False, False]
    assert [part.answer(values(ctx_age=59 * SECOND)) for part in found.parts] == [True, False, True]


def test_a_root_can_be_a_value_itself_and_a_fact_not_given_is_a_fault() -> None:
    found: Condition = compiled(
        "on && deep.er", Record({"on": Field(BOOL), "deep": Field(Record({"er": Field(BOOL)}))})
    )
    assert found.answer({"on": True, "deep": {"er": True}}) is True
    assert str(found.answer({"on": True, "deep": {}})) == "Fault(reason='deep.er was not given')"
    assert str(found.answer({"deep": {"er": True}})) == "Fault(reason='on was not given')"
    assert found.answer({"on": False}) is False


def test_a_text_may_hold_any_character() -> None:
    text = "a\0b\u2028\U0001f600\u202e"
    assert answer(r"ctx.note == 'a\u0000b\u2028😀\u202e'", ctx_note=text) is True
    assert answer(r"ctx.note.contains('\u0000b') && size(ctx.note) == 6", ctx_note=text) is True
    assert answer(r"ctx.note.startsWith('a\u0000')", ctx_note="a") is False


def test_types_have_names() -> None:
    kinds = [BOOL, Text(), Text(words=frozenset({"b", "a"})), Listed(Text()), Record({})]
    assert [name_of(kind) for kind in kinds] == ["bool", "string", "one of a, b", "list of string", "record"]
