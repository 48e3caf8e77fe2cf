"""From blocks to lines in order of time: only what intersects the plan is read, overlapping blocks are merged.

Synchronous, in worker threads. Pages are made of this in `pages`.
"""

from __future__ import annotations

import heapq
import os
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Final

from loglease.model.instant import Interval
from loglease.model.labels import Labels, Selector
from loglease.sources.files.catalogue import Block
from loglease.sources.files.segments import (
    FrameDamaged,
    Lines,
    ascending,
    decode_frame,
    frames,
    streams_of,
    text_of,
)
from loglease.sources.files.storage import Storage
from loglease.sources.interface import Metadata, ReadPlan, SourceProtocol, SourceUnavailable

MAX_NS: Final = (1 << 63) - 1
MIN_NS: Final = -(1 << 63)
BLOCKS_AT_ONCE: Final = 256
LOADED_BYTES: Final = 64 << 20


class Stopped(Exception):
    """The consumer is gone: end the read."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a plan asks of every line. `streams` None stands for all."""

    streams: frozenset[int] | None
    start_ns: int
    end_ns: int
    literals: tuple[bytes, ...] = ()
    marks: tuple[bytes, ...] = ()

    def wants_block(self, block: Block) -> bool:
        """Say whether a block can hold such a line, by its streams and times."""
        return (
            block.last_ns >= self.start_ns
            and block.first_ns < self.end_ns
            and (self.streams is None or not self.streams.isdisjoint(block.streams))
        )


def wanted_of(plan: ReadPlan, streams: dict[int, Labels]) -> Wanted:
    """Return the plan in numbers of streams."""
    return Wanted(
        _selected(plan.selector, streams), *_bounds(plan.interval), tuple(filter(None, plan.literals)), plan.marks
    )


def _selected(selector: Selector, streams: dict[int, Labels]) -> frozenset[int] | None:
    if not selector.matchers:
        return None
    return frozenset(number for number, labels in list(streams.items()) if selector.matches(labels))


def _bounds(interval: Interval) -> tuple[int, int]:
    return max(interval.start, MIN_NS), MAX_NS if interval.end is None else min(interval.end, MAX_NS)


def load(storage: Storage, block: Block, start: int = 0) -> bytes | None:
    """Return the bytes of a block from an offset inside it; None if retention has removed it.

    Raises:
        SourceUnavailable: the segment is there, and cannot be read.
    """
    path = storage.segment_path(block.segment)
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            return os.pread(descriptor, block.length - start, block.start + start)
        finally:
            os.close(descriptor)
    except FileNotFoundError:
        if storage.catalogue.block(block.id) is None:
            return None
        raise SourceUnavailable("A segment of a file source is missing.") from None
    except OSError as error:
        raise SourceUnavailable("A segment of a file source cannot be read.") from error


def lines_of(data: bytes, wanted: Wanted) -> Iterator[Lines]:
    """Yield the wanted lines of a block, one frame after the other, as they were stored.

    Raises:
        SourceProtocol: the block is damaged.
    """
    return (lines for _, lines in lines_by_frame(data, wanted))


def lines_by_frame(data: bytes, wanted: Wanted) -> Iterator[tuple[int, Lines]]:
    """Yield where each frame begins that has wanted lines, and those.

    Raises:
        SourceProtocol: the block is damaged.
    """
    try:
        for frame in frames(data):
            if not frame.count or frame.last_ns < wanted.start_ns or frame.first_ns >= wanted.end_ns:
                continue
            streams = streams_of(data, frame)
            if isinstance(streams, int) and wanted.streams is not None and streams not in wanted.streams:
                continue
            text = text_of(data, frame)
            marks = tuple(mark for mark in wanted.marks if mark in text)
            if not marks and not all(literal in text for literal in wanted.literals):
                continue
            lines = decode_frame(data, frame, text)
            inside = wanted.start_ns <= frame.first_ns and frame.last_ns < wanted.end_ns
            lines = _filtered(lines, wanted, marks, inside=inside)
            if lines.text:
                yield frame.start, lines
    except FrameDamaged as damage:
        raise SourceProtocol("A block of a file source is damaged.") from damage


def _filtered(lines: Lines, wanted: Wanted, marks: tuple[bytes, ...], *, inside: bool) -> Lines:
    keep: list[int] | None = None
    if not inside:
        start, end = wanted.start_ns, wanted.end_ns
        keep = [index for index, time in enumerate(lines.ts) if start <= time < end]
    if wanted.streams is not None and not isinstance(lines.stream, int):
        numbers, column = wanted.streams, lines.stream
        keep = [index for index in (range(len(lines)) if keep is None else keep) if column[index] in numbers]
    if wanted.literals:
        keep = _holding(lines.text, range(len(lines)) if keep is None else keep, wanted.literals, marks)
    return lines if keep is None or len(keep) == len(lines) else picked(lines, keep)


def _holding(
    text: list[bytes], places: Sequence[int], literals: tuple[bytes, ...], marks: tuple[bytes, ...]
) -> list[int]:
    """Return the places of the lines with all literals or a mark."""
    found = list(places)
    for literal in literals:
        found = [place for place in found if literal in text[place]]
    if marks:
        found = sorted({*found, *(place for place in places if any(mark in text[place] for mark in marks))})
    return found


def picked(lines: Lines, indices: list[int]) -> Lines:
    """Return some of the lines, in the order of `indices`."""
    if not indices:
        return Lines(0, array("q"), [])
    take = itemgetter(*indices) if len(indices) > 1 else lambda column: (column[indices[0]],)
    stream = lines.stream if isinstance(lines.stream, int) else array("I", take(lines.stream))
    metadata = {}
    if lines.metadata:
        metadata = {new: lines.metadata[old] for new, old in enumerate(indices) if old in lines.metadata}
    return Lines(stream, array("q", take(lines.ts)), list(take(lines.text)), metadata)


def joined(parts: list[Lines]) -> Lines:
    """Return the parts one after the other."""
    if len(parts) == 1:
        return parts[0]
    first = parts[0].stream
    stream: int | array[int] = first if isinstance(first, int) else array("I")
    if any(part.stream != first or not isinstance(first, int) for part in parts):
        stream = array("I")
        for part in parts:
            stream.extend(part.stream if not isinstance(part.stream, int) else array("I", [part.stream]) * len(part))
    ts: array[int] = array("q")
    text: list[bytes] = []
    metadata: dict[int, Metadata] = {}
    for part in parts:
        metadata.update({len(text) + index: pairs for index, pairs in part.metadata.items()})
        ts.extend(part.ts)
        text.extend(part.text)
    return Lines(stream, ts, text, metadata)


def by_time(lines: Lines) -> Lines:
    """Return the lines in ascending time, equal times in the order they have."""
    if ascending(lines.ts):
        return lines
    return picked(lines, sorted(range(len(lines)), key=lines.ts.__getitem__))


def part_of(lines: Lines, start: int, end: int) -> Lines:
    """Return a slice."""
    if start == 0 and end == len(lines):
        return lines
    stream = lines.stream if isinstance(lines.stream, int) else lines.stream[start:end]
    metadata = {}
    if lines.metadata:
        metadata = {index - start: pairs for index, pairs in lines.metadata.items() if start <= index < end}
    return Lines(stream, lines.ts[start:end], lines.text[start:end], metadata)


def backwards(lines: Lines) -> Lines:
    """Return the lines last first."""
    stream = lines.stream if isinstance(lines.stream, int) else lines.stream[::-1]
    last = len(lines) - 1
    metadata = {last - index: pairs for index, pairs in lines.metadata.items()}
    return Lines(stream, lines.ts[::-1], lines.text[::-1], metadata)


class _Open:
    """A block that the merge has reached: its wanted lines by time, and how many of them are given.

    Lines can be forgotten to save memory, and are read again when they are needed: a block never changes.
    """

    __slots__ = ("block", "given", "lines", "near")

    def __init__(self, block: Block, lines: Lines) -> None:
        self.block = block
        self.lines: Lines | None = lines
        self.given = 0
        self.near = 0


class TimeMerge:
    """Yields lines of blocks in order of time, equal times in the order of storing; backward exactly the reverse.

    The horizon is the time up to which all open blocks together are complete: every block that begins before it is
    open, and none of them ends before it. What lies before the horizon is taken from all of them and sorted, which
    costs little, since it is made of sorted runs. Lines of one time are never split. Time is mirrored for backward: a
    "near" time comes early in the answer, a "far" one late.
    """

    def __init__(
        self,
        storage: Storage,
        wanted: Wanted,
        *,
        backward: bool,
        stopped: Callable[[], bool],
        loaded_bytes: int = LOADED_BYTES,
    ) -> None:
        self._storage = storage
        self._wanted = wanted
        self._backward = backward
        self._stopped = stopped
        self._budget = loaded_bytes
        self._loaded = 0
        self._open: list[tuple[int, int, _Open]] = []  # heap by near time
        self._ends: list[int] = []  # heap of far times
        self._next: Block | None = None
        self._more = self._blocks_by_time()

    def __iter__(self) -> Iterator[Lines]:
        while True:
            self._advance()
            if not self._open:
                return
            taken = self._take(self._horizon())
            if taken:
                lines = by_time(joined(taken))
                yield backwards(lines) if self._backward else lines

    def _near(self, block: Block) -> int:
        return -block.last_ns if self._backward else block.first_ns

    def _blocks_by_time(self) -> Iterator[Block]:
        """Yield the wanted blocks by near time; what is stored later than the first call is not among them."""
        catalogue, wanted = self._storage.catalogue, self._wanted
        below = catalogue.last_block()  # the only block that can still grow, so it is taken as it is now
        last = catalogue.block(below)
        pending = [last] if last is not None and wanted.wants_block(last) else []
        mark = (MAX_NS, below + 1) if self._backward else (MIN_NS, -1)
        fetch = catalogue.blocks_backward if self._backward else catalogue.blocks_forward
        while True:
            found = fetch(wanted.start_ns, wanted.end_ns, mark, below=below, limit=BLOCKS_AT_ONCE)
            for block in found:
                if pending and self._near(pending[0]) <= self._near(block):
                    yield pending.pop()
                if wanted.wants_block(block):
                    yield block
            if len(found) < BLOCKS_AT_ONCE:
                yield from pending
                return
            mark = (found[-1].last_ns if self._backward else found[-1].first_ns, found[-1].id)
            if self._stopped():
                raise Stopped

    def _advance(self) -> None:
        """Open every block that begins at or before the horizon; at least one with wanted lines, if there is any."""
        while True:
            if self._next is None:
                self._next = next(self._more, None)
            if self._next is None or (self._ends and self._near(self._next) > self._ends[0]):
                return
            block, self._next = self._next, None
            lines = self._load(block)
            if lines is not None:
                opened = _Open(block, lines)
                opened.near, far = (-lines.ts[-1], -lines.ts[0]) if self._backward else (lines.ts[0], lines.ts[-1])
                heapq.heappush(self._open, (opened.near, block.id, opened))
                heapq.heappush(self._ends, far)
                self._forget()

    def _horizon(self) -> int:
        """Return the end of what is complete, or less where that would be too much at once."""
        far, near = self._ends[0], self._open[0][0]
        size = sum(opened.block.length for start, _, opened in self._open if start <= far) if self._crowded() else 0
        return near + (far - near) // (1 + size // self._budget)

    def _crowded(self) -> bool:
        return len(self._open) > self._budget // (1 << 20)

    def _load(self, block: Block) -> Lines | None:
        if self._stopped():
            raise Stopped
        data = load(self._storage, block)
        parts = [] if data is None else list(lines_of(data, self._wanted))
        if not parts:
            return None
        self._loaded += block.length
        return by_time(joined(parts))

    def _forget(self) -> None:
        """Forget the lines that will be needed last, as long as more is in memory than may be."""
        if self._loaded <= self._budget:
            return
        for _, _, opened in sorted(self._open, key=itemgetter(0), reverse=True):
            if opened.lines is not None:
                opened.lines = None
                self._loaded -= opened.block.length
            if self._loaded <= self._budget // 2:
                return

    def _take(self, horizon: int) -> list[Lines]:
        taken: list[tuple[int, Lines]] = []
        while self._open and self._open[0][0] <= horizon:
            _, number, opened = heapq.heappop(self._open)
            lines = opened.lines or self._load(opened.block)
            if lines is None:
                continue  # retention took it away meanwhile
            opened.lines = lines
            part, rest = self._split(lines, opened.given, horizon)
            opened.given += len(part)
            taken.append((number, part))
            if rest is None:
                self._loaded -= opened.block.length
            else:
                heapq.heappush(self._open, (rest, number, opened))
                self._forget()
        while self._ends and self._ends[0] <= horizon:
            heapq.heappop(self._ends)
        taken.sort(key=itemgetter(0))
        return [part for _, part in taken]

    def _split(self, lines: Lines, given: int, horizon: int) -> tuple[Lines, int | None]:
        """Return what lies before the horizon, and the near time of the rest, None if there is no rest."""
        if self._backward:
            end = len(lines) - given
            start = bisect_left(lines.ts, -horizon, 0, end)
            return part_of(lines, start, end), -lines.ts[start - 1] if start else None
        end = bisect_right(lines.ts, horizon, given)
        return part_of(lines, given, end), lines.ts[end] if end < len(lines) else None
