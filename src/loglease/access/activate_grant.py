"""Activate a grant: its clock starts at the holder's first use, and never again."""

from __future__ import annotations

from dataclasses import replace

from loglease.access.approval import bounded
from loglease.access.binding import require_network
from loglease.access.caller import Caller
from loglease.access.clock_doubts import require_trusted_clock
from loglease.access.ending import ended
from loglease.access.errors import PolicyDenied
from loglease.access.extensions import grant_before
from loglease.access.note_call import commit_under, request_of
from loglease.access.permissions import counting, held_grant, is_held, require_unlocked
from loglease.access.pseudonym_keys import require_key
from loglease.access.records import refs
from loglease.access.rules import Rules
from loglease.access.standing import closed_to
from loglease.access.watch import Watch
from loglease.audit.interface import SYSTEM, Draft, EntryLog, Recorded
from loglease.model.ack import strongest
from loglease.model.errors import GrantNotActive
from loglease.model.grant import Grant, GrantMove, GrantState, move, refusal
from loglease.model.ids import ENTRY, EntryId, GrantId, NewId
from loglease.model.instant import Instant, duration_text, instant_text
from loglease.model.offer import Outcome
from loglease.model.principal import Directory, Principal
from loglease.model.rights import Right
from loglease.policy.decision import Point
from loglease.store.interface import Transaction


async def activate_grant(
    grant_id: GrantId, *, caller: Caller, log: EntryLog[Transaction], watch: Watch, rules: Rules, new_id: NewId
) -> Grant:
    """Start a scheduled grant. An active one is returned unchanged.

    Raises:
        NotFound: there is none that the caller holds.
        GrantEnded, GrantNotActive: it has ended, was revoked, lapsed, or is suspended.
        PolicyDenied: the policy no longer allows it, or an approver lost the right to approve.
        NotPermitted: it is bound to another network.
        AuditUnavailable, ClockSuspect: nothing may begin at the moment.
    """
    caller.require(Right.LOGS_READ)
    watch.require_ready()

    def work(tx: Transaction, now: Instant, rules: Rules) -> Recorded[Grant]:
        require_unlocked(tx, caller, now)
        grant = held_grant(tx, caller, grant_id)
        active, entries = activated(tx, grant, caller.principal, now, rules=rules, new_id=new_id)
        return Recorded(active, entries, active.shape.ack)

    return await commit_under(work, of=request_of(grant_id), caller=caller, log=log, rules=rules)


def activated(
    tx: Transaction,
    grant: Grant,
    holder: Principal,
    now: Instant,
    *,
    rules: Rules,
    new_id: NewId,
    by_itself: bool = False,
) -> tuple[Grant, tuple[Draft, ...]]:
    """Return the grant, active, and the entries if it was not before.

    Args:
        by_itself: its time has come, and nobody called; where it may be used from is asked of each call.

    Raises:
        GrantEnded, GrantNotActive, PolicyDenied, NotPermitted: as `activate_grant`.
        ClockSuspect: it is on the record that a clock cannot be trusted.
    """
    held = is_held(tx, grant, now)
    state = grant.state_at(now, held=held)
    if state is GrantState.ACTIVE:
        return grant, ()
    if state is not GrantState.SCHEDULED:
        raise refusal(grant, now, held=held)
    require_trusted_clock(tx)
    request = tx.requests.find(grant.request)
    if request is None:
        raise LookupError(grant.request)
    turn = _in_turn(tx, grant, now, new_id=new_id)
    directory = tx.principals.directory()
    if grant.basis is Outcome.AUTO:
        _require_open(tx, holder, directory, rules, now)
    reviews = counting(tx, tx.reviews.of_request(request.id), now)
    counted = rules.satisfied(request, reviews, directory, now)
    if counted is None:
        raise PolicyDenied(
            "The approvals of this grant do not suffice now: the policy asks for more, or an approver lost the right.",
            rule=grant.policy,
            next_step="Ask for access anew.",
        )
    allowed = rules.still_allowed(Point.ACTIVATION, request, grant.terms, directory, now)
    if not by_itself:
        require_network(grant, rules, bound=allowed.network_bound)
    require_key(grant)
    shape = replace(grant.shape, ack=strongest((grant.shape.ack, allowed.ack)))
    active = move(replace(grant, terms=allowed.terms, shape=shape), GrantMove.ACTIVATE, by=holder.id, now=now)
    if active.valid_until is not None:
        active = replace(active, valid_until=bounded(tx, request.wish.reveal, active.valid_until))
    if grant.starts_at is not None and active.stored_state_at(now) is not GrantState.ACTIVE:
        span = duration_text(allowed.terms.duration_s)
        raise PolicyDenied(f"The policy allows this extension for {span} only by now.", rule=grant.policy)
    tx.grants.update(active)
    if active.parent is None and rules.keeps(active) is not None:
        tx.keeps.begin(active.id, now)
    entry = Draft(
        id=EntryId(new_id(ENTRY)),
        type="grant.activated",
        actor=SYSTEM if by_itself else holder.subject,
        ref=refs(request=grant.request, grant=grant.id),
        data={
            "from_at": instant_text(active.valid_from or now),
            "until_at": instant_text(active.due_at),
            "reviews": [review.id for review in counted],
            "bundle_sha256": rules.bundle_sha256,
            "revision": rules.revision,
            "epoch": tx.epoch,
        },
    )
    return active, (*turn, entry)


def _in_turn(tx: Transaction, grant: Grant, now: Instant, *, new_id: NewId) -> tuple[Draft, ...]:
    """Refuse an extension before the grant that it goes on from has run out; write down that it has.

    Raises:
        GrantNotActive: that one is still in force.
        GrantEnded: it ended early.
    """
    if grant.before is None:
        return ()
    before = grant_before(tx, grant.before)
    if not before.has_run_out(now):
        if not before.is_live(now):
            raise refusal(before, now)
        raise GrantNotActive(
            f"{grant.id} begins at {instant_text(before.due_at)}, where {before.id} ends.",
            next_step="It begins by itself; use the other one until then.",
        )
    if before.state is GrantState.ENDED:
        return ()
    return ended(tx, before, GrantMove.EXPIRE, by=None, now=now, new_id=new_id)[1]


def _require_open(tx: Transaction, holder: Principal, directory: Directory, rules: Rules, now: Instant) -> None:
    closed = closed_to(tx, holder, directory, rules, now)
    if closed is not None:
        raise PolicyDenied(
            f"Nothing is given to you without a review for now: {closed}.",
            next_step="Ask for access that somebody approves, or ask for your after-review to be done.",
        )
