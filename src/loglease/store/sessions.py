"""Sessions of the gateway as rows."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Connection, RowMapping, bindparam, exists, func, insert, or_, select, true, update

from loglease.model.ids import GrantId, PrincipalId, SessionId
from loglease.model.instant import Instant
from loglease.model.session import Account, CloseWhy, Front, Session, SessionKind, SessionState
from loglease.store.audit_schema import seq_head
from loglease.store.columns import written_out
from loglease.store.grants import COLUMNS, grant_of
from loglease.store.holds import IS_IN_FORCE
from loglease.store.interface import LostRace
from loglease.store.principals import principal_of
from loglease.store.schema import grants, principals, sessions, suspensions
from loglease.store.sessions_interface import InUse
from loglease.store.statements import changed, rows_of, tuples_of

_FIXED: Final = ("id", "principal", "kind", "front", "replica", "opened_at", "epoch")
_MOVING: Final = ("state", "closed_at", "why")
_ACCOUNT: Final = ("ceiling_lines", "ceiling_bytes", "settled_lines", "settled_bytes", "seq")

_COLUMNS: Final = (
    *(sessions.c[name] for name in (*_FIXED, *_MOVING, *_ACCOUNT)),
    sessions.c.grant_id.label("grant"),
)
_NAMES: Final = tuple(column.name for column in _COLUMNS)
_NAMES_OF_GRANT: Final = tuple(column.name for column in COLUMNS)
_SELECT: Final = select(*_COLUMNS)
_INSERT: Final = insert(sessions)
_FIND: Final = _SELECT.where(sessions.c.id == bindparam("key"))
_UPDATE: Final = (
    update(sessions)
    .where(sessions.c.id == bindparam("key"))
    .values({name: bindparam(name) for name in (*_MOVING, *_ACCOUNT)})
)
_UPDATE_ACCOUNT: Final = (
    update(sessions).where(sessions.c.id == bindparam("key")).values({name: bindparam(name) for name in _ACCOUNT})
)
_IN_USE: Final = (
    select(
        *(column.label(f"session_{column.name}") for column in _COLUMNS),
        *(column.label(f"grant_{column.name}") for column in COLUMNS),
        principals.c.document.label("holder"),
        seq_head.c.epoch.label("current"),
        or_(
            exists().where(IS_IN_FORCE), exists().where(suspensions.c.grant_id.in_((grants.c.id, grants.c.extends)))
        ).label("held"),
    )
    .select_from(sessions)
    .join(grants, grants.c.id == sessions.c.grant_id)
    .join(principals, principals.c.id == grants.c.holder, isouter=True)
    .join(seq_head, true())
    .where(sessions.c.id == bindparam("key"))
)
_UNCLOSED: Final = _SELECT.where(sessions.c.state != written_out(SessionState.CLOSED)).order_by(sessions.c.id)
_HAS_UNCLOSED: Final = select(
    exists().where(sessions.c.grant_id == bindparam("key"), sessions.c.state != written_out(SessionState.CLOSED))
)
_OF_GRANT: Final = (
    _SELECT.where(sessions.c.grant_id == bindparam("key"))
    # An id tells when an opening was asked for; they open in the order of the log.
    .order_by(sessions.c.opened_at.desc(), sessions.c.id.desc())
    .limit(bindparam("most"))
)
_COUNT: Final = select(func.count()).select_from(sessions).where(sessions.c.grant_id == bindparam("key"))
_OPENED_AFTER: Final = _COUNT.where(sessions.c.opened_at > bindparam("since"))
_OPEN_TAILS: Final = _COUNT.where(
    sessions.c.state != written_out(SessionState.CLOSED), sessions.c.kind == SessionKind.TAIL.value
)
_OPEN_OF: Final = select(func.count(), func.count().filter(sessions.c.kind == SessionKind.TAIL.value)).where(
    sessions.c.principal == bindparam("key"), sessions.c.state != written_out(SessionState.CLOSED)
)


class SqlSessions:
    """`Sessions` on one connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def insert(self, session: Session) -> None:
        """Store a session that opens."""
        row = {name: getattr(session, name) for name in _FIXED}
        self._connection.execute(_INSERT, row | _moving(session) | {"grant_id": session.grant})

    def update(self, session: Session) -> None:
        """Store a session's state and account.

        Raises:
            LostRace: there is no such session.
        """
        if changed(self._connection, _UPDATE, _moving(session) | {"key": session.id}) != 1:
            raise LostRace(f"{session.id} was never opened.")

    def find(self, session_id: SessionId) -> Session | None:
        """Return a session, or None."""
        rows = rows_of(self._connection, _FIND, {"key": session_id})
        return _session(rows[0]) if rows else None

    def in_use(self, session_id: SessionId, now: Instant) -> InUse | None:
        """Return a session with its grant, the holder, and what else decides whether the grant may be used on."""
        rows = tuples_of(self._connection, _IN_USE, {"key": session_id, "now": now})
        if not rows:
            return None
        ((*columns, holder, epoch, held),) = rows
        return InUse(
            session=_session(dict(zip(_NAMES, columns, strict=False))),
            grant=grant_of(dict(zip(_NAMES_OF_GRANT, columns[len(_NAMES) :], strict=True))),
            holder=None if holder is None else principal_of(holder),
            epoch=epoch,
            may_be_held=bool(held),
        )

    def update_account(self, session_id: SessionId, account: Account) -> None:
        """Store what a session was allowed to hand over and handed over.

        Raises:
            LostRace: there is no such session.
        """
        if changed(self._connection, _UPDATE_ACCOUNT, _account(account) | {"key": session_id}) != 1:
            raise LostRace(f"{session_id} was never opened.")

    def unclosed(self, limit: int, *, but_of: Collection[str] = ()) -> Sequence[Session]:
        """Return so many of the sessions that are not closed, the oldest first, without those of some replicas."""
        query = _UNCLOSED.where(sessions.c.replica.not_in(sorted(but_of))).limit(limit)
        return [_session(row) for row in self._connection.execute(query).mappings()]

    def has_unclosed(self, grant_id: GrantId) -> bool:
        """Say whether a session of a grant is not closed."""
        return bool(self._connection.execute(_HAS_UNCLOSED, {"key": grant_id}).scalar_one())

    def of_grant(self, grant_id: GrantId, limit: int = 50) -> Sequence[Session]:
        """Return the sessions of a grant, newest first."""
        return [
            _session(row) for row in self._connection.execute(_OF_GRANT, {"key": grant_id, "most": limit}).mappings()
        ]

    def opened_after(self, grant_id: GrantId, instant: Instant) -> int:
        """Return how many sessions of a grant opened later than that."""
        return int(self._connection.execute(_OPENED_AFTER, {"key": grant_id, "since": instant}).scalar_one())

    def open_tails(self, grant_id: GrantId) -> int:
        """Return how many tails of a grant are not closed."""
        return int(self._connection.execute(_OPEN_TAILS, {"key": grant_id}).scalar_one())

    def open_of(self, principal: PrincipalId) -> tuple[int, int]:
        """Return how many sessions of a principal are not closed, and how many of these are tails."""
        unclosed, tails = self._connection.execute(_OPEN_OF, {"key": principal}).one()
        return int(unclosed), int(tails)


def _moving(session: Session) -> dict[str, object]:
    row = {name: getattr(session, name) for name in _MOVING}
    return row | _account(session.account)


def _account(account: Account) -> dict[str, object]:
    return {name: getattr(account, name) for name in _ACCOUNT}


def _session(row: Mapping[str, Any] | RowMapping) -> Session:
    columns = dict(row)
    why = columns["why"]
    columns |= {
        "kind": SessionKind(columns["kind"]),
        "front": Front(columns["front"]),
        "state": SessionState(columns["state"]),
        "why": None if why is None else CloseWhy(why),
        "account": Account(**{name: columns.pop(name) for name in _ACCOUNT}),
    }
    return Session(**columns)
