"""Follows a VictoriaLogs.

Its tail gives each stream in order of time and leaves out what arrives behind that: a late line, or a second one of the
same time. So what it may have left out is read again every few seconds.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import replace
from typing import Final

from loglease.model.instant import Interval
from loglease.sources.following import Arrival
from loglease.sources.interface import Direction, ReadPlan
from loglease.sources.paging import Row
from loglease.sources.transport import Request, Transport
from loglease.sources.victorialogs.filters import extra_filters
from loglease.sources.victorialogs.rows import row_of
from loglease.sources.victorialogs.slices import LINES_TYPES, WHOLE, Slices

REPAIR_S: Final = 5.0
_TAIL: Final = (("start_offset", "5s"), ("offset", "1s"), ("refresh_interval", "500ms"))


class Tailed:
    """The streams of a plan, as they are followed."""

    def __init__(self, transport: Transport, plan: ReadPlan) -> None:
        self._transport = transport
        self._plan = replace(plan, direction=Direction.FORWARD)

    def tail(self, from_ns: int) -> AsyncGenerator[list[bytes], None]:  # noqa: ARG002 - the store begins a bit earlier
        """Yield what arrives, from five seconds ago on."""
        filters = extra_filters(self._plan.selector, self._plan.literals, self._plan.interval, self._plan.marks)
        return self._transport.stream(
            Request(
                path="/select/logsql/tail",
                accept="application/x-ndjson",
                types=LINES_TYPES,
                form=[("query", "*"), *filters, *_TAIL, *WHOLE],
            )
        )

    def arrival(self, records: list[bytes]) -> Arrival:
        """Decode lines."""
        return Arrival([row_of(record) for record in records])

    def rows(self, interval: Interval) -> AsyncGenerator[list[Row], None]:
        """Read an interval."""
        return Slices(self._transport, replace(self._plan, interval=interval)).rows()
