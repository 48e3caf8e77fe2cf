"""What is on the record of a clock that cannot be trusted. While it is, nothing opens and nothing is activated.

The mark in the database is written in the transaction of `clock.suspect` and taken away in that of `clock.trusted`, and
what begins looks at it in its own. So nothing that begins gets a place in the log between the two, whatever it waited
for, and a start finds it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from loglease.access.errors import ClockSuspect
from loglease.access.records import Data
from loglease.access.watch import CLOCK_SUSPECT, Watch
from loglease.audit.interface import SYSTEM, Draft, EntryLog, Recorded
from loglease.model.ids import ENTRY, EntryId, NewId
from loglease.model.instant import Instant
from loglease.model.pace import Doubt
from loglease.store.interface import Transaction

_MILLISECOND_US: Final = 1_000


def require_trusted_clock(tx: Transaction) -> None:
    """Refuse to begin anything while it is on the record that a clock cannot be trusted.

    Raises:
        ClockSuspect: it is.
    """
    if tx.values.find(CLOCK_SUSPECT) is not None:
        raise ClockSuspect


@dataclass(slots=True, kw_only=True)
class ClockRecorder:
    """Puts on the record what the watch finds of the clock; the watch itself waits for nobody."""

    log: EntryLog[Transaction]
    watch: Watch
    replica: str
    new_id: NewId

    async def step(self) -> None:
        """Record a doubt that is not on the record yet, then that the clock is trusted again if it is right.

        Raises:
            AuditUnavailable: it cannot be recorded yet; the doubt stays.
        """
        watch = self.watch
        if (doubt := watch.unrecorded_doubt) is not None:
            await self._suspect(doubt)
            watch.doubt_recorded()
        if watch.clock_suspect and watch.clock_doubt is None:
            await self._trust()
            watch.trust_clock()

    async def _suspect(self, doubt: Doubt) -> None:
        def work(tx: Transaction, _now: Instant) -> Recorded[None]:
            if tx.values.find(CLOCK_SUSPECT) is not None:
                return Recorded(None)  # an attempt whose answer was lost, or a process before this one
            tx.values.put(CLOCK_SUSPECT, self.replica)
            data: Data = {
                "replica": self.replica,
                "skew_ms": doubt.skew_us // _MILLISECOND_US,
                "check": str(doubt.check),
            }
            return Recorded(None, (self._entry("clock.suspect", data),))

        await self.log.commit(work, urgent=True)

    async def _trust(self) -> None:
        def work(tx: Transaction, _now: Instant) -> Recorded[None]:
            replica = tx.values.find(CLOCK_SUSPECT)
            if replica is None:
                return Recorded(None)  # an attempt whose answer was lost
            tx.values.delete(CLOCK_SUSPECT)
            data: Data = {"replica": replica, "skew_ms": self.watch.clock_skew_us // _MILLISECOND_US}
            return Recorded(None, (self._entry("clock.trusted", data),))

        await self.log.commit(work, urgent=True)

    def _entry(self, entry_type: str, data: Data) -> Draft:
        return Draft(id=EntryId(self.new_id(ENTRY)), type=entry_type, actor=SYSTEM, data=data)
