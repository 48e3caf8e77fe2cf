"""What the reader of VictoriaLogs sends, and what it does with answers that no VictoriaLogs gives."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from pathlib import Path

import pytest
from tests.fakes.http import Answer, Call
from tests.fakes.victorialogs import LINES, Stored, record_of
from tests.sources.conformance import BASE_NS, Line, chosen, following, rows_of
from tests.sources.stores import VictoriaLogsStore, victorialogs_store

from loglease.model.instant import Interval
from loglease.model.labels import Selector
from loglease.sources.interface import (
    Direction,
    Gap,
    ReadPlan,
    SourceError,
    SourceLimit,
    SourceProtocol,
    SourceUnavailable,
)

INTERVAL = Interval(BASE_NS, BASE_NS + 10**9)
PLAN = ReadPlan(selector=chosen("service", exact=["pay"]), interval=INTERVAL)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[VictoriaLogsStore]:
    async with victorialogs_store(tmp_path) as store:
        yield store


def good(step: int = 0, line: str = "x", service: str = "pay") -> bytes:
    return record_of(Stored(BASE_NS + step, {"service": service}, line))


def answering(*pieces: bytes, content_type: str = LINES) -> Callable[[Call, Answer], Awaitable[bool]]:
    async def instead(_call: Call, answer: Answer) -> bool:
        await answer.head(content_type)
        for piece in pieces:
            await answer.piece(piece)
        await answer.end()
        return True

    return instead


async def failing(store: VictoriaLogsStore, plan: ReadPlan = PLAN) -> SourceError:
    with pytest.raises(SourceError) as caught:
        async with asyncio.timeout(20):
            _ = [page async for page in store.reader.read(plan)]
    return caught.value


async def test_every_request_holds_the_scope_and_no_more(store: VictoriaLogsStore) -> None:
    await store.write([Line(step, "pay", "", "x") for step in range(20)])
    plan = ReadPlan(selector=PLAN.selector, interval=INTERVAL, page_lines=3, literals=(b"x",))
    assert sum([len(page) async for page in store.reader.read(plan)]) == 20
    assert [one async for one in store.reader.series(PLAN.selector, INTERVAL)] == [(("service", "pay"),)]
    async with following(store.reader, ReadPlan(selector=PLAN.selector, interval=Interval(BASE_NS, None))) as tail:
        await tail.count(20)
        await store.server.until(lambda: any(call.path.endswith("tail") for call in store.server.calls))
    for call in store.server.calls:
        assert call.form.count(("extra_stream_filters", '_stream:{"service"="pay"}')) == 1
        bounds = [value for name, value in call.form if value.startswith("_time:")]
        assert len(bounds) == 1
        assert set(call.headers) <= {
            "host", "accept", "accept-encoding", "user-agent", "content-type", "content-length", "accountid", "projectid",
        }  # fmt: skip
        assert (call.headers["accountid"], call.headers["projectid"]) == ("0", "0")


@pytest.mark.parametrize(
    "pieces",
    [
        (b"{}\n",),
        (b"nonsense\n",),
        (good(5), good(3)),
        (good(-1),),
        (good(10**9),),
        (good(step=1)[:-1] + b"," + good(step=2),),
        (b"[" * 200_000 + b"\n",),
        (json.dumps({"_time": BASE_NS, "_stream": "{}"}).encode() + b"\n",),
        (good(), b'{"_time":"2026-11-18T00:00:00Z","_stream":"{a=b}"}\n'),
    ],
    ids=["empty", "nonsense", "out of order", "too early", "too late", "two in one", "deep", "wrong type", "no stream"],
)
async def test_a_nonsensical_answer_fails_the_read(store: VictoriaLogsStore, pieces: tuple[bytes, ...]) -> None:
    store.fake.instead = answering(*pieces)
    assert type(await failing(store)) is SourceProtocol


async def test_more_lines_than_asked_for_fail_the_read(store: VictoriaLogsStore) -> None:
    store.fake.instead = answering(*(good(step) for step in range(8)))
    plan = ReadPlan(selector=PLAN.selector, interval=INTERVAL, page_lines=5)
    assert type(await failing(store, plan)) is SourceProtocol


async def test_an_answer_that_breaks_off_behind_good_lines_fails_the_read(store: VictoriaLogsStore) -> None:
    async def instead(_call: Call, answer: Answer) -> bool:
        await answer.head(LINES)
        await answer.piece(good())
        answer.writer.close()
        return True

    store.fake.instead = instead
    assert type(await failing(store)) is SourceUnavailable


async def test_an_endless_answer_of_one_time_reaches_a_limit(
    store: VictoriaLogsStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("loglease.sources.victorialogs.slices.BODY_BYTES", 1 << 20)
    monkeypatch.setattr("loglease.sources.victorialogs.slices.SLICE_BYTES", 1 << 18)

    async def instead(call: Call, answer: Answer) -> bool:
        if call.path.endswith("streams"):
            return False
        await answer.head(LINES)
        while True:
            await answer.piece(good(line="x" * 10_000) * 10)

    await store.write([Line(0, "pay", "", "x")])
    store.fake.instead = instead
    assert type(await failing(store)) is SourceLimit


@pytest.mark.parametrize("direction", Direction)
async def test_a_single_time_is_read_stream_by_stream_also_where_one_has_the_labels_of_another(
    store: VictoriaLogsStore, direction: Direction, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("loglease.sources.victorialogs.slices.MOMENT_LINES", 12)
    written = [Line(0, "pay", env, f"{env} {number}") for env in ("", "prod", "test") for number in range(3)]
    written += [Line(0, f"other-{number}", "", "x") for number in range(9)]
    await store.write(written)
    plan = ReadPlan(selector=Selector(), interval=INTERVAL, direction=direction, page_lines=2)
    found = [row async for page in store.reader.read(plan) for row in rows_of(page)]
    assert sorted(line for _, _, line in found) == sorted(line.text.encode() for line in written)


async def test_lines_outside_the_scope_are_left_to_the_recheck(store: VictoriaLogsStore) -> None:
    store.fake.instead = answering(good(service="foreign"))
    [page] = [page async for page in store.reader.read(PLAN)]
    assert page.streams == [(("service", "foreign"),)]


@pytest.mark.parametrize("direction", Direction)
async def test_lines_of_many_bytes_are_read_in_parts(
    store: VictoriaLogsStore, direction: Direction, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("loglease.sources.victorialogs.slices.SLICE_BYTES", 1 << 16)
    await store.write([Line(step // 3, "pay", "", f"{step:03}" + "x" * 20_000) for step in range(60)])
    plan = ReadPlan(selector=PLAN.selector, interval=INTERVAL, direction=direction)
    found = [row[2][:3] async for page in store.reader.read(plan) for row in rows_of(page)]
    assert found == sorted([b"%03d" % step for step in range(60)], reverse=direction is Direction.BACKWARD)


async def test_no_request_is_made_while_nobody_takes_lines(store: VictoriaLogsStore) -> None:
    await store.write([Line(step, "pay", "", "x") for step in range(100)])
    plan = ReadPlan(selector=PLAN.selector, interval=INTERVAL, page_lines=5)
    async with aclosing(store.reader.read(plan)) as reading:
        await anext(reading)
        asked = len(store.server.calls)
        for _ in range(200):
            await asyncio.sleep(0)
        assert len(store.server.calls) == asked <= 2


async def test_closing_ends_a_request_under_way(store: VictoriaLogsStore) -> None:
    async def instead(_call: Call, answer: Answer) -> bool:
        await answer.head(LINES)
        await answer.gone.wait()
        return True

    store.fake.instead = instead
    task = asyncio.ensure_future(anext(store.reader.read(PLAN)))
    await store.server.until(lambda: len(store.server.calls) == 1)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await store.server.until(lambda: store.server.open == 0)


async def test_a_follower_that_is_left_leaves_no_connection(store: VictoriaLogsStore) -> None:
    now = store.now_ns()
    async with following(store.reader, ReadPlan(selector=Selector(), interval=Interval(now - 10**9, None))) as tail:
        await store.write([Line(0, "a", "", "x")], base_ns=now)
        await tail.count(1)
        await store.server.until(lambda: any(call.path.endswith("tail") for call in store.server.calls))
    await store.reader.aclose()
    await store.server.until(lambda: store.server.open == 0)


@pytest.mark.parametrize("how", ["closes", "answers 500", "ends at once"])
async def test_a_tail_that_breaks_is_repaired_by_reading(store: VictoriaLogsStore, how: str) -> None:
    """Each line once, whatever the tail does; nothing is lost while there is none."""

    async def instead(call: Call, answer: Answer) -> bool:
        if not call.path.endswith("tail"):
            return False
        if how == "answers 500":
            await answer.whole(b"no", "text/plain", status="500 Broken")
        elif how == "ends at once":
            await answer.whole(b"", LINES)
        else:
            answer.writer.close()
        return True

    now = store.now_ns()
    store.fake.instead = instead
    async with following(store.reader, ReadPlan(selector=Selector(), interval=Interval(now - 10**9, None))) as tail:
        for number in range(4):
            await store.write([Line(number, "a", "", f"line {number}")], base_ns=now)
            await tail.count(number + 1)
    assert [text for _, _, text in tail.rows] == [b"line %d" % number for number in range(4)]
    assert tail.gaps == []


async def test_what_cannot_be_repaired_is_a_gap(store: VictoriaLogsStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("loglease.sources.victorialogs.slices.MOMENT_LINES", 3)
    now = store.now_ns()
    await store.write([Line(0, "a", "", f"tie {number}") for number in range(5)], base_ns=now)
    plan = ReadPlan(selector=Selector(), interval=Interval(now, None), page_lines=2)
    async with asyncio.timeout(20), aclosing(store.reader.follow(plan)) as items:
        while not isinstance(item := await anext(items), Gap):
            assert len(item)
    assert item.start == now


async def test_a_store_that_stays_away_ends_the_follower(
    store: VictoriaLogsStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("loglease.sources.following.PATIENCE_NS", 0)

    async def instead(_call: Call, answer: Answer) -> bool:
        await answer.whole(b"no", "text/plain", status="503 Away")
        return True

    store.fake.instead = instead
    with pytest.raises(SourceUnavailable):
        async with asyncio.timeout(20):
            _ = [item async for item in store.reader.follow(ReadPlan(selector=Selector(), interval=Interval(0, None)))]
