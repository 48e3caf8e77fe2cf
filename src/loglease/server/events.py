"""Live events: thin ones, in the order of the audit log, each checked for visibility when it is sent."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from loglease.access.caller import Caller
from loglease.access.permissions import may_see_request
from loglease.audit.interface import EntryRow
from loglease.model.ids import GrantId, RequestId
from loglease.model.principal import Role
from loglease.store.entries_interface import StoredEntry
from loglease.store.interface import Transaction

AT_ONCE: Final = 200
_OVERSEERS: Final = frozenset({Role.AUDITOR, Role.ADMIN})
_PATHS: Final = (
    ("session", "sessions"),
    ("grant", "grants"),
    ("request", "requests"),
    ("lock", "locks"),
    ("token", "tokens"),
    ("proposal", "proposals"),
)


@dataclass(slots=True)
class Hub:
    """Wakes whoever follows the log when something was committed, and lets them all go when the process stops."""

    closed: bool = False
    _waiting: set[asyncio.Event] = field(default_factory=set)

    def committed(self, _rows: Sequence[EntryRow]) -> None:
        """Hear of entries that this process has made durable."""
        for event in self._waiting:
            event.set()

    def close(self) -> None:
        """End all that follow."""
        self.closed = True
        self.committed(())

    async def wait(self, seconds: float) -> bool:
        """Return True when something was committed, False when so much time has passed without."""
        event = asyncio.Event()
        self._waiting.add(event)
        try:
            await asyncio.wait_for(event.wait(), seconds)
        except TimeoutError:
            return False
        finally:
            self._waiting.discard(event)
        return True


@dataclass(frozen=True, slots=True)
class Batch:
    """Events after a position, and the position behind them."""

    events: tuple[dict[str, Any], ...]
    position: int


def events_since(tx: Transaction, caller: Caller, position: int, types: frozenset[str] | None) -> Batch:
    """Return what the caller may know of the entries from `position` on."""
    rows = tx.entries.since(position, types=types, limit=AT_ONCE)
    seen = (event_of(tx, caller, row) for row in rows)
    after = rows[-1].index + 1 if rows else max(position, tx.entries.size() if types else position)
    return Batch(tuple(event for event in seen if event is not None), after)


def event_of(tx: Transaction, caller: Caller, row: StoredEntry) -> dict[str, Any] | None:
    """Return a thin event, or None if the entry is not the caller's business."""
    entry = orjson.loads(row.content)
    ref: dict[str, str] = entry.get("ref", {})
    request = tx.requests.find(RequestId(ref["request"])) if "request" in ref else None
    visible = bool(caller.principal.roles & _OVERSEERS) if request is None else may_see_request(tx, caller, request)
    if not visible:
        return None
    kind, resource = next(((name, ref[name]) for name, _ in _PATHS if name in ref), ("", ""))
    version = 0 if request is None else request.version
    if kind == "grant" and (grant := tx.grants.find(GrantId(resource))) is not None:
        version = grant.version
    path = f"/api/v1/{dict(_PATHS)[kind]}/{resource}" if kind else "/api/v1/audit/entries"
    return {"id": str(row.index), "type": entry["type"], "at": entry["at"], "resource": path, "version": version}
