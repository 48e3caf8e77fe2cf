"""The key and the note of the first tests are those of Go's documentation of `sumdb/note`."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loglease.audit.checkpoint import Checkpoint, head_line, head_of_line, open_checkpoint, sign_checkpoint
from loglease.audit.merkle import EMPTY_ROOT
from loglease.audit.note import (
    COSIGNATURE,
    ED25519,
    MAX_NOTE_BYTES,
    NoteInvalid,
    SignedNote,
    SigningKey,
    VerifierKey,
    cosign,
    cosigned_at,
    sign_note,
    signers_of,
)

PUBLIC = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
PRIVATE = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz"
TEXT = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
NOTE = (
    TEXT
    + "\n— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
).encode()

names = st.text(st.characters(exclude_categories=["C", "Z"], exclude_characters="+"), min_size=1, max_size=20)
keys = st.builds(SigningKey, names, st.binary(min_size=32, max_size=32))
lines = st.text(st.characters(exclude_categories=["C"]), max_size=20)
texts = st.lists(lines, min_size=1, max_size=5).map(lambda found: "\n".join(found) + "\n")


def test_a_note_of_gos_documentation_is_made_and_read() -> None:
    key = SigningKey.parse(PRIVATE)
    assert key.text() == PRIVATE
    assert str(key.verifier) == PUBLIC
    assert VerifierKey.parse(PUBLIC) == key.verifier
    assert sign_note(TEXT, [key]).encode() == NOTE
    note = SignedNote.parse(NOTE)
    assert note.text == TEXT
    assert signers_of(note, [key.verifier]) == [key.verifier]


def test_a_private_key_shows_nothing_of_itself() -> None:
    key = SigningKey.parse(PRIVATE)
    assert repr(key) == f"SigningKey({PUBLIC})"
    with pytest.raises(NoteInvalid) as refused:
        SigningKey.parse(PRIVATE.replace("c74f20a3", "c74f20a4"))
    assert "AYEKFALV" not in str(refused.value)


@given(keys)
def test_keys_are_read_as_they_are_written(key: SigningKey) -> None:
    assert SigningKey.parse(key.text()).text() == key.text()
    assert VerifierKey.parse(str(key.verifier)) == key.verifier


@given(texts, st.lists(keys, min_size=1, max_size=4, unique_by=lambda key: key.verifier.key_id))
def test_a_note_is_read_as_it_is_written(text: str, signers: list[SigningKey]) -> None:
    note = sign_note(text, signers)
    assert SignedNote.parse(note.encode()) == note
    assert signers_of(note, [key.verifier for key in signers]) == [key.verifier for key in signers]


@given(st.integers(0, len(NOTE) - 1), st.integers(0, 7))
def test_any_changed_bit_is_found(place: int, bit: int) -> None:
    changed = bytearray(NOTE)
    changed[place] ^= 1 << bit
    try:
        found = signers_of(SignedNote.parse(bytes(changed)), [VerifierKey.parse(PUBLIC)])
    except NoteInvalid:
        return
    assert found == []


def test_a_foreign_line_says_nothing_and_a_broken_one_of_a_known_key_refuses_the_note() -> None:
    known, stranger = SigningKey("a", bytes(32)), SigningKey("b", bytes(31) + b"\1")
    note = sign_note(TEXT, [known, stranger])
    assert signers_of(note, [known.verifier]) == [known.verifier]
    assert signers_of(note, []) == []
    broken = SignedNote("another text\n", note.signatures)
    with pytest.raises(NoteInvalid, match="The signature of a"):
        signers_of(broken, [known.verifier])


def test_a_second_line_of_a_key_counts_once() -> None:
    key = SigningKey("a", bytes(32))
    note = sign_note(TEXT, [key, key])
    assert signers_of(note, [key.verifier]) == [key.verifier]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"text\n",
        b"text\n\n",
        NOTE[:-1],
        NOTE.replace(b"\n\n", b"\n"),
        NOTE.replace("—".encode(), b"-"),
        NOTE.replace(b"PeterNeumann ", b"Peter Neumann "),
        NOTE.replace(b"PeterNeumann ", b"Peter+Neumann "),
        NOTE.replace(b"x08go/", b"x08go!"),
        NOTE + b"\n",
        NOTE.replace(b"If", b"\x07If"),
        NOTE.replace(b"If", b"\xff"),
        b"text\n\n" + "— a AAAAAA==\n".encode(),
        b"text\n\n" + "— a AAAAAAB=\n".encode(),
        TEXT.encode() + b"\n" + NOTE.rpartition(b"\n\n")[2] * 101,
        b"x" * 1_000_001,
    ],
)
def test_what_is_no_note_is_refused(content: bytes) -> None:
    with pytest.raises(NoteInvalid):
        SignedNote.parse(content)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "PeterNeumann",
        PUBLIC.replace("c74f20a3", "c74f20a4"),
        PUBLIC.replace("+ARpc", "+BRpc"),
        PUBLIC[:-1],
        PUBLIC + "A",
        PUBLIC.replace("PeterNeumann", "Peter Neumann"),
        PRIVATE,
    ],
)
def test_what_is_no_key_is_refused(text: str) -> None:
    with pytest.raises(NoteInvalid):
        VerifierKey.parse(text)


@pytest.mark.parametrize("name", ["", "a b", "a+b", "a\nb"])
def test_a_name_has_no_space_and_no_plus(name: str) -> None:
    with pytest.raises(NoteInvalid, match="cannot be the name of a key"):
        SigningKey(name, bytes(32))


@given(st.integers(0, 2**63 - 1))
def test_a_witness_signs_the_time_with_the_text(at_s: int) -> None:
    witness = SigningKey("witness.example.com/w", bytes(32), COSIGNATURE)
    line = cosign(TEXT, witness, at_s=at_s)
    note = SignedNote(TEXT, (line,))
    assert cosigned_at(line) == at_s
    assert signers_of(note, [VerifierKey.parse(str(witness.verifier))]) == [witness.verifier]
    later = line._replace(blob=((at_s + 1) % 2**64).to_bytes(8) + line.blob[8:])
    with pytest.raises(NoteInvalid, match="does not hold"):
        signers_of(SignedNote(TEXT, (later,)), [witness.verifier])


roots = st.binary(min_size=32, max_size=32)
heads = st.builds(Checkpoint, names, st.integers(1, 10**18), roots) | st.builds(
    Checkpoint, names, st.just(0), st.just(EMPTY_ROOT)
)


@given(heads)
def test_a_head_is_read_as_it_is_written(head: Checkpoint) -> None:
    assert Checkpoint.parse(head.text()) == head
    assert head_of_line(head_line(head)) == head
    key = SigningKey(head.origin, bytes(32))
    assert open_checkpoint(sign_checkpoint(head, [key]), [key.verifier]) == head


def test_a_head_counts_only_with_a_key_of_its_log() -> None:
    head, key = Checkpoint("logs/1", 0, EMPTY_ROOT), SigningKey("logs/1", bytes(32))
    other, witness = SigningKey("logs/2", bytes(32)), SigningKey("logs/1", bytes(32), COSIGNATURE)
    for signer in (other, SigningKey("logs/1", b"\1" * 32), witness):
        with pytest.raises(NoteInvalid, match="No key that was given has signed"):
            open_checkpoint(sign_checkpoint(head, [signer]), [key.verifier, other.verifier, witness.verifier])


@pytest.mark.parametrize(
    "text",
    [
        "logs/1\n1\n",
        "logs/1\n01\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n",
        "logs/1\n-1\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n",
        "logs/1\n1\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2J=\n",
        "logs/1\n1\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\nextension\n",
        "logs/1\n1\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=",
        "logs/1\n1\nAAAA\n",
        "logs/1\n1\n!!!!\n",
        "\n1\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n",
        "logs 1\n1\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n",
        "logs/1\n0\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n",
    ],
)
def test_what_is_no_checkpoint_is_refused(text: str) -> None:
    with pytest.raises(NoteInvalid):
        Checkpoint.parse(text)
    with pytest.raises(NoteInvalid):
        head_of_line(text)


@pytest.mark.parametrize(("seed", "kind"), [(bytes(31), ED25519), (bytes(33), ED25519), (b"", ED25519), (bytes(32), 2)])
def test_another_kind_of_key_is_none(seed: bytes, kind: int) -> None:
    with pytest.raises(NoteInvalid, match="is no Ed25519 key"):
        SigningKey("example.com/1", seed, kind)


def test_a_public_key_is_no_private_one() -> None:
    for text in (PUBLIC, PRIVATE.removeprefix("PRIVATE+KEY+"), f" {PRIVATE}"):
        with pytest.raises(NoteInvalid, match="does not start with"):
            SigningKey.parse(text)


def test_a_note_has_at_most_a_million_bytes() -> None:
    key = SigningKey.parse(PRIVATE)
    short = len(sign_note("\n", [key]).encode())
    note = sign_note(f"{'x' * (MAX_NOTE_BYTES - short)}\n", [key])
    assert len(note.encode()) == MAX_NOTE_BYTES
    assert SignedNote.parse(note.encode()) == note
    with pytest.raises(NoteInvalid, match="at most 1,000,000 bytes"):
        SignedNote.parse(sign_note(f"{'x' * (MAX_NOTE_BYTES - short + 1)}\n", [key]).encode())


@pytest.mark.parametrize("text", ["", "text", "text\r\n", "a\tb\n", "\0\n", "\x1f\n"])
def test_only_a_text_that_can_be_read_again_is_signed(text: str) -> None:
    with pytest.raises(NoteInvalid, match="A text to sign"):
        sign_note(text, [SigningKey.parse(PRIVATE)])


def test_signatures_alone_are_no_note_and_a_line_begins_with_a_dash() -> None:
    lines = NOTE.split(b"\n\n")[1]
    for content in (lines, b"\n" + lines, NOTE.replace("\u2014 ".encode(), b""), NOTE.replace("\u2014".encode(), b"-")):
        with pytest.raises(NoteInvalid):
            SignedNote.parse(content)


def test_a_checkpoint_has_three_lines() -> None:
    text = Checkpoint("example.com/1", 1, bytes(32)).text()
    assert Checkpoint.parse(text).size == 1
    for other in (text + "x", text + "\n", text[:-1], "\n" + text, text + "more\n"):
        with pytest.raises(NoteInvalid, match="three lines"):
            Checkpoint.parse(other)
