"""Follows a remote store: its tail for speed, a read over what the tail may have left out for completeness.

Every few seconds the last half minute is read again, and so it is after a tail broke off or said that it lost lines.
What was given already is known by its content and how often it came; nothing else has a position in these stores.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing
from typing import Final, NamedTuple, Protocol

from loglease.model.clock import Clock
from loglease.model.instant import NANOSECONDS, Interval
from loglease.sources.interface import Gap, Page, ReadPlan, SourceError, SourceLimit
from loglease.sources.paging import Pager, Row

OVERLAP_NS: Final = 30 * NANOSECONDS
PATIENCE_NS: Final = 30 * NANOSECONDS
"""How long a store may be away before a follower gives up."""
RETRY_S: Final = 0.25
LONGEST_RETRY_S: Final = 5.0
LOST_S: Final = 1.0
"""How long after a repair the next one may follow that a tail asked for by losing lines."""
SETTLE_NS: Final = 2 * NANOSECONDS
"""How long after the end of its interval a follower looks for the last time: lines take a moment to be found."""
MAX_KNOWN: Final = 200_000


class Arrival(NamedTuple):
    """What a tail gave: rows, and whether it says that it left some out."""

    rows: list[Row]
    lost: bool = False


class Followed(Protocol):
    """A store as far as a follower asks it."""

    def tail(self, from_ns: int) -> AsyncGenerator[list[bytes], None]:
        """Yield what arrives, undecoded, lines from about that time on; end or fail as the store does."""

    def arrival(self, records: list[bytes]) -> Arrival:
        """Decode what a tail gave.

        Raises:
            SourceError: it is nonsense; there is nothing to follow.
        """

    def rows(self, interval: Interval) -> AsyncGenerator[list[Row], None]:
        """Read an interval in ascending order."""


class Known:
    """What a follower has given, as far back as it may come again."""

    def __init__(self) -> None:
        self._given: Counter[Row] = Counter()
        self.floor_ns = 0
        """Lines of earlier times are not taken any more: whether they were given is forgotten."""

    def tailed(self, rows: Iterable[Row]) -> list[Row]:
        """Return the rows of a tail that are not known at all.

        A tail repeats itself: a line that arrives while it is opened can come as one that was there and as one that
        is new. So a second line of the same content is left to a read.
        """
        fresh = []
        for row in rows:
            if row.ts >= self.floor_ns and row not in self._given:
                self._given[row] = 1
                fresh.append(row)
        return fresh

    def read(self, rows: Iterable[Row], seen: Counter[Row], *, keep_from_ns: int = 0) -> list[Row]:
        """Return the rows of a read that were not given yet.

        Args:
            seen: what this read has found so far; it counts on.
            keep_from_ns: rows of earlier times do not come again, so they are not remembered.
        """
        fresh = []
        for row in rows:
            if row.ts < self.floor_ns:
                continue
            if row.ts < keep_from_ns and row not in self._given:
                fresh.append(row)
                continue
            seen[row] += 1
            if seen[row] > self._given[row]:
                self._given[row] = seen[row]
                fresh.append(row)
        return fresh

    def forget(self, before_ns: int) -> None:
        """Forget all before a time."""
        self.floor_ns = max(self.floor_ns, before_ns)
        self._given = Counter({row: count for row, count in self._given.items() if row.ts >= self.floor_ns})

    def forget_excess(self) -> None:
        """Forget the older half where all is too much."""
        if len(self._given) > MAX_KNOWN:
            self.forget(sorted(row.ts for row in self._given)[len(self._given) // 2] + 1)


class Following:
    """One follower.

    Args:
        plan: from where on; where its interval has an end, following ends when the clock has passed it.
        clock: wall time for the end, boot time for waits.
        repair_s: how often to read again what the tail may have left out.
    """

    def __init__(self, store: Followed, plan: ReadPlan, clock: Clock, *, repair_s: float) -> None:
        self._store = store
        self._plan = plan
        self._clock = clock
        self._repair_s = repair_s
        self._known = Known()
        self._covered_ns = max(plan.interval.start, 0)
        self._lost_at_ns: int | None = None
        self._tail: AsyncGenerator[list[bytes], None] | None = None
        self._pending: asyncio.Task[list[bytes] | None] | None = None
        self._retry_s = RETRY_S
        self._open_at_ns = 0
        self._repair_at_ns = 0
        self._repaired_at_ns = 0

    async def items(self) -> AsyncGenerator[Page | Gap, None]:
        """Yield pages, and gaps that could not be closed.

        Raises:
            SourceError: the store is lost.
        """
        try:
            while True:
                now = self._clock.boot_ns()
                opening = self._tail is None and now >= self._open_at_ns
                if not opening and now < self._repair_at_ns:
                    for page in self._pages(await self._arrived((self._repair_at_ns - now) / NANOSECONDS)):
                        yield page
                    continue
                over = self._over()
                async with aclosing(self._repaired()) as repaired:
                    async for item in repaired:
                        yield item
                if over and self._lost_at_ns is None:
                    return
                if opening:
                    self._tail = self._store.tail(self._covered_ns)
                self._repaired_at_ns = self._clock.boot_ns()
                self._repair_at_ns = self._repaired_at_ns + self._pause_ns()
        finally:
            await self._drop()

    def _over(self) -> bool:
        end = self._plan.interval.end
        return end is not None and self._clock.now() * 1_000 >= end + SETTLE_NS

    def _pause_ns(self) -> int:
        """Return how long to wait for the next repair; soon after a failure, and at the end of the interval."""
        if self._lost_at_ns is not None:
            return round(RETRY_S * NANOSECONDS)
        longest = round(self._repair_s * NANOSECONDS)
        end = self._plan.interval.end
        return longest if end is None else min(longest, max(end + SETTLE_NS - self._clock.now() * 1_000, 10**7))

    # The tail

    async def _arrived(self, within_s: float) -> list[Row]:
        """Return what the tail gives next, or nothing after a while."""
        if self._tail is None:
            await asyncio.sleep(min(within_s, RETRY_S))
            return []
        if self._pending is None:
            self._pending = asyncio.ensure_future(_next(self._tail))
        if not (await asyncio.wait({self._pending}, timeout=within_s))[0]:
            return []
        pending, self._pending = self._pending, None
        try:
            records = pending.result()
        except SourceError:
            records = None
        if records is None:  # it broke off or ended, as tails do when a store restarts; another one is opened
            await self._drop()
            self._open_at_ns = self._clock.boot_ns() + round(self._retry_s * NANOSECONDS)
            self._retry_s = min(2 * self._retry_s, LONGEST_RETRY_S)
            return []
        if records:  # a store may also open each tail only to end it
            self._retry_s = RETRY_S
        arrival = self._store.arrival(records)
        if arrival.lost:
            self._repair_at_ns = min(self._repair_at_ns, self._repaired_at_ns + round(LOST_S * NANOSECONDS))
        return self._known.tailed(self._inside(arrival.rows))

    async def _drop(self) -> None:
        pending, self._pending = self._pending, None
        if pending is not None:
            pending.cancel()
            await asyncio.wait({pending})
            _ = pending.cancelled() or pending.exception()
        tail, self._tail = self._tail, None
        if tail is not None:
            await tail.aclose()

    # The repair

    async def _repaired(self) -> AsyncGenerator[Page | Gap, None]:
        """Read again what the tail may have left out, and give what is new."""
        now = self._clock.now() * 1_000
        end = now if self._plan.interval.end is None else min(now, self._plan.interval.end)
        start = max(self._plan.interval.start, self._covered_ns - OVERLAP_NS, self._known.floor_ns)
        if start > self._covered_ns:
            yield Gap(self._covered_ns, start)
        seen: Counter[Row] = Counter()
        keep_from_ns = end - 2 * OVERLAP_NS
        try:
            async with aclosing(self._store.rows(Interval(start, end))) as slices:
                async for rows in slices:
                    reached_ns = min(max((row.ts for row in rows), default=0), keep_from_ns)
                    for page in self._pages(self._known.read(rows, seen, keep_from_ns=reached_ns)):
                        yield page
                    if reached_ns > self._known.floor_ns:  # if this read breaks off, the next one goes on from there
                        self._known.forget(reached_ns)
                        self._covered_ns = max(self._covered_ns, reached_ns)
        except SourceLimit:
            yield Gap(start, end)
        except SourceError as error:
            self._failed(error)
            return
        self._lost_at_ns = None
        self._covered_ns = max(self._covered_ns, end)
        self._known.forget(min(keep_from_ns, self._covered_ns - 2 * OVERLAP_NS))
        self._known.forget_excess()

    def _failed(self, error: SourceError) -> None:
        """Note a failure.

        Raises:
            SourceError: that failure, after nothing else for too long.
        """
        now = self._clock.boot_ns()
        if self._lost_at_ns is None:
            self._lost_at_ns = now
        elif now - self._lost_at_ns > PATIENCE_NS:
            raise error

    def _inside(self, rows: Iterable[Row]) -> list[Row]:
        return [row for row in rows if self._plan.interval.holds(row.ts)]

    def _pages(self, rows: list[Row]) -> Iterable[Page]:
        pager = Pager(self._plan.page_lines, self._plan.page_bytes)
        yield from pager.feed(rows)
        yield from pager.flush()


async def _next(tail: AsyncGenerator[list[bytes], None]) -> list[bytes] | None:
    return await anext(tail, None)
