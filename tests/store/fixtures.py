"""A store on a fresh directory, and a way to change it without the audit log."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from tests.fakes.clock import FakeClock
from tests.fakes.database import put_new_database

from loglease.store.interface import Transaction
from loglease.store.sqlite import SqliteStore, open_store

Result = TypeVar("Result")


def opened(directory: Path, clock: FakeClock | None = None) -> SqliteStore:
    path = directory / "data" / "loglease.db"
    put_new_database(path)
    return open_store(path, clock=clock or FakeClock())


async def change(store: SqliteStore, work: Callable[[Transaction], Result]) -> Result:
    return await store.group(lambda group: work(group.transaction))


def raw(store: SqliteStore, *statements: str) -> None:
    """Run SQL the way a foreign hand would: with a connection of its own."""
    connection = store.library.module.connect(store.path, isolation_level=None, timeout=5)
    try:
        for statement in statements:
            connection.execute(statement).fetchall()
    finally:
        connection.close()
