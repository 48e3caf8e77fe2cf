"""What the rest of the product knows of the audit log as it is stored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from loglease.model.ids import GrantId, RequestId, SessionId
from loglease.model.instant import Instant


@dataclass(frozen=True, slots=True)
class StoredHead:
    """The end of the log as it is stored.

    Attributes:
        next: the index that the next entry gets.
        last_at: time of the last entry.
        epoch: the history generation.
        min_index: the lowest index that was not pruned.
    """

    next: int
    last_at: Instant
    epoch: int
    min_index: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredEntry:
    """One entry of the audit log as it is read back: exact bytes and index."""

    index: int
    content: bytes
    leaf: bytes


@dataclass(frozen=True, slots=True)
class StoredPrivate:
    """A private text as it is stored: sealed under the key of `subject`."""

    path: str
    subject: str
    nonce: bytes
    ciphertext: bytes


class Entries(Protocol):
    """The audit log, for reading. Only the sequencer writes it."""

    def since(self, index: int, *, types: frozenset[str] | None = None, limit: int = 1_000) -> Sequence[StoredEntry]:
        """Return entries from `index` on, in order."""

    def stored(self, first: int, limit: int) -> Sequence[tuple[int, str, bytes, bytes]]:
        """Return index, id, bytes and leaf of entries from an index on, exactly as the rows have them."""

    def page(
        self,
        *,
        types: frozenset[str] | None = None,
        actor: str | None = None,
        request: RequestId | None = None,
        grant: GrantId | None = None,
        session: SessionId | None = None,
        before: int | None = None,
        limit: int = 50,
    ) -> Sequence[StoredEntry]:
        """Return entries, newest first, below index `before`."""

    def find(self, entry_id: str) -> StoredEntry | None:
        """Return one entry by its id."""

    def newest(self, most: int) -> Sequence[StoredEntry]:
        """Return the last entries, in order."""

    def head(self) -> StoredHead:
        """Return the end of the log."""

    def raise_epoch(self, epoch: int) -> None:
        """Begin a new history generation; it never falls."""

    def size(self) -> int:
        """Return the number of entries."""

    def min_index(self) -> int:
        """Return the lowest index that was not pruned."""

    def served(self, entry_id: str) -> bytes | None:
        """Return the served list that an entry commits to; None if it has none."""

    def salted_served(self, entry_id: str) -> bytes | None:
        """Return the salt and the served list behind it, joined: what an entry's commitment is the SHA-256 of."""

    def private(self, entry_id: str) -> Sequence[StoredPrivate]:
        """Return what the entry commits to, sealed, as far as it was not erased."""
