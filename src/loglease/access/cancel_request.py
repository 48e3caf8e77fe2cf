"""Cancel a pending request: its requester changes their mind."""

from __future__ import annotations

from loglease.access.caller import Caller
from loglease.access.errors import NotPermitted
from loglease.access.permissions import visible_request
from loglease.access.records import refs
from loglease.audit.interface import Draft, EntryLog, Recorded
from loglease.model.access_request import AccessRequest, CancelWhy, RequestMove, RequestState, move
from loglease.model.ids import ENTRY, EntryId, NewId, RequestId
from loglease.model.instant import Instant
from loglease.model.rights import Right
from loglease.store.interface import Transaction


async def cancel_request(
    request_id: RequestId, *, caller: Caller, log: EntryLog[Transaction], new_id: NewId
) -> AccessRequest:
    """Withdraw a pending request. Repeating it answers the first result and writes nothing.

    Raises:
        NotFound: there is none that the caller may see.
        NotPermitted: somebody else asked.
        RequestNotPending: it has its verdict; the error says which.
    """
    caller.require(Right.REQUESTS_WRITE)

    def work(tx: Transaction, now: Instant) -> Recorded[AccessRequest]:
        request = visible_request(tx, caller, request_id)
        if request.requester != caller.principal.id:
            raise NotPermitted("Only its requester cancels a request.", next_step="You may deny it.")
        if request.state is RequestState.CANCELLED:
            return Recorded(request)
        done = move(request, RequestMove.CANCEL, by=caller.principal.id, now=now, cause=CancelWhy.REQUESTER)
        tx.requests.update(done)
        entry = cancelled_entry(done, CancelWhy.REQUESTER, actor=caller.principal.subject, new_id=new_id)
        return Recorded(done, (entry,))

    return await log.commit(work)


def cancelled_entry(request: AccessRequest, why: CancelWhy, *, actor: str, new_id: NewId) -> Draft:
    """Return the entry that records a cancellation."""
    return Draft(
        id=EntryId(new_id(ENTRY)),
        type="request.cancelled",
        actor=actor,
        ref=refs(request=request.id),
        data={"why": str(why)},
    )
