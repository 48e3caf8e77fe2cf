"""States of sinks as rows."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection, bindparam, insert, select, update

from loglease.model.instant import Instant
from loglease.store.audit_schema import sink_state
from loglease.store.sinks_interface import StoredSinkState

_FIND: Final = select(sink_state.c.size, sink_state.c.since_at).where(sink_state.c.sink == bindparam("name"))
_INSERT: Final = insert(sink_state)
_UPDATE: Final = update(sink_state).where(sink_state.c.sink == bindparam("name"))


class SqlSinkStates:
    """`SinkStates` on one connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def find(self, sink: str) -> StoredSinkState | None:
        """Return the state of a sink; None for one that is new."""
        row = self._connection.execute(_FIND, {"name": sink}).one_or_none()
        return (
            None if row is None else StoredSinkState(row.size, None if row.since_at is None else Instant(row.since_at))
        )

    def put(self, sink: str, state: StoredSinkState) -> None:
        """Store the state of a sink in place of the one before."""
        values = {"size": state.size, "since_at": state.since}
        if not self._connection.execute(_UPDATE.values(values), {"name": sink}).rowcount:
            self._connection.execute(_INSERT, {"sink": sink, **values})
