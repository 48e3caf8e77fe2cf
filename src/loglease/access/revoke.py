"""Take access away: one act for one grant or for everything that depends on a thing. It never waits for its record.

The order is: decide and record in one transaction, put the act into this process's journal, then answer. If the record
cannot be made, the journal alone makes the act durable, it is applied in memory at once, and the answer says so.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import Final

from loglease.access.caller import Caller
from loglease.access.commitments import Random
from loglease.access.dependents import dependent_grants, dependent_requests, take_away
from loglease.access.errors import NotFound
from loglease.access.journal import Journal, JournalRecord, JournalRefused
from loglease.access.once import Once
from loglease.access.permissions import may_see_request, require_may_revoke, visible_grant
from loglease.access.watch import GrantCut, Watch, token_cut
from loglease.audit.interface import AuditUnavailable, EntryLog, Recorded
from loglease.model.access_request import AccessRequest
from loglease.model.clock import Clock
from loglease.model.grant import Grant, GrantState, refusal
from loglease.model.hold import LockKind, LockOn
from loglease.model.ids import REVOCATION, GrantId, NewId, PrincipalId, RequestId, RevocationId, TokenId
from loglease.model.instant import Instant
from loglease.model.principal import Role
from loglease.model.session import CloseWhy
from loglease.store.interface import RevocationRow, StoreUnavailable, Transaction
from loglease.store.store_interface import Store

MAX_REASON: Final = 500
RECORD_WITHIN_S: Final = 1.0
_OF_APPROVERS: Final = frozenset({LockKind.GRANT, LockKind.REQUEST})
"""What those may take away who may review it; the rest takes an administrator."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Revoked:
    """What one act took away. `durable` False: this process's journal has it, the database does not yet."""

    id: RevocationId
    on: LockOn
    grants: tuple[GrantId, ...]
    at: Instant
    durable: bool


async def revoke(
    on: LockOn,
    *,
    reason: str,
    caller: Caller,
    log: EntryLog[Transaction],
    store: Store,
    watch: Watch,
    journal: Journal,
    clock: Clock,
    new_id: NewId,
    random: Random,
    once: Once | None = None,
) -> Revoked:
    """Revoke a grant, or all grants and pending requests that depend on a thing. The second time answers the first.

    Raises:
        NotFound: there is no such thing for the caller.
        NotPermitted: the caller may not revoke it.
        GrantEnded: the one grant that was named ended before.
    """
    _require_may_name(on, caller)
    revocation = RevocationId(new_id(REVOCATION))
    reason = reason[:MAX_REASON]

    def work(tx: Transaction, now: Instant) -> Recorded[Revoked]:
        if once is not None and (created := once.created(tx, now)) is not None:
            found = tx.revocations.find(RevocationId(created))
            if found is not None:
                return Recorded(_result(found))
        exact = resolved(tx, on)
        grants = _affected(tx, exact, caller, now)
        if exact.kind is LockKind.GRANT and not grants:
            return Recorded(_first(tx, exact, caller, now))
        row = RevocationRow(
            id=revocation,
            on=exact,
            grants=tuple(one.id for one in grants),
            by=caller.principal.id,
            at=now,
            reason=reason,
        )
        entries = take_away(tx, row, grants, actor=caller.principal.subject, now=now, new_id=new_id, random=random)
        if once is not None:
            once.remember(tx, revocation, now)
        return Recorded(_result(row), tuple(entries))

    try:
        revoked = await log.commit(work, urgent=True, limit_s=RECORD_WITHIN_S)
    except (AuditUnavailable, StoreUnavailable):
        return await _revoke_here(
            on, revocation, reason=reason, caller=caller, store=store, watch=watch, journal=journal, now=clock.now()
        )
    if revoked.id == revocation:
        # The database has it; a journal that cannot be written is shown by health and stops no revocation.
        with contextlib.suppress(JournalRefused):
            await journal.append(_journalled(revoked, reason, caller.principal.id))
    return revoked


def would_revoke(
    tx: Transaction, on: LockOn, *, caller: Caller, now: Instant
) -> tuple[LockOn, list[Grant], list[AccessRequest]]:
    """Return the thing by its id with the grants and undecided requests that `revoke` would end; change nothing.

    Raises:
        NotFound, NotPermitted: as `revoke`.
    """
    _require_may_name(on, caller)
    exact = resolved(tx, on)
    return exact, _affected(tx, exact, caller, now), dependent_requests(tx, exact, now)


def _require_may_name(on: LockOn, caller: Caller) -> None:
    if on.kind not in _OF_APPROVERS:
        # Before anything is looked up: what exists is nobody else's business.
        caller.require_role(Role.ADMIN)


def _result(row: RevocationRow) -> Revoked:
    return Revoked(id=row.id, on=row.on, grants=row.grants, at=row.at, durable=True)


def _first(tx: Transaction, on: LockOn, caller: Caller, now: Instant) -> Revoked:
    """Answer a repeated revocation with the first, and refuse one of a grant that ended otherwise."""
    grant, _ = visible_grant(tx, caller, GrantId(on.name))
    if grant.state is GrantState.REVOKED and grant.ended_at is not None:
        return Revoked(id=RevocationId(grant.id), on=on, grants=(grant.id,), at=grant.ended_at, durable=True)
    raise refusal(grant, now)


def resolved(tx: Transaction, on: LockOn) -> LockOn:
    """Return the thing by its id, where people may name it otherwise: a person or principal by account or e-mail.

    Raises:
        NotFound: nobody and nothing has that name.
    """
    if on.kind not in (LockKind.PERSON, LockKind.PRINCIPAL):
        return on
    for one in tx.principals.directory().principals.values():
        ours = one.person if on.kind is LockKind.PERSON else one.id
        if on.name in (ours, one.account, one.email):
            return LockOn(on.kind, ours)
    raise NotFound(f"There is no {on.kind} {on.name}.", next_step="loglease admin user list")


def _affected(tx: Transaction, on: LockOn, caller: Caller, now: Instant) -> list[Grant]:
    if on.kind is LockKind.GRANT:
        grant, request = visible_grant(tx, caller, GrantId(on.name))
        require_may_revoke(tx, caller, request)
        live = dependent_grants(tx, on, now)
        # One that is over may go on in an extension; what reveals a value of its lines is over with it.
        return live if grant.is_live(now) else [one for one in live if grant.id in one.extends]
    if on.kind is LockKind.REQUEST:
        found = tx.requests.find(RequestId(on.name))
        if found is None or not may_see_request(tx, caller, found):
            raise NotFound(f"There is no request {on.name} for you.", next_step="loglease requests")
        require_may_revoke(tx, caller, found)
    if on.kind is LockKind.TOKEN and tx.tokens.find(TokenId(on.name)) is None:
        raise NotFound(f"There is no token {on.name}.", next_step="loglease token list")
    return dependent_grants(tx, on, now)


def _journalled(revoked: Revoked, reason: str, by: PrincipalId) -> JournalRecord:
    return JournalRecord(
        kind="revoke", id=revoked.id, on=str(revoked.on), grants=revoked.grants, at=revoked.at, reason=reason, by=by
    )


async def _revoke_here(
    on: LockOn,
    revocation: RevocationId,
    *,
    reason: str,
    caller: Caller,
    store: Store,
    watch: Watch,
    journal: Journal,
    now: Instant,
) -> Revoked:
    """Make a revocation durable in the journal and apply it in memory, while the record cannot be made."""

    def query(tx: Transaction) -> Revoked:
        exact = resolved(tx, on)
        grants = _affected(tx, exact, caller, now)
        if exact.kind is LockKind.GRANT and not grants:
            return _first(tx, exact, caller, now)
        return Revoked(id=revocation, on=exact, grants=tuple(one.id for one in grants), at=now, durable=False)

    revoked = await store.read(query, urgent=True)
    if revoked.durable:
        return revoked
    await journal.append(_journalled(revoked, reason, caller.principal.id))
    watch.unrecorded.add(revoked.id)
    for grant_id in revoked.grants:
        watch.apply(GrantCut(grant=grant_id, why=CloseWhy.REVOKED, text="grant revoked"))
    if revoked.on.kind is LockKind.TOKEN:
        watch.apply(token_cut(revoked.on.name))
    return revoked
