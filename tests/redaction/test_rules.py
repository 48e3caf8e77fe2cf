"""Every rule's own examples, and what the loader refuses."""

import pytest
from tests.redaction.corpus import ENGINES, redactor

from loglease.redaction import RulesInvalid, packs, parse_pack
from loglease.redaction.patterns import PatternInvalid, checked
from loglease.redaction.rules import BlockRule
from loglease.redaction.selftest import example_of

RULES = [rule for pack in packs() for rule in pack.rules]


def test_there_are_rules_for_the_common_classes() -> None:
    assert len(RULES) >= 250
    assert {rule.cls.partition(".")[0] for rule in RULES} >= {"secret", "credential", "pii", "pci", "net"}
    assert len({rule.id for rule in RULES}) == len(RULES)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_examples_are_covered_and_nothing_of_them_is_left(rule, engine: str) -> None:
    one = redactor(engine, "strict@1")
    for marked in rule.examples:
        text, ranges = example_of(marked)
        result = one.open().feed(text + b"\n")
        for start, end in ranges:
            assert text[start:end] not in result.out, "a marked value is visible"
        assert any(span.kind == "mask" for span in result.spans)


BLOCK = """
pack: shop
version: 1
format: loglease-rules/1
rules:
  - id: shop.block
    kind: block
    class: secret.block
    label: block
    begin: '{begin}'
    end: '--END--'
    marks: ['--BEGIN', '[key]']
    examples: ['--BEGIN--«Zm9vYmFyYmF6cXV4»--END--']
"""


@pytest.mark.parametrize("begin", ["--BEGIN--", r"\-\-BEGIN[ A-Z]{0,9}-", r"\[key\](?:a|b)"])
def test_a_block_begins_with_a_mark(begin: str) -> None:
    [rule] = parse_pack(BLOCK.format(begin=begin).encode()).rules
    assert isinstance(rule, BlockRule)
    assert rule.marks == (b"--BEGIN", b"[key]")


@pytest.mark.parametrize(
    "begin",
    ["-BEGIN--", "--BEGIN?", "--BEGIN{0,2}", "--BEGIN|x", "(?:--BEGIN)?--", "--begin", "[key]", "x--BEGIN", "--B"],
)
def test_a_block_that_could_begin_without_a_mark_is_refused(begin: str) -> None:
    with pytest.raises(RulesInvalid, match="marks"):
        parse_pack(BLOCK.format(begin=begin).encode())


PACK = """
pack: shop
version: 1
format: loglease-rules/1
rules:
  - id: shop.session
    class: secret.session
    label: session
    pattern: '{pattern}'
    examples: ['sid=«acs_0123456789»']
"""


def test_a_pack_of_an_operator_loads() -> None:
    pack = parse_pack(PACK.format(pattern=r"\bacs_\d{10,20}").encode())
    assert (pack.pin, pack.trusted, pack.rules[0].cls) == ("shop@1", False, "secret.session")


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        ("a*", "unbounded"),
        ("a+b", "unbounded"),
        ("a{2,}", "unbounded"),
        ("a?", "empty"),
        ("^a", "anchor"),
        ("a$", "anchor"),
        (r"\Aa", "escape"),
        ("[^a]x", "line end"),
        (r"\sa", "line end"),
        ("(a)b", "group"),
        ("(?=a)b", "group"),
        (r"a{9000}", "8192"),
        ("[a-z", "class"),
        ("é", "ASCII"),
        (r"\p{L}", "escape"),
        ("(?:a{1,3}){1,3}{2}", "repeat of a repeat"),
    ],
)
def test_the_pattern_language_has_borders(pattern: str, reason: str) -> None:
    with pytest.raises(PatternInvalid, match=reason):
        checked(pattern)
    with pytest.raises(RulesInvalid, match=r"shop\.session"):
        parse_pack(PACK.format(pattern=pattern).encode())


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("version: 1", "version: one"),
        ("loglease-rules/1", "loglease-rules/9"),
        ("label: session", "label: Two Words"),
        ("label: session", "label: session\n    label: again"),
        ("label: session", "label: session\n    code: run()"),
        ("label: session", "label: session\n    validate: [no_such_check]"),
        ("label: session", "label: session\n    kind: magic"),
        ("id: shop.session", "id: other.session"),
        ("«acs_0123456789»", "acs_0123456789"),
        ("pack: shop", "pack: !!python/object:os.system shop"),
    ],
)
def test_a_pack_with_a_fault_is_refused_whole(before: str, after: str) -> None:
    text = PACK.format(pattern=r"\bacs_\d{10,20}")
    assert before in text
    with pytest.raises(RulesInvalid):
        parse_pack(text.replace(before, after, 1).encode())


def test_no_rule_matches_a_token() -> None:
    labels = sorted({rule.label for rule in RULES})
    tokens = [f"⟦{label}⟧ ⟦{label}:q3f7k2p5xa⟧" for label in labels]
    text = ("\n".join([*tokens, "⟦card …1111⟧", "⟦email …@example.com⟧", "⟦ip 203.0.113.0/24⟧"]) + "\n").encode()
    result = redactor(profile="strict@1", tokens="keep").open().feed(text)
    assert result.out == text
    assert not result.spans
