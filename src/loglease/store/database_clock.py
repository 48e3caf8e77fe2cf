"""A database's clock, read between the moments at which the database tells the time.

Where several processes use a database, what holds until when has one clock, and that is the database's: whatever the
clocks of their machines say, all of them agree.

An answer that took long says little: the database read its clock at some moment in between, and a transaction waits for
its lock first. So an answer counts if it is at least as exact as what is known, which becomes less exact as time goes
by, or if it shows that the clock was set.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from loglease.model.clock import Clock
from loglease.model.instant import Instant

DRIFTS: Final = 5_000
"""Of so many microseconds, two clocks that nobody sets come apart by one at most."""


class _Told(NamedTuple):
    """The database's time less boot time, how far that may be wrong, and when it was found, all in microseconds."""

    offset_us: int
    error_us: int
    at_us: int


class DatabaseClock:
    """A clock that was told the database's time and goes on from there by the boot clock; the machine's until then."""

    def __init__(self, machine: Clock) -> None:
        self._machine = machine
        # Replaced as a whole by whoever hears of the time, and read from any thread.
        self._known: _Told | None = None

    def now(self) -> Instant:
        """Return the database's time."""
        if self._known is None:
            return self._machine.now()
        return Instant(self._machine.boot_ns() // 1_000 + self._known.offset_us)

    def boot_ns(self) -> int:
        """Return nanoseconds since the machine's boot."""
        return self._machine.boot_ns()

    def told(self, now_us: int, *, asked_ns: int) -> None:
        """Hear what the database answers now to a question of the boot time `asked_ns`."""
        asked_us, at_us = asked_ns // 1_000, self._machine.boot_ns() // 1_000
        error_us = (at_us - asked_us + 1) // 2
        found = _Told(now_us - (asked_us + at_us) // 2, error_us, at_us)
        known = self._known
        if known is not None:
            known_error_us = known.error_us + (at_us - known.at_us) // DRIFTS
            was_set = abs(found.offset_us - known.offset_us) > error_us + known_error_us
            if error_us > known_error_us and not was_set:
                return
        self._known = found
