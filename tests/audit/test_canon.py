from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.volume import volume

from loglease.audit.canon import canonical_value
from loglease.audit.interface import EntryInvalid
from loglease.model.digest import canonical_bytes

texts = st.text(st.characters(exclude_categories=["Cs"]))
keys = st.from_regex(r"[a-z][a-z0-9_]{0,31}", fullmatch=True)
leaves = texts | st.integers(-(2**53) + 1, 2**53 - 1) | st.booleans()
documents = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3), max_leaves=12
)


@settings(max_examples=volume(125, 500), deadline=None)
@given(documents)
def test_the_bytes_are_those_of_the_standard_library(value: Any) -> None:
    try:
        content = canonical_bytes(value)
    except Exception:  # noqa: BLE001 - deeper than allowed; the next test looks at that
        return
    assert content == json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()
    assert canonical_value(content) == value


@pytest.mark.parametrize(
    "text", ["\x00\x01\x1f", "\x7f\x80", "\u2028\u2029", "\U0001f600\U0010ffff", '"\\/\b\f\n\r\t', "é"]
)
def test_awkward_texts(text: str) -> None:
    content = canonical_bytes({"a": text})
    assert content == json.dumps({"a": text}, ensure_ascii=False, separators=(",", ":")).encode()
    assert canonical_value(content) == {"a": text}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"nonsense",
        b"null",
        b"1.0",
        b"1e3",
        b"-0",
        b"9007199254740992",
        b"[1, 2]",
        b' {"a":1}',
        b'{"a":1}\n',
        b'{"b":1,"a":2}',
        b'{"a":1,"a":1}',
        b'{"a":null}',
        b'{"A":1}',
        b'{"":1}',
        b'{"a":"\\u0041"}',
        b'{"a":"\\/"}',
        b'{"a":"\\ud800"}',
        b'{"a":"\xff"}',
        b'{"a":"\\u001F"}',
        b"[" * 10 + b"]" * 10,
        b"\xef\xbb\xbf1",
        b"[1,]",
        b"01",
        b"NaN",
    ],
)
def test_every_other_spelling_is_refused(content: bytes) -> None:
    with pytest.raises(EntryInvalid):
        canonical_value(content)


@settings(max_examples=volume(50, 200), deadline=None)
@given(documents, st.data())
def test_no_two_byte_strings_are_one_value(value: Any, data: st.DataObject) -> None:
    try:
        content = canonical_bytes(value)
    except Exception:  # noqa: BLE001 - deeper than allowed
        return
    place = data.draw(st.integers(0, len(content) - 1))
    changed = content[:place] + bytes([data.draw(st.integers(0, 255))]) + content[place + 1 :]
    try:
        other = canonical_value(changed)
    except EntryInvalid:
        return
    assert canonical_bytes(other) == changed
