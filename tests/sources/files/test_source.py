"""The rules that every reader keeps (order, ties, page borders, following), and those of this one."""

from __future__ import annotations

import asyncio
import errno
import itertools
from array import array
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.sources.files.world import EVERYTHING, FULL, NOW_S, Tailing, World, plan, rows, texts
from tests.volume import volume

from loglease.model.instant import Interval
from loglease.model.labels import Labels, Selector, labels_of
from loglease.sources.files import FileSource, Retention, Watch, pages
from loglease.sources.files.segments import Lines
from loglease.sources.interface import Direction, Gap, Page, Reader, SourceUnavailable

SHOP: Labels = (("service", "shop"),)
BOTH = list(Direction)


@pytest.fixture
async def source(tmp_path: Path) -> AsyncIterator[FileSource]:
    async with World(tmp_path, {"block_bytes": 2_000}).running() as running:
        yield running


def store(source: FileSource, *groups: tuple[Labels, list[tuple[int, bytes]]]) -> None:
    """Store each group as one frame, and all in one commit."""
    storage = source._ready()
    for labels, entries in groups:
        number = storage.stream_number(labels)
        storage.append(Lines(number, array("q", [time for time, _ in entries]), [line for _, line in entries]))
    source._wake_followers(storage.commit())


def stream(name: str) -> Labels:
    return labels_of({"service": "shop", "pod": name})


def test_it_is_a_reader(tmp_path):
    reader: Reader = World(tmp_path).source()
    assert reader.capabilities.backward
    assert reader.capabilities.follow


@pytest.mark.parametrize("direction", BOTH)
async def test_r3_lines_of_one_time_keep_the_store_s_order(source, direction):
    for part in range(50):
        store(source, (SHOP, [(5, b"%d" % number) for number in range(part * 20, part * 20 + 20)]))
    found = await texts(source, plan(page_lines=7, direction=direction))
    expected = [b"%d" % number for number in range(1_000)]
    assert found == (expected if direction is Direction.FORWARD else expected[::-1])


@pytest.mark.parametrize("direction", BOTH)
@pytest.mark.parametrize("page_lines", [1, 3, 10_000])
async def test_r4_nothing_is_lost_at_page_borders(source, direction, page_lines):
    times = [1, 1, 1, 2, 3, 3, 3, 3, 3, 3, 3, 3, 4]
    store(source, (stream("a"), [(time, b"a%d" % n) for n, time in enumerate(times)]))
    store(source, (stream("b"), [(time, b"b%d" % n) for n, time in enumerate(times)]))
    pages = [page async for page in source.read(plan(direction=direction, page_lines=page_lines))]
    assert all(0 < len(page) <= page_lines for page in pages)
    lines = [line for page in pages for line in page.lines]
    assert sorted(lines) == sorted([b"a%d" % n for n in range(13)] + [b"b%d" % n for n in range(13)])
    again = [line async for page in source.read(plan(direction=direction, page_lines=5)) for line in page.lines]
    assert again == lines


async def test_pages_are_bounded_by_bytes(source):
    store(source, (SHOP, [(time, b"x" * 300) for time in range(50)]))
    pages = [page async for page in source.read(plan(page_bytes=1_000))]
    assert [len(page) for page in pages] == [3] * 16 + [2]
    assert [len(page) async for page in source.read(plan(page_bytes=10))] == [1] * 50


@pytest.mark.parametrize("direction", BOTH)
async def test_ten_thousand_streams(source, direction):
    storage = source._ready()
    numbers = array("I", [storage.stream_number(stream(f"pod-{n}")) for n in range(10_000)])
    for lap in range(3):
        storage.append(Lines(numbers, array("q", range(lap * 10, 10_000 + lap * 10)), [b"x"] * 10_000))
    storage.commit()
    found = await rows(source, plan(direction=direction))
    assert len(found) == 30_000
    times = [time for time, _, _ in found]
    assert times == sorted(times, reverse=direction is Direction.BACKWARD)
    assert len({labels for _, labels, _ in found}) == 10_000
    assert await rows(source, plan(pod="pod-77")) == [(77 + lap * 10, stream("pod-77"), b"x") for lap in range(3)]
    assert len([labels async for labels in source.series(EVERYTHING, FULL)]) == 10_000


ENTRIES = st.lists(st.tuples(st.integers(0, 12), st.sampled_from([b"red", b"blue", b"red\nblue", b""])), max_size=9)


@settings(max_examples=volume(17, 35), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    groups=st.lists(st.tuples(st.sampled_from("abc"), ENTRIES.filter(bool)), max_size=8),
    start=st.integers(0, 12),
    length=st.integers(1, 14),
    pod=st.sampled_from(["a", "b", None]),
    literals=st.sampled_from([(), (b"red",), (b"red", b"blue")]),
    marks=st.sampled_from([(), (b"ue",), (b"none", b"d\nb")]),
    direction=st.sampled_from(BOTH),
    page_lines=st.integers(1, 6),
)
async def test_a_read_is_the_sorted_filtered_whole(
    tmp_path_factory, groups, start, length, pod, literals, marks, direction, page_lines
):
    world = World(tmp_path_factory.mktemp("world"), {"block_bytes": 300})
    async with world.running() as source:
        for name, entries in groups:
            store(source, (stream(name), entries))
        whole = [(time, stream(name), line) for name, entries in groups for time, line in entries]
        wanted = [
            row for row in whole
            if start <= row[0] < start + length and (pod is None or row[1] == stream(pod))
            and (all(one in row[2] for one in literals) or any(one in row[2] for one in marks))
        ]  # fmt: skip
        expected = sorted(wanted, key=lambda row: row[0])
        if direction is Direction.BACKWARD:
            expected.reverse()
        labels = {} if pod is None else {"pod": pod}
        texts = {"literals": literals, "marks": marks}
        request = plan(start, start + length, **texts, direction=direction, page_lines=page_lines, **labels)
        assert await rows(source, request) == expected
        if not literals:
            found = [labels async for labels in source.series(request.selector, request.interval)]
            assert len(found) == len(set(found))
            assert set(found) == {labels for _, labels, _ in wanted}


async def test_a_merge_with_little_memory_gives_the_same(source):
    from loglease.sources.files.reading import TimeMerge, wanted_of

    names = [f"pod-{n}" for n in range(40)]
    for lap in range(5):
        for place, name in enumerate(names):
            store(source, (stream(name), [(lap * 500 + step * 3 + place % 7, b"%d" % step) for step in range(100)]))
    for backward in (False, True):
        wanted = wanted_of(plan(), source._ready().streams)
        found = [
            [
                (time, line)
                for run in TimeMerge(
                    source._ready(), wanted, backward=backward, stopped=lambda: False, loaded_bytes=budget
                )
                for time, line in zip(run.ts, run.text, strict=True)
            ]
            for budget in (1 << 30, 20_000)
        ]
        assert found[0] == found[1]
        assert len(found[0]) == 20_000


async def test_only_blocks_that_intersect_are_read(source, monkeypatch):
    from loglease.sources.files import reading

    for name in ("a", "b"):
        for hour in range(20):
            store(
                source,
                (stream(name), [(hour * 100 + n, b"%s %d" % (name.encode(), hour) + b"." * 90) for n in range(30)]),
            )
    loaded = []
    whole = reading.load

    def counted(storage, block, start=0):
        loaded.append(block)
        return whole(storage, block, start)

    monkeypatch.setattr(reading, "load", counted)
    assert len(await texts(source, plan(500, 600, pod="a"))) == 30
    assert len(loaded) == 1


async def test_a_literal_in_inner_lines_and_beside_json_escapes(source):
    store(source, (SHOP, [(1, b'say "hi"\n\tat \\x'), (2, "naïve ⟦".encode()), (3, b"\xff\xfe")]))
    for literal, expected in ((b'"hi"', 1), (b"\n\tat \\", 1), ("ï".encode(), 2), (b"\xfe", 3), (b"absent", 0)):
        assert [time for time, _, _ in await rows(source, plan(literals=(literal,)))] == (
            [expected] if expected else []
        )


async def test_metadata_comes_back_in_every_order(source):
    storage = source._ready()
    number = storage.stream_number(SHOP)
    pairs = (("trace_id", "7"),)
    storage.append(Lines(number, array("q", [3, 1, 2]), [b"c", b"a", b"b"], {0: pairs}))
    storage.commit()
    for direction, place in ((Direction.FORWARD, 2), (Direction.BACKWARD, 0)):
        [page] = [page async for page in source.read(plan(direction=direction))]
        assert [pairs if n == place else None for n in range(3)] == page.metadata


async def test_a_read_gives_what_was_stored_when_it_began(source):
    store(source, (SHOP, [(time, b"old") for time in range(0, 1_000, 10)]))
    reading = source.read(plan(page_lines=10))
    first = await anext(reading)
    store(source, (SHOP, [(time, b"new") for time in range(0, 1_000, 10)]))
    rest = [line async for page in reading for line in page.lines]
    assert first.lines + rest == [b"old"] * 100


async def test_closing_a_read_ends_it(source):
    store(source, (SHOP, [(time, b"x" * 100) for time in range(1_000)]))
    reading = source.read(plan(page_lines=1))
    await anext(reading)
    await reading.aclose()
    with pytest.raises(StopAsyncIteration):
        await anext(reading)


async def test_closing_the_source_ends_reads_and_followers(tmp_path):
    source = World(tmp_path).source()
    await source.start(poll=False)
    store(source, (SHOP, [(time, b"x") for time in range(100)]))
    reading = source.read(plan(page_lines=1))
    await anext(reading)
    tailing = Tailing(source)
    await tailing.count(100)
    await source.aclose()
    with pytest.raises(SourceUnavailable):
        await anext(reading)
    with pytest.raises(SourceUnavailable):
        await tailing.end()
    with pytest.raises(SourceUnavailable):
        await texts(source)
    assert not (await source.check()).ok
    await source.aclose()


async def test_a_source_that_was_not_started_is_unavailable(tmp_path):
    source = World(tmp_path).source()
    with pytest.raises(SourceUnavailable):
        await texts(source)
    await source.aclose()


async def test_r9_a_follower_gets_old_and_new_lines_once_in_the_order_of_storing(source):
    store(source, (SHOP, [(5, b"too old"), (30, b"1"), (20, b"2")]))
    tailing = Tailing(source, plan(20, None))
    await tailing.count(2)
    store(source, (SHOP, [(25, b"3"), (10, b"too old")]), (stream("a"), [(21, b"4")]))
    await tailing.count(4)
    store(source, (SHOP, [(22, b"5")]))
    await tailing.count(5)
    assert tailing.texts == [b"1", b"2", b"3", b"4", b"5"]
    await tailing.aclose()


async def test_a_follower_sees_streams_that_are_new(source):
    tailing = Tailing(source, plan(0, None, pod="late"))
    store(source, (stream("early"), [(1, b"no")]))
    store(source, (stream("late"), [(1, b"yes")]))
    await tailing.count(1)
    assert tailing.rows == [(1, stream("late"), b"yes")]
    await tailing.aclose()


async def test_followers_are_exact_while_much_is_stored(source):
    tails = [Tailing(source, plan(0, None, page_lines=13)) for _ in range(3)]
    for part in range(100):
        store(source, (stream("ab"[part % 2]), [(part, b"%d" % (part * 10 + n)) for n in range(10)]))
        if part % 10 == 0:
            tails.append(Tailing(source))
            await asyncio.sleep(0)
    for tailing in tails:
        await tailing.count(1_000)
        assert tailing.texts == [b"%d" % number for number in range(1_000)]
        await tailing.aclose()


async def test_a_follower_with_an_end_ends_when_the_clock_passes_it(tmp_path):
    world = World(tmp_path)
    async with world.running() as source:
        end = (NOW_S + 10) * 10**9
        tailing = Tailing(source, plan(0, end))
        store(source, (SHOP, [(end - 1, b"in"), (end, b"out")]))
        await tailing.count(1)
        world.clock.pass_s(10)
        await tailing.end()
        assert tailing.texts == [b"in"]


async def test_following_after_a_read_misses_and_repeats_nothing_across_segments(tmp_path):
    world = World(tmp_path, {"segment_bytes": 1_000})
    async with world.running() as source:
        tailing = Tailing(source)
        for part in range(30):
            store(source, (SHOP, [(part, b"%d" % (part * 10 + n) + b"." * 20) for n in range(10)]))
        await tailing.count(300)
        assert [line.rstrip(b".") for line in tailing.texts] == [b"%d" % number for number in range(300)]
        assert len(source._ready().catalogue.segments()) > 5
        await tailing.aclose()


async def test_series_and_values_are_exact(source):
    store(source, (stream("a"), [(10, b"x"), (20, b"x")]), (stream("b"), [(15, b"x")]))
    assert [labels async for labels in source.series(EVERYTHING, Interval(11, 16))] == [stream("b")]
    assert await source.label_values("pod", EVERYTHING, Interval(0, 16)) == {"a", "b"}
    assert await source.label_values("pod", plan(pod="b").selector, Interval(0, 100)) == {"b"}
    assert await source.label_values("absent", EVERYTHING, Interval(0, 100)) == set()
    assert await source.label_values("pod", EVERYTHING, Interval(16, 20)) == set()


async def test_retention_by_size_removes_whole_segments_and_tells_followers(tmp_path):
    world = World(tmp_path, {"segment_bytes": 2_000, "retention": Retention(size_bytes=1 << 20)})
    async with world.running() as source:
        store(source, (SHOP, [(0, b"first")]))
        following = source.follow(plan(0, None))
        assert isinstance(await anext(following), Page)
        for part in range(200):
            store(source, (SHOP, [(part * 10 + n, b"%d" % part + b"x" * 990) for n in range(10)]))
        source._ready().retain()
        found = await texts(source)
        assert 0 < len(found) < 1_100
        assert found[-1].startswith(b"199")
        assert len(list(world.data.glob("segments/*/*"))) == len(source._ready().catalogue.segments())
        assert isinstance(await anext(following), Gap)
        rest = await anext(following)
        assert isinstance(rest, Page)
        assert rest.lines[0] == found[0]
        await following.aclose()


async def test_a_follower_hears_of_no_gap_in_streams_it_does_not_follow(tmp_path):
    world = World(tmp_path, {"segment_bytes": 2_000, "retention": Retention(size_bytes=1 << 20)})
    async with world.running() as source:
        store(source, (stream("a"), [(0, b"first" + b"." * 2_000)]))
        tailing = Tailing(source, plan(0, None, pod="a"))
        await tailing.count(1)
        storage = source._ready()
        for part in range(200):
            store(source, (stream("b"), [(part * 10 + n, b"hidden" + b"x" * 990) for n in range(10)]))
        storage.retain()
        assert storage.removed
        store(source, (stream("a"), [(3_000, b"second")]))
        await tailing.count(2)
        assert tailing.gaps == []
        await tailing.aclose()


STORED = st.lists(st.tuples(st.sampled_from("ab"), ENTRIES.filter(bool)), min_size=1, max_size=3)


@settings(max_examples=volume(17, 35), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    steps=st.lists(st.one_of(st.integers(1, 3), STORED), max_size=10),
    pod=st.sampled_from(["a", None]),
    page_lines=st.integers(1, 6),
    page_bytes=st.integers(1, 30),
)
async def test_a_follower_gets_each_line_once_wherever_its_pages_end(
    tmp_path_factory, steps, pod, page_lines, page_bytes
):
    world = World(tmp_path_factory.mktemp("world"), {"block_bytes": 200})
    async with world.running() as source:
        wanted = plan(0, None, page_lines=page_lines, page_bytes=page_bytes, **({"pod": pod} if pod else {}))
        following = pages.Following(source._ready(), wanted)
        found: list[bytes] = []
        expected: list[bytes] = []

        def take(most: int) -> None:
            following.is_at_end = False
            while most and not following.is_at_end:
                most -= 1
                page = following.next(lambda: False)
                assert page is None or isinstance(page, Page)
                if page is not None:
                    assert 0 < len(page) <= page_lines
                    assert len(page) == 1 or sum(map(len, page.lines)) <= page_bytes
                    found.extend(page.lines)

        for step in steps:
            if isinstance(step, int):
                take(step)
            else:
                store(source, *((stream(name), entries) for name, entries in step))
                expected += [line for name, entries in step if pod in {None, name} for _, line in entries]
        take(1_000)
        assert found == expected


async def test_a_follower_loses_no_line_of_a_stream_that_is_new_while_it_looks(tmp_path, monkeypatch):
    world = World(tmp_path)
    async with world.running() as source:
        storage = source._ready()
        store(source, (stream("b"), [(0, b"of somebody else")]))
        following = pages.Following(storage, plan(0, None, pod="a"))
        stored_blocks = storage.catalogue.blocks_stored

        def blocks(*args, **options):
            if len(storage.streams) == 1:
                store(source, (stream("a"), [(1, b"new")]))
            return stored_blocks(*args, **options)

        monkeypatch.setattr(storage.catalogue, "blocks_stored", blocks)
        page = following.next(lambda: False)
        assert isinstance(page, Page)
        assert page.lines == [b"new"]


async def test_what_is_removed_between_two_pages_of_a_block_is_a_gap(tmp_path):
    world = World(tmp_path, {"segment_bytes": 100, "retention": Retention(age_s=100)})
    async with world.running() as source:
        store(source, (SHOP, [(n, b"line %d" % n) for n in range(9)]))
        store(source, (stream("b"), [(60, b"x" * 200)]))
        following = pages.Following(source._ready(), plan(0, None, page_lines=4))
        first = following.next(lambda: False)
        assert isinstance(first, Page)
        assert len(first) == 4
        world.clock.pass_s(200)
        source._ready().retain()
        assert isinstance(following.next(lambda: False), Gap)
        store(source, (SHOP, [(80, b"later")]))
        page = following.next(lambda: False)
        assert isinstance(page, Page)
        assert b"later" in page.lines


async def test_a_follower_is_woken_by_its_own_streams_and_by_what_is_removed(tmp_path, monkeypatch):
    asked: list[str] = []
    next_page = pages.Following.next

    def noted(self, stopped):
        asked.append("looked")
        return next_page(self, stopped)

    monkeypatch.setattr(pages.Following, "next", noted)
    world = World(tmp_path, {"segment_bytes": 100, "retention": Retention(age_s=100)})
    async with world.running() as source:
        store(source, (stream("a"), [(0, b"first" + b"." * 100)]))
        tailing = Tailing(source, plan(0, None, pod="a"))
        await tailing.count(1)
        before = len(asked)
        for number in range(50):
            store(source, (stream("b"), [(number, b"of somebody else")]))
            await asyncio.sleep(0)
        assert len(asked) == before
        store(source, (stream("a"), [(60, b"second")]))
        await tailing.count(2)
        store(source, (stream("c"), [(70, b"new")]), (stream("a"), [(71, b"third")]))
        await tailing.count(3)
        before = len(asked)
        world.clock.pass_s(200)
        source._ready().retain()
        assert source._ready().removed
        store(source, (stream("b"), [(80, b"of somebody else")]))
        async with asyncio.timeout(10):
            while len(asked) == before:  # noqa: ASYNC110 - a thread looks
                await asyncio.sleep(0.01)
        await tailing.aclose()


async def test_what_is_removed_while_it_is_followed_is_a_gap(tmp_path, monkeypatch):
    world = World(tmp_path)
    async with world.running() as source:
        store(source, (SHOP, [(5, b"gone while it is looked for")]))
        monkeypatch.setattr(pages, "load", lambda *_: None)
        following = source.follow(plan(0, None))
        assert await asyncio.wait_for(anext(following), 10) == Gap(5, 6)
        await following.aclose()


async def test_retention_by_age_counts_from_the_later_of_event_and_arrival(tmp_path):
    world = World(tmp_path, {"segment_bytes": 100, "retention": Retention(age_s=100)})
    async with world.running() as source:
        store(source, (SHOP, [(1, b"an old event, just arrived")]))
        store(source, (SHOP, [((NOW_S + 1_000) * 10**9, b"ahead of its time" + b"." * 100)]))
        store(source, (SHOP, [(2, b"the open segment")]))
        world.clock.pass_s(99)
        source._ready().retain()
        assert len(await texts(source)) == 3
        world.clock.pass_s(2)
        source._ready().retain()
        assert len(await texts(source)) == 2


async def test_one_process_owns_the_directory(tmp_path):
    world = World(tmp_path)
    async with world.running():
        other = world.source()
        with pytest.raises(SourceUnavailable, match="another process"):
            await other.start()
        await other.aclose()


async def test_polling_wakes_followers(tmp_path):
    world = World(tmp_path, {"poll_interval_s": 0.01})
    source = world.source()
    await source.start()
    tailing = Tailing(source)
    for number in range(20):
        world.write("app.log", b"line %d\n" % number)
        await tailing.count(number + 1)
    assert tailing.texts == [b"line %d" % number for number in range(20)]
    assert (await source.check()).ok
    await tailing.aclose()
    await source.aclose()


async def test_a_refused_write_loses_nothing(tmp_path, monkeypatch):
    from loglease.sources.files import storage

    world = World(tmp_path)
    async with world.running() as source:
        world.write("app.log", b"one\n")
        await source.refresh()
        whole = storage._write
        calls = itertools.count()

        def full(descriptor, data):
            whole(descriptor, data[: len(data) // 2])
            next(calls)
            raise OSError(28, "No space left on device")

        world.write("app.log", b"two\n")
        monkeypatch.setattr(storage, "_write", full)
        with pytest.raises(SourceUnavailable):
            await source.refresh()
        assert next(calls) > 0
        assert await texts(source) == [b"one"]
        assert not (await source.check()).ok
        monkeypatch.setattr(storage, "_write", whole)
        world.write("app.log", b"three\n")
        await source.refresh()
        assert await texts(source) == [b"one", b"two", b"three"]
        assert (await source.check()).ok
    assert await world.stored() == [b"one", b"two", b"three"]


async def test_labels_come_from_the_path_and_the_configuration(tmp_path):
    world = World(tmp_path)
    world.watches = (
        Watch(
            root=world.logs,
            pattern="**/*.log",
            labels={"env": "prod"},
            path_labels=r"(?P<service>[^/]+)/(?P<pod>.+)\.log",
        ),
    )
    world.write("pay/a.log", b'service=other {"env":"dev"}\n')
    world.write("unlabelled.log", b"not read\n")
    async with world.running() as source:
        await source.refresh()
        assert [labels for _, labels, _ in await rows(source)] == [(("env", "prod"), ("pod", "a"), ("service", "pay"))]
        assert source.configuration.label_names == {"env", "service", "pod"}
        assert await texts(source, plan(service="pay")) != []
        assert await texts(source, plan(service="other")) == []


async def test_selector_without_keys_reads_all(source):
    store(source, (stream("a"), [(1, b"x")]), (SHOP, [(2, b"y")]))
    assert await texts(source, plan()) == [b"x", b"y"]
    assert Selector() == EVERYTHING


async def test_a_disk_that_refuses_is_reported_once_until_it_takes_lines_again(source, monkeypatch):
    def refused() -> bool:
        raise OSError(errno.ENOSPC, "No space left on device")

    said: list[str] = []
    monkeypatch.setattr("loglease.sources.files.source._log.warning", lambda event, **_more: said.append(event))
    for _ in range(2):
        with monkeypatch.context() as patched:
            patched.setattr(source._intake, "round", refused)
            for _ in range(3):
                with pytest.raises(SourceUnavailable):
                    await source.refresh()
        await source.refresh()
    assert said == ["file_source.write_refused"] * 2
