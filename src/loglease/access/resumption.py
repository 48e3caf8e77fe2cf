"""Record that the audit log takes records again: from when it did not, what was refused, and what is recorded late."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol

import orjson

from loglease.access.records import Data
from loglease.audit.interface import SYSTEM, Draft, Recorded
from loglease.model.ids import EntryId
from loglease.model.instant import Instant, instant_text, parse_instant
from loglease.store.interface import Transaction

Done = tuple[int, Instant]


class Commit(Protocol):
    """An entrance to the log."""

    def __call__(self, work: Callable[[Transaction, Instant], Recorded[Done]], /) -> Awaitable[Done]:
        """Commit a work, and return its result."""


async def record_resumption(
    entry_id: EntryId,
    *,
    commit: Commit,
    replica: str,
    since: Instant,
    refused: int,
    late: Callable[[Transaction], int] = lambda _tx: 0,
) -> Done:
    """Record it and return how many refused works are on the record with it, and up to when.

    An earlier attempt under the same identifier, of which nobody knew, counts instead if it is on the record.

    Args:
        late: says how many revocations took effect and are to be recorded after this.

    Raises:
        AuditUnavailable: nothing can be recorded yet.
    """

    def work(tx: Transaction, now: Instant) -> Recorded[Done]:
        known = tx.entries.find(entry_id)
        if known is not None:
            data = orjson.loads(known.content)["data"]
            return Recorded((data["refused"], parse_instant(data["until_at"])))
        # The clock may have been put back meanwhile.
        since_then = min(since, now)
        data = _data(replica, since_then, now, refused, late(tx))
        return Recorded((refused, now), (Draft(id=entry_id, type="audit.resumed", actor=SYSTEM, data=data),))

    return await commit(work)


def _data(replica: str, since: Instant, until: Instant, refused: int, late: int) -> Data:
    return {
        "replica": replica,
        "from_at": instant_text(since),
        "until_at": instant_text(until),
        "refused": refused,
        "late": late,
    }
