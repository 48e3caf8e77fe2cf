from __future__ import annotations

import hashlib
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loglease.audit.merkle import (
    EMPTY_ROOT,
    Edge,
    Node,
    ProofInvalid,
    check_consistency,
    check_inclusion,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    node_hash,
    root_nodes,
    root_of,
    subtree_root,
)

LEAVES = [leaf_hash(b"entry %d" % number) for number in range(300)]


def tree_hash(leaves: Sequence[bytes]) -> bytes:
    """RFC 6962, section 2.1, word by word."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    middle = 1
    while middle * 2 < len(leaves):
        middle *= 2
    return hashlib.sha256(b"\x01" + tree_hash(leaves[:middle]) + tree_hash(leaves[middle:])).digest()


def read(nodes: Sequence[Node]) -> list[bytes]:
    return [tree_hash(LEAVES[node.number << node.level : (node.number + 1) << node.level]) for node in nodes]


def audit_path(index: int, leaves: Sequence[bytes]) -> list[bytes]:
    """RFC 6962, section 2.1.1."""
    if len(leaves) == 1:
        return []
    middle = 1
    while middle * 2 < len(leaves):
        middle *= 2
    if index < middle:
        return [*audit_path(index, leaves[:middle]), tree_hash(leaves[middle:])]
    return [*audit_path(index - middle, leaves[middle:]), tree_hash(leaves[:middle])]


sizes = st.integers(1, len(LEAVES))


def test_known_hashes() -> None:
    assert EMPTY_ROOT.hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert leaf_hash(b"").hex() == "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
    assert (
        node_hash(leaf_hash(b""), leaf_hash(b"\x00")).hex()
        == "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"
    )


@given(st.integers(0, len(LEAVES)), st.integers(0, len(LEAVES)))
def test_an_edge_grows_to_the_root_of_the_tree(first: int, size: int) -> None:
    edge = Edge()
    edge.extend(LEAVES[: min(first, size)])
    edge = Edge(edge.size, edge.hashes)
    edge.extend(LEAVES[edge.size : size])
    assert edge.size == size
    assert edge.hashes == tuple(read(root_nodes(size)))
    assert edge.root() == root_of(edge.hashes) == tree_hash(LEAVES[:size])


def test_an_edge_has_a_hash_for_each_part() -> None:
    with pytest.raises(ValueError, match="an edge of 3 leaves has 2 hashes, not 1"):
        Edge(3, LEAVES[:1])


@given(sizes, st.data())
def test_a_proof_of_inclusion_is_the_path_of_the_standard_and_holds(size: int, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, size - 1))
    proof = inclusion_proof(index, size, read)
    assert proof == audit_path(index, LEAVES[:size])
    check_inclusion(LEAVES[index], index, size, tree_hash(LEAVES[:size]), proof)


@given(sizes, st.data())
def test_a_changed_proof_of_inclusion_does_not_hold(size: int, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, size - 1))
    root, proof = tree_hash(LEAVES[:size]), inclusion_proof(index, size, read)
    place = data.draw(st.integers(0, max(len(proof) - 1, 0)))
    wrong = [
        (LEAVES[index], index, size, root, [*proof, LEAVES[0]]),
        (LEAVES[index], index, size, EMPTY_ROOT, proof),
        (EMPTY_ROOT, index, size, root, proof),
        (LEAVES[index], size, size, root, proof),
        (LEAVES[index], -1, size, root, proof),
        (LEAVES[index], index, size, root, [*proof, b"short"]),
        (b"", index, size, b"", proof),
    ]
    if proof:
        wrong += [
            (LEAVES[index], index, size, root, proof[:-1]),
            (LEAVES[index], index, size, root, [*proof[:place], EMPTY_ROOT, *proof[place + 1 :]]),
            (LEAVES[index], index ^ 1, size, root, proof),
        ]
    for case in wrong:
        with pytest.raises(ProofInvalid):
            check_inclusion(*case)


@given(sizes, st.data())
def test_a_proof_of_consistency_holds_for_its_trees_alone(size: int, data: st.DataObject) -> None:
    old = data.draw(st.integers(1, size))
    old_root, new_root = tree_hash(LEAVES[:old]), tree_hash(LEAVES[:size])
    proof = consistency_proof(old, size, read)
    check_consistency(old, old_root, size, new_root, proof)
    wrong = [
        (old, EMPTY_ROOT, size, new_root, proof),
        (old, old_root, size, EMPTY_ROOT, proof),
        (old, old_root, size, new_root, [*proof, LEAVES[0]]),
        (0, EMPTY_ROOT, size, new_root, []),
        (size, old_root, size + 1, b"", []),
        (size + 1, new_root, size, new_root, []),
    ]
    if proof:
        place = data.draw(st.integers(0, len(proof) - 1))
        wrong += [
            (old, old_root, size, new_root, proof[:-1]),
            (old, old_root, size, new_root, [*proof[:place], EMPTY_ROOT, *proof[place + 1 :]]),
            (old, old_root, size, new_root, []),
        ]
    for case in wrong:
        with pytest.raises(ProofInvalid):
            check_consistency(*case)


@pytest.mark.parametrize(("old", "new"), [(0, 5), (6, 5), (-1, 5), (0, 0)])
def test_nothing_shows_that_a_log_begins_with_an_empty_or_a_larger_one(old: int, new: int) -> None:
    with pytest.raises(ProofInvalid, match=f"There is no proof that a log of size {new} begins with one of size {old}"):
        consistency_proof(old, new, read)


@pytest.mark.parametrize("index", [-1, 5, 6])
def test_there_is_no_proof_of_an_entry_that_is_not_there(index: int) -> None:
    with pytest.raises(ProofInvalid, match=f"A log of size 5 has no entry {index}"):
        inclusion_proof(index, 5, read)


def test_a_proof_is_read_in_one_call() -> None:
    calls: list[int] = []

    def counting(nodes: Sequence[Node]) -> list[bytes]:
        calls.append(len(nodes))
        return read(nodes)

    inclusion_proof(3, 299, counting)
    consistency_proof(77, 299, counting)
    assert len(calls) == 2


def test_a_complete_subtree_has_a_power_of_two_of_leaves() -> None:
    assert subtree_root(LEAVES[:256]) == tree_hash(LEAVES[:256])
    assert subtree_root(LEAVES[:1]) == LEAVES[0]
    for count in (0, 3, 255):
        with pytest.raises(ValueError, match="make no complete subtree"):
            subtree_root(LEAVES[:count])
