"""Where the items of a session come from: pages of a source, evaluated in a thread, page by page.

One page is read ahead while one is evaluated, and none while nobody takes what there is: a reading is an iterator.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Final, Protocol

from loglease.gateway.lines import DERIVED_LEVEL, Lines
from loglease.gateway.merging import in_order
from loglease.gateway.prefilter import Covered, closing, wanted_pages
from loglease.gateway.rescan import Rescans
from loglease.gateway.scan import too_many_lines
from loglease.gateway.served import Item
from loglease.gateway.worker import Worker
from loglease.logql import Entry
from loglease.logql.metrics import MetricQuery
from loglease.sources.interface import Gap, Page, Reader, ReadPlan

FOLLOW_BYTES: Final = 16 * 1024
"""Of a page of what arrives; a tail whose client takes nothing holds one, evaluated."""

InPool = Callable[..., Awaitable[Any]]
"""Runs a function in a thread."""

Batches = AsyncGenerator[Sequence[Item] | Gap, None]


class Reading(Protocol):
    """What a session reads and evaluates."""

    @property
    def follow(self) -> bool:
        """Whether it goes on with what arrives."""

    @property
    def is_exhausted(self) -> bool:
        """Whether there is more than may be looked at, so that the answer ends before its time."""

    def batches(self, in_pool: InPool) -> Batches:
        """Yield items as they are evaluated, and gaps where a followed source lost lines.

        Raises:
            Withheld: the redactor cannot vouch for a text.
            SourceError: the source failed.
            QueryFailed: the query cannot be answered for the lines that it met.
        """


@dataclass(frozen=True, slots=True)
class Nothing:
    """A query that lies outside what may be read: nothing is."""

    follow: bool = False
    is_exhausted: bool = False

    async def batches(self, in_pool: InPool) -> AsyncGenerator[Sequence[Item], None]:
        """Yield nothing."""
        del in_pool
        yield ()


@dataclass(frozen=True, slots=True)
class LogReading:
    """A log query over a closed interval."""

    reader: Reader
    plan: ReadPlan
    worker: Worker
    backward: bool
    follow: bool = False

    @property
    def is_exhausted(self) -> bool:
        """Whether there is more than may be looked at."""
        return self.worker.is_exhausted

    async def batches(self, in_pool: InPool) -> AsyncGenerator[Sequence[Item], None]:
        """Yield the items of each page, then those that were held back to be put in order."""
        async with aclosing(self._pages(in_pool)) as pages:
            async for page, older in pages:
                yield await in_pool(self.worker.page, page, older)
                if self.worker.is_exhausted:
                    return
        yield await in_pool(self.worker.finish)

    async def _pages(self, in_pool: InPool) -> AsyncGenerator[tuple[Page, Page | None], None]:
        """Yield pages, a backward one with the next, which is its context."""
        async with aclosing(pages_of(self.reader, self.plan, self.worker.covered)) as pages:
            if not self.backward:
                async for page in pages:
                    yield page, None
                return
            gathering = self.worker.gathering()
            newest: Page | None = None
            async for page in pages:
                for older in await in_pool(gathering.add, page):
                    if newest is not None:
                        yield newest, older
                    newest = older
            for older in (*gathering.rest(), None):
                if newest is not None:
                    yield newest, older
                newest = older


@dataclass(frozen=True, slots=True)
class TailReading:
    """A log query that goes on with what arrives."""

    reader: Reader
    plan: ReadPlan
    worker: Worker
    follow: bool = True
    is_exhausted: bool = False

    async def batches(self, in_pool: InPool) -> Batches:
        """Yield the items of each page as it arrives."""
        async with closing(self.reader.follow(self.plan)) as pages:
            async for page in pages:
                yield page if isinstance(page, Gap) else await in_pool(self.worker.page, page, None)
                del page  # it may be long until the next one


@dataclass(frozen=True, slots=True)
class RangeRead:
    """The lines of one log range of a metric under one grant.

    Attributes:
        number: of the range in its query.
        owner: number of the grant.
    """

    number: int
    owner: int
    reader: Reader
    plan: ReadPlan
    lines: Lines


@dataclass(frozen=True, slots=True)
class MetricReading:
    """A metric query: its log ranges are read one after another, then come its numbers.

    Attributes:
        ranges: those that have anything to read, by their number.
        rescans: what decoded values of each grant's lines are redacted with.
        encode: makes items of the answer, once all lines are in.
    """

    ranges: tuple[RangeRead, ...]
    query: MetricQuery
    rescans: Rescans
    encode: Callable[[], Sequence[Item]]
    follow: bool = False
    is_exhausted: bool = False

    async def batches(self, in_pool: InPool) -> Batches:
        """Yield all numbers at once."""
        for number, found in groupby(self.ranges, key=lambda one: one.number):
            reads = list(found)
            if len(reads) == 1 or self.query.counts(number):
                for one in reads:
                    await self._read(one, in_pool)
            else:
                await self._read_in_order(number, reads, in_pool)
        yield await in_pool(self.encode)

    async def _read(self, one: RangeRead, in_pool: InPool) -> None:
        async with aclosing(pages_of(one.reader, one.plan, one.lines.covered)) as pages:
            async for page in pages:
                await in_pool(self._feed, one, page)

    def _feed(self, one: RangeRead, page: Page) -> None:
        self.rescans.use(one.owner)
        reads_level = self.query.reads(one.number, DERIVED_LEVEL)
        found = one.lines.found(page)
        if self.query.counts(one.number) and not reads_level and not any(page.metadata):
            for stream, times, sizes in found.counted(with_sizes=self.query.measures(one.number)):
                self.query.count(one.number, stream.named, times, sizes)
        else:
            self.query.feed(one.number, found.entries(with_level=reads_level))
        _require_whole(one.lines)

    async def _read_in_order(self, number: int, reads: Sequence[RangeRead], in_pool: InPool) -> None:
        """Feed the lines of several grants in ascending order of their times, as windows want them."""
        entries = in_order(
            [self._entries(one, in_pool) for one in reads],
            lambda entry: entry.ns,
            lambda place: reads[place].lines.is_exhausted,
        )
        async with aclosing(entries):
            async for taken in entries:
                await in_pool(self._feed_taken, number, [(reads[place].owner, entry) for place, entry in taken])
        for one in reads:
            _require_whole(one.lines)

    async def _entries(self, one: RangeRead, in_pool: InPool) -> AsyncGenerator[Sequence[Entry], None]:
        async with aclosing(pages_of(one.reader, one.plan, one.lines.covered)) as pages:
            async for page in pages:
                yield await in_pool(self._entries_of, one, page)
                if one.lines.is_exhausted:
                    return

    def _entries_of(self, one: RangeRead, page: Page) -> Sequence[Entry]:
        return list(one.lines.found(page).entries(with_level=self.query.reads(one.number, DERIVED_LEVEL)))

    def _feed_taken(self, number: int, taken: Sequence[tuple[int, Entry]]) -> None:
        for owner, run in groupby(taken, key=lambda pair: pair[0]):
            self.rescans.use(owner)
            self.query.feed(number, (entry for _, entry in run))


def _require_whole(lines: Lines) -> None:
    """Fail the query where there is more than may be looked at.

    Raises:
        QueryFailed: there is.
    """
    if lines.is_exhausted:
        raise too_many_lines()


async def pages_of(reader: Reader, plan: ReadPlan, covered: Covered) -> AsyncGenerator[Page, None]:
    """Yield pages, the next one being read meanwhile.

    Args:
        covered: which lines of a page the scope covers.
    """
    pages = wanted_pages(reader, plan, covered)
    ahead: asyncio.Task[Page | None] | None = None
    try:
        page = await anext(pages, None)
        while page is not None:
            ahead = asyncio.create_task(_next(pages))
            yield page
            page = await ahead
    finally:
        if ahead is not None and not ahead.done():
            ahead.cancel()
            await asyncio.wait({ahead})
        await pages.aclose()


async def _next(pages: AsyncGenerator[Page, None]) -> Page | None:
    return await anext(pages, None)
