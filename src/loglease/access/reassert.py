"""Record what only the revocation journal has: acts that took effect while the record could not be made."""

from __future__ import annotations

from loglease.access.add_lock import lock_entries
from loglease.access.commitments import Random
from loglease.access.dependents import asked_before, dependent_grants, take_away
from loglease.access.journal import Journal, JournalRecord
from loglease.access.suspend_grant import suspended_entry
from loglease.access.watch import Watch
from loglease.audit.interface import SYSTEM, Draft, EntryLog, Recorded
from loglease.model.grant import Grant
from loglease.model.ids import EntryId, LockId, NewId, PrincipalId, RevocationId
from loglease.model.instant import Instant
from loglease.store.interface import RevocationRow, Transaction


async def reassert(journal: Journal, *, log: EntryLog[Transaction], watch: Watch, new_id: NewId, random: Random) -> int:
    """Record revocations, locks and suspensions that the database does not know, and return how many there were.

    Runs before a process serves anything, and again while `watch.unrecorded` holds something.

    Raises:
        AuditUnavailable: they still cannot be recorded, so nothing new may begin yet.
    """
    known = frozenset(watch.unrecorded)

    def work(tx: Transaction, now: Instant) -> Recorded[int]:
        entries: list[Draft] = []
        late = 0
        for record in journal.records():
            if _is_recorded(tx, record):
                continue
            late += 1
            actor = _actor(tx, record)
            if record.kind == "suspend":
                entries += _suspended(tx, record, now, actor=actor, random=random)
                continue
            if record.kind == "lock":
                lock = record.lock()
                tx.holds.insert_lock(lock)
                entries += lock_entries(tx, lock, actor=actor, new_id=new_id, random=random)
                continue
            row = record.row()
            grants = _concerned(tx, row, now)
            entries += take_away(tx, row, grants, actor=actor, now=now, new_id=new_id, random=random, late=True)
        return Recorded(late, tuple(entries))

    late = await log.commit(work, urgent=True)
    watch.unrecorded -= known
    return late


def late_in(tx: Transaction, journal: Journal) -> int:
    """Return how many acts only the journal has."""
    return sum(not _is_recorded(tx, record) for record in journal.records())


def _actor(tx: Transaction, record: JournalRecord) -> str:
    """Return the subject of whoever acted; the system for the operator of the machine, who has no account."""
    found = None if record.by is None else tx.principals.find(PrincipalId(record.by))
    return SYSTEM if found is None else found.subject


def _suspended(tx: Transaction, record: JournalRecord, now: Instant, *, actor: str, random: Random) -> list[Draft]:
    grant = tx.grants.find(record.grants[0])
    if grant is None or not grant.is_live(now):
        return []
    suspension = record.suspension()
    tx.holds.insert_suspension(suspension)
    return [suspended_entry(grant, suspension, entry_id=EntryId(record.id), actor=actor, random=random)]


def _concerned(tx: Transaction, row: RevocationRow, now: Instant) -> list[Grant]:
    """Return the live grants that the act named, and those that came out of requests it should have cancelled."""
    named = [grant for grant_id in row.grants if (grant := tx.grants.find(grant_id)) is not None and grant.is_live(now)]
    slipped = [
        grant
        for grant in dependent_grants(tx, row.on, now)
        if grant.id not in row.grants and asked_before(tx, grant, row.at)
    ]
    return named + slipped


def _is_recorded(tx: Transaction, record: JournalRecord) -> bool:
    if record.kind == "suspend":
        return tx.entries.find(record.id) is not None
    if record.kind == "lock":
        return tx.holds.find_lock(LockId(record.id)) is not None
    return tx.revocations.find(RevocationId(record.id)) is not None
