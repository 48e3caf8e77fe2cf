"""Give a grant back: the holder is done before its time is."""

from __future__ import annotations

from loglease.access.caller import Caller
from loglease.access.ending import ended
from loglease.access.permissions import held_grant
from loglease.audit.interface import EntryLog, Recorded
from loglease.model.grant import EndWhy, Grant, GrantMove
from loglease.model.ids import GrantId, NewId
from loglease.model.instant import Instant
from loglease.model.rights import Right
from loglease.store.interface import Transaction


async def return_grant(grant_id: GrantId, *, caller: Caller, log: EntryLog[Transaction], new_id: NewId) -> Grant:
    """End an own grant now, also a scheduled or suspended one; repeating it answers the first result.

    Raises:
        NotFound: there is none that the caller holds.
        GrantEnded: it ended otherwise before.
    """
    caller.require(Right.REQUESTS_WRITE)

    def work(tx: Transaction, now: Instant) -> Recorded[Grant]:
        grant = held_grant(tx, caller, grant_id)
        if grant.ended_why is EndWhy.RETURNED:
            return Recorded(grant)
        done, entries = ended(tx, grant, GrantMove.RETURN, by=caller.principal, now=now, new_id=new_id)
        return Recorded(done, entries)

    return await log.commit(work, urgent=True)
