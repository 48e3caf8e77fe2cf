"""What the reader of a journal asks, and what it does with stepping clocks, cleared journals and bad answers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.fakes.http import Answer, Call
from tests.fakes.journal import JSON
from tests.sources.conformance import BASE_NS, Line, chosen, following, rows_of
from tests.sources.stores import JournalStore, journal_store

from loglease.model.instant import Interval
from loglease.model.labels import Selector, selector_of
from loglease.sources.interface import (
    Direction,
    Gap,
    ReadPlan,
    SourceError,
    SourceLimit,
    SourceProtocol,
    SourceUnavailable,
)
from loglease.sources.journald.walk import STRAY, Sorting
from loglease.sources.paging import Row

BASE_US = BASE_NS // 1_000
INTERVAL = Interval(BASE_NS, BASE_NS + 10**12)
PLAN = ReadPlan(selector=Selector(), interval=INTERVAL)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[JournalStore]:
    async with journal_store(tmp_path) as store:
        yield store


async def lines(store: JournalStore, plan: ReadPlan = PLAN) -> list[bytes]:
    async with asyncio.timeout(20):
        return [line async for page in store.reader.read(plan) for line in page.lines]


def backward(plan: ReadPlan = PLAN) -> ReadPlan:
    return ReadPlan(selector=plan.selector, interval=plan.interval, direction=Direction.BACKWARD)


async def failing(store: JournalStore, plan: ReadPlan = PLAN) -> SourceError:
    with pytest.raises(SourceError) as caught:
        await lines(store, plan)
    return caught.value


async def test_only_entries_are_called_and_every_request_has_the_matches(store: JournalStore) -> None:
    await store.write([Line(step, "a", "h", "x") for step in range(10)])
    pairs = [*chosen("systemd_unit", exact=["a"]).matchers, *chosen("hostname", prefixes=["h"]).matchers]
    selector = selector_of(dict(pairs))
    assert len(await lines(store, ReadPlan(selector=selector, interval=INTERVAL))) == 10
    assert await store.reader.label_values("hostname", selector, INTERVAL) == {"h"}
    async with following(store.reader, ReadPlan(selector=selector, interval=Interval(BASE_NS, None))) as tail:
        await tail.count(10)
    for call in store.server.calls:
        assert call.path == "/entries"
        assert [pair for pair in call.query if pair[0] != "follow"] == [("_SYSTEMD_UNIT", "a")]
        assert set(call.headers) == {"host", "accept", "accept-encoding", "user-agent", "range"}


@pytest.mark.parametrize("steps", [(0, 5, 3, 4, 1, 2, 9, 6), (5, 4, 3, 2, 1, 0), (0, 0, 1, 0, 1, 1)])
async def test_a_clock_that_stepped_back_a_little_is_put_in_order(store: JournalStore, steps: tuple[int, ...]) -> None:
    for number, step in enumerate(steps):
        await store.fake.write(BASE_US + step, MESSAGE=f"{step} {number}", _SYSTEMD_UNIT="a")
    wanted = [f"{step} {number}".encode() for step, number in sorted(zip(steps, range(len(steps)), strict=True))]
    assert await lines(store) == wanted
    assert await lines(store, backward()) == wanted[::-1]


async def test_lines_beyond_a_step_of_the_clock_are_found_within_reach(store: JournalStore) -> None:
    """The walk begins early and ends late, by 1,000 entries."""
    await store.fake.write(BASE_US + 5, MESSAGE="early in the journal, late in time", _SYSTEMD_UNIT="a")
    for step in range(900):
        await store.fake.write(BASE_US - 10_000 + step, MESSAGE="before", _SYSTEMD_UNIT="a")
    await store.fake.write(BASE_US + 1, MESSAGE="inside", _SYSTEMD_UNIT="a")
    for step in range(900):
        await store.fake.write(BASE_US + 10**9 + step, MESSAGE="after", _SYSTEMD_UNIT="a")
    await store.fake.write(BASE_US + 2, MESSAGE="late in the journal", _SYSTEMD_UNIT="a")
    wanted = [b"inside", b"late in the journal", b"early in the journal, late in time"]
    plan = ReadPlan(selector=Selector(), interval=Interval(BASE_NS, BASE_NS + 10**8))
    assert await lines(store, plan) == wanted
    assert await lines(store, backward(plan)) == wanted[::-1]


async def test_a_clock_that_stepped_back_far_is_an_error_and_never_a_hole(store: JournalStore) -> None:
    for step in range(2_500):
        await store.fake.write(BASE_US + 10_000 + step, MESSAGE="x", _SYSTEMD_UNIT="a")
    await store.fake.write(BASE_US + 1, MESSAGE="back", _SYSTEMD_UNIT="a")
    assert type(await failing(store)) is SourceLimit


async def test_a_walk_ends_a_thousand_entries_outside(store: JournalStore) -> None:
    for step in range(10_000):
        await store.fake.write(BASE_US + step, MESSAGE="x", _SYSTEMD_UNIT="a")
    start, end = BASE_NS + 5_000_000, BASE_NS + 5_010_000
    for plan in (ReadPlan(selector=Selector(), interval=Interval(start, end)),):
        assert len(await lines(store, plan)) == 10
        assert len(await lines(store, backward(plan))) == 10
    assert len(store.server.calls) <= 6


async def test_an_entry_that_was_removed_under_the_walk_costs_no_other(
    store: JournalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("loglease.sources.journald.walk.PAGE", 3)
    monkeypatch.setattr("loglease.sources.journald.walk.STRAY", 1)
    await store.write([Line(step, "a", "", f"{step}") for step in range(12)])
    found: list[bytes] = []
    plan = ReadPlan(selector=Selector(), interval=INTERVAL, page_lines=1)
    async with aclosing(store.reader.read(plan)) as reading:
        found += (await anext(reading)).lines
        del store.fake.entries[:5]  # what was read is rotated away
        async for page in reading:
            found += page.lines
    assert found[-7:] == [b"%d" % step for step in range(5, 12)]


@pytest.mark.parametrize("direction", Direction)
async def test_entries_of_many_bytes_are_read_in_parts(
    store: JournalStore, direction: Direction, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("loglease.sources.journald.walk.PAGE_BYTES", 50_000)
    await store.write([Line(step, "a", "", f"{step:03}" + "x" * 9_000) for step in range(100)])
    plan = ReadPlan(selector=Selector(), interval=INTERVAL, direction=direction)
    found = [line[:3] for line in await lines(store, plan)]
    assert found == sorted([b"%03d" % step for step in range(100)], reverse=direction is Direction.BACKWARD)


def record(**changes: object) -> bytes:
    known = {"__CURSOR": "s=1;i=1;t=1", "__REALTIME_TIMESTAMP": str(BASE_US), "MESSAGE": "x", "_SYSTEMD_UNIT": "a"}
    return json.dumps({**known, **changes}).encode() + b"\n"


def answering(*pieces: bytes) -> Callable[[Call, Answer], Awaitable[bool]]:
    async def instead(_call: Call, answer: Answer) -> bool:
        await answer.head(JSON)
        for piece in pieces:
            await answer.piece(piece)
        await answer.end()
        return True

    return instead


@pytest.mark.parametrize(
    "pieces",
    [(b"nonsense\n",), (b"{}\n",), (b"[" * 100_000 + b"\n",), (record(MESSAGE=7),), (record(), record())],
    ids=["nonsense", "empty", "deep", "wrong type", "in circles"],
)
async def test_a_nonsensical_answer_fails_the_read(store: JournalStore, pieces: tuple[bytes, ...]) -> None:
    store.fake.instead = answering(*pieces)
    assert type(await failing(store)) is SourceProtocol


async def test_more_entries_than_asked_for_fail_the_read(store: JournalStore) -> None:
    store.fake.instead = answering(*(record(__CURSOR=f"i={number}") for number in range(3_000)))
    assert type(await failing(store)) is SourceProtocol


async def test_an_answer_that_breaks_off_fails_the_read(store: JournalStore) -> None:
    async def instead(_call: Call, answer: Answer) -> bool:
        await answer.head(JSON)
        await answer.piece(record())
        answer.writer.close()
        return True

    store.fake.instead = instead
    assert type(await failing(store)) is SourceUnavailable


async def test_entries_outside_the_scope_that_was_pushed_are_left_to_the_recheck(store: JournalStore) -> None:
    store.fake.instead = answering(record(_SYSTEMD_UNIT="foreign"))
    plan = ReadPlan(selector=chosen("systemd_unit", exact=["a"]), interval=INTERVAL)
    [page] = [page async for page in store.reader.read(plan)]
    assert page.streams == [(("systemd_unit", "foreign"),)]


async def test_closing_ends_a_request_under_way(store: JournalStore) -> None:
    async def instead(_call: Call, answer: Answer) -> bool:
        await answer.head(JSON)
        await answer.gone.wait()
        return True

    store.fake.instead = instead
    task = asyncio.ensure_future(anext(store.reader.read(PLAN)))
    await store.server.until(lambda: len(store.server.calls) == 1)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await store.server.until(lambda: store.server.open == 0)


async def test_a_follower_that_is_cut_goes_on_behind_its_last_entry(store: JournalStore) -> None:
    cuts: list[int] = []

    async def instead(call: Call, answer: Answer) -> bool:
        if len(cuts) % 2:
            answer.writer.close()
        cuts.append(1)
        return bool(len(cuts) % 2 == 0)

    store.fake.instead = instead
    async with following(store.reader, ReadPlan(selector=Selector(), interval=Interval(BASE_NS, None))) as tail:
        for number in range(3):
            await store.write([Line(number, "a", "", f"line {number}")])
            await tail.count(number + 1)
            for connection in list(store.server.writers):
                connection.close()
    assert [text for _, _, text in tail.rows] == [b"line 0", b"line 1", b"line 2"]
    assert tail.gaps == []
    assert len(cuts) > 3


async def test_a_journal_that_was_cleared_behind_a_follower_is_a_gap(store: JournalStore) -> None:
    async with following(store.reader, ReadPlan(selector=Selector(), interval=Interval(BASE_NS, None))) as tail:
        await store.write([Line(1, "a", "", "one")])
        await tail.count(1)
        store.fake.entries.clear()
        for connection in list(store.server.writers):
            connection.close()
        await store.write([Line(5, "a", "", "two")])
        await tail.count(2)
    assert tail.gaps == [Gap(BASE_NS + 1_000, BASE_NS + 5_000)]


async def test_a_follower_ends_with_its_interval(store: JournalStore) -> None:
    now = store.now_ns() // 10**9 * 10**9
    await store.write([Line(0, "a", "", "inside"), Line(10**7, "a", "", "beyond")], base_ns=now)
    plan = ReadPlan(selector=Selector(), interval=Interval(now, now + 10**9))
    assert [row[2] async for item in store.reader.follow(plan) for row in rows_of(item)] == [b"inside"]


async def test_a_journal_that_stays_away_ends_the_follower(
    store: JournalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("loglease.sources.journald.following.PATIENCE_NS", 0)

    async def instead(_call: Call, answer: Answer) -> bool:
        await answer.whole(b"no", "text/plain", status="503 Away")
        return True

    store.fake.instead = instead
    with pytest.raises(SourceUnavailable):
        async with asyncio.timeout(20):
            _ = [item async for item in store.reader.follow(ReadPlan(selector=Selector(), interval=Interval(0, None)))]


@given(st.lists(st.integers(0, 9), max_size=40), st.booleans())
def test_sorting_keeps_everything_and_the_order_of_equals(times: list[int], reverse: bool) -> None:
    sorting = Sorting(backward=reverse)
    rows = [Row(ts, (), b"%d" % number, ()) for number, ts in enumerate(times)]
    found = [ready for row in rows for ready in sorting.add(row)] + sorting.rest()
    assert found == sorted(rows, key=lambda row: -row.ts if reverse else row.ts)


def test_sorting_gives_up_where_it_would_have_to_take_back() -> None:
    sorting = Sorting(backward=False)
    for ts in range(STRAY + 2):
        sorting.add(Row(ts + 10, (), b"", ()))
    with pytest.raises(SourceLimit):
        sorting.add(Row(0, (), b"", ()))
