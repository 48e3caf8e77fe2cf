"""Which process a PostgreSQL database belongs to: one at a time, known by a mark that it left there at its start.

A lock of one connection says that a process lives: it is given up when the process dies, and taken again when the
connection was lost. The mark says whether somebody else was there meanwhile. Whoever takes the database over ends the
connections that still write for the process before, so of two processes that both believe to have it one cannot write.
"""

from __future__ import annotations

import time
from typing import Any, Final

from loglease.store.errors import StoreInUse
from loglease.store.interface import StoreUnavailable
from loglease.store.postgres_connection import WRITER

MARK: Final = "server_claim"
"""Name of the stored value that says which process claimed the database last."""

_CLAIM: Final = "SELECT pg_try_advisory_lock(hashtext('loglease'), hashtext('server'))"
_HOLDERS: Final = """
SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 2 AND granted
  AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND classid::bigint = hashtext('loglease')::bigint & 4294967295
  AND objid::bigint = hashtext('server')::bigint & 4294967295
"""
_MARK: Final = """
INSERT INTO named_values (name, value) VALUES (%s, gen_random_uuid()::text)
ON CONFLICT (name) DO UPDATE SET value = excluded.value RETURNING value
"""
_FIND: Final = "SELECT value FROM named_values WHERE name = %s"
_OTHERS: Final = """
SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
WHERE datname = current_database() AND application_name = %s AND pid <> pg_backend_pid()
"""


_PATIENCE_S: Final = (0.05, 0.1, 0.2, 0.4, 0.8)


class Claim:
    """One process's claim on a database. Its methods take the driver's connection, outside of a transaction."""

    def __init__(self) -> None:
        self._mark: str | None = None

    def take(self, driver: Any) -> None:
        """Take the lock on a connection that was just opened; it is held as long as that is open.

        Raises:
            StoreInUse: another process has the database, or has had it since this one claimed it.
            StoreUnavailable: an earlier connection of this process has not ended yet.
        """
        if driver.execute(_CLAIM).fetchone()[0]:
            self.check(driver)
        elif self._mark is None:
            if _given_up(driver):
                return
            raise StoreInUse(
                "Another LogLease server uses this database.",
                next_step="Stop it, or give each server a database of its own.",
            )
        else:
            self.check(driver)
            driver.execute(_HOLDERS)
            raise StoreUnavailable("An earlier connection to the database has not ended yet.")

    def check(self, driver: Any) -> None:
        """Refuse to go on if another process has claimed the database since this one did.

        Raises:
            StoreInUse: one has.
        """
        if self._mark is not None and driver.execute(_FIND, (MARK,)).fetchone() != (self._mark,):
            raise StoreInUse(
                "Another LogLease server has taken this database over.",
                next_step="This one serves nothing more. Stop one of the two, and restart the other.",
            )

    def leave_mark(self, driver: Any) -> None:
        """Say that the database is this process's from now on; `take` comes before."""
        (self._mark,) = driver.execute(_MARK, (MARK,)).fetchone()

    def end_others(self, driver: Any) -> None:
        """End what still writes for the process before, on a connection that writes for this one.

        Raises:
            StoreInUse: it does not end.
        """
        if not all(ended for (ended,) in driver.execute(_OTHERS, (WRITER,)).fetchall()):
            raise StoreInUse(
                "A connection of another LogLease server to this database does not end.",
                next_step="Look at pg_stat_activity in PostgreSQL, then start again.",
            )


def _given_up(driver: Any) -> bool:
    """Try again to hold the database: what a process that has just ended held is given up a moment after it."""
    for wait_s in _PATIENCE_S:
        time.sleep(wait_s)
        if driver.execute(_CLAIM).fetchone()[0]:
            return True
    return False
