"""A database as its first opening leaves it, without the time that this takes."""

from __future__ import annotations

import sqlite3
import tempfile
from contextlib import closing
from functools import cache
from pathlib import Path

import psycopg
from tests.fakes import postgres
from tests.fakes.clock import FakeClock

from loglease.model.clock import Clock
from loglease.server.databases import FILE, Database
from loglease.server.settings import Settings
from loglease.store.sqlite import SqliteStore, open_store

_ENTRIES = "SELECT idx, bytes FROM entries ORDER BY idx"


def open_database(path: Path, clock: Clock) -> Database:
    """Open the database of a path, a new one at first: SQLite, or PostgreSQL where that is what the run is about."""
    if postgres.WANTED:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        return postgres.clocked(postgres.database_at(path), clock)
    put_new_database(path)
    return open_store(path, clock=clock)


def open_configured(settings: Settings, clock: Clock, told: object = None, *, alone: bool = False) -> Database:
    """Open the database of a server in this process."""
    path = settings.data_dir / FILE
    if postgres.WANTED and alone:
        return postgres.clocked(postgres.database_at(path), clock, alone=True)
    return open_database(path, clock)


def entries_of(store: object) -> list[tuple[int, bytes]]:
    """Return index and bytes of all entries, by a connection of one's own."""
    if isinstance(store, SqliteStore):
        with closing(sqlite3.connect(f"file:{store.path}?mode=ro", uri=True)) as connection:
            return connection.execute(_ENTRIES).fetchall()
    assert isinstance(store, postgres.ClockedStore)
    with psycopg.connect(store.url) as connection:
        return connection.execute(_ENTRIES).fetchall()


def put_new_database(path: Path) -> None:
    """Put a new database where there is none yet."""
    if not path.exists():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.touch(mode=0o600)
        path.write_bytes(_new_database())


@cache
def _new_database() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "data" / "loglease.db"
        open_store(path, clock=FakeClock()).close()
        return path.read_bytes()
