"""Compressed answers: the same text, the same account, the same cut; and little of it under way however small it is."""

from __future__ import annotations

import asyncio
import json
import select
import zlib
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.gateway.test_loki_refusals import READING, asked
from tests.gateway.world import T0, TOKEN, Answer, call, eventually, line, stalled_client, world

from loglease.gateway import GatewaySettings
from loglease.gateway.compressed import LOOK_NS, TEXT_UNDER_WAY, GzipChannel
from loglease.gateway.request import accepts_gzip
from loglease.gateway.settings import SLICE_BYTES
from loglease.model.limits import Limits
from loglease.model.session import CloseWhy

SECOND = 10**9
GZIP = "Accept-Encoding: gzip"
LINES = [line(T0 + n, f'{{"n":{n},"word":"x"}}', service="a", pod=str(n % 3)) for n in range(900)]
ALL = f"loki/api/v1/query_range?query=%7B%7D&start={T0}&end={T0 + SECOND}&limit=5000"


def text_of(answer: Answer) -> bytes:
    assert answer.header("content-encoding") == "gzip"
    reader = zlib.decompressobj(31)
    text = reader.decompress(answer.body)
    assert reader.eof
    assert not reader.unused_data
    return text


@pytest.mark.parametrize("route", sorted(READING))
async def test_a_compressed_answer_is_the_plain_one(tmp_path, route):
    async with world(tmp_path, lines=LINES) as w:
        grant = await w.grant(limits=Limits(queries_per_min=1_000))
        plain = await call(w, asked(grant, route))
        compressed = await call(w, asked(grant, route), TOKEN, GZIP)
        assert plain.header("content-encoding") is None
        assert (plain.status, compressed.status) == (200, 200)
        assert text_of(compressed) == plain.body
        one, other = await w.entries("session.closed")
        assert one["data"]["total"] == other["data"]["total"]


async def test_it_is_smaller_and_charged_as_text(tmp_path):
    async with world(tmp_path, lines=LINES) as w:
        grant = await w.grant()
        answer = await call(w, f"/g/{grant.id}/{ALL}", TOKEN, GZIP)
        values = json.loads(text_of(answer))["data"]["result"]
        assert sum(len(one["values"]) for one in values) == len(LINES)
        charged = (await w.entries("session.closed"))[0]["data"]["total"]["bytes"]
        assert charged > 3 * len(answer.body)


async def test_a_budget_ends_it_properly(tmp_path):
    async with world(tmp_path, lines=LINES) as w:
        grant = await w.grant(limits=Limits(bytes=9_000))
        found = json.loads(text_of(await call(w, f"/g/{grant.id}/{ALL}", TOKEN, GZIP)))
        assert found["warnings"] == ["The budget of the grant is used up: this answer is not whole."]
        assert (await w.entries("session.closed"))[0]["data"]["total"]["bytes"] <= 9_000


async def test_only_whole_json_answers_are_compressed(tmp_path):
    async with world(tmp_path, lines=LINES) as w:
        grant = await w.grant()
        number = f"query={quote('count_over_time({}[1h])')}&end={T0 + SECOND}"
        assert json.loads(text_of(await call(w, f"/g/{grant.id}/logs?{number}", TOKEN, GZIP)))["status"] == "success"
        for path in ("logs?start=0", "loki/api/v1/status/buildinfo", "loki/api/v1/query_range?query=%7B"):
            answer = await call(w, f"/g/{grant.id}/{path}", TOKEN, GZIP)
            assert answer.header("content-encoding") is None


async def test_an_operator_may_have_none_of_it(tmp_path):
    async with world(tmp_path, settings=GatewaySettings(gzip=False), lines=LINES) as w:
        answer = await call(w, f"/g/{(await w.grant()).id}/{ALL}", TOKEN, GZIP)
        assert (answer.header("content-encoding"), json.loads(answer.body)["status"]) == (None, "success")


async def test_hidden_data_changes_no_compressed_byte(tmp_path):
    bodies = []
    for number, hidden in enumerate(("bob@example.com", "a.much.longer.name@another.example.org")):
        lines = [
            *LINES,
            line(T0, f"mail {hidden}", service="a"),
            *(line(T0 + 5, hidden, service="b") for _ in range(9)),
        ]
        async with world(tmp_path / str(number), lines=lines, loose=True) as w:
            grant = await w.grant(profile="strict@1", grant_id="grt_01HF7YAT00000000000000000B")
            bodies.append((await call(w, f"/g/{grant.id}/{ALL}", TOKEN, GZIP)).raw)
    heads, contents = zip(*(raw.split(b"\r\n\r\n", 1) for raw in bodies), strict=True)
    assert contents[0] == contents[1]
    assert len(set(map(len, heads))) == 1


async def test_a_cut_in_the_middle_ends_at_once_and_shows(tmp_path):
    lines = [line(T0 + n, f"{n:06d} " + "the same words " * 60, service="a") for n in range(5_000)]
    async with world(tmp_path, lines=lines) as w:
        grant = await w.grant(limits=Limits(lines=10**6, bytes=10**9))
        client = stalled_client(w, f"/g/{grant.id}/{ALL}", GZIP)
        await eventually(lambda: bool(select.select([client], [], [], 0)[0]))
        await asyncio.sleep(0.3)  # until every buffer on the way is full
        await w.revoke(grant)
        await eventually(lambda: w.gateway.open_sessions == 0)
        got, was_reset = b"", False
        try:
            while chunk := await asyncio.wait_for(asyncio.get_running_loop().sock_recv(client, 65536), 10):
                got += chunk
        except ConnectionError:
            was_reset = True
        client.close()
        total = (await w.entries("session.closed"))[0]["data"]
        assert total["why"] == "revoked"
        assert 0 < total["total"]["lines"] < len(lines)
        assert was_reset
        assert not got.endswith(b"0\r\n\r\n")


async def test_what_is_handed_over_is_read_at_once(tmp_path):
    class Kept:
        """A connection that writes nothing anywhere."""

        queued_bytes = 0
        is_writable = True

    chunks: list[bytes] = []

    async def send(message: dict) -> None:
        chunks.append(message["body"])

    channel = GzipChannel(send, Kept(), "application/json")  # type: ignore[arg-type]
    reader = zlib.decompressobj(31)
    for number in range(50):
        content = f"slice {number} of many ".encode() * 100
        await channel.write(content)
        assert reader.decompress(chunks[-1]) == content
    await channel.end(b"]}", CloseWhy.COMPLETE, "")
    assert reader.decompress(chunks[-1]) == b"]}"
    assert reader.eof


class Socket:
    """A connection whose peer acknowledges what a test says."""

    def __init__(self) -> None:
        self.queued_bytes = 0
        self.is_writable = True

    def acknowledge(self, size: int) -> None:
        self.queued_bytes = max(0, self.queued_bytes - size)


@settings(deadline=None)
@given(
    st.lists(st.one_of(st.integers(1, SLICE_BYTES), st.just("acknowledge"), st.just("all")), max_size=80), st.binary()
)
def test_no_more_text_is_under_way_than_may_be(moves, seed):
    async def run() -> None:
        socket, chunks = Socket(), []

        async def send(message: dict) -> None:
            chunks.append(message["body"])

        channel = GzipChannel(send, socket, "application/json")  # type: ignore[arg-type]
        under_way: list[tuple[int, int]] = []
        for move in moves:
            if isinstance(move, int):
                if channel.is_writable:
                    await channel.write((seed + b"x" * move)[:move])
                    socket.queued_bytes += len(chunks[-1])
                    under_way.append((len(chunks[-1]), move))
            elif move == "all" or under_way:
                gone = len(under_way) if move == "all" else 1
                for size, _ in under_way[:gone]:
                    socket.acknowledge(size)
                del under_way[:gone]
            text = sum(size for _, size in under_way)
            assert text <= TEXT_UNDER_WAY
            assert channel.is_writable == (text <= TEXT_UNDER_WAY - SLICE_BYTES)
            due_ns = channel.beat(0, between_records=True)
            assert (due_ns == LOOK_NS) is not channel.is_writable
            socket.is_writable = False
            assert not channel.is_writable
            socket.is_writable = True

    asyncio.run(run())


@pytest.mark.parametrize(
    ("value", "asks"),
    [
        (None, False),
        ("gzip", True),
        ("GZIP", True),
        ("x-gzip", True),
        ("deflate, gzip;q=0.5", True),
        ("br;q=1.0, gzip;q=0.8, *;q=0.1", True),
        ("gzip;q=0", False),
        ("gzip;q=0.000", False),
        ("gzip;q=nonsense", False),
        ("identity", False),
        ("*", False),
        ("deflate", False),
        ("gzipped", False),
        ("", False),
    ],
)
def test_who_asks_for_it_by_name_gets_it(value, asks):
    assert accepts_gzip([] if value is None else [(b"accept-encoding", value.encode())]) is asks
