"""What following a remote store does with a tail that is worth little; the clock moves only where somebody waits."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from itertools import groupby
from operator import attrgetter
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.fakes.clock import FakeClock

from loglease.model.instant import NANOSECONDS, Interval
from loglease.model.labels import Selector
from loglease.sources import following as module
from loglease.sources.following import Arrival, Following, Known
from loglease.sources.interface import Gap, Page, ReadPlan, SourceUnavailable
from loglease.sources.paging import Row

SECOND = NANOSECONDS
ROWS = st.builds(Row, st.integers(0, 3), st.just(()), st.sampled_from([b"a", b"b"]), st.just(()))


@given(st.lists(st.tuples(st.booleans(), st.lists(ROWS, max_size=8)), max_size=4))
def test_a_row_is_given_as_often_as_one_read_has_it_at_most_or_once_by_a_tail(
    passes: list[tuple[bool, list[Row]]],
) -> None:
    known = Known()
    found: Counter[Row] = Counter()
    wanted: Counter[Row] = Counter()
    for is_read, rows in passes:
        seen: Counter[Row] = Counter()
        for row in rows:
            found.update(known.read([row], seen) if is_read else known.tailed([row]))
        wanted |= Counter(rows if is_read else set(rows))
    assert found == wanted


class Step(NamedTuple):
    """What happens before a tail gives its next message.

    Attributes:
        seconds: time that passes.
        written: lines that the store takes; how many seconds ago they are from, and their texts.
        given: which of all lines so far the message has, however often; nothing ends the tail.
    """

    seconds: float
    written: list[tuple[int, bytes]]
    given: list[int] | None


STEPS = st.builds(
    Step,
    st.sampled_from([0.0, 0.4, 3.0, 16.0]),
    st.lists(st.tuples(st.integers(0, 3), st.sampled_from([b"a", b"b"])), max_size=3),
    st.none() | st.lists(st.integers(0, 50), max_size=5),
)
OLD = st.lists(st.tuples(st.sampled_from([1, 40, 100, 101, 200]), st.sampled_from([b"a", b"b"])), max_size=8)


class Moody:
    """A store that loses nothing, with a tail that gives what it likes and reads that break off.

    Args:
        breaking: for each of the first reads, after how many runs of lines it breaks off.
    """

    def __init__(self, clock: FakeClock, old: list[tuple[int, bytes]], steps: list[Step], breaking: list[int]) -> None:
        self._clock = clock
        self._steps = iter(steps)
        self._breaking = iter(breaking)
        self.rows_written: list[Row] = []
        self._write(old)

    def _write(self, lines: list[tuple[int, bytes]]) -> None:
        now = self._clock.wall * 1_000
        self.rows_written += [Row(now - seconds * SECOND - 1, (), text, ()) for seconds, text in lines]

    async def tail(self, from_ns: int) -> AsyncGenerator[list[bytes], None]:
        assert from_ns <= self._clock.wall * 1_000
        for step in self._steps:
            self._clock.advance(step.seconds)
            self._write(step.written)
            if step.given is None:
                return
            yield [b"%d" % number for number in step.given]
        while True:
            self._clock.advance(5)
            yield []

    def arrival(self, records: list[bytes]) -> Arrival:
        written = self.rows_written
        return Arrival([written[int(number) % len(written)] for number in records if written])

    async def rows(self, interval: Interval) -> AsyncGenerator[list[Row], None]:
        inside = sorted(row for row in self.rows_written if interval.holds(row.ts))
        breaks_after = next(self._breaking, None)
        for number, (_, run) in enumerate(groupby(inside, key=attrgetter("ts"))):
            if number == breaks_after:
                raise SourceUnavailable("It broke off.", next_step="Try again.")
            yield list(run)


@given(OLD, st.lists(STEPS, max_size=12), st.lists(st.integers(0, 4), max_size=3))
async def test_each_line_is_given_once_whatever_the_tail_and_broken_reads_give(
    old: list[tuple[int, bytes]], steps: list[Step], breaking: list[int]
) -> None:
    clock = FakeClock()
    now = clock.wall * 1_000
    store = Moody(clock, old, steps, breaking)
    plan = ReadPlan(selector=Selector(), interval=Interval(now - 300 * SECOND, now + 400 * SECOND))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("loglease.sources.following.asyncio.sleep", passing(clock))
        patch.setattr(module, "PATIENCE_NS", 1_000 * SECOND)
        items = [item async for item in Following(store, plan, clock, repair_s=5).items()]
    assert not [item for item in items if isinstance(item, Gap)]
    found = Counter(
        (ts, text) for item in items if isinstance(item, Page) for ts, text in zip(item.ts, item.lines, strict=True)
    )
    assert found == Counter((row.ts, row.line) for row in store.rows_written)


class Store:
    """A store whose tail does what a test says; it notes when it is asked."""

    def __init__(self, clock: FakeClock, tail: Callable[[], AsyncGenerator[list[bytes], None]]) -> None:
        self._clock = clock
        self._tail = tail
        self.opened: list[float] = []
        self.read: list[float] = []
        self.found: list[Row] = []

    def seconds(self) -> float:
        return self._clock.boot / SECOND

    def tail(self, from_ns: int) -> AsyncGenerator[list[bytes], None]:
        assert from_ns <= self._clock.wall * 1_000
        self.opened.append(self.seconds())
        return self._tail()

    def arrival(self, records: list[bytes]) -> Arrival:
        return Arrival([], lost=bool(records))

    async def rows(self, interval: Interval) -> AsyncGenerator[list[Row], None]:
        self.read.append(self.seconds())
        yield [row for row in self.found if interval.holds(row.ts)]


def passing(clock: FakeClock) -> Callable[[float], Awaitable[None]]:
    """Return a sleep that takes no time but that of the clock."""
    pause = asyncio.sleep

    async def sleep(seconds: float) -> None:
        clock.advance(seconds)
        await pause(0)

    return sleep


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> FakeClock:
    clock = FakeClock()
    monkeypatch.setattr("loglease.sources.following.asyncio.sleep", passing(clock))
    return clock


def follower(store: Store, clock: FakeClock, repair_s: float = 1_000) -> Following:
    plan = ReadPlan(
        selector=Selector(), interval=Interval(clock.wall * 1_000 - SECOND, clock.wall * 1_000 + 60 * SECOND)
    )
    return Following(store, plan, clock, repair_s=repair_s)


async def test_a_store_that_opens_tails_only_to_end_them_is_asked_less_and_less_often(clock: FakeClock) -> None:
    async def ending() -> AsyncGenerator[list[bytes], None]:
        yield []

    store = Store(clock, ending)
    assert [item async for item in follower(store, clock).items()] == []
    waits = [round(later - before, 2) for before, later in zip(store.opened, store.opened[1:], strict=False)]
    assert waits[:7] == [0.25, 0.5, 1, 2, 4, 5, 5]


async def test_a_tail_that_drops_lines_all_the_time_leads_to_one_read_a_second(clock: FakeClock) -> None:
    async def dropping() -> AsyncGenerator[list[bytes], None]:
        while True:
            clock.advance(0.3)
            yield [b"dropped"]

    store = Store(clock, dropping)
    assert [item async for item in follower(store, clock).items()] == []
    waits = [round(later - before, 2) for before, later in zip(store.read, store.read[1:], strict=False)]
    assert set(waits[5:40]) == {1.2}


async def test_what_is_too_much_to_remember_is_a_gap(clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows whose giving is forgotten are not given again, and what may have been among them is said."""
    monkeypatch.setattr(module, "MAX_KNOWN", 4)

    async def ending() -> AsyncGenerator[list[bytes], None]:
        yield []

    store = Store(clock, ending)
    now = clock.wall * 1_000
    store.found = [Row(now - SECOND + step, (), b"%d" % step, ()) for step in range(9)]
    ahead = [Row(now + SECOND * 50 + step, (), b"%d" % step, ()) for step in range(9)]

    def arrival(_records: list[bytes]) -> Arrival:
        return Arrival(ahead)

    monkeypatch.setattr(store, "arrival", arrival)
    lines: list[bytes] = []
    gaps: list[Gap] = []
    async with aclosing(follower(store, clock).items()) as items:
        async for item in items:
            if isinstance(item, Gap):
                gaps.append(item)
            else:
                lines += item.lines
    assert Counter(lines) == Counter([row.line for row in [*store.found, *ahead]])
    assert gaps
