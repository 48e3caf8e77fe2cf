"""Looks at grants whose policies want something to stay true, as rows by when they are due."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from sqlalchemy import Connection, RowMapping, bindparam, delete, insert, select, update

from loglease.model.ids import GrantId
from loglease.model.instant import Instant
from loglease.store.keeps_interface import NextLook
from loglease.store.schema import keeps

_SELECT: Final = select(keeps.c.grant_id.label("grant"), keeps.c.due_at, keeps.c.good)
_INSERT: Final = insert(keeps)
_FIND: Final = _SELECT.where(keeps.c.grant_id == bindparam("key"))
_DUE: Final = (
    _SELECT.where(keeps.c.due_at <= bindparam("now"))
    .order_by(keeps.c.due_at, keeps.c.grant_id)
    .limit(bindparam("most"))
)
_UPDATE: Final = (
    update(keeps)
    .where(keeps.c.grant_id == bindparam("key"))
    .values({name: bindparam(name) for name in ("due_at", "good")})
)
_END: Final = delete(keeps).where(keeps.c.grant_id == bindparam("key"))


class SqlKeeps:
    """`Keeps` on one connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def begin(self, grant_id: GrantId, due_at: Instant) -> None:
        """Have a grant looked at then, or earlier where that was so before."""
        known = self.find(grant_id)
        if known is None:
            self._connection.execute(_INSERT, {"grant_id": grant_id, "due_at": due_at, "good": "[]"})
        elif due_at < known.due_at:
            self.update(NextLook(grant=grant_id, due_at=due_at, good=known.good))

    def find(self, grant_id: GrantId) -> NextLook | None:
        """Return when a grant is looked at next, or None."""
        row = self._connection.execute(_FIND, {"key": grant_id}).mappings().one_or_none()
        return None if row is None else _look(row)

    def due(self, now: Instant, limit: int) -> Sequence[NextLook]:
        """Return the looks whose time has come, earliest first."""
        return [_look(row) for row in self._connection.execute(_DUE, {"now": now, "most": limit}).mappings()]

    def update(self, look: NextLook) -> None:
        """Store when a grant is looked at next, and what is known of it."""
        self._connection.execute(_UPDATE, {"key": look.grant, "due_at": look.due_at, "good": look.good})

    def end(self, grant_id: GrantId) -> None:
        """Look at a grant no more."""
        self._connection.execute(_END, {"key": grant_id})


def _look(row: RowMapping) -> NextLook:
    return NextLook(**row)
