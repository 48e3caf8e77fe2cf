"""One transaction of the one writer: what of it is the same on every database."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any

from sqlalchemy import Connection

from loglease.model.instant import Instant
from loglease.store import entries
from loglease.store.connection import StoreConnection
from loglease.store.entries_interface import StoredHead
from loglease.store.interface import Transaction
from loglease.store.subject_keys_interface import SubjectKeys
from loglease.store.transaction import SqlTransaction


class Attempt:
    """One savepoint after the other; entered once for each work, hence as short as it can be."""

    def __init__(self, writer: StoreConnection, cursor: Any) -> None:
        self._writer = writer
        self._execute = cursor.execute

    def __enter__(self) -> None:
        self._translated("SAVEPOINT attempt")

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is None:
            self._translated("RELEASE SAVEPOINT attempt")
            return
        self._translated("ROLLBACK TO SAVEPOINT attempt")
        self._translated("RELEASE SAVEPOINT attempt")
        failure = self._writer.failure_of(error)
        if failure is not None:
            raise failure from error

    def _translated(self, statement: str) -> None:
        try:
            self._execute(statement)
        except Exception as error:
            failure = self._writer.failure_of(error)
            if failure is None:
                raise
            raise failure from error


class SqlGroup(ABC):
    """`audit.interface.Group`. Used from the writer's thread only."""

    def __init__(
        self,
        writer: StoreConnection,
        connection: Connection,
        transaction: SqlTransaction,
        head: StoredHead,
        attempt: AbstractContextManager[None],
    ) -> None:
        self._writer = writer
        self._connection = connection
        self._transaction = transaction
        self._head = head
        self._attempt = attempt

    @property
    def transaction(self) -> Transaction:
        """The repositories, inside this transaction."""
        return self._transaction

    @property
    def head(self) -> StoredHead:
        """The head as it was when the lock was taken."""
        return self._head

    @property
    def subject_keys(self) -> SubjectKeys:
        """The keys of subjects, inside this transaction."""
        return self._transaction.subject_keys

    def attempt(self) -> AbstractContextManager[None]:
        """Return a block that undoes what is written inside, and nothing else, if it ends with an exception.

        Raises:
            StoreUnavailable: in place of a failure of the database; the whole transaction is lost.
        """
        return self._attempt

    def append(self, rows: Sequence[entries.EntryLike], *, last_at: Instant) -> None:
        """Insert entries and advance the head."""
        with self._writer.translated():
            entries.append(self._connection, rows, last_at=last_at)

    def extent(self) -> tuple[int, int | None, int | None]:
        """Return how many entries are stored, and the first and last index."""
        return self._transaction.entries.extent()

    def newest(self, most: int) -> Sequence[tuple[int, str, bytes, bytes]]:
        """Return index, id, bytes and leaf of the last entries, in order."""
        return self._transaction.entries.stored(max(self._head.min_index, self._head.next - most), most)

    def known(self, ids: Sequence[str]) -> dict[str, bytes]:
        """Return the bytes of those entries that are in the log already, by id."""
        found = ((entry_id, self._transaction.entries.find(entry_id)) for entry_id in ids)
        return {entry_id: entry.content for entry_id, entry in found if entry is not None}

    @abstractmethod
    def now(self) -> Instant:
        """Return the time that entries of this transaction carry at least."""

    @abstractmethod
    def mark(self) -> int | None:
        """Return a mark by which this transaction is found again; None if it wrote nothing."""

    @abstractmethod
    def left(self, mark: int) -> bool:
        """Say whether the transaction that has a mark was the last without entries, and became durable."""
