"""What following a remote store does with a tail that is worth little; the clock moves only where somebody waits."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.fakes.clock import FakeClock

from loglease.model.instant import NANOSECONDS, Interval
from loglease.model.labels import Selector
from loglease.sources import following as module
from loglease.sources.following import Arrival, Following, Known
from loglease.sources.interface import Gap, ReadPlan
from loglease.sources.paging import Row

SECOND = NANOSECONDS
ROWS = st.builds(Row, st.integers(0, 3), st.just(()), st.sampled_from([b"a", b"b"]), st.just(()))


@given(st.lists(st.lists(ROWS, max_size=8), max_size=4))
def test_each_row_is_given_as_often_as_one_tail_or_read_has_it_at_most(passes: list[list[Row]]) -> None:
    known = Known()
    found: Counter[Row] = Counter()
    wanted: Counter[Row] = Counter()
    for rows in passes:
        seen: Counter[Row] = Counter()
        for row in rows:
            found.update(known.news([row], seen))
        wanted |= Counter(rows)
    assert found == wanted


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


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> FakeClock:
    clock = FakeClock()
    pause = asyncio.sleep

    async def sleep(seconds: float) -> None:
        clock.advance(seconds)
        await pause(0)

    monkeypatch.setattr("loglease.sources.following.asyncio.sleep", sleep)
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
