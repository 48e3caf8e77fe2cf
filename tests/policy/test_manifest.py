"""Manifests and signatures: what is signed is what is read, and every trick with them is refused."""

from __future__ import annotations

import base64
import hashlib

import orjson
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from loglease.model.instant import Instant
from loglease.policy.manifest import (
    MANIFEST,
    SIGNATURES,
    Manifest,
    Signers,
    Verified,
    is_key,
    manifest_of,
    read_manifest,
    read_signatures,
    signatures_content,
    signed,
    superseded,
    unlisted,
    untimely,
    verified,
)
from loglease.policy.problems import Problem

ALICE, BOB, MALLORY = (Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32) for number in (1, 2, 3))
DOCUMENTS = {"a.yaml": b"one", "deep/b.yaml": b"two", "c.test.yaml": b""}


def public(key: Ed25519PrivateKey) -> str:
    return signed(b"", key).key


ONE = Signers(keys={"alice": (public(ALICE),), "bob": (public(BOB),)}, needed=1)
TWO = Signers(keys=ONE.keys, needed=2)


def bundle(*keys: Ed25519PrivateKey, documents: dict[str, bytes] = DOCUMENTS, **manifest: int) -> dict[str, bytes]:
    content = manifest_of(documents, **{"revision": 7, **manifest}).content()
    signatures = dict(vars_of(signed(content, key)) for key in keys)
    return {**documents, MANIFEST: content, SIGNATURES: signatures_content(signatures)}


def vars_of(signature) -> tuple[str, bytes]:
    return signature.key, signature.value


def codes(files: dict[str, bytes], signers: Signers = ONE) -> list[str]:
    found = verified(files, signers)
    return [] if isinstance(found, Verified) else [f"{one.code} {one.at.file}" for one in found]


def test_a_signed_bundle_is_verified() -> None:
    found = verified(bundle(ALICE), ONE)
    assert isinstance(found, Verified)
    assert (found.manifest.revision, found.people, dict(found.documents)) == (7, ("alice",), DOCUMENTS)
    both = verified(bundle(BOB, ALICE), TWO)
    assert isinstance(both, Verified)
    assert both.people == ("alice", "bob")


def test_without_a_manifest_nothing_is_signed() -> None:
    assert codes(DOCUMENTS) == [f"P501 {MANIFEST}"]


def test_a_stripped_signature_a_wrong_key_and_too_few_people_are_refused() -> None:
    files = bundle(ALICE)
    del files[SIGNATURES]
    assert codes(files) == [f"P507 {SIGNATURES}"]
    assert codes(bundle()) == [f"P507 {SIGNATURES}"]
    assert codes(bundle(MALLORY)) == [f"P507 {SIGNATURES}"]
    assert codes(bundle(ALICE), TWO) == [f"P507 {SIGNATURES}"]
    assert codes(bundle(ALICE, MALLORY), TWO) == [f"P507 {SIGNATURES}"]


def test_a_signature_under_another_name_or_of_something_else_counts_for_nobody() -> None:
    files = bundle(ALICE)
    forged = {public(ALICE): signed(files[MANIFEST], MALLORY).value}
    assert codes(files | {SIGNATURES: signatures_content(forged)}) == [f"P507 {SIGNATURES}"]
    raw = {public(ALICE): ALICE.sign(files[MANIFEST])}  # without the prefix, as another protocol might have it signed
    assert codes(files | {SIGNATURES: signatures_content(raw)}) == [f"P507 {SIGNATURES}"]
    other = bundle(ALICE, revision=8)[SIGNATURES]
    assert codes(files | {SIGNATURES: other}) == [f"P507 {SIGNATURES}"]


def test_the_same_key_twice_and_two_keys_of_one_person_are_one_person() -> None:
    files = bundle(ALICE)
    twice = orjson.loads(files[SIGNATURES])
    twice["signatures"] *= 2
    assert codes(files | {SIGNATURES: orjson.dumps(twice, option=orjson.OPT_SORT_KEYS)}, TWO) == [f"P506 {SIGNATURES}"]
    rotated = Signers(keys={"alice": (public(ALICE), public(MALLORY)), "bob": (public(BOB),)}, needed=2)
    assert codes(bundle(ALICE, MALLORY), rotated) == [f"P507 {SIGNATURES}"]
    assert codes(bundle(MALLORY, BOB), rotated) == []


def test_a_file_more_a_file_less_and_a_changed_file_are_refused() -> None:
    files = bundle(ALICE)
    assert codes(files | {"extra.yaml": b""}) == ["P504 extra.yaml"]
    assert codes(files | {"README": b""}) == ["P504 README"]
    assert codes(files | {"a.yaml": b"two"}) == ["P505 a.yaml"]
    assert codes(files | {"a.yaml": b"onee"}) == ["P505 a.yaml"]
    del files["deep/b.yaml"]
    assert codes(files) == ["P503 deep/b.yaml"]


def test_files_are_held_against_a_manifest_before_anybody_signs_it() -> None:
    files = bundle()
    content = files[MANIFEST]
    assert unlisted(content, files) == []
    changed = {**DOCUMENTS, "a.yaml": b"two", "extra.yaml": b""}
    del changed["c.test.yaml"]
    assert [(one.code, one.at.file) for one in unlisted(content, changed)] == [
        ("P505", "a.yaml"), ("P503", "c.test.yaml"), ("P504", "extra.yaml"),
    ]  # fmt: skip
    assert len(unlisted(content, files | {f"{number}.yaml": b"" for number in range(300)})) == 100
    assert [one.code for one in unlisted(content + b"\n", files)] == ["P502"]


def test_the_digest_of_a_manifest_is_of_its_one_encoding() -> None:
    content = bundle(expires=9_000_000)[MANIFEST]
    manifest = read_manifest(content)
    assert isinstance(manifest, Manifest)
    assert manifest.sha256 == hashlib.sha256(content).hexdigest()


def test_many_problems_are_shown_a_hundred_at_most() -> None:
    assert len(codes(bundle(ALICE) | {f"{number}.yaml": b"" for number in range(300)})) == 100


@given(st.integers(0, 10_000), st.integers(1, 255))
def test_no_byte_of_a_bundle_can_be_changed(place: int, flip: int) -> None:
    files = bundle(ALICE, expires=9_000_000)
    name = sorted(files)[place % len(files)]
    content = bytearray(files[name] or b"\0")
    content[place % len(content)] ^= flip
    assert codes(files | {name: bytes(content)})


@given(
    st.integers(1, 2**53 - 1),
    st.dictionaries(st.sampled_from(["a.yaml", "b/c.yaml", "ü.yaml", "d..e"]), st.binary(max_size=4)),
    st.none() | st.integers(1, 10**15),
    st.none() | st.integers(10**15 + 1, 10**16),
)
def test_what_is_written_is_read(revision, documents, not_before, expires) -> None:
    manifest = manifest_of(documents, revision=revision, not_before=not_before, expires=expires)
    assert read_manifest(manifest.content()) == manifest


@given(st.binary(max_size=40) | st.text(alphabet='{}[]":,019-abc\\', max_size=40).map(str.encode))
def test_any_bytes_are_read_or_refused(content: bytes) -> None:
    assert isinstance(read_manifest(content), Problem)
    assert isinstance(read_signatures(content), Problem)


GOOD = orjson.loads(bundle(ALICE, expires=9_000_000)[MANIFEST])
FILE = GOOD["files"][0]


@pytest.mark.parametrize(
    "change",
    [
        {"format": "loglease-bundle/2"},
        {"revision": 0},
        {"revision": -1},
        {"revision": True},
        {"revision": "7"},
        {"revision": 7.0},
        {"revision": 2**53},
        {"files": {}},
        {"files": [FILE, FILE]},
        {"files": GOOD["files"][::-1]},
        {"files": ["a.yaml"]},
        {"files": [FILE | {"more": 1}]},
        {"files": [FILE | {"size": -1}]},
        {"files": [FILE | {"size": (1 << 20) + 1}]},
        {"files": [FILE | {"sha256": "A" * 64}]},
        *({"files": [FILE | {"path": path}]} for path in ("", "/a", "a/", "a//b", "../a", "a/../b", "a/..", "./a", "a\\b", "a\nb", "x" * 513, MANIFEST, SIGNATURES, 7)),
        {"expires": "2026-11-23T09:30:00Z"},
        {"expires": "1970-01-01T00:00:09.000000+00:00"},
        {"expires": None},
        {"expires": 9},
        {"not_before": GOOD["expires"]},
        {"author": "alice"},
    ],
    ids=str,
)  # fmt: skip
def test_a_manifest_of_another_form_is_refused(change: dict) -> None:
    content = orjson.dumps(GOOD | change, option=orjson.OPT_SORT_KEYS)
    files = {**DOCUMENTS, MANIFEST: content, SIGNATURES: signatures_content(dict([vars_of(signed(content, ALICE))]))}
    assert codes(files) == [f"P502 {MANIFEST}"]


def test_a_manifest_has_one_encoding() -> None:
    assert isinstance(read_manifest(orjson.dumps(GOOD, option=orjson.OPT_SORT_KEYS)), Manifest)
    for content in (
        orjson.dumps(dict(reversed(GOOD.items()))),
        orjson.dumps(GOOD, option=orjson.OPT_SORT_KEYS | orjson.OPT_INDENT_2),
        orjson.dumps(GOOD, option=orjson.OPT_SORT_KEYS) + b"\n",
        orjson.dumps(GOOD, option=orjson.OPT_SORT_KEYS)[:-1] + b',"revision":7}',
        b" " * (9 << 20),
    ):
        assert isinstance(read_manifest(content), Problem)
    for name in ("format", "revision", "files"):
        rest = {key: value for key, value in GOOD.items() if key != name}
        assert isinstance(read_manifest(orjson.dumps(rest, option=orjson.OPT_SORT_KEYS)), Problem)


@pytest.mark.parametrize(
    "change",
    [
        {"format": "loglease-signatures/2"},
        {"signatures": {}},
        {"signatures": ["x"]},
        {"signatures": [{"key": public(ALICE)}]},
        {"signatures": [{"key": public(ALICE), "signature": 1}]},
        {"signatures": [{"key": 1, "signature": "AA=="}]},
        {"signatures": [{"key": public(ALICE), "signature": "AA=="}]},
        {"signatures": [{"key": public(ALICE), "signature": "€"}]},
        {"signatures": [{"key": public(ALICE)[8:], "signature": base64.b64encode(bytes(64)).decode()}]},
        {"more": 1},
    ],
    ids=str,
)
def test_signatures_of_another_form_are_refused(change: dict) -> None:
    files = bundle(ALICE)
    value = orjson.loads(files[SIGNATURES]) | change
    assert codes(files | {SIGNATURES: orjson.dumps(value, option=orjson.OPT_SORT_KEYS)}) == [f"P506 {SIGNATURES}"]


def test_a_key_has_one_text() -> None:
    text = public(ALICE)
    assert is_key(text)
    body = text.removeprefix("ed25519:")
    spare = body[:-2] + chr(ord(body[-2]) + 1) + "="  # the same bytes by a lenient reader: two bits are left over
    assert base64.b64decode(spare) == base64.b64decode(body)
    for other in (body, f"ed25519: {body}", f"ed25519:{spare}", f"{text}\n", "ed25519:AAAA", "ed448:" + body, ""):
        assert not is_key(other)


def test_no_way_leads_back() -> None:
    def code(revision: int, sha256: str) -> str | None:
        found = superseded(revision, sha256, known_revision=5, known_sha256="aa")
        return found.code if found else None

    assert [code(4, "aa"), code(4, "bb"), code(5, "bb"), code(5, "aa"), code(6, "aa")] == [
        "P510",
        "P510",
        "P511",
        None,
        None,
    ]
    assert superseded(1, "aa", known_revision=0, known_sha256=None) is None
    assert superseded(5, "aa", known_revision=5, known_sha256=None) is None


def test_a_bundle_holds_from_its_beginning_to_before_its_end() -> None:
    manifest = manifest_of({}, revision=1, not_before=Instant(10), expires=Instant(20))
    found = [untimely(manifest, Instant(now)) for now in (9, 10, 19, 20)]
    assert [one.code if one else None for one in found] == ["P508", None, None, "P509"]
    assert untimely(manifest_of({}, revision=1), Instant(0)) is None
