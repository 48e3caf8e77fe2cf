"""Close the sessions of processes that are gone. What they had on the record counts as served."""

from __future__ import annotations

from loglease.access.close_session import closed_entry, is_unused
from loglease.access.serving import NOTHING
from loglease.audit.interface import EntryLog, Recorded
from loglease.model.ids import NewId
from loglease.model.instant import Instant
from loglease.model.session import SessionMove, move
from loglease.store.interface import Transaction

AT_ONCE = 1_000


def are_left(tx: Transaction) -> bool:
    """Say whether a session of a replica that does not run is open: who gave that up may have died meanwhile."""
    return bool(tx.sessions.unclosed(1, but_of={one.run.replica for one in tx.replicas.running()}))


async def recover_sessions(*, log: EntryLog[Transaction], new_id: NewId, own: str | None = None) -> int:
    """Close the sessions of all replicas that do not run; return how many, at most 1,000 a call.

    Args:
        own: a replica that counts as gone, too: the calling one at its start, before it serves anything.
    """

    def work(tx: Transaction, now: Instant) -> Recorded[int]:
        running = {one.run.replica for one in tx.replicas.running()} - {own}
        entries = []
        for session in tx.sessions.unclosed(AT_ONCE, but_of=running):
            closed = move(session, SessionMove.RECOVER, now=now)
            tx.sessions.update(closed)
            grant = tx.grants.find(session.grant)
            if grant is not None and grant.shape.idle_timeout_s is not None and is_unused(tx, grant, now):
                tx.grants.update(grant.resting(now))
            entries.append(
                closed_entry(tx, closed, settled=NOTHING, salt=b"", cut_ms=None, crashed=True, new_id=new_id)
            )
        return Recorded(len(entries), tuple(entries))

    return await log.commit(work, urgent=True)
