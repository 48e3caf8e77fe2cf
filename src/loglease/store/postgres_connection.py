"""One connection to a PostgreSQL primary.

Address, user and password are those of libpq: a URL, its environment variables, a password file. What decides, counts
or records goes to a primary alone, so a standby is refused.

No thread waits for ever: a kernel that keeps a connection says nothing of a server behind it that does nothing, and a
socket of this machine has no keepalives. A statement without an answer after `limit_s` is a connection that is gone;
whether its transaction holds is looked up afterwards, as after every lost answer.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from typing import Any, Final, TypeVar

import psycopg
from psycopg.abc import RV, PQGen
from psycopg.pq import TransactionStatus
from sqlalchemy import Connection, Engine, create_engine, exc
from sqlalchemy.pool import NullPool

from loglease.store.connection import StoreConnection
from loglease.store.interface import StoreUnavailable
from loglease.store.rosters import Rosters
from loglease.store.transaction import SqlTransaction

Result = TypeVar("Result")

WRITE: Final = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE"
"""Rows that were locked are read as they are then: the lock on the log's head comes first in each transaction."""
READ: Final = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
"""One snapshot for all that a query reads."""

_FAULTS: Final = ("IntegrityError", "ProgrammingError", "DataError", "NotSupportedError")
"""An `InterfaceError` is a connection that is gone."""
WRITER: Final = "loglease writer"
"""What the connections that record are called in PostgreSQL."""
_NAME: Final = "loglease"
_CONNECT_S: Final = 2
_WAIT_INTERVAL_S: Final = 0.1
_ALIVE: Final[dict[str, Any]] = {
    # A peer that is gone without a word is noticed in about as long as a gateway's lease lasts.
    "keepalives": 1,
    "keepalives_idle": 1,
    "keepalives_interval": 1,
    "keepalives_count": 2,
    "tcp_user_timeout": 2_000,
}
_SETTINGS: Final = """
SELECT set_config(name, value, false) FROM (VALUES ('application_name', %s), ('tcp_keepalives_idle', '5'),
  ('tcp_keepalives_interval', '2'), ('tcp_keepalives_count', '3')) AS wanted (name, value)
"""
"""PostgreSQL, too, notices in seconds that this machine is gone, and gives up what its connections hold."""


class _Cursor(psycopg.Cursor[Any]):
    """A cursor that has a savepoint set before the first statement that may change something."""

    connection: _Driver

    def execute(self, query: Any, *arguments: Any, **options: Any) -> _Cursor:
        if self.connection.before_change is not None and not _only_reads(query):
            self.connection.before_change()
        return super().execute(query, *arguments, **options)

    def executemany(self, query: Any, *arguments: Any, **options: Any) -> None:
        if self.connection.before_change is not None:
            self.connection.before_change()
        super().executemany(query, *arguments, **options)


class _Driver(psycopg.Connection[Any]):
    """The driver's connection, which waits so long for an answer and no longer.

    Attributes:
        before_change: called before each statement that may change something; None if nobody wants to know.
    """

    limit_s: float | None = None
    before_change: Callable[[], None] | None = None

    def wait(self, gen: PQGen[RV], interval: float = _WAIT_INTERVAL_S, timeout: float | None = None) -> RV:
        """Wait for the end of an exchange with the server."""
        return super().wait(gen, interval, self.limit_s if timeout is None else timeout)


class PostgresConnection(StoreConnection):
    """A connection to one database.

    Args:
        url: as libpq takes it.
        begin: `WRITE` or `READ`.
        limit_s: how long the server may take to answer one statement; None for as long as it likes.
        name: what it is called in PostgreSQL.
        opened: called with the driver's connection whenever it was made anew; where that raises, it is closed.
        failed: called, on whatever thread it happens, with PostgreSQL's code of each failure.
    """

    def __init__(
        self,
        url: str,
        rosters: Rosters,
        *,
        begin: str,
        limit_s: float | None = None,
        name: str = _NAME,
        opened: Callable[[Any], None] = lambda _: None,
        failed: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._limit_s = limit_s
        self._name = name
        self._on_opened = opened
        self._abandoned = False
        super().__init__(_engine(url), rosters, driver=psycopg, begin=begin, failed=failed, faults=_FAULTS)

    def limit(self, limit_s: float | None) -> None:
        """Say anew how long the server may take to answer one statement."""
        self._limit_s = limit_s
        if self._open is not None:
            driver_of(self._open[0]).limit_s = limit_s

    def abandon(self) -> None:
        """Break the connection and never make it again; whoever waits for an answer has none. From any thread."""
        self._abandoned = True
        found = self._open
        if found is not None:
            # The thread that uses it may be closing it at this moment.
            with suppress(exc.SQLAlchemyError, psycopg.Error, OSError), _socket_of(found[0]) as ours:
                ours.shutdown(socket.SHUT_RDWR)

    def outside(self, body: Callable[[Any], Result]) -> Result:
        """Run `body` with the driver's own connection and no transaction open; it may take as long as it likes."""

        def unlimited(driver: Any) -> Result:
            driver.limit_s = None
            try:
                return body(driver)
            finally:
                driver.limit_s = self._limit_s

        return super().outside(unlimited)

    def _opened(self) -> tuple[Connection, SqlTransaction]:
        if self._abandoned:
            raise StoreUnavailable("The database is closed.")
        if self._open is not None:
            return self._open
        found = super()._opened()
        try:
            driver = driver_of(found[0])
            driver.limit_s = self._limit_s
            driver.execute(_SETTINGS, (self._name,))
            self._on_opened(driver)
        except BaseException:
            self.close()
            raise
        return found

    def _is_over(self, driver: Any) -> bool:
        return not driver.closed and driver.info.transaction_status == TransactionStatus.IDLE

    def _name_of(self, error: BaseException) -> str:
        origin = getattr(error, "orig", error)
        return getattr(origin, "sqlstate", None) or type(origin).__name__

    def _told(self, error: BaseException) -> StoreUnavailable:
        # Its further lines may quote values of a statement.
        said = str(getattr(error, "orig", None) or error).strip().partition("\n")[0]
        return StoreUnavailable(
            f"PostgreSQL failed: {said}.".replace("..", "."),
            next_step="Look at its log and at the network between. A running server goes on by itself.",
        )


def _only_reads(query: Any) -> bool:
    return isinstance(query, str) and query.lstrip()[:6] == "SELECT"


def driver_of(connection: Connection) -> Any:
    """Return the driver's own connection."""
    return connection.connection.dbapi_connection


def _socket_of(connection: Connection) -> socket.socket:
    """Return a socket of our own for the driver's connection."""
    return socket.socket(fileno=os.dup(driver_of(connection).pgconn.socket))


@lru_cache(maxsize=8)
def _engine(url: str) -> Engine:
    """Return what compiles statements, each once for all connections, and keeps no connection."""
    # Parameters by position: the hottest statements go to the driver as they are.
    return create_engine(
        "postgresql+psycopg://",
        creator=lambda: connected(url),
        poolclass=NullPool,
        paramstyle="format",
        hide_parameters=True,
    )


def connected(url: str) -> Any:
    """Return a connection of the driver to the primary behind a URL, which commits each statement by itself."""
    return _Driver.connect(
        url,
        autocommit=True,
        connect_timeout=_CONNECT_S,
        application_name=_NAME,
        target_session_attrs="read-write",
        client_encoding="utf-8",
        cursor_factory=_Cursor,
        **_ALIVE,
    )
