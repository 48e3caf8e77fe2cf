"""Follows a journal: one endless answer, begun again behind the last cursor whenever it ends or is silent for long."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator
from typing import Final

from loglease.model.clock import Clock
from loglease.sources.interface import Gap, Page, ReadPlan, SourceError
from loglease.sources.journald.entries import Entry
from loglease.sources.journald.walk import Journal, cursor_at
from loglease.sources.paging import Pager, Row
from loglease.sources.transport import Transport

SILENCE_NS: Final = 60 * 10**9
"""How long nothing may come before the answer is begun again: a peer that is gone says nothing either."""
PATIENCE_NS: Final = 30 * 10**9
RETRY_NS: Final = 250 * 10**6
LONGEST_RETRY_NS: Final = 5 * 10**9
LOOK_AGAIN_S: Final = 1.0


class Following:
    """One follower.

    Args:
        plan: from where on; where its interval has an end, following ends when the clock has passed it.
    """

    def __init__(self, transport: Transport, journal: Journal, plan: ReadPlan, clock: Clock) -> None:
        self._transport = transport
        self._journal = journal
        self._plan = plan
        self._clock = clock
        self._last: Entry | None = None
        self._begun_again = False
        self._answer: AsyncGenerator[list[bytes], None] | None = None
        self._pending: asyncio.Task[list[bytes] | None] | None = None
        self._open_at_ns = 0
        self._heard_at_ns = 0
        self._lost_at_ns: int | None = None
        self._retry_ns = RETRY_NS

    async def items(self) -> AsyncGenerator[Page | Gap, None]:
        """Yield pages, and gaps where the journal was cleared behind the last cursor.

        Raises:
            SourceError: the journal is lost.
        """
        try:
            while True:
                over = self._over()
                records = await self._arrived()
                for item in self._items(records):
                    yield item
                if over and (not records or self._beyond()):
                    return
        finally:
            await self._drop()

    def _over(self) -> bool:
        end = self._plan.interval.end
        return end is not None and self._clock.now() * 1_000 >= end

    def _beyond(self) -> bool:
        end = self._plan.interval.end
        return end is not None and self._last is not None and self._last.row.ts >= end

    async def _arrived(self) -> list[bytes]:
        """Return what comes next, or nothing after a while.

        Raises:
            SourceError: nothing but failures came for too long.
        """
        if self._answer is None:
            wait_ns = self._open_at_ns - self._clock.boot_ns()
            if wait_ns > 0:
                await asyncio.sleep(min(wait_ns / 10**9, LOOK_AGAIN_S))
                return []
            self._answer = self._opened()
        if self._pending is None:
            self._pending = asyncio.ensure_future(_next(self._answer))
        if not (await asyncio.wait({self._pending}, timeout=LOOK_AGAIN_S))[0]:
            if self._clock.boot_ns() - self._heard_at_ns > SILENCE_NS:
                await self._drop()
            return []
        pending, self._pending = self._pending, None
        try:
            records = pending.result()
        except SourceError as error:
            await self._begin_again(error)
            return []
        if records is None:
            await self._begin_again(None)
            return []
        self._heard_at_ns = self._clock.boot_ns()
        self._lost_at_ns = None
        if records:
            self._retry_ns = RETRY_NS
        return records

    def _opened(self) -> AsyncGenerator[list[bytes], None]:
        begin = cursor_at(self._plan.interval.start) if self._last is None else self._last.cursor
        self._begun_again = self._last is not None
        self._heard_at_ns = self._clock.boot_ns()
        return self._transport.stream(self._journal.request(begin, follow=True))

    async def _begin_again(self, error: SourceError | None) -> None:
        """Drop an answer that ended, and wait before the next one, longer each time."""
        await self._drop()
        now = self._clock.boot_ns()
        if error is not None and self._lost_at_ns is None:
            self._lost_at_ns = now
        elif error is not None and self._lost_at_ns is not None and now - self._lost_at_ns > PATIENCE_NS:
            raise error
        self._open_at_ns = now + self._retry_ns
        self._retry_ns = min(2 * self._retry_ns, LONGEST_RETRY_NS)

    async def _drop(self) -> None:
        pending, self._pending = self._pending, None
        if pending is not None:
            pending.cancel()
            await asyncio.wait({pending})
            _ = pending.cancelled() or pending.exception()
        answer, self._answer = self._answer, None
        if answer is not None:
            await answer.aclose()

    def _items(self, records: list[bytes]) -> Iterator[Page | Gap]:
        rows: list[Row] = []
        for record in records:
            entry = self._journal.entry(record)
            last, self._last = self._last, entry
            if self._begun_again and last is not None:
                self._begun_again = False
                if entry.cursor == last.cursor:
                    continue
                yield Gap(last.row.ts, max(entry.row.ts, last.row.ts + 1))
            if self._plan.interval.holds(entry.row.ts) and self._journal.selects(entry.row):
                rows.append(entry.row)
        pager = Pager(self._plan.page_lines, self._plan.page_bytes)
        yield from pager.feed(rows)
        yield from pager.flush()


async def _next(answer: AsyncGenerator[list[bytes], None]) -> list[bytes] | None:
    return await anext(answer, None)
