"""Stop a grant for now: its sessions are cut, and its clock runs on."""

from __future__ import annotations

from loglease.access.caller import Caller
from loglease.access.commitments import Commitments, Random
from loglease.access.permissions import require_may_revoke, visible_grant
from loglease.access.records import Data, refs
from loglease.audit.interface import Draft, EntryLog, Recorded
from loglease.model.grant import Grant, refusal
from loglease.model.hold import SuspendCause, Suspension
from loglease.model.ids import ENTRY, EntryId, GrantId, NewId
from loglease.model.instant import Instant
from loglease.store.interface import Transaction


async def suspend_grant(
    grant_id: GrantId, *, reason: str, caller: Caller, log: EntryLog[Transaction], new_id: NewId, random: Random
) -> Grant:
    """Suspend a live grant; suspending it again changes nothing.

    Raises:
        NotFound: there is none that the caller may see.
        NotPermitted: the caller may not revoke it either.
        GrantEnded: it has ended or was revoked.
    """

    def work(tx: Transaction, now: Instant) -> Recorded[Grant]:
        grant, request = visible_grant(tx, caller, grant_id)
        require_may_revoke(caller, request)
        if not grant.is_live(now):
            raise refusal(grant, now)
        if any(one.cause is SuspendCause.PERSON for one in tx.holds.suspensions(grant.id)):
            return Recorded(grant)
        tx.holds.insert_suspension(
            Suspension(grant=grant.id, cause=SuspendCause.PERSON, reason=reason, since=now, by=caller.principal.id)
        )
        commitments = Commitments(random)
        data: Data = {"cause": "person"}
        if reason:
            data["reason_c"] = commitments.to("reason_c", reason)
        entry = Draft(
            id=EntryId(new_id(ENTRY)),
            type="grant.suspended",
            actor=caller.principal.subject,
            ref=refs(request=grant.request, grant=grant.id),
            data=data,
            private=commitments.taken(),
        )
        return Recorded(grant, (entry,))

    return await log.commit(work, urgent=True)
