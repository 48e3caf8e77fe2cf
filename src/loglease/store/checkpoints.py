"""Checkpoints as rows: what was signed of the log, each the one successor of the one before it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import Connection, Row, bindparam, insert, select

from loglease.store.audit_schema import checkpoints
from loglease.store.checkpoints_interface import StoredCheckpoint

_SELECT: Final = select(checkpoints.c.size, checkpoints.c.prev_size, checkpoints.c.root, checkpoints.c.note)
_LAST: Final = _SELECT.order_by(checkpoints.c.size.desc()).limit(1)
_AT: Final = _SELECT.where(checkpoints.c.size == bindparam("at"))
_COVERING: Final = _SELECT.where(checkpoints.c.size > bindparam("index")).order_by(checkpoints.c.size).limit(1)
_SINCE: Final = _SELECT.where(checkpoints.c.size >= bindparam("at")).order_by(checkpoints.c.size)
_INSERT: Final = insert(checkpoints)


class SqlCheckpoints:
    """`Checkpoints` on one connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def last(self) -> StoredCheckpoint | None:
        """Return the newest checkpoint; None before the first."""
        return self._one(self._connection.execute(_LAST).one_or_none())

    def at(self, size: int) -> StoredCheckpoint | None:
        """Return the checkpoint of exactly this size."""
        return self._one(self._connection.execute(_AT, {"at": size}).one_or_none())

    def covering(self, index: int) -> StoredCheckpoint | None:
        """Return the oldest checkpoint that covers the entry of an index."""
        return self._one(self._connection.execute(_COVERING, {"index": index}).one_or_none())

    def since(self, size: int, *, limit: int = 1_000) -> Sequence[StoredCheckpoint]:
        """Return checkpoints from a size on, in order."""
        found = self._connection.execute(_SINCE.limit(limit), {"at": size})
        return [_checkpoint(row) for row in found]

    def insert(self, *, size: int, prev_size: int | None, root: bytes, note: bytes) -> bool:
        """Store the successor of the checkpoint of `prev_size`; False if that is not the newest any more."""
        last = self.last()
        if (None if last is None else last.size) != prev_size:
            return False
        row = {"size": size, "prev_size": prev_size, "root": root, "note": note}
        self._connection.execute(_INSERT, row)
        return True

    def _one(self, row: Row[Any, Any, Any, Any] | None) -> StoredCheckpoint | None:
        return None if row is None else _checkpoint(row)


def _checkpoint(row: Row[Any, Any, Any, Any]) -> StoredCheckpoint:
    return StoredCheckpoint(size=row.size, prev_size=row.prev_size, root=row.root, note=row.note)
