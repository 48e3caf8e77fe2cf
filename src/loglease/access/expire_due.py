"""Write down what the clock has already decided. Nothing depends on this having run."""

from __future__ import annotations

from typing import Final

from loglease.access.ending import ended
from loglease.access.records import refs
from loglease.audit.interface import SYSTEM, Draft, EntryLog, Recorded
from loglease.model.access_request import RequestMove, move
from loglease.model.ids import ENTRY, EntryId, NewId
from loglease.model.instant import Instant
from loglease.store.interface import Transaction

AT_ONCE: Final = 100


async def expire_due(*, log: EntryLog[Transaction], new_id: NewId) -> int:
    """Expire requests and end grants whose time is over or that lie idle; return how many, at most 200 a call."""

    def work(tx: Transaction, now: Instant) -> Recorded[int]:
        entries = [*_requests(tx, now, new_id), *_grants(tx, now, new_id)]
        return Recorded(len(entries), tuple(entries))

    return await log.commit(work)


def _requests(tx: Transaction, now: Instant, new_id: NewId) -> list[Draft]:
    entries = []
    for request in tx.requests.due(now, AT_ONCE):
        tx.requests.update(move(request, RequestMove.EXPIRE, by=None, now=now, cause="expired"))
        entries.append(
            Draft(id=EntryId(new_id(ENTRY)), type="request.expired", actor=SYSTEM, ref=refs(request=request.id))
        )
    return entries


def _grants(tx: Transaction, now: Instant, new_id: NewId) -> list[Draft]:
    return [
        entry
        for grant in tx.grants.due(now, AT_ONCE)
        if (how := grant.lapse(now)) is not None
        for entry in ended(tx, grant, how, by=None, now=now, new_id=new_id)[1]
    ]
