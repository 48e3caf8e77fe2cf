"""Close a session: settle exactly what was handed over, give back the rest, and end the grant if that used it up."""

from __future__ import annotations

from dataclasses import replace

from loglease.access.commitments import Random
from loglease.access.ending import ended
from loglease.access.errors import NotFound
from loglease.access.records import Data, refs
from loglease.access.serving import Settled, settle
from loglease.audit.interface import SYSTEM, Draft, EntryLog, Recorded
from loglease.model.digest import SALT_BYTES
from loglease.model.grant import Grant, GrantMove, GrantState
from loglease.model.ids import ENTRY, EntryId, NewId, SessionId
from loglease.model.instant import Instant
from loglease.model.session import CloseWhy, Session, SessionMove, SessionState, move
from loglease.store.interface import Transaction

_KEPT_FOR_RESUMPTION = frozenset({CloseWhy.DATABASE, CloseWhy.DRAIN, CloseWhy.SOURCE, CloseWhy.CRASH})


async def close_session(
    session_id: SessionId,
    *,
    why: CloseWhy,
    settled: Settled,
    cut_ms: int | None,
    detail: str | None = None,
    over: bool = False,
    replica: str,
    log: EntryLog[Transaction],
    new_id: NewId,
    random: Random,
) -> Session:
    """Close a session of this process; repeating it answers the first result.

    Args:
        settled: what was handed over since the last record; what the record has already is not settled again.
        cut_ms: milliseconds from the act that cut it to the last byte, if one did.
        detail: more about why, in fixed words and names of ours.
        over: it came to a line of data subjects for whom the grant has no room: that uses it up, whatever else is open.

    Raises:
        NotFound: this process owns no such session.
        AccountMismatch: what was handed over does not follow the record.
    """

    def work(tx: Transaction, now: Instant) -> Recorded[Session]:
        session = tx.sessions.find(session_id)
        if session is None or session.replica != replica:
            raise NotFound(f"{session_id} is not a session of this process.")
        if session.state is SessionState.CLOSED:
            return Recorded(session)
        account, fresh = settle(session.account, settled)
        ending = replace(move(session, SessionMove.END, now=now, why=why), account=account)
        closed = move(ending, SessionMove.SETTLE, now=now)
        tx.grants.spend(session.grant, lines=-account.uncertain_lines, size=-account.uncertain_bytes)
        tx.sessions.update(closed)
        salt = random(SALT_BYTES)
        entries = [
            closed_entry(
                tx, closed, settled=fresh, salt=salt, cut_ms=cut_ms, detail=detail, crashed=False, new_id=new_id
            )
        ]
        grant = tx.grants.find(session.grant)
        if grant is not None and over and grant.stored_state_at(now) is GrantState.ACTIVE:
            entries += ended(tx, grant, GrantMove.USE_UP, by=None, now=now, new_id=new_id)[1]
        elif grant is not None and is_unused(tx, grant, now):
            if _is_used_up(grant, why):
                entries += ended(tx, grant, GrantMove.USE_UP, by=None, now=now, new_id=new_id)[1]
            elif grant.shape.idle_timeout_s is not None:
                tx.grants.update(grant.resting(now))
        return Recorded(closed, tuple(entries))

    return await log.commit(work, urgent=True)


def is_unused(tx: Transaction, grant: Grant, now: Instant) -> bool:
    """Say whether a grant is active and no session of it is open."""
    return grant.stored_state_at(now) is GrantState.ACTIVE and not tx.sessions.has_unclosed(grant.id)


def _is_used_up(grant: Grant, why: CloseWhy) -> bool:
    spent = 0 in grant.usage.left(grant.terms.limits)
    return spent or (grant.shape.single_use and why not in _KEPT_FOR_RESUMPTION)


def closed_entry(
    tx: Transaction,
    session: Session,
    *,
    settled: Settled,
    salt: bytes,
    cut_ms: int | None,
    detail: str | None = None,
    crashed: bool,
    new_id: NewId,
) -> Draft:
    """Return the entry of a closed session; after a crash what was reserved stays charged as uncertain."""
    account = session.account
    grant = tx.grants.find(session.grant)
    holder = tx.principals.find(session.principal)
    data: Data = {
        "why": str(session.why),
        "total": {"lines": account.settled_lines, "bytes": account.settled_bytes},
        "uncertain": {
            "lines": account.uncertain_lines if crashed else 0,
            "bytes": account.uncertain_bytes if crashed else 0,
        },
    }
    if settled.lines:
        data["settled"] = settled.data(salt)
    if detail is not None:
        data["detail"] = detail
    if cut_ms is not None:
        data["cut_ms"] = cut_ms
    return Draft(
        id=EntryId(new_id(ENTRY)),
        type="session.closed",
        actor=SYSTEM if crashed or holder is None else holder.subject,
        ref=refs(request=grant.request if grant else None, grant=session.grant, session=session.id),
        data=data,
        served=(settled.served, salt) if settled.lines else None,
    )
