"""Lock a thing from the machine itself, when nobody can sign in: it needs neither the database nor a caller."""

from __future__ import annotations

import asyncio
from typing import Final

from loglease.access.add_lock import Locked, lock_record
from loglease.access.commitments import Random
from loglease.access.journal import Journal
from loglease.access.reassert import reassert
from loglease.access.revoke import MAX_REASON, RECORD_WITHIN_S, resolved
from loglease.access.watch import LockCut, Watch
from loglease.audit.interface import AuditUnavailable, EntryLog
from loglease.model.clock import Clock
from loglease.model.hold import Lock, LockOn
from loglease.model.ids import LOCK, PRINCIPAL, LockId, NewId, PrincipalId
from loglease.store.interface import StoreUnavailable, Transaction
from loglease.store.store_interface import Store

OPERATOR: Final = PrincipalId(f"{PRINCIPAL}_{'0' * 26}")
"""Nobody's account: such a lock was added by whoever runs the server. Any administrator may lift it."""


async def lock_locally(
    on: LockOn,
    *,
    reason: str,
    log: EntryLog[Transaction],
    store: Store,
    watch: Watch,
    journal: Journal,
    clock: Clock,
    new_id: NewId,
    random: Random,
) -> Locked:
    """Journal a lock, cut what it matches at once, and record it as soon as the database lets it.

    Raises:
        NotFound: nobody has that name.
        OSError: the journal cannot be written, so nothing was locked.
    """
    lock = Lock(
        id=LockId(new_id(LOCK)),
        on=await _exact(on, store),
        reason=reason[:MAX_REASON],
        added_by=OPERATOR,
        added_at=clock.now(),
    )
    await journal.append(lock_record(lock))
    watch.unrecorded.add(lock.id)
    watch.apply(LockCut(on=lock.on, text="locked"))
    try:
        async with asyncio.timeout(RECORD_WITHIN_S):
            await reassert(journal, log=log, watch=watch, new_id=new_id, random=random)
    except (AuditUnavailable, StoreUnavailable, TimeoutError):
        return Locked(lock=lock, durable=False)
    return Locked(lock=lock, durable=True)


async def _exact(on: LockOn, store: Store) -> LockOn:
    """Return the thing by its id, as far as the database can say; without it names stay as they are."""
    try:
        async with asyncio.timeout(RECORD_WITHIN_S):
            return await store.read(lambda tx: resolved(tx, on), urgent=True)
    except (StoreUnavailable, TimeoutError):
        return on
