"""One connection to a PostgreSQL primary.

Address, user and password are those of libpq: a URL, its environment variables, a password file. What decides, counts
or records goes to a primary alone, so a standby is refused.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final

import psycopg
from psycopg.pq import TransactionStatus
from sqlalchemy import Connection, Engine, create_engine
from sqlalchemy.pool import NullPool

from loglease.store.connection import StoreConnection
from loglease.store.errors import StoreInUse
from loglease.store.interface import StoreUnavailable
from loglease.store.rosters import Rosters
from loglease.store.transaction import SqlTransaction

WRITE: Final = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE"
"""Rows that were locked are read as they are then: the lock on the log's head comes first in each transaction."""
READ: Final = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
"""One snapshot for all that a query reads."""

_FAULTS: Final = ("IntegrityError", "ProgrammingError", "DataError", "NotSupportedError")
"""An `InterfaceError` is a connection that is gone."""
_CLAIM: Final = "SELECT pg_try_advisory_lock(hashtext('loglease'), hashtext('server'))"
"""Held by the connection, so it is given up when the process dies."""
_PATIENCE_S: Final = (0.05, 0.1, 0.2, 0.4, 0.8, 0.0)
_CONNECT_S: Final = 2
_ALIVE: Final[dict[str, Any]] = {
    # A peer that is gone without a word is noticed in about as long as a gateway's lease lasts.
    "keepalives": 1,
    "keepalives_idle": 1,
    "keepalives_interval": 1,
    "keepalives_count": 2,
    "tcp_user_timeout": 2_000,
}


class PostgresConnection(StoreConnection):
    """A connection to one database.

    Args:
        url: as libpq takes it.
        begin: `WRITE` or `READ`.
        claims: whether it holds the database for this process as long as it is open.
        failed: called, on whatever thread it happens, with PostgreSQL's code of each failure.
    """

    def __init__(
        self,
        url: str,
        rosters: Rosters,
        *,
        begin: str,
        claims: bool = False,
        failed: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._claims = claims
        super().__init__(_engine(url), rosters, driver=psycopg, begin=begin, failed=failed, faults=_FAULTS)

    def _opened(self) -> tuple[Connection, SqlTransaction]:
        is_new = self._open is None
        found = super()._opened()
        if is_new and self._claims:
            driver: Any = found[0].connection.dbapi_connection
            if not _claimed(driver):
                self.close()
                raise StoreInUse(
                    "Another LogLease server uses this database.",
                    next_step="Stop it, or give each server a database of its own.",
                )
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


def _claimed(driver: Any) -> bool:
    """Try to hold the database; what a process that has just ended held is given up a moment after it."""
    for wait_s in _PATIENCE_S:
        if driver.execute(_CLAIM).fetchone()[0]:
            return True
        time.sleep(wait_s)
    return False


@lru_cache(maxsize=8)
def _engine(url: str) -> Engine:
    """Return what compiles statements, each once for all connections, and keeps no connection."""

    def connect() -> Any:
        return psycopg.connect(
            url,
            autocommit=True,
            connect_timeout=_CONNECT_S,
            application_name="loglease",
            target_session_attrs="read-write",
            client_encoding="utf-8",
            **_ALIVE,
        )

    # Parameters by position: the hottest statements go to the driver as they are.
    return create_engine(
        "postgresql+psycopg://", creator=connect, poolclass=NullPool, paramstyle="format", hide_parameters=True
    )
