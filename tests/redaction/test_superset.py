"""Wherever a rule finds a value, its tripwire fires, in every engine, and the window around that holds the match."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.redaction.corpus import ENGINES, redactor
from tests.volume import volume

from loglease.redaction import engine_named, packs, profile_named
from loglease.redaction.plan import Active, resolved
from loglease.redaction.rules import BlockRule, KeyRule, PatternRule
from loglease.redaction.scanning import confirmed, lines_hit

CANARY = b"canary-of-the-test"
ACTIVE = resolved([profile_named("strict@1")], packs())
NUMBERS = {one.rule.id: number for number, one in enumerate(ACTIVE)}


def of(kind: type) -> list[Active]:
    return [one for one in ACTIVE if isinstance(one.rule, kind)]


NOISE = st.sampled_from([b"", b" ", b"=x ", b"a1,", b'{"k":"', b"\xc3\xa9 ", b"0", b"_", b"\t["])
QUOTES = st.builds(lambda depth, quote: b"\\" * depth + quote, st.integers(0, 7), st.sampled_from([b'"', b"'", b"`"]))
SPACES = st.text(" \t", max_size=8).map(str.encode)
VALUES = st.text("abcXYZ0189_-/+.", min_size=1, max_size=40).map(str.encode)


def context_of(rule: PatternRule) -> st.SearchStrategy[bytes]:
    """Return texts with a word that has to stand before the rule's matches, at every distance at which it may."""
    if rule.near is None:
        return st.just(b"")
    gaps = st.text(" .:-aZ0", max_size=rule.near.within + 2).map(str.encode)
    spelled = st.sampled_from(rule.near.words).flatmap(lambda word: st.sampled_from([word, word.upper()]))
    return st.builds(lambda word, gap: word + gap, spelled, gaps)


def agree(one: Active, line: bytes) -> int:
    """Check that each engine leads to the finds of the whole line; return how many there are."""
    number = NUMBERS[one.rule.id]
    assert one.matcher is not None
    wanted = list(one.matcher.finds(line, 0, len(line)))
    for engine in ENGINES:
        plan = redactor(engine, "strict@1")._plan
        assert plan.active[number].rule.id == one.rule.id
        hit = lines_hit(line + b"\n" + plan.canary, plan).get(0)
        where = hit.rules.get(number) if hit is not None else None
        found = confirmed(line, {number: where}, 0, plan) if where is not None else []
        assert [find[:2] for find in found] == [find[:2] for find in wanted], engine
    return len(wanted)


@pytest.mark.parametrize("one", of(PatternRule), ids=lambda one: one.rule.id)
def test_a_find_of_a_pattern_fires_its_tripwire_in_every_engine(one: Active) -> None:
    rule, matcher = one.rule, one.matcher
    assert isinstance(rule, PatternRule)
    assert matcher is not None
    pattern = re.compile(rule.pattern.encode(), re.DOTALL)
    scanners = {engine: engine_named(engine).compile([rule.scanned], CANARY) for engine in ENGINES}

    @settings(max_examples=4, deadline=None, database=None)
    @given(text=st.from_regex(pattern, fullmatch=True), context=context_of(rule), before=NOISE, behind=NOISE)
    def fires(text: bytes, context: bytes, before: bytes, behind: bytes) -> None:
        line = context + before + text.replace(b"\n", b"") + behind
        wanted = list(matcher.finds(line, 0, len(line)))
        for engine, scanner in scanners.items():
            hits = [hit for hit in scanner.scan(line + b"\n" + CANARY) if hit[0] == 0]
            if hits:
                low, high = rule.window(min(hit[1] for hit in hits), max(hit[2] for hit in hits))
                assert list(matcher.finds(line, max(0, low), min(high, len(line)))) == wanted, engine
            else:
                assert wanted == [], engine

    fires()


@pytest.mark.parametrize("one", of(KeyRule), ids=lambda one: one.rule.id)
def test_a_key_before_a_value_fires_its_tripwire_in_every_engine(one: Active) -> None:
    rule = one.rule
    assert isinstance(rule, KeyRule)
    met = 0

    @settings(max_examples=15, deadline=None, database=None)
    @given(data=st.data(), before=NOISE, key=st.sampled_from(rule.keys), value=VALUES)
    def fires(data: st.DataObject, before: bytes, key: str, value: bytes) -> None:
        nonlocal met
        words = re.split(r"[-_ .]", key)
        glue = data.draw(st.sampled_from(["", "-", "_", " ", "."]))
        spelled = data.draw(st.sampled_from([str.lower, str.upper, str.title]))(glue.join(words)).encode()
        quote, opened = data.draw(QUOTES | st.just(b"")), data.draw(QUOTES | st.just(b""))
        bracket = data.draw(st.sampled_from([b"", b"", b"]"]))
        separator = data.draw(st.sampled_from([b"=", b":", b"=>", b":=", b"==", b">", b" ", b"\t"]))
        prefix = data.draw(st.sampled_from([b"", b"--", b"<", b"b", b"{"]))
        line = b"".join(
            [before, prefix, quote, spelled, quote, bracket, data.draw(SPACES), separator, data.draw(SPACES), opened]
        )
        line += value + opened
        met += agree(one, line)
        named, shown = data.draw(st.permutations([b"name", b"value"])), {b"name": spelled, b"value": value}
        equals, gap = data.draw(st.sampled_from([b":", b": ", b"="])), data.draw(st.sampled_from([b",", b", ", b" "]))
        beside = gap.join(quote + which + quote + equals + quote + shown[which] + quote for which in named)
        met += agree(one, before + prefix + beside + data.draw(st.sampled_from([b"}", b"/>", b" }", b", x"])))
        met += agree(
            one,
            before + b" " + spelled + b"=" + (b"4111111111111111" if rule.value == "number" else b"Ab3dEf6hIj9lMn2p"),
        )

    fires()
    assert met


@pytest.mark.volume
@pytest.mark.parametrize("one", of(BlockRule), ids=lambda one: one.rule.id)
def test_a_begin_mark_fires_its_tripwire_in_every_engine(one: Active) -> None:
    rule = one.rule
    assert isinstance(rule, BlockRule)
    number = NUMBERS[rule.id]
    key_line = rule.id.endswith(".key-line")
    texts = (
        st.text("abXY01+/", min_size=40, max_size=76).map(str.encode)
        if key_line
        else st.from_regex(re.compile(rule.begin.encode()), fullmatch=True)
    )

    @settings(max_examples=volume(15, 30), deadline=None, database=None)
    @given(text=texts, before=NOISE, behind=NOISE)
    def fires(text: bytes, before: bytes, behind: bytes) -> None:
        line = before + text.replace(b"\n", b"") + (b"" if key_line else behind)
        for engine in ENGINES:
            plan = redactor(engine, "strict@1")._plan
            assert number in lines_hit(line + b"\n" + plan.canary, plan)[0].rules, engine

    fires()
