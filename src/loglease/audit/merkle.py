"""The Merkle tree over the entries: its root, and proofs that an entry is in it or that it begins with an older tree.

Source: RFC 6962, section 2.1, and the checks of RFC 9162, sections 2.1.3.2 and 2.1.4.2. Nothing is kept here: hashes
come from a function, so that the same code proves from memory, from tiles on a disk and from tiles behind HTTP.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from typing import Final, NamedTuple

from loglease.model.errors import LogLeaseError

HASH_BYTES: Final = 32
EMPTY_ROOT: Final = hashlib.sha256(b"").digest()
"""The root of a tree without entries."""

_LEAF: Final = b"\x00"
_NODE: Final = b"\x01"


class ProofInvalid(LogLeaseError):
    """A proof does not show what it should: an entry, a tree or a hash in it is another one."""

    code = "log_invalid"


class Node(NamedTuple):
    """A complete subtree: ``2**level`` leaves, from leaf ``number * 2**level`` on."""

    level: int
    number: int


Hashes = Callable[[Sequence[Node]], Sequence[bytes]]
"""Return the hashes of complete subtrees, in the order asked for."""


def leaf_hash(content: bytes) -> bytes:
    """Return the hash of an entry as a leaf."""
    return hashlib.sha256(_LEAF + content).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of the tree that has these two below its root."""
    return hashlib.sha256(_NODE + left + right).digest()


def root_of(edge: Sequence[bytes]) -> bytes:
    """Return the root over the hashes of a right edge, which stand from left to right and become smaller."""
    if not edge:
        return EMPTY_ROOT
    root = edge[-1]
    for left in reversed(edge[:-1]):
        root = node_hash(left, root)
    return root


def subtree_root(hashes: Sequence[bytes]) -> bytes:
    """Return the hash of the complete subtree over a power of two of neighbours.

    Raises:
        ValueError: their number is no power of two.
    """
    if not hashes or len(hashes) & (len(hashes) - 1):
        raise ValueError(f"{len(hashes)} hashes make no complete subtree")
    while len(hashes) > 1:
        hashes = [
            hashlib.sha256(_NODE + hashes[place] + hashes[place + 1]).digest() for place in range(0, len(hashes), 2)
        ]
    return hashes[0]


class Edge:
    """The right edge of a growing tree: all that is needed to add leaves and to know the root.

    Args:
        size: how many leaves there are already.
        hashes: those of `root_nodes(size)`.
    """

    def __init__(self, size: int = 0, hashes: Iterable[bytes] = ()) -> None:
        self._size = size
        self._hashes = list(hashes)
        if len(self._hashes) != size.bit_count():
            raise ValueError(f"an edge of {size} leaves has {size.bit_count()} hashes, not {len(self._hashes)}")

    @property
    def size(self) -> int:
        """The number of leaves."""
        return self._size

    @property
    def hashes(self) -> tuple[bytes, ...]:
        """The hashes of the complete subtrees, the largest first."""
        return tuple(self._hashes)

    def append(self, leaf: bytes) -> None:
        """Add one leaf."""
        done = self._size
        while done & 1:
            leaf = hashlib.sha256(_NODE + self._hashes.pop() + leaf).digest()
            done >>= 1
        self._hashes.append(leaf)
        self._size += 1

    def extend(self, leaves: Iterable[bytes]) -> None:
        """Add leaves in their order."""
        for leaf in leaves:
            self.append(leaf)

    def root(self) -> bytes:
        """Return the root of the tree as it is now."""
        return root_of(self._hashes)


def root_nodes(size: int) -> list[Node]:
    """Return the complete subtrees that a tree consists of, the largest and leftmost first."""
    return _nodes(0, size)


def inclusion_proof(index: int, size: int, read: Hashes) -> list[bytes]:
    """Return the hashes that lead from leaf `index` to the root of the tree of `size`, the leaf's neighbour first.

    Raises:
        ProofInvalid: there is no such leaf.
    """
    if not 0 <= index < size:
        raise ProofInvalid(f"A log of size {size} has no entry {index}.")
    begin, end = 0, size
    ranges: list[tuple[int, int]] = []
    while end - begin > 1:
        middle = begin + _split(end - begin)
        if index < middle:
            ranges.append((middle, end))
            end = middle
        else:
            ranges.append((begin, middle))
            begin = middle
    return _hashed(ranges[::-1], read)


def consistency_proof(old: int, new: int, read: Hashes) -> list[bytes]:
    """Return the hashes that show that the tree of size `new` begins with the tree of size `old`.

    Raises:
        ProofInvalid: `old` is 0 or above `new`; every tree begins with the empty one, so there is nothing to show.
    """
    if not 1 <= old <= new:
        raise ProofInvalid(f"There is no proof that a log of size {new} begins with one of size {old}.")
    begin, end, whole = 0, new, True
    ranges: list[tuple[int, int]] = []
    while end != old:
        middle = begin + _split(end - begin)
        if old <= middle:
            ranges.append((middle, end))
            end = middle
        else:
            ranges.append((begin, middle))
            begin, whole = middle, False
    if not whole:
        ranges.append((begin, end))
    return _hashed(ranges[::-1], read)


def check_inclusion(leaf: bytes, index: int, size: int, root: bytes, proof: Sequence[bytes]) -> None:
    """Check that `leaf` is at `index` in the tree of `size` with `root`.

    Raises:
        ProofInvalid: the proof does not show it.
    """
    if not 0 <= index < size:
        raise ProofInvalid(f"A log of size {size} has no entry {index}.")
    found, root, *hashes = _whole([leaf, root, *proof])
    place, last = index, size - 1
    for one in hashes:
        if last == 0:
            raise ProofInvalid("The proof has more hashes than the tree has levels.")
        if place & 1 or place == last:
            found = node_hash(one, found)
            while not place & 1 and place:
                place, last = place >> 1, last >> 1
        else:
            found = node_hash(found, one)
        place, last = place >> 1, last >> 1
    if last != 0:
        raise ProofInvalid("The proof has fewer hashes than the tree has levels.")
    if found != root:
        raise ProofInvalid(f"The proof does not lead from entry {index} to the root of size {size}.")


def check_consistency(old: int, old_root: bytes, new: int, new_root: bytes, proof: Sequence[bytes]) -> None:
    """Check that the tree of size `new` with `new_root` begins with the tree of size `old` with `old_root`.

    Raises:
        ProofInvalid: the proof does not show it; also for an empty old tree, of which nothing can be shown.
    """
    if not 1 <= old <= new:
        raise ProofInvalid(f"There is no proof that a log of size {new} begins with one of size {old}.")
    if old == new:
        if proof or old_root != new_root:
            raise ProofInvalid(f"Two logs of size {old} have different roots.")
        return
    old_root, new_root, *hashes = _whole([old_root, new_root, *proof])
    if not old & (old - 1):
        hashes = [old_root, *hashes]
    if _walked(old - 1, new - 1, hashes) != (old_root, new_root):
        raise ProofInvalid(f"The log of size {new} does not begin with the log of size {old}.")


def _walked(place: int, last: int, hashes: Sequence[bytes]) -> tuple[bytes, bytes]:
    """Return the roots that a consistency proof leads to, from the last leaves of the old and the new tree."""
    if not hashes:
        raise ProofInvalid("The proof is empty.")
    while place & 1:
        place, last = place >> 1, last >> 1
    before = after = hashes[0]
    for one in hashes[1:]:
        if last == 0:
            raise ProofInvalid("The proof has more hashes than the tree has levels.")
        if place & 1 or place == last:
            before, after = node_hash(one, before), node_hash(one, after)
            while not place & 1 and place:
                place, last = place >> 1, last >> 1
        else:
            after = node_hash(after, one)
        place, last = place >> 1, last >> 1
    if last != 0:
        raise ProofInvalid("The proof has fewer hashes than the tree has levels.")
    return before, after


def _split(size: int) -> int:
    """Return the largest power of two below `size`."""
    return 1 << (size - 1).bit_length() - 1


def _nodes(begin: int, end: int) -> list[Node]:
    """Return the complete subtrees of a range as RFC 6962 splits one: its begin is aligned to its largest part."""
    nodes = []
    while begin < end:
        level = (end - begin).bit_length() - 1
        nodes.append(Node(level, begin >> level))
        begin += 1 << level
    return nodes


def _hashed(ranges: Sequence[tuple[int, int]], read: Hashes) -> list[bytes]:
    """Return the hash of each range, read in one call."""
    parts = [_nodes(begin, end) for begin, end in ranges]
    found = list(read([node for part in parts for node in part]))
    hashes, place = [], 0
    for part in parts:
        hashes.append(root_of(found[place : place + len(part)]))
        place += len(part)
    return hashes


def _whole(hashes: list[bytes]) -> list[bytes]:
    if any(len(one) != HASH_BYTES for one in hashes):
        raise ProofInvalid("A proof, a leaf and a root consist of hashes of 32 bytes.")
    return hashes
