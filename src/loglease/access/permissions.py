"""Who may see and do what: the one visibility predicate, locks, and who may take rights away.

List, detail, timeline, events and every use case ask here, so that no door knows more than another.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from loglease.access.caller import Caller
from loglease.access.errors import Locked, NotFound, NotPermitted, TokenRevoked
from loglease.model.access_request import AccessRequest
from loglease.model.grant import Grant, GrantState
from loglease.model.hold import Lock, LockKind, LockOn, SuspendCause, Suspension
from loglease.model.ids import GrantId, RequestId
from loglease.model.instant import Instant
from loglease.model.principal import Principal, Role
from loglease.model.review import Review, Verdict
from loglease.model.rights import Right
from loglease.store.interface import Login, Transaction
from loglease.store.sessions_interface import InUse

_OVERSEERS = frozenset({Role.AUDITOR, Role.ADMIN})
_ON_PEOPLE = frozenset({LockKind.PRINCIPAL, LockKind.PERSON, LockKind.GROUP})


def is_reviewer(tx: Transaction, principal: Principal, request: AccessRequest) -> bool:
    """Say whether somebody is one of a request's reviewers: since the submit, called by an escalation, or on call."""
    if principal.id in request.eligible or principal.id in tx.requests.called(request.id):
        return True
    return not tx.principals.rotas_of(principal).isdisjoint(request.rotas)


def may_see_request(tx: Transaction, caller: Caller, request: AccessRequest) -> bool:
    """Say whether a request is the caller's business: theirs, theirs to review, or they oversee all."""
    # That two persons may be the same one only takes rights away, so it shows nobody the other's requests.
    mine = request.requester == caller.principal.id or request.persons == {caller.principal.person}
    return mine or bool(caller.principal.roles & _OVERSEERS) or is_reviewer(tx, caller.principal, request)


def concerned(caller: Caller) -> Login | None:
    """Return the login that has to occur in whatever `may_see_request` shows this caller; None for who may see others.

    Those are overseers, and people on call, whom a request does not name.
    """
    if caller.principal.roles & _OVERSEERS or caller.on_call:
        return None
    return Login(caller.principal.id, caller.principal.person)


def visible_request(tx: Transaction, caller: Caller, request_id: RequestId) -> AccessRequest:
    """Return a request that the caller may see.

    Raises:
        NotFound: there is none, or it is not theirs to see.
        NotPermitted: the token lacks the right to read requests.
    """
    caller.require(Right.REQUESTS_READ)
    request = tx.requests.find(request_id)
    if request is None or not may_see_request(tx, caller, request):
        raise NotFound(f"There is no request {request_id} for you.", next_step="loglease requests")
    return request


def readable_grant(tx: Transaction, caller: Caller, grant_id: GrantId) -> tuple[Grant, AccessRequest]:
    """Return a grant that the caller may see and whose token may read it.

    That takes the right to read requests. A token that reads logs also reads the grants that it reads them under.

    Raises:
        NotFound: there is none, or it is not theirs to see.
        NotPermitted: the token has neither right.
    """
    if caller.has(Right.LOGS_READ) and not caller.has(Right.REQUESTS_READ):
        held_grant(tx, caller, grant_id)
    else:
        caller.require(Right.REQUESTS_READ)
    return visible_grant(tx, caller, grant_id)


def visible_grant(tx: Transaction, caller: Caller, grant_id: GrantId) -> tuple[Grant, AccessRequest]:
    """Return a grant that is the caller's business, whatever their token may do, with its request.

    Raises:
        NotFound: there is none, or it is not theirs to see.
    """
    grant = None if caller.only_grant not in (None, grant_id) else tx.grants.find(grant_id)
    request = None if grant is None else tx.requests.find(grant.request)
    if (
        grant is None
        or request is None
        or not (grant.holder == caller.principal.id or may_see_request(tx, caller, request))
    ):
        raise NotFound(f"There is no grant {grant_id} for you.", next_step="loglease grants")
    return grant, request


def held_grant(tx: Transaction, caller: Caller, grant_id: GrantId) -> Grant:
    """Return a grant that the caller holds.

    Raises:
        NotFound: there is none, or somebody else holds it; the two are one answer.
    """
    grant = None if caller.only_grant not in (None, grant_id) else tx.grants.find(grant_id)
    if grant is None or grant.holder != caller.principal.id:
        raise NotFound(f"There is no grant {grant_id} for you.", next_step="loglease grants")
    return grant


def require_may_revoke(tx: Transaction, caller: Caller, request: AccessRequest) -> None:
    """Refuse whoever may not take this grant away; the right is wider than the right to approve.

    Raises:
        NotPermitted: the caller neither may review the request, nor holds the grant, nor administers.
    """
    caller.require(Right.REQUESTS_WRITE)
    principal = caller.principal
    mine = principal.id == request.requester
    if not (mine or Role.ADMIN in principal.roles or is_reviewer(tx, principal, request)):
        raise NotPermitted("You may not revoke this grant.", next_step="Ask one of its approvers.")


def matches(on: LockOn, *, principal: Principal | None, grant: Grant | None = None, source: str | None = None) -> bool:
    """Say whether a lock on this thing applies to a principal, to a grant with its holder, or to a source."""
    match on.kind:
        case LockKind.EVERYTHING:
            return True
        case LockKind.PRINCIPAL:
            return principal is not None and principal.id == on.name
        case LockKind.PERSON:
            return principal is not None and principal.person == on.name
        case LockKind.GROUP:
            return principal is not None and on.name in principal.groups
        case LockKind.SOURCE:
            sources = set() if grant is None else {scope.source for scope in grant.terms.scopes}
            return on.name in sources | {source}
        case LockKind.GRANT:
            return grant is not None and on.name in (grant.id, grant.parent, *grant.extends)
        case LockKind.REQUEST:
            return grant is not None and grant.request == on.name
        case LockKind.POLICY:
            return grant is not None and grant.policy == on.name
        case _:
            return False


def locks_on_grant(tx: Transaction, grant: Grant, now: Instant) -> list[Lock]:
    """Return the locks in force that suspend a grant."""
    return _matching(tx.holds.locks(now=now), grant, tx.principals.find(grant.holder))


def is_held(tx: Transaction, grant: Grant, now: Instant) -> bool:
    """Say whether a grant may not be used now: a lock, a suspension, an older epoch, a holder who is disabled.

    One to reveal a value may not be used either while the grant of its line is not active.
    """
    return is_held_from(tx, grant, tx.principals.find(grant.holder), now)


def is_held_from(
    tx: Transaction, grant: Grant, holder: Principal | None, now: Instant, locks: Sequence[Lock] | None = None
) -> bool:
    """Say the same for who has read the holder already, and perhaps the locks in force, in this transaction."""
    return (
        _is_out(grant, holder, tx.epoch)
        or bool(suspensions_on(tx, grant))
        or bool(_matching(tx.holds.locks(now=now) if locks is None else locks, grant, holder))
        or _is_without_parent(tx, grant, now)
    )


def is_held_in_use(tx: Transaction, used: InUse, now: Instant) -> bool:
    """Say the same of the grant of a session, for who has read both with what else decides, in this transaction."""
    if used.may_be_held:
        return is_held_from(tx, used.grant, used.holder, now)
    return _is_out(used.grant, used.holder, used.epoch) or _is_without_parent(tx, used.grant, now)


def _is_out(grant: Grant, holder: Principal | None, epoch: int) -> bool:
    return holder is None or not holder.enabled or grant.epoch != epoch


def suspensions_on(tx: Transaction, grant: Grant) -> list[Suspension]:
    """Return what suspends a grant: with an extension, too, that somebody suspended the grant before it.

    That one may have ended meanwhile. Who wants it to go on lifts the suspension before that, or asks anew.
    """
    own = list(tx.holds.suspensions(grant.id))
    before = () if grant.before is None else tx.holds.suspensions(grant.before)
    return own + [one for one in before if one.cause is SuspendCause.PERSON]


def _is_without_parent(tx: Transaction, grant: Grant, now: Instant) -> bool:
    """Say whether the grant under whose line this one reveals a value is not active."""
    if grant.parent is None:
        return False
    parent = tx.grants.find(grant.parent)
    return parent is None or parent.state_at(now, held=is_held(tx, parent, now)) is not GrantState.ACTIVE


def _matching(locks: Iterable[Lock], grant: Grant, holder: Principal | None) -> list[Lock]:
    return [lock for lock in locks if matches(lock.on, principal=holder, grant=grant)]


def require_unlocked(tx: Transaction, caller: Caller, now: Instant, *, source: str | None = None) -> None:
    """Refuse a caller who is disabled or locked or whose token was revoked since it was looked at, or a locked source.

    Raises:
        Locked: a lock applies; the message does not tell which.
        TokenRevoked: the token was taken away, or its sign-in has ended.
    """
    stored = tx.principals.find(caller.principal.id)
    locked = any(matches(lock.on, principal=stored, source=source) for lock in tx.holds.locks(now=now))
    if stored is None or not stored.enabled or locked:
        raise _locked()
    _require_token(tx, caller)


def require_may_decide(tx: Transaction, caller: Caller, now: Instant) -> None:
    """Refuse a caller who is disabled, or at whom a lock is aimed. One on everything stops grants, not reviews.

    Raises:
        Locked: they may not decide anything now.
        TokenRevoked: as `require_unlocked`.
    """
    stored = tx.principals.find(caller.principal.id)
    if stored is None or not stored.enabled or is_aimed_at(tx, stored, now):
        raise _locked()
    _require_token(tx, caller)


def _require_token(tx: Transaction, caller: Caller) -> None:
    token = None if caller.token is None else tx.tokens.find(caller.token)
    if token is not None and token.revoked_at is not None:
        raise TokenRevoked("The sign-in or token of this call has ended.", next_step="loglease login")


def is_aimed_at(tx: Transaction, principal: Principal, now: Instant) -> bool:
    """Say whether a lock is aimed at a login, its person, or a group of theirs."""
    return any(lock.on.kind in _ON_PEOPLE and matches(lock.on, principal=principal) for lock in tx.holds.locks(now=now))


def counting(tx: Transaction, reviews: Iterable[Review], now: Instant) -> list[Review]:
    """Return reviews without the approvals of people at whom a lock is aimed by now: what they approved is in doubt."""
    found = []
    for one in reviews:
        reviewer = tx.principals.find(one.reviewer) if one.verdict is Verdict.APPROVE else None
        if reviewer is None or not is_aimed_at(tx, reviewer, now):
            found.append(one)
    return found


def _locked() -> Locked:
    return Locked("A lock stops this for now.", next_step="Ask an administrator.")
