"""One suite for all readers. A subclass gives the fixture `store`; names of tests are what each reader promises."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, aclosing
from typing import NamedTuple, Protocol, TypeVar, cast

import pytest

from loglease.model.instant import Interval
from loglease.model.labels import Labels, Selector, labels_of, matcher_of, selector_of
from loglease.sources.interface import Direction, Gap, Page, Reader, ReadPlan, SourceUnavailable

BASE_NS = 1_795_000_000_000_000_000  # 2026-11-18, a whole second
PAGE_LINES = 5_000
T = TypeVar("T")


class Line(NamedTuple):
    """What a test writes: times in steps of the store, two labels (an empty one is missing), a text."""

    step: int
    one: str
    two: str
    text: str


class Store(Protocol):
    """A reader and a way to write what it reads.

    Attributes:
        step_ns: the finest difference of times.
        names: the two labels that lines have.
        live: whether the real clock is the reader's, so that lines of now can be followed.
    """

    @property
    def reader(self) -> Reader: ...
    @property
    def step_ns(self) -> int: ...
    @property
    def names(self) -> tuple[str, str]: ...
    def now_ns(self) -> int: ...
    async def write(self, lines: Sequence[Line], *, base_ns: int = BASE_NS) -> None:
        """Write lines of ascending time; they can be read when this returns."""


Row = tuple[int, Labels, bytes]


class Suite:
    """What every reader does."""

    # Tools

    def labels(self, store: Store, line: Line) -> Labels:
        return labels_of(dict(zip(store.names, (line.one, line.two), strict=True)))

    def row(self, store: Store, line: Line, base_ns: int = BASE_NS) -> Row:
        return base_ns + line.step * store.step_ns, self.labels(store, line), line.text.encode()

    def plan(
        self,
        store: Store,
        start: int = 0,
        end: int = 10**9,
        *,
        selector: Selector | None = None,
        backward: bool = False,
        page_lines: int = PAGE_LINES,
        page_bytes: int = 1 << 20,
        literals: tuple[bytes, ...] = (),
        marks: tuple[bytes, ...] = (),
    ) -> ReadPlan:
        return ReadPlan(
            selector=selector or Selector(),
            interval=Interval(BASE_NS + start * store.step_ns, BASE_NS + end * store.step_ns),
            direction=Direction.BACKWARD if backward else Direction.FORWARD,
            page_lines=page_lines,
            page_bytes=page_bytes,
            literals=literals,
            marks=marks,
        )

    async def pages(self, store: Store, plan: ReadPlan) -> list[Page]:
        async with asyncio.timeout(100), closing(store.reader.read(plan)) as reading:
            return [page async for page in reading]

    async def read(self, store: Store, plan: ReadPlan) -> list[Row]:
        """Read, test what the reader may leave to us, and see that the order is right."""
        rows = [row for page in await self.pages(store, plan) for row in rows_of(page)]
        times = [ts for ts, _, _ in rows]
        assert times == sorted(times, reverse=plan.direction is Direction.BACKWARD)
        return [row for row in rows if plan.interval.holds(row[0]) and plan.selector.matches(row[1])]

    def by_stream(self, rows: Sequence[Row]) -> dict[Labels, list[tuple[int, bytes]]]:
        streams = defaultdict(list)
        for ts, labels, text in rows:
            streams[labels].append((ts, text))
        return dict(streams)

    def expect(self, store: Store, lines: Sequence[Line], rows: Sequence[Row]) -> None:
        """See that just these lines are there, each stream's in its order; that is all that is promised of ties."""
        assert self.by_stream(rows) == self.by_stream([self.row(store, line) for line in lines])

    def some(self, *, each: int = 4) -> list[Line]:
        return [
            Line(step, f"one-{number % 3}", f"two-{number % 2}", f"line {step} {number:05}")
            for step in range(0, 40, 2)
            for number in range(each)
        ]

    # R1, R3: everything, in order

    async def test_everything_is_read_in_order(self, store: Store) -> None:
        lines = self.some()
        await store.write(lines)
        self.expect(store, lines, await self.read(store, self.plan(store)))
        backward = await self.read(store, self.plan(store, backward=True))
        self.expect(store, lines, backward[::-1])

    async def test_nothing_is_read_from_nothing(self, store: Store) -> None:
        assert await self.read(store, self.plan(store)) == []
        assert await self.read(store, self.plan(store, backward=True)) == []
        await store.write(self.some())
        nobody = chosen(store.names[0], exact=["nobody"])
        assert await self.read(store, self.plan(store, selector=nobody)) == []
        assert await self.read(store, self.plan(store, 100, 200)) == []
        assert await self.read(store, self.plan(store, -200, -100, backward=True)) == []

    @pytest.mark.parametrize("backward", [False, True])
    async def test_an_interval_has_its_start_and_not_its_end(self, store: Store, backward: bool) -> None:
        await store.write([Line(step, "a", "", f"line {step}") for step in range(10)])
        for start, end in ((3, 7), (3, 4), (0, 10), (9, 10)):
            rows = await self.read(store, self.plan(store, start, end, backward=backward))
            assert sorted(text for _, _, text in rows) == [f"line {step}".encode() for step in range(start, end)]
        assert await self.read(store, self.plan(store, 5, 5, backward=backward)) == []

    async def test_a_selector_selects_what_it_says(self, store: Store) -> None:
        values = ["pay", "pay-api", "pay.api", "PAY", "other", "", "ünï", "a|b", 'q"q\\', "(x)*"]
        lines = [Line(number, value, f"two-{number % 2}", f"line {number}") for number, value in enumerate(values)]
        await store.write([line for line in lines if self.labels(store, line)])
        name, second = store.names
        selectors = [chosen(name, exact=[value]) for value in values if value]
        selectors += [
            chosen(name, exact=["pay", "a|b", 'q"q\\']),
            chosen(name, prefixes=["pay"]),
            chosen(name, prefixes=["pay."], exact=["other"]),
            chosen(name, any_value=True),
            chosen(name, any_value=True, except_exact=["pay"], except_prefixes=["a|", "("]),
            chosen(name, prefixes=["pay"], except_exact=["pay.api"]),
            selector_of(
                {**dict(chosen(name, any_value=True).matchers), **dict(chosen(second, exact=["two-1"]).matchers)}
            ),
        ]
        for selector in selectors:
            rows = await self.read(store, self.plan(store, selector=selector))
            self.expect(store, [line for line in lines if selector.matches(self.labels(store, line))], rows)

    async def test_a_literal_never_costs_a_line_that_has_it(self, store: Store) -> None:
        texts = ["a.c", "abc", "A.C", "x a.c y", 'q"\\d', "ünï", "tab\there", "[a]{2}", "ABC"]
        await store.write([Line(step, "a", "", text) for step, text in enumerate(texts)])
        for literal in ("a.c", "c", 'q"\\', "n", "\t", "[a]{", "ABC", "b"):
            plan = self.plan(store, literals=(literal.encode(),))
            found = {text for _, _, text in await self.read(store, plan)}
            wanted = {text.encode() for text in texts if literal in text}
            assert wanted <= found
            if store.reader.capabilities.exact_literal:
                assert found == wanted
        assert {text for _, _, text in await self.read(store, self.plan(store, literals=(b"a\xff",)))} <= {
            text.encode() for text in texts
        }

    async def test_lines_with_a_mark_come_beside_those_with_all_literals(self, store: Store) -> None:
        texts = ["a.c b", "b a.c", "a.c", "b", "-- x", "-- a.c b", "[y]", "axc b"]
        await store.write([Line(step, "a", "", text) for step, text in enumerate(texts)])
        found = await self.read(store, self.plan(store, literals=(b"a.c", b"b"), marks=(b"-- ", b"[y]")))
        wanted = {b"a.c b", b"b a.c", b"-- x", b"-- a.c b", b"[y]"}
        assert {text for _, _, text in found} >= wanted or not store.reader.capabilities.marks
        if store.reader.capabilities.exact_literal and store.reader.capabilities.marks:
            assert {text for _, _, text in found} == wanted

    # R3, R4: pages and ties

    @pytest.mark.parametrize("backward", [False, True])
    @pytest.mark.parametrize("page_lines", [1, 3, 7])
    async def test_nothing_is_lost_or_repeated_at_the_borders_of_pages(
        self, store: Store, page_lines: int, backward: bool
    ) -> None:
        lines = self.some(each=5)
        await store.write(lines)
        plan = self.plan(store, page_lines=page_lines, backward=backward)
        rows = await self.read(store, plan)
        self.expect(store, lines, rows[::-1] if backward else rows)
        assert all(1 <= len(page) <= page_lines for page in await self.pages(store, plan))

    @pytest.mark.parametrize("backward", [False, True])
    async def test_thousands_of_lines_of_one_time_are_all_read(self, store: Store, backward: bool) -> None:
        ties = [Line(10, f"one-{number % 3}", "", f"tie {number:05}") for number in range(3_000)]
        lines = [Line(9, "one-0", "", "before"), *ties, Line(11, "one-0", "", "after")]
        await store.write(lines)
        for page_lines in (100, 2_999, 3_000, 5_000):
            rows = await self.read(store, self.plan(store, page_lines=page_lines, backward=backward))
            self.expect(store, lines, rows[::-1] if backward else rows)

    async def test_a_page_of_one_time_is_followed_by_the_next(self, store: Store) -> None:
        lines = [Line(step, "a", "", f"line {step} {number}") for step in range(5) for number in range(4)]
        await store.write(lines)
        for page_lines in (3, 4, 5, 8):
            self.expect(store, lines, await self.read(store, self.plan(store, page_lines=page_lines)))

    async def test_a_page_is_bounded_by_its_bytes_and_still_holds_one_line(self, store: Store) -> None:
        lines = [Line(step, "a", "", f"{step:02} " + "x" * 900) for step in range(20)]
        await store.write(lines)
        plan = self.plan(store, page_bytes=2_000)
        self.expect(store, lines, await self.read(store, plan))
        assert {len(page) for page in await self.pages(store, plan)} <= {1, 2}

    async def test_every_read_gives_the_same(self, store: Store) -> None:
        await store.write(self.some(each=12))
        plan = self.plan(store, page_lines=10)
        first = await self.read(store, plan)
        for _ in range(3):
            assert self.by_stream(await self.read(store, plan)) == self.by_stream(first)

    async def test_identical_lines_are_as_many_as_were_written(self, store: Store) -> None:
        await store.write([Line(1, "a", "", "same")] * 7 + [Line(2, "a", "", "same")] * 5)
        for page_lines in (2, 5, 100):
            assert len(await self.read(store, self.plan(store, page_lines=page_lines))) == 12

    async def test_thousands_of_streams_are_read(self, store: Store) -> None:
        lines = [Line(number // 100, f"one-{number:05}", "", f"line {number}") for number in range(10_000)]
        await store.write(lines)
        self.expect(store, lines, await self.read(store, self.plan(store)))
        found = {labels async for labels in store.reader.series(Selector(), self.plan(store).interval)}
        assert len(found) == 10_000

    # R8: what there is

    async def test_series_and_labels_are_those_with_lines_in_the_interval(self, store: Store) -> None:
        lines = self.some()
        await store.write(lines)
        name, second = store.names
        for start, end in ((0, 40), (0, 1), (7, 8), (8, 9)):
            interval = self.plan(store, start, end).interval
            selector = chosen(name, exact=["one-0", "one-1"])
            inside = [line for line in lines if start <= line.step < end and line.one != "one-2"]
            found = [labels async for labels in store.reader.series(selector, interval)]
            assert len(found) == len(set(found))
            wanted = {self.labels(store, line) for line in inside}
            assert wanted <= set(found)
            if store.reader.capabilities.exact_series:
                assert set(found) == wanted
            assert {line.one for line in inside} <= await store.reader.label_values(name, selector, interval)
            assert {label for labels in wanted for label, _ in labels} <= await store.reader.labels(selector, interval)
        assert await store.reader.label_values(second, Selector(), self.plan(store).interval) == {"two-0", "two-1"}

    # R5, R9 and the end

    async def test_closing_an_iterator_ends_the_read(self, store: Store) -> None:
        await store.write(self.some())
        plan = self.plan(store, page_lines=1)
        for _ in range(3):
            async with asyncio.timeout(10), closing(store.reader.read(plan)) as reading:
                assert len(await anext(reading)) == 1
        assert len(await self.read(store, plan)) == len(self.some())

    async def test_two_reads_at_once_do_not_disturb_each_other(self, store: Store) -> None:
        lines = self.some()
        await store.write(lines)
        plans = [self.plan(store, page_lines=size, backward=size % 2 == 0) for size in (1, 2, 3, 4)]
        for plan, rows in zip(plans, await asyncio.gather(*(self.read(store, plan) for plan in plans)), strict=True):
            self.expect(store, lines, rows[::-1] if plan.direction is Direction.BACKWARD else rows)

    async def test_following_gives_what_was_there_and_what_comes_each_once(self, store: Store) -> None:
        now = store.now_ns() // 10**9 * 10**9
        old = [Line(step, f"one-{step % 2}", "", f"old {step}") for step in range(6)]
        await store.write(old, base_ns=now - 10**9)
        async with following(store.reader, ReadPlan(selector=Selector(), interval=Interval(now - 10**9, None))) as tail:
            await tail.count(6)
            for number in range(3):
                fresh = [Line(number, "one-0", "", f"new {number} {copy}") for copy in range(2)]
                await store.write(fresh, base_ns=max(now, store.now_ns() // store.step_ns * store.step_ns))
                await tail.count(8 + 2 * number)
        assert sorted(text for _, _, text in tail.rows) == sorted(
            [f"old {step}".encode() for step in range(6)]
            + [f"new {number} {copy}".encode() for number in range(3) for copy in range(2)]
        )
        assert tail.gaps == []

    async def test_following_takes_only_the_selected_streams_from_its_start(self, store: Store) -> None:
        now = store.now_ns() // 10**9 * 10**9
        await store.write([Line(0, "one-0", "", "early")], base_ns=now - 60 * 10**9)
        await store.write([Line(0, "one-1", "", "foreign"), Line(1, "one-0", "", "wanted")], base_ns=now - 10**9)
        selector = chosen(store.names[0], exact=["one-0"])
        async with following(store.reader, ReadPlan(selector=selector, interval=Interval(now - 10**9, None))) as tail:
            await tail.count(1)
        assert [text for _, labels, text in tail.rows if selector.matches(labels)] == [b"wanted"]

    async def test_health_is_said_and_a_closed_reader_reads_nothing(self, store: Store) -> None:
        assert (await store.reader.check()).ok
        await store.reader.aclose()
        assert not (await store.reader.check()).ok
        with pytest.raises(SourceUnavailable):
            await self.read(store, self.plan(store))


class LokiSuite(Suite):
    """What Loki does otherwise: of equal lines one after the other in a stream, it keeps the first."""

    async def test_identical_lines_are_as_many_as_were_written(self, store: Store) -> None:
        same, other = Line(1, "a", "", "same"), Line(1, "a", "", "other")
        await store.write([same, same, other, same, same, same, Line(2, "a", "", "same")])
        kept = [same, other, same, Line(2, "a", "", "same")]
        for page_lines in (1, 2, 3, 100):
            self.expect(store, kept, await self.read(store, self.plan(store, page_lines=page_lines)))


def closing(items: AsyncIterator[T]) -> AbstractAsyncContextManager[AsyncGenerator[T, None]]:
    return aclosing(cast("AsyncGenerator[T, None]", items))


def chosen(name: str, **how: object) -> Selector:
    matcher = matcher_of(**how)
    assert matcher is not None
    return selector_of({name: matcher})


def rows_of(page: Page) -> list[Row]:
    assert len(page.ts) == len(page.stream) == len(page.lines) == len(page.metadata)
    return [(ts, page.streams[at], text) for ts, at, text in zip(page.ts, page.stream, page.lines, strict=True)]


class following:  # noqa: N801 - it is used as a function
    """A follower in a task of its own, whose lines can be waited for."""

    def __init__(self, reader: Reader, plan: ReadPlan) -> None:
        self.rows: list[Row] = []
        self.gaps: list[Gap] = []
        self._reader = reader
        self._plan = plan
        self._changed = asyncio.Condition()
        self.task = asyncio.ensure_future(self._run())

    async def __aenter__(self) -> following:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.task.cancel()
        for end in await asyncio.gather(self.task, return_exceptions=True):
            if isinstance(end, BaseException) and not isinstance(end, asyncio.CancelledError):
                raise end

    async def _run(self) -> None:
        async with closing(self._reader.follow(self._plan)) as items:
            async for item in items:
                async with self._changed:
                    if isinstance(item, Gap):
                        self.gaps.append(item)
                    else:
                        self.rows += rows_of(item)
                    self._changed.notify_all()

    async def count(self, lines: int) -> None:
        async def enough() -> None:
            async with self._changed:
                await self._changed.wait_for(lambda: len(self.rows) >= lines)

        waiting = asyncio.ensure_future(enough())
        try:
            async with asyncio.timeout(40):
                await asyncio.wait({waiting, self.task}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            waiting.cancel()
        assert len(self.rows) >= lines, (self.rows, self.task)
