"""The clock of a server: the machine's, but what steps does not step here.

Everything in the process has its time from here, the database's transactions among it: between a step of the machine's
clock and the moment at which somebody looks, no record gets a wild time either.
"""

from __future__ import annotations

from typing import Final

from loglease.model.clock import Clock
from loglease.model.instant import Instant
from loglease.model.pace import Pace, Sight

_TOGETHER_NS: Final = 50_000_000
_TRIES: Final = 3


class SteadyClock:
    """A clock that goes on evenly where the machine's wall clock steps, until that is trusted again."""

    def __init__(self, machine: Clock) -> None:
        self._machine = machine
        # Replaced as a whole by whoever looks, and read from any thread.
        self._pace = Pace()

    def now(self) -> Instant:
        """Return wall time, as far as it can be trusted."""
        wall_us, boot_us = self._both()
        return self._pace.time(wall_us, boot_us)

    def boot_ns(self) -> int:
        """Return nanoseconds since boot."""
        return self._machine.boot_ns()

    def look(self, mark: Instant, *, doubted: bool) -> Sight:
        """Look whether the machine's wall clock can be trusted; called by the watch alone.

        Args:
            mark: the latest time that was recorded.
            doubted: whether it was not trusted up to now.
        """
        wall_us, boot_us = self._both()
        sight = self._pace.look(wall_us, boot_us, mark=mark, doubted=doubted)
        self._pace = sight.pace
        return sight

    def _both(self) -> tuple[int, int]:
        """Read both clocks at once; again if the process or the machine slept in between."""
        boot_ns = self._machine.boot_ns()
        for _ in range(_TRIES):
            wall_us, before_ns, boot_ns = int(self._machine.now()), boot_ns, self._machine.boot_ns()
            if boot_ns - before_ns <= _TOGETHER_NS:
                break
        return wall_us, boot_ns // 1_000


def steady(clock: Clock) -> SteadyClock:
    """Return a clock that does not step; one that is steady already is the same for everybody."""
    return clock if isinstance(clock, SteadyClock) else SteadyClock(clock)
