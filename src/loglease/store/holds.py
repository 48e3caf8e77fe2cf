"""Locks and suspensions as rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Connection, RowMapping, and_, bindparam, delete, exists, insert, or_, select, update

from loglease.model.hold import Lock, LockKind, LockOn, SuspendCause, Suspension
from loglease.model.ids import GrantId, LockId, PrincipalId
from loglease.model.instant import Instant
from loglease.store.interface import LostRace
from loglease.store.schema import locks, suspensions
from loglease.store.statements import rows_of

_LOCK: Final = select(locks)
_FIND_LOCK: Final = _LOCK.where(locks.c.id == bindparam("key"))
IS_IN_FORCE: Final = and_(
    locks.c.lifted_at.is_(None), or_(locks.c.until_at.is_(None), locks.c.until_at > bindparam("now"))
)
"""That a lock holds something at an instant."""
_IN_FORCE: Final = _LOCK.where(IS_IN_FORCE).order_by(locks.c.id)
_IN_FORCE_ON: Final = _IN_FORCE.where(locks.c.kind == bindparam("kind"), locks.c.name == bindparam("name"))
_LIFT: Final = (
    update(locks)
    .where(locks.c.id == bindparam("key"))
    .values(lifted_at=bindparam("lifted_at"), lifted_by=bindparam("lifted_by"))
)
_SUSPENSION: Final = select(suspensions).order_by(suspensions.c.grant_id, suspensions.c.cause)
_SUSPENSION_OF: Final = _SUSPENSION.where(suspensions.c.grant_id == bindparam("key"))
_THIS: Final = (suspensions.c.grant_id == bindparam("key"), suspensions.c.cause == bindparam("why"))
_SUSPENDED: Final = select(exists().where(*_THIS))
_RESUME: Final = delete(suspensions).where(*_THIS)
_INSERT_LOCK: Final = insert(locks)
_INSERT_SUSPENSION: Final = insert(suspensions)


class SqlHolds:
    """`Holds` on one connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def insert_lock(self, lock: Lock) -> None:
        """Store a lock."""
        row = {
            "id": lock.id,
            "kind": lock.on.kind,
            "name": lock.on.name,
            "reason": lock.reason,
            "added_by": lock.added_by,
            "added_at": lock.added_at,
            "until_at": lock.until,
            "lifted_at": lock.lifted_at,
            "lifted_by": lock.lifted_by,
        }
        self._connection.execute(_INSERT_LOCK, row)

    def update_lock(self, lock: Lock) -> None:
        """Store that a lock was lifted.

        Raises:
            LostRace: there is no such lock.
        """
        row = {"key": lock.id, "lifted_at": lock.lifted_at, "lifted_by": lock.lifted_by}
        if self._connection.execute(_LIFT, row).rowcount != 1:
            raise LostRace(f"{lock.id} was never added.")

    def find_lock(self, lock_id: LockId) -> Lock | None:
        """Return a lock, lifted or not."""
        row = self._connection.execute(_FIND_LOCK, {"key": lock_id}).mappings().one_or_none()
        return None if row is None else _lock(row)

    def locks(self, *, now: Instant, on: LockOn | None = None) -> Sequence[Lock]:
        """Return the locks in force, of one thing or of all, oldest first."""
        if on is None:
            rows = rows_of(self._connection, _IN_FORCE, {"now": now})
        else:
            rows = rows_of(self._connection, _IN_FORCE_ON, {"now": now, "kind": on.kind, "name": on.name})
        return [_lock(row) for row in rows]

    def insert_suspension(self, suspension: Suspension) -> None:
        """Store a suspension; the same cause twice is the first one."""
        key = {"key": suspension.grant, "why": suspension.cause}
        if self._connection.execute(_SUSPENDED, key).scalar_one():
            return
        row = {
            "grant_id": suspension.grant,
            "cause": suspension.cause,
            "reason": suspension.reason,
            "since_at": suspension.since,
            "by": suspension.by,
        }
        self._connection.execute(_INSERT_SUSPENSION, row)

    def delete_suspension(self, suspension: Suspension) -> None:
        """Lift one cause."""
        self._connection.execute(_RESUME, {"key": suspension.grant, "why": suspension.cause})

    def suspensions(self, grant_id: GrantId | None = None) -> Sequence[Suspension]:
        """Return the suspensions in force, of one grant or of all."""
        if grant_id is None:
            rows = rows_of(self._connection, _SUSPENSION, {})
        else:
            rows = rows_of(self._connection, _SUSPENSION_OF, {"key": grant_id})
        return [_suspension(**row) for row in rows]


def _suspension(*, grant_id: GrantId, cause: str, reason: str, since_at: Instant, by: PrincipalId | None) -> Suspension:
    return Suspension(grant=grant_id, cause=SuspendCause(cause), reason=reason, since=since_at, by=by)


def _lock(row: Mapping[str, Any] | RowMapping) -> Lock:
    columns = dict(row)
    on = LockOn(LockKind(columns.pop("kind")), columns.pop("name"))
    return Lock(on=on, until=columns.pop("until_at"), **columns)
