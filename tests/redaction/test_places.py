"""Where a pack or profile is wrong: file, line, column, rule, reason, and what to write instead."""

import pytest

from loglease.redaction import Fault, ProfileInvalid, RulesInvalid, parse_pack, parse_profile
from loglease.redaction.patterns import PatternInvalid, require_linear
from loglease.redaction.rules import KeyRule

PACK = """\
pack: shop
version: 1
format: loglease-rules/1
rules:
  - id: shop.session
    class: secret.session
    label: session
    pattern: '\\bacs_[0-9]{10,20}'
    examples: ['sid=«acs_0123456789»']
  - id: shop.pin
    kind: key
    class: credential.pin
    label: pin
    keys: [pin, pin_code]
    examples: ['pin=«4821»']
"""


def faults(text: str | bytes) -> tuple[Fault, ...]:
    with pytest.raises(RulesInvalid) as found:
        parse_pack(text if isinstance(text, bytes) else text.encode(), "rules/shop.yaml")
    return found.value.faults


@pytest.mark.parametrize(
    ("before", "after", "place", "where", "detail", "remedy"),
    [
        ("label: session", "lable: session", (7, 5), "shop.session", "unknown fields: lable", "did you mean 'label'?"),
        ("[0-9]{10,20}", "[0-9]+", (8, 26), "shop.session", "unbounded repeat", "{1,64}"),
        ("acs_[0-9]", "it''s[^a]", (8, 22), "shop.session", "line end", "[^…\\n]"),
        ("[0-9]{10,20}", "(?:[a-z]{1,9}){1,9}", (8, 21), "shop.session", "repeat stands inside a repeat", "begin or end"),
        ("keys: [pin, pin_code]", "keys: [pin, 12]", (14, 17), "shop.pin", "no text", "quotes"),
        ("keys: [pin, pin_code]", "keys: [pin, '=x']", (14, 17), "shop.pin", "a key is not words", None),
        ("'pin=«4821»'", "'pin=4821'", (15, 16), "shop.pin", "does not mark", None),
        ("id: shop.pin", "id: shop.session", (10, 9), "shop.session", "another rule has this id", None),
        ("kind: key", "kind: keys", (11, 11), "shop.pin", "is not one of", "did you mean 'key'?"),
        ("label: pin", "label: pin\n    label: again", (14, 5), "rule pack", "'label' stands twice", "line 13"),
        ("version: 1", "version: &x 1", (2, 10), "rule pack", "anchors", "write the value out"),
        ("version: 1", "version: !!int 1", (2, 10), "rule pack", "tags", "remove the tag"),
        ("label: pin", "label: [pin", (14, 9), "rule pack", "not well-formed", "quotes"),
        ("label: pin", "label: pin\n    validate: [zz]", (14, 16), "shop.pin", "no validator 'zz'", "known: "),
        ("label: pin", "label: pin\n    validate: [shop.lun]", (14, 16), "shop.pin", "no validator", "plug-in enabled?"),
        ("label: pin", "label: pin\n    validate: [{least: {chars: 3}}]", (14, 16), "shop.pin", "options", None),
        ("version: 1", "version: 0", (2, 10), "shop", "whole number", None),
        ("format: loglease-rules/1", "format: loglease-rules/2", (3, 9), "shop", "is not one of", "loglease-rules/1"),
        ("    class: credential.pin\n", "", (10, 5), "shop.pin", "it lacks: class", "add class:"),
    ],
)  # fmt: skip
def test_a_mistake_is_shown_where_it_is(before, after, place, where, detail, remedy) -> None:
    assert before in PACK
    [fault] = faults(PACK.replace(before, after, 1))
    assert (fault.file, fault.line, fault.column, fault.where) == ("rules/shop.yaml", *place, where)
    assert detail in fault.detail
    assert remedy is None or remedy in (fault.remedy or "")
    shown = fault.render()
    assert shown.startswith(f"rules/shop.yaml:{place[0]}:{place[1]}: {where}: ")
    assert shown.splitlines()[2].index("^") == shown.splitlines()[1].index("|") + 1 + place[1]


def test_all_rules_that_are_wrong_are_told_at_once() -> None:
    text = PACK.replace("[0-9]{10,20}", "[0-9]*").replace("keys: [pin, pin_code]", "keys: []")
    assert [(one.where, one.line) for one in faults(text)] == [("shop.session", 8), ("shop.pin", 14)]


@pytest.mark.parametrize(
    ("data", "detail"),
    [
        (b"", "not a mapping"),
        (b"- a\n", "not a mapping"),
        (b"a: 1\n---\nb: 2\n", "second document"),
        (b"a: \xff\n", "not UTF-8"),
        (b"a: " + b"[" * 40 + b"]" * 40, "nested"),
        (b"a: &a [b]\nc: *a\n", "anchors"),
        (b"<<: {a: 1}\n", "plain word"),
        (b"? [a]\n: 1\n", "plain word"),
        (b"x: " + b"y" * (1 << 20), "larger"),
    ],
)
def test_what_is_no_document_is_refused(data: bytes, detail: str) -> None:
    [fault] = faults(data)
    assert detail in fault.detail


def test_words_without_quotes_are_texts() -> None:
    pack = parse_pack(PACK.replace("keys: [pin, pin_code]", "keys: [on, yes, no]\n    except: [2024-01-01]").encode())
    rule = pack.rules[1]
    assert isinstance(rule, KeyRule)
    assert rule.keys == ("on", "yes", "no")
    assert rule.excepted == {b"2024-01-01"}


@pytest.mark.parametrize(
    "pattern",
    ["(?:[a-z]{1,9}){1,9}", "(?:a{1,9}b{0,9}){2}", "[a-z]{1,64}[a-z0-9]{1,64}", "[a-z]{1,64}x?[a-z0-9]{1,64}"],
)
def test_a_pattern_that_could_take_long_is_refused(pattern: str) -> None:
    with pytest.raises(PatternInvalid):
        require_linear(pattern)


@pytest.mark.parametrize(
    "pattern",
    ["(?:[a-z0-9-]{1,63}\\.){1,8}[a-z]{2,20}", "(?:,[a-z]{1,9}){1,9}", "(?:ab){1,9}", "(?:[a-z]{1,9}=)?x{1,9}",
     "[a-z]{1,64}\\.[a-z0-9]{1,64}", "(?:[0-9a-f]{1,4}:){7}", "[a-z]{1,8}[a-z]{1,8}"],
)  # fmt: skip
def test_a_pattern_that_keeps_its_turns_apart_is_taken(pattern: str) -> None:
    require_linear(pattern)


def test_a_profile_shows_its_mistake_too() -> None:
    with pytest.raises(ProfileInvalid) as found:
        parse_profile(b"profile: shop\nversion: 1\npacks: [shop@1]\nclasses:\n  secret: hide\n", "p.yaml")
    [fault] = found.value.faults
    assert (fault.line, fault.column, fault.where) == (5, 11, "shop")
    assert "partial" in (fault.remedy or "")
