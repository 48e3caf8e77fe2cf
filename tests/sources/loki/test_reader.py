"""What the reader of Loki sends, and what it does with answers that no Loki gives."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from pathlib import Path
from urllib.parse import unquote

import pytest
from tests.fakes.http import Answer, Call
from tests.fakes.loki import JSON, Stored, message, upgrade, whole
from tests.sources.conformance import BASE_NS, Line, chosen, following, rows_of
from tests.sources.stores import LokiStore, loki_store

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
Instead = Callable[[Call, Answer], Awaitable[bool]]


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[LokiStore]:
    async with loki_store(tmp_path) as store:
        yield store


def row(step: int = 0, line: str = "x", service: str = "pay") -> Stored:
    return Stored(BASE_NS + step, {"service": service}, line)


def answering(store: LokiStore, *rows: Stored) -> Instead:
    async def instead(_call: Call, answer: Answer) -> bool:
        await whole(answer, store.fake.answer_of(rows))
        return True

    return instead


async def failing(store: LokiStore, plan: ReadPlan = PLAN) -> SourceError:
    with pytest.raises(SourceError) as caught:
        async with asyncio.timeout(20):
            _ = [page async for page in store.reader.read(plan)]
    return caught.value


def live(now: int, selector: Selector | None = None) -> ReadPlan:
    return ReadPlan(selector=selector or Selector(), interval=Interval(now - 10**9, None))


# What is asked


async def test_every_request_holds_the_scope_and_no_more(tmp_path: Path) -> None:
    async with loki_store(tmp_path, tenant="shop", label_policy=True) as store:
        await store.write([Line(step, "pay", "", "x") for step in range(20)])
        plan = ReadPlan(selector=PLAN.selector, interval=INTERVAL, page_lines=3, literals=(b"x",))
        assert sum([len(page) async for page in store.reader.read(plan)]) == 20
        assert [one async for one in store.reader.series(PLAN.selector, INTERVAL)] == [(("service", "pay"),)]
        async with following(store.reader, ReadPlan(selector=PLAN.selector, interval=Interval(BASE_NS, None))) as tail:
            await tail.count(20)
            await store.server.until(lambda: any(call.path.endswith("tail") for call in store.server.calls))
        for call in store.server.calls:
            query = dict(call.query)
            text = query.get("query") or query["match[]"]
            assert text.removesuffix(' |= "x"') == '{service="pay"}'
            assert "start" in query
            assert "end" in query or call.path.endswith("tail")
            sent = {name for name in call.headers if not name.startswith("sec-websocket-")}
            assert sent - {"connection", "upgrade"} == {
                "host", "accept", "accept-encoding", "user-agent", "x-loki-response-encoding-flags", "x-scope-orgid",
                "x-prom-label-policy",
            }  # fmt: skip
            assert call.headers["x-scope-orgid"] == "shop"
            assert unquote(call.headers["x-prom-label-policy"]) == 'shop:{service="pay"}'


async def test_no_request_is_made_while_nobody_takes_lines(store: LokiStore) -> None:
    await store.write([Line(step, "pay", "", "x") for step in range(100)])
    plan = ReadPlan(selector=PLAN.selector, interval=INTERVAL, page_lines=5)
    async with aclosing(store.reader.read(plan)) as reading:
        await anext(reading)
        asked = len(store.server.calls)
        for _ in range(200):
            await asyncio.sleep(0)
        assert len(store.server.calls) == asked <= 2


async def test_closing_ends_a_request_under_way(store: LokiStore) -> None:
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


# Hostile answers


async def test_a_line_of_another_time_fails_the_read(store: LokiStore) -> None:
    for step in (-1, 10**9):
        store.fake.instead = answering(store, row(step))
        assert type(await failing(store)) is SourceProtocol


@pytest.mark.parametrize("direction", Direction)
async def test_lines_out_of_order_fail_the_read(store: LokiStore, direction: Direction) -> None:
    steps = (3, 5) if direction is Direction.BACKWARD else (5, 3)
    store.fake.instead = answering(store, *(row(step) for step in steps))
    plan = ReadPlan(selector=PLAN.selector, interval=INTERVAL, direction=direction)
    assert type(await failing(store, plan)) is SourceProtocol


async def test_more_lines_than_asked_for_fail_the_read(store: LokiStore) -> None:
    store.fake.instead = answering(store, *(row(step) for step in range(8)))
    assert (
        type(await failing(store, ReadPlan(selector=PLAN.selector, interval=INTERVAL, page_lines=5))) is SourceProtocol
    )


async def test_an_answer_that_breaks_off_fails_the_read(store: LokiStore) -> None:
    async def instead(_call: Call, answer: Answer) -> bool:
        await answer.head(JSON)
        await answer.piece(json.dumps(store.fake.answer_of([row()])).encode()[:-5])
        answer.writer.close()
        return True

    store.fake.instead = instead
    assert type(await failing(store)) is SourceUnavailable


@pytest.mark.parametrize("content_type", ["text/plain", "application/vnd.apache.parquet"])
async def test_another_type_of_content_fails_the_read(store: LokiStore, content_type: str) -> None:
    async def instead(_call: Call, answer: Answer) -> bool:
        await answer.whole(json.dumps(store.fake.answer_of([row()])).encode(), content_type)
        return True

    store.fake.instead = instead
    assert type(await failing(store)) is SourceProtocol


async def test_an_endless_answer_reaches_a_limit(store: LokiStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("loglease.sources.loki.slices.BODY_BYTES", 1 << 20)
    monkeypatch.setattr("loglease.sources.loki.slices.SLICE_BYTES", 1 << 18)

    async def instead(_call: Call, answer: Answer) -> bool:
        await answer.head(JSON)
        await answer.piece(b'{"status":"success","data":{"resultType":"streams","result":[')
        while True:
            await answer.piece(b'{"stream":{},"values":[["1","' + b"x" * 10_000 + b'"]]},')

    store.fake.instead = instead
    assert type(await failing(store)) is SourceLimit


async def test_lines_outside_the_scope_are_left_to_the_recheck(store: LokiStore) -> None:
    store.fake.instead = answering(store, row(service="foreign"))
    [page] = [page async for page in store.reader.read(PLAN)]
    assert page.streams == [(("service", "foreign"),)]


async def test_a_store_that_does_not_confirm_gives_nothing_and_is_not_well(store: LokiStore) -> None:
    await store.write([Line(0, "pay", "", "x")])
    store.fake.folds = True
    assert type(await failing(store)) is SourceProtocol
    health = await store.reader.check()
    assert not health.ok
    assert "structured metadata" in health.detail
    await store.write([Line(0, "pay", "", "x")], base_ns=store.now_ns())
    with pytest.raises(SourceProtocol):
        async with asyncio.timeout(20):
            _ = [item async for item in store.reader.follow(live(store.now_ns()))]


async def test_metadata_cannot_pretend_to_be_a_label(store: LokiStore) -> None:
    forged = Stored(BASE_NS, {"service": "other"}, "x", {"service": "pay", "trace": "7"})
    store.fake.instead = answering(store, forged)
    [page] = [page async for page in store.reader.read(PLAN)]
    assert page.streams == [(("service", "other"),)]
    assert page.metadata == [(("service", "pay"), ("trace", "7"))]


# Pages


@pytest.mark.parametrize("direction", Direction)
async def test_a_single_time_is_read_stream_by_stream_also_where_one_has_the_labels_of_another(
    tmp_path: Path, direction: Direction
) -> None:
    async with loki_store(tmp_path, max_entries=12) as store:
        store.fake.most = 12
        written = [Line(0, "pay", env, f"{env} {number}") for env in ("", "prod", "test") for number in range(3)]
        written += [Line(0, f"other-{number}", "", "x") for number in range(9)]
        await store.write(written)
        plan = ReadPlan(selector=Selector(), interval=INTERVAL, direction=direction, page_lines=2)
        found = [one for [*rows] in [rows_of(page) async for page in store.reader.read(plan)] for one in rows]
        assert sorted(line for _, _, line in found) == sorted(line.text.encode() for line in written)


async def test_a_single_time_of_many_bytes_is_read_stream_by_stream(
    store: LokiStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("loglease.sources.loki.slices.SLICE_BYTES", 1 << 16)
    monkeypatch.setattr("loglease.sources.loki.slices.BODY_BYTES", 1 << 16)
    written = [Line(0, "pay", f"env-{number}", "x" * 30_000) for number in range(10)]
    await store.write(written)
    found = [one[1] async for page in store.reader.read(PLAN) for one in rows_of(page)]
    assert found == [(("env", line.two), ("service", "pay")) for line in written]


async def test_one_stream_with_too_much_of_one_time_reaches_a_limit(tmp_path: Path) -> None:
    async with loki_store(tmp_path, max_entries=4) as store:
        await store.write([Line(0, "pay", "", f"{number}") for number in range(4)])
        assert type(await failing(store)) is SourceLimit


async def test_no_more_lines_are_asked_for_than_the_store_gives(tmp_path: Path) -> None:
    async with loki_store(tmp_path, max_entries=7) as store:
        store.fake.most = 7
        await store.write([Line(step, "pay", "", "x") for step in range(50)])
        assert sum([len(page) async for page in store.reader.read(PLAN)]) == 50


@pytest.mark.parametrize("direction", Direction)
async def test_lines_of_many_bytes_are_read_in_parts(
    store: LokiStore, direction: Direction, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("loglease.sources.loki.slices.SLICE_BYTES", 1 << 16)
    await store.write([Line(step // 3, "pay", "", f"{step:03}" + "x" * 20_000) for step in range(60)])
    plan = ReadPlan(selector=PLAN.selector, interval=INTERVAL, direction=direction)
    found = [one[2][:3] async for page in store.reader.read(plan) for one in rows_of(page)]
    assert found == sorted([b"%03d" % step for step in range(60)], reverse=direction is Direction.BACKWARD)


@pytest.mark.parametrize("direction", Direction)
async def test_no_request_spans_more_than_a_month(store: LokiStore, direction: Direction) -> None:
    day = 86_400 * 10**9
    written = [BASE_NS - day * days for days in (700, 61, 60, 59, 30, 0)]
    await store.fake.write([Stored(ts, {"service": "pay"}, "x") for ts in written])
    plan = ReadPlan(selector=PLAN.selector, interval=Interval(written[0], BASE_NS + 1), direction=direction)
    found = [one[0] async for page in store.reader.read(plan) for one in rows_of(page)]
    assert found == sorted(written, reverse=direction is Direction.BACKWARD)
    assert len(store.server.calls) == 24
    assert [one async for one in store.reader.series(PLAN.selector, plan.interval)] == [(("service", "pay"),)]


async def test_nothing_is_answered_in_part_where_one_of_several_reads_fails(store: LokiStore) -> None:
    await store.write([Line(0, "pay", "prod", "x"), Line(1, "", "prod", "y")])

    async def instead(call: Call, answer: Answer) -> bool:
        if 'env=""' not in dict(call.query)["query"]:
            return False
        await answer.whole(b"no", "text/plain", status="500 Broken")
        return True

    plan = ReadPlan(selector=Selector(), interval=INTERVAL)
    assert sum([len(page) async for page in store.reader.read(plan)]) == 2
    store.fake.instead = instead
    assert type(await failing(store, plan)) is SourceUnavailable


# Following


async def test_a_follower_that_is_left_leaves_no_connection(store: LokiStore) -> None:
    now = store.now_ns()
    async with following(store.reader, live(now)) as tail:
        await store.write([Line(0, "a", "", "x")], base_ns=now)
        await tail.count(1)
        await store.server.until(lambda: sum(call.path.endswith("tail") for call in store.server.calls) == 2)
    await store.reader.aclose()
    await store.server.until(lambda: store.server.open == 0)


@pytest.mark.parametrize("how", ["closes", "answers 500", "ends at once", "goes away", "is too loud"])
async def test_a_tail_that_breaks_is_repaired_by_reading(
    store: LokiStore, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each line once, whatever the tail does; nothing is lost while there is none."""
    monkeypatch.setattr("loglease.sources.transport.FRAME_BYTES", 10_000)

    async def instead(call: Call, answer: Answer) -> bool:
        if not call.path.endswith("tail"):
            return False
        if how == "answers 500":
            await answer.whole(b"no", "text/plain", status="500 Broken")
            return True
        await upgrade(call, answer)
        if how == "closes":
            await message(answer, b"\x03\xe8reached its time limit", kind=8)
        elif how == "is too loud":
            await message(answer, b"x" * 20_000)
        elif how == "goes away":
            answer.writer.close()
        else:
            await message(answer, b"", kind=8)
        return True

    now = store.now_ns()
    store.fake.instead = instead
    async with following(store.reader, live(now, chosen("service", exact=["a"]))) as tail:
        for number in range(4):
            await store.write([Line(number, "a", "", f"line {number}")], base_ns=now)
            await tail.count(number + 1)
    assert [text for _, _, text in tail.rows] == [b"line %d" % number for number in range(4)]
    assert tail.gaps == []


async def test_lines_that_the_tail_dropped_are_read(store: LokiStore) -> None:
    now = store.now_ns()
    store.fake.drops = True
    async with following(store.reader, live(now, chosen("service", exact=["a"]))) as tail:
        await store.server.until(lambda: any(call.path.endswith("tail") for call in store.server.calls))
        for number in range(3):
            await store.write([Line(number, "a", "", f"line {number}")], base_ns=now)
            await tail.count(number + 1)
    assert [text for _, _, text in tail.rows] == [b"line %d" % number for number in range(3)]
    assert tail.gaps == []


async def test_a_line_that_the_tail_gives_as_an_old_one_and_as_a_new_one_is_given_once(store: LokiStore) -> None:
    """A line that arrives while the tail is opened can be among what was there and among what comes."""

    async def instead(call: Call, answer: Answer) -> bool:
        if not call.path.endswith("tail"):
            return False
        await upgrade(call, answer)
        first, second = (Stored(now + step, {"service": "a"}, f"line {step}") for step in range(2))
        for row in (first, first, second):
            found = {"streams": store.fake.streams_of([row]), "encodingFlags": ["categorize-labels"]}
            await message(answer, found)
        await answer.gone.wait()
        return True

    now = store.now_ns()
    store.fake.instead = instead
    async with following(store.reader, live(now, chosen("service", exact=["a"]))) as tail:
        await tail.count(2)
    assert [text for _, _, text in tail.rows] == [b"line 0", b"line 1"]


async def test_a_read_that_breaks_off_is_gone_on_with_and_not_repeated(store: LokiStore) -> None:
    now = store.now_ns()
    begin = now - 600 * 10**9
    await store.write([Line(step, "a", "", f"line {step}") for step in range(9)], base_ns=begin)
    reads = 0

    async def instead(call: Call, answer: Answer) -> bool:
        nonlocal reads
        reads += call.path.endswith("query_range")
        if reads != 3:
            return False
        await answer.whole(b"no", "text/plain", status="503 Away")
        return True

    store.fake.instead = instead
    plan = ReadPlan(selector=chosen("service", exact=["a"]), interval=Interval(begin, None), page_lines=3)
    async with following(store.reader, plan) as tail:
        await tail.count(9)
    assert [text for _, _, text in tail.rows] == [b"line %d" % step for step in range(9)]
    assert reads > 3


@pytest.mark.parametrize(
    "found",
    [b"nonsense", b"[]", {"streams": [{"stream": {"service": "a"}, "values": [["1", "x"]]}]}],
    ids=["no JSON", "a list", "not confirmed"],
)
async def test_a_tail_that_is_nonsense_ends_the_follower(store: LokiStore, found: object) -> None:
    async def instead(call: Call, answer: Answer) -> bool:
        if not call.path.endswith("tail"):
            return False
        await upgrade(call, answer)
        await message(answer, found)
        return True

    store.fake.instead = instead
    with pytest.raises(SourceProtocol):
        async with asyncio.timeout(20):
            _ = [item async for item in store.reader.follow(live(store.now_ns()))]


async def test_a_tail_gives_nothing_from_before_the_start_or_after_the_end(store: LokiStore) -> None:
    now = store.now_ns() // 10**9 * 10**9
    interval = Interval(now, now + 2 * 10**9)

    async def instead(call: Call, answer: Answer) -> bool:
        if not call.path.endswith("tail"):
            return False
        await upgrade(call, answer)
        rows = [Stored(ts, {"service": "a"}, str(ts)) for ts in (now - 1, now, now + 2 * 10**9)]
        await message(answer, {"streams": store.fake.streams_of(rows), "encodingFlags": ["categorize-labels"]})
        await answer.gone.wait()
        return True

    store.fake.instead = instead
    plan = ReadPlan(selector=chosen("service", exact=["a"]), interval=interval)
    async with asyncio.timeout(20):
        found = [one[0] async for item in store.reader.follow(plan) for one in rows_of(item)]
    assert found == [now]


async def test_what_cannot_be_repaired_is_a_gap(tmp_path: Path) -> None:
    async with loki_store(tmp_path, max_entries=3) as store:
        now = store.now_ns()
        await store.write([Line(0, "a", "", f"tie {number}") for number in range(5)], base_ns=now)
        plan = ReadPlan(selector=Selector(), interval=Interval(now, None), page_lines=2)
        async with asyncio.timeout(20), aclosing(store.reader.follow(plan)) as items:
            while not isinstance(item := await anext(items), Gap):
                assert len(item)
        assert item.start == now


async def test_a_store_that_stays_away_ends_the_follower(store: LokiStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("loglease.sources.following.PATIENCE_NS", 0)

    async def instead(_call: Call, answer: Answer) -> bool:
        await answer.whole(b"no", "text/plain", status="503 Away")
        return True

    store.fake.instead = instead
    with pytest.raises(SourceUnavailable):
        async with asyncio.timeout(20):
            _ = [item async for item in store.reader.follow(live(store.now_ns()))]
