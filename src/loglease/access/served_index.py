"""The tables by which served lists are found are made anew where they are not of this version's form.

Each entry is put into them in its own transaction, so they never lag. A restored log, and a version that knows other
tables, take the mark away.
"""

from __future__ import annotations

from typing import Final

from loglease.audit.interface import EntryLog, Recorded
from loglease.model.instant import Instant
from loglease.store.interface import Transaction

NAME: Final = "served_index"
"""The named value that holds the form of the tables."""
FORM: Final = "1"
_LIMIT_S: Final = 86_400.0


async def bring_up_served_index(log: EntryLog[Transaction]) -> int | None:
    """Make the tables anew if they have to be; return how many entries were looked at, None if they are as they should.

    A log of ten million entries takes some minutes.

    Raises:
        AuditUnavailable, StoreUnavailable: they could not be made; they are as they were.
    """

    def work(tx: Transaction, _now: Instant) -> Recorded[int | None]:
        if tx.values.find(NAME) == FORM:
            return Recorded(None)
        looked_at = tx.served.rebuild()
        tx.values.put(NAME, FORM)
        return Recorded(looked_at)

    return await log.commit(work, limit_s=_LIMIT_S)
