"""The suite of all readers over a real Loki, and what only that can show."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import pytest
from tests.real.loki import Loki, LokiStore, loki, loki_store
from tests.real.stores import free_port
from tests.real.test_readers import NASTY, random_texts
from tests.sources.conformance import BASE_NS, Line, LokiSuite, chosen, following, rows_of

from loglease.model.instant import Interval
from loglease.model.labels import Matcher, Selector, matcher_of, selector_of
from loglease.sources.interface import ReadPlan, SourceProtocol

pytestmark = pytest.mark.real_loki
NO_LABELS = {"\x00", "\x7f", "\u2028", "\ufeff", "\u00a0"}
"""Values that this Loki takes for no stream; it has to be asked for them all the same."""
DAY = Interval(BASE_NS - 43_200 * 10**9, BASE_NS + 43_200 * 10**9)


class TestLoki(LokiSuite):
    @pytest.fixture
    async def store(self, loki_server: Loki) -> AsyncIterator[LokiStore]:
        async with loki_store(loki_server) as store:
            yield store

    async def test_a_printed_selector_means_just_its_values(self, store: LokiStore) -> None:
        values = list(dict.fromkeys([*NASTY, *random_texts(150)]))
        kept = [value for value in values if value not in NO_LABELS]
        await store.push([({"service": value, "env": "prod"}, [(BASE_NS, "x")]) for value in kept])
        await store.push([({"env": "prod"}, [(BASE_NS, "x")])])
        chance = random.Random(5)  # noqa: S311 - no secret
        matchers = [matcher_of(exact=(value,)) for value in values]
        matchers += [matcher_of(prefixes=(value,)) for value in values]
        matchers += [matcher_of(any_value=True, except_exact=(value,)) for value in values]
        matchers += [matcher_of(any_value=True, except_prefixes=(value,)) for value in values]
        matchers += [matcher_of(exact=chance.sample(values, 5), prefixes=chance.sample(values, 2)) for _ in range(40)]
        for matcher in matchers:
            assert isinstance(matcher, Matcher)
            selector = selector_of({"service": matcher})
            wanted = {value for value in kept if matcher.matches(value)}
            found = {dict(labels)["service"] async for labels in store.reader.series(selector, DAY)}
            assert found == wanted, selector
            plan = ReadPlan(selector=selector, interval=DAY)
            read = {dict(one)["service"] async for page in store.reader.read(plan) for one in page.streams}
            assert read == wanted, selector

    async def test_a_printed_literal_means_just_its_bytes(self, store: LokiStore) -> None:
        texts = [text for text in dict.fromkeys([*NASTY, *random_texts(200)]) if not text.endswith("\n")]
        await store.push([({"service": "a"}, [(BASE_NS + at, text) for at, text in enumerate(texts)])])
        every = ReadPlan(selector=Selector(), interval=DAY)
        assert [text async for page in store.reader.read(every) for text in page.lines] == [
            text.encode() for text in texts
        ]
        for text in texts:
            plan = replace(every, literals=(text.encode(),))
            found = [one async for page in store.reader.read(plan) for one in page.lines]
            assert found == [one.encode() for one in texts if text in one], text

    @pytest.mark.parametrize("backward", [False, True])
    async def test_lines_of_one_time_keep_the_order_in_which_they_came(self, store: LokiStore, backward: bool) -> None:
        lines = [Line(step, f"one-{number % 2}", "", f"{number * 7 % 10}") for step in (1, 2) for number in range(10)]
        await store.write(lines)
        rows = await self.read(store, self.plan(store, backward=backward))
        self.expect(store, lines, rows[::-1] if backward else rows)

    async def test_a_single_time_is_read_stream_by_stream_where_it_is_too_much_at_once(self, loki_server: Loki) -> None:
        lines = [Line(5, f"one-{number % 10}", "", f"tie {number:05}") for number in range(1_000)]
        async with loki_store(loki_server, max_entries=120) as store:
            await store.write(lines)
            for backward in (False, True):
                rows = await self.read(store, self.plan(store, page_lines=10, backward=backward))
                self.expect(store, lines, rows[::-1] if backward else rows)

    async def test_streams_without_a_label_of_the_first_name_are_read_too_each_once(self, store: LokiStore) -> None:
        lines = [
            Line(number // 4, "ab"[number % 2] * (number % 3 > 0), "xy"[number % 2], f"{number}")
            for number in range(60)
        ]
        await store.write(lines)
        for backward in (False, True):
            rows = await self.read(store, self.plan(store, page_lines=7, backward=backward))
            self.expect(store, lines, rows[::-1] if backward else rows)

    async def test_a_store_that_cannot_tell_labels_from_metadata_is_read_only_if_that_is_said(
        self, loki_server: Loki
    ) -> None:
        async with loki_store(loki_server, structured_metadata=True) as store:
            await store.write([Line(0, "a", "", "x")])
            with pytest.raises(SourceProtocol):
                await self.pages(store, self.plan(store))
            health = await store.reader.check()
            assert not health.ok
            assert "structured metadata" in health.detail

    async def test_another_tenant_sees_nothing(self, store: LokiStore, loki_server: Loki) -> None:
        await store.write(self.some())
        async with loki_store(loki_server, label_policy=True) as other:
            assert await self.read(other, self.plan(other)) == []
            assert [one async for one in other.reader.series(Selector(), DAY)] == []

    async def test_a_compressed_answer_is_the_same(self, loki_server: Loki) -> None:
        async with loki_store(loki_server, compressed=True) as store:
            lines = self.some(each=50)
            await store.write(lines)
            self.expect(store, lines, await self.read(store, self.plan(store)))

    async def test_followers_beyond_the_tails_that_the_store_allows_miss_nothing(self, store: LokiStore) -> None:
        now = store.now_ns()
        plan = ReadPlan(selector=chosen("service", exact=["a"]), interval=Interval(now, None))
        async with AsyncExitStack() as stack:
            tails = [await stack.enter_async_context(following(store.reader, plan)) for _ in range(14)]
            for number in range(3):
                await store.write([Line(number, "a", "", f"line {number}")], base_ns=now)
                for tail in tails:
                    await tail.count(number + 1)
        assert [[text for _, _, text in tail.rows] for tail in tails] == [[b"line 0", b"line 1", b"line 2"]] * 14

    async def test_years_are_read_month_by_month(self, store: LokiStore) -> None:
        times = [BASE_NS - 86_400 * 10**9 * days for days in (700, 365, 60, 59, 31, 30, 29, 0)]
        await store.push([({"service": "a"}, [(ts, str(ts)) for ts in times])])
        plan = ReadPlan(selector=Selector(), interval=Interval(times[0], BASE_NS + 1))
        assert [ts async for page in store.reader.read(plan) for ts, _, _ in rows_of(page)] == times

    async def test_a_follower_survives_a_restart_and_gives_each_line_once(self, tmp_path: Path) -> None:
        port = free_port()
        with loki(tmp_path, port=port) as first:
            async with loki_store(first) as store:
                start = store.now_ns() // 10**9 * 10**9
                await store.write([Line(0, "a", "", "before")], base_ns=start)
                async with following(
                    store.reader, ReadPlan(selector=Selector(), interval=Interval(start, None))
                ) as tail:
                    await tail.count(1)
                    await asyncio.to_thread(first.call, store.tenant, "/flush", b"")
                    first.process.terminate()
                    await asyncio.to_thread(first.process.wait, 20)
                    with loki(tmp_path, port=port) as second:
                        store.server = second
                        await store.write([Line(1, "a", "", "between")], base_ns=start)
                        await tail.count(2)
                        await store.write([Line(0, "a", "", "after")], base_ns=store.now_ns())
                        await tail.count(3)
                        assert [text for _, _, text in tail.rows] == [b"before", b"between", b"after"]
                        assert tail.gaps == []

    async def test_a_follower_ends_with_its_interval(self, store: LokiStore) -> None:
        now = store.now_ns()
        await store.write([Line(0, "a", "", "x")], base_ns=now)
        plan = ReadPlan(selector=chosen("service", exact=["a"]), interval=Interval(now, now + 10**9))
        assert [row[2] async for item in store.reader.follow(plan) for row in rows_of(item)] == [b"x"]
