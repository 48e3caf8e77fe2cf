"""One connection to an SQLite file."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from sqlalchemy import Engine, create_engine
from sqlalchemy.pool import NullPool

from loglease.store.connection import StoreConnection
from loglease.store.durability import end_process
from loglease.store.interface import StoreUnavailable
from loglease.store.rosters import Rosters
from loglease.store.sqlite_library import Mode, SqliteLibrary

_BUSY_MS: Final = 2_000
_SECURE: Final = "PRAGMA secure_delete = ON"
"""What is deleted is overwritten with zeros, not only marked as free."""
_CHECKPOINT: Final = "PRAGMA wal_autocheckpoint = 4000"
"""Pages, hence 16 MB, after which the write-ahead log goes into the file: pages that busy sessions share are written to
it once in that time, and the two flushes that this takes come a quarter as often as by default."""
_FLUSH_FAILED: Final = (1034, 1290)
"""SQLITE_IOERR_FSYNC and SQLITE_IOERR_DIR_FSYNC."""
_COMMON: Final = ("PRAGMA foreign_keys = ON", "PRAGMA trusted_schema = OFF", f"PRAGMA busy_timeout = {_BUSY_MS}")


class SqliteConnection(StoreConnection):
    """A connection to one file.

    Args:
        writes: whether it may write; the others are opened by SQLite itself as read-only.
        failed: called, on whatever thread it happens, with SQLite's name of each failure.
    """

    def __init__(
        self,
        path: Path,
        library: SqliteLibrary,
        rosters: Rosters,
        *,
        writes: bool,
        failed: Callable[[str], None] = lambda _: None,
    ) -> None:
        super().__init__(
            _engine(path, library, writes=writes),
            rosters,
            driver=library.module,
            begin="BEGIN IMMEDIATE" if writes else "BEGIN",
            failed=failed,
        )
        self._path = path

    def failure_of(self, error: BaseException) -> StoreUnavailable | None:
        """Return a failure of the database as what callers know; None for everything else."""
        if _flush_failed(error):
            end_process(str(self._path), error)
        return super().failure_of(error)

    def _is_over(self, driver: Any) -> bool:
        return not driver.in_transaction

    def _name_of(self, error: BaseException) -> str:
        origin = getattr(error, "orig", error)
        return getattr(origin, "sqlite_errorname", None) or type(origin).__name__

    def _told(self, error: BaseException) -> StoreUnavailable:
        return StoreUnavailable(
            f"The database failed: {getattr(error, 'orig', None) or error}.",
            next_step="Look at its disk: free space, permissions, errors. A running server goes on by itself.",
        )


def _flush_failed(error: BaseException) -> bool:
    return getattr(getattr(error, "orig", error), "sqlite_errorcode", None) in _FLUSH_FAILED


@lru_cache(maxsize=2)
def _engine(path: Path, library: SqliteLibrary, *, writes: bool) -> Engine:
    """Return the engine of one kind of connection. It keeps none, only statements: each is compiled once for all."""
    settings = settings_of(library.mode, writes=writes)

    def connect() -> Any:
        address = f"file:{quote(str(path.absolute()))}?mode={'rw' if writes else 'ro'}"
        driver = library.module.connect(address, uri=True, isolation_level=None, check_same_thread=False)
        try:
            for setting in settings:
                driver.execute(setting).fetchall()
        except BaseException:
            driver.close()
            raise
        return driver

    return create_engine("sqlite+pysqlite://", module=library.module, creator=connect, poolclass=NullPool)


def settings_of(mode: Mode, *, writes: bool) -> tuple[str, ...]:
    """Return the statements that every connection begins with."""
    if not writes:
        return _COMMON
    exclusive = ("PRAGMA locking_mode = EXCLUSIVE",) if mode is Mode.SINGLE_CONNECTION else ()
    # FULL: with NORMAL a power loss may take commits back that were acknowledged. fullfsync is for macOS.
    durable = ("PRAGMA journal_mode = WAL", "PRAGMA synchronous = FULL", "PRAGMA fullfsync = ON")
    return (*_COMMON, *exclusive, *durable, _SECURE, _CHECKPOINT)
