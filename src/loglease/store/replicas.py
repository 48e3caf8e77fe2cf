"""The server processes that use the database, as rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from sqlalchemy import Connection, Row, bindparam, delete, insert, select, update

from loglease.model.instant import Instant
from loglease.model.replica import Replica, ReplicaState, Run
from loglease.store.columns import written_out
from loglease.store.schema import replicas

_RUNNING: Final = replicas.c.state == written_out(ReplicaState.RUNNING)
_SELECT: Final = select(replicas)
_FIND: Final = _SELECT.where(replicas.c.name == bindparam("key"))
_ALL_RUNNING: Final = _SELECT.where(_RUNNING).order_by(replicas.c.name)
_INSERT: Final = insert(replicas)
_UPDATE: Final = update(replicas).where(replicas.c.name == bindparam("key"))
_RENEW: Final = (
    update(replicas)
    .where(replicas.c.name == bindparam("key"), replicas.c.run == bindparam("number"), _RUNNING)
    .values(seen_at=bindparam("now"))
)


class SqlReplicas:
    """`Replicas` on one connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def find(self, name: str) -> Replica | None:
        """Return a replica; None for one that never started."""
        row = self._connection.execute(_FIND, {"key": name}).one_or_none()
        return None if row is None else _replica(row)

    def put(self, replica: Replica) -> None:
        """Store a replica in place of what is known of it."""
        values = {
            "run": replica.run.number,
            "state": replica.state,
            "started_at": replica.started_at,
            "seen_at": replica.seen_at,
        }
        if not self._connection.execute(_UPDATE.values(values), {"key": replica.run.replica}).rowcount:
            self._connection.execute(_INSERT, {"name": replica.run.replica, **values})

    def renew(self, run: Run, now: Instant) -> bool:
        """Note that a run lives; False if it counts as running no more, or another run of its replica has begun."""
        return self._connection.execute(_RENEW, {"key": run.replica, "number": run.number, "now": now}).rowcount == 1

    def forget(self) -> None:
        """Forget all: in the next generation of the log no server ran before."""
        self._connection.execute(delete(replicas))

    def running(self) -> Sequence[Replica]:
        """Return all that count as running, by name."""
        return [_replica(row) for row in self._connection.execute(_ALL_RUNNING)]


def _replica(row: Row[tuple[object, ...]]) -> Replica:
    return Replica(
        run=Run(row.name, row.run),
        state=ReplicaState(row.state),
        started_at=Instant(row.started_at),
        seen_at=Instant(row.seen_at),
    )
