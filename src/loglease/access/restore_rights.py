"""What the log knows and an older database does not, once its entries were put back: it only takes rights away.

Grants that the log says are over are over, sessions that it says are closed are closed, locks hold, and budgets are
charged with what was recorded. What began after the backup and is only in the log can be used by nobody, and is now
recorded as ended, so that nothing in the log stays open. It all follows from the log: doing it again does nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import orjson

from loglease.audit.interface import SYSTEM, Draft
from loglease.model.access_request import CancelWhy, RequestMove, RequestState
from loglease.model.access_request import move as move_request
from loglease.model.grant import GrantMove
from loglease.model.grant import move as move_grant
from loglease.model.hold import Lock, LockKind, LockOn
from loglease.model.ids import ENTRY, EntryId, GrantId, LockId, NewId, PrincipalId, RequestId, SessionId
from loglease.model.instant import Instant, instant_text, parse_instant
from loglease.model.session import Account, CloseWhy, Session, SessionState
from loglease.store.interface import Transaction

_REASON: Final = "known from the audit log alone"
_GRANT_ENDS: Final = frozenset({"grant.revoked", "grant.ended"})
_REQUEST_ENDS: Final = frozenset({"request.approved", "request.denied", "request.cancelled", "request.expired"})
_CHARGES: Final = frozenset({"query.recorded", "batch.served", "session.closed"})
_LOCKED: Final = frozenset({"lock.added", "principal.locked"})
_LIFTED: Final = frozenset({"lock.lifted", "principal.unlocked"})
_UNKNOWN: Final = "unknown"
_ADMIN: Final = ("local", "admin")


@dataclass(frozen=True, slots=True)
class _Known:
    """One entry as far as it is needed here."""

    type: str
    actor: str
    at: Instant
    ref: Mapping[str, str]
    data: Mapping[str, Any]


def take_away_what_the_log_knows(tx: Transaction, now: Instant, *, new_id: NewId) -> list[Draft]:
    """End in the database what is over by the log, and return entries that end what only the log knows."""
    _end_requests(tx, now)
    _end_grants(tx, now)
    _close_sessions(tx)
    _charge(tx)
    _put_locks_back(tx, now)
    return [
        *_sessions_that_are_lost(tx, new_id),
        *_grants_that_are_lost(tx, now, new_id),
        *_requests_that_are_lost(tx, new_id),
    ]


def _known(content: bytes) -> _Known:
    entry = orjson.loads(content)
    return _Known(entry["type"], entry["actor"], parse_instant(entry["at"]), entry["ref"], entry["data"])


def _all(tx: Transaction, types: frozenset[str]) -> Iterator[_Known]:
    seen = 0
    while part := tx.entries.since(seen, types=types):
        yield from (_known(row.content) for row in part)
        seen = part[-1].index + 1


def _end_requests(tx: Transaction, now: Instant) -> None:
    """End what was decided since the backup; a grant that came of it is lost, so nothing is given by that."""
    for request in tx.requests.waiting():
        if tx.entries.page(types=_REQUEST_ENDS, request=request.id, limit=1):
            # No entry is written: the log has it.
            lapsed = request.state_at(now) is RequestState.EXPIRED
            how, cause = (RequestMove.EXPIRE, "expired") if lapsed else (RequestMove.CANCEL, CancelWhy.RESTORE)
            tx.requests.update(move_request(request, how, by=None, now=now, cause=cause))


def _end_grants(tx: Transaction, now: Instant) -> None:
    for grant in tx.grants.live():
        found = tx.entries.page(types=_GRANT_ENDS, grant=grant.id, limit=1)
        if not found:
            continue
        # No entry is written: the log has it.
        returned = _known(found[0].content).data.get("why") == "returned"
        how = grant.lapse(now) or (GrantMove.RETURN if returned else GrantMove.REVOKE)
        tx.grants.update(move_grant(grant, how, by=None, now=now, reason=_REASON))


def _close_sessions(tx: Transaction) -> None:
    """Close what the log says is closed, and give the rest the account that the log has of it."""
    for grant in tx.grants.live():
        for session in tx.sessions.of_grant(grant.id, limit=1_000):
            if session.state is not SessionState.CLOSED:
                _catch_up(tx, session)


def _catch_up(tx: Transaction, session: Session) -> None:
    closed = tx.entries.page(types=frozenset({"session.closed"}), session=session.id, limit=1)
    if closed:
        end = _known(closed[0].content)
        tx.sessions.update(replace(session, state=SessionState.CLOSED, closed_at=end.at, why=CloseWhy(end.data["why"])))
        return
    account = _account(tx, session.id)
    if account.seq > session.account.seq:
        tx.sessions.update(replace(session, account=account))


def _account(tx: Transaction, session: SessionId) -> Account:
    """Return what the newest record of a session says was handed over, and what might have been since."""
    found = tx.entries.page(types=frozenset({"batch.served"}), session=session, limit=1)
    if not found:
        return Account()
    data = _known(found[0].content).data
    total, reserved = data["total"], data["reserved"]
    return Account(
        ceiling_lines=total["lines"] + reserved["lines"],
        ceiling_bytes=total["bytes"] + reserved["bytes"],
        settled_lines=total["lines"],
        settled_bytes=total["bytes"],
        seq=data["seq"],
    )


def _charge(tx: Transaction) -> None:
    """Take from the budgets what was recorded under grants that live on, as far as this database has not yet."""
    for grant in tx.grants.live():
        lines, size, queries = _used(tx, grant.id)
        known = grant.usage
        tx.grants.spend(
            grant.id,
            lines=max(0, lines - known.lines),
            size=max(0, size - known.bytes),
            queries=max(0, queries - known.queries),
        )


def _used(tx: Transaction, grant: GrantId) -> tuple[int, int, int]:
    """Return lines, bytes and queries that the log charges a grant with."""
    used: dict[str, tuple[int, int]] = {}
    queries = 0
    for one in _newest_first(tx, grant):
        if one.type == "query.recorded":
            queries += 1
            continue
        last, more = one.data["total"], one.data["uncertain" if one.type == "session.closed" else "reserved"]
        used.setdefault(one.ref["session"], (last["lines"] + more["lines"], last["bytes"] + more["bytes"]))
    return sum(lines for lines, _ in used.values()), sum(size for _, size in used.values()), queries


def _newest_first(tx: Transaction, grant: GrantId) -> Iterator[_Known]:
    before: int | None = None
    while part := tx.entries.page(types=_CHARGES, grant=grant, before=before, limit=1_000):
        yield from (_known(row.content) for row in part)
        before = part[-1].index


def _put_locks_back(tx: Transaction, now: Instant) -> None:
    lifted = {one.data["lock"] for one in _all(tx, _LIFTED)}
    for one in _all(tx, _LOCKED):
        lock_id = LockId(one.data["lock"])
        on = _locked_thing(tx, one)
        if lock_id in lifted or on is None or tx.holds.find_lock(lock_id) is not None:
            continue
        until = parse_instant(one.data["until_at"]) if "until_at" in one.data else None
        by = _principal_of(tx, one.actor) or _nobody(tx)
        lock = Lock(id=lock_id, on=on, reason=_REASON, added_by=by, added_at=one.at, until=until)
        if lock.in_force(now):
            tx.holds.insert_lock(lock)


def _locked_thing(tx: Transaction, one: _Known) -> LockOn | None:
    """Return what an entry locks; None for somebody whom this database has never seen."""
    if one.type == "lock.added":
        return LockOn(LockKind(one.data["on"]), one.data.get("object", ""))
    principal = _principal_of(tx, one.data["subject"])
    return None if principal is None else LockOn(LockKind.PRINCIPAL, principal)


def _principal_of(tx: Transaction, subject: str) -> PrincipalId | None:
    found = (one.id for one in tx.principals.directory().principals.values() if one.subject == subject)
    return next(found, None)


def _nobody(tx: Transaction) -> PrincipalId:
    """Return whom a lock is put down to whose author this database has never seen: the first administrator."""
    admin = tx.principals.by_account(*_ADMIN)
    return PrincipalId(_UNKNOWN) if admin is None else admin.id


def _sessions_that_are_lost(tx: Transaction, new_id: NewId) -> Iterator[Draft]:
    for one in _all(tx, frozenset({"session.opened"})):
        session = SessionId(one.ref["session"])
        closed = tx.entries.page(types=frozenset({"session.closed"}), session=session, limit=1)
        if closed or tx.sessions.find(session) is not None:
            continue
        account = _account(tx, session)
        data = {
            "why": str(CloseWhy.CRASH),
            "total": {"lines": account.settled_lines, "bytes": account.settled_bytes},
            "uncertain": {"lines": account.uncertain_lines, "bytes": account.uncertain_bytes},
        }
        yield _draft("session.closed", one.ref, data, new_id)


def _grants_that_are_lost(tx: Transaction, now: Instant, new_id: NewId) -> Iterator[Draft]:
    for one in _all(tx, frozenset({"grant.scheduled"})):
        grant = GrantId(one.ref["grant"])
        if tx.grants.find(grant) is None and not tx.entries.page(types=_GRANT_ENDS, grant=grant, limit=1):
            data = {"cause": "grant", "object": grant, "effective_at": instant_text(now), "late": False}
            yield _draft("grant.revoked", one.ref, data, new_id)


def _requests_that_are_lost(tx: Transaction, new_id: NewId) -> Iterator[Draft]:
    for one in _all(tx, frozenset({"request.submitted"})):
        request = RequestId(one.ref["request"])
        if tx.requests.find(request) is None and not tx.entries.page(types=_REQUEST_ENDS, request=request, limit=1):
            yield _draft("request.cancelled", one.ref, {"why": "restore"}, new_id)


def _draft(kind: str, ref: Mapping[str, str], data: Mapping[str, Any], new_id: NewId) -> Draft:
    return Draft(id=EntryId(new_id(ENTRY)), type=kind, actor=SYSTEM, ref=dict(ref), data=data)
