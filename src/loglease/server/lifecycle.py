"""What is recorded when a process starts and stops, and what a start takes up from the process before it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Final

from loglease import __version__
from loglease.access.commitments import Random
from loglease.access.journal import Journal
from loglease.access.reassert import reassert
from loglease.access.records import Data
from loglease.access.recover_sessions import recover_sessions
from loglease.access.replicas import begun, ended, given_up
from loglease.access.restore import HeadFile, KnownHead, LeftLog, head_of, left_log
from loglease.access.watch import Watch
from loglease.audit.integrator import SignedHead
from loglease.audit.interface import SYSTEM, Draft, EntryLog, Recorded
from loglease.audit.lost import LogBehind, put_back_lost
from loglease.model.digest import sha256_hex
from loglease.model.ids import ENTRY, EntryId, NewId
from loglease.model.instant import Instant
from loglease.model.replica import Run
from loglease.redaction import Library
from loglease.server.bundles import Proved, accepted
from loglease.server.log_key import LogKeys, named_keys, rotation
from loglease.server.publishing import Publishing
from loglease.server.redaction_rules import keep_digests, sha256_of
from loglease.server.settings import Settings
from loglease.store.interface import Transaction
from loglease.store.store_interface import Store

ORIGIN: Final = "audit_origin"
REDACTION: Final = "redaction_sha256"
SCHEMA: Final = 1


async def record_start(
    *,
    log: EntryLog[Transaction],
    settings: Settings,
    policy: Proved,
    library: Library,
    run: Run,
    is_shared: bool,
    keys: LogKeys,
    new_id: NewId,
) -> str:
    """Record that a run of a replica begins, and its policy and rules if they are new; return how the last one ended.

    Args:
        is_shared: whether other servers may use the database; else all that were there are gone.
        keys: the log's; their name is its name.

    Raises:
        BundleRefused: a newer bundle was accepted meanwhile.
    """
    config = sha256_hex(settings.model_dump_json().encode())

    def work(tx: Transaction, now: Instant) -> Recorded[str]:
        others = [] if is_shared else [one for one in tx.replicas.running() if one.run.replica != run.replica]
        gone = [given_up(tx, one, new_id) for one in others]
        after = begun(tx, run, now)
        key = keys.key.verifier
        if tx.values.find(ORIGIN) is None:
            tx.values.put(ORIGIN, key.name)
        rotated = rotation(named_keys(tx), keys, now, new_id)
        started = Draft(
            id=EntryId(new_id(ENTRY)),
            type="service.started",
            actor=SYSTEM,
            data={
                "replica": run.replica,
                "version": __version__,
                "plugins": [str(one) for one in library.extensions.plugins],
                "schema": SCHEMA,
                "config_sha256": config,
                "epoch": tx.epoch,
                "origin": key.name,
                "vkey": str(key),
                "after": after,
            },
        )
        entries = (
            *((rotated,) if rotated else ()),
            *gone,
            started,
            *rules_entry(tx, library, new_id),
            *accepted(tx, policy, now, new_id),
        )
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
    *, log: EntryLog[Transaction], journal: Journal, watch: Watch, replica: str, new_id: NewId, random: Random
) -> tuple[int, int]:
    """Record revocations that only the journal has, and close the sessions of crashed processes; return how many.

    Args:
        replica: the calling one, of which nothing is served yet.
    """
    late = await reassert(journal, log=log, watch=watch, new_id=new_id, random=random)
    crashed = 0
    while closed := await recover_sessions(log=log, new_id=new_id, own=replica):
        crashed += closed
    return late, crashed


async def known_before(store: Store, head: HeadFile) -> tuple[LeftLog | None, KnownHead | None]:
    """Return the generation of the log that was left and is not on the record yet, and what was kept of this one.

    What is kept beside the database is of the generation that was left, so it is forgotten before this one begins.
    """
    left = await store.read(left_log)
    if left is not None:
        await asyncio.to_thread(head.forget)
    return left, await asyncio.to_thread(head.known)


async def put_back_signed(publishing: Publishing, store: Store, head: HeadFile, known: KnownHead | None) -> int:
    """Put entries back that were signed and that an older database lacks; return how many that were.

    What is signed from now on has to go on from all that was signed before, so that a start is refused otherwise.

    Args:
        known: what was kept beside the database, of this generation of the log.

    Raises:
        LogBehind: nothing here has them.
        Tampered: what is in the log directory was not signed by the log's key.
    """
    published = await publishing.published_head()
    put_back = 0
    if published is not None and not await store.read(lambda tx: has_signed(tx, published)):
        # Once it begins, this counts as a restored database until a start has come to its end.
        put_back = await put_back_lost(
            publishing.ledger, publishing.files, publishing.signers[0], published, begins=head.forget
        )
    # What this server has published was held against the database just now; of several each answers for that alone.
    held = published.checkpoint.size if store.is_shared and published is not None else -1
    if known is not None and known.signed_size > held:
        await require_known(store, known)
    return put_back


async def require_known(store: Store, known: KnownHead | None) -> None:
    """Check that a database has all that was signed when its head was kept last.

    Raises:
        LogBehind: it is older.
    """
    if known is not None and not await store.read(lambda tx: _reaches_signed(tx, known)):
        raise LogBehind(
            f"The database is older than this: {known.signed_size} entries of its audit log were signed.",
            next_step="Put back a newer backup of the database, or the log directory as it was last published."
            " From a copy of that elsewhere: loglease audit restore --from DIR",
        )


def has_signed(tx: Transaction, published: SignedHead) -> bool:
    """Say whether the database knows a head of the log directory."""
    found = tx.checkpoints.at(published.checkpoint.size)
    return found is not None and found.root == published.checkpoint.root


def _reaches_signed(tx: Transaction, known: KnownHead) -> bool:
    if known.signed_size == 0:
        return True
    found = tx.checkpoints.at(known.signed_size)
    return found is not None and found.root.hex() == known.signed_root


async def keep_head(head: HeadFile, store: Store, published: SignedHead | None = None) -> None:
    """Keep beside the database how far its log is, so that an older one is recognised.

    Args:
        published: what the calling server has published. Of several each answers for that: more of what was signed may
            be lost in a failover with nobody having seen it.
    """
    known = await store.read(head_of, urgent=True)
    if store.is_shared:
        size, root = (0, b"") if published is None else (published.checkpoint.size, published.checkpoint.root)
        known = replace(known, signed_size=size, signed_root=root.hex())
    await asyncio.to_thread(head.keep, known)


async def record_stop(*, log: EntryLog[Transaction], run: Run, why: str, new_id: NewId) -> None:
    """Record that a run stops; nothing where it was given up for lost already."""

    def work(tx: Transaction, _now: Instant) -> Recorded[None]:
        if not ended(tx, run):
            return Recorded(None)
        data = {"replica": run.replica, "why": why}
        entry = Draft(id=EntryId(new_id(ENTRY)), type="service.stopped", actor=SYSTEM, data=data)
        return Recorded(None, (entry,))

    await log.commit(work, urgent=True)
