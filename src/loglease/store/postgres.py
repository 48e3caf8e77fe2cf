"""PostgreSQL: one writer connection on a thread of its own, one for the lease, and readers that cannot write.

Every change begins with a lock on the row of the log's head, so changes come one after the other whoever makes them,
and nothing that they read changes meanwhile. Readers see one snapshot. Servers share a database; it has the only clock
that counts, and says by itself which of its histories it is.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from secrets import token_hex
from typing import Any, Final, TypeVar

from sqlalchemy import Connection

from loglease.model.clock import Clock
from loglease.model.instant import Instant
from loglease.model.replica import Run
from loglease.store.audit_schema import checkpoints, entries, entry_index, served
from loglease.store.columns import metadata
from loglease.store.database_clock import DatabaseClock
from loglease.store.erasures import WIPE_DUE, WIPED_AT_ONCE
from loglease.store.errors import StoreInUse, StoreMoved, StorePlaceRefused
from loglease.store.guards import put_up
from loglease.store.interface import HIGH_WATER, StoreUnavailable, Transaction
from loglease.store.migration import migrate
from loglease.store.postgres_claim import Claim, has_others
from loglease.store.postgres_connection import READ, WRITE, WRITER, PostgresConnection
from loglease.store.postgres_feed import Feed
from loglease.store.postgres_group import TIME, PostgresGroup, Wakes
from loglease.store.readers import READERS, URGENT_READERS, Readers, on
from loglease.store.rosters import Rosters
from loglease.store.served_schema import TABLES as SERVED
from loglease.store.sql_store import SqlStore, renew
from loglease.store.transaction import SqlTransaction

Result = TypeVar("Result")

OLDEST: Final = 140_000
"""The first version that is supported, as PostgreSQL counts them."""
SHORT_S: Final = 5.0
"""How long PostgreSQL may take to answer a statement of the lease, or of a read that is urgent."""
LONG_S: Final = 30.0
"""How long it may take to answer any other, so that no call hangs for ever where it does nothing at all."""

_LOOK: Final = f"SELECT next, {TIME} FROM seq_head"  # noqa: S608 - a constant
_TERM: Final = """
SELECT system_identifier::text || '/' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8) FROM pg_control_system()
"""
"""Which database this is, and on which line of its history. It fails on a standby."""
TERM: Final = "database_term"
"""Name of the stored value that says in which term the log went on last."""
_BEGINNING: Final = "hashtext('loglease'), hashtext('beginning')"
_BEGIN: Final = f"SELECT pg_try_advisory_lock({_BEGINNING})"
_BEGUN: Final = f"SELECT pg_advisory_unlock({_BEGINNING})"
_BEGIN_AGAIN_S: Final = 0.1
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


class PostgresStore(SqlStore):
    """`Store` and the log's `Rows` on one PostgreSQL database. Made by `open_postgres`.

    Args:
        clock: by which everything in the process goes.
        database_clock: what of it hears of the database's time; None where `clock` is all the time there is.
        alone: whether nobody else may use the database meanwhile.
    """

    _writer: PostgresConnection

    def __init__(
        self, url: str, *, clock: Clock, database_clock: DatabaseClock | None = None, alone: bool = False
    ) -> None:
        super().__init__(clock)
        self.is_shared = not alone
        self._url = url
        self._told = _nobody if database_clock is None else database_clock.told
        self._connections: list[PostgresConnection] = []
        self._claim = Claim(alone=alone)
        self._wakes = Wakes(token_hex(8))
        self._feed: Feed | None = None
        self._term = ""
        self._size = 0
        self._on_closed: Callable[[], None] = lambda: None

        def connection(begin: str, **how: Any) -> PostgresConnection:
            made = PostgresConnection(url, self.rosters, begin=begin, failed=self._failed, **how)
            self._connections.append(made)
            return made

        self._writer = connection(WRITE, name=WRITER, opened=self._may_record)
        # Whether a gateway may go on does not wait behind the works of its own process.
        self._pulse = connection(WRITE, opened=self._may_renew, limit_s=SHORT_S)
        self._pulse_thread = ThreadPoolExecutor(1, thread_name_prefix="store-pulse")
        self._readers, self._urgent_readers = (
            Readers(
                ThreadPoolExecutor(count, thread_name_prefix=name),
                [connection(READ, opened=self._same, limit_s=limit_s) for _ in range(count)],
            )
            for count, name, limit_s in ((READERS, "store-reader", LONG_S), (URGENT_READERS, "store-urgent", SHORT_S))
        )

    def on_foreign(self, types: frozenset[str], wake: Callable[[], None]) -> None:
        """Call `wake` soon after another process has committed an entry of one of these types, as `SqlStore` says."""
        self._wakes.types = types
        if self.is_shared:
            self._feed = Feed(self._url, self._wakes.own, wake)

    async def touch(self, run: Run | None) -> Instant:
        """Write and commit the high-water mark of time, and that a run lives; return the time when it began.

        Raises:
            ReplicaGone: the run counts as running no more.
            StoreMoved: it is not the database that it was, or on another line of its history.
            StoreUnavailable: it did not become durable.
        """

        def body(connection: Connection, transaction: SqlTransaction) -> Instant:
            now = self._seen(connection)
            connection.exec_driver_sql(_RAISE_MARK, (HIGH_WATER, str(now)))
            renew(transaction, run, now)
            return now

        return await on(self._pulse_thread, lambda: self._pulse.run(body))

    def _seen(self, connection: Connection) -> Instant:
        asked_ns = self._clock.boot_ns()
        had = self._size
        following, now_us = connection.exec_driver_sql(_LOOK).one()
        self._reached(following, had)
        self._told(now_us, asked_ns=asked_ns)
        return self._clock.now()

    def _reached(self, size: int, had: int) -> None:
        """Take note of how large the log is, unless it is smaller than before it was asked: then it was put back."""
        if size < had:
            raise StoreMoved(f"The audit log has {size} entries and had {had}: the database was put back.")
        self._size = max(self._size, size)

    def _same(self, driver: Any) -> None:
        """Refuse a new connection to another database than the one that was opened.

        A connection stays in one term: a server that is promoted, or put back, breaks all that it had.
        """
        (term,) = driver.execute(_TERM).fetchone()
        self._term = self._term or term
        if term != self._term:
            raise StoreMoved("PostgreSQL is not the one that it was, or goes on from an earlier moment.")

    def _may_record(self, driver: Any) -> None:
        self._same(driver)
        self._claim.check(driver)

    def _may_renew(self, driver: Any) -> None:
        self._same(driver)
        self._claim.take(driver)

    @asynccontextmanager
    async def beginning(self) -> AsyncIterator[None]:
        """Let one server at a time do what is inside, as `SqlStore` says; the others wait.

        Raises:
            StoreUnavailable: the database cannot be reached.
        """

        async def asked(statement: str) -> bool:
            return await on(
                self._pulse_thread,
                lambda: self._pulse.outside(lambda driver: bool(driver.execute(statement).fetchone()[0])),
            )

        while not await asked(_BEGIN):  # noqa: ASYNC110 - what is waited for is in the database
            await asyncio.sleep(_BEGIN_AGAIN_S)
        try:
            yield
        finally:
            # A connection that was lost has given it up.
            with suppress(StoreUnavailable):
                await asked(_BEGUN)

    async def is_copy(self) -> bool:
        """Say whether it is another database than the one in which the log went on last, such as one put back.

        Raises:
            StoreUnavailable: it cannot be read.
        """
        before = await self.read(lambda transaction: transaction.values.find(TERM))
        return before is not None and before.partition("/")[0] != self._term.partition("/")[0]

    async def keep_term(self) -> None:
        """Store that the log goes on in this database; what follows from its being another one is on the record.

        Raises:
            StoreUnavailable: it did not become durable.
        """

        def body(_: Connection, transaction: SqlTransaction) -> None:
            transaction.values.put(TERM, self._term)

        await on(self._writer_thread, lambda: self._writer.run(body))

    def _group(self, connection: Connection, transaction: SqlTransaction) -> PostgresGroup:
        with self._writer.translated():
            return PostgresGroup(
                self._writer,
                connection,
                transaction,
                self._clock,
                self._told,
                partial(self._reached, had=self._size),
                self._wakes,
            )

    def _wipe(self, *, only_small: bool) -> bool:
        """Rewrite the tables that erasing changes.

        What PostgreSQL keeps elsewhere, in its write-ahead log, archives and standbys, ends with their retention.
        """
        size = self._writer.run(lambda connection, _: connection.exec_driver_sql(_SIZE, (_ERASABLE,)).scalar_one())
        if only_small and size > WIPED_AT_ONCE:
            return False
        self._writer.outside(lambda driver: driver.execute(f"VACUUM (FULL) {', '.join(_ERASABLE)}"))
        self._writer.run(lambda _, transaction: transaction.values.delete(WIPE_DUE))
        return True

    async def begin_generation(self, change: Callable[[Transaction], None], *, epoch: int) -> None:
        """Take the audit log out of the database, as `SqlStore` says."""
        await super().begin_generation(change, epoch=epoch)
        self._size = 0

    async def copy(self, path: Path) -> None:
        """Refuse: copies are the business of PostgreSQL's own tools.

        Raises:
            StorePlaceRefused: always.
        """
        raise StorePlaceRefused(
            f"A copy of a PostgreSQL database is not written to {path}.", next_step=f"pg_dump -Fc -f {path} …"
        )

    def on_closed(self, listener: Callable[[], None]) -> None:
        """Call `listener` at the end of each `close`."""
        self._on_closed = listener

    def close(self) -> None:
        """Finish what is running and close all connections. Closing twice is harmless."""
        if self._feed is not None:
            self._feed.close()
        self._readers.close()
        self._urgent_readers.close()
        for thread, connection in ((self._pulse_thread, self._pulse), (self._writer_thread, self._writer)):
            thread.shutdown()
            connection.close()
        self._on_closed()

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
        self._pulse.outside(self._claim.settle)
        self._writer.outside(self._claim.end_others)
        self._pulse.run(lambda connection, _: self._seen(connection))
        if self._writer.run(lambda _, transaction: transaction.values.find(WIPE_DUE)) is not None:
            self._wipe(only_small=self._pulse.outside(has_others))
        self._writer.limit(LONG_S)


def open_postgres(
    url: str, *, clock: Clock, database_clock: DatabaseClock | None = None, alone: bool = False
) -> PostgresStore:
    """Open a database, and bring its schema up to date.

    Blocks.

    Args:
        url: as libpq takes it, such as ``postgresql://loglease@db.example.com/loglease``.
        clock: by which everything in the process goes.
        database_clock: what of it hears of the database's time; None where `clock` is all the time there is.
        alone: whether nobody else may use the database meanwhile.

    Raises:
        StorePlaceRefused: the server would not keep what it confirms, or sorts texts in its own way.
        StoreTooNew: a newer version wrote it.
        StoreInUse: a command has it for itself, or, for one that wants that, a server uses it.
        StoreUnavailable: it cannot be reached.
    """
    store = PostgresStore(url, clock=clock, database_clock=database_clock, alone=alone)
    try:
        store.prepare()
    except BaseException:
        store.close()
        raise
    return store


def _nobody(_now_us: int, *, asked_ns: int) -> None:
    """Tell nobody of the database's time."""
    del asked_ns


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
