"""Grants and their budgets as rows. What was granted is in the document and never changes; what is used has columns."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import BindParameter, ColumnElement, Connection, RowMapping, bindparam, insert, or_, select, update

from loglease.model.grant import EndWhy, Grant, GrantState, Usage
from loglease.model.ids import GrantId, PrincipalId, RequestId
from loglease.model.instant import Instant
from loglease.store.columns import written_out
from loglease.store.document import Codec
from loglease.store.interface import Login, LostRace
from loglease.store.requests import concerns
from loglease.store.schema import grant_subjects, grants, requests
from loglease.store.statements import changed, rows_of

_FIXED: Final = ("id", "holder", "policy")
_MOVING: Final = (
    "state",
    "valid_from",
    "valid_until",
    "idle_at",
    "ended_at",
    "ended_why",
    "ended_by",
    "reason",
    "epoch",
    "version",
)
_BUDGETS: Final = ("lines", "bytes", "queries", "subjects")
_AT_ONCE: Final = 500
"""Pseudonyms that one statement asks for."""
_REMEMBERED: Final = 512
"""Documents of grants: each reservation reads that of its grant."""
_CODEC: Final = Codec(Grant, columns=frozenset({*_FIXED, *_MOVING, "request", "usage"}), remembers=_REMEMBERED)

COLUMNS: Final = (
    *(grants.c[name] for name in (*_FIXED, *_MOVING)),
    grants.c.request_id.label("request"),
    *(grants.c[f"{name}_used"] for name in _BUDGETS),
    grants.c.document,
)
"""What a grant is read from."""
_SELECT: Final = select(*COLUMNS)
_LIVE: Final = grants.c.state.in_([written_out(state) for state in (GrantState.SCHEDULED, GrantState.ACTIVE)])
_INSERT: Final = insert(grants)
_FIND: Final = _SELECT.where(grants.c.id == bindparam("key"))
_OF_REQUEST: Final = _SELECT.where(grants.c.request_id == bindparam("key"))
_UPDATE: Final = (
    update(grants)
    .where(grants.c.id == bindparam("key"), grants.c.version == bindparam("before"))
    .values({name: bindparam(name) for name in (*_MOVING, "lapses_at")})
)
_DUE: Final = (
    _SELECT.where(_LIVE, grants.c.lapses_at <= bindparam("now"))
    .order_by(grants.c.lapses_at, grants.c.id)
    .limit(bindparam("most"))
)
_EXTENSION: Final = _SELECT.where(grants.c.extends == bindparam("key")).order_by(grants.c.id.desc()).limit(1)
_STARTING: Final = (
    _SELECT.where(
        grants.c.state == written_out(GrantState.SCHEDULED),
        grants.c.starts_at.is_not(None),
        grants.c.starts_at <= bindparam("now"),
    )
    .order_by(grants.c.starts_at, grants.c.id)
    .limit(bindparam("most"))
)
_LIVE_ONES: Final = _SELECT.where(_LIVE).order_by(grants.c.lapses_at, grants.c.id)


def _affords(name: str) -> ColumnElement[bool]:
    limit, used = grants.c[f"{name}_limit"], grants.c[f"{name}_used"]
    amount: BindParameter[int] = bindparam(f"more_{name}")
    return or_(limit.is_(None), amount <= 0, used + amount <= limit)


_SPEND: Final = (
    update(grants)
    .where(
        grants.c.id == bindparam("key"),
        *(_affords(name) for name in _BUDGETS),
        *(grants.c[f"{name}_used"] + bindparam(f"more_{name}") >= 0 for name in _BUDGETS),
    )
    .values({f"{name}_used": grants.c[f"{name}_used"] + bindparam(f"more_{name}") for name in _BUDGETS})
)


_KNOWN: Final = select(grant_subjects.c.pseudonym).where(
    grant_subjects.c.grant_id == bindparam("key"), grant_subjects.c.pseudonym.in_(bindparam("some", expanding=True))
)


class SqlGrants:
    """`Grants` on one connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def insert(self, grant: Grant) -> None:
        """Store a new grant."""
        limits = grant.terms.limits
        row = {name: getattr(grant, name) for name in (*_FIXED, *_MOVING)}
        row |= {f"{name}_limit": getattr(limits, name) for name in _BUDGETS}
        row |= {f"{name}_used": getattr(grant.usage, name) for name in _BUDGETS}
        row |= {"request_id": grant.request, "lapses_at": grant.lapses_at, "document": _CODEC.pack(grant)}
        row |= {"extends": grant.before, "starts_at": grant.starts_at}
        self._connection.execute(_INSERT, row)

    def find(self, grant_id: GrantId) -> Grant | None:
        """Return a grant, or None."""
        rows = rows_of(self._connection, _FIND, {"key": grant_id})
        return grant_of(rows[0]) if rows else None

    def some(self, grant_ids: Collection[GrantId]) -> Mapping[GrantId, Grant]:
        """Return those of some grants that there are."""
        ordered = sorted(grant_ids)
        found: dict[GrantId, Grant] = {}
        for first in range(0, len(ordered), _AT_ONCE):
            query = _SELECT.where(grants.c.id.in_(ordered[first : first + _AT_ONCE]))
            found |= {GrantId(row["id"]): grant_of(row) for row in self._connection.execute(query).mappings()}
        return found

    def of_request(self, request_id: RequestId) -> Grant | None:
        """Return the grant of a request, or None."""
        row = self._connection.execute(_OF_REQUEST, {"key": request_id}).mappings().one_or_none()
        return None if row is None else grant_of(row)

    def update(self, after: Grant) -> None:
        """Store a new version. Budgets move by `spend` alone, so `usage` is not written.

        Raises:
            LostRace: the stored version is not the one before.
        """
        row = {name: getattr(after, name) for name in _MOVING}
        row |= {"lapses_at": after.lapses_at, "key": after.id, "before": after.version - 1}
        if self._connection.execute(_UPDATE, row).rowcount != 1:
            raise LostRace(f"{after.id} was changed meanwhile.", next_step=f"loglease grants {after.id}")

    def spend(self, grant_id: GrantId, *, lines: int, size: int, queries: int = 0) -> bool:
        """Take from the budgets if all of it is left; what is given back is never more than was taken."""
        return self._spend(grant_id, lines=lines, bytes=size, queries=queries)

    def _spend(self, grant_id: GrantId, **amounts: int) -> bool:
        more = {f"more_{name}": amounts.get(name, 0) for name in _BUDGETS}
        return changed(self._connection, _SPEND, more | {"key": grant_id}) == 1

    def known_subjects(self, grant_id: GrantId, pseudonyms: Collection[str]) -> frozenset[str]:
        """Return which of some data subjects are taken already."""
        found: set[str] = set()
        ordered = sorted(pseudonyms)
        for first in range(0, len(ordered), _AT_ONCE):
            some = ordered[first : first + _AT_ONCE]
            found.update(self._connection.execute(_KNOWN, {"key": grant_id, "some": some}).scalars())
        return frozenset(found)

    def take_subjects(self, grant_id: GrantId, pseudonyms: Collection[str]) -> bool:
        """Take data subjects that are not taken yet, if there is room for all of them.

        Raises:
            IntegrityError: one of them is taken.
        """
        if not self._spend(grant_id, subjects=len(pseudonyms)):
            return False
        if pseudonyms:
            rows = [{"grant_id": grant_id, "pseudonym": one} for one in sorted(pseudonyms)]
            self._connection.execute(insert(grant_subjects), rows)
        return True

    def due(self, now: Instant, limit: int) -> Sequence[Grant]:
        """Return scheduled and active grants that the clock has ended, earliest first."""
        return [grant_of(row) for row in self._connection.execute(_DUE, {"now": now, "most": limit}).mappings()]

    def extension_of(self, grant_id: GrantId) -> Grant | None:
        """Return the newest grant that goes on from one, whatever became of it."""
        row = self._connection.execute(_EXTENSION, {"key": grant_id}).mappings().one_or_none()
        return None if row is None else grant_of(row)

    def starting(self, now: Instant, limit: int) -> Sequence[Grant]:
        """Return scheduled grants whose time to begin by themselves has come, earliest first."""
        return [grant_of(row) for row in self._connection.execute(_STARTING, {"now": now, "most": limit}).mappings()]

    def live(self) -> Sequence[Grant]:
        """Return all stored as scheduled or active, earliest end first."""
        return [grant_of(row) for row in self._connection.execute(_LIVE_ONES).mappings()]

    def page(
        self,
        *,
        holder: PrincipalId | None = None,
        live_at: Instant | None = None,
        concerning: Login | None = None,
        before: GrantId | None = None,
        limit: int = 50,
    ) -> Sequence[Grant]:
        """Return grants, newest first, older than `before`; with `live_at` those not ended then."""
        query = _SELECT.order_by(grants.c.id.desc()).limit(limit)
        if holder is not None:
            query = query.where(grants.c.holder == holder)
        if live_at is not None:
            query = query.where(_LIVE, grants.c.lapses_at > live_at)
        if concerning is not None:
            query = query.join(requests, requests.c.id == grants.c.request_id)
            query = query.where(or_(grants.c.holder == concerning.principal, concerns(concerning)))
        if before is not None:
            query = query.where(grants.c.id < before)
        return [grant_of(row) for row in self._connection.execute(query).mappings()]


def grant_of(row: Mapping[str, Any] | RowMapping) -> Grant:
    """Return the grant of a row that has `COLUMNS`."""
    columns = dict(row)
    columns["state"] = GrantState(columns["state"])
    if columns["ended_why"] is not None:
        columns["ended_why"] = EndWhy(columns["ended_why"])
    columns["usage"] = Usage(**{name: columns.pop(f"{name}_used") for name in _BUDGETS})
    return _CODEC.unpack(columns.pop("document"), **columns)
