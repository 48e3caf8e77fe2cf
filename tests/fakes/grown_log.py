"""A log in memory with its key: heads of any size, proofs between them, and forks that share a beginning."""

from __future__ import annotations

from collections.abc import Sequence

from loglease.audit.checkpoint import Checkpoint, sign_checkpoint
from loglease.audit.merkle import EMPTY_ROOT, Edge, Node, consistency_proof, leaf_hash, subtree_root
from loglease.audit.note import SigningKey
from loglease.audit.witness_protocol import Submission

ORIGIN = "logs.example.com/loglease/1"


class GrownLog:
    def __init__(self, size: int = 300, *, origin: str = ORIGIN, forked_at: int | None = None, seed: int = 1) -> None:
        self.key = SigningKey(origin, bytes([seed]) * 32)
        fork = size if forked_at is None else forked_at
        self.leaves = [leaf_hash(b"%s%d" % (b"" if index < fork else b"other ", index)) for index in range(size)]

    def head(self, size: int) -> Checkpoint:
        edge = Edge()
        edge.extend(self.leaves[:size])
        return Checkpoint(self.key.verifier.name, size, edge.root() if size else EMPTY_ROOT)

    def note(self, size: int) -> bytes:
        return sign_checkpoint(self.head(size), [self.key])

    def hashes(self, nodes: Sequence[Node]) -> list[bytes]:
        return [subtree_root(self.leaves[one.number << one.level : (one.number + 1) << one.level]) for one in nodes]

    def proof(self, old: int, new: int) -> tuple[bytes, ...]:
        return tuple(consistency_proof(old, new, self.hashes)) if old else ()

    def submission(self, old: int, new: int) -> bytes:
        return Submission(old, self.proof(old, new), self.note(new)).encode()
