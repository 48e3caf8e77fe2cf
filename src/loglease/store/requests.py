"""Access requests as rows. The document holds what never changes; the verdict has columns."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

from sqlalchemy import ColumnElement, Connection, RowMapping, bindparam, insert, or_, select, update

from loglease.model.access_request import AccessRequest, RequestState
from loglease.model.ids import GrantId, PrincipalId, RequestId
from loglease.model.instant import Instant
from loglease.store.columns import written_out
from loglease.store.document import Codec
from loglease.store.interface import Login, LostRace
from loglease.store.schema import called, requests

_COLUMNS: Final = (
    "id",
    "requester",
    "submitted_at",
    "expires_at",
    "state",
    "decided_at",
    "decided_by",
    "cause",
    "version",
    "digest",
    "terms_bytes",
    "present",
)
_CODEC: Final = Codec(AccessRequest, columns=frozenset(_COLUMNS))

_INSERT: Final = insert(requests)
_SELECT: Final = select(*(requests.c[name] for name in _COLUMNS), requests.c.document)
_FIND: Final = _SELECT.where(requests.c.id == bindparam("key"))
_UPDATE: Final = (
    update(requests)
    .where(requests.c.id == bindparam("key"), requests.c.version == bindparam("before"))
    .values({name: bindparam(name) for name in ("state", "decided_at", "decided_by", "cause", "version")})
)
_NOTE: Final = update(requests).where(requests.c.id == bindparam("key")).values(present=bindparam("present"))
_DUE: Final = (
    _SELECT.where(requests.c.state == written_out(RequestState.PENDING), requests.c.expires_at <= bindparam("now"))
    .order_by(requests.c.expires_at, requests.c.id)
    .limit(bindparam("most"))
)
_PENDING_OF: Final = _SELECT.where(
    requests.c.requester == bindparam("requester"), requests.c.state == RequestState.PENDING.value
).order_by(requests.c.id)


_EXTENDING: Final = _SELECT.where(
    requests.c.extends == bindparam("key"), requests.c.state == written_out(RequestState.PENDING)
)
_WAITING: Final = _SELECT.where(requests.c.state == written_out(RequestState.PENDING)).order_by(requests.c.id)
_CALLED: Final = select(called.c.principal).where(called.c.request_id == bindparam("key"))


def concerns(login: Login) -> ColumnElement[bool]:
    """Return the test for requests in which a login occurs: a coarse sieve, so that few documents are read whole."""
    named = (requests.c.document.contains(f'"{one}"', autoescape=True) for one in (login.principal, login.person))
    invited = requests.c.id.in_(select(called.c.request_id).where(called.c.principal == login.principal))
    return or_(requests.c.requester == login.principal, invited, *named)


class SqlRequests:
    """`Requests` on one connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def insert(self, request: AccessRequest) -> None:
        """Store a new request."""
        row = {name: getattr(request, name) for name in _COLUMNS}
        row |= {"source": request.terms.scopes[0].source, "document": _CODEC.pack(request)}
        row["extends"] = None if request.wish.extends is None else request.wish.extends.grant
        self._connection.execute(_INSERT, row)

    def find(self, request_id: RequestId) -> AccessRequest | None:
        """Return a request, or None."""
        row = self._connection.execute(_FIND, {"key": request_id}).mappings().one_or_none()
        return None if row is None else _request(row)

    def update(self, after: AccessRequest) -> None:
        """Store a new verdict.

        Raises:
            LostRace: the stored version is not the one before.
        """
        row = {name: getattr(after, name) for name in ("state", "decided_at", "decided_by", "cause", "version")}
        done = self._connection.execute(_UPDATE, row | {"key": after.id, "before": after.version - 1})
        if done.rowcount != 1:
            raise LostRace(f"{after.id} was changed meanwhile.", next_step=f"loglease requests {after.id}")

    def note(self, request_id: RequestId, present: str) -> None:
        """Store what the requester's latest call said of itself."""
        self._connection.execute(_NOTE, {"key": request_id, "present": present})

    def due(self, now: Instant, limit: int) -> Sequence[AccessRequest]:
        """Return pending requests whose time is over, oldest first."""
        return [_request(row) for row in self._connection.execute(_DUE, {"now": now, "most": limit}).mappings()]

    def pending_of(self, principal: PrincipalId) -> Sequence[AccessRequest]:
        """Return the pending requests of one principal, oldest first."""
        return [_request(row) for row in self._connection.execute(_PENDING_OF, {"requester": principal}).mappings()]

    def extending(self, grant_id: GrantId) -> AccessRequest | None:
        """Return the request, stored as pending, to extend a grant."""
        row = self._connection.execute(_EXTENDING, {"key": grant_id}).mappings().one_or_none()
        return None if row is None else _request(row)

    def waiting(self) -> Sequence[AccessRequest]:
        """Return the requests that are stored as pending, oldest first."""
        return [_request(row) for row in self._connection.execute(_WAITING).mappings()]

    def call(self, request_id: RequestId, principals: Collection[PrincipalId]) -> None:
        """Store that an escalation has named these people; the same one twice is once."""
        fresh = sorted(set(principals) - self.called(request_id))
        if fresh:
            self._connection.execute(insert(called), [{"request_id": request_id, "principal": one} for one in fresh])

    def called(self, request_id: RequestId) -> frozenset[PrincipalId]:
        """Return whom escalations have named."""
        return frozenset(self._connection.execute(_CALLED, {"key": request_id}).scalars())

    def page(
        self,
        *,
        state: RequestState | None = None,
        requester: PrincipalId | None = None,
        source: str | None = None,
        concerning: Login | None = None,
        before: RequestId | None = None,
        limit: int = 50,
    ) -> Sequence[AccessRequest]:
        """Return requests, newest first, older than `before`."""
        query = _SELECT.order_by(requests.c.id.desc()).limit(limit)
        wanted = {"state": state, "requester": requester, "source": source}
        query = query.where(*(requests.c[name] == value for name, value in wanted.items() if value is not None))
        if concerning is not None:
            query = query.where(concerns(concerning))
        if before is not None:
            query = query.where(requests.c.id < before)
        return [_request(row) for row in self._connection.execute(query).mappings()]


def _request(row: RowMapping) -> AccessRequest:
    columns = dict(row)
    columns["state"] = RequestState(columns["state"])
    return _CODEC.unpack(columns.pop("document"), **columns)
