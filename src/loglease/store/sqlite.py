"""The embedded database: one writer connection on a thread of its own, readers that cannot write beside it.

All changes go through the writer, so a transaction that has begun has no rival. A commit is durable when it returns
(WAL, `synchronous=FULL`). Errors of the database leave here as `StoreUnavailable`; the next call tries again.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Final, TypeVar, cast

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from loglease.model.clock import Clock
from loglease.model.instant import Instant
from loglease.store import entries, generations, lockfile
from loglease.store.durability import flush
from loglease.store.entries_interface import StoredHead
from loglease.store.erasures import WIPE_DUE
from loglease.store.errors import StoreDamaged
from loglease.store.interface import StoreUnavailable, Transaction
from loglease.store.migration import migrate
from loglease.store.rosters import Rosters
from loglease.store.sqlite_connection import SqliteConnection
from loglease.store.sqlite_library import Mode, SqliteLibrary, running_library
from loglease.store.statements import cursor_of
from loglease.store.subject_keys_interface import SubjectKeys
from loglease.store.transaction import SqlTransaction

Result = TypeVar("Result")

READERS: Final = 4
URGENT_READERS: Final = 2
WIPED_AT_ONCE: Final = 128 << 20
"""Bytes of a database that is rewritten while it serves: about a second."""
HIGH_WATER: Final = "high_water"
"""The named value that holds the latest time the database has seen, in microseconds."""

_MARK: Final = "commit_mark"
"""The named value that tells apart transactions which wrote something and recorded nothing."""
_RESTORE: Final = "Restore the newest backup of the data directory, then start again."


class _Attempt:
    """One savepoint after the other; entered once for each work, hence as short as it can be."""

    def __init__(self, writer: SqliteConnection, cursor: Any) -> None:
        self._writer = writer
        self._execute = cursor.execute

    def __enter__(self) -> None:
        self._translated("SAVEPOINT attempt")

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is None:
            self._translated("RELEASE attempt")
            return
        self._translated("ROLLBACK TO attempt")
        self._translated("RELEASE attempt")
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


class SqliteGroup:
    """One transaction of the writer. Used from the writer's thread only."""

    def __init__(
        self, writer: SqliteConnection, connection: Connection, transaction: SqlTransaction, clock: Clock
    ) -> None:
        self._writer = writer
        self._connection = connection
        self._transaction = transaction
        self._clock = clock
        self._head = transaction.entries.head()
        self._attempt = _Attempt(writer, cursor_of(connection))
        self._driver = cast("Any", connection.connection.dbapi_connection)
        self._written = self._driver.total_changes

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

    def now(self) -> Instant:
        """Return the process's time: on SQLite there is no other."""
        return self._clock.now()

    def attempt(self) -> _Attempt:
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

    def mark(self) -> int | None:
        """Leave a mark that no other transaction leaves in place of the last, if anything was written; return it."""
        if self._driver.total_changes == self._written:
            return None
        mark = (self.marked() or 0) + 1
        self._transaction.values.put(_MARK, str(mark))
        return mark

    def marked(self) -> int | None:
        """Return the mark that was left last; None if there is none."""
        mark = self._transaction.values.find(_MARK)
        return None if mark is None else int(mark)


class _Readers:
    """Connections that cannot write, each used by one thread at a time."""

    def __init__(self, threads: ThreadPoolExecutor, connections: Sequence[SqliteConnection]) -> None:
        self.threads = threads
        self._free: SimpleQueue[SqliteConnection] = SimpleQueue()
        for connection in connections:
            self._free.put(connection)

    def run(self, query: Callable[[Transaction], Result]) -> Result:
        """Run a query in a thread of ours."""
        reader = self._free.get()
        try:
            return reader.run(lambda _, transaction: query(transaction))
        finally:
            self._free.put(reader)

    def close(self) -> None:
        """Finish what is running, then close the connections."""
        self.threads.shutdown()
        while not self._free.empty():
            self._free.get().close()


class SqliteStore:
    """`Store` and the log's `Rows` on one SQLite file. Made by `open_store`.

    Attributes:
        rosters: who is on call, for the snapshots of the directory; nobody until somebody says so.
    """

    def __init__(self, path: Path, *, clock: Clock, library: SqliteLibrary, lock: lockfile.LockFile) -> None:
        self.path = path
        self.library = library
        self._clock = clock
        self._lock = lock
        self.rosters = Rosters()
        self._listeners: list[Callable[[str], None]] = []
        self._writer = SqliteConnection(path, library, self.rosters, writes=True, failed=self._failed)
        self._writer_thread = ThreadPoolExecutor(1, thread_name_prefix="store-writer")
        if library.mode is Mode.WAL:
            self._readers, self._urgent_readers = (
                _Readers(
                    ThreadPoolExecutor(count, thread_name_prefix=name),
                    [
                        SqliteConnection(path, library, self.rosters, writes=False, failed=self._failed)
                        for _ in range(count)
                    ],
                )
                for count, name in ((READERS, "store-reader"), (URGENT_READERS, "store-urgent"))
            )
        else:
            self._readers = self._urgent_readers = _Readers(self._writer_thread, [self._writer])

    def on_failure(self, listener: Callable[[str], None]) -> None:
        """Call `listener` with SQLite's name of each failure, on whatever thread it happens."""
        self._listeners.append(listener)

    def _failed(self, name: str) -> None:
        for listener in self._listeners:
            listener(name)

    async def read(self, query: Callable[[Transaction], Result], *, urgent: bool = False) -> Result:
        """Run a query on a connection that cannot write, and return what it returns.

        Args:
            urgent: a short one that may not wait behind long ones: who calls, what was revoked.

        Raises:
            StoreUnavailable: the database cannot be read.
        """
        readers = self._urgent_readers if urgent else self._readers
        return await self._on(readers.threads, lambda: readers.run(query))

    async def touch(self) -> Instant:
        """Write and commit the high-water mark of time; return the time when it began.

        Raises:
            StoreUnavailable: it did not become durable.
        """
        return await self._on(self._writer_thread, lambda: self._writer.run(self._touch))

    async def group(self, body: Callable[[SqliteGroup], Result]) -> Result:
        """Run `body` in one transaction of the one writer, and commit.

        Raises:
            StoreUnavailable: the transaction did not become durable, unless it was the commit that failed: then its
                answer may be what was lost.
        """

        def change(connection: Connection, transaction: SqlTransaction) -> Result:
            return body(SqliteGroup(self._writer, connection, transaction, self._clock))

        return await self._on(self._writer_thread, lambda: self._writer.run(change))

    async def wipe(self) -> bool:
        """Rewrite the file so that nothing of what was erased is left in it; False leaves that to the next start.

        While the file is rewritten nothing is recorded, so a large one is not: streams would end.

        Raises:
            StoreUnavailable: the database failed; the next start does it.
        """
        return await self._on(self._writer_thread, lambda: self._wipe(at_most=WIPED_AT_ONCE))

    async def copy(self, path: Path) -> None:
        """Write a whole copy of the database where there is no file, durably.

        Raises:
            StoreUnavailable: it cannot be written.
        """
        await self._on(self._writer_thread, lambda: self._writer.outside(lambda driver: _copied(driver, path)))

    async def begin_generation(self, change: Callable[[Transaction], None], *, epoch: int) -> None:
        """Take the audit log out of the database, for its next generation, and write `change` in the same transaction.

        Raises:
            StoreUnavailable: it did not become durable; the log is as it was.
        """

        def work(connection: Connection, transaction: SqlTransaction) -> None:
            generations.begin(connection, epoch=epoch)
            change(transaction)

        await self._on(self._writer_thread, lambda: self._writer.run(work))

    def close(self) -> None:
        """Finish what is running, close all connections and give the lock file up. Closing twice is harmless."""
        self._readers.close()
        self._urgent_readers.close()
        self._writer_thread.shutdown()
        self._writer.close()
        self._lock.release()

    async def _on(self, threads: ThreadPoolExecutor, step: Callable[[], Result]) -> Result:
        try:
            running = asyncio.get_running_loop().run_in_executor(threads, step)
        except RuntimeError as error:  # the executor's answer after its shutdown
            raise StoreUnavailable("The database is closed.") from error
        return await running

    def _touch(self, _: Connection, transaction: SqlTransaction) -> Instant:
        now = self._clock.now()
        mark = int(transaction.values.find(HIGH_WATER) or 0)
        transaction.values.put(HIGH_WATER, str(max(now, mark)))
        return now

    def _wipe(self, *, at_most: int | None) -> bool:
        small = at_most is None or self.path.stat().st_size <= at_most
        done = self._writer.outside(_rewritten if small else _checkpointed)
        if small and done:
            self._writer.run(lambda _, transaction: transaction.values.delete(WIPE_DUE))
        return small and done

    def prepare(self) -> None:
        """Check the file and bring its schema up to date. Called once, before anything else.

        Raises:
            StoreDamaged: it is no database, or a broken one.
            StoreTooNew: a newer version wrote it.
        """
        try:
            self._writer.run(lambda connection, _: _check(connection, self.path))
        except StoreUnavailable as error:
            if isinstance(error.__cause__, DBAPIError) and "not a database" in str(error.__cause__):
                raise StoreDamaged(f"{self.path} is not a database.", next_step=_RESTORE) from error
            raise
        self._writer.run(lambda connection, _: migrate(connection))
        if self._writer.run(lambda _, transaction: transaction.values.find(WIPE_DUE)) is not None:
            self._wipe(at_most=None)


def open_store(path: Path, *, clock: Clock) -> SqliteStore:
    """Open the database at `path`, or make one: directory 0700, files 0600, one process at a time.

    Blocks: the whole file is checked and migrations run.

    Raises:
        StoreInUse: another process has it open; the error says which.
        StorePlaceRefused: its directory is open to others, or on a network file system.
        StoreDamaged: it is no database, or a broken one.
        StoreTooNew: a newer version wrote it.
        StoreUnavailable: it cannot be opened.
    """
    try:
        lockfile.private_directory(path.parent)
        lock = lockfile.lock(path.with_name(f"{path.name}.lock"))
    except OSError as error:
        raise StoreUnavailable(
            f"{path.parent} cannot be used: {error.strerror}.", next_step="Check its owner and permissions."
        ) from error
    store = None
    try:
        # Before any connection: closing a descriptor of the file later would drop SQLite's own locks on it.
        os.close(lockfile.private_file(path))
        store = SqliteStore(path, clock=clock, library=running_library(), lock=lock)
        store.prepare()
    except BaseException:
        if store is None:
            lock.release()
        else:
            store.close()
        raise
    return store


def _rewritten(driver: Any) -> bool:
    """Write the whole file anew: pages that were split may hold copies of rows that were deleted later."""
    driver.execute("VACUUM").fetchall()
    return _checkpointed(driver)


def _checkpointed(driver: Any) -> bool:
    """Take everything out of the write-ahead log and cut it off; False if somebody still reads from it."""
    busy, _, _ = driver.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    return not busy


def _copied(driver: Any, path: Path) -> None:
    driver.execute("VACUUM INTO ?", (str(path),)).fetchall()
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        flush(descriptor, str(path))
    finally:
        os.close(descriptor)


def _check(connection: Connection, path: Path) -> None:
    found = connection.exec_driver_sql("PRAGMA quick_check(3)").scalars().all()
    if list(found) != ["ok"]:
        raise StoreDamaged(f"{path} is damaged: {'; '.join(map(str, found))}.", next_step=_RESTORE)
