"""The exact rule on one line: every offset, every length, and the search goes on where a value was refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.redaction.corpus import ENGINES, KEYS, MARKER, redacted

from loglease.redaction import Redactor, engine_named, parse_pack, parse_profile
from loglease.redaction.confirm import _context_of
from loglease.redaction.rules import Near
from loglease.redaction.structured import MAX_REFUSED

PACK = """
pack: shop
version: 1
format: loglease-rules/1
rules:
  - id: shop.code
    class: secret.code
    label: code
    pattern: '\\b[0-9a-z]{6,12}'
    lengths: all
    validate: [entropy: {min: 2.5, length: 6}]
    examples: ['of «a1b2c3»']
"""


@pytest.mark.parametrize("engine", ENGINES)
def test_a_refused_match_hides_nothing_that_begins_inside_it(engine: str) -> None:
    assert redacted(b"batch 2024 4111 1111 1111 1111\n", engine) == "batch 2024 ⟦card …1111⟧\n".encode()


@pytest.mark.parametrize("engine", ENGINES)
def test_an_operators_rule_tries_every_length_also_inside_a_run(engine: str) -> None:
    profile = parse_profile(b"profile: p\nversion: 1\npacks: [shop@1]\n")
    one = Redactor.build([profile], [parse_pack(PACK.encode())], engine=engine_named(engine), keys=KEYS, marker=MARKER)
    assert one.open().feed(b"of a1b2c3333333 x\n").out == "of ⟦code⟧33333 x\n".encode()


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    "line",
    [
        b"auth=https://shop.example/?token=Ab3dEf6hIj9lMn2p",
        b'key="https://shop.example/?auth=Ab3dEf6hIj9lMn2p" x',
        b"key=/" * MAX_REFUSED + b"key=Ab3dEf6hIj9lMn2p",
        b"key=/" * 100 + b"key=Ab3dEf6hIj9lMn2p",
    ],
)
def test_a_refused_value_does_not_hide_a_key_inside_it(line: bytes, engine: str) -> None:
    assert b"Ab3dEf6hIj9lMn2p" not in redacted(line + b"\n", engine)


@pytest.mark.parametrize("space", [b"\x0b", b"\x0c", b"\x1c", b"\xc2\x85"])
def test_a_control_character_before_a_value_does_not_hide_it(space: bytes) -> None:
    assert b"hunter2" not in redacted(b"password=" + space + b"hunter2\n")


@given(
    before=st.text("abcd", max_size=40),
    words=st.lists(st.text("abcd", min_size=4, max_size=6), min_size=17, max_size=40),
)
def test_many_words_of_a_context_mean_what_few_mean(before: str, words: list[str]) -> None:
    near = Near(words=tuple(word.encode() for word in words), within=12)
    text = before.encode() + b"value"
    assert _context_of(near)(text, len(before)) == any(word in before[-12:] for word in words)
