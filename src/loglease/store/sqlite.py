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
from loglease.model.replica import Run
from loglease.store import lockfile
from loglease.store.durability import flush
from loglease.store.erasures import WIPE_DUE, WIPED_AT_ONCE
from loglease.store.errors import StoreDamaged
from loglease.store.group import Attempt, SqlGroup
from loglease.store.interface import HIGH_WATER, StoreUnavailable
from loglease.store.migration import migrate
from loglease.store.readers import READERS, URGENT_READERS, Readers, on
from loglease.store.sql_store import SqlStore, renew
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


class SqliteStore(SqlStore):
    """`Store` and the log's `Rows` on one SQLite file, which one server has for itself. Made by `open_store`."""

    _writer: SqliteConnection

    def __init__(self, path: Path, *, clock: Clock, library: SqliteLibrary, lock: lockfile.LockFile) -> None:
        super().__init__(clock)
        self.path = path
        self.library = library
        self._lock = lock
        self._writer = SqliteConnection(path, library, self.rosters, writes=True, failed=self._failed)
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

    async def touch(self, run: Run | None) -> Instant:
        """Write and commit the high-water mark of time, and that a run lives; return the time when it began.

        Raises:
            ReplicaGone: the run counts as running no more.
            StoreUnavailable: it did not become durable.
        """

        def body(_: Connection, transaction: SqlTransaction) -> Instant:
            now = self._clock.now()
            mark = int(transaction.values.find(HIGH_WATER) or 0)
            transaction.values.put(HIGH_WATER, str(max(now, mark)))
            renew(transaction, run, now)
            return now

        return await on(self._writer_thread, lambda: self._writer.run(body))

    def _group(self, connection: Connection, transaction: SqlTransaction) -> SqliteGroup:
        return SqliteGroup(self._writer, connection, transaction, self._clock)

    async def copy(self, path: Path) -> None:
        """Write a whole copy of the database where there is no file, durably.

        Raises:
            StoreUnavailable: it cannot be written.
        """
        await on(self._writer_thread, lambda: self._writer.outside(lambda driver: _copied(driver, path)))

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

    def _wipe(self, *, only_small: bool) -> bool:
        small = not only_small or self.path.stat().st_size <= WIPED_AT_ONCE
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
            self._wipe(only_small=False)


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
