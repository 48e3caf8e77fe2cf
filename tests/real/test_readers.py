"""The suite of all readers over the real stores, and what only these can show."""

from __future__ import annotations

import random
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from tests.real.stores import (
    JournalStore,
    VictoriaLogs,
    VictoriaLogsStore,
    free_port,
    gateway_daemon,
    journal_store,
    victorialogs,
    victorialogs_store,
)
from tests.sources.conformance import Line, Suite, chosen, following, rows_of

from loglease.model.instant import Interval
from loglease.model.labels import Matcher, Selector, labels_of, matcher_of, selector_of
from loglease.sources.interface import ReadPlan

NASTY = [
    "pay", "pay ", " pay", "PAY", "päy", "pay-api", "pay.api", "pay*", "*", '"', "\\", '\\"', "`", "'", "{", "}", '"}',
    '",env="prod', 'x" or "', "a|b", ".*", ".+", "(?i)pay", "^pay$", "[pay]", "pay\\", "\n", "pay\nx", "\t", "\x00", "\x7f",
    "é", "\u2028", "\ufeff", "\U0001f600", "in(*)", "_time:5m", "} | delete *", "#", "//", "\u00a0", "a,b", "a=b", "\\n", "0", "00", "1e3",
    "1000", "127.0.0.1", "2026-01-01T00:00:00Z", "true", "null", "-", "options(ignore_global_time_filter=true)",
]  # fmt: skip
EVERYTHING = Interval(0, 1 << 62)


def random_texts(count: int) -> list[str]:
    chance = random.Random(11)  # noqa: S311 - no secret
    letters = "ab\\\"'`{}()[]|.*+?^$,= \n\té\u00df\u0130\u212a\U0001f600:~!#/-_0129"
    return ["".join(chance.choices(letters, k=chance.randint(1, 8))) for _ in range(count)]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VictoriaLogs]:
    with victorialogs(tmp_path_factory.mktemp("victorialogs")) as server:
        yield server


@pytest.mark.real_victorialogs
class TestVictoriaLogs(Suite):
    @pytest.fixture
    async def store(self, server: VictoriaLogs) -> AsyncIterator[VictoriaLogsStore]:
        async with victorialogs_store(server) as store:
            yield store

    async def test_a_printed_filter_means_just_its_value(self, store: VictoriaLogsStore) -> None:
        values = list(dict.fromkeys([*NASTY, *random_texts(150)]))
        rows = [{"_time": "2026-11-20T00:00:00Z", "_msg": "x", "service": value, "env": "prod"} for value in values]
        await store.insert([*rows, {"_time": "2026-11-20T00:00:00Z", "_msg": "x", "env": "prod"}])
        chance = random.Random(5)  # noqa: S311 - no secret
        matchers = [matcher_of(exact=(value,)) for value in values]
        matchers += [matcher_of(prefixes=(value,)) for value in values]
        matchers += [matcher_of(any_value=True, except_exact=(value,)) for value in values]
        matchers += [matcher_of(any_value=True, except_prefixes=(value,)) for value in values]
        matchers += [matcher_of(exact=chance.sample(values, 5), prefixes=chance.sample(values, 2)) for _ in range(40)]
        matchers += [
            matcher_of(any_value=True, except_exact=chance.sample(values, 5), except_prefixes=chance.sample(values, 2))
            for _ in range(40)
        ]
        for matcher in matchers:
            assert isinstance(matcher, Matcher)
            selector = selector_of({"service": matcher})
            found = {dict(labels)["service"] async for labels in store.reader.series(selector, EVERYTHING)}
            assert found == {value for value in values if matcher.matches(value)}, selector

    async def test_a_printed_literal_means_just_its_bytes(self, store: VictoriaLogsStore) -> None:
        texts = list(dict.fromkeys([*NASTY, *random_texts(200)]))
        await store.insert([{"_time": "2026-11-20T00:00:00Z", "_msg": text, "service": "a"} for text in texts])
        every = {text async for page in store.reader.read(self.everything()) for text in page.lines}
        assert every == {text.encode().removesuffix(b"\n") for text in texts}
        for text in texts:
            literals = (text.encode(),)
            found = {one async for page in store.reader.read(self.everything(literals)) for one in page.lines}
            assert found == {one.encode().removesuffix(b"\n") for one in texts if text in one}, text

    def everything(self, literals: tuple[bytes, ...] = ()) -> ReadPlan:
        return ReadPlan(selector=Selector(), interval=EVERYTHING, literals=literals)

    async def test_a_single_time_is_read_stream_by_stream_where_it_is_too_much_at_once(
        self, store: VictoriaLogsStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("loglease.sources.victorialogs.slices.MOMENT_LINES", 120)
        lines = [Line(5, f"one-{number % 10}", "", f"tie {number:05}") for number in range(1_000)]
        await store.write(lines)
        for backward in (False, True):
            rows = await self.read(store, self.plan(store, page_lines=10, backward=backward))
            self.expect(store, lines, rows[::-1] if backward else rows)

    async def test_another_tenant_sees_nothing(self, store: VictoriaLogsStore, server: VictoriaLogs) -> None:
        await store.write(self.some())
        async with victorialogs_store(server) as other:
            assert await self.read(other, self.plan(other)) == []
            assert [one async for one in other.reader.series(Selector(), EVERYTHING)] == []

    async def test_a_compressed_answer_is_the_same(self, store: VictoriaLogsStore, server: VictoriaLogs) -> None:
        async with victorialogs_store(server, compressed=True) as other:
            lines = self.some(each=50)
            await other.write(lines)
            self.expect(other, lines, await self.read(other, self.plan(other)))

    async def test_fields_of_a_line_are_metadata_and_never_labels(self, store: VictoriaLogsStore) -> None:
        await store.insert(
            [{"_time": "2026-11-20T00:00:00Z", "_msg": "x", "service": "a", "level": "info", "user": {"id": 7}}]
        )
        [page] = [page async for page in store.reader.read(self.everything())]
        assert page.streams == [(("service", "a"),)]
        assert page.metadata == [(("level", "info"), ("user.id", "7"))]

    async def test_a_follower_survives_a_restart_and_gives_each_line_once(self, tmp_path: Path) -> None:
        port = free_port()
        start = 0
        texts = [b"before", b"between", b"after"]
        with victorialogs(tmp_path, port=port) as first:
            async with victorialogs_store(first) as store:
                start = store.now_ns() // 10**9 * 10**9
                await store.write([Line(0, "a", "", "before")], base_ns=start)
                async with following(
                    store.reader, ReadPlan(selector=Selector(), interval=Interval(start, None))
                ) as tail:
                    await tail.count(1)
                    first.process.send_signal(signal.SIGINT)
                    first.process.wait(20)
                    with victorialogs(tmp_path, port=port) as second:
                        store.server = second
                        await store.write([Line(1, "a", "", "between")], base_ns=start)
                        await tail.count(2)
                        await store.write([Line(0, "a", "", "after")], base_ns=store.now_ns())
                        await tail.count(3)
                        assert [text for _, _, text in tail.rows] == texts
                        assert tail.gaps == []

    async def test_a_late_line_and_a_second_one_of_the_same_time_are_followed(self, store: VictoriaLogsStore) -> None:
        now = store.now_ns()
        async with following(
            store.reader, ReadPlan(selector=Selector(), interval=Interval(now - 10**10, None))
        ) as tail:
            for number, step in enumerate((1_000, 1_000, 500)):
                await store.write([Line(step, "a", "", f"line {number}")], base_ns=now)
                await tail.count(number + 1)
        assert [text for _, _, text in tail.rows] == [b"line 0", b"line 1", b"line 2"]

    async def test_a_follower_ends_with_its_interval(self, store: VictoriaLogsStore) -> None:
        now = store.now_ns()
        await store.write([Line(0, "a", "", "x")], base_ns=now)
        plan = ReadPlan(selector=Selector(), interval=Interval(now, now + 10**9))
        assert [row[2] async for item in store.reader.follow(plan) for row in rows_of(item)] == [b"x"]


@pytest.mark.real_journald
class TestJournald(Suite):
    @pytest.fixture
    async def store(self, tmp_path: Path) -> AsyncIterator[JournalStore]:
        async with journal_store(tmp_path) as store:
            yield store

    async def test_a_match_means_just_its_value(self, store: JournalStore) -> None:
        values = [value for value in dict.fromkeys([*NASTY, *random_texts(60)]) if "\x00" not in value]
        entries = [
            (1_795_000_000_000_000 + at, {"MESSAGE": b"x", "_SYSTEMD_UNIT": one.encode()})
            for at, one in enumerate(values)
        ]
        await store.insert(entries)
        for value in values:
            rows = [row async for page in store.reader.read(self.of(value)) for row in rows_of(page)]
            assert [labels for _, labels, _ in rows] == [labels_of({"systemd_unit": value})], value

    def of(self, *values: str) -> ReadPlan:
        return ReadPlan(selector=chosen("systemd_unit", exact=values), interval=EVERYTHING)

    async def test_a_message_may_have_any_bytes_and_several_values(self, store: JournalStore) -> None:
        texts = [b"plain", b"bin \xff\x00 x\ny", "ünï\x1b[31m".encode(), b"", b"x" * 70_000, b"a\tb"]
        await store.insert(
            [(1_795_000_000_000_000 + at, {"MESSAGE": text, "_SYSTEMD_UNIT": b"a"}) for at, text in enumerate(texts)]
        )
        [page] = [page async for page in store.reader.read(self.of("a"))]
        assert page.lines == [text if len(text) < 4_096 else b"" for text in texts]
        unreadable = [("unreadable", "too_large") in (pairs or ()) for pairs in page.metadata]
        assert unreadable == [len(text) >= 4_096 for text in texts]
        assert {dict(pairs or ())["_boot_id"] for pairs in page.metadata} == {"0123456789abcdef0123456789abcdef"}

    @pytest.mark.parametrize("backward", [False, True])
    async def test_many_pages_lose_nothing(
        self, store: JournalStore, monkeypatch: pytest.MonkeyPatch, backward: bool
    ) -> None:
        monkeypatch.setattr("loglease.sources.journald.walk.PAGE", 7)
        monkeypatch.setattr("loglease.sources.journald.walk.STRAY", 5)
        lines = self.some()
        await store.write(lines)
        for start, end in ((0, 10**9), (3, 30), (10, 11), (38, 39)):
            rows = await self.read(store, self.plan(store, start, end, backward=backward))
            inside = [line for line in lines if start <= line.step < end]
            self.expect(store, inside, rows[::-1] if backward else rows)

    async def test_a_follower_survives_a_restart_and_gives_each_line_once(
        self, tmp_path: Path, store: JournalStore
    ) -> None:
        start = store.now_ns() // 10**9 * 10**9
        await store.write([Line(0, "a", "", "before")], base_ns=start)
        plan = ReadPlan(selector=Selector(), interval=Interval(start, None))
        port = free_port()
        store.reader._transport._upstream = type(store.reader._transport._upstream)(
            name="machine", address=f"http://127.0.0.1:{port}"
        )
        async with following(store.reader, plan) as tail:
            async with gateway_daemon(tmp_path / "journal", port):
                await tail.count(1)
            await store.write([Line(1, "a", "", "between")], base_ns=start)
            async with gateway_daemon(tmp_path / "journal", port):
                await tail.count(2)
                await store.write([Line(0, "a", "", "after")], base_ns=store.now_ns())
                await tail.count(3)
        assert [text for _, _, text in tail.rows] == [b"before", b"between", b"after"]
        assert tail.gaps == []
