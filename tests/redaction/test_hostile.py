"""Text and rules made to hurt: work grows as the text does, memory stays, and each hazard of an engine has its test."""

from __future__ import annotations

import re
import sys
import tracemalloc
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from tests.redaction.corpus import ENGINES, KEYS, MARKER, redacted, redactor

from loglease.redaction import (
    EngineUnavailable,
    Redactor,
    RulesInvalid,
    Withheld,
    engine_named,
    packs,
    parse_pack,
    parse_profile,
    profile_named,
)
from loglease.redaction.confirm import PatternMatcher
from loglease.redaction.engine import hyperscan_engine, re2_engine
from loglease.redaction.engine.re2_engine import MEMORY_BYTES, options
from loglease.redaction.scanning import MAX_LINE

HOSTILE = {
    "digits": b"4",
    "cards": b"4111111111111111 ",
    "near cards": b"4111-",
    "card tracks": b"%B4111111111111111^",
    "addresses": b"a@b.example ",
    "escaped addresses": b"\\na@b.example\\t",
    "half addresses": b"a@",
    "dots": b"1.",
    "colons": b"1:",
    "keys": b"password=",
    "keys in refused values": b"key=/",
    "keys in quotes": b'password="',
    "keys in escaped quotes": b'password=\\"',
    "keys in brackets": b'"password":[',
    "elements": b"<password>",
    "options": b"--password ",
    "backslashes": b"\\",
    "quotes": b'"',
    "escaped escapes": b"%25",
    "escapes": b"%41",
    "entities": b"&amp;",
    "nested JSON": b'{"a":',
    "arrays": b"[4111111111111111,",
    "base64": b"cGFzc3dvcmQ6",
    "hexadecimal": b"70617373776f7264",
    "digests": b"0123456789abcdef",
    "begin marks": b"-----BEGIN RSA PRIVATE KEY-----",
    "over-strike": b"a\x08",
    "colours": b"\x1b[31m",
    "invisible": b"\xe2\x80\x8b",
    "tokens of ours": "⟦email:aaaaaaaaaa⟧".encode(),
    "prefixes": b"sk-",
    "NUL": b"\0",
    "broken": b"\xe2\x80",
}


def work(text: bytes) -> int:
    """Return how many calls the redaction of a text makes, each step of a generator counted."""
    stream = redactor().open()
    calls = 0

    def count(_frame: object, event: str, _argument: object) -> None:
        nonlocal calls
        calls += event in {"call", "c_call"}

    sys.setprofile(count)
    try:
        stream.feed(text)
    finally:
        sys.setprofile(None)
    return calls


def line_of(part: bytes, size: int) -> bytes:
    return (part * (size // len(part) + 1))[:size] + b"\n"


@pytest.mark.parametrize("kind", HOSTILE)
def test_twice_the_line_is_about_twice_the_work(kind: str) -> None:
    once, twice = (work(line_of(HOSTILE[kind], size)) for size in (8 << 10, 16 << 10))
    assert twice <= 2.4 * once + 2_000


@pytest.mark.parametrize("kind", HOSTILE)
def test_twice_the_lines_are_about_twice_the_work(kind: str) -> None:
    lines = line_of(HOSTILE[kind], 60)
    once, twice = work(lines * 50), work(lines * 100)
    assert twice <= 2.4 * once + 2_000


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("kind", HOSTILE)
def test_every_engine_says_the_same_of_it(kind: str, engine: str) -> None:
    text = line_of(HOSTILE[kind], 700) * 2
    assert redacted(text, engine) == redacted(text)


def test_a_line_of_100_mb_takes_the_memory_of_one_of_two() -> None:
    part = b"password=hunter2 " * 3_856
    stream = redactor().open()
    tracemalloc.start()
    try:
        for _ in range((100 << 20) // len(part)):
            assert stream.feed(part).out == b""
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert stream.feed(b"\n").out == "⟦long-line⟧\n".encode()
    assert most < 4 * MAX_LINE


def test_the_mark_of_the_canary_cannot_be_forged() -> None:
    canary = b"loglease-canary-" + MARKER.hex().encode()
    for text in (canary + b"\n", canary * 3 + b" password=hunter2\n", b"x\n" + canary + b"\n" + canary[:-1] + b"\n"):
        for engine in ENGINES:
            out = redacted(text, engine)
            assert b"hunter2" not in out
            assert out.count(b"\n") == text.count(b"\n")


@pytest.mark.parametrize("depth", [5, 64, 400])
def test_a_value_deep_in_json_is_found(depth: int) -> None:
    line = b'{"a":' * depth + b'{"password":"hunter2"}' + b"}" * depth + b"\n"
    assert redacted(line) == line.replace(b"hunter2", "⟦password⟧".encode())


# Hazards of engines.


def test_each_thread_has_a_scratch_of_its_own() -> None:
    scanner: Any = engine_named("hyperscan").compile([r"\bx"], b"canary-of-the-test")
    threads = [ThreadPoolExecutor(1) for _ in range(3)]
    found = [
        pool.submit(lambda: (scanner.scan(b"x\ncanary-of-the-test"), id(scanner._local.scratch))) for pool in threads
    ]
    assert len({one.result()[1] for one in found}) == len(threads)
    assert len({tuple(one.result()[0]) for one in found}) == 1
    for pool in threads:
        pool.shutdown()


@pytest.mark.parametrize("error", [MemoryError, ValueError, RecursionError])
def test_a_callback_that_fails_withholds(monkeypatch: pytest.MonkeyPatch, error: type[Exception]) -> None:
    plan = redactor()._plan
    scanner: Any = plan.scanner
    database = scanner._database

    class Failing:
        """A database whose third report meets an error in its callback."""

        def scan(self, data: bytes, *, match_event_handler: Callable[..., None], scratch: object) -> None:
            reports = 0

            def reported(*report: Any) -> None:
                nonlocal reports
                reports += 1
                if reports == 3:
                    raise error("hunter2")
                match_event_handler(*report)

            database.scan(data, match_event_handler=reported, scratch=scratch)

    redactor().open().feed(b"plain\n")
    monkeypatch.setattr(scanner, "_database", Failing())
    with pytest.raises(Withheld) as caught:
        redactor().open().feed(b"password=hunter2 from bob@example.org at 203.0.113.9\n")
    assert caught.value.reason == "engine_error"
    assert "hunter2" not in repr(caught.value)


def test_only_tripwires_are_compiled_into_an_engine() -> None:
    taken: list[str] = []

    class Spying:
        name = "spying"

        def compile(self, tripwires, canary):
            taken.extend(tripwires)
            return engine_named("hyperscan").compile(tripwires, canary)

    one = Redactor.build([profile_named("strict@1")], packs(), engine=Spying(), keys=KEYS, marker=MARKER)
    assert taken[: len(one.active)] == [active.rule.scanned for active in one.active]
    assert max(map(len, taken)) < 20_000


def test_a_block_that_re2_says_nothing_of_withholds(monkeypatch: pytest.MonkeyPatch) -> None:
    text = b"plain text of one block, and no more than that\n" * 40 + b"password=hunter2\n"
    plan = redactor("re2")._plan
    scanner: Any = plan.scanner
    matched = scanner._filter

    class OutOfMemory:
        def __init__(self, at: int) -> None:
            self._left = at

        def Match(self, block: bytes) -> list[int] | None:  # noqa: N802 - the library's name
            self._left -= 1
            return None if self._left < 0 else matched.Match(block)

    for at in range(3):
        monkeypatch.setattr(scanner, "_filter", OutOfMemory(at))
        with pytest.raises(Withheld) as caught:
            redactor("re2").open().feed(text)
        assert caught.value.reason == "canary_lost"
    assert MEMORY_BYTES >= 64 << 20
    assert options().max_mem == MEMORY_BYTES


@pytest.mark.parametrize("engine", ENGINES)
def test_an_engine_that_cannot_compile_makes_no_scanner(engine: str) -> None:
    with pytest.raises(EngineUnavailable):
        engine_named(engine).compile(["(unclosed"], b"canary-of-the-test")


PACK = """
pack: shop
version: 1
format: loglease-rules/1
rules:
  - id: shop.code
    class: secret.code
    label: code
    pattern: '{pattern}'
    tripwire: {tripwire}
    examples: ['of «acs_0123456789»']
"""


def pack_of(pattern: str, tripwire: str = "auto"):
    return parse_pack(PACK.format(pattern=pattern, tripwire=tripwire).encode())


@pytest.mark.parametrize(
    "pattern",
    ["(a+)+$", "(?:a+)+", "(?:a{1,30}){1,30}b", "(?:a|a){1,40}{1,40}", "(?:.{0,90}){0,90}x", "[^a]b", r"\Sa|\s"],
)
def test_a_pattern_that_could_take_long_or_cross_lines_is_refused(pattern: str) -> None:
    with pytest.raises(RulesInvalid, match=r"shop\.code"):
        pack_of(pattern)


def test_a_tripwire_that_could_cross_lines_is_refused() -> None:
    with pytest.raises(RulesInvalid, match=r"shop\.code"):
        pack_of(r"acs_\d{10}", tripwire="'acs_[^x]'")


def test_patterns_of_operators_run_in_re2_and_ours_in_re() -> None:
    [rule] = pack_of(r"acs_\d{10}").rules
    assert isinstance(PatternMatcher(rule, trusted=True)._pattern, re.Pattern)
    assert not isinstance(PatternMatcher(rule, trusted=False)._pattern, re.Pattern)


def test_without_re2_a_pattern_of_an_operator_is_linear_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(re2_engine, "re2", None)
    pack = pack_of(r"acs_\d{10}")
    profile = parse_profile(b"profile: shop\nversion: 1\npacks: [shop@1]\n")
    one = Redactor.build([profile], [pack], engine=engine_named("python"), keys=KEYS, marker=MARKER)
    assert one.open().feed(b"of acs_0123456789\n").out == "of ⟦code⟧\n".encode()


def test_no_stream_mode_is_used() -> None:
    source = Path(hyperscan_engine.__file__).read_text()
    assert "HS_MODE_BLOCK" in source
    assert "STREAM" not in source
