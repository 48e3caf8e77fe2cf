"""Three engines and the oracle: one meaning."""

import os
import re
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.redaction.corpus import ENGINES, KEYS, MARKER, SAMPLES, mixture, redactor, texts
from tests.redaction.oracle import oracle
from tests.volume import volume

from loglease.redaction import EngineUnavailable, engine_named, packs, parse_profile, prove_again, redactor_for
from loglease.redaction.confirm import PatternMatcher
from loglease.redaction.engine.re2_engine import blocks
from loglease.redaction.patterns import tripwire_of
from loglease.redaction.rules import PatternRule

PATTERNS = [rule for pack in packs() for rule in pack.rules if isinstance(rule, PatternRule)]


ROUNDS = int(os.environ.get("ENGINE_ROUNDS", volume(300, 1500)))
"""Chunks that are compared; ENGINE_ROUNDS=100000 takes about ten minutes."""
FIRST = int(os.environ.get("ENGINE_SEED", "0"))
PROFILES = ("pii-default@1", "strict@1", "secrets@1")


def differing(text: bytes, profile: str) -> list[str]:
    """Return which engines give other bytes or spans than the oracle."""
    expected = oracle(redactor(profile=profile), text)
    results = {engine: redactor(engine, profile).open().feed(text) for engine in ENGINES}
    return [engine for engine, found in results.items() if (found.out, list(found.spans)) != expected]


def test_profiles_that_differ_in_treatments_alone_share_what_is_compiled() -> None:
    text = "profile: {}\nversion: 1\npacks: [pci@1]\nclasses: {{pci: {}}}\n"
    profiles = [parse_profile(text.format(name, name).encode()) for name in ("mask", "pseudonym")]
    first, second = (
        redactor_for([one.pin], keys=KEYS, marker=MARKER, profiles=profiles, engine="python") for one in profiles
    )
    assert first.digest != second.digest
    assert first._plan.scanner is second._plan.scanner
    prove_again()
    again = redactor_for(["mask"], keys=KEYS, marker=MARKER, profiles=profiles, engine="python")
    assert again._plan.scanner is not first._plan.scanner


@pytest.mark.volume
@pytest.mark.parametrize("part", range(10))
def test_three_engines_and_the_oracle_give_the_same_bytes_and_spans(part: int) -> None:
    share = ROUNDS // 10
    for seed in range(FIRST + part * share, FIRST + (part + 1) * share):
        text, profile = mixture(seed), PROFILES[seed % len(PROFILES)]
        assert differing(text, profile) == [], f"seed {seed}: {text!r}"


@pytest.mark.parametrize("profile", PROFILES)
def test_a_second_pass_over_a_line_of_ours_changes_nothing(profile: str) -> None:
    first, second = redactor(profile=profile), redactor(profile=profile, tokens="keep")
    once = [first.open().feed(text + b"\n").out for text in SAMPLES]
    assert [second.open().feed(text).out for text in once] == once


@pytest.mark.volume
@pytest.mark.parametrize("part", range(5))
def test_a_second_pass_over_mixed_lines_changes_nothing(part: int) -> None:
    share = ROUNDS // 5
    for seed in range(FIRST + part * share, FIRST + (part + 1) * share):
        profile = PROFILES[seed % len(PROFILES)]
        once = redactor(profile=profile).open().feed(mixture(seed, apart=True)).out
        twice = redactor(profile=profile, tokens="keep").open().feed(once)
        assert twice.out == once, f"seed {seed}: {once!r}"


@settings(max_examples=volume(50, 200), deadline=None)
@given(text=texts, profile=st.sampled_from([*PROFILES, "raw@1"]))
def test_the_product_means_what_the_oracle_says(text: bytes, profile: str) -> None:
    assert differing(text + b"\n", profile) == []


@pytest.mark.parametrize(
    "text",
    [
        b"%41 a\n" + b"x" * 70_000 + b"\n",
        b"%41 a\n" + b"pass\\fword=hunter2\n",
        b"".join(b"%41 " + b"x" * size + b"\nplain\n" for size in range(500, 620, 7)),
        b"x" * 700 + b" %41\n" + b"y" * (1 << 20) + b"\n",
        b"y" * ((1 << 20) + 1) + b"\r\n",
        b"\0\n\0\r\n\r\n",
        b"a\0" * 9 + b"b" * 80 + b"\n",
        b"a@b.example " * 10_001 + b"\n",
        b"%2525252541 x\n",
        b"\xe2\x80\n\xf0\x9f\x98 \xed\xa0\x80 \xc0\x80 \xf4\x90\x80\x80\n",
    ],
    ids=[
        "long-beside-mark",
        "form-feed",
        "borders",
        "one-line-blocks",
        "long",
        "binary",
        "nul",
        "full",
        "deep",
        "broken",
    ],
)
def test_at_limits_engines_and_oracle_agree(text: bytes) -> None:
    assert differing(text, "pii-default@1") == []


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
            last = list(tripwire.finditer(line))[-1]
            low, high = rule.window(hit.end() - 1, max(last.end(), finds[-1].start + rule.shortest))
            assert list(matcher.finds(line, max(0, low), high)) == finds

    fires()


def test_re2_blocks_are_whole_lines_and_cover_everything() -> None:
    data = b"".join(b"x" * size + b"\n" for size in range(0, 1300, 7))
    ranges = list(blocks(data))
    assert ranges[0][0] == 0
    assert ranges[-1][1] == len(data)
    assert all(one[1] == two[0] and data[one[1] - 1 : one[1]] == b"\n" for one, two in pairwise(ranges))


def test_tripwires_are_cut_to_a_fixed_tail() -> None:
    assert tripwire_of(r"\bghp_(?P<value>[A-Za-z0-9]{36,255})\b") == r"\bghp_(?:[A-Za-z0-9]{12})"
    assert tripwire_of(r"k=(?P<v>[a-z]{4,9}={0,2})") == r"k=(?:[a-z]{4})"


def test_an_unknown_engine_is_refused_by_name() -> None:
    with pytest.raises(EngineUnavailable, match="pcre"):
        engine_named("pcre")
