"""WebSockets of stores: only texts, of a bounded size, and an end that no store can draw out."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import aclosing

import pytest
from tests.fakes.http import Answer, Call
from tests.fakes.loki import frame, upgrade
from tests.sources.test_transport import ASK, JSON, SECRET, door

from loglease.sources import transport as doors
from loglease.sources.interface import SourceError, SourceProtocol, SourceTimeout, SourceUnavailable
from loglease.sources.transport import Request, Timeouts


def sending(*frames: bytes, kind: int = 1) -> Callable[[Call, Answer], Awaitable[None]]:
    async def respond(call: Call, answer: Answer) -> None:
        await upgrade(call, answer)
        for data in frames:
            await frame(answer, data, kind=kind)
        await frame(answer, b"\x03\xe8bye", kind=8)
        await answer.gone.wait()

    return respond


async def taken(respond: Callable[[Call, Answer], Awaitable[None]], timeouts: Timeouts | None = None) -> list[bytes]:
    async with (
        door(respond, timeouts=timeouts or Timeouts()) as (one, _),
        asyncio.timeout(20),
        aclosing(one.messages(ASK)) as messages,
    ):
        return [text async for batch in messages for text in batch]


async def failing(respond: Callable[[Call, Answer], Awaitable[None]], **how: Timeouts) -> SourceError:
    with pytest.raises(SourceError) as caught:
        await taken(respond, **how)
    return caught.value


async def test_texts_are_taken_until_the_store_says_goodbye() -> None:
    assert await taken(sending(b"a", "ü".encode(), b"x" * 70_000)) == [b"a", "ü".encode(), b"x" * 70_000]


async def test_a_text_in_parts_is_one_text() -> None:
    async def respond(call: Call, answer: Answer) -> None:
        await upgrade(call, answer)
        await frame(answer, b"a", final=False)
        await frame(answer, b"", kind=9)
        await frame(answer, b"b", kind=0)
        await frame(answer, b"", kind=8)

    assert await taken(respond) == [b"ab"]


async def test_a_request_has_our_headers_and_nothing_else() -> None:
    asked = Request(path="/tail", accept=JSON, types=frozenset(), query=[("query", "a b&c")], headers=[("X-One", "1")])
    async with door(sending(), headers=(("X-Scope-OrgID", "7"),), authorization="Bearer t", compressed=True) as (
        one,
        server,
    ):
        assert [batch async for batch in one.messages(asked)] == [[]]
    [call] = server.calls
    assert (call.method, call.path, call.query) == ("GET", "/below/tail", [("query", "a b&c")])
    assert set(call.headers) == {
        "host", "accept", "accept-encoding", "user-agent", "authorization", "x-scope-orgid", "x-one", "connection",
        "upgrade", "sec-websocket-key", "sec-websocket-version",
    }  # fmt: skip
    assert (call.headers["authorization"], call.headers["x-scope-orgid"]) == ("Bearer t", "7")
    assert (call.headers["accept"], call.headers["accept-encoding"]) == (JSON, "identity")


@pytest.mark.attack("GW-11")
async def test_a_redirect_is_an_error_and_is_not_followed() -> None:
    async def respond(call: Call, answer: Answer) -> None:
        await answer.whole(b"", JSON, status="302 Found", more=f"Location: /elsewhere{call.path}\r\n")

    async with door(respond, authorization="Bearer t") as (one, server):
        with pytest.raises(SourceProtocol):
            await anext(one.messages(ASK))
        assert [call.path for call in server.calls] == ["/below/lines"]


@pytest.mark.parametrize(
    ("status", "error"),
    [("200 OK", SourceProtocol), ("401 No", SourceUnavailable), ("404 None", SourceProtocol), ("503 Busy", SourceUnavailable)],
)  # fmt: skip
async def test_a_refusal_says_nothing_of_what_the_store_says(
    status: str, error: type[SourceError], caplog: pytest.LogCaptureFixture
) -> None:
    async def respond(_call: Call, answer: Answer) -> None:
        await answer.whole(SECRET.encode(), JSON, status=status)

    with caplog.at_level(logging.DEBUG):
        found = await failing(respond)
    assert type(found) is error
    assert SECRET not in f"{found.message} {found.next_step} {caplog.text}"


async def test_an_upgrade_to_something_else_is_refused() -> None:
    async def respond(_call: Call, answer: Answer) -> None:
        await answer.raw(b"HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")

    assert type(await failing(respond)) is SourceProtocol


async def test_bytes_are_no_text() -> None:
    assert type(await failing(sending(b"a", kind=2))) is SourceProtocol


async def test_a_compressed_message_is_refused() -> None:
    assert type(await failing(sending(b"\x00", kind=0x41))) is SourceUnavailable


async def test_a_message_has_a_size_however_many_frames_it_comes_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doors, "FRAME_BYTES", 1_000)

    async def endless(call: Call, answer: Answer) -> None:
        await upgrade(call, answer)
        await frame(answer, b"x" * 100, final=False)
        while True:
            await frame(answer, b"x" * 100, kind=0, final=False)

    assert type(await failing(endless)) is SourceUnavailable
    assert type(await failing(sending(b"x" * 1_001))) is SourceUnavailable


async def test_a_store_that_is_cut_off_ends_the_messages() -> None:
    async def respond(call: Call, answer: Answer) -> None:
        await upgrade(call, answer)
        await frame(answer, b"a")
        answer.writer.close()

    assert await taken(respond) == [b"a"]


@pytest.mark.parametrize("farewell", [b"", b"\x03\xe8"], ids=["no code", "a code"])
async def test_a_store_that_talks_on_behind_its_goodbye_is_not_listened_to(farewell: bytes) -> None:
    async def respond(call: Call, answer: Answer) -> None:
        await upgrade(call, answer)
        await frame(answer, b"a")
        await frame(answer, farewell, kind=8)
        while True:
            await frame(answer, b"x" * 1_000)

    assert await taken(respond) == [b"a"]


async def test_a_store_that_answers_no_ping_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doors, "HEARTBEAT_S", 0.1)

    async def respond(call: Call, answer: Answer) -> None:
        await upgrade(call, answer)
        await answer.gone.wait()

    assert type(await failing(respond)) is SourceUnavailable


async def test_a_store_that_does_not_answer_is_late() -> None:
    async def respond(_call: Call, answer: Answer) -> None:
        await answer.gone.wait()

    assert type(await failing(respond, timeouts=Timeouts(connect_s=0.1, silence_s=0.1))) is SourceTimeout


async def test_leaving_does_not_wait_for_a_store_that_talks_on() -> None:
    async def respond(call: Call, answer: Answer) -> None:
        await upgrade(call, answer)
        while True:
            await frame(answer, b"x" * 1_000)

    async with door(respond) as (one, server):
        messages = one.messages(ASK)
        async with asyncio.timeout(10):
            for _ in range(3):
                await anext(messages)
            await messages.aclose()
        await server.until(lambda: server.open == 0)
