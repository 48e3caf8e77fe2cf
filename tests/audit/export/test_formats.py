from __future__ import annotations

import hashlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.audit.drafts import draft, drafts
from tests.audit.export.events import ORIGIN, SCHEDULED, stored

from loglease.audit.checking import LogDamaged
from loglease.audit.entry import entry_bytes
from loglease.audit.export.formats import Format, lines
from loglease.audit.interface import Draft, EntryInvalid
from loglease.model.instant import Instant
from loglease.model.unsafe_text import is_unsafe
from loglease.store.entries_interface import StoredEntry


def row(number: int) -> StoredEntry:
    return stored(entry_bytes(draft(number), Instant(number)), number)


def written(rows: list[StoredEntry], wanted: Format = Format.NDJSON) -> list[bytes]:
    return list(lines(rows, wanted, origin=ORIGIN, grants=lambda _: SCHEDULED))


@given(drafts(), st.integers(0, 2**53 - 1))
def test_a_stranger_can_hash_every_ndjson_entry_again(one: Draft, index: int) -> None:
    try:
        content = entry_bytes(one, Instant(1_795_399_520_123_456))
    except EntryInvalid:
        return  # an id of another form, perhaps
    (line,) = written([stored(content, index)])
    assert line.count(b"\n") == 1
    text = line.decode()
    assert not any(map(is_unsafe, text[:-1]))
    found = json.loads(text)
    assert list(found) == ["index", "origin", "leaf", "entry"]
    assert hashlib.sha256(b"\0" + found["entry"].encode()).hexdigest() == found["leaf"]
    assert found["entry"].encode() == content
    assert (found["index"], found["origin"]) == (index, ORIGIN)


def test_hidden_characters_are_escaped_and_come_back() -> None:
    content = entry_bytes(
        draft(1, type="policy.refused", ref={}, data={"error": "x\u202ey\x7f\x9b\u2028\U000e0041"}), Instant(1)
    )
    for wanted in Format:
        (line,) = written([stored(content)], wanted)
        assert "\\u202e" in line.decode()
        assert "\\udb40\\udc41" in line.decode()
        assert not any(map(is_unsafe, line.decode()[:-1]))


@pytest.mark.parametrize("wanted", list(Format))
def test_the_same_entries_give_the_same_bytes_in_order(wanted: Format) -> None:
    rows = [row(number) for number in range(5, 9)]
    first = written(rows, wanted)
    assert first == written(rows, wanted)
    assert len(first) == 4
    indices = [json.loads(line) for line in first]
    assert [one["index"] if wanted is Format.NDJSON else one["metadata"]["sequence"] for one in indices] == [5, 6, 7, 8]
    assert written([], wanted) == []


@pytest.mark.parametrize("wanted", list(Format))
def test_a_missing_entry_ends_it(wanted: Format) -> None:
    with pytest.raises(LogDamaged, match="entry 6 is missing"):
        written([row(5), row(7)], wanted)


@pytest.mark.parametrize("wanted", list(Format))
def test_an_entry_that_was_changed_ends_it(wanted: Format) -> None:
    good = row(5)
    changed = StoredEntry(index=5, content=good.content.replace(b"rev_1", b"rev_2"), leaf=good.leaf)
    text = StoredEntry(index=5, content=good.content.decode(), leaf=good.leaf)
    for bad in (changed, text):
        with pytest.raises(LogDamaged, match="entry 5 does not hash"):
            written([bad], wanted)
