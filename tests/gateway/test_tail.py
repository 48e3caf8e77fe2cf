"""Loki's tail over real WebSockets: the newest lines, then live ones, and every way in which it ends."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import fcntl
import json
import socket
import struct
import termios
from urllib.parse import urlencode

import pytest
from tests.gateway.world import T0, TOKEN, World, call, eventually, line, page_of, request_bytes, world
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.frames import Frame, Opcode

from loglease.access.watch import GrantCut, LeaseLost, LockCut
from loglease.audit.interface import AuditUnavailable
from loglease.gateway import GatewaySettings
from loglease.gateway.tailing import LATE_NS, MAX_KNOWN
from loglease.gateway.websocket import Upgrade, WebSocketChannel
from loglease.model.hold import LockKind, LockOn
from loglease.model.instant import event_time_text
from loglease.model.limits import Limits
from loglease.model.session import CloseWhy
from loglease.server.clock import SystemClock
from loglease.sources.files import FileSource, FileSourceConfig, Watch
from loglease.sources.interface import Gap, SourceUnavailable

SECOND = 10**9
LONG = "x" * 900
FLAG = ("X-Loki-Response-Encoding-Flags", "categorize-labels")
GOOD = (
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Key: " + base64.b64encode(b"k" * 16).decode(),
    "Sec-WebSocket-Version: 13",
)


def path(grant, **parameters: object) -> str:
    asked = {"query": '{service="a"}', "start": 0} | parameters
    return f"/g/{grant.id}/loki/api/v1/tail?{urlencode(asked)}"


def now_ns(w: World) -> int:
    return w.clock.now() * 1_000


@contextlib.asynccontextmanager
async def tailing(w: World, grant, *headers: tuple[str, str], **parameters: object):
    url = f"ws://127.0.0.1:{w.port}{path(grant, **parameters)}"
    client = await connect(
        url,
        additional_headers=[("Authorization", f"Bearer {TOKEN}"), *headers],
        compression=None,
        ping_interval=None,
        close_timeout=5,
        max_queue=None,
    )
    try:
        yield client
    finally:
        await client.close()


async def message(client: ClientConnection) -> dict:
    return json.loads(await asyncio.wait_for(client.recv(), 10))


async def text(client: ClientConnection) -> str:
    """Return the text of the next line."""
    (stream,) = (await message(client))["streams"]
    (value,) = stream["values"]
    return value[1]


async def ending(client: ClientConnection) -> tuple[int | None, str, list[str]]:
    """Return close code, reason and the lines that came before."""
    lines = []
    try:
        while True:
            found = await message(client)
            lines += [value[1] for stream in found["streams"] for value in stream["values"]]
    except ConnectionClosed as closed:
        return (None, "", lines) if closed.rcvd is None else (closed.rcvd.code, closed.rcvd.reason, lines)


async def refused(w: World, grant, *headers: str, token: str | None = TOKEN, **parameters: object):
    return await call(w, path(grant, **parameters), token, *(headers or GOOD))


# What it gives.


async def test_the_newest_lines_come_in_ascending_order_and_then_live_ones(tmp_path):
    lines = [line(T0 + n, f"old {n}", service="a") for n in range(300)]
    async with world(tmp_path, lines=lines) as w:
        grant = await w.grant()
        async with tailing(w, grant, limit=120) as client:
            assert [await text(client) for _ in range(120)] == [f"old {n}" for n in range(180, 300)]
            w.reader.add(line(now_ns(w), "other", service="b"), line(now_ns(w), "new", service="a"))
            assert await text(client) == "new"
        opened, closed = await w.entries("session.opened"), await w.entries("session.closed")
        assert (opened[0]["data"]["kind"], opened[0]["data"]["front"]) == ("tail", "loki")
        assert closed[0]["data"]["why"] == "client"
        assert closed[0]["data"]["total"]["lines"] == 121


async def test_a_hundred_lines_come_before_the_live_ones_where_nothing_is_said(tmp_path):
    lines = [line(T0 + n, f"old {n}", service="a") for n in range(150)]
    async with world(tmp_path, lines=lines) as w:
        grant = await w.grant()
        async with tailing(w, grant) as client:
            assert await text(client) == "old 50"


async def test_of_lines_of_one_time_only_so_many_come_as_were_asked_for(tmp_path):
    lines = [line(T0, f"same {n}", service="a") for n in range(10)] + [line(T0 + 1, "last", service="a")]
    async with world(tmp_path, lines=lines) as w:
        grant = await w.grant()
        async with tailing(w, grant, limit=3) as client:
            assert [await text(client) for _ in range(3)] == ["same 8", "same 9", "last"]
            w.reader.add(line(now_ns(w), "new", service="a"))
            assert await text(client) == "new"


async def test_recent_lines_come_once_and_late_ones_are_not_lost(tmp_path):
    async with world(tmp_path) as w:
        now = now_ns(w)
        w.reader.add(*(line(now - (20 - n) * SECOND, f"old {n}", service="a") for n in range(20)))
        grant = await w.grant()
        async with tailing(w, grant, limit=5) as client:
            assert [await text(client) for _ in range(5)] == [f"old {n}" for n in range(15, 20)]
            late = [now - 18 * SECOND, now - SECOND, now - 20 * SECOND]
            w.reader.add(*(line(at, f"late {at}", service="a") for at in late))
            assert [await text(client) for _ in late] == [f"late {at}" for at in late]
            w.reader.add(line(now - SECOND, "old 19", service="a"))
            assert await text(client) == "old 19", "an equal line that is stored again is another one"


async def test_a_line_that_is_stored_while_the_newest_are_read_comes_once(tmp_path):
    async with world(tmp_path) as w:
        now = now_ns(w)
        w.reader.add(*(line(now - (20 - n) * SECOND, f"old {n}", service="a") for n in range(20)))
        read = w.reader.read

        async def read_and_store(plan):
            async for page in read(plan):
                yield page
            number = len(w.reader.plans)
            w.reader.add(
                line(now - 3 * SECOND + number, f"within {number}", service="a"),
                line(now - 19 * SECOND + number, f"before {number}", service="a"),
            )

        w.reader.read = read_and_store
        grant = await w.grant()
        async with tailing(w, grant, limit=4) as client:
            got = [await text(client) for _ in range(8)]
        assert got[:5] == ["old 16", "old 17", "within 1", "old 18", "old 19"]
        assert sorted(got[5:]) == ["before 1", "before 2", "within 2"]


async def test_what_is_remembered_of_older_lines_is_bounded(tmp_path):
    async with world(tmp_path, page_lines=1_000) as w:
        now = now_ns(w)
        count = MAX_KNOWN + 50
        w.reader.add(*(line(now - LATE_NS // 2 + n, f"old {n}", service="a") for n in range(count)))
        grant = await w.grant()
        async with tailing(w, grant, limit=10) as client:
            assert [await text(client) for _ in range(10)] == [f"old {n}" for n in range(count - 10, count)]
            w.reader.add(line(now, "new", service="a"))
            assert await text(client) == "new"


async def test_lines_have_the_shape_that_the_client_asks_for(tmp_path):
    made = line(T0, '{"status":500}', (("trace", "t1"),), service="a")
    async with world(tmp_path, lines=[made]) as w:
        grant = await w.grant()
        async with tailing(w, grant, query='{service="a"} | json') as client:
            labels = {"service": "a", "trace": "t1", "detected_level": "unknown", "status": "500"}
            assert await message(client) == {"streams": [{"stream": labels, "values": [[str(T0), '{"status":500}']]}]}
        async with tailing(w, grant, FLAG, query='{service="a"} | json') as client:
            beside = {"structuredMetadata": {"trace": "t1", "detected_level": "unknown"}, "parsed": {"status": "500"}}
            assert await message(client) == {
                "streams": [{"stream": {"service": "a"}, "values": [[str(T0), '{"status":500}', beside]]}],
                "encodingFlags": ["categorize-labels"],
            }


async def test_lines_are_redacted_and_those_outside_the_scope_do_not_exist(tmp_path):
    async with world(tmp_path, lines=[line(T0, "mail bob@example.com", service="a")], loose=True) as w:
        w.reader.add(line(T0 + 1, "hidden", service="b"))
        grant = await w.grant(profile="pii-default@1")
        async with tailing(w, grant, query="{}") as client:
            first = await text(client)
            assert "bob" not in first
            assert "⟦email:" in first
            w.reader.add(line(now_ns(w), "hidden", service="b"), line(now_ns(w), "seen", service="a"))
            assert await text(client) == "seen"


async def test_a_long_line_is_one_message_in_many_slices(tmp_path):
    long = "y" * 100_000
    async with world(tmp_path, lines=[line(T0, long, service="a")]) as w:
        grant = await w.grant()
        async with tailing(w, grant) as client:
            assert await text(client) == long


async def test_live_lines_wait_for_slow_loggers_and_are_put_in_order(tmp_path):
    async with world(tmp_path) as w:
        grant = await w.grant()
        async with tailing(w, grant, delay_for=1) as client:
            await eventually(lambda: len(w.reader.plans) == 2)  # looked back, and follows
            now = now_ns(w)
            w.reader.add(line(now, "second", service="a"), line(now - SECOND, "first", service="a"))
            assert [await text(client), await text(client)] == ["first", "second"]
            assert now_ns(w) - now >= SECOND


async def test_a_tail_of_a_window_that_is_over_ends_with_its_lines(tmp_path):
    lines = [line(T0 + n, f"line {n}", service="a") for n in range(5)]
    async with world(tmp_path, lines=lines) as w:
        grant = await w.grant(start_ns=T0, end_ns=T0 + 3)
        async with tailing(w, grant) as client:
            assert await ending(client) == (1000, "complete", ["line 0", "line 1", "line 2"])


async def test_a_tail_of_which_the_window_has_nothing_is_complete_at_once(tmp_path):
    async with world(tmp_path, lines=[line(T0 + n, f"line {n}", service="a") for n in range(5)]) as w:
        grant = await w.grant(start_ns=T0 - 10, end_ns=T0)
        async with tailing(w, grant, start=T0) as client:
            assert await ending(client) == (1000, "complete", [])
        assert w.reader.plans == []
        assert (await w.entries("query.recorded"))[0]["data"]["scopes"] == []


async def test_what_is_charged_is_what_the_client_received(tmp_path):
    lines = [line(T0 + n, f"old {n} {LONG}", service="a") for n in range(40)]
    async with world(tmp_path, lines=lines) as w:
        grant = await w.grant()
        size = 0
        async with tailing(w, grant) as client:
            for _ in range(40):
                payload = (await asyncio.wait_for(client.recv(), 10)).encode()
                size += len(Frame(Opcode.TEXT, payload).serialize(mask=False))
        total = (await w.entries("session.closed"))[0]["data"]["total"]
        assert (total["lines"], total["bytes"]) == (40, size)
        usage = (await w.stored_grant(grant)).usage
        assert (usage.lines, usage.bytes) == (40, size)


async def test_a_budget_is_given_to_the_line_and_then_the_grant_is_used(tmp_path):
    lines = [line(T0 + n, f"old {n}", service="a") for n in range(40)]
    async with world(tmp_path, lines=lines) as w:
        grant = await w.grant(limits=Limits(lines=7))
        async with tailing(w, grant, limit=40) as client:
            code, reason, got = await ending(client)
        assert (code, reason) == (1008, "grant ended: used")
        assert got == [f"old {n}" for n in range(7)]
        assert (await w.entries("session.closed"))[0]["data"]["why"] == "ended"


async def test_lines_of_a_file_come_once_while_it_grows(tmp_path):
    logs = tmp_path / "logs"
    logs.mkdir()
    log = logs / "a.log"
    watch = Watch(root=logs, pattern="*.log", path_labels=r"(?P<service>[a-z]+)\.log")
    source = FileSource(FileSourceConfig(name="src", directory=tmp_path / "store", watches=(watch,)), SystemClock())
    await source.start(poll=False)
    try:
        async with world(tmp_path) as w:
            w.reader = source
            began = now_ns(w) - 30 * SECOND

            async def append(numbers: range) -> None:
                with log.open("a") as file:
                    file.writelines(f"{event_time_text(began + n * 10**7)} line {n}\n" for n in numbers)
                await source.refresh()

            await append(range(300))
            grant = await w.grant()
            async with tailing(w, grant, limit=50) as client:
                await append(range(300, 400))
                got = [await text(client)]
                await append(range(400, 500))
                while not got[-1].endswith(" 499"):
                    got.append(await text(client))
            numbers = [int(one.rpartition(" ")[2]) for one in got]
            assert numbers == list(range(numbers[0], 500))
            assert 250 <= numbers[0] <= 350
    finally:
        await source.aclose()


# How it ends.


async def test_a_revocation_closes_with_its_reason_and_refuses_the_next_upgrade(tmp_path):
    async with world(tmp_path, lines=[line(T0, "old", service="a")]) as w:
        grant = await w.grant()
        async with tailing(w, grant) as client:
            assert await text(client) == "old"
            await w.revoke(grant)
            w.reader.add(line(now_ns(w), "after the end", service="a"))
            assert await ending(client) == (1008, "grant revoked", [])
        closed = await w.entries("session.closed")
        assert closed[0]["data"]["why"] == "revoked"
        assert closed[0]["data"]["cut_ms"] < 1_000
        with pytest.raises(InvalidStatus) as error:
            async with tailing(w, grant):
                pass
        assert error.value.response.status_code == 403
        assert error.value.response.body.startswith(b"grant_ended: ")


@pytest.mark.parametrize(
    ("cut", "code", "reason"),
    [
        (lambda w, g: LockCut(on=LockOn(LockKind.EVERYTHING), text="locked"), 1008, "locked"),
        (lambda w, g: _grant_cut(g, "suspended", "grant suspended"), 1008, "grant suspended"),
        (lambda w, g: _grant_cut(g, "ended", "grant ended: idle"), 1008, "grant ended: idle"),
        (lambda w, g: _grant_cut(g, "ended", "grant ended: returned"), 1008, "grant ended: returned"),
        (lambda w, g: _grant_cut(g, "expired", "é" * 100), 1008, "é" * 61),
        (lambda w, g: LeaseLost(), 1013, "database"),
        (lambda w, g: LeaseLost(why=CloseWhy.AUDIT, text="audit"), 1011, "recording failed"),
    ],
)
async def test_every_cut_closes_with_its_code_and_text(tmp_path, cut, code, reason):
    async with world(tmp_path, lines=[line(T0, "old", service="a")]) as w:
        grant = await w.grant()
        async with tailing(w, grant) as client:
            await text(client)
            w.watch.apply(cut(w, grant))
            assert await ending(client) == (code, reason, [])


def _grant_cut(grant, why: str, told: str):
    return GrantCut(grant=grant.id, why=CloseWhy(why), text=told)


async def test_nothing_is_handed_over_at_the_deadline_or_after(tmp_path):
    async with world(tmp_path, lines=[line(T0, "old", service="a")]) as w:
        grant = await w.grant(duration_s=600)
        async with tailing(w, grant) as client:
            await text(client)
            w.clock.ahead_us = 600 * 1_000_000
            await w.watch.poll()
            w.reader.add(line(now_ns(w), "too late", service="a"))
            assert await ending(client) == (1008, "grant ended: expired", [])


@pytest.mark.parametrize(
    ("failure", "reason", "why"),
    [("source", "source failed", "source"), ("other", "internal error", "error")],
)
async def test_a_failure_is_told_by_its_kind_alone(tmp_path, failure, reason, why):
    async with world(tmp_path) as w:
        grant = await w.grant()

        async def follow(plan):
            yield page_of([line(now_ns(w), "first", service="a")])
            raise SourceUnavailable("secret words") if failure == "source" else LookupError("secret words")

        w.reader.follow = follow
        async with tailing(w, grant) as client:
            code, told, _ = await ending(client)
        assert (code, told) == (1011, reason)
        assert (await w.entries("session.closed"))[0]["data"]["why"] == why


async def test_what_cannot_be_recorded_is_not_sent(tmp_path):
    async with world(tmp_path) as w:
        grant = await w.grant()
        async with tailing(w, grant) as client:
            w.log.fail_with = lambda: AuditUnavailable("the disk is full")
            w.reader.add(line(now_ns(w), "not recorded", service="a"))
            assert await ending(client) == (1011, "recording failed", [])
            w.log.fail_with = None


async def test_a_drain_closes_without_a_close_frame(tmp_path):
    async with world(tmp_path, lines=[line(T0, "old", service="a")]) as w:
        grant = await w.grant()
        async with tailing(w, grant) as client:
            assert await text(client) == "old"
            await w.gateway.drain()
            assert await ending(client) == (None, "", [])
            assert (await refused(w, grant)).status == 503
        assert (await w.entries("session.closed"))[0]["data"]["why"] == "drain"


async def test_a_client_that_answers_no_ping_ends_idle(tmp_path):
    async with world(tmp_path) as w:
        grant = await w.grant()
        raw = Raw(w, grant)
        assert await raw.frame() == (Opcode.PING, b"")
        await raw.send(Opcode.PONG, b"")
        for n in range(31):
            await _a_second_later(w, f"line {n}")
            while (found := await raw.frame())[0] is Opcode.PING:
                pass
            if found[0] is Opcode.CLOSE:
                break
        assert n >= 29
        assert (found[1][:2], found[1][2:]) == ((1013).to_bytes(2, "big"), b"idle")
        assert (await w.entries("session.closed"))[0]["data"]["why"] == "idle"
        raw.close()


async def test_pongs_keep_a_tail_open(tmp_path):
    async with world(tmp_path) as w:
        grant = await w.grant()
        async with tailing(w, grant) as client:
            for n in range(70):
                await _a_second_later(w, f"line {n}")
                assert await text(client) == f"line {n}"


async def _a_second_later(w: World, told: str) -> None:
    w.clock.ahead_us += 1_000_000
    await w.watch.poll()
    w.reader.add(line(now_ns(w), told, service="a"))


async def test_a_ping_of_the_client_is_answered_with_its_payload(tmp_path):
    async with world(tmp_path) as w:
        grant = await w.grant()
        raw = Raw(w, grant)
        await raw.send(Opcode.PING, b"hello")
        while (found := await raw.frame())[0] is Opcode.PING:
            pass
        assert found == (Opcode.PONG, b"hello")
        raw.close()


async def test_messages_of_the_client_are_ignored_up_to_their_limit(tmp_path):
    async with world(tmp_path) as w:
        grant = await w.grant()
        async with tailing(w, grant) as client:
            await client.send("x" * 4_096)
            w.reader.add(line(now_ns(w), "goes on", service="a"))
            assert await text(client) == "goes on"
            await client.send("x" * 4_097)
            code, _, _ = await ending(client)
            assert code == 1009
        assert (await w.entries("session.closed"))[0]["data"]["why"] == "client"


async def test_a_message_in_parts_has_the_same_limit(tmp_path):
    async with world(tmp_path) as w:
        grant = await w.grant()
        raw = Raw(w, grant)
        await raw.send(Opcode.TEXT, b"x" * 4_000, fin=False)
        await raw.send(Opcode.CONT, b"x" * 200)
        assert (await raw.goodbye())[0] == 1009
        raw.close()


async def test_a_client_that_breaks_the_protocol_is_told_so(tmp_path):
    async with world(tmp_path) as w:
        grant = await w.grant()
        raw = Raw(w, grant)
        await raw.upgraded()
        await raw.write(Frame(Opcode.TEXT, b"not masked").serialize(mask=False))
        assert (await raw.goodbye())[0] == 1002
        raw.close()


async def test_a_client_that_closes_gets_its_close_frame_back(tmp_path):
    async with world(tmp_path) as w:
        grant = await w.grant()
        async with tailing(w, grant) as client:
            await client.close(1000, "enough")
            assert client.close_code == 1000
        assert (await w.entries("session.closed"))[0]["data"]["why"] == "client"


@pytest.mark.parametrize("why", [one for one in CloseWhy if one is not CloseWhy.CRASH])
async def test_every_reason_has_its_code_and_text(why):
    connection = WrittenTo()
    channel = WebSocketChannel(connection, Upgrade(HEAD, ()))
    await channel.end(b"", why, "")
    code, told = CLOSES[why]
    expected = b"" if code is None else Frame(Opcode.CLOSE, code.to_bytes(2, "big") + told).serialize(mask=False)
    assert connection.written == expected


class WrittenTo:
    written = b""

    def write(self, content: bytes) -> None:
        self.written += content


HEAD = [
    (b"connection", b"Upgrade"),
    (b"upgrade", b"websocket"),
    (b"sec-websocket-key", base64.b64encode(b"k" * 16)),
    (b"sec-websocket-version", b"13"),
]
CLOSES = {
    CloseWhy.COMPLETE: (1000, b"complete"),
    CloseWhy.CLIENT: (1000, b""),
    CloseWhy.REVOKED: (1008, b"grant revoked"),
    CloseWhy.EXPIRED: (1008, b"grant ended: expired"),
    CloseWhy.ENDED: (1008, b"grant ended: used"),
    CloseWhy.SUSPENDED: (1008, b"grant suspended"),
    CloseWhy.LOCKED: (1008, b"locked"),
    CloseWhy.AUDIT: (1011, b"recording failed"),
    CloseWhy.REDACTION: (1011, b"redaction failed"),
    CloseWhy.SOURCE: (1011, b"source failed"),
    CloseWhy.ERROR: (1011, b"internal error"),
    CloseWhy.SLOW: (1013, b"too slow"),
    CloseWhy.IDLE: (1013, b"idle"),
    CloseWhy.LIMIT: (1013, b"limit"),
    CloseWhy.TIME: (1013, b"time"),
    CloseWhy.DATABASE: (1013, b"database"),
    CloseWhy.CLOCK: (1013, b"clock"),
    CloseWhy.DRAIN: (None, b""),
}


# Slow readers and cuts in the middle.


@pytest.mark.attack("DS-01")
async def test_a_slow_reader_is_told_how_much_it_misses_and_then_loses_its_tail(tmp_path):
    settings = GatewaySettings(skip_after_s=0.2, slow_after_s=1.0)
    async with world(tmp_path, settings=settings) as w:
        grant = await w.grant()
        raw = Raw(w, grant)
        await raw.upgraded()
        for n in range(100):
            w.reader.add(*(line(now_ns(w), f"{n} {m} {LONG}", service="a") for m in range(10)))
            await asyncio.sleep(0.005)
        found = None
        while found is None or "dropped_entries" not in found:
            opcode, payload = await raw.frame()
            found = json.loads(payload) if opcode is Opcode.TEXT else found
            w.reader.add(line(now_ns(w), LONG, service="a"))
        (dropped,) = found["dropped_entries"]
        assert found["streams"] == []
        assert dropped["labels"] == {}
        assert dropped["lines"] >= 1
        assert abs(int(dropped["timestamp"]) - now_ns(w)) < 60 * SECOND
        for n in range(100):
            w.reader.add(*(line(now_ns(w), f"{n} {m} {LONG}", service="a") for m in range(10)))
        closed = await w.entries("session.closed")
        assert closed[0]["data"]["why"] == "slow"
        assert closed[0]["data"]["total"]["lines"] < 1_000
        raw.close()


async def test_a_tail_that_skips_lines_goes_on_taking_them_from_its_source(tmp_path):
    async with world(tmp_path, settings=GatewaySettings(skip_after_s=0.2, slow_after_s=60)) as w:
        grant = await w.grant()
        taken = 0

        async def follow(plan):
            nonlocal taken
            for n in range(200):
                yield page_of([line(now_ns(w), f"{n} {m} {LONG}", service="a") for m in range(10)])
                taken += 1
            await asyncio.Event().wait()

        w.reader.follow = follow
        raw = Raw(w, grant)
        await raw.upgraded()
        await eventually(lambda: taken == 200)
        raw.close()


async def test_a_gap_of_the_source_is_told_without_its_times(tmp_path):
    async with world(tmp_path) as w:
        grant = await w.grant()
        now = now_ns(w)

        async def follow(plan):
            yield page_of([line(now, "before", service="a")])
            yield Gap(T0 + 777, T0 + 888)
            yield page_of([line(now + 1, "after", service="a")])
            await asyncio.Event().wait()

        w.reader.follow = follow
        async with tailing(w, grant) as client:
            assert await text(client) == "before"
            told = await message(client)
            assert told["dropped_entries"][0].keys() == {"labels", "timestamp"}
            assert int(told["dropped_entries"][0]["timestamp"]) >= now, "it is told when it was seen, not of when it is"
            assert await text(client) == "after"


async def test_a_stalled_reader_is_reset_and_gets_little_afterwards(tmp_path):
    lines = [line(T0 + n, LONG, service="a") for n in range(500)]
    async with world(tmp_path, lines=lines) as w:
        grant = await w.grant()
        client = socket.socket()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(("127.0.0.1", w.port))
        client.sendall(request_bytes(path(grant, limit=500), TOKEN, *GOOD))
        client.setblocking(False)
        await all_buffers_are_full(client)
        await w.revoke(grant)
        await eventually(lambda: w.gateway.open_sessions == 0)
        got, was_reset = await _rest_of(client)
        client.close()
        assert was_reset
        assert got <= 32 * 1024
        assert (await w.entries("session.closed"))[0]["data"]["why"] == "revoked"


async def all_buffers_are_full(client: socket.socket) -> None:
    """Wait until nothing more arrives at a client that reads nothing."""
    seen = [0]

    def is_steady() -> bool:
        seen.append(struct.unpack("i", fcntl.ioctl(client, termios.FIONREAD, b"0000"))[0])
        return seen[-1] > 2_048 and len(set(seen[-50:])) == 1

    await eventually(is_steady, within_s=30)


async def _rest_of(client: socket.socket) -> tuple[int, bool]:
    got = 0
    while True:
        try:
            chunk = client.recv(65536)
        except BlockingIOError:
            await asyncio.sleep(0.01)
        except ConnectionResetError:
            return got, True
        else:
            if not chunk:
                return got, False
            got += len(chunk)


@pytest.mark.parametrize("held", [1, 2])
async def test_a_cut_while_the_newest_lines_are_looked_for_or_sent_ends_the_tail(tmp_path, held):
    async with world(tmp_path, lines=[line(T0 + n, f"old {n}", service="a") for n in range(5)]) as w:
        grant = await w.grant()
        read = w.reader.read
        waiting = asyncio.Event()

        async def held_read(plan):
            async for page in read(plan):
                yield page
            if len(w.reader.plans) == held:
                waiting.set()
                await asyncio.Event().wait()

        w.reader.read = held_read
        async with tailing(w, grant) as client:
            await asyncio.wait_for(waiting.wait(), 10)
            await w.revoke(grant)
            code, reason, lines = await ending(client)
        assert (code, reason) == (1008, "grant revoked")
        assert len(lines) <= 5


# Who gets none.


@pytest.mark.attack("GW-13")
@pytest.mark.parametrize(
    ("changed", "status", "code"),
    [
        ({"Upgrade": None}, 400, b"malformed"),
        ({"Connection": "keep-alive"}, 400, b"malformed"),
        ({"Sec-WebSocket-Key": "short"}, 400, b"malformed"),
        ({"Sec-WebSocket-Key": None}, 400, b"malformed"),
        ({"Sec-WebSocket-Version": "8"}, 400, b"malformed"),
        ({"Origin": "https://evil.example"}, 403, b"not_permitted"),
        ({"Origin": "null"}, 403, b"not_permitted"),
    ],
)
async def test_a_head_that_asks_wrongly_is_refused_by_plain_http(tmp_path, changed, status, code):
    async with world(tmp_path, settings=GatewaySettings(origins=("https://grafana.example",))) as w:
        grant = await w.grant()
        head = dict(one.split(": ") for one in GOOD) | changed
        answer = await refused(w, grant, *(f"{name}: {value}" for name, value in head.items() if value))
        assert answer.status == status
        assert answer.body.startswith(code)
        assert not await w.entries("session.opened")


@pytest.mark.attack("GW-13")
async def test_a_page_of_a_configured_origin_may_tail(tmp_path):
    settings = GatewaySettings(origins=("https://grafana.example",))
    async with world(tmp_path, settings=settings, lines=[line(T0, "old", service="a")]) as w:
        grant = await w.grant()
        async with tailing(w, grant, ("Origin", "https://grafana.example")) as client:
            assert await text(client) == "old"


async def test_refusals_before_the_upgrade_are_plain_http_and_end_the_connection(tmp_path):
    async with world(tmp_path) as w:
        grant, foreign = await w.grant(), await w.grant(holder=w.bob)
        for answer, status in (
            (await refused(w, grant, token=None), 401),
            (await refused(w, foreign), 404),
            (await refused(w, grant, query='rate({service="a"}[1m])'), 400),
            (await refused(w, grant, query=""), 400),
            (await refused(w, grant, query='{service="b"}'), 403),
            (await refused(w, grant, limit=5_001), 400),
            (await refused(w, grant, delay_for=6), 400),
            (await refused(w, grant, *GOOD, "Content-Length: 1"), 400),
        ):
            assert answer.status == status, answer.raw
            assert answer.header("connection") == "close"
        assert (await call(w, path(grant), TOKEN, *GOOD, method="POST")).status == 405
        assert not await w.entries("session.opened")
        codes = [one["data"]["code"] for one in await w.entries("access.refused")]
        assert {"not_found", "query_invalid"} <= set(codes)


async def test_no_compression_is_agreed_on(tmp_path):
    async with world(tmp_path) as w:
        grant = await w.grant()
        raw = Raw(w, grant, "Sec-WebSocket-Extensions: permessage-deflate")
        head = await raw.upgraded()
        assert head.startswith(b"HTTP/1.1 101 ")
        assert b"extensions" not in head.lower()
        assert b"cache-control: no-store" in head
        raw.close()


async def test_what_comes_before_the_answer_ends_the_connection(tmp_path):
    async with world(tmp_path) as w:
        grant = await w.grant()
        reader, writer = await asyncio.open_connection("127.0.0.1", w.port)
        writer.write(request_bytes(path(grant), TOKEN, *GOOD) + request_bytes("/logs"))
        with contextlib.suppress(ConnectionResetError):
            assert await asyncio.wait_for(reader.read(), 10) == b""
        writer.close()


async def test_other_upgrades_are_calls_like_any_other(tmp_path):
    async with world(tmp_path, lines=[line(T0, "old", service="a")]) as w:
        grant = await w.grant()
        answer = await call(w, f"/g/{grant.id}/logs?start=0", TOKEN, "Connection: Upgrade", "Upgrade: h2c")
        assert (answer.status, answer.lines) == (200, ["old"])
        answer = await call(w, f"/g/{grant.id}/logs?start=0", TOKEN, *GOOD)
        assert (answer.status, answer.lines) == (200, ["old"])


class Raw:
    """A client that answers nothing by itself."""

    def __init__(self, w: World, grant, *headers: str) -> None:
        self._address = w.port
        self._head = request_bytes(path(grant), TOKEN, *GOOD, *headers)
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def upgraded(self) -> bytes:
        """Return the head of the answer."""
        client = socket.socket()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.setblocking(False)
        await asyncio.get_running_loop().sock_connect(client, ("127.0.0.1", self._address))
        self._reader, self._writer = await asyncio.open_connection(sock=client, limit=4096)
        self._writer.write(self._head)
        return await asyncio.wait_for(self._reader.readuntil(b"\r\n\r\n"), 10)

    async def write(self, content: bytes) -> None:
        if self._writer is None:
            await self.upgraded()
        assert self._writer is not None
        self._writer.write(content)
        await self._writer.drain()

    async def send(self, opcode: Opcode, payload: bytes, *, fin: bool = True) -> None:
        await self.write(Frame(opcode, payload, fin).serialize(mask=True))

    async def frame(self) -> tuple[Opcode, bytes]:
        """Return the next frame."""
        if self._reader is None:
            await self.upgraded()
        assert self._reader is not None
        first, length = await asyncio.wait_for(self._reader.readexactly(2), 10)
        assert first & 0xF0 == 0x80, "every frame is whole and not compressed"
        if length == 126:
            length = int.from_bytes(await self._reader.readexactly(2), "big")
        elif length == 127:
            length = int.from_bytes(await self._reader.readexactly(8), "big")
        return Opcode(first & 0x0F), await self._reader.readexactly(length)

    async def goodbye(self) -> tuple[int, str]:
        """Read up to the close frame."""
        while (found := await self.frame())[0] is not Opcode.CLOSE:
            pass
        return int.from_bytes(found[1][:2], "big"), found[1][2:].decode()

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()
