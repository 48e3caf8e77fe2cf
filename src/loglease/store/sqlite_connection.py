"""One SQLite connection that is opened when needed, run one transaction at a time, and replaced when it breaks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import quote

from sqlalchemy import Connection, Engine, create_engine, exc
from sqlalchemy.pool import NullPool

from loglease.store.durability import end_process
from loglease.store.interface import StoreUnavailable
from loglease.store.rosters import Rosters
from loglease.store.sqlite_library import Mode, SqliteLibrary
from loglease.store.transaction import SqlTransaction

Result = TypeVar("Result")

_BUSY_MS: Final = 2_000
_FAULTS: Final = ("IntegrityError", "ProgrammingError", "InterfaceError", "DataError", "NotSupportedError")
"""Errors that say something of our statements, not of the database's health; the names are the DB-API's."""
_SECURE: Final = "PRAGMA secure_delete = ON"
"""What is deleted is overwritten with zeros, not only marked as free."""
_CHECKPOINT: Final = "PRAGMA wal_autocheckpoint = 4000"
"""Pages, hence 16 MB, after which the write-ahead log goes into the file: pages that busy sessions share are written to
it once in that time, and the two flushes that this takes come a quarter as often as by default."""
_FLUSH_FAILED: Final = (1034, 1290)
"""SQLITE_IOERR_FSYNC and SQLITE_IOERR_DIR_FSYNC."""
_COMMON: Final = ("PRAGMA foreign_keys = ON", "PRAGMA trusted_schema = OFF", f"PRAGMA busy_timeout = {_BUSY_MS}")


class SqliteConnection:
    """A connection and its repositories, used by one thread at a time.

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
        self._path = path
        self._failed = failed
        self._rosters = rosters
        self._begin = "BEGIN IMMEDIATE" if writes else "BEGIN"
        self._failures: tuple[type[Exception], ...] = (exc.DBAPIError, library.module.Error)
        self._faults: tuple[type[Exception], ...] = tuple(
            getattr(module, name) for module in (exc, library.module) for name in _FAULTS
        )
        self._engine = _engine(path, library, writes=writes)
        self._open: tuple[Connection, SqlTransaction] | None = None

    def run(self, body: Callable[[Connection, SqlTransaction], Result]) -> Result:
        """Run `body` in one transaction and commit.

        Raises:
            StoreUnavailable: the database failed; nothing of it holds.
        """
        with self.translated():
            connection, transaction = self._opened()
            try:
                with connection.begin():
                    connection.exec_driver_sql(self._begin)
                    return body(connection, transaction)
            except BaseException:
                self._close_if_broken(connection)
                raise

    def outside(self, body: Callable[[Any], Result]) -> Result:
        """Run `body` with the driver's own connection and no transaction open.

        Raises:
            StoreUnavailable: the database failed.
        """
        with self.translated():
            connection, _ = self._opened()
            return body(connection.connection.dbapi_connection)

    @contextmanager
    def translated(self) -> Iterator[None]:
        """Turn failures of the database into `StoreUnavailable`; what only a fault of ours can cause stays."""
        try:
            yield
        except Exception as error:
            failure = self.failure_of(error)
            if failure is None:
                raise
            raise failure from error

    def failure_of(self, error: BaseException) -> StoreUnavailable | None:
        """Return a failure of the database as what callers know; None for everything else."""
        if isinstance(error, self._faults) or not isinstance(error, self._failures):
            return None
        if _flush_failed(error):
            end_process(str(self._path), error)
        self._failed(_name_of(error))
        return StoreUnavailable(
            f"The database failed: {getattr(error, 'orig', None) or error}.",
            next_step="Look at its disk: free space, permissions, errors. A running server goes on by itself.",
        )

    def close(self) -> None:
        """Close it; the next `run` opens it again."""
        if self._open is not None:
            connection, self._open = self._open[0], None
            connection.close()

    def _opened(self) -> tuple[Connection, SqlTransaction]:
        if self._open is None:
            connection = self._engine.connect()
            self._open = connection, SqlTransaction(connection, self._rosters)
        return self._open

    def _close_if_broken(self, connection: Connection) -> None:
        """Keep a connection only if it is certain that its transaction is over."""
        driver: Any = None if connection.invalidated else connection.connection.dbapi_connection
        if driver is None or driver.in_transaction:
            self.close()


def _name_of(error: BaseException) -> str:
    """Return what SQLite calls a failure. Its texts may quote what a statement was about; its names do not."""
    origin = getattr(error, "orig", error)
    return getattr(origin, "sqlite_errorname", None) or type(origin).__name__


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
