"""The embedded database: one writer connection on a thread of its own, readers that cannot write beside it.

All changes go through the writer, so a transaction that has begun has no rival. A commit is durable when it returns
(WAL, `synchronous=FULL`). Errors of the database leave here as `StoreUnavailable`; the next call tries again.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final, TypeVar, cast

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from loglease.model.clock import Clock
from loglease.model.instant import Instant
from loglease.store import generations, lockfile
from loglease.store.durability import flush
from loglease.store.erasures import WIPE_DUE, WIPED_AT_ONCE
from loglease.store.errors import StoreDamaged
from loglease.store.group import Attempt, SqlGroup
from loglease.store.interface import HIGH_WATER, StoreUnavailable, Transaction
from loglease.store.migration import migrate
from loglease.store.readers import READERS, URGENT_READERS, Readers, on
from loglease.store.rosters import Rosters
from loglease.store.sqlite_connection import SqliteConnection
from loglease.store.sqlite_library import Mode, SqliteLibrary, running_library
from loglease.store.statements import cursor_of
from loglease.store.transaction import SqlTransaction

Result = TypeVar("Result")

_MARK: Final = "commit_mark"
"""The named value that tells apart transactions which wrote something and recorded nothing."""
_RESTORE: Final = "Restore the newest backup of the data directory, then start again."


class SqliteGroup(SqlGroup):
    """One transaction of the writer."""

    def __init__(
        self, writer: SqliteConnection, connection: Connection, transaction: SqlTransaction, clock: Clock
    ) -> None:
        attempt = Attempt(writer, cursor_of(connection))
        super().__init__(writer, connection, transaction, transaction.entries.head(), attempt)
        self._clock = clock
        self._driver = cast("Any", connection.connection.dbapi_connection)
        self._written = self._driver.total_changes

    def now(self) -> Instant:
        """Return the process's time: on SQLite there is no other."""
        return self._clock.now()

    def mark(self) -> int | None:
        """Leave a mark that no other transaction leaves in place of the last, if anything was written; return it."""
        if self._driver.total_changes == self._written:
            return None
        mark = self._marked() + 1
        self._transaction.values.put(_MARK, str(mark))
        return mark

    def left(self, mark: int) -> bool:
        """Say whether a mark is the one that was left last."""
        return self._marked() == mark

    def _marked(self) -> int:
        return int(self._transaction.values.find(_MARK) or 0)


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
                Readers(
                    ThreadPoolExecutor(count, thread_name_prefix=name),
                    [
                        SqliteConnection(path, library, self.rosters, writes=False, failed=self._failed)
                        for _ in range(count)
                    ],
                )
                for count, name in ((READERS, "store-reader"), (URGENT_READERS, "store-urgent"))
            )
        else:
            self._readers = self._urgent_readers = Readers(self._writer_thread, [self._writer])

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
        return await on(readers.threads, lambda: readers.run(query))

    async def touch(self) -> Instant:
        """Write and commit the high-water mark of time; return the time when it began.

        Raises:
            StoreUnavailable: it did not become durable.
        """
        return await on(self._writer_thread, lambda: self._writer.run(self._touch))

    async def group(self, body: Callable[[SqliteGroup], Result]) -> Result:
        """Run `body` in one transaction of the one writer, and commit.

        Raises:
            StoreUnavailable: the transaction did not become durable, unless it was the commit that failed: then its
                answer may be what was lost.
        """

        def change(connection: Connection, transaction: SqlTransaction) -> Result:
            return body(SqliteGroup(self._writer, connection, transaction, self._clock))

        return await on(self._writer_thread, lambda: self._writer.run(change))

    async def wipe(self) -> bool:
        """Rewrite the file so that nothing of what was erased is left in it; False leaves that to the next start.

        While the file is rewritten nothing is recorded, so a large one is not: streams would end.

        Raises:
            StoreUnavailable: the database failed; the next start does it.
        """
        return await on(self._writer_thread, lambda: self._wipe(at_most=WIPED_AT_ONCE))

    async def copy(self, path: Path) -> None:
        """Write a whole copy of the database where there is no file, durably.

        Raises:
            StoreUnavailable: it cannot be written.
        """
        await on(self._writer_thread, lambda: self._writer.outside(lambda driver: _copied(driver, path)))

    async def begin_generation(self, change: Callable[[Transaction], None], *, epoch: int) -> None:
        """Take the audit log out of the database, for its next generation, and write `change` in the same transaction.

        Raises:
            StoreUnavailable: it did not become durable; the log is as it was.
        """

        def work(connection: Connection, transaction: SqlTransaction) -> None:
            generations.begin(connection, epoch=epoch)
            change(transaction)

        await on(self._writer_thread, lambda: self._writer.run(work))

    def look(self, body: Callable[[Connection], Result]) -> Result:
        """Run `body` in one transaction of the writer, so that nothing changes meanwhile.

        Blocks. For commands that have the database for themselves.

        Raises:
            StoreUnavailable: the database failed.
        """
        return self._writer.run(lambda connection, _: body(connection))

    def abandon(self) -> None:
        """Leave everything as it is: what is in flight on a file ends by itself, and nothing could end it sooner."""

    def close(self) -> None:
        """Finish what is running, close all connections and give the lock file up. Closing twice is harmless."""
        self._readers.close()
        self._urgent_readers.close()
        self._writer_thread.shutdown()
        self._writer.close()
        self._lock.release()

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
