from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loglease.model.errors import Malformed
from loglease.server.clock import SystemClock
from loglease.server.problems import TooLarge
from loglease.server.strict_json import MAX_BODY, MAX_DEPTH, MAX_INTEGER, strict_json

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-MAX_INTEGER, MAX_INTEGER) | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)


@given(values)
def test_what_json_writes_is_read_back(value: Any) -> None:
    assert strict_json(json.dumps(value).encode()) == value


@given(st.integers(1, 40), st.sampled_from(["[", '{"a":']))
def test_depth_has_a_limit_on_both_kinds_of_brackets(depth: int, opening: str) -> None:
    body = (opening * depth + "1" + ("]" if opening == "[" else "}") * depth).encode()
    if depth > MAX_DEPTH:
        with pytest.raises(TooLarge):
            strict_json(body)
    else:
        strict_json(body)


def test_brackets_in_texts_are_no_depth() -> None:
    assert strict_json(json.dumps({"a": "[" * 100 + '"' + "{" * 100}).encode())


@given(st.binary(max_size=60))
def test_no_bytes_do_anything_but_parse_or_be_refused(body: bytes) -> None:
    try:
        strict_json(body)
    except (Malformed, TooLarge):
        return


@pytest.mark.attack("DS-04")
@pytest.mark.parametrize(
    "body", [b'"' + b'\\"' * 120_000, b"[" * 200_000, b'"\\' * 100_000, b'{"a":"' + b"\\" * 200_000]
)
def test_hostile_bodies_cost_no_more_than_their_length(body: bytes) -> None:
    clock = SystemClock()
    started = clock.boot_ns()
    with pytest.raises((Malformed, TooLarge)):
        strict_json(body)
    assert clock.boot_ns() - started < 3_000_000_000


@pytest.mark.parametrize(
    "body",
    [
        b'{"a":1,"a":2}',
        b'{"x":{"a":1,"a":1}}',
        b"NaN",
        b"Infinity",
        b"-Infinity",
        b"1e999",
        b"9007199254740992",
        b"-9007199254740992",
        b"1" * 5_000,
        b'"\\ud800"',
        b'"\\u0000"',
        b'{"\\u0000":1}',
        b"\xff",
        b"",
        b"{} {}",
        b"'a'",
        b"[1,]",
        b"\xef\xbb\xbf{}",
    ],
)
def test_what_is_ambiguous_is_refused(body: bytes) -> None:
    with pytest.raises(Malformed):
        strict_json(body)


def test_a_body_has_a_size() -> None:
    with pytest.raises(TooLarge):
        strict_json(b'"' + b"x" * MAX_BODY + b'"')
