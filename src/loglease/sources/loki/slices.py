"""Reads an interval slice by slice, so that nothing is lost where one slice ends and the next begins.

Loki cannot go on behind a line, only at a time. So a slice that was cut ends before its last time, which the next slice
begins with. Where a single time fills a slice, all of its lines are read at once, stream by stream if need be.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Final

from loglease.model.instant import NANOSECONDS, Interval
from loglease.model.labels import Labels
from loglease.sources.interface import MAX_TIME_NS, Direction, ReadPlan, SourceLimit, SourceProtocol
from loglease.sources.loki.answers import in_order, runs_in, streams_in
from loglease.sources.loki.configuration import LokiConfig
from loglease.sources.loki.requests import Requests, literal_filters, selector_of_stream
from loglease.sources.paging import Row
from loglease.sources.transport import BODY_BYTES, Transport

SPAN_NS: Final = 30 * 86_400 * NANOSECONDS
"""What one request may span at most; a Loki refuses more than thirty days and an hour unless it is configured to."""
SLICE_BYTES: Final = 8 << 20
SHRINK: Final = 16


class Loki:
    """One store, as requests and answers.

    Args:
        transport: where the requests go; all of its headers are set.
    """

    def __init__(self, transport: Transport, configuration: LokiConfig) -> None:
        self.transport = transport
        self.requests = Requests(configuration.policy_tenant)
        self.max_entries = configuration.max_entries
        self.structured = configuration.structured_metadata

    async def lines(
        self, streams: str, filters: str, part: Interval, *, direction: Direction, limit: int, at_most: int = BODY_BYTES
    ) -> list[Row]:
        """Return the first or last rows of a part, at most so many, in order; of one stream in the store's order.

        Raises:
            SourceLimit: they have more bytes than `at_most`.
            SourceError: they cannot be read, or are none that were asked for.
        """
        request = self.requests.read(streams, filters, part, direction=direction, limit=limit)
        runs = runs_in(await self.transport.document(request, at_most=at_most), structured=self.structured)
        backward = direction is Direction.BACKWARD
        rows = [row for run in runs for row in run]
        if any(not part.holds(row.ts) for row in rows):
            raise SourceProtocol("The source gave lines of another time than asked for.", next_step="Tell an operator.")
        if len(rows) > limit or not all(in_order(run, backward=backward) for run in runs):
            raise SourceProtocol("The source gave lines out of order.", next_step="Tell an operator.")
        rows.sort(key=lambda row: (row.ts, row.labels), reverse=backward)
        return rows

    async def series(self, streams: str, interval: Interval) -> AsyncGenerator[Labels, None]:
        """Yield the streams that may have lines there, each once.

        Raises:
            SourceError: they cannot be listed.
        """
        found: set[Labels] = set()
        for part in parts_of(interval, backward=False):
            document = await self.transport.document(self.requests.series(streams, part))
            for labels in streams_in(document):
                if labels not in found:
                    found.add(labels)
                    yield labels


def parts_of(interval: Interval, *, backward: bool) -> list[Interval]:
    """Cut an interval into parts that one request may span, in the direction of a read."""
    start = max(interval.start, 0)
    end = MAX_TIME_NS if interval.end is None else min(interval.end, MAX_TIME_NS)
    parts = [Interval(at, min(at + SPAN_NS, end)) for at in range(start, end, SPAN_NS)]
    return parts[::-1] if backward else parts


class Slices:
    """The slices of one read of one selector, in its order.

    Args:
        streams: a selector, printed.
        plan: all else; its interval has an end.
    """

    def __init__(self, loki: Loki, streams: str, plan: ReadPlan) -> None:
        self._loki = loki
        self._streams = streams
        self._filters = literal_filters(plan.literals, plan.marks)
        self._interval = plan.interval
        self._direction = plan.direction
        self._backward = plan.direction is Direction.BACKWARD
        self._most = min(plan.page_lines, loki.max_entries)
        self._limit = self._most

    async def rows(self) -> AsyncGenerator[list[Row], None]:
        """Yield runs of rows; equal times never lie in two of them, unless in streams of their own.

        Raises:
            SourceError: the read cannot be completed.
        """
        for part in parts_of(self._interval, backward=self._backward):
            rest: Interval | None = part
            while rest is not None:
                found, whole = await self._some(rest)
                if whole:
                    yield found
                    break
                edge = found[-1].ts
                if complete := [row for row in found if row.ts != edge]:
                    yield complete
                else:
                    async with aclosing(self._moment(edge)) as streams:
                        async for rows in streams:
                            yield rows
                rest = self._behind(rest, edge, after=not complete)

    def _behind(self, part: Interval, edge: int, *, after: bool) -> Interval | None:
        """Return what is left of a part from this time on, or after it, in our direction."""
        if self._backward:
            return part.intersect(Interval(part.start, edge if after else edge + 1))
        return part.intersect(Interval(edge + 1 if after else edge, part.end))

    async def _some(self, part: Interval) -> tuple[list[Row], bool]:
        """Return the first rows of a part, fewer where they are large, and whether these are all."""
        while True:
            try:
                rows = await self._read(
                    self._streams, part, self._limit, SLICE_BYTES if self._limit > 1 else BODY_BYTES
                )
            except SourceLimit:
                if self._limit == 1:
                    raise
                self._limit = max(1, self._limit // SHRINK)
                continue
            whole = len(rows) < self._limit
            self._limit = min(2 * self._limit, self._most)
            return rows, whole

    async def _read(self, streams: str, part: Interval, limit: int, at_most: int) -> list[Row]:
        return await self._loki.lines(
            streams, self._filters, part, direction=self._direction, limit=limit, at_most=at_most
        )

    async def _moment(self, at: int) -> AsyncGenerator[list[Row], None]:
        """Yield all rows of one time, at once or stream by stream."""
        moment, most = Interval(at, at + 1), self._loki.max_entries
        try:
            rows = await self._read(self._streams, moment, most, BODY_BYTES)
        except SourceLimit:
            whole = False
        else:
            whole = len(rows) < most
        if whole:
            yield rows
            return
        streams = [labels async for labels in self._loki.series(self._streams, moment)]
        for labels in sorted(streams, reverse=self._backward):
            rows = await self._read(selector_of_stream(labels), moment, most, BODY_BYTES)
            if len(rows) >= most:
                raise SourceLimit(
                    f"One stream of the source has {most} or more lines of one single time.",
                    next_step="Ask for a time before or after it.",
                )
            yield [row for row in rows if row.labels == labels]
