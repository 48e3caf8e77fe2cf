"""Follows a Loki.

Its tail gives lines as they are pushed, but is not whole: it ends with a server, leaves out what a slow reader misses,
and what an ingester took while it was not connected. A line that arrives while it is opened may be left out, or come
twice. So what it may have left out is read again every now and then, and soon after it says that it dropped lines.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from dataclasses import replace
from typing import Final

from loglease.model.instant import NANOSECONDS, Interval
from loglease.sources.following import Arrival
from loglease.sources.interface import Direction, ReadPlan
from loglease.sources.loki.answers import arrival_in
from loglease.sources.loki.joining import merged, together
from loglease.sources.loki.requests import literal_filters
from loglease.sources.loki.slices import Loki, Slices
from loglease.sources.paging import Row

REPAIR_S: Final = 15.0
OVERLAP_NS: Final = 5 * NANOSECONDS


class Tailed:
    """The streams of a plan, as they are followed.

    Args:
        selectors: those of the plan, printed.
    """

    def __init__(self, loki: Loki, selectors: Sequence[str], plan: ReadPlan) -> None:
        self._loki = loki
        self._selectors = selectors
        self._plan = replace(plan, direction=Direction.FORWARD)

    def tail(self, from_ns: int) -> AsyncGenerator[list[bytes], None]:
        """Yield what arrives, after what there is from a little before that time on."""
        begin_ns = max(self._plan.interval.start, from_ns - OVERLAP_NS)
        filters = literal_filters(self._plan.literals, self._plan.marks)
        return together(
            [
                self._loki.transport.messages(
                    self._loki.requests.tail(streams, filters, begin_ns, limit=self._loki.max_entries)
                )
                for streams in self._selectors
            ]
        )

    def arrival(self, records: list[bytes]) -> Arrival:
        """Decode messages."""
        arrivals = [arrival_in(message, structured=self._loki.structured) for message in records]
        return Arrival([row for one in arrivals for row in one.rows], lost=any(one.lost for one in arrivals))

    def rows(self, interval: Interval) -> AsyncGenerator[list[Row], None]:
        """Read an interval."""
        plan = replace(self._plan, interval=interval)
        return merged([Slices(self._loki, streams, plan).rows() for streams in self._selectors], backward=False)
