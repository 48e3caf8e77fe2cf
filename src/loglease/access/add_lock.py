"""Lock a thing: while the lock is in force, what depends on it is suspended and nothing new begins there."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

from loglease.access.caller import Caller
from loglease.access.commitments import Commitments, Random
from loglease.access.journal import Journal, JournalRecord
from loglease.access.once import Once
from loglease.access.records import Data, refs
from loglease.access.revoke import MAX_REASON, RECORD_WITHIN_S, dependent_grants, resolved, revoked_entries
from loglease.access.watch import LockCut, Watch
from loglease.audit.interface import AuditUnavailable, Draft, EntryLog, Recorded
from loglease.model.clock import Clock
from loglease.model.hold import Lock, LockKind, LockOn
from loglease.model.ids import ENTRY, LOCK, REVOCATION, EntryId, LockId, NewId, PersonId, PrincipalId, RevocationId
from loglease.model.instant import Instant, instant_text
from loglease.model.principal import Principal, Role
from loglease.store.interface import RevocationRow, Store, StoreUnavailable, Transaction


@dataclass(frozen=True, slots=True, kw_only=True)
class Locked:
    """A lock that is in force. `durable` False: this process's journal has it, the database does not yet."""

    lock: Lock
    durable: bool


_ON_PEOPLE = (LockKind.PERSON, LockKind.PRINCIPAL)


async def add_lock(
    on: LockOn,
    *,
    reason: str,
    until: Instant | None = None,
    revoke: bool = False,
    caller: Caller,
    log: EntryLog[Transaction],
    store: Store,
    watch: Watch,
    journal: Journal,
    clock: Clock,
    new_id: NewId,
    random: Random,
    once: Once | None = None,
) -> Locked:
    """Set a lock; with `revoke` the grants that depend on it are revoked in the same act. An equal lock is one lock.

    Like a revocation it does not wait for its record: the journal makes it durable while the record cannot be made.

    Raises:
        NotFound: nobody and nothing has that name.
        NotPermitted: the caller does not administer.
    """
    caller.require_role(Role.ADMIN)
    reason = reason[:MAX_REASON]

    lock_id = LockId(new_id(LOCK))

    def work(tx: Transaction, now: Instant) -> Recorded[Lock]:
        if once is not None and (created := once.created(tx, now)) is not None:
            found = tx.holds.find_lock(LockId(created))
            if found is not None:
                return Recorded(found)
        exact = resolved(tx, on)
        same = [lock for lock in tx.holds.locks(now=now, on=exact) if lock.until == until]
        if same and not revoke:
            return Recorded(same[0])
        lock = Lock(id=lock_id, on=exact, reason=reason, added_by=caller.principal.id, added_at=now, until=until)
        tx.holds.insert_lock(lock)
        entries = lock_entries(tx, lock, actor=caller.principal.subject, new_id=new_id, random=random)
        if revoke:
            grants = dependent_grants(tx, exact, now)
            row = RevocationRow(
                id=RevocationId(new_id(REVOCATION)),
                on=exact,
                grants=tuple(grant.id for grant in grants),
                by=caller.principal.id,
                at=now,
                reason=reason,
            )
            entries += revoked_entries(tx, row, grants, actor=caller.principal.subject, new_id=new_id, random=random)
            tx.revocations.insert(row)
        if once is not None:
            once.remember(tx, lock.id, now)
        return Recorded(lock, tuple(entries))

    try:
        lock = await log.commit(work, urgent=True, limit_s=RECORD_WITHIN_S)
    except (AuditUnavailable, StoreUnavailable):
        exact = await store.read(lambda tx: resolved(tx, on))
        by, now = caller.principal.id, clock.now()
        lock = Lock(id=lock_id, on=exact, reason=reason, added_by=by, added_at=now, until=until)
        await journal.append(_journalled(lock))
        watch.unrecorded.add(lock.id)
        watch.apply(LockCut(on=exact, text="locked"))
        return Locked(lock=lock, durable=False)
    # The database has it; a journal that cannot be written is shown by health and stops no lock.
    with contextlib.suppress(OSError):
        await journal.append(_journalled(lock))
    return Locked(lock=lock, durable=True)


def _journalled(lock: Lock) -> JournalRecord:
    return JournalRecord(
        kind="lock",
        id=lock.id,
        on=str(lock.on),
        grants=(),
        at=lock.added_at,
        reason=lock.reason,
        by=lock.added_by,
        until=lock.until,
    )


def lock_entries(tx: Transaction, lock: Lock, *, actor: str, new_id: NewId, random: Random) -> list[Draft]:
    """Return one entry for a thing, or one for each subject of a person; a locked person's tokens and sign-ins end."""
    commitments = Commitments(random)
    reason: Data = {"reason_c": commitments.to("reason_c", lock.reason)} if lock.reason else {}
    if lock.on.kind in _ON_PEOPLE:
        drafts = []
        subjects = set()
        for one in _people(tx, lock.on):
            tx.tokens.revoke(lock.added_at, principal=one.id)
            if one.subject in subjects:
                continue
            subjects.add(one.subject)
            drafts.append(
                Draft(
                    id=EntryId(new_id(ENTRY)),
                    type="principal.locked",
                    actor=actor,
                    ref=refs(lock=lock.id),
                    data={"lock": lock.id, "subject": one.subject, "cause": "lock", **reason},
                    private=commitments.taken(),
                )
            )
        return drafts
    data: Data = {"lock": lock.id, "on": str(lock.on.kind), **reason}
    if lock.on.name:
        data["object"] = lock.on.name
    if lock.until is not None:
        data["until_at"] = instant_text(lock.until)
    return [
        Draft(
            id=EntryId(new_id(ENTRY)),
            type="lock.added",
            actor=actor,
            ref=refs(lock=lock.id),
            data=data,
            private=commitments.taken(),
        )
    ]


def _people(tx: Transaction, on: LockOn) -> list[Principal]:
    if on.kind is LockKind.PERSON:
        return list(tx.principals.of_person(PersonId(on.name)))
    found = tx.principals.find(PrincipalId(on.name))
    return [] if found is None else [found]
