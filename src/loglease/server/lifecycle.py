"""What is recorded when a process starts and stops, and what a start takes up from the process before it."""

from __future__ import annotations

import asyncio
import base64
from typing import Final

from loglease import __version__
from loglease.access.commitments import Random
from loglease.access.journal import Journal
from loglease.access.reassert import reassert
from loglease.access.records import Data
from loglease.access.recover_sessions import recover_sessions
from loglease.access.restore import HeadFile, head_of
from loglease.access.watch import Watch
from loglease.audit.interface import SYSTEM, Draft, EntryLog, Recorded
from loglease.model.digest import sha256_hex
from loglease.model.ids import ENTRY, EntryId, NewId
from loglease.model.instant import Instant
from loglease.redaction import Library
from loglease.server.bundles import Proved, accepted
from loglease.server.redaction_rules import keep_digests, sha256_of
from loglease.server.settings import Settings
from loglease.store.interface import Store, Transaction

ORIGIN: Final = "audit_origin"
STATE: Final = "service_state"
REDACTION: Final = "redaction_sha256"
SCHEMA: Final = 1
NO_KEY: Final = "none"
"""The log's verifier key, until checkpoints are signed."""

_ORIGIN_BYTES: Final = 10


async def record_start(
    *,
    log: EntryLog[Transaction],
    settings: Settings,
    policy: Proved,
    library: Library,
    replica: str,
    new_id: NewId,
    random: Random,
) -> str:
    """Record that a process starts, and its policy and rules if they are new; return how the last process ended.

    Raises:
        BundleRefused: a newer bundle was accepted meanwhile.
    """
    config = sha256_hex(settings.model_dump_json().encode())

    def work(tx: Transaction, now: Instant) -> Recorded[str]:
        after = {None: "none", "stopped": "stop"}.get(tx.values.find(STATE), "crash")
        origin = tx.values.find(ORIGIN)
        if origin is None:
            drawn = base64.b32encode(random(_ORIGIN_BYTES)).decode().lower()[:_ORIGIN_BYTES]
            origin = f"loglease.local/{drawn}/1"
            tx.values.put(ORIGIN, origin)
        tx.values.put(STATE, "running")
        started = Draft(
            id=EntryId(new_id(ENTRY)),
            type="service.started",
            actor=SYSTEM,
            data={
                "replica": replica,
                "version": __version__,
                "plugins": [str(one) for one in library.extensions.plugins],
                "schema": SCHEMA,
                "config_sha256": config,
                "epoch": tx.epoch,
                "origin": origin,
                "vkey": NO_KEY,
                "after": after,
            },
        )
        entries = (started, *rules_entry(tx, library, new_id), *accepted(tx, policy, now, new_id))
        return Recorded(after, entries)

    return await log.commit(work, urgent=True)


def rules_entry(tx: Transaction, library: Library, new_id: NewId) -> tuple[Draft, ...]:
    """Keep which redaction rules are in force, and return the entry about it if they are not those of before."""
    keep_digests(tx, library)
    before, after = tx.values.find(REDACTION), sha256_of(library)
    if before == after:
        return ()
    tx.values.put(REDACTION, after)
    if before is None:
        return ()
    data: Data = {"keys": ["redaction.rules"], "before_sha256": before, "after_sha256": after}
    return (Draft(id=EntryId(new_id(ENTRY)), type="config.changed", actor=SYSTEM, data=data),)


async def take_up(
    *, log: EntryLog[Transaction], journal: Journal, watch: Watch, new_id: NewId, random: Random
) -> tuple[int, int]:
    """Record revocations that only the journal has, and close the sessions of a crashed process; return how many."""
    late = await reassert(journal, log=log, watch=watch, new_id=new_id, random=random)
    crashed = 0
    while closed := await recover_sessions(log=log, new_id=new_id):
        crashed += closed
    return late, crashed


async def keep_head(head: HeadFile, store: Store) -> None:
    """Keep beside the database how far its log is, so that an older one is recognised."""
    known = await store.read(head_of, urgent=True)
    await asyncio.to_thread(head.keep, known)


async def record_stop(*, log: EntryLog[Transaction], replica: str, why: str, new_id: NewId) -> None:
    """Record that a process stops."""

    def work(tx: Transaction, _now: Instant) -> Recorded[None]:
        tx.values.put(STATE, "stopped")
        data = {"replica": replica, "why": why}
        entry = Draft(id=EntryId(new_id(ENTRY)), type="service.stopped", actor=SYSTEM, data=data)
        return Recorded(None, (entry,))

    await log.commit(work, urgent=True)
