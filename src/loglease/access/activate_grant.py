"""Activate a grant: its clock starts at the holder's first use, and never again."""

from __future__ import annotations

from dataclasses import replace

from loglease.access.approval import bounded
from loglease.access.binding import require_network
from loglease.access.caller import Caller
from loglease.access.errors import PolicyDenied
from loglease.access.note_call import commit_under, request_of
from loglease.access.permissions import held_grant, is_held, require_unlocked
from loglease.access.pseudonym_keys import require_key
from loglease.access.records import refs
from loglease.access.rules import Rules
from loglease.access.standing import closed_to
from loglease.access.watch import Watch
from loglease.audit.interface import Draft, EntryLog, Recorded
from loglease.model.grant import Grant, GrantMove, GrantState, move, refusal
from loglease.model.ids import ENTRY, EntryId, GrantId, NewId
from loglease.model.instant import Instant, instant_text
from loglease.model.offer import Outcome
from loglease.model.principal import Directory
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
        active, entries = activated(tx, grant, caller, now, rules=rules, new_id=new_id)
        return Recorded(active, entries)

    return await commit_under(work, of=request_of(grant_id), caller=caller, log=log, rules=rules)


def activated(
    tx: Transaction, grant: Grant, caller: Caller, now: Instant, *, rules: Rules, new_id: NewId
) -> tuple[Grant, tuple[Draft, ...]]:
    """Return the grant, active, and the entry if it was not before.

    Raises:
        GrantEnded, GrantNotActive, PolicyDenied, NotPermitted: as `activate_grant`.
    """
    held = is_held(tx, grant, now)
    state = grant.state_at(now, held=held)
    if state is GrantState.ACTIVE:
        return grant, ()
    if state is not GrantState.SCHEDULED:
        raise refusal(grant, now, held=held)
    request = tx.requests.find(grant.request)
    if request is None:
        raise LookupError(grant.request)
    directory = tx.principals.directory()
    if grant.basis is Outcome.AUTO:
        _require_open(tx, caller, directory, rules, now)
    reviews = tx.reviews.of_request(request.id)
    counted = rules.satisfied(request, reviews, directory, now)
    if counted is None:
        raise PolicyDenied(
            "The approvals of this grant do not suffice now: the policy asks for more, or an approver lost the right.",
            rule=grant.policy,
            next_step="Ask for access anew.",
        )
    allowed = rules.still_allowed(Point.ACTIVATION, request, grant.terms, directory, now)
    require_network(grant, rules, bound=allowed.network_bound)
    require_key(grant)
    active = move(replace(grant, terms=allowed.terms), GrantMove.ACTIVATE, by=caller.principal.id, now=now)
    if active.valid_until is not None:
        active = replace(active, valid_until=bounded(tx, request.wish.reveal, active.valid_until))
    tx.grants.update(active)
    if active.parent is None and rules.keeps(active) is not None:
        tx.keeps.begin(active.id, now)
    entry = Draft(
        id=EntryId(new_id(ENTRY)),
        type="grant.activated",
        actor=caller.principal.subject,
        ref=refs(request=grant.request, grant=grant.id),
        data={
            "from_at": instant_text(now),
            "until_at": instant_text(active.due_at),
            "reviews": [review.id for review in counted],
            "bundle_sha256": rules.bundle_sha256,
            "revision": rules.revision,
            "epoch": tx.epoch,
        },
    )
    return active, (entry,)


def _require_open(tx: Transaction, caller: Caller, directory: Directory, rules: Rules, now: Instant) -> None:
    closed = closed_to(tx, caller.principal, directory, rules, now)
    if closed is not None:
        raise PolicyDenied(
            f"Nothing is given to you without a review for now: {closed}.",
            next_step="Ask for access that somebody approves, or ask for your after-review to be done.",
        )
