"""What is remembered of sinks, and which signed heads they are still to get."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from loglease.audit.interface import EntryLog, Recorded
from loglease.audit.sinks.delivery import SinkState
from loglease.model.instant import Instant
from loglease.store.interface import Transaction
from loglease.store.sinks_interface import StoredSinkState
from loglease.store.store_interface import Store

_WITHIN_S: Final = 10.0


class StoredHeads:
    """The signed heads in the database, and the states of sinks."""

    def __init__(self, store: Store, log: EntryLog[Transaction], *, replica: str) -> None:
        self._store = store
        self._log = log
        # Each server of several keeps the heads with sinks of its own, such as files on its disk.
        self._place = f"@{replica}" if store.is_shared else ""

    async def after(self, size: int, limit: int) -> Sequence[bytes]:
        """Return signed heads above a size, in order."""
        found = await self._store.read(lambda tx: tx.checkpoints.since(size + 1, limit=limit), urgent=True)
        return [one.note for one in found]

    async def newest_size(self) -> int:
        """Return the size of the newest signed head; 0 before the first."""
        last = await self._store.read(lambda tx: tx.checkpoints.last(), urgent=True)
        return 0 if last is None else last.size

    async def root_at(self, size: int) -> bytes | None:
        """Return the root of the signed head of exactly this size; None if there is none."""
        found = await self._store.read(lambda tx: tx.checkpoints.at(size), urgent=True)
        return None if found is None else found.root

    async def state(self, sink: str) -> SinkState | None:
        """Return what is remembered of a sink; None for one that is new."""
        found = await self._store.read(lambda tx: tx.sinks.find(f"{sink}{self._place}"), urgent=True)
        return None if found is None else SinkState(found.size, found.since)

    async def keep(self, sink: str, state: SinkState) -> None:
        """Remember how far a sink is."""

        def work(tx: Transaction, _now: Instant) -> Recorded[None]:
            tx.sinks.put(f"{sink}{self._place}", StoredSinkState(state.size, state.since))
            return Recorded(None)

        await self._log.commit(work, urgent=True, limit_s=_WITHIN_S)
