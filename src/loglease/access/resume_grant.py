"""Let a suspended grant be used again: somebody who may revoke it, and never its holder."""

from __future__ import annotations

from loglease.access.caller import Caller
from loglease.access.commitments import Commitments, Random
from loglease.access.errors import NotPermitted
from loglease.access.permissions import require_may_revoke, visible_grant
from loglease.access.records import Data, refs
from loglease.audit.interface import Draft, EntryLog, Recorded
from loglease.model.grant import Grant, refusal
from loglease.model.hold import SuspendCause
from loglease.model.ids import ENTRY, EntryId, GrantId, NewId
from loglease.model.instant import Instant
from loglease.store.interface import Transaction


async def resume_grant(
    grant_id: GrantId, *, reason: str, caller: Caller, log: EntryLog[Transaction], new_id: NewId, random: Random
) -> Grant:
    """Lift the suspension that a person set. No session resumes by itself; without one nothing changes.

    Raises:
        NotFound: there is none that the caller may see.
        NotPermitted: the caller holds it, or may not revoke it either.
        GrantEnded: it ended meanwhile.
    """

    def work(tx: Transaction, now: Instant) -> Recorded[Grant]:
        grant, request = visible_grant(tx, caller, grant_id)
        require_may_revoke(caller, request)
        if caller.principal.persons & request.persons:
            raise NotPermitted("Nobody resumes their own grant.", next_step="Ask whoever suspended it.")
        if not grant.is_live(now):
            raise refusal(grant, now)
        found = [one for one in tx.holds.suspensions(grant.id) if one.cause is SuspendCause.PERSON]
        if not found:
            return Recorded(grant)
        tx.holds.delete_suspension(found[0])
        commitments = Commitments(random)
        data: Data = {"cause": "person"}
        if reason:
            data["reason_c"] = commitments.to("reason_c", reason)
        entry = Draft(
            id=EntryId(new_id(ENTRY)),
            type="grant.resumed",
            actor=caller.principal.subject,
            ref=refs(request=grant.request, grant=grant.id),
            data=data,
            private=commitments.taken(),
        )
        return Recorded(grant, (entry,))

    return await log.commit(work)
