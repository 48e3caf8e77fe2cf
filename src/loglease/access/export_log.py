"""Export the audit log: what will leave is on the record before any of it does."""

from __future__ import annotations

from dataclasses import dataclass

from loglease.access.caller import Caller
from loglease.access.records import Data
from loglease.audit.interface import Draft, EntryLog, Recorded
from loglease.model.ids import ENTRY, EntryId, NewId
from loglease.model.instant import Instant
from loglease.store.interface import Transaction


@dataclass(frozen=True, slots=True)
class Exported:
    """Entries that are about to leave.

    Attributes:
        first: index of the first one.
        last: index of the last one.
        sha256: digest of the very bytes that leave.
        target: the door that they leave by.
    """

    format: str
    first: int
    last: int
    sha256: str
    target: str


async def record_export(exported: Exported, *, caller: Caller, log: EntryLog[Transaction], new_id: NewId) -> None:
    """Record an export; when this returns, the record is durable.

    Raises:
        AuditUnavailable: it could not be made durable, so nothing may leave.
    """
    data: Data = {
        "format": exported.format,
        "first": exported.first,
        "last": exported.last,
        "sha256": exported.sha256,
        "target": exported.target,
    }
    entry = Draft(id=EntryId(new_id(ENTRY)), type="log.exported", actor=caller.principal.subject, data=data)

    def work(_tx: Transaction, _now: Instant) -> Recorded[None]:
        return Recorded(None, (entry,))

    await log.commit(work)
