"""A simulated database: what is committed, when, and what a change of hands loses of it. Who may do what is decided elsewhere.

Transactions run at one instant. `State` is copied for each, so a work that fails leaves nothing, and what was committed at
any earlier moment can come back. Its repositories have no more than what the use cases of a simulation call.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, NamedTuple, TypeVar

import orjson
from tests.fakes.clock import START
from tests.simulation.loop import VirtualLoop

from loglease.access.watch import HIGH_WATER
from loglease.audit.interface import Draft, EntryRow, Recorded
from loglease.model.access_request import AccessRequest
from loglease.model.grant import Grant
from loglease.model.hold import Lock, Suspension
from loglease.model.ids import GrantId, LockId, PrincipalId, RequestId, SessionId
from loglease.model.instant import Instant
from loglease.model.principal import Directory, Principal
from loglease.model.replica import Replica, ReplicaState, Run
from loglease.model.session import Account, Session, SessionKind, SessionState
from loglease.store.sessions_interface import InUse

T = TypeVar("T")
KEPT_NS: Final = 2_000_000_000
"""How far back a change of hands may lose what was committed."""


class Stored(NamedTuple):
    """An entry as it is in the log."""

    index: int
    type: str
    content: bytes
    at: Instant


@dataclass
class State:
    """All that is stored; values are immutable, so a copy of the maps is a copy of all."""

    requests: dict[RequestId, AccessRequest] = field(default_factory=dict)
    grants: dict[GrantId, Grant] = field(default_factory=dict)
    sessions: dict[SessionId, Session] = field(default_factory=dict)
    locks: dict[LockId, Lock] = field(default_factory=dict)
    suspensions: dict[GrantId, tuple[Suspension, ...]] = field(default_factory=dict)
    values: dict[str, str] = field(default_factory=dict)
    replicas: dict[str, Replica] = field(default_factory=dict)
    entries: list[Stored] = field(default_factory=list)
    size: int = 0
    epoch: int = 1
    last_at: Instant = START

    def copy(self) -> State:
        """Return a copy; entries are only added, so both share them up to `size`."""
        return replace(
            self,
            requests=dict(self.requests),
            grants=dict(self.grants),
            sessions=dict(self.sessions),
            locks=dict(self.locks),
            suspensions=dict(self.suspensions),
            values=dict(self.values),
            replicas=dict(self.replicas),
        )


class SimTransaction:
    """One transaction; it is each of its own repositories, whose calls have names of their own below."""

    def __init__(self, state: State, people: dict[PrincipalId, Principal]) -> None:
        self.state = state
        self.people = people
        self.epoch = state.epoch
        self.requests = _Requests(self)
        self.grants = _Grants(self)
        self.sessions = _Sessions(self)
        self.principals = _Principals(self)
        self.holds = _Holds(self)
        self.values = _Values(self)
        self.entries = _Entries(self)
        self.replicas = _Replicas(self)
        self.reviews = _Nothing()
        self.tokens = _Nothing()
        self.keeps = _Nothing()


class _Repository:
    def __init__(self, tx: SimTransaction) -> None:
        self._tx = tx
        self._state = tx.state


class _Nothing:
    """What no simulation has any of."""

    def of_request(self, _request: RequestId) -> Sequence[Any]:
        return ()

    def revoke(self, *_: object, **__: object) -> None:
        return None


class _Requests(_Repository):
    def find(self, name: RequestId) -> AccessRequest | None:
        return self._state.requests.get(name)

    def update(self, request: AccessRequest) -> None:
        self._state.requests[request.id] = request

    insert = update

    def extending(self, _grant: GrantId) -> None:
        return None


class _Grants(_Repository):
    def find(self, name: GrantId) -> Grant | None:
        return self._state.grants.get(name)

    def update(self, grant: Grant) -> None:
        self._state.grants[grant.id] = grant

    insert = update

    def extension_of(self, _grant: GrantId) -> None:
        return None

    def spend(self, name: GrantId, *, lines: int, size: int, queries: int = 0) -> bool:
        grant = self._state.grants[name]
        used = replace(
            grant.usage,
            lines=grant.usage.lines + lines,
            bytes=grant.usage.bytes + size,
            queries=grant.usage.queries + queries,
        )
        limits = grant.terms.limits
        over = (limits.lines is not None and used.lines > limits.lines) or (
            limits.bytes is not None and used.bytes > limits.bytes
        )
        if not over:
            self._state.grants[name] = replace(grant, usage=used)
        return not over


class _Sessions(_Repository):
    def insert(self, session: Session) -> None:
        self._state.sessions[session.id] = session

    update = insert

    def find(self, name: SessionId) -> Session | None:
        return self._state.sessions.get(name)

    def update_account(self, name: SessionId, account: Account) -> None:
        self._state.sessions[name] = replace(self._state.sessions[name], account=account)

    def in_use(self, name: SessionId, now: Instant) -> InUse | None:
        session = self.find(name)
        if session is None:
            return None
        grant = self._state.grants[session.grant]
        held = bool(self._tx.holds.locks(now=now)) or bool(self._tx.holds.suspensions(grant.id))
        return InUse(session, grant, self._tx.people.get(grant.holder), self._state.epoch, held)

    def _unclosed(self) -> list[Session]:
        return [one for one in self._state.sessions.values() if one.state is not SessionState.CLOSED]

    def unclosed(self, limit: int, *, but_of: Collection[str] = ()) -> Sequence[Session]:
        return [one for one in self._unclosed() if one.replica not in but_of][:limit]

    def has_unclosed(self, grant: GrantId) -> bool:
        return any(one.grant == grant for one in self._unclosed())

    def of_grant(self, grant: GrantId, limit: int = 50) -> Sequence[Session]:
        return [one for one in reversed(self._state.sessions.values()) if one.grant == grant][:limit]

    def opened_after(self, grant: GrantId, instant: Instant) -> int:
        return sum(one.grant == grant and one.opened_at > instant for one in self._state.sessions.values())

    def open_tails(self, grant: GrantId) -> int:
        return sum(one.grant == grant and one.kind is SessionKind.TAIL for one in self._unclosed())


class _Principals(_Repository):
    def find(self, name: PrincipalId) -> Principal | None:
        return self._tx.people.get(name)

    def directory(self) -> Directory:
        return Directory(principals=self._tx.people)


class _Holds(_Repository):
    def locks(self, *, now: Instant) -> Sequence[Lock]:
        return [one for one in self._state.locks.values() if one.lifted_at is None]

    def suspensions(self, grant: GrantId) -> Sequence[Suspension]:
        return self._state.suspensions.get(grant, ())


class _Values(_Repository):
    def find(self, name: str) -> str | None:
        return self._state.values.get(name)

    def put(self, name: str, value: str) -> None:
        self._state.values[name] = value

    def delete(self, name: str) -> None:
        self._state.values.pop(name, None)


class _Entries(_Repository):
    def size(self) -> int:
        return self._state.size

    def head(self) -> State:
        return self._state

    def since(self, index: int, *, types: Collection[str] | None = None, limit: int = 1_000) -> Sequence[Stored]:
        found = self._state.entries[index : self._state.size]
        return [one for one in found if types is None or one.type in types][:limit]


class _Replicas(_Repository):
    def find(self, name: str) -> Replica | None:
        return self._state.replicas.get(name)

    def put(self, replica: Replica) -> None:
        self._state.replicas[replica.run.replica] = replica

    def renew(self, run: Run, now: Instant) -> bool:
        found = self.find(run.replica)
        if found is None or found.run != run or found.state is not ReplicaState.RUNNING:
            return False
        self.put(replace(found, seen_at=now))
        return True

    def running(self) -> Sequence[Replica]:
        return sorted(
            (one for one in self._state.replicas.values() if one.state is ReplicaState.RUNNING),
            key=lambda one: one.run.replica,
        )


class SimDatabase:
    """The one database. `term` tells one running instance of it from another.

    Attributes:
        ahead_us: by how much its clock is ahead of true time.
        watchers: are told of each commit, at the moment at which it is durable.
        losses: how often a change of hands lost something.
    """

    def __init__(self, loop: VirtualLoop, people: dict[PrincipalId, Principal]) -> None:
        self._loop = loop
        self._people = people
        self.state = State()
        self.is_up = True
        self.term = 1
        self.ahead_us = 0
        self.losses = 0
        self.watchers: list[Callable[[State, Sequence[EntryRow]], None]] = []
        self._past: list[tuple[int, State]] = [(0, self.state)]

    def now(self) -> Instant:
        """Return its time; it is never below what was committed before."""
        return max(Instant(START + self._loop.now_ns // 1_000 + self.ahead_us), self.state.last_at)

    def read(self, query: Callable[[Any], T]) -> T:
        """Run a query on what is committed."""
        return query(SimTransaction(self.state, self._people))

    def touch(self, run: Run | None) -> tuple[Instant, bool]:
        """Note that time goes on and a run lives; return the time, and whether the run may go on."""
        now = self.now()
        state = self.state.copy()
        tx = SimTransaction(state, self._people)
        tx.values.put(HIGH_WATER, str(int(now)))
        alive = run is None or tx.replicas.renew(run, now)
        self._commit(state, ())
        return now, alive

    def change(self, work: Callable[[Any, Instant], Recorded[T]]) -> tuple[T, list[EntryRow]]:
        """Run a work and commit it with its entries."""
        now = self.now()
        state = self.state.copy()
        recorded = work(SimTransaction(state, self._people), now)
        rows = [self._row(state, draft, now) for draft in recorded.entries]
        self._commit(state, rows)
        return recorded.result, rows

    def _row(self, state: State, draft: Draft, now: Instant) -> EntryRow:
        about = {"type": draft.type, "actor": draft.actor, "ref": dict(draft.ref), "data": dict(draft.data)}
        content = orjson.dumps(about)
        if len(state.entries) > state.size:  # a change of hands took entries back
            state.entries = state.entries[: state.size]
        state.entries.append(Stored(state.size, draft.type, content, now))
        state.size += 1
        state.last_at = now
        return EntryRow(state.size - 1, draft.id, now, draft, content, b"")

    def _commit(self, state: State, rows: Sequence[EntryRow]) -> None:
        self.state = state
        self._past.append((self._loop.now_ns, state))
        while len(self._past) > 1 and self._past[1][0] < self._loop.now_ns - KEPT_NS:
            self._past.pop(0)
        for told in self.watchers:
            told(state, rows)

    def change_hands(self, lost_ns: int) -> None:
        """Go on with another instance, which has all but the last of what was committed."""
        self.term += 1
        until = self._loop.now_ns - lost_ns
        kept = [state for at, state in self._past if at <= until] or [self._past[0][1]]
        if kept[-1].size != self.state.size:
            self.losses += 1
        self.state = kept[-1].copy()
        self._past = [(self._loop.now_ns, self.state)]
