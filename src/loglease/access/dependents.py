"""What depends on a thing, and how all of it ends in one act: grants, the token that is named, undecided requests.

The act that is recorded at once, the one that only the journal had, and a lock that revokes go through here alike.
"""

from __future__ import annotations

from dataclasses import replace

from loglease.access.cancel_request import cancelled_entry
from loglease.access.commitments import Commitments, Random
from loglease.access.extensions import ended_after, grant_before
from loglease.access.permissions import matches
from loglease.access.records import Data, refs
from loglease.audit.interface import SYSTEM, Draft
from loglease.model.access_request import AccessRequest, CancelWhy, RequestMove, RequestState
from loglease.model.access_request import move as move_request
from loglease.model.grant import Grant, GrantMove, move
from loglease.model.hold import LockKind, LockOn
from loglease.model.ids import ENTRY, EntryId, GrantId, NewId, PersonId, PrincipalId, RequestId, TokenId
from loglease.model.instant import Instant, instant_text
from loglease.store.interface import RevocationRow, Transaction


def take_away(
    tx: Transaction,
    row: RevocationRow,
    grants: list[Grant],
    *,
    actor: str,
    now: Instant,
    new_id: NewId,
    random: Random,
    late: bool = False,
) -> list[Draft]:
    """Store an act of revocation, end these grants and what else depends on its thing, and return the entries.

    Args:
        now: the time of the record; `row.at`, that of the act, is earlier where the record is late.
    """
    row = replace(row, grants=tuple(dict.fromkeys([*row.grants, *(grant.id for grant in grants)])))
    tx.revocations.insert(row)
    entries = [
        *revoked_entries(tx, row, grants, actor=actor, new_id=new_id, random=random, late=late),
        *_token_entries(tx, row, actor=actor, new_id=new_id),
        *cancelled_requests(
            tx, row.on, CancelWhy.REVOKED, before=row.at, by=row.by, now=now, actor=actor, new_id=new_id
        ),
    ]
    for grant in grants:
        # What was asked for or given meanwhile, where the record is late.
        entries += ended_after(tx, grant_before(tx, grant.id), now, actor=actor, new_id=new_id)
    return entries


def asked_before(tx: Transaction, grant: Grant, at: Instant) -> bool:
    """Say whether a grant rests on a request that was there at that time already."""
    request = tx.requests.find(grant.request)
    return request is None or request.submitted_at <= at


def dependent_grants(tx: Transaction, on: LockOn, now: Instant) -> list[Grant]:
    """Return the live grants that depend on a thing, and those that go on from one that does."""
    directory = tx.principals.directory()
    live = [grant for grant in tx.grants.live() if grant.is_live(now)]
    found = [grant for grant in live if matches(on, principal=directory.principal(grant.holder), grant=grant)]
    ids = {grant.id for grant in found}
    if on.kind is LockKind.REQUEST and (given := tx.grants.of_request(RequestId(on.name))) is not None:
        ids.add(given.id)  # it may be over, and go on in an extension
    return found + [grant for grant in live if grant.id not in ids and not ids.isdisjoint(grant.extends)]


def revoked_entries(
    tx: Transaction,
    row: RevocationRow,
    grants: list[Grant],
    *,
    actor: str,
    new_id: NewId,
    random: Random,
    late: bool = False,
) -> list[Draft]:
    """Revoke these grants with their tokens, and return one entry for each."""
    entries = []
    for grant in grants:
        done = move(grant, GrantMove.REVOKE, by=row.by, now=row.at, reason=row.reason or None)
        tx.grants.update(done)
        tx.tokens.revoke(row.at, grant=grant.id)
        commitments = Commitments(random)
        data: Data = {"cause": str(row.on.kind), "effective_at": instant_text(row.at), "late": late}
        if row.on.name:
            data["object"] = row.on.name
        if row.reason:
            data["reason_c"] = commitments.to("reason_c", row.reason)
        entries.append(
            Draft(
                id=EntryId(new_id(ENTRY)),
                type="grant.revoked",
                actor=actor,
                ref=refs(request=grant.request, grant=grant.id),
                data=data,
                private=commitments.taken(),
            )
        )
    return entries


def _token_entries(tx: Transaction, row: RevocationRow, *, actor: str, new_id: NewId) -> list[Draft]:
    if row.on.kind is not LockKind.TOKEN:
        return []
    token_id = TokenId(row.on.name)
    token = tx.tokens.find(token_id)
    if token is None or not tx.tokens.revoke(row.at, token_id=token_id):
        return []
    owner = tx.principals.find(token.principal)
    data: Data = {"token": token_id, "subject": SYSTEM if owner is None else owner.subject, "cause": "revoked"}
    return [Draft(id=EntryId(new_id(ENTRY)), type="token.revoked", actor=actor, ref=refs(token=token_id), data=data)]


def cancelled_requests(
    tx: Transaction,
    on: LockOn,
    why: CancelWhy,
    *,
    before: Instant,
    by: PrincipalId | None,
    now: Instant,
    actor: str,
    new_id: NewId,
) -> list[Draft]:
    """Cancel the undecided requests that depend on a thing and were submitted before the act, one entry for each."""
    entries = []
    for request in dependent_requests(tx, on, now):
        if request.submitted_at > before:
            continue
        done = move_request(request, RequestMove.CANCEL, by=by, now=now, cause=why)
        tx.requests.update(done)
        entries.append(cancelled_entry(done, why, actor=actor, new_id=new_id))
    return entries


def _named_in(request: AccessRequest) -> tuple[GrantId, ...]:
    """Return the grants that a request is about: whose line it wants to see unmasked, or which one it extends."""
    reveal, extends = request.wish.reveal, request.wish.extends
    return (*(() if reveal is None else (reveal.grant,)), *(() if extends is None else extends.chain))


def dependent_requests(tx: Transaction, on: LockOn, now: Instant) -> list[AccessRequest]:
    """Return the undecided requests that depend on a thing."""
    if on.kind is LockKind.REQUEST:
        found = tx.requests.find(RequestId(on.name))
        return [found] if found is not None and found.state_at(now) is RequestState.PENDING else []
    owners: list[PrincipalId] = []
    if on.kind is LockKind.GRANT:
        grant = tx.grants.find(GrantId(on.name))
        asked = [] if grant is None else tx.requests.pending_of(grant.holder)
        return [one for one in asked if on.name in _named_in(one)]
    if on.kind is LockKind.PRINCIPAL:
        owners = [PrincipalId(on.name)]
    elif on.kind is LockKind.PERSON:
        owners = [one.id for one in tx.principals.of_person(PersonId(on.name))]
    pending = [request for owner in owners for request in tx.requests.pending_of(owner)]
    return [request for request in pending if request.state_at(now) is RequestState.PENDING]
