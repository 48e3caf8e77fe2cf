"""What is derived from a pattern so that `re` finds its matches sooner means the same as the pattern."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.volume import volume

from loglease.redaction import packs
from loglease.redaction.confirm import PatternMatcher
from loglease.redaction.rules import PatternRule
from loglease.redaction.shortcuts import is_folding, lowered, pivot_of

RULES = [rule for pack in packs() for rule in pack.rules if isinstance(rule, PatternRule)]
FOLDING = [rule for rule in RULES if is_folding(rule.pattern)]
PIVOTED = [rule for rule in RULES if pivot_of(rule.pattern) is not None]
NOISE = st.text("aZ0_.:@-=/ '\"é", max_size=12).map(str.encode)


@pytest.mark.parametrize("rule", FOLDING, ids=lambda rule: rule.id)
def test_a_lowered_pattern_matches_in_lower_case_where_its_pattern_does(rule: PatternRule) -> None:
    folding = re.compile(rule.pattern.encode(), re.DOTALL)
    heeding = re.compile(lowered(rule.pattern).encode(), re.DOTALL)

    @settings(max_examples=15, deadline=None, database=None)
    @given(st.from_regex(folding, fullmatch=True), NOISE, NOISE, st.sampled_from([bytes.upper, bytes.swapcase, bytes]))
    def same(text: bytes, before: bytes, behind: bytes, spelled: type[bytes]) -> None:
        line = before + spelled(text) + behind
        wanted = [(found.span(), found.regs) for found in folding.finditer(line)]
        assert [(found.span(), found.regs) for found in heeding.finditer(line.lower())] == wanted

    same()


@pytest.mark.parametrize(
    ("pattern", "text", "matches"),
    [
        (r"(?i)\x41b", b"ab", True),
        (r"(?i)\Bx", b"ax", True),
        (r"(?i)(?P<Value>K)", b"k", True),
        (r"(?i)[^A-Z]", b"a", False),
        (r"(?i)\xc3\x89", b"\xc3\x89", True),
    ],
)
def test_escapes_and_names_keep_their_meaning(pattern: str, text: bytes, matches: bool) -> None:
    assert bool(re.search(lowered(pattern).encode(), text)) is matches


@pytest.mark.parametrize(
    ("pattern", "pivot"),
    [
        ("[ab]{1,3}@x", (b"@", b"ab")),
        ("@x", None),
        ("[a@]{1,3}@x", (b"x", b"@a")),
        ("(?:a|b)-?@x", (b"@", b"-ab")),
        ("a|b@", None),
        ("(?P<value>[a-c]{2})=", (b"=", b"abc")),
    ],
)
def test_a_pivot_is_a_byte_that_nothing_before_it_matches(pattern: str, pivot: tuple[bytes, bytes] | None) -> None:
    assert pivot_of(pattern) == pivot


@pytest.mark.volume
@pytest.mark.parametrize("rule", PIVOTED, ids=lambda rule: rule.id)
def test_a_pivot_hides_no_find(rule: PatternRule) -> None:
    assert pivot_of(rule.pattern) is not None
    fast, slow = PatternMatcher(rule, trusted=True), PatternMatcher(rule, trusted=True)
    slow._pivot = None

    @settings(max_examples=volume(20, 60), deadline=None, database=None)
    @given(st.lists(st.from_regex(re.compile(rule.pattern.encode()), fullmatch=True) | NOISE, max_size=4))
    def same(parts: list[bytes]) -> None:
        line = b"".join(parts).replace(b"\n", b"")
        for low in range(0, len(line), 7):
            assert list(fast.finds(line, low, len(line))) == list(slow.finds(line, low, len(line)))

    same()
