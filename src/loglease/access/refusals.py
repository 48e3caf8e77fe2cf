"""Refused calls on the record: each one while there are few, counted together when there are many."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from loglease.access.caller import Caller
from loglease.access.records import Data
from loglease.audit.interface import SYSTEM, Draft, EntryLog, Recorded
from loglease.model.ids import ENTRY, EntryId, NewId
from loglease.model.instant import MICROSECONDS, Instant, instant_text
from loglease.store.interface import Transaction

SINGLY_A_MINUTE: Final = 10
MAX_KEYS: Final = 10_000
_MINUTE: Final = 60 * MICROSECONDS

Key = tuple[str, str, str]
"""Subject, operation and code."""


@dataclass(slots=True)
class _Minute:
    started: Instant
    singly: int = 0
    count: int = 0
    first_at: Instant | None = None
    last_at: Instant | None = None


@dataclass(slots=True)
class Refusals:
    """Counts refused calls per caller, operation and code; bounded, and never in the way of an answer."""

    new_id: NewId
    _minutes: dict[Key, _Minute] = field(default_factory=dict)

    def note(
        self, *, operation: str, code: str, caller: Caller | None, now: Instant, ref: dict[str, str] | None = None
    ) -> Draft | None:
        """Count a refusal; return its entry if it is to be recorded by itself, None if it is counted with others."""
        key = (caller.principal.subject if caller else SYSTEM, operation, code)
        minute = self._minutes.get(key)
        if minute is None and len(self._minutes) >= MAX_KEYS:
            key = (SYSTEM, "any", "overflow")
            minute = self._minutes.get(key)
        if minute is None or (now - minute.started >= _MINUTE and minute.count == 0):
            minute = self._minutes[key] = _Minute(started=now)
        if minute.singly < SINGLY_A_MINUTE:
            minute.singly += 1
            return self._draft(key, 1, now, now, ref or {})
        minute.first_at = minute.first_at or now
        minute.last_at = now
        minute.count += 1
        return None

    def due(self, now: Instant) -> tuple[Draft, ...]:
        """Return one entry for each caller and code whose refusals were counted together, and forget old ones."""
        drafts = []
        for key, minute in list(self._minutes.items()):
            if now - minute.started < _MINUTE:
                continue
            if minute.count:
                drafts.append(self._draft(key, minute.count, minute.first_at or now, minute.last_at or now, {}))
            del self._minutes[key]
        return tuple(drafts)

    def _draft(self, key: Key, count: int, first_at: Instant, last_at: Instant, ref: dict[str, str]) -> Draft:
        subject, operation, code = key
        data: Data = {
            "operation": operation,
            "code": code,
            "count": count,
            "first_at": instant_text(first_at),
            "last_at": instant_text(last_at),
        }
        return Draft(id=EntryId(self.new_id(ENTRY)), type="access.refused", actor=subject, ref=ref, data=data)


async def record_refusals(drafts: tuple[Draft, ...], *, log: EntryLog[Transaction]) -> None:
    """Append refusals to the log."""

    def work(_tx: Transaction, _now: Instant) -> Recorded[None]:
        return Recorded(None, drafts)

    if drafts:
        await log.commit(work)
