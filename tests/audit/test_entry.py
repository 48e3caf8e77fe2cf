from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.audit.drafts import draft, drafts
from tests.volume import volume

from loglease.audit.entry import MAX_ENTRY_BYTES, EntryTooLarge, entry_bytes, entry_of, sequenced
from loglease.audit.interface import EntryInvalid, PrivateField
from loglease.audit.merkle import leaf_hash
from loglease.audit.types import ENTRY_TYPES
from loglease.model.digest import canonical_bytes, commitment
from loglease.model.instant import Instant, instant_text

AT = Instant(1_796_000_000_123_456)
INSTANTS = st.integers(0, 253_402_300_799 * 10**6).map(Instant)
SLOW = {"deadline": None, "suppress_health_check": list(HealthCheck)}


@settings(max_examples=volume(75, 300), **SLOW)  # type: ignore[arg-type]
@given(drafts(), INSTANTS)
def test_an_entry_comes_back_from_its_bytes(one: Any, at: Instant) -> None:
    try:
        content = entry_bytes(one, at)
    except EntryTooLarge:
        return
    whole = {
        "actor": one.actor,
        "at": instant_text(at),
        "data": one.data,
        "id": one.id,
        "ref": one.ref,
        "type": one.type,
        "v": 1,
    } | ({"via": one.via} if one.via else {})
    assert content == canonical_bytes(whole)
    assert content == json.dumps(whole, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()
    assert content.startswith(b'{"actor":"')
    assert content[content.index(b'"at":"') + 6 :].index(b'"') == 27
    again = entry_of(content)
    assert (again.draft, again.at) == (one, at)


@settings(max_examples=volume(50, 200), **SLOW)  # type: ignore[arg-type]
@given(drafts(), st.data())
def test_a_missing_or_foreign_key_fails(one: Any, data: st.DataObject) -> None:
    kind = ENTRY_TYPES[one.type]
    for part in ("ref", "data"):
        value = getattr(one, part)
        with pytest.raises(EntryInvalid, match=part):
            entry_bytes(replace(one, **{part: dict(value) | {"zz_foreign": "x"}}), AT)
        required = [field.name for field in getattr(kind, part) if not field.optional]
        if required:
            gone = data.draw(st.sampled_from(required))
            less = {name: item for name, item in value.items() if name != gone}
            with pytest.raises(EntryInvalid, match=f"{part}.{gone} is missing"):
                entry_bytes(replace(one, **{part: less}), AT)


@pytest.mark.parametrize(
    "changes",
    [
        {"type": "request.forgotten"},
        {"actor": "dave"},
        {"actor": "sub_" + "x" * 200},
        {"actor": None},
        {"via": "agent"},
        {"id": "req_1"},
        {"ref": {"request": 5}},
        {"ref": {}},
        {"data": {"digest_sha256": "a" * 64, "reviews": "rev_1"}},
        {"data": {"digest_sha256": "a" * 64, "reviews": ["\ud800"]}},
        {"data": {"digest_sha256": "a" * 64, "reviews": [1.5]}},
        {"data": None},
    ],
)
def test_what_is_no_entry_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(EntryInvalid):
        entry_bytes(draft(1, **changes), AT)


@pytest.mark.parametrize("name", ["actor", "via", "id"])
def test_an_id_has_128_characters_at_most(name: str) -> None:
    prefix = "ent_" if name == "id" else "sub_"
    longest = draft(1, **{name: prefix + "x" * 124})
    assert entry_of(entry_bytes(longest, AT)).draft == longest
    for wrong in (prefix + "x" * 125, "x" * 10):
        with pytest.raises(EntryInvalid, match=f"its id is none|{name} is no subject"):
            entry_bytes(draft(1, **{name: wrong}), AT)
        content = entry_bytes(longest, AT).replace(str(getattr(longest, name)).encode(), wrong.encode())
        with pytest.raises(EntryInvalid, match=f"its id is none|{name} is no subject"):
            entry_of(content)


def test_read_only_mappings_are_as_good_as_dictionaries() -> None:
    one = draft(1)
    assert entry_bytes(replace(one, data=MappingProxyType(dict(one.data))), AT) == entry_bytes(one, AT)


def test_the_size_has_a_limit() -> None:
    def sized(count: int) -> Any:
        return draft(1, data={"digest_sha256": "a" * 64, "reviews": ["x" * 512] * 31 + ["x" * count]})

    short = len(entry_bytes(sized(0), AT))
    fitting = MAX_ENTRY_BYTES - short
    assert 0 < fitting < 512
    assert len(entry_bytes(sized(fitting), AT)) == MAX_ENTRY_BYTES
    with pytest.raises(EntryTooLarge, match="16,385 bytes") as caught:
        entry_bytes(sized(fitting + 1), AT)
    assert caught.value.code == "invalid_field"
    assert caught.value.next_step


def test_a_leaf_is_the_hash_of_rfc_6962() -> None:
    row = sequenced(draft(1), index=4, at=AT)
    assert row.leaf == hashlib.sha256(b"\x00" + row.content).digest() == leaf_hash(row.content)
    assert (row.index, row.id, row.at) == (4, draft(1).id, AT)
    assert leaf_hash(b"").hex() == "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"


def test_what_is_kept_beside_an_entry_is_what_it_commits_to() -> None:
    salt = bytes(range(16))
    field = PrivateField("reason_c", salt, b"because")
    data = {"why": "requester", "reason_c": commitment(salt, b"because")}
    good = draft(1, type="request.cancelled", data=data, private=(field,))
    assert sequenced(good, index=0, at=AT)
    with pytest.raises(EntryInvalid, match="does not commit"):
        sequenced(replace(good, private=(replace(field, clear=b"other"),)), index=0, at=AT)
    with pytest.raises(EntryInvalid, match="does not commit"):
        sequenced(replace(good, private=(), served=(b"other", salt)), index=0, at=AT)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b'"v":1', b'"v":2'),
        (b'"v":1', b'"v":true'),
        (b'"type":"request.approved"', b'"type":"request.forgotten"'),
        (b'"at":"2026', b'"at":"9999999'),
        (b"Z", b"z"),
        (b'"actor":"sub_', b'"actor":"xxx_'),
        (b'"ref":{"request":"req_1"}', b'"ref":{}'),
        (b'"ref":{"request":"req_1"}', b'"ref":[]'),
        (b'"id":"ent_', b'"id":"xxx_'),
        (b',"v":1}', b"}"),
        (b'"v":1}', b'"v":1,"w":1}'),
        (b'"v":1}', b'"v":1} '),
    ],
)
def test_bytes_that_are_no_entry(before: bytes, after: bytes) -> None:
    content = entry_bytes(draft(1), AT)
    assert before in content
    with pytest.raises(EntryInvalid):
        entry_of(content.replace(before, after, 1))
