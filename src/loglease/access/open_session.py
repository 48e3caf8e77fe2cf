"""Open a session: one use of one grant, on the record before the first byte of an answer, status line included."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from loglease.access.activate_grant import activated
from loglease.access.binding import require_network
from loglease.access.caller import Caller
from loglease.access.clock_doubts import require_trusted_clock
from loglease.access.commitments import Commitments, Random, commitments_of
from loglease.access.errors import BudgetUsed, NotPermitted, QueryLimit
from loglease.access.note_call import commit_under, request_of
from loglease.access.permissions import held_grant, require_unlocked
from loglease.access.records import Data, bound_data, refs
from loglease.access.rules import Rules
from loglease.audit.interface import AuditUnavailable, Draft, EntryLog, Recorded
from loglease.model.errors import GrantEnded
from loglease.model.grant import Grant
from loglease.model.ids import ENTRY, SESSION, EntryId, GrantId, NewId, SessionId
from loglease.model.instant import MICROSECONDS, EventWindow, Instant, Interval
from loglease.model.limits import Limits
from loglease.model.rights import Right
from loglease.model.session import CloseWhy, Front, Session, SessionKind, SessionState
from loglease.policy.entry_shapes import profiles_of, scope_data
from loglease.store.interface import StoreUnavailable, Transaction

QUERIES_PER_MINUTE: Final = 120
TAILS: Final = 5
RESUME_WITHIN_S: Final = 60
_RESUMABLE: Final = frozenset({CloseWhy.DATABASE, CloseWhy.DRAIN, CloseWhy.SOURCE, CloseWhy.CRASH})


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """How many sessions one principal may have open at once, over all grants; tails are among them."""

    sessions: int
    tails: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """An open session; `interval` is what the grant's event window has of the asked one, empty if that is nothing."""

    session: Session
    grant: Grant
    interval: Interval
    now: Instant


class OpeningUncertain(AuditUnavailable):
    """The opening is not known to be on the record. Whoever asked has to close `session`, in case it is or still comes.

    Attributes:
        cause: what to answer.
    """

    def __init__(self, session: SessionId, cause: AuditUnavailable | StoreUnavailable) -> None:
        super().__init__(cause.message, next_step=cause.next_step)
        self.session = session
        self.cause = cause


async def open_session(
    grant_id: GrantId,
    *,
    kind: SessionKind,
    front: Front,
    query: str,
    interval: Interval,
    limit: int | None,
    caller: Caller,
    replica: str,
    log: EntryLog[Transaction],
    rules: Rules,
    new_id: NewId,
    random: Random,
    places: Places | None = None,
    refuses_outside: bool = True,
) -> Opened:
    """Open a session of a grant that the caller holds; naming a scheduled grant activates it.

    Args:
        query: the text as it was asked; recorded as a commitment.
        interval: event times that are asked for; `end` None for a tail.
        replica: the process that will own the session.
        places: how many sessions the caller may have; None does not count them.
        refuses_outside: refuse an interval that the event window has nothing of; else it is an open session with
            nothing to read.

    Raises:
        NotFound: there is no such grant for the caller.
        GrantEnded, GrantNotActive, Locked, PolicyDenied: the grant cannot be used now.
        NotPermitted: the grant is to reveal one value, or bound to another network, or the event window has nothing of
            the interval, and that is refused.
        BudgetUsed, QueryLimit: a budget is spent, or too much runs or was asked lately.
        ClockSuspect: it is on the record that a clock cannot be trusted.
        OpeningUncertain: it could not be recorded in time, or nobody knows whether it was.
    """
    caller.require(Right.LOGS_READ)
    session_id = SessionId(new_id(SESSION))
    is_given_up = False

    def work(tx: Transaction, now: Instant, rules: Rules) -> Recorded[Opened]:
        if is_given_up:
            raise AuditUnavailable("Nobody waits for this session any more.")
        require_trusted_clock(tx)
        require_unlocked(tx, caller, now)
        grant = held_grant(tx, caller, grant_id)
        if grant.parent is not None:
            raise NotPermitted(f"{grant.id} reveals one value and reads no lines.", rule="kind of the grant")
        grant, entries = activated(tx, grant, caller.principal, now, rules=rules, new_id=new_id)
        request = tx.requests.find(grant.request)
        if request is None:
            raise LookupError(grant.request)
        stored, grant = grant, rules.usable(request, grant, tx.principals.directory(), now)
        require_network(grant, rules)
        clamped = _clamped(grant, interval)
        if clamped is None:
            if refuses_outside:
                raise _outside(grant)
            clamped = Interval(interval.start, interval.start)
        if places is not None:
            _require_place(tx, caller, kind, places)
        _require_budget(tx, grant, kind, now)
        session = Session(
            id=session_id,
            grant=grant.id,
            principal=caller.principal.id,
            kind=kind,
            front=front,
            replica=replica,
            opened_at=now,
            epoch=tx.epoch,
            state=SessionState.OPEN,
        )
        tx.sessions.insert(session)
        if stored.idle_at is not None:
            tx.grants.update(stored.in_use())
            grant = grant.in_use()
        opened = Opened(session=session, grant=grant, interval=clamped, now=now)
        recorded = _entries(
            opened, query, limit, caller, commitments_of(request.private, random), rules=rules, new_id=new_id
        )
        return Recorded(opened, (*entries, *recorded), grant.shape.ack)

    try:
        return await commit_under(work, of=request_of(grant_id), caller=caller, log=log, rules=rules)
    except (AuditUnavailable, StoreUnavailable) as error:
        is_given_up = True
        raise OpeningUncertain(session_id, error) from error


def opened_entry(session: Session, grant: Grant, caller: Caller, commitments: Commitments, *, new_id: NewId) -> Draft:
    """Return the entry of a session that opens, with the network that its grant is bound to."""
    bound = bound_data(grant, commitments)
    return Draft(
        id=EntryId(new_id(ENTRY)),
        type="session.opened",
        actor=caller.principal.subject,
        ref=refs(request=grant.request, grant=grant.id, session=session.id),
        data={
            "kind": str(session.kind),
            "front": str(session.front),
            "replica": session.replica,
            "epoch": session.epoch,
            **bound,
        },
        private=commitments.taken(),
    )


def _clamped(grant: Grant, interval: Interval) -> Interval | None:
    for scope in grant.terms.scopes:
        window = scope.window.until(grant.due_at)
        both = None if window is None else window.intersect(interval)
        if both is not None:
            return both
    return None


def _outside(grant: Grant) -> NotPermitted:
    return NotPermitted(
        "The grant's event window has nothing of the time that is asked for.",
        rule="event window",
        next_step=f"loglease grants {grant.id}",
    )


def _require_place(tx: Transaction, caller: Caller, kind: SessionKind, places: Places) -> None:
    """Count inside the transaction that opens: of several that are opened at once none sees a place that is taken."""
    sessions, tails = tx.sessions.open_of(caller.principal.id)
    what, most = "sessions", places.sessions
    if kind is SessionKind.TAIL and tails >= places.tails:
        what, most = "tails", places.tails
    elif sessions < places.sessions:
        return
    raise QueryLimit(
        f"You have {most} {what} open, as many as one account may have at once.",
        rule=f"{what} of one principal",
        next_step="Close one, or wait for one to end.",
    )


def _require_budget(tx: Transaction, grant: Grant, kind: SessionKind, now: Instant) -> None:
    limits = grant.terms.limits
    left = grant.usage.left(limits)
    if 0 in left:
        raise BudgetUsed(
            f"{grant.id} has no lines or bytes left.", next_step=f"loglease request --like {grant.request}"
        )
    most = limits.queries_per_min or QUERIES_PER_MINUTE
    if tx.sessions.opened_after(grant.id, Instant(now - 60 * MICROSECONDS)) >= most:
        raise QueryLimit(f"{grant.id} allows {most} queries a minute.", next_step="Wait a minute.")
    _require_single_use(grant, tx.sessions.of_grant(grant.id, 1), now)
    if kind is SessionKind.TAIL and tx.sessions.open_tails(grant.id) >= _most_tails(limits):
        raise QueryLimit(f"{grant.id} allows {_most_tails(limits)} tails at once.", next_step="Close one.")
    if not tx.grants.spend(grant.id, lines=0, size=0, queries=1):
        raise BudgetUsed(f"{grant.id} has no queries left.", next_step=f"loglease request --like {grant.request}")


def _most_tails(limits: Limits) -> int:
    return TAILS if limits.tails is None else limits.tails


def _require_single_use(grant: Grant, recent: Sequence[Session], now: Instant) -> None:
    if not grant.shape.single_use or not recent:
        return
    last = recent[0]
    resumable = last.why in _RESUMABLE and last.closed_at is not None
    if not (resumable and now - (last.closed_at or now) <= RESUME_WITHIN_S * MICROSECONDS):
        raise GrantEnded(f"{grant.id} was for one use.", next_step=f"loglease request --like {grant.request}")


def _entries(
    opened: Opened,
    query: str,
    limit: int | None,
    caller: Caller,
    commitments: Commitments,
    *,
    rules: Rules,
    new_id: NewId,
) -> tuple[Draft, Draft]:
    session, interval = opened.session, opened.interval
    entry = opened_entry(session, opened.grant, caller, commitments, new_id=new_id)
    ref = refs(request=opened.grant.request, grant=session.grant, session=session.id)
    scopes: list[Data] = []
    if not interval.is_empty:
        asked = EventWindow(interval.start, interval.end)
        scopes = [
            scope_data(replace(scope, window=window), commitments, profiles_of(rules.profiles, rules.profile_digests))
            for scope in opened.grant.terms.scopes
            if (window := scope.window.intersect(asked)) is not None
        ]
    data: Data = {
        "query": 1,
        "text_c": commitments.to("text_c", query),
        "scopes": scopes,
        "start_ns": str(interval.start),
        "live": session.kind is SessionKind.TAIL,
        "plan": "evaluate",
    }
    if interval.end is not None:
        data["end_ns"] = str(interval.end)
    if limit is not None:
        data["limit"] = limit
    return (
        entry,
        Draft(
            id=EntryId(new_id(ENTRY)),
            type="query.recorded",
            actor=caller.principal.subject,
            ref=ref,
            data=data,
            private=commitments.taken(),
        ),
    )
