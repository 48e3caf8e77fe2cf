"""Reads an interval slice by slice, so that nothing is lost where one slice ends and the next begins.

VictoriaLogs cannot go on behind a line, only behind a time. So a slice that was cut ends before its last time, which
the next slice begins with. Where a single time fills a slice, all of its lines are read at once, stream by stream if
need be.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Final

from loglease.model.instant import Interval
from loglease.model.labels import Labels, Selector, matcher_of, selector_of
from loglease.sources.interface import MAX_TIME_NS, Direction, ReadPlan, SourceLimit, SourceProtocol
from loglease.sources.paging import Row
from loglease.sources.transport import BODY_BYTES, Request, Transport
from loglease.sources.victorialogs.filters import extra_filters, sorted_query
from loglease.sources.victorialogs.rows import row_of, streams_in

FIRST_SLICE_NS: Final = 600 * 10**9
GROWTH: Final = 8
SLICE_BYTES: Final = 8 << 20
MOMENT_LINES: Final = 100_000
STREAMS_TYPES: Final = frozenset({"application/json"})
LINES_TYPES: Final = frozenset({"application/stream+json", "application/x-ndjson"})
WHOLE: Final = (("allow_partial_response", "false"),)
"""A cluster that lost a node has to fail, whatever its own default is."""


def slice_request(plan: ReadPlan, selector: Selector, interval: Interval, limit: int) -> Request:
    """Return the request for the first or last lines of an interval."""
    return Request(
        path="/select/logsql/query",
        accept="application/stream+json",
        types=LINES_TYPES,
        form=[
            ("query", sorted_query(plan.direction, limit)),
            *extra_filters(selector, plan.literals, interval, plan.marks),
            *WHOLE,
        ],
    )


async def streams_of(transport: Transport, plan: ReadPlan, interval: Interval) -> list[Labels]:
    """Return the streams that have lines there.

    Raises:
        SourceError: they cannot be listed.
    """
    request = Request(
        path="/select/logsql/streams",
        accept="application/json",
        types=STREAMS_TYPES,
        form=[("query", "*"), *extra_filters(plan.selector, plan.literals, interval, plan.marks), *WHOLE],
    )
    return streams_in(await transport.document(request))


class Slices:
    """The slices of one read, in its order.

    Args:
        plan: its interval has an end.
    """

    def __init__(self, transport: Transport, plan: ReadPlan) -> None:
        self._transport = transport
        self._plan = plan
        self._backward = plan.direction is Direction.BACKWARD
        self._start = max(plan.interval.start, 0)
        self._end = min(MAX_TIME_NS if plan.interval.end is None else plan.interval.end, MAX_TIME_NS)
        self._width = FIRST_SLICE_NS

    async def rows(self) -> AsyncGenerator[list[Row], None]:
        """Yield runs of rows; equal times never lie in two of them, unless in streams of their own.

        Raises:
            SourceError: the read cannot be completed.
        """
        while self._start < self._end:
            part = self._next()
            found, whole = await self._read(self._plan.selector, part, self._plan.page_lines, SLICE_BYTES)
            if whole:
                yield found
                self._advance(part, len(found))
                continue
            edge = found[-1].ts
            if complete := [row for row in found if row.ts != edge]:
                self._width = max(1, abs(edge - found[0].ts))
                yield complete
            else:
                async with aclosing(self._moment(edge)) as streams:
                    async for rows in streams:
                        yield rows
            self._go_on_at(edge, after=not complete)

    def _next(self) -> Interval:
        if self._backward:
            return Interval(max(self._start, self._end - self._width), self._end)
        return Interval(self._start, min(self._end, self._start + self._width))

    def _advance(self, part: Interval, lines: int) -> None:
        if self._backward:
            self._end = part.start
        else:
            self._start = part.end or self._end
        if lines * GROWTH < self._plan.page_lines:
            self._width *= GROWTH

    def _go_on_at(self, edge: int, *, after: bool) -> None:
        """Go on with the lines of this time, or after them in our direction."""
        if self._backward:
            self._end = edge if after else edge + 1
        else:
            self._start = edge + 1 if after else edge

    async def _read(self, selector: Selector, part: Interval, lines: int, size: int) -> tuple[list[Row], bool]:
        """Return the first rows of a part, at most so many, in order, and whether these are all."""
        request = slice_request(self._plan, selector, part, lines)
        records, ended = await self._transport.records(request, enough=size)
        rows = [row_of(record) for record in records]
        if any(not part.holds(row.ts) for row in rows):
            raise SourceProtocol("The source gave lines of another time than asked for.", next_step="Tell an operator.")
        times = [row.ts for row in rows]
        if times != sorted(times, reverse=self._backward) or len(rows) > lines:
            raise SourceProtocol("The source gave lines out of order.", next_step="Tell an operator.")
        rows.sort(reverse=self._backward)
        return rows, ended and len(rows) < lines

    async def _moment(self, at: int) -> AsyncGenerator[list[Row], None]:
        """Yield all rows of one time, at once or stream by stream."""
        moment = Interval(at, at + 1)
        rows, whole = await self._read(self._plan.selector, moment, MOMENT_LINES, BODY_BYTES)
        if whole:
            yield rows
            return
        for labels in sorted(set(await streams_of(self._transport, self._plan, moment)), reverse=self._backward):
            rows, whole = await self._read(_just(labels), moment, MOMENT_LINES, BODY_BYTES)
            if not whole:
                raise SourceLimit(
                    f"One stream of the source has {MOMENT_LINES} or more lines, or 64 MiB, of one single time.",
                    next_step="Ask for a time before or after it.",
                )
            yield [row for row in rows if row.labels == labels]


def _just(labels: Labels) -> Selector:
    """Return the narrowest selector of a stream; one with more labels may still match it."""
    exact = {name: matcher_of(exact=(value,)) for name, value in labels}
    return selector_of({name: matcher for name, matcher in exact.items() if matcher is not None})
