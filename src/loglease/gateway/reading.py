"""Where the items of a session come from: pages of a source, evaluated in a thread, page by page.

One page is read ahead while one is evaluated, and none while nobody takes what there is: a reading is an iterator.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Protocol

from loglease.gateway.lines import DERIVED_LEVEL, Lines
from loglease.gateway.prefilter import Covered, closing, wanted_pages
from loglease.gateway.scan import too_many_lines
from loglease.gateway.served import Item
from loglease.gateway.worker import Worker
from loglease.logql.metrics import MetricQuery
from loglease.sources.interface import Gap, Page, Reader, ReadPlan

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


@dataclass(frozen=True, slots=True)
class RangeRead:
    """The lines of one log range of a metric.

    Attributes:
        number: of the range in its query.
    """

    number: int
    plan: ReadPlan
    lines: Lines


@dataclass(frozen=True, slots=True)
class MetricReading:
    """A metric query: its log ranges are read one after another, then come its numbers.

    Attributes:
        ranges: those that have anything to read.
        encode: makes items of the answer, once all lines are in.
    """

    reader: Reader
    ranges: tuple[RangeRead, ...]
    query: MetricQuery
    encode: Callable[[], Sequence[Item]]
    follow: bool = False
    is_exhausted: bool = False

    async def batches(self, in_pool: InPool) -> Batches:
        """Yield all numbers at once."""
        for one in self.ranges:
            async with aclosing(pages_of(self.reader, one.plan, one.lines.covered)) as pages:
                async for page in pages:
                    await in_pool(self._feed, one, page)
        yield await in_pool(self.encode)

    def _feed(self, one: RangeRead, page: Page) -> None:
        reads_level = self.query.reads(one.number, DERIVED_LEVEL)
        found = one.lines.found(page)
        if self.query.counts(one.number) and not reads_level and not any(page.metadata):
            for stream, times in found.times():
                self.query.count(one.number, stream.named, times)
        else:
            self.query.feed(one.number, found.entries(with_level=reads_level))
        if one.lines.is_exhausted:
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
