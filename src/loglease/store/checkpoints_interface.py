"""What the rest of the product knows of the signed heads of the audit log."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredCheckpoint:
    """A size of the log that was signed.

    Attributes:
        prev_size: size of the checkpoint before it; None for the first one, of the empty log.
        root: the Merkle root over so many entries.
        note: the signed note, byte for byte.
    """

    size: int
    prev_size: int | None
    root: bytes
    note: bytes


class Checkpoints(Protocol):
    """Checkpoints of the audit log."""

    def last(self) -> StoredCheckpoint | None:
        """Return the newest checkpoint; None before the first."""

    def at(self, size: int) -> StoredCheckpoint | None:
        """Return the checkpoint of exactly this size."""

    def covering(self, index: int) -> StoredCheckpoint | None:
        """Return the oldest checkpoint that covers the entry of an index."""

    def since(self, size: int, *, limit: int = 1_000) -> Sequence[StoredCheckpoint]:
        """Return checkpoints from a size on, in order."""

    def insert(self, *, size: int, prev_size: int | None, root: bytes, note: bytes) -> bool:
        """Store the successor of the checkpoint of `prev_size`; False if that is not the newest any more."""
