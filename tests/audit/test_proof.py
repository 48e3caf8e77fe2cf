from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loglease.audit.checkpoint import Checkpoint, sign_checkpoint
from loglease.audit.merkle import Edge, Node, ProofInvalid, inclusion_proof, leaf_hash, subtree_root
from loglease.audit.note import NoteInvalid, SigningKey
from loglease.audit.proof import InclusionProof

KEY = SigningKey("logs.example.com/1", bytes(32))
CONTENTS = [b"entry %d" % number for number in range(9)]
LEAVES = [leaf_hash(content) for content in CONTENTS]


def made(index: int = 4, extra: bytes | None = None) -> InclusionProof:
    def read(nodes: list[Node]) -> list[bytes]:
        return [subtree_root(LEAVES[node.number << node.level : (node.number + 1) << node.level]) for node in nodes]

    edge = Edge()
    edge.extend(LEAVES)
    head = sign_checkpoint(Checkpoint("logs.example.com/1", 9, edge.root()), [KEY])
    return InclusionProof(index, tuple(inclusion_proof(index, 9, read)), head, extra)


@given(st.integers(0, 8), st.none() | st.binary(max_size=40))
def test_a_proof_is_read_as_it_is_written_and_holds(index: int, extra: bytes | None) -> None:
    proof = made(index, extra)
    assert InclusionProof.parse(proof.encode()) == proof
    assert proof.check(CONTENTS[index], [KEY.verifier]).size == 9
    with pytest.raises(ProofInvalid):
        proof.check(CONTENTS[index - 1], [KEY.verifier])


def test_its_lines_are_those_of_the_standard() -> None:
    lines = made(extra=b"why").encode().decode().split("\n")
    assert lines[:3] == ["c2sp.org/tlog-proof@v1", "extra d2h5", "index 4"]
    assert lines[7:10] == ["", "logs.example.com/1", "9"]


def test_another_key_vouches_for_nothing() -> None:
    with pytest.raises(NoteInvalid):
        made().check(CONTENTS[4], [SigningKey("logs.example.com/1", b"\1" * 32).verifier])


@given(st.integers(0, 700), st.integers(0, 7))
def test_any_changed_bit_is_found(place: int, bit: int) -> None:
    content = bytearray(made().encode())
    content[place % len(content)] ^= 1 << bit
    with pytest.raises((ProofInvalid, NoteInvalid)):
        InclusionProof.parse(bytes(content)).check(CONTENTS[4], [KEY.verifier])


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"@v1", b"@v2"),
        (b"index 4", b"index 04"),
        (b"index 4", b"index -4"),
        (b"index 4\n", b""),
        (b"index 4", b"index 4\nAAAA"),
        (b"index 4", b"extra !\nindex 4"),
        (b"index 4", b"extra AAB=\nindex 4"),
        (b"index 4", b"index 4" + b"\n" + b"A" * 43 + b"=" * 1),
        (b"index 4", b"index 4\xff"),
        (b"index 4", b"index 4" + b"\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=" * 63),
    ],
)
def test_what_is_no_proof_is_refused(old: bytes, new: bytes) -> None:
    with pytest.raises(ProofInvalid):
        InclusionProof.parse(made().encode().replace(old, new)).check(CONTENTS[4], [KEY.verifier])


def test_a_proof_without_its_parts_is_refused() -> None:
    for content in (b"", b"c2sp.org/tlog-proof@v1\n", b"c2sp.org/tlog-proof@v1\n\nnote", b"\n\n"):
        with pytest.raises(ProofInvalid):
            InclusionProof.parse(content)


def test_a_proof_has_its_parts_and_no_more_than_it_may() -> None:
    for content in (b"c2sp.org/tlog-proof@v1\nindex 4", b"c2sp.org/tlog-proof@v1\nindex 4\n", b"", b"\n\n"):
        with pytest.raises(ProofInvalid):
            InclusionProof.parse(content)
    many = InclusionProof(4, (bytes(32),) * 63, b"")
    assert InclusionProof.parse(many.encode()) == many
    with pytest.raises(ProofInvalid, match="at most 63 hashes"):
        InclusionProof.parse(InclusionProof(4, (bytes(32),) * 64, b"").encode())
    with pytest.raises(ProofInvalid, match="at most 63 hashes"):
        InclusionProof.parse(InclusionProof(4, (bytes(31),), b"").encode())
    rest = (1 << 20) - len(InclusionProof(4, (), b"").encode())
    longest = InclusionProof(4, (), b"x" * rest)
    assert InclusionProof.parse(longest.encode()) == longest
    with pytest.raises(ProofInvalid, match="has a head"):
        InclusionProof.parse(longest.encode() + b"x")
