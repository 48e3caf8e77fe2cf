"""From runs of lines to pages: reads in order of time, and what a follower has not seen yet.

Synchronous, in worker threads; nothing holds a file or a transaction open between two pages.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterator
from itertools import accumulate

from loglease.model.instant import Interval
from loglease.model.labels import Labels, Selector
from loglease.sources.files.catalogue import Block
from loglease.sources.files.reading import (
    BLOCKS_AT_ONCE,
    Stopped,
    TimeMerge,
    Wanted,
    lines_of,
    load,
    part_of,
    wanted_of,
)
from loglease.sources.files.segments import Lines
from loglease.sources.files.storage import Storage
from loglease.sources.interface import Direction, Gap, Metadata, Page, ReadPlan


class Pager:
    """Cuts runs of lines into pages of bounded lines and bytes; a page holds at least one line."""

    def __init__(self, plan: ReadPlan, streams: dict[int, Labels]) -> None:
        self._plan = plan
        self._streams = streams
        self._start_page()

    def _start_page(self) -> None:
        self.page = Page()
        self._bytes = 0
        self._places: dict[int, int] = {}

    def feed(self, lines: Lines) -> Iterator[Page]:
        """Take lines and yield the pages that they fill."""
        start = 0
        while start < len(lines):
            end = start + self._fitting(lines.text, start)
            if end > start:
                self._add(part_of(lines, start, end))
                start = end
            if start < len(lines):
                yield self._full()

    def flush(self) -> Iterator[Page]:
        """Yield what is left as a last page."""
        if len(self.page):
            yield self._full()

    def _full(self) -> Page:
        page = self.page
        self._start_page()
        return page

    def _fitting(self, text: list[bytes], start: int) -> int:
        """Return how many lines the page still takes."""
        candidates = text[start : start + self._plan.page_lines - len(self.page)]
        room = self._plan.page_bytes - self._bytes
        size = sum(map(len, candidates))
        if size > room:
            ends = list(accumulate(map(len, candidates)))
            count = bisect_right(ends, room)
            if count == 0 and not len(self.page):
                count = 1
            size = ends[count - 1] if count else 0
            self._bytes += size
            return count
        self._bytes += size
        return len(candidates)

    def _add(self, lines: Lines) -> None:
        page = self.page
        if isinstance(lines.stream, int):
            page.stream.extend(array("I", [self._place(lines.stream)]) * len(lines))
        else:
            page.stream.extend(array("I", map(self._place, lines.stream)))
        metadata: list[Metadata | None] = [None] * len(lines)
        for index, pairs in lines.metadata.items():
            metadata[index] = pairs
        page.ts.extend(lines.ts)
        page.lines.extend(lines.text)
        page.metadata.extend(metadata)

    def _place(self, number: int) -> int:
        place = self._places.get(number)
        if place is None:
            place = self._places[number] = len(self.page.streams)
            self.page.streams.append(self._streams[number])
        return place


def read_pages(storage: Storage, plan: ReadPlan, stopped: Callable[[], bool]) -> Iterator[Page]:
    """Yield the pages of a plan.

    Raises:
        SourceError: something could not be read.
        Stopped: `stopped` has become true.
    """
    wanted = wanted_of(plan, storage.streams)
    if wanted.streams is not None and not wanted.streams:
        return
    pager = Pager(plan, storage.streams)
    for lines in TimeMerge(storage, wanted, backward=plan.direction is Direction.BACKWARD, stopped=stopped):
        yield from pager.feed(lines)
    yield from pager.flush()


def streams_between(
    storage: Storage, selector: Selector, interval: Interval, stopped: Callable[[], bool]
) -> Iterator[Labels]:
    """Yield the label sets that have at least one line in the interval, each once.

    Raises:
        SourceError: something could not be read.
        Stopped: `stopped` has become true.
    """
    wanted = wanted_of(ReadPlan(selector=selector, interval=interval), storage.streams)
    found: set[int] = set()
    from_block = 0
    while True:
        blocks = storage.catalogue.blocks_stored(from_block, wanted.start_ns, wanted.end_ns, limit=BLOCKS_AT_ONCE)
        for block in blocks:
            new = (block.streams if wanted.streams is None else block.streams & wanted.streams) - found
            if new and not (wanted.start_ns <= block.first_ns and block.last_ns < wanted.end_ns):
                new &= _present(load(storage, block), wanted)
            found |= new
            for number in sorted(new):
                yield storage.streams[number]
            if stopped():
                raise Stopped
        if len(blocks) < BLOCKS_AT_ONCE:
            return
        from_block = blocks[-1].id + 1


def _present(data: bytes | None, wanted: Wanted) -> set[int]:
    present: set[int] = set()
    for lines in lines_of(data or b"", wanted):
        present |= {lines.stream} if isinstance(lines.stream, int) else set(lines.stream)
    return present


class Following:
    """A place in the order of storing, from which a follower goes on; each line lies behind it exactly once."""

    def __init__(self, storage: Storage, plan: ReadPlan) -> None:
        self._storage = storage
        self._plan = plan
        self._block = 0
        self._consumed = 0
        self._removed = max((block.id for block in list(storage.removed)), default=0)

    def news(self, stopped: Callable[[], bool]) -> Iterator[Page | Gap]:
        """Yield what is stored and was not yet given, until there is no more.

        Raises:
            SourceError: something could not be read.
            Stopped: `stopped` has become true.
        """
        yield from self._gaps()
        pager = Pager(self._plan, self._storage.streams)
        while True:
            wanted = wanted_of(self._plan, self._storage.streams)
            blocks = self._storage.catalogue.blocks_stored(
                self._block, wanted.start_ns, wanted.end_ns, limit=BLOCKS_AT_ONCE
            )
            for block in blocks:
                if stopped():
                    raise Stopped
                start = self._consumed if block.id == self._block else 0
                self._block, self._consumed = block.id, block.length
                if block.length == start or not wanted.wants_block(block):
                    continue
                data = load(self._storage, block, start)
                if data is None:
                    yield from pager.flush()
                    yield Gap(block.first_ns, block.last_ns + 1)
                    continue
                for lines in lines_of(data, wanted):
                    yield from pager.feed(lines)
            if len(blocks) < BLOCKS_AT_ONCE:
                break
        yield from pager.flush()

    def _gaps(self) -> Iterator[Gap]:
        """Yield one gap over all that was removed before it was given, if its streams and times were wanted."""
        gone = [block for block in list(self._storage.removed) if block.id > self._removed]
        self._removed = max((block.id for block in gone), default=self._removed)
        wanted = wanted_of(self._plan, self._storage.streams)
        lost = [block for block in gone if self._lacks(block) and wanted.wants_block(block)]
        if lost:
            yield Gap(min(block.first_ns for block in lost), max(block.last_ns for block in lost) + 1)

    def _lacks(self, block: Block) -> bool:
        return block.id > self._block or (block.id == self._block and block.length > self._consumed)
