"""Which database a server has: a file in its data directory, or one of PostgreSQL."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

from loglease.model.clock import Clock
from loglease.server.settings import Settings, SettingsInvalid
from loglease.store import lockfile
from loglease.store.database_clock import DatabaseClock
from loglease.store.interface import StoreUnavailable
from loglease.store.sqlite import SqliteStore, open_store

if TYPE_CHECKING:
    from loglease.store.postgres import PostgresStore

FILE: Final = "loglease.db"
"""The file in the data directory that is the database where no other is configured."""

LOCK: Final = "loglease.lock"
"""The file that is locked while a process uses a data directory whose database is elsewhere."""

Database: TypeAlias = "SqliteStore | PostgresStore"


def open_database(
    settings: Settings, clock: Clock, told: DatabaseClock | None = None, *, alone: bool = False
) -> Database:
    """Open the configured database, or make it.

    Blocks: it is checked, and migrations run.

    Args:
        told: the part of `clock` that hears of the time of a database that has one.
        alone: whether no server may use it meanwhile; a file is never shared.

    Raises:
        StoreInUse: another server uses it.
        StorePlaceRefused: what it is on cannot keep it safe.
        StoreDamaged: it is no database, or a broken one.
        StoreTooNew: a newer version wrote it.
        StoreUnavailable: it cannot be opened.
        SettingsInvalid: a file is there that was not moved to the PostgreSQL that is configured.
    """
    if settings.database.url is None:
        return open_store(settings.data_dir / FILE, clock=clock)
    if (settings.data_dir / FILE).exists():
        raise SettingsInvalid(
            f"{settings.data_dir / FILE} is there, and database.url names another database.",
            next_step="Move what is in it: loglease migrate-store. Or put the file elsewhere.",
        )
    # Its driver takes a tenth of a second to import, and most of those who try LogLease have no use for it.
    from loglease.store.postgres import open_postgres  # noqa: PLC0415

    url = settings.database.url.get_secret_value()
    try:
        lockfile.private_directory(settings.data_dir)
        lock = lockfile.lock(settings.data_dir / LOCK)
    except OSError as error:
        raise StoreUnavailable(
            f"{settings.data_dir} cannot be used: {error.strerror}.", next_step="Check its owner and permissions."
        ) from error
    try:
        store = open_postgres(url, clock=clock, database_clock=told, alone=alone)
    except BaseException:
        lock.release()
        raise
    store.on_closed(lock.release)
    return store


def database_version(settings: Settings) -> str | None:
    """Return the version of the configured PostgreSQL; None where the database is a file.

    Raises:
        StorePlaceRefused: it is not fit for what is promised on it.
        StoreUnavailable: it cannot be reached.
    """
    if settings.database.url is None:
        return None
    from loglease.store.postgres import version_at  # noqa: PLC0415 - as above

    return version_at(settings.database.url.get_secret_value())
