"""Kept decisions as rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from sqlalchemy import Connection, bindparam, delete, insert, select

from loglease.model.instant import Instant
from loglease.store.schema import decisions

_INSERT: Final = insert(decisions)
_SINCE: Final = (
    select(decisions.c.position, decisions.c.document)
    .where(decisions.c.at >= bindparam("start"), decisions.c.position > bindparam("after"))
    .order_by(decisions.c.position)
    .limit(bindparam("most"))
)
_FORGET: Final = delete(decisions).where(decisions.c.at < bindparam("before"))


class SqlDecisions:
    """`Decisions` on one connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def insert(self, at: Instant, document: str) -> None:
        """Keep a decision, as JSON."""
        self._connection.execute(_INSERT, {"at": at, "document": document})

    def since(self, at: Instant, *, after: int, limit: int) -> Sequence[tuple[int, str]]:
        """Return positions and documents of decisions from an instant on, behind a position, oldest first."""
        found = self._connection.execute(_SINCE, {"start": at, "after": after, "most": limit})
        return [(row.position, row.document) for row in found]

    def delete_before(self, at: Instant) -> int:
        """Forget decisions that were made before an instant; return how many."""
        return self._connection.execute(_FORGET, {"before": at}).rowcount
