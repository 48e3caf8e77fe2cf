"""Who uses a PostgreSQL database: any number of servers together, or one command that has it for itself.

A lock of one connection says so: servers share it, a command takes it alone. It is given up when the process dies, and
taken again when the connection was lost. A command leaves a mark, by which a server that was away meanwhile sees that
what it knows is of another time; and it ends what connections such a server still has to write on.
"""

from __future__ import annotations

import time
from typing import Any, Final

from loglease.store.errors import StoreInUse
from loglease.store.interface import StoreUnavailable
from loglease.store.postgres_connection import WRITER

MARK: Final = "server_claim"
"""Name of the stored value that says which command had the database for itself last."""

_KEY: Final = "hashtext('loglease'), hashtext('server')"
_SHARE: Final = f"SELECT pg_try_advisory_lock_shared({_KEY})"
_TAKE: Final = f"SELECT pg_try_advisory_lock({_KEY})"
_HELD: Final = """
FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 2 AND granted
  AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND classid::bigint = hashtext('loglease')::bigint & 4294967295
  AND objid::bigint = hashtext('server')::bigint & 4294967295
"""
_HOLDERS: Final = f"SELECT pid {_HELD}"
_END_HOLDERS: Final = f"SELECT pg_terminate_backend(pid) {_HELD}"
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
    """One process's claim on a database. Its methods take the driver's connection, outside of a transaction.

    Args:
        alone: whether nobody else may use the database meanwhile.
    """

    def __init__(self, *, alone: bool) -> None:
        self._alone = alone
        self._settled = False
        self._mark: str | None = None

    def take(self, driver: Any) -> None:
        """Take the lock on a connection that was just opened; it is held as long as that is open.

        Raises:
            StoreInUse: others use the database, or a command has had it for itself since this process claimed it.
            StoreUnavailable: an earlier connection of this process has not ended yet.
        """
        if not _taken(driver, _TAKE if self._alone else _SHARE):
            if self._settled and self._alone:
                self.check(driver)
                driver.execute(_END_HOLDERS)
                raise StoreUnavailable("An earlier connection to the database has not ended yet.")
            raise StoreInUse(
                "A LogLease server uses this database." if self._alone else "A command has this database for itself.",
                next_step="Stop all of them first." if self._alone else "Start again when it has ended.",
            )
        self.check(driver)

    def check(self, driver: Any) -> None:
        """Refuse to go on if a command has had the database for itself since this process claimed it.

        Raises:
            StoreInUse: one has.
        """
        if self._settled and driver.execute(_FIND, (MARK,)).fetchone() != self._found():
            raise StoreInUse(
                "A command has had this database for itself meanwhile.",
                next_step="Restart this server, which serves nothing more.",
            )

    def settle(self, driver: Any) -> None:
        """Remember whose the database is from now on, and say so if it is for one; `take` comes before."""
        if self._alone:
            (self._mark,) = driver.execute(_MARK, (MARK,)).fetchone()
        else:
            found = driver.execute(_FIND, (MARK,)).fetchone()
            self._mark = None if found is None else found[0]
        self._settled = True

    def _found(self) -> tuple[str] | None:
        return None if self._mark is None else (self._mark,)

    def end_others(self, driver: Any) -> None:
        """End what a server that lost its claim may still write on; nothing where servers share the database.

        Raises:
            StoreInUse: it does not end.
        """
        if self._alone and not all(ended for (ended,) in driver.execute(_OTHERS, (WRITER,)).fetchall()):
            raise StoreInUse(
                "A connection of a LogLease server to this database does not end.",
                next_step="Look at pg_stat_activity in PostgreSQL, then try again.",
            )


def has_others(driver: Any) -> bool:
    """Say whether more than one process has a claim on the database at this moment."""
    return len(driver.execute(_HOLDERS).fetchall()) > 1


def _taken(driver: Any, statement: str) -> bool:
    """Take the lock; what a process that has just ended held is given up a moment after it."""
    for wait_s in (*_PATIENCE_S, None):
        if driver.execute(statement).fetchone()[0]:
            return True
        if wait_s is not None:
            time.sleep(wait_s)
    return False
