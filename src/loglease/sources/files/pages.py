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
    lines_by_frame,
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
        while (start := self.take(lines, start)) < len(lines):
            yield self._full()

    def take(self, lines: Lines, start: int) -> int:
        """Take lines from a place on and return the place of the first that the page has no room for."""
        end = start + self._fitting(lines.text, start)
        if end > start:
            self._add(part_of(lines, start, end))
        return end

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
    """A place in the order of storing, from which a follower goes on; each line lies behind it exactly once.

    Between two pages it holds numbers only, so a thousand followers that wait for their clients cost nothing: a block
    of which a page took a part is read again for the next one.
    """

    def __init__(self, storage: Storage, plan: ReadPlan) -> None:
        self._storage = storage
        self._plan = plan
        self._block = 0
        self._consumed = 0
        """Bytes of that block."""
        self._taken = 0
        """Wanted lines of the frame that begins there."""
        self._removed = max((block.id for block in list(storage.removed)), default=0)
        self._wanted = wanted_of(plan, storage.streams)
        self._streams_known = 0
        self.is_at_end = False
        """Whether there was no more to give when the last page was made."""

    def next(self, stopped: Callable[[], bool]) -> Page | Gap | None:
        """Return what is stored and was not yet given, as far as it fits one page; None if there is nothing.

        Raises:
            SourceError: something could not be read.
            Stopped: `stopped` has become true.
        """
        self.is_at_end = False
        if (gap := self._gap()) is not None:
            return gap
        pager = Pager(self._plan, self._storage.streams)
        for block in self._blocks(stopped):
            data = load(self._storage, block, self._consumed)
            if data is None:
                if len(pager.page):
                    return pager.page
                self._pass(block)
                return Gap(block.first_ns, block.last_ns + 1)
            if self._fills(pager, data):
                return pager.page
            self._pass(block)
        self.is_at_end = True
        return pager.page if len(pager.page) else None

    def _blocks(self, stopped: Callable[[], bool]) -> Iterator[Block]:
        """Yield the blocks that may have lines to give, in the order of storing, and pass the others."""
        while True:
            blocks = self._storage.catalogue.blocks_stored(
                self._block, self._wanted.start_ns, self._wanted.end_ns, limit=BLOCKS_AT_ONCE
            )
            self._know_streams()  # after the blocks are known, so that none has lines of a stream that is not
            for block in blocks:
                if stopped():
                    raise Stopped
                if block.id != self._block:
                    self._block, self._consumed, self._taken = block.id, 0, 0
                if block.length == self._consumed:
                    continue
                if self._wanted.wants_block(block):
                    yield block
                else:
                    self._pass(block)
            if len(blocks) < BLOCKS_AT_ONCE:
                return

    def _pass(self, block: Block) -> None:
        self._consumed, self._taken = block.length, 0

    def _know_streams(self) -> None:
        """Take in streams that are new; what a number stands for never changes."""
        if (known := len(self._storage.streams)) != self._streams_known:
            self._wanted, self._streams_known = wanted_of(self._plan, self._storage.streams), known

    def _fills(self, pager: Pager, data: bytes) -> bool:
        """Take lines from the rest of a block, and say whether there was no room for all of them."""
        begun = self._consumed
        for start, lines in lines_by_frame(data, self._wanted):
            if start:
                self._consumed, self._taken = begun + start, 0
            self._taken = pager.take(lines, self._taken)
            if self._taken < len(lines):
                return True
        return False

    def _gap(self) -> Gap | None:
        """Return one gap over all that was removed before it was given, if its streams and times were wanted."""
        gone = [block for block in list(self._storage.removed) if block.id > self._removed]
        self._removed = max((block.id for block in gone), default=self._removed)
        self._know_streams()
        lost = [block for block in gone if self._lacks(block) and self._wanted.wants_block(block)]
        if not lost:
            return None
        return Gap(min(block.first_ns for block in lost), max(block.last_ns for block in lost) + 1)

    def _lacks(self, block: Block) -> bool:
        return block.id > self._block or (block.id == self._block and block.length > self._consumed)
