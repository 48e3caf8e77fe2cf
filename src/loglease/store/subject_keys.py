"""Keys of private texts, wrapped, as rows."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection, bindparam, insert, select

from loglease.store.audit_schema import subject_keys

_FIND: Final = select(subject_keys.c.wrapped_key).where(subject_keys.c.subject == bindparam("key"))
_ANY: Final = select(subject_keys.c.subject, subject_keys.c.wrapped_key).limit(1)
_INSERT: Final = insert(subject_keys)


class SqlSubjectKeys:
    """`SubjectKeys` on one connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def find(self, subject: str) -> bytes | None:
        """Return a subject's wrapped key; None before the first text, and once it was erased."""
        return self._connection.execute(_FIND, {"key": subject}).scalar_one_or_none()

    def insert(self, subject: str, wrapped: bytes) -> None:
        """Store the wrapped key of a subject who has none."""
        self._connection.execute(_INSERT, {"subject": subject, "wrapped_key": wrapped})

    def any(self) -> tuple[str, bytes] | None:
        """Return some subject with their wrapped key; None while there is none."""
        row = self._connection.execute(_ANY).one_or_none()
        return None if row is None else (row.subject, row.wrapped_key)
