"""Which servers use the database: how one gets its place among them, and how the others give up one that is gone."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Final

from loglease.access.watch import LEASE_S, Watch
from loglease.audit.interface import SYSTEM, Draft, EntryLog, Recorded
from loglease.model.clock import Clock
from loglease.model.ids import ENTRY, EntryId, NewId
from loglease.model.instant import Instant
from loglease.model.replica import GIVEN_UP_S, Replica, ReplicaState, Run
from loglease.store.errors import StoreInUse
from loglease.store.interface import Transaction
from loglease.store.store_interface import Store

_LOOK_EVERY_S: Final = 0.1
_SECOND_NS: Final = 1_000_000_000


async def wait_for_place(name: str, *, store: Store, clock: Clock) -> None:
    """Return once no other run of a replica can hold a lease any more: what it serves has ended by then.

    Raises:
        StoreInUse: another run of it goes on.
        StoreUnavailable: the database cannot be read.
    """
    until_ns = clock.boot_ns() + round(LEASE_S * _SECOND_NS)
    first: Instant | None = None
    while store.is_shared:
        found = await store.read(lambda tx: tx.replicas.find(name), urgent=True)
        if found is None or found.state is not ReplicaState.RUNNING:
            return
        first = first or found.seen_at
        if found.seen_at != first:
            raise StoreInUse(
                f"Another server calls itself {name} and uses this database.",
                next_step="Give each server a data directory of its own; a copied one has the name of its original.",
            )
        if clock.boot_ns() >= until_ns:
            return
        await asyncio.sleep(_LOOK_EVERY_S)


def begun(tx: Transaction, run: Run, now: Instant) -> str:
    """Note that a run begins, and return how the one before ended: `none`, `stop`, `crash` or `lost`."""
    before = tx.replicas.find(run.replica)
    tx.replicas.put(Replica(run=run, state=ReplicaState.RUNNING, started_at=now, seen_at=now))
    return "none" if before is None else _ENDED[before.state]


_ENDED: Final = {ReplicaState.STOPPED: "stop", ReplicaState.RUNNING: "crash", ReplicaState.LOST: "lost"}


def ended(tx: Transaction, run: Run) -> bool:
    """Note that a run stops; False if it counts as running no more already."""
    found = tx.replicas.find(run.replica)
    if found is None or found.run != run or found.state is not ReplicaState.RUNNING:
        return False
    tx.replicas.put(replace(found, state=ReplicaState.STOPPED))
    return True


def given_up(tx: Transaction, gone: Replica, new_id: NewId) -> Draft:
    """Note that a replica is gone without a word, and return the entry about it."""
    tx.replicas.put(replace(gone, state=ReplicaState.LOST))
    data = {"replica": gone.run.replica, "why": "lost"}
    return Draft(id=EntryId(new_id(ENTRY)), type="service.stopped", actor=SYSTEM, data=data)


async def give_up_silent(*, log: EntryLog[Transaction], store: Store, watch: Watch, new_id: NewId) -> int:
    """Give up the replicas of which nothing was heard for long; return how many.

    Only by one that has held its own lease all that time: after an outage of the database, all others are silent, too.

    Raises:
        AuditUnavailable, StoreUnavailable: it cannot be recorded yet.
    """
    own = watch.run_of
    if own is None or watch.held_for_s < GIVEN_UP_S:
        return 0

    def silent(tx: Transaction, now: Instant) -> list[Replica]:
        return [one for one in tx.replicas.running() if one.is_silent(now) and one.run.replica != own.replica]

    if not await store.read(lambda tx: silent(tx, watch.now), urgent=True):
        return 0

    def work(tx: Transaction, now: Instant) -> Recorded[int]:
        found = silent(tx, now)
        return Recorded(len(found), tuple(given_up(tx, one, new_id) for one in found))

    return await log.commit(work, urgent=True)
