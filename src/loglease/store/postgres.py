"""PostgreSQL: one writer connection on a thread of its own, one for the lease, and readers that cannot write.

Every change begins with a lock on the row of the log's head, so changes come one after the other whoever makes them,
and nothing that they read changes meanwhile. Readers see one snapshot. A server holds its database for itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final, TypeVar

from psycopg.pq import TransactionStatus
from sqlalchemy import Connection

from loglease.model.clock import Clock
from loglease.model.instant import Instant
from loglease.store import generations
from loglease.store.audit_schema import checkpoints, entries, entry_index, served
from loglease.store.columns import metadata
from loglease.store.entries import EntryLike
from loglease.store.entries_interface import StoredHead
from loglease.store.erasures import WIPE_DUE, WIPED_AT_ONCE
from loglease.store.errors import StoreInUse, StorePlaceRefused
from loglease.store.group import SqlGroup
from loglease.store.guards import put_up
from loglease.store.interface import HIGH_WATER, StoreUnavailable, Transaction
from loglease.store.migration import migrate
from loglease.store.postgres_claim import Claim
from loglease.store.postgres_connection import READ, WRITE, WRITER, PostgresConnection, driver_of
from loglease.store.readers import READERS, URGENT_READERS, Readers, on
from loglease.store.rosters import Rosters
from loglease.store.served_schema import TABLES as SERVED
from loglease.store.statements import cursor_of
from loglease.store.transaction import SqlTransaction

Result = TypeVar("Result")

OLDEST: Final = 140_000
"""The first version that is supported, as PostgreSQL counts them."""
SHORT_S: Final = 5.0
"""How long PostgreSQL may take to answer a statement of the lease, or of a read that is urgent."""
LONG_S: Final = 30.0
"""How long it may take to answer any other, so that no call hangs for ever where it does nothing at all."""

_LOCK_HEAD: Final = "SELECT next, last_at, epoch, min_index FROM seq_head FOR UPDATE"
_MINE: Final = "SELECT pg_current_xact_id()::text::bigint"
_STATUS: Final = "SELECT pg_xact_status(%s::text::xid8)"
_ONE_AT_A_TIME: Final = "SELECT pg_advisory_xact_lock(hashtext('loglease migration'))"
_RAISE_MARK: Final = """
INSERT INTO named_values (name, value) VALUES (%s, %s)
ON CONFLICT (name) DO UPDATE SET value = greatest(named_values.value::bigint, excluded.value::bigint)::text
"""
_ABOUT: Final = """
SELECT current_setting('server_version_num')::int AS version, current_setting('server_version') AS said,
  pg_is_in_recovery() AS standby, current_setting('fsync') AS fsync,
  current_setting('synchronous_commit') AS synchronous_commit, current_setting('full_page_writes') AS whole_pages,
  pg_encoding_to_char(encoding) AS encoding, datcollate AS collation
FROM pg_database WHERE datname = current_database()
"""
_SIZE: Final = "SELECT sum(pg_total_relation_size(name::regclass))::bigint FROM unnest(%s::text[]) AS name"
_ERASABLE: Final = sorted(
    {*metadata.tables} - {table.name for table in (entries, entry_index, checkpoints, served, *SERVED)}
)
"""Every table but those of the log itself, which nothing is erased from."""
_TABLES_THERE: Final = "SELECT count(*) FROM pg_tables WHERE schemaname = current_schema()"
_COLLATIONS: Final = frozenset({"C", "POSIX", "C.UTF-8", "C.utf8"})
_MAKE: Final = "createdb --template template0 --encoding UTF8 --locale C.UTF-8 loglease"


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
    ) -> None:
        self._cursor = cursor_of(connection)
        self._driver = driver_of(connection)
        following, last_at, epoch, min_index = self._cursor.execute(_LOCK_HEAD).fetchone()
        head = StoredHead(next=following, last_at=Instant(last_at), epoch=epoch, min_index=min_index)
        self._clock = clock
        super().__init__(writer, connection, transaction, head, LateSavepoint(writer, self._driver))

    def append(self, rows: Sequence[EntryLike], *, last_at: Instant) -> None:
        """Insert entries and advance the head, without waiting for the answer to each statement."""
        with self._writer.translated(), self._driver.pipeline():
            super().append(rows, last_at=last_at)

    def now(self) -> Instant:
        """Return the process's time: it holds the database alone, and its clock does not step."""
        return self._clock.now()

    def mark(self) -> int | None:
        """Return the number that PostgreSQL gave this transaction."""
        self._cursor.execute(_MINE)
        return int(self._cursor.fetchone()[0])

    def left(self, mark: int) -> bool:
        """Say whether the transaction of a number was committed; whoever asks holds its lock, so it is over."""
        self._cursor.execute(_STATUS, (mark,))
        return bool(self._cursor.fetchone()[0] == "committed")


class PostgresStore:
    """`Store` and the log's `Rows` on one PostgreSQL database. Made by `open_postgres`.

    Attributes:
        rosters: who is on call, for the snapshots of the directory; nobody until somebody says so.
    """

    def __init__(self, url: str, *, clock: Clock) -> None:
        self._clock = clock
        self.rosters = Rosters()
        self._listeners: list[Callable[[str], None]] = []
        self._connections: list[PostgresConnection] = []
        self._claim = Claim()

        def connection(begin: str, **how: Any) -> PostgresConnection:
            made = PostgresConnection(url, self.rosters, begin=begin, failed=self._failed, **how)
            self._connections.append(made)
            return made

        self._writer = connection(WRITE, name=WRITER, opened=self._claim.check)
        self._writer_thread = ThreadPoolExecutor(1, thread_name_prefix="store-writer")
        # Whether a gateway may go on does not wait behind the works of its own process.
        self._pulse = connection(WRITE, opened=self._claim.take, limit_s=SHORT_S)
        self._pulse_thread = ThreadPoolExecutor(1, thread_name_prefix="store-pulse")
        self._readers, self._urgent_readers = (
            Readers(
                ThreadPoolExecutor(count, thread_name_prefix=name),
                [connection(READ, limit_s=limit_s) for _ in range(count)],
            )
            for count, name, limit_s in ((READERS, "store-reader", LONG_S), (URGENT_READERS, "store-urgent", SHORT_S))
        )

    def on_failure(self, listener: Callable[[str], None]) -> None:
        """Call `listener` with PostgreSQL's code of each failure, on whatever thread it happens."""
        self._listeners.append(listener)

    def _failed(self, name: str) -> None:
        for listener in self._listeners:
            listener(name)

    async def read(self, query: Callable[[Transaction], Result], *, urgent: bool = False) -> Result:
        """Run a query in a transaction that cannot write, and return what it returns.

        Args:
            urgent: a short one that may not wait behind long ones: who calls, what was revoked.

        Raises:
            StoreUnavailable: the database cannot be read.
        """
        readers = self._urgent_readers if urgent else self._readers
        return await on(readers.threads, lambda: readers.run(query))

    async def touch(self) -> Instant:
        """Write and commit the high-water mark of time; return the time when it began.

        Raises:
            StoreUnavailable: it did not become durable.
        """
        return await on(self._pulse_thread, lambda: self._pulse.run(self._touch))

    async def group(self, body: Callable[[PostgresGroup], Result]) -> Result:
        """Run `body` in one transaction of the one writer, with the head locked first, and commit.

        Raises:
            StoreUnavailable: the transaction did not become durable, unless it was the commit that failed: then its
                answer may be what was lost.
        """

        def change(connection: Connection, transaction: SqlTransaction) -> Result:
            with self._writer.translated():
                group = PostgresGroup(self._writer, connection, transaction, self._clock)
            return body(group)

        return await on(self._writer_thread, lambda: self._writer.run(change))

    async def wipe(self) -> bool:
        """Rewrite the tables that erasing changes, so that nothing of it is left in their files; False leaves that.

        While they are rewritten nothing is recorded, so large ones are left to the next start: streams would end. What
        PostgreSQL keeps elsewhere, in its write-ahead log, archives and standbys, ends with their retention.

        Raises:
            StoreUnavailable: the database failed; the next start does it.
        """
        return await on(self._writer_thread, lambda: self._wipe(at_most=WIPED_AT_ONCE))

    def _wipe(self, *, at_most: int | None) -> bool:
        size = self._writer.run(lambda connection, _: connection.exec_driver_sql(_SIZE, (_ERASABLE,)).scalar_one())
        if at_most is not None and size > at_most:
            return False
        self._writer.outside(lambda driver: driver.execute(f"VACUUM (FULL) {', '.join(_ERASABLE)}"))
        self._writer.run(lambda _, transaction: transaction.values.delete(WIPE_DUE))
        return True

    async def begin_generation(self, change: Callable[[Transaction], None], *, epoch: int) -> None:
        """Take the audit log out of the database, for its next generation, and write `change` in the same transaction.

        Raises:
            StoreUnavailable: it did not become durable; the log is as it was.
        """

        def work(connection: Connection, transaction: SqlTransaction) -> None:
            generations.begin(connection, epoch=epoch)
            change(transaction)

        await on(self._writer_thread, lambda: self._writer.run(work))

    async def copy(self, path: Path) -> None:
        """Refuse: copies are the business of PostgreSQL's own tools.

        Raises:
            StorePlaceRefused: always.
        """
        raise StorePlaceRefused(
            f"A copy of a PostgreSQL database is not written to {path}.", next_step=f"pg_dump -Fc -f {path} …"
        )

    def _touch(self, connection: Connection, _: SqlTransaction) -> Instant:
        now = self._clock.now()
        connection.exec_driver_sql(_RAISE_MARK, (HIGH_WATER, str(now)))
        return now

    def close(self) -> None:
        """Finish what is running and close all connections. Closing twice is harmless."""
        self._readers.close()
        self._urgent_readers.close()
        for thread, connection in ((self._pulse_thread, self._pulse), (self._writer_thread, self._writer)):
            thread.shutdown()
            connection.close()

    def abandon(self) -> None:
        """Break all connections, for an end that does not wait for a PostgreSQL that does nothing; `close` follows.

        What is in flight may hold or not, as after a crash.
        """
        for one in self._connections:
            one.abandon()

    def fill(self, body: Callable[[Connection], Result]) -> Result:
        """Make the schema in an empty database and have `body` fill its tables, in one transaction.

        Blocks. Triggers are put up afterwards: they are about changes, not about rows that are there.

        Raises:
            StorePlaceRefused: the server would not keep what it confirms, or sorts texts in its own way.
            StoreInUse: a server uses it, or there is something in it already.
            StoreUnavailable: it failed; nothing was kept.
        """

        def work(connection: Connection, _: SqlTransaction) -> Result:
            if connection.exec_driver_sql(_TABLES_THERE).scalar_one():
                raise StoreInUse(
                    "There is something in this PostgreSQL database already.",
                    next_step="Name an empty one. If it holds an earlier attempt: dropdb, createdb, then repeat this.",
                )
            migrate(connection, guarded=False)
            found = body(connection)
            put_up(connection)
            return found

        self._pulse.run(lambda connection, _: _require_fit(connection))
        return self._writer.run(work)

    def prepare(self) -> None:
        """Check the server and bring the schema up to date. Called once, before anything else.

        Raises:
            StorePlaceRefused: the server would not keep what it confirms, or sorts texts in its own way.
            StoreTooNew: a newer version wrote it.
            StoreInUse: another server uses it.
            StoreUnavailable: it cannot be reached.
        """
        self._pulse.run(lambda connection, _: _require_fit(connection))
        self._writer.run(lambda connection, _: _migrated(connection))
        self._pulse.outside(self._claim.leave_mark)
        self._writer.outside(self._claim.end_others)
        if self._writer.run(lambda _, transaction: transaction.values.find(WIPE_DUE)) is not None:
            self._wipe(at_most=None)
        self._writer.limit(LONG_S)


def open_postgres(url: str, *, clock: Clock) -> PostgresStore:
    """Open a database, and bring its schema up to date.

    Blocks.

    Args:
        url: as libpq takes it, such as ``postgresql://loglease@db.example.com/loglease``.

    Raises:
        StorePlaceRefused: the server would not keep what it confirms, or sorts texts in its own way.
        StoreTooNew: a newer version wrote it.
        StoreInUse: another server uses it.
        StoreUnavailable: it cannot be reached.
    """
    store = PostgresStore(url, clock=clock)
    try:
        store.prepare()
    except BaseException:
        store.close()
        raise
    return store


def version_at(url: str) -> str:
    """Return the version of the PostgreSQL behind a URL, once it is certain that it is fit; nothing is changed.

    Raises:
        StorePlaceRefused: the server would not keep what it confirms, or sorts texts in its own way.
        StoreUnavailable: it cannot be reached.
    """
    connection = PostgresConnection(url, Rosters(), begin=READ)
    try:
        return connection.run(lambda found, _: _require_fit(found))
    finally:
        connection.close()


def _migrated(connection: Connection) -> None:
    # Several processes may start at once.
    connection.exec_driver_sql(_ONE_AT_A_TIME)
    migrate(connection)


def _require_fit(connection: Connection) -> str:
    """Refuse a server that promises less than is promised on it; return its version."""
    about = connection.exec_driver_sql(_ABOUT).one()
    if about.version < OLDEST:
        raise StorePlaceRefused(f"This is PostgreSQL {about.said}.", next_step="Use 14 or newer.")
    if about.standby:
        raise StorePlaceRefused("This PostgreSQL is a standby.", next_step="Name the primary.")
    for name, value in (("fsync", about.fsync), ("full_page_writes", about.whole_pages)):
        if value != "on":
            raise StorePlaceRefused(
                f"{name} is {value}: a crash would take back what was acknowledged.",
                next_step=f"Set {name} = on in postgresql.conf and restart PostgreSQL.",
            )
    if about.synchronous_commit in ("off", "local"):
        raise StorePlaceRefused(
            f"synchronous_commit is {about.synchronous_commit}: a crash would take back what was acknowledged.",
            next_step="ALTER ROLE … SET synchronous_commit = on",
        )
    if about.encoding != "UTF8" or about.collation not in _COLLATIONS:
        raise StorePlaceRefused(
            f"The database has encoding {about.encoding} and collation {about.collation}; texts are compared by bytes.",
            next_step=f"Make one for LogLease alone: {_MAKE}",
        )
    return str(about.said)
