"""One connection that is opened when needed, runs one transaction at a time, and is replaced when it breaks.

What differs between databases is how a transaction begins, when it is certain that one is over, and which errors say
that the database failed.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any, Final, TypeVar

from sqlalchemy import Connection, Engine, exc

from loglease.store.interface import StoreUnavailable
from loglease.store.rosters import Rosters
from loglease.store.transaction import SqlTransaction

Result = TypeVar("Result")

_FAULTS: Final = ("IntegrityError", "ProgrammingError", "InterfaceError", "DataError", "NotSupportedError")
"""Errors that say something of our statements, not of the database's health; the names are the DB-API's."""


class StoreConnection(ABC):
    """A connection and its repositories, used by one thread at a time.

    Args:
        driver: the module of the DB-API; its errors and those of SQLAlchemy are told apart by their names.
        begin: the statement that begins a transaction.
        failed: called, on whatever thread it happens, with the database's name of each failure.
    """

    def __init__(
        self,
        engine: Engine,
        rosters: Rosters,
        *,
        driver: ModuleType,
        begin: str,
        failed: Callable[[str], None] = lambda _: None,
        faults: tuple[str, ...] = _FAULTS,
    ) -> None:
        self._engine = engine
        self._rosters = rosters
        self._begin = begin
        self._failed = failed
        self._failures: tuple[type[Exception], ...] = (exc.DBAPIError, driver.Error)
        self._faults: tuple[type[Exception], ...] = tuple(
            getattr(module, name) for module in (exc, driver) for name in faults
        )
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
        self._failed(self._name_of(error))
        return self._told(error)

    def close(self) -> None:
        """Close it; the next `run` opens it again."""
        if self._open is not None:
            connection, self._open = self._open[0], None
            connection.close()

    @abstractmethod
    def _is_over(self, driver: Any) -> bool:
        """Say whether it is certain that no transaction is open on the driver's connection."""

    @abstractmethod
    def _name_of(self, error: BaseException) -> str:
        """Return what the database calls a failure. Its texts may quote what a statement was about; names do not."""

    @abstractmethod
    def _told(self, error: BaseException) -> StoreUnavailable:
        """Return what operators are told of a failure."""

    def _opened(self) -> tuple[Connection, SqlTransaction]:
        if self._open is None:
            connection = self._engine.connect()
            self._open = connection, SqlTransaction(connection, self._rosters)
        return self._open

    def _close_if_broken(self, connection: Connection) -> None:
        """Keep a connection only if it is certain that its transaction is over."""
        driver: Any = None if connection.invalidated else connection.connection.dbapi_connection
        if driver is None or not self._is_over(driver):
            self.close()
