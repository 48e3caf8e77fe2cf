"""Three engines and the oracle: one meaning."""

import re
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.redaction.corpus import ENGINES, redactor, texts
from tests.redaction.oracle import oracle

from loglease.redaction import EngineUnavailable, engine_named, packs
from loglease.redaction.confirm import PatternMatcher
from loglease.redaction.engine.re2_engine import blocks
from loglease.redaction.patterns import tripwire_of
from loglease.redaction.rules import PatternRule

PATTERNS = [rule for pack in packs() for rule in pack.rules if isinstance(rule, PatternRule)]


@settings(max_examples=400, deadline=None)
@given(text=texts)
def test_all_engines_give_the_same_bytes_and_spans(text: bytes) -> None:
    results = [redactor(engine).open().feed(text + b"\n") for engine in ENGINES]
    assert len({result.out for result in results}) == 1
    assert results[0].spans == results[1].spans == results[2].spans


@settings(max_examples=400, deadline=None)
@given(text=texts, profile=st.sampled_from(["pii-default@1", "strict@1", "secrets@1"]))
def test_the_product_means_what_the_oracle_says(text: bytes, profile: str) -> None:
    text = text.replace(b"\0", b"")  # binary lines are the limits' tests
    one = redactor(profile=profile)
    expected = [(rule, token) for _, _, rule, token in oracle(one, text)]
    result = one.open().feed(text + b"\n")
    masks = [span for span in result.spans if span.kind == "mask"]
    found = [(span.rule, result.out[span.start : span.end].strip(b'\\"')) for span in masks]
    assert found == expected


@pytest.mark.parametrize("rule", PATTERNS, ids=lambda rule: rule.id)
def test_a_tripwire_fires_on_every_text_of_its_rule(rule: PatternRule) -> None:
    tripwire, pattern = re.compile(rule.tripwire.encode()), re.compile(rule.pattern.encode())
    matcher = PatternMatcher(rule, trusted=True)

    @settings(max_examples=12, deadline=None, database=None)
    @given(text=st.from_regex(pattern, fullmatch=True), noise=st.sampled_from([b"", b" ", b"=x "]))
    def fires(text: bytes, noise: bytes) -> None:
        line = noise + text + noise
        finds = list(matcher.finds(line, 0, len(line)))
        if finds:
            hit = tripwire.search(line)
            assert hit is not None
            assert list(matcher.finds(line, max(0, hit.end() - rule.reach), len(line))) == finds

    fires()


def test_re2_blocks_are_whole_lines_and_cover_everything() -> None:
    data = b"".join(b"x" * size + b"\n" for size in range(0, 1300, 7))
    ranges = list(blocks(data))
    assert ranges[0][0] == 0
    assert ranges[-1][1] == len(data)
    assert all(one[1] == two[0] and data[one[1] - 1 : one[1]] == b"\n" for one, two in pairwise(ranges))


def test_tripwires_are_cut_to_a_fixed_tail() -> None:
    assert tripwire_of(r"\bghp_(?P<value>[A-Za-z0-9]{36,255})\b") == r"\bghp_(?:[A-Za-z0-9]{36})"
    assert tripwire_of(r"k=(?P<v>[a-z]{4,9}={0,2})") == r"k=(?:[a-z]{4})"


def test_an_unknown_engine_is_refused_by_name() -> None:
    with pytest.raises(EngineUnavailable, match="pcre"):
        engine_named("pcre")
