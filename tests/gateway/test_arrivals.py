"""Places for connections, and clients that send too slowly: over real sockets."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest
from tests.gateway.world import T0, Tail, World, call, eventually, line, listening, request_bytes, world

from loglease.gateway import connection
from loglease.gateway.arrivals import Arrivals, network_of
from loglease.gateway.connection import listening_protocol

Pair = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@contextlib.asynccontextmanager
async def counted(w: World, **places: int) -> AsyncIterator[Arrivals]:
    """Serve the world on another port, where connections are counted."""
    arrivals = Arrivals(**places)
    before = w.port
    async with listening(w.gateway, listening_protocol(arrivals)) as w.port:
        yield arrivals
        await w.gateway.drain(within_s=2)
    w.port = before


async def connected(w: World, sent: bytes = b"") -> Pair:
    reader, writer = await asyncio.open_connection("127.0.0.1", w.port)
    writer.write(sent)
    return reader, writer


async def all_of(pair: Pair) -> bytes:
    """Return what comes until the connection ends."""
    got = b""
    with contextlib.suppress(ConnectionError):
        async with asyncio.timeout(20):
            while chunk := await pair[0].read(65_536):
                got += chunk
    pair[1].close()
    return got


@pytest.mark.parametrize("sent", [b"", b"GET /logs HTT", b"GET /logs HTTP/1.1\r\nHost: x\r\nX-Slow: ", b"\r\n"])
async def test_a_head_that_does_not_arrive_ends_its_connection(tmp_path, monkeypatch, sent):
    async with world(tmp_path) as w:
        monkeypatch.setattr(connection, "HEAD_WITHIN_S", 0.05)
        assert await all_of(await connected(w, sent)) == b""


async def test_a_second_head_and_a_body_that_do_not_arrive_end_their_connections(tmp_path, monkeypatch):
    async with world(tmp_path) as w:
        monkeypatch.setattr(connection, "HEAD_WITHIN_S", 0.05)
        monkeypatch.setattr(connection, "BODY_WITHIN_S", 0.05)
        first = request_bytes("/nothing", None)
        assert (await all_of(await connected(w, first + b"GET /no"))).startswith(b"HTTP/1.1 404")
        posted = request_bytes("/nothing", None, "Content-Length: 100", method="POST")
        assert (await all_of(await connected(w, posted + b"half"))).startswith(b"HTTP/1.1 404")


async def test_a_tail_outlives_what_a_head_may_take(tmp_path, monkeypatch):
    monkeypatch.setattr(connection, "HEAD_WITHIN_S", 0.2)
    monkeypatch.setattr(connection, "BODY_WITHIN_S", 0.2)
    async with world(tmp_path, lines=[line(T0, "old", service="a")]) as w:
        grant = await w.grant()
        tail = await Tail.open(w, f"/g/{grant.id}/logs?follow=true&start=0")
        await tail.next()
        assert await all_of(await connected(w, b"GET /slow")) == b""  # came later, and its time is over
        w.reader.add(line(T0 + 1, "new", service="a"))
        assert (await tail.next())["line"] == "new"
        tail.close()


async def test_one_address_has_so_many_connections_and_tails_do_not_count(tmp_path):
    async with world(tmp_path, lines=[line(T0, "old", service="a")]) as w, counted(w, most_of_one=2):
        grant = await w.grant()
        tails = []
        for _ in range(4):
            tails.append(await Tail.open(w, f"/g/{grant.id}/logs?follow=true&start=0"))
            await tails[-1].next()
        idle = [await connected(w, b"GET") for _ in range(2)]
        await eventually(lambda: w.gateway.open_sessions == 4)
        refused = await all_of(await connected(w, request_bytes("/nothing", None)))
        assert refused == b"" or refused.startswith(b"HTTP/1.1 503")
        idle[0][1].close()
        assert (await _answered(w)).status == 404
        for tail in tails:
            tail.close()
        idle[1][1].close()


async def test_all_connections_have_a_number_and_give_their_places_back(tmp_path):
    async with world(tmp_path) as w, counted(w, most=2) as arrivals:
        held = [await connected(w, b"GET") for _ in range(2)]
        refused = await all_of(await connected(w, request_bytes("/nothing", None)))
        assert refused == b"" or refused.startswith(b"HTTP/1.1 503")
        for one in held:
            one[1].close()
        assert (await _answered(w)).status == 404
        await eventually(lambda: arrivals._open == 0)
        assert not arrivals._of_one


async def _answered(w: World):
    """Call until there is a place: the end of another connection takes a moment to be seen."""
    async with asyncio.timeout(20):
        while (answer := await call(w, "/nothing")).status in (0, 503):
            pass
    return answer


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3::4", "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("fe80::1%eth0", "fe80::/64"),
        ("local", "local"),
        ("no:address", "no:address"),
    ],
)
def test_what_counts_as_one_address(address, network):
    assert network_of(address) == network
