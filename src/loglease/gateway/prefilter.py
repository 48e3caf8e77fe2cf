"""Reading only lines with the literals of a query, where no block over several lines can be blinded by that.

A line that is left out could be the first of a private key, and the lines behind it are masked only because of it. So a
read leaves lines out only if the whole interval holds no mark of such a block. A line with one comes in any case, since
it may arrive after that was asked; then the read fails. The answer is the same as without, wherever this begins.
"""

from __future__ import annotations

from array import array
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Final, TypeVar

from loglease.model.instant import Interval
from loglease.sources.interface import Direction, Page, Reader, ReadPlan, SourceUnavailable

_Yielded = TypeVar("_Yielded")

WHOLE_LINES: Final = 2_000
"""Lines that are read whole first: where a literal is frequent, the answer is complete before asking for it pays."""

Covered = Callable[[Page], Sequence[int]]
"""Returns the places of the lines of a page that a scope covers, by labels and time."""


async def wanted_pages(reader: Reader, plan: ReadPlan, covered: Covered) -> AsyncGenerator[Page, None]:
    """Yield pages that hold at least the lines of a plan, in its order.

    Raises:
        SourceError: as `Reader.read`.
    """
    left: ReadPlan | None = None
    async with closing(reader.read(replace(plan, literals=(), marks=()))) as pages:
        seen, may_filter = 0, bool(plan.literals)
        async for page in pages:
            places = covered(page) if may_filter else ()
            seen += len(places)
            if seen >= WHOLE_LINES and may_filter and (lines := _before_last_time(page, places)):
                may_filter = not await _finds_mark(reader, plan, covered)
                if may_filter:
                    left = replace(plan, interval=_from(page.ts[places[-1]], plan))
                    yield _part(page, range(lines))
                    break
            yield page
    if left is not None:
        async with closing(reader.read(left)) as pages:
            async for page in pages:
                # SECURITY: what lies between this line and the next is not known; tests/gateway/test_prefilter.py.
                if any(mark in page.lines[place] for place in covered(page) for mark in plan.marks):
                    raise SourceUnavailable("Lines arrived that decide what is masked.", next_step="Try again.")
                yield _inside(page, left.interval)


async def _finds_mark(reader: Reader, plan: ReadPlan, covered: Covered) -> bool:
    """Say whether a covered line of the plan's streams and times has one of its marks."""
    if not plan.marks:
        return False
    async with closing(reader.read(replace(plan, literals=plan.marks[:1], marks=plan.marks[1:]))) as pages:
        async for page in pages:
            if covered(page):
                return True
    return False


def _before_last_time(page: Page, places: Sequence[int]) -> int:
    """Return how many lines of a page come before the time of its last covered one."""
    for place in reversed(places):
        if page.ts[place] != page.ts[places[-1]]:
            return place + 1
    return 0


def _from(at_ns: int, plan: ReadPlan) -> Interval:
    """Return what is left of a plan's interval from a time on, in its direction."""
    if plan.direction is Direction.BACKWARD:
        return Interval(plan.interval.start, at_ns + 1)
    return Interval(at_ns, plan.interval.end)


def _inside(page: Page, interval: Interval) -> Page:
    """Leave out lines of other times, which a source may give, and which were given already."""
    places = [place for place, event_ns in enumerate(page.ts) if interval.holds(event_ns)]
    return page if len(places) == len(page) else _part(page, places)


def _part(page: Page, places: Sequence[int]) -> Page:
    """Return some lines of a page, with their streams and no other."""
    numbers = {old: new for new, old in enumerate(sorted({page.stream[place] for place in places}))}
    return Page(
        streams=[page.streams[number] for number in numbers],
        stream=array("I", (numbers[page.stream[place]] for place in places)),
        ts=array("q", (page.ts[place] for place in places)),
        lines=[page.lines[place] for place in places],
        metadata=[page.metadata[place] for place in places],
    )


@asynccontextmanager
async def closing(pages: AsyncIterator[_Yielded]) -> AsyncGenerator[AsyncIterator[_Yielded], None]:
    """End a read: readers give generators, whose end closes what they hold."""
    try:
        yield pages
    finally:
        if isinstance(pages, AsyncGenerator):
            await pages.aclose()
