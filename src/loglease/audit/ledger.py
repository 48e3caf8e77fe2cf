"""The database as the publishing side of the log needs it: rows exactly as they are stored, and signed heads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

from loglease.audit.interface import EntryRow, Head
from loglease.model.instant import Instant

Result = TypeVar("Result")

StoredRow = tuple[int, str, bytes, bytes]
"""Index, id, bytes and leaf of an entry. What a foreign hand put there may be of another type."""


class SignedRow(Protocol):
    """A head of the log that was signed, as it is stored."""

    @property
    def size(self) -> int:
        """How many entries it covers."""

    @property
    def prev_size(self) -> int | None:
        """Size of the head that was signed before it; None for the empty log."""

    @property
    def root(self) -> bytes:
        """The Merkle root."""

    @property
    def note(self) -> bytes:
        """The signed note."""


class LedgerEntries(Protocol):
    """The entries, for reading."""

    def stored(self, first: int, limit: int) -> Sequence[StoredRow]:
        """Return entries from an index on, in order."""

    def head(self) -> Head:
        """Return the end of the log."""


class LedgerCheckpoints(Protocol):
    """The signed heads."""

    def last(self) -> SignedRow | None:
        """Return the newest one; None before the first."""

    def since(self, size: int, *, limit: int = 1_000) -> Sequence[SignedRow]:
        """Return those from a size on, in order."""

    def insert(self, *, size: int, prev_size: int | None, root: bytes, note: bytes) -> bool:
        """Store the successor of the one of `prev_size`; False if that is not the newest any more."""


class LedgerTx(Protocol):
    """One transaction."""

    @property
    def entries(self) -> LedgerEntries:
        """The entries."""

    @property
    def checkpoints(self) -> LedgerCheckpoints:
        """The signed heads."""


class LedgerGroup(Protocol):
    """One writing transaction, which holds the lock of the log's head."""

    @property
    def transaction(self) -> LedgerTx:
        """The repositories, inside this transaction."""

    def append(self, rows: Sequence[EntryRow], *, last_at: Instant) -> None:
        """Insert entries and advance the head."""


class Ledger(Protocol):
    """The database."""

    async def read(self, query: Callable[[LedgerTx], Result]) -> Result:
        """Run a query that cannot write.

        Raises:
            StoreUnavailable: the database cannot be read.
        """

    async def group(self, body: Callable[[LedgerGroup], Result]) -> Result:
        """Run `body` in one transaction, and commit.

        Raises:
            StoreUnavailable: it did not become durable.
        """
