"""One transaction of the writer on PostgreSQL, which holds the lock on the head of the log, and its savepoints."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from psycopg.pq import TransactionStatus
from sqlalchemy import Connection

from loglease.model.clock import Clock
from loglease.model.instant import Instant
from loglease.store.entries import EntryLike
from loglease.store.entries_interface import StoredHead
from loglease.store.group import SqlGroup
from loglease.store.interface import StoreUnavailable
from loglease.store.postgres_connection import PostgresConnection, driver_of
from loglease.store.postgres_feed import CHANNEL
from loglease.store.statements import cursor_of
from loglease.store.transaction import SqlTransaction

TIME: Final = "(extract(epoch FROM clock_timestamp()) * 1000000)::bigint"
_LOCK_HEAD: Final = f"""
WITH head AS MATERIALIZED (SELECT next, last_at, epoch, min_index FROM seq_head FOR UPDATE)
SELECT next, last_at, epoch, min_index, {TIME} FROM head
"""  # noqa: S608 - a constant
"""The clock is read once the lock is there."""
_NOTIFY: Final = "SELECT pg_notify(%s, %s)"
_MINE: Final = "SELECT pg_current_xact_id()::text::bigint"
_STATUS: Final = "SELECT pg_xact_status(%s::text::xid8)"


@dataclass(slots=True)
class Wakes:
    """Of which entries other processes are told at once, and how they know those of this process."""

    own: str
    types: frozenset[str] = frozenset()


class LateSavepoint:
    """One savepoint after the other, each set with the first statement that may change something, and not before.

    A work that changes nothing needs none; where one is needed, the one before is released in the same exchange.
    """

    def __init__(self, writer: PostgresConnection, driver: Any) -> None:
        self._writer = writer
        self._driver = driver
        self._set = "SAVEPOINT attempt"
        self._is_needed = False

    def __enter__(self) -> None:
        self._is_needed = False
        self._driver.before_change = self._need

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self._driver.before_change = None
        if error is None:
            return
        failure = self._writer.failure_of(error)
        if failure is not None:
            raise failure from error
        with self._writer.translated():
            if self._is_needed:
                self._driver.execute("ROLLBACK TO SAVEPOINT attempt")
            elif self._driver.info.transaction_status != TransactionStatus.INTRANS:
                raise StoreUnavailable("A statement failed, so the transaction is lost.") from error

    def _need(self) -> None:
        self._driver.before_change = None
        self._driver.execute(self._set)
        self._set = "RELEASE SAVEPOINT attempt; SAVEPOINT attempt"
        self._is_needed = True


class PostgresGroup(SqlGroup):
    """One transaction of the writer, which holds the lock on the head of the log."""

    def __init__(
        self,
        writer: PostgresConnection,
        connection: Connection,
        transaction: SqlTransaction,
        clock: Clock,
        told: Callable[..., None],
        reached: Callable[[int], None],
        wakes: Wakes,
    ) -> None:
        self._cursor = cursor_of(connection)
        self._driver = driver_of(connection)
        asked_ns = clock.boot_ns()
        following, last_at, epoch, min_index, now_us = self._cursor.execute(_LOCK_HEAD).fetchone()
        reached(following)
        told(now_us, asked_ns=asked_ns)
        head = StoredHead(next=following, last_at=Instant(last_at), epoch=epoch, min_index=min_index)
        self._clock = clock
        self._wakes = wakes
        super().__init__(writer, connection, transaction, head, LateSavepoint(writer, self._driver))

    def append(self, rows: Sequence[EntryLike], *, last_at: Instant) -> None:
        """Insert entries and advance the head, without waiting for the answer to each statement."""
        with self._writer.translated(), self._driver.pipeline():
            super().append(rows, last_at=last_at)
            if any(row.draft.type in self._wakes.types for row in rows):
                self._driver.execute(_NOTIFY, (CHANNEL, self._wakes.own))

    def now(self) -> Instant:
        """Return the database's time, as far as it does not step."""
        return self._clock.now()

    def mark(self) -> int | None:
        """Return the number that PostgreSQL gave this transaction."""
        self._cursor.execute(_MINE)
        return int(self._cursor.fetchone()[0])

    def left(self, mark: int) -> bool:
        """Say whether the transaction of a number was committed; whoever asks holds its lock, so it is over."""
        self._cursor.execute(_STATUS, (mark,))
        return bool(self._cursor.fetchone()[0] == "committed")
