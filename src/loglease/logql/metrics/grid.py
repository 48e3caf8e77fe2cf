"""The steps at which a metric is computed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Self

from loglease.logql.errors import QueryFailed
from loglease.logql.syntax import LogRange

MAX_STEPS: Final = 11_000


@dataclass(frozen=True, slots=True)
class Grid:
    """Points in time from first to last, both included, `step_ns` apart; nanoseconds since the epoch."""

    first_ns: int
    step_ns: int
    count: int

    @classmethod
    def instant(cls, ns: int) -> Self:
        """Return the grid of one point."""
        return cls(ns, 1, 1)

    @classmethod
    def range(cls, start_ns: int, end_ns: int, step_ns: int) -> Self:
        """Return the multiples of the step from the start, rounded down, to the end, rounded up.

        Raises:
            QueryFailed: there would be more than 11,000.
        """
        first = start_ns // step_ns
        count = -(-end_ns // step_ns) - first + 1
        if count > MAX_STEPS:
            raise QueryFailed("too_many_steps", f"a query has at most {MAX_STEPS} steps; choose a longer step")
        return cls(first * step_ns, step_ns, max(1, count))

    @property
    def last_ns(self) -> int:
        """The last point."""
        return self.first_ns + (self.count - 1) * self.step_ns

    def at(self, index: int) -> int:
        """Return a point by its number."""
        return self.first_ns + index * self.step_ns

    def read_interval(self, log_range: LogRange) -> tuple[int, int]:
        """Return the event times that a log range reads for all points, as a half-open interval."""
        back = log_range.offset_ns
        return self.first_ns - back - log_range.range_ns + 1, self.last_ns - back + 1

    def covered(self, ns: int, range_ns: int) -> tuple[int, int]:
        """Return the first and the last point whose range holds a time; the last below the first if there is none."""
        first = max(0, -((self.first_ns - ns) // self.step_ns))
        last = min(self.count - 1, (ns + range_ns - 1 - self.first_ns) // self.step_ns)
        return first, last

    def alike_until(self, ns: int, range_ns: int) -> int:
        """Return the last time from a time on that is covered by the same points."""
        first = max(0, -((self.first_ns - ns) // self.step_ns))
        following = (ns + range_ns - 1 - self.first_ns) // self.step_ns + 1
        return min(self.at(first), self.at(following) - range_ns)
