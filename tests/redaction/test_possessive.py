"""Possessive repeats change how soon a pattern fails, and never what it matches."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.redaction.corpus import LOOKALIKES

from loglease.redaction import packs
from loglease.redaction.rules import PatternRule
from loglease.redaction.selftest import example_of
from loglease.redaction.shortcuts import possessive

RULES = [rule for pack in packs() for rule in pack.rules if isinstance(rule, PatternRule)]

CHANGED = [
    ("[a-z]{1,64}@", "[a-z]{1,64}+@"),
    (r"(?P<value>\d{2,4})-x", r"(?P<value>\d{2,4}+)-x"),
    ("(?:[a-z]{1,9}[.]){1,8}[A-Z]", "(?:[a-z]{1,9}+[.]){1,8}[A-Z]"),
    ("[0-9]?[a-z]", "[0-9]?+[a-z]"),
    (r"[a-z]{1,9}(?:-|=)?\b[A-Z]", r"[a-z]{1,9}+(?:-|=)?\b[A-Z]"),
]
KEPT = [
    "[a-z]{1,64}",  # the end of a pattern takes what it can
    "[a-z]{1,64}[a-f]",
    "[a-z]{1,64}-{0,2}?[a-f]",
    "[a-z]{1,64}?@",
    "[a-z]{4}@",
    "(?:[a-z]{1,9}){1,8}@",
    "(?i)[a-z]{1,9}[A-Z]",
    "[a-z]{1,9}(?:@|x)",
    "[a-z]{1,9}@?",
]


@pytest.mark.parametrize(("pattern", "changed"), CHANGED, ids=[one for one, _ in CHANGED])
def test_of_repeats_behind_which_going_back_cannot_help(pattern, changed):
    assert possessive(pattern) == changed


@pytest.mark.parametrize("pattern", KEPT)
def test_of_all_others(pattern):
    assert possessive(pattern) == pattern


@pytest.mark.parametrize("rule", RULES, ids=[rule.id for rule in RULES])
def test_of_every_rule(rule):
    plain, quick = (re.compile(text.encode(), re.DOTALL) for text in (rule.pattern, possessive(rule.pattern)))
    for text in [*(example_of(marked).text for marked in rule.examples), *LOOKALIKES[::4]]:
        for at in range(len(text)):
            one, other = plain.match(text, at), quick.match(text, at)
            assert (one and (one.span(), one.groupdict())) == (other and (other.span(), other.groupdict()))


CLASSES = st.sampled_from(["[ab]", "[bc]", "a", "b", "c", "[a-c]", r"\b"])
PARTS = st.recursive(
    CLASSES,
    lambda part: (
        st.tuples(part, st.sampled_from(["?", "{0,2}", "{1,3}", "{2}", "{1,2}?"])).map(
            lambda two: f"(?:{two[0]}){two[1]}"
        )
        | st.tuples(st.sampled_from(["[ab]", "c"]), st.sampled_from(["?", "{0,2}", "{1,3}", "{1,2}?"])).map("".join)
        | st.lists(part, min_size=1, max_size=3).map("".join)
        | st.lists(part, min_size=2, max_size=3).map(lambda options: f"(?:{'|'.join(options)})")
        | part.map(lambda one: f"(?P<value>{one})" if "?P<" not in one else one)
    ),
    max_leaves=8,
)


@given(PARTS.filter(lambda text: text.count("?P<") <= 1), st.text("abc", max_size=12))
def test_of_any_pattern(pattern, text):
    plain, quick = re.compile(pattern), re.compile(possessive(pattern))
    for at in range(len(text) + 1):
        one, other = plain.match(text, at), quick.match(text, at)
        assert (one and (one.span(), one.groupdict())) == (other and (other.span(), other.groupdict()))
        for end in range(at, len(text) + 1):
            assert bool(plain.fullmatch(text, at, end)) == bool(quick.fullmatch(text, at, end))
