"""Lock a thing: while the lock is in force, what depends on it is suspended and nothing new begins there."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

from loglease.access.caller import Caller
from loglease.access.commitments import Commitments, Random
from loglease.access.dependents import cancelled_requests, dependent_grants, take_away
from loglease.access.journal import Journal, JournalRecord, JournalRefused, revocation_record
from loglease.access.once import Once
from loglease.access.records import Data, refs
from loglease.access.revoke import MAX_REASON, RECORD_WITHIN_S, resolved
from loglease.access.watch import LockCut, Watch
from loglease.audit.interface import AuditUnavailable, Draft, EntryLog, Recorded
from loglease.model.access_request import CancelWhy
from loglease.model.clock import Clock
from loglease.model.hold import Lock, LockKind, LockOn
from loglease.model.ids import ENTRY, LOCK, REVOCATION, EntryId, LockId, NewId, PersonId, PrincipalId, RevocationId
from loglease.model.instant import Instant, instant_text
from loglease.model.principal import Principal, Role
from loglease.store.interface import RevocationRow, StoreUnavailable, Transaction
from loglease.store.store_interface import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Locked:
    """A lock that is in force. `durable` False: this process's journal has it, the database does not yet."""

    lock: Lock
    durable: bool


_ON_PEOPLE = (LockKind.PERSON, LockKind.PRINCIPAL)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wanted:
    """A lock that somebody wants, with the act of revocation that goes with it, if one does."""

    on: LockOn
    reason: str
    until: Instant | None
    by: Principal
    lock_id: LockId
    revocation: RevocationId | None

    def at(self, tx: Transaction, now: Instant) -> tuple[Lock, RevocationRow | None]:
        on, by = resolved(tx, self.on), self.by.id
        lock = Lock(id=self.lock_id, on=on, reason=self.reason, added_by=by, added_at=now, until=self.until)
        if self.revocation is None:
            return lock, None
        grants = tuple(grant.id for grant in dependent_grants(tx, on, now))
        return lock, RevocationRow(id=self.revocation, on=on, grants=grants, by=by, at=now, reason=self.reason)


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

    wanted = _Wanted(
        on=on,
        reason=reason,
        until=until,
        by=caller.principal,
        lock_id=LockId(new_id(LOCK)),
        revocation=RevocationId(new_id(REVOCATION)) if revoke else None,
    )

    def work(tx: Transaction, now: Instant) -> Recorded[tuple[Lock, RevocationRow | None]]:
        if once is not None and (created := once.created(tx, now)) is not None:
            found = tx.holds.find_lock(LockId(created))
            if found is not None:
                return Recorded((found, None))
        lock, act = wanted.at(tx, now)
        same = [one for one in tx.holds.locks(now=now, on=lock.on) if one.until == until]
        if same and not revoke:
            return Recorded((same[0], None))
        tx.holds.insert_lock(lock)
        actor = caller.principal.subject
        entries = lock_entries(tx, lock, actor=actor, new_id=new_id, random=random)
        if act is not None:
            grants = dependent_grants(tx, act.on, now)
            entries += take_away(tx, act, grants, actor=actor, now=now, new_id=new_id, random=random)
        if once is not None:
            once.remember(tx, lock.id, now)
        return Recorded((lock, act), tuple(entries))

    try:
        lock, act = await log.commit(work, urgent=True, limit_s=RECORD_WITHIN_S)
    except (AuditUnavailable, StoreUnavailable):
        return await _lock_here(wanted, store=store, watch=watch, journal=journal, now=clock.now())
    if lock.id == wanted.lock_id:
        # The database has it; a journal that cannot be written is shown by health and stops no lock.
        with contextlib.suppress(JournalRefused):
            for record in _journalled(lock, act):
                await journal.append(record)
    return Locked(lock=lock, durable=True)


async def _lock_here(wanted: _Wanted, *, store: Store, watch: Watch, journal: Journal, now: Instant) -> Locked:
    """Make a lock durable in the journal and apply it in memory, while the record cannot be made."""
    lock, act = await store.read(lambda tx: wanted.at(tx, now), urgent=True)
    for record in _journalled(lock, act):
        await journal.append(record)
        watch.unrecorded.add(record.id)
    watch.apply(LockCut(on=lock.on, text="locked"))
    return Locked(lock=lock, durable=False)


def lock_record(lock: Lock) -> JournalRecord:
    """Return the journal's record of a lock."""
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


def _journalled(lock: Lock, act: RevocationRow | None) -> list[JournalRecord]:
    return [lock_record(lock)] if act is None else [lock_record(lock), revocation_record(act)]


def lock_entries(tx: Transaction, lock: Lock, *, actor: str, new_id: NewId, random: Random) -> list[Draft]:
    """Return the entries of a lock; a locked person's tokens and sign-ins end, and undecided requests are cancelled."""
    commitments = Commitments(random)
    more: Data = {"reason_c": commitments.to("reason_c", lock.reason)} if lock.reason else {}
    if lock.until is not None:
        more["until_at"] = instant_text(lock.until)
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
                    data={"lock": lock.id, "subject": one.subject, "cause": "lock", **more},
                    private=commitments.taken(),
                )
            )
        cancelled = cancelled_requests(
            tx,
            lock.on,
            CancelWhy.LOCKED,
            before=lock.added_at,
            by=lock.added_by,
            now=lock.added_at,
            actor=actor,
            new_id=new_id,
        )
        return [*drafts, *cancelled]
    data: Data = {"lock": lock.id, "on": str(lock.on.kind), **more}
    if lock.on.name:
        data["object"] = lock.on.name
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
