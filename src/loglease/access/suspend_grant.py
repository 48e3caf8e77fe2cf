"""Stop a grant for now: its sessions are cut, and its clock runs on. It never waits for its record."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

from loglease.access.caller import Caller
from loglease.access.commitments import Commitments, Random
from loglease.access.journal import Journal, JournalRecord, JournalRefused
from loglease.access.permissions import require_may_revoke, visible_grant
from loglease.access.records import Data, refs
from loglease.access.revoke import MAX_REASON, RECORD_WITHIN_S
from loglease.access.watch import GrantCut, Watch
from loglease.audit.interface import AuditUnavailable, Draft, EntryLog, Recorded
from loglease.model.clock import Clock
from loglease.model.grant import Grant, refusal
from loglease.model.hold import LockKind, LockOn, SuspendCause, Suspension
from loglease.model.ids import ENTRY, EntryId, GrantId, NewId, PrincipalId
from loglease.model.instant import Instant
from loglease.model.session import CloseWhy
from loglease.store.interface import StoreUnavailable, Transaction
from loglease.store.store_interface import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Suspended:
    """A grant that is suspended. `durable` False: this process's journal has it, the database does not yet."""

    grant: Grant
    durable: bool


async def suspend_grant(
    grant_id: GrantId,
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
) -> Suspended:
    """Suspend a live grant; suspending it again changes nothing.

    Raises:
        NotFound: there is none that the caller may see.
        NotPermitted: the caller may not revoke it either.
        GrantEnded: it has ended or was revoked.
    """
    entry_id = EntryId(new_id(ENTRY))
    reason = reason[:MAX_REASON]

    def work(tx: Transaction, now: Instant) -> Recorded[tuple[Grant, Suspension | None]]:
        grant, wanted = _wanted(tx, grant_id, reason, caller, now)
        if wanted is None:
            return Recorded((grant, None))
        tx.holds.insert_suspension(wanted)
        entry = suspended_entry(grant, wanted, entry_id=entry_id, actor=caller.principal.subject, random=random)
        return Recorded((grant, wanted), (entry,))

    try:
        grant, suspension = await log.commit(work, urgent=True, limit_s=RECORD_WITHIN_S)
    except (AuditUnavailable, StoreUnavailable):
        now = clock.now()
        grant, suspension = await store.read(lambda tx: _wanted(tx, grant_id, reason, caller, now), urgent=True)
        if suspension is not None:
            await journal.append(_journalled(suspension, entry_id, caller.principal.id))
            watch.unrecorded.add(entry_id)
            watch.apply(GrantCut(grant=grant.id, why=CloseWhy.SUSPENDED, text="grant suspended"))
            return Suspended(grant=grant, durable=False)
        return Suspended(grant=grant, durable=True)
    if suspension is not None:
        # The database has it; a journal that cannot be written is shown by health and stops no suspension.
        with contextlib.suppress(JournalRefused):
            await journal.append(_journalled(suspension, entry_id, caller.principal.id))
    return Suspended(grant=grant, durable=True)


def _wanted(
    tx: Transaction, grant_id: GrantId, reason: str, caller: Caller, now: Instant
) -> tuple[Grant, Suspension | None]:
    """Return the grant and the suspension to be; None if a person has suspended it before."""
    grant, request = visible_grant(tx, caller, grant_id)
    require_may_revoke(tx, caller, request)
    if not grant.is_live(now):
        raise refusal(grant, now)
    if any(one.cause is SuspendCause.PERSON for one in tx.holds.suspensions(grant.id)):
        return grant, None
    by = caller.principal.id
    return grant, Suspension(grant=grant.id, cause=SuspendCause.PERSON, reason=reason, since=now, by=by)


def _journalled(suspension: Suspension, entry_id: EntryId, by: PrincipalId) -> JournalRecord:
    """Return the journal's record; it bears the id of the entry, so that it is seen whether that was written."""
    return JournalRecord(
        kind="suspend",
        id=entry_id,
        on=str(LockOn(LockKind.GRANT, suspension.grant)),
        grants=(suspension.grant,),
        at=suspension.since,
        reason=suspension.reason,
        by=by,
    )


def suspended_entry(grant: Grant, suspension: Suspension, *, entry_id: EntryId, actor: str, random: Random) -> Draft:
    """Return the entry of a suspension."""
    commitments = Commitments(random)
    data: Data = {"cause": str(suspension.cause)}
    if suspension.reason:
        data["reason_c"] = commitments.to("reason_c", suspension.reason)
    return Draft(
        id=entry_id,
        type="grant.suspended",
        actor=actor,
        ref=refs(request=grant.request, grant=grant.id),
        data=data,
        private=commitments.taken(),
    )
