"""Reveal one value: its record is durable, and its grant used up, in one transaction, before the value leaves."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from loglease.access.activate_grant import activated
from loglease.access.binding import require_network
from loglease.access.caller import STEP_UP_S, Caller
from loglease.access.clock_doubts import require_trusted_clock
from loglease.access.close_session import closed_entry
from loglease.access.commitments import Random, commitments_of
from loglease.access.ending import ended
from loglease.access.errors import GuardrailDenied, LineNotAvailable, NotPermitted, PolicyDenied
from loglease.access.note_call import commit_under, request_of
from loglease.access.open_session import opened_entry
from loglease.access.permissions import held_grant, is_held, require_unlocked
from loglease.access.records import served_data
from loglease.access.rules import Allowed, Rules
from loglease.access.serving import NOTHING
from loglease.audit.interface import Draft, EntryLog, Recorded
from loglease.model.access_request import AccessRequest
from loglease.model.ack import strongest
from loglease.model.digest import SALT_BYTES
from loglease.model.errors import LogLeaseError
from loglease.model.grant import Grant, GrantMove, GrantState, refusal
from loglease.model.ids import ENTRY, SESSION, EntryId, GrantId, NewId, SessionId
from loglease.model.instant import Instant
from loglease.model.key_scope import KeyScope
from loglease.model.principal import Kind
from loglease.model.reveal import Reveal
from loglease.model.rights import Right
from loglease.model.session import CloseWhy, Front, Session, SessionKind, SessionMove, SessionState, move
from loglease.policy.decision import Point
from loglease.store.interface import Transaction


@dataclass(frozen=True, slots=True, kw_only=True)
class Revealable:
    """A grant to reveal one value, what it reveals, and the grant under which the line was served."""

    grant: Grant
    reveal: Reveal
    parent: Grant


def revealable(tx: Transaction, caller: Caller, grant_id: GrantId, now: Instant, rules: Rules) -> Revealable:
    """Return a grant of the caller that may reveal its value now; looking at it changes nothing.

    Args:
        rules: those in force, by which lines are served under the parent.

    Raises:
        NotFound: there is no such grant for the caller.
        NotPermitted: it is a grant to read lines.
        GrantEnded, GrantNotActive: it, or the grant of the line, is over or suspended.
        StepUpRequired: the caller's sign-in is too old.
    """
    caller.require(Right.LOGS_READ)
    grant = held_grant(tx, caller, grant_id)
    request = tx.requests.find(grant.request)
    parent = None if grant.parent is None else tx.grants.find(grant.parent)
    reveal = None if request is None else request.wish.reveal
    if parent is None or reveal is None:
        raise NotPermitted(
            f"{grant.id} reveals no value.",
            rule="kind of the grant",
            next_step="loglease request --reveal",
        )
    if caller.principal.kind is Kind.HUMAN:
        caller.require_sign_in(now, STEP_UP_S)
    if not grant.is_live(now):
        raise refusal(grant, now)
    held = is_held(tx, parent, now)
    if parent.state_at(now, held=held) is not GrantState.ACTIVE:
        raise refusal(parent, now, held=held)
    if is_held(tx, grant, now):
        raise refusal(grant, now, held=True)
    return Revealable(grant=grant, reveal=reveal, parent=_as_served(tx, parent, rules, now))


def _as_served(tx: Transaction, parent: Grant, rules: Rules, now: Instant) -> Grant:
    """Return the grant of a line with pseudonyms that reach as far as they do in what it serves now."""
    request = tx.requests.find(parent.request)
    if parent.shape.pseudonyms is KeyScope.GRANT or request is None:
        return parent
    try:
        used = rules.shown().usable(request, parent, tx.principals.directory(), now)
    except LogLeaseError:
        return parent  # whether anything is allowed is asked when the value is recorded
    return replace(parent, shape=replace(parent.shape, pseudonyms=used.shape.pseudonyms))


async def reveal(
    found: Revealable,
    *,
    rule: str,
    classes: Iterable[str],
    caller: Caller,
    replica: str,
    log: EntryLog[Transaction],
    rules: Rules,
    new_id: NewId,
    random: Random,
) -> Grant:
    """Record that a value is shown and use its grant up; of two calls at once one finds the grant used.

    Whether the record came about is not known after `AuditUnavailable`: the value may not be shown then, and the grant
    may be used up all the same.

    Args:
        found: as it was looked at; the line was read within its scope.
        rule: that masked the value.
        classes: all that the masked range is of; policy has to reveal each of them.

    Raises:
        NotFound, NotPermitted, GrantEnded, GrantNotActive, StepUpRequired: as `revealable`; NotPermitted also where it
            is bound to another network.
        Locked, PolicyDenied, GuardrailDenied: the grant cannot be used now.
        LineNotAvailable: the masked range holds more than what policy reveals.
        AuditUnavailable: it could not be recorded.
        ClockSuspect: it is on the record that a clock cannot be trusted.
    """

    def work(tx: Transaction, now: Instant, rules: Rules) -> Recorded[Grant]:
        require_trusted_clock(tx)
        require_unlocked(tx, caller, now)
        grant = revealable(tx, caller, found.grant.id, now, rules).grant
        grant, entries = activated(tx, grant, caller.principal, now, rules=rules, new_id=new_id)
        request = tx.requests.find(grant.request)
        if request is None:
            raise LookupError(grant.request)
        grant = _still_bound(grant, _require_allowed(tx, request, found, classes, rules, now))
        for one in (grant, found.parent):
            require_network(one, rules)
        session = _closed_session(grant, caller, replica, tx.epoch, now, new_id=new_id)
        tx.sessions.insert(session)
        commitments = commitments_of(request.private, random)
        opened = opened_entry(session, grant, caller, commitments, new_id=new_id)
        served = Draft(
            id=EntryId(new_id(ENTRY)),
            type="reveal.served",
            actor=caller.principal.subject,
            ref=opened.ref,
            data=served_data(found.reveal, rule, commitments),
            private=commitments.taken(),
        )
        closed = closed_entry(
            tx, session, settled=NOTHING, salt=random(SALT_BYTES), cut_ms=None, crashed=False, new_id=new_id
        )
        used, ends = ended(tx, grant, GrantMove.USE_UP, by=None, now=now, new_id=new_id)
        return Recorded(used, (*entries, opened, served, closed, *ends), grant.shape.ack)

    # The line is read under the grant that it was served by, so that is the one whose holder has called.
    return await commit_under(work, of=request_of(found.parent.id), caller=caller, log=log, rules=rules)


def _require_allowed(
    tx: Transaction, request: AccessRequest, found: Revealable, classes: Iterable[str], rules: Rules, now: Instant
) -> Allowed:
    """Return what is allowed; refuse what the policy in force does not reveal any more, or never did."""
    directory = tx.principals.directory()
    allowed = rules.still_allowed(Point.SESSION_OPEN, request, found.grant.terms, directory, now)
    if allowed.terms.scopes != found.grant.terms.scopes:
        raise PolicyDenied("The policy does not allow this line, masked so, any more.", rule=found.grant.policy)
    for cls in {*classes} - {found.reveal.cls}:
        other = replace(request, wish=replace(request.wish, reveal=replace(found.reveal, cls=cls)))
        try:
            rules.still_allowed(Point.SESSION_OPEN, other, found.grant.terms, directory, now)
        except (PolicyDenied, GuardrailDenied) as error:
            raise LineNotAvailable from error
    return allowed


def _still_bound(grant: Grant, allowed: Allowed) -> Grant:
    ack = strongest((grant.shape.ack, allowed.ack))
    return replace(grant, shape=replace(grant.shape, network_bound=allowed.network_bound, ack=ack))


def _closed_session(grant: Grant, caller: Caller, replica: str, epoch: int, now: Instant, *, new_id: NewId) -> Session:
    """Return the session of a reveal: it is over as soon as it is on the record."""
    session = Session(
        id=SessionId(new_id(SESSION)),
        grant=grant.id,
        principal=caller.principal.id,
        kind=SessionKind.REVEAL,
        front=Front.PLAIN,
        replica=replica,
        opened_at=now,
        epoch=epoch,
        state=SessionState.OPEN,
    )
    ending = move(session, SessionMove.END, now=now, why=CloseWhy.COMPLETE)
    return move(ending, SessionMove.SETTLE, now=now)
