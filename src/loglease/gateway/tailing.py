"""A tail that begins with the newest lines there are: each line once, and none lost between those and what arrives.

A batch is let go of as soon as it was taken, since it may be long until the next one.

Looking back says where the newest lines begin; then they are read in ascending order, and then the source is followed
from a little before the tail was asked for, since a line may be stored later than its time says. What was read already
comes again there, and is left out. Nothing is held but the number of each such line, and not many of these.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Final

from loglease.gateway.aging import aged
from loglease.gateway.merging import as_they_arrive, in_order
from loglease.gateway.reading import FOLLOW_BYTES, Batches, InPool, LogReading, TailReading
from loglease.gateway.scan import Scan
from loglease.gateway.served import Item
from loglease.gateway.union import Marks
from loglease.gateway.worker import Worker
from loglease.model.clock import Clock
from loglease.model.instant import NANOSECONDS, Interval
from loglease.sources.interface import Direction, Gap, Reader, ReadPlan

LATE_NS: Final = 60 * NANOSECONDS
"""How much later than its own time a line may be stored around the beginning of a tail and still be given."""

MAX_KNOWN: Final = 2_000
"""Lines before the newest ones that are remembered at most; where there are more, `LATE_NS` is less."""


@dataclass(frozen=True, slots=True)
class _Newest:
    """Where the newest lines begin: their first time, lines of that time that come before them, how many there are."""

    first_ns: int
    skipped: int
    count: int


class _Known:
    """Lines that were read before the source was followed.

    SECURITY: lines are told apart by what the client sees of them, so what is hidden decides nothing here; tested in
    tests/gateway/test_tail.py.
    """

    def __init__(self, from_ns: int) -> None:
        self.from_ns = from_ns
        """All lines from this time on that were there are known."""
        self._counts: Counter[int] = Counter()

    def add(self, item: Item) -> None:
        if item.event_ns >= self.from_ns:
            self._counts[hash((item.event_ns, item.record))] += 1

    def add_older(self, item: Item) -> bool:
        """Take a line from before the newest ones, and say whether there is a place for more."""
        if item.event_ns >= self.from_ns and self._counts.total() >= MAX_KNOWN:
            self.from_ns = item.event_ns + 1
        self.add(item)
        return item.event_ns >= self.from_ns

    def new(self, items: Sequence[Item]) -> Sequence[Item]:
        """Return the lines that are not known; each known one is met once."""
        return [item for item in items if not self._meets(item)] if self._counts else items

    def _meets(self, item: Item) -> bool:
        key = hash((item.event_ns, item.record))
        if key not in self._counts:
            return False
        self._counts[key] -= 1
        if not self._counts[key]:
            del self._counts[key]
        return True


@dataclass(frozen=True, slots=True, kw_only=True)
class NewestThenLive:
    """The newest lines of an interval up to now, then what arrives.

    Attributes:
        plan: how to read what may be read up to now; its interval ends with the grant's event window.
        worker: evaluates the lines of an interval in a direction; following, or looking at no more than it may.
        now_ns: where looking back begins, nanoseconds since the epoch.
        newest: how many lines there are at most before the live ones.
        delay_ns: live lines wait until they are so old.
    """

    reader: Reader
    plan: ReadPlan
    worker: Callable[[Interval, Direction, bool, Scan | None], Worker]
    scan: Scan
    now_ns: int
    newest: int
    delay_ns: int
    clock: Clock
    follow: bool = True
    is_exhausted: bool = False

    async def batches(self, in_pool: InPool) -> Batches:
        """Yield the newest lines in ascending order, then the others as they arrive."""
        begun = await self.begin(in_pool)
        async with aclosing(begun.newest(in_pool)) as batches:
            async for some in batches:
                yield some
                del some
        async with aclosing(begun.live(in_pool)) as batches:
            async for batch in batches:
                yield batch
                del batch

    async def begin(self, in_pool: InPool) -> Begun:
        """Look back for where the newest lines begin."""
        start, end = self.plan.interval.start, self.plan.interval.end
        until_ns = self.now_ns if end is None else min(self.now_ns, end)
        known = _Known(max(start, self.now_ns - LATE_NS))
        newest = None
        if start < until_ns:
            newest = await self._look_back(Interval(start, until_ns), known, in_pool)
        return Begun(self, until_ns, known, newest)

    async def _look_back(self, interval: Interval, known: _Known, in_pool: InPool) -> _Newest | None:
        """Find where the newest lines begin; lines before these are known as far as a late one could be one of them."""
        count = skipped = 0
        first_ns: int | None = None
        backward = self.reading(interval, Direction.BACKWARD, self.scan)
        async with aclosing(backward.batches(in_pool)) as batches:
            async for items in batches:
                for item in items:
                    if count < self.newest:
                        count, first_ns = count + 1, item.event_ns
                    elif item.event_ns == first_ns:
                        skipped += 1
                    elif not known.add_older(item):
                        return _newest(first_ns, skipped, count)
        if backward.is_exhausted:  # what is older was not looked at
            known.from_ns = max(known.from_ns, interval.end or 0 if first_ns is None else first_ns)
        return _newest(first_ns, skipped, count)

    def reading(self, interval: Interval, direction: Direction, scan: Scan | None) -> LogReading:
        """Return a reading of the lines that are there."""
        return LogReading(
            self.reader,
            replace(self.plan, interval=interval, direction=direction),
            self.worker(interval, direction, False, scan),  # noqa: FBT003 - it does not follow
            backward=direction is Direction.BACKWARD,
        )


@dataclass(frozen=True, slots=True)
class Begun:
    """A tail that knows where its newest lines begin. They are read first, then it follows."""

    tail: NewestThenLive
    until_ns: int
    known: _Known
    first: _Newest | None

    @property
    def count(self) -> int:
        """How many newest lines there are."""
        return 0 if self.first is None else self.first.count

    async def newest(self, in_pool: InPool) -> AsyncGenerator[Sequence[Item], None]:
        """Yield the newest lines in ascending order."""
        if self.first is None:
            return
        left_out = self.first.skipped
        forward = self.tail.reading(Interval(self.first.first_ns, self.until_ns), Direction.FORWARD, None)
        async with aclosing(forward.batches(in_pool)) as batches:
            async for items in batches:
                for item in items:
                    self.known.add(item)
                yield items[left_out:]
                left_out = max(0, left_out - len(items))

    def live(self, in_pool: InPool) -> Batches:
        """Yield what arrives, once it is old enough."""
        tail, arriving = self.tail, self._arriving(in_pool)
        return aged(arriving, tail.delay_ns, tail.clock) if tail.delay_ns else arriving

    async def _arriving(self, in_pool: InPool) -> Batches:
        tail, end = self.tail, self.tail.plan.interval.end
        if end is not None and end <= self.known.from_ns:
            return
        live = Interval(self.known.from_ns, end)
        following = TailReading(
            tail.reader,
            replace(tail.plan, interval=live, literals=(), marks=(), page_bytes=FOLLOW_BYTES),
            tail.worker(live, Direction.FORWARD, True, None),  # noqa: FBT003 - it follows
        )
        async with aclosing(following.batches(in_pool)) as batches:
            async for batch in batches:
                yield batch if isinstance(batch, Gap) else self.known.new(batch)
                del batch


@dataclass(frozen=True, slots=True)
class TailsTogether:
    """Tails under several grants: the newest lines of all of them in ascending order, then what arrives.

    Attributes:
        newest: how many lines there are at most before the live ones.
    """

    tails: Sequence[NewestThenLive]
    newest: int
    follow: bool = True
    is_exhausted: bool = False

    async def batches(self, in_pool: InPool) -> Batches:
        """Yield the newest lines, then the others as they arrive."""
        begun = [await tail.begin(in_pool) for tail in self.tails]
        marks = Marks((None,) * len(begun))
        left_out = max(0, sum(one.count for one in begun) - self.newest)
        before = in_order([one.newest(in_pool) for one in begun], lambda item: (item.event_ns, item.labels))
        async with aclosing(before):
            async for taken in before:
                yield [marks.marked(number, item) for number, item in taken[left_out:]]
                left_out = max(0, left_out - len(taken))
                del taken
        arriving = as_they_arrive([one.live(in_pool) for one in begun])
        async with aclosing(arriving):
            async for number, batch in arriving:
                yield batch if isinstance(batch, Gap) else [marks.marked(number, item) for item in batch]
                del batch


def _newest(first_ns: int | None, skipped: int, count: int) -> _Newest | None:
    return None if first_ns is None else _Newest(first_ns, skipped, count)
