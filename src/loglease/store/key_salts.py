"""Salts that grants share, as rows."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection, bindparam, delete, insert, select

from loglease.store.schema import key_salts

_FIND: Final = select(key_salts.c.salt).where(
    key_salts.c.name == bindparam("key"), key_salts.c.day == bindparam("on_day")
)
_INSERT: Final = insert(key_salts)
_FORGET: Final = delete(key_salts).where(key_salts.c.day != "", key_salts.c.day < bindparam("before"))


class SqlKeySalts:
    """`KeySalts` on one connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def find(self, name: str, day: str) -> bytes | None:
        """Return the salt of a scope on a day, or None."""
        return self._connection.execute(_FIND, {"key": name, "on_day": day}).scalar_one_or_none()

    def insert(self, name: str, day: str, salt: bytes) -> None:
        """Store a salt."""
        self._connection.execute(_INSERT, {"name": name, "day": day, "salt": salt})

    def delete_before(self, day: str) -> int:
        """Remove the salts of earlier days; return how many."""
        return self._connection.execute(_FORGET, {"before": day}).rowcount
