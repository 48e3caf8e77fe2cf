"""A database's clock, read between the moments at which the database tells the time.

Where several processes use a database, what holds until when has one clock, and that is the database's: whatever the
clocks of their machines say, all of them agree.
"""

from __future__ import annotations

from loglease.model.clock import Clock
from loglease.model.instant import Instant


class DatabaseClock:
    """A clock that was told the database's time and goes on from there by the boot clock; the machine's until then."""

    def __init__(self, machine: Clock) -> None:
        self._machine = machine
        # Replaced as a whole by whoever hears of the time, and read from any thread.
        self._offset_us: int | None = None

    def now(self) -> Instant:
        """Return the database's time."""
        if self._offset_us is None:
            return self._machine.now()
        return Instant(self._machine.boot_ns() // 1_000 + self._offset_us)

    def boot_ns(self) -> int:
        """Return nanoseconds since the machine's boot."""
        return self._machine.boot_ns()

    def told(self, now_us: int, *, asked_ns: int) -> None:
        """Go by what the database answers now to a question of the boot time `asked_ns`: it read its clock between."""
        middle_ns = (asked_ns + self._machine.boot_ns()) // 2
        self._offset_us = now_us - middle_ns // 1_000
