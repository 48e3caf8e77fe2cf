from __future__ import annotations

import asyncio
import gzip
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from typing import Any

import pytest
from tests.fakes.http import Answer, Call, Server, serving

from loglease.sources import transport as doors
from loglease.sources.interface import SourceError, SourceLimit, SourceProtocol, SourceTimeout, SourceUnavailable
from loglease.sources.transport import Request, Timeouts, Transport, Upstream

JSON = "application/json"
SECRET = "hunter2-in-an-error-text"
ASK = Request(path="/lines", accept=JSON, types=frozenset({JSON}))


@asynccontextmanager
async def door(
    respond: Callable[[Call, Answer], Awaitable[None]], **upstream: Any
) -> AsyncIterator[tuple[Transport, Server]]:
    async with serving(respond) as server:
        one = Transport(Upstream(name="shop", address=f"{server.address}/below", **upstream))
        try:
            yield one, server
        finally:
            await one.aclose()


async def failing(respond: Callable[[Call, Answer], Awaitable[None]], **upstream: Any) -> SourceError:
    async with door(respond, **upstream) as (one, _):
        with pytest.raises(SourceError) as caught:
            await one.records(ASK, enough=1 << 20)
        return caught.value


def answering(body: bytes, content_type: str = JSON, **how: str) -> Callable[[Call, Answer], Awaitable[None]]:
    async def respond(_call: Call, answer: Answer) -> None:
        await answer.whole(body, content_type, **how)

    return respond


@pytest.mark.attack("GW-08")
async def test_a_request_has_our_headers_and_nothing_else() -> None:
    async with door(answering(b"a\nb\n"), headers=(("AccountID", "7"),), authorization="Bearer t", compressed=True) as (
        one,
        server,
    ):
        asked = Request(path="/x", accept=JSON, types=frozenset({JSON}), query=[("a b", "c&d")], form=[("q", "é&")])
        assert await one.records(asked, enough=1 << 20) == ([b"a", b"b"], True)
    call = server.calls[0]
    assert (call.method, call.path, call.query, call.form) == ("POST", "/below/x", [("a b", "c&d")], [("q", "é&")])
    assert {name: value for name, value in call.headers.items() if name not in ("host", "content-length")} == {
        "accept": JSON,
        "accept-encoding": "gzip",
        "accountid": "7",
        "authorization": "Bearer t",
        "content-type": "application/x-www-form-urlencoded",
        "user-agent": "loglease",
    }


@pytest.mark.attack("GW-11")
async def test_a_redirect_is_an_error_and_is_not_followed() -> None:
    async def respond(call: Call, answer: Answer) -> None:
        await answer.whole(b"", JSON, status="302 Found", more=f"Location: /elsewhere{call.path}\r\n")

    async with door(respond) as (one, server):
        with pytest.raises(SourceProtocol):
            await one.document(ASK)
        assert [call.path for call in server.calls] == ["/below/lines"]


async def test_a_cookie_is_not_kept_and_a_proxy_of_the_environment_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    async with door(answering(b"x\n", more="Set-Cookie: a=b; Path=/\r\n")) as (one, server):
        await one.document(ASK)
        await one.document(ASK)
        assert "cookie" not in server.calls[1].headers


@pytest.mark.attack("RD-08")
@pytest.mark.parametrize(
    ("status", "error"),
    [
        ("400 Bad", SourceProtocol),
        ("401 No", SourceUnavailable),
        ("404 None", SourceProtocol),
        ("408 Late", SourceTimeout),
        ("429 Slow", SourceUnavailable),
        ("500 Broken", SourceUnavailable),
        ("503 Busy", SourceUnavailable),
        ("504 Late", SourceTimeout),
        ("206 Part", SourceProtocol),
    ],
)
async def test_what_a_store_says_in_an_error_goes_nowhere(
    status: str, error: type[SourceError], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        found = await failing(answering(SECRET.encode(), status=status))
    assert type(found) is error
    assert SECRET not in f"{found.message} {found.next_step} {caplog.text}"
    record = next(one for one in caplog.records if one.getMessage() == "source.refused")
    assert (vars(record)["status"], vars(record)["count"]) == (int(status[:3]), len(SECRET))


@pytest.mark.attack("GW-09")
async def test_another_type_of_content_is_refused() -> None:
    assert type(await failing(answering(b"x\n", "text/html"))) is SourceProtocol


@pytest.mark.attack("GW-09")
async def test_an_encoding_that_was_not_asked_for_is_refused() -> None:
    zipped = gzip.compress(b"x\n")
    assert type(await failing(answering(zipped, more="Content-Encoding: gzip\r\n"))) is SourceProtocol
    assert type(await failing(answering(b"x\n", more="Content-Encoding: br\r\n"), compressed=True)) is SourceProtocol


async def test_a_compressed_answer_is_read() -> None:
    body = b"".join(b"line %d\n" % number for number in range(50_000))
    async with door(answering(gzip.compress(body), more="Content-Encoding: gzip\r\n"), compressed=True) as (one, _):
        assert await one.document(ASK) == body


@pytest.mark.attack("IN-03")
async def test_a_bomb_is_noticed_long_before_it_is_large() -> None:
    bomb = gzip.compress(bytes(300 << 20), compresslevel=9)
    found = await failing(answering(bomb, more="Content-Encoding: gzip\r\n"), compressed=True)
    assert type(found) is SourceLimit


ZIPPED = gzip.compress(b"x\n")


@pytest.mark.parametrize(
    "body", [ZIPPED[:-9], b"no gzip at all", ZIPPED + b"more"], ids=["cut short", "no gzip", "more behind it"]
)
async def test_a_broken_compressed_answer_is_an_error(body: bytes) -> None:
    found = await failing(answering(body, more="Content-Encoding: gzip\r\n"), compressed=True)
    assert type(found) in (SourceProtocol, SourceUnavailable)


@pytest.mark.attack("IN-03")
async def test_an_endless_document_ends_at_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doors, "BODY_BYTES", 1 << 20)

    async def respond(_call: Call, answer: Answer) -> None:
        await answer.head(JSON)
        while True:
            await answer.piece(bytes(65_536))

    async with door(respond) as (one, _):
        with pytest.raises(SourceLimit):
            await one.document(ASK)


@pytest.mark.attack("IN-03")
async def test_an_endless_line_ends_at_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doors, "RECORD_BYTES", 1 << 20)

    async def respond(_call: Call, answer: Answer) -> None:
        await answer.head(JSON)
        while True:
            await answer.piece(b"x" * 65_536)

    assert type(await failing(respond)) is SourceLimit


@pytest.mark.attack("IN-03")
async def test_an_answer_in_drops_is_given_up_in_time() -> None:
    async def respond(_call: Call, answer: Answer) -> None:
        await answer.head(JSON)
        await answer.piece(b"x")
        await answer.gone.wait()

    quick = Timeouts(connect_s=5, silence_s=0.1, answer_s=30)
    assert type(await failing(respond, timeouts=quick)) is SourceTimeout
    quick = Timeouts(connect_s=5, silence_s=30, answer_s=0.1)
    assert type(await failing(respond, timeouts=quick)) is SourceTimeout


@pytest.mark.parametrize("cut", ["in the chunk", "in the line", "at once"])
async def test_an_answer_that_breaks_off_is_no_answer(cut: str) -> None:
    async def respond(_call: Call, answer: Answer) -> None:
        if cut != "at once":
            await answer.head(JSON)
            await answer.piece(b"whole\nhal")
            await (answer.raw(b"20\r\nnot thirty-two") if cut == "in the chunk" else answer.end())
        answer.writer.close()

    assert type(await failing(respond)) is SourceUnavailable


async def test_nonsense_instead_of_http_is_an_error() -> None:
    async def respond(_call: Call, answer: Answer) -> None:
        await answer.raw(b"SSH-2.0-OpenSSH\r\n\r\n")

    assert isinstance(await failing(respond), SourceError)


async def test_nobody_there_is_said_in_words() -> None:
    async with serving(answering(b"")) as server:
        pass
    one = Transport(Upstream(name="shop", address=server.address))
    with pytest.raises(SourceUnavailable, match="cannot be reached"):
        await one.document(ASK)
    await one.aclose()
    with pytest.raises(SourceUnavailable, match="closed"):
        await one.document(ASK)


async def test_what_is_more_than_enough_is_not_waited_for_and_its_connection_not_used_again() -> None:
    async def respond(_call: Call, answer: Answer) -> None:
        await answer.head(JSON)
        while True:
            await answer.piece(b"0123456789\n" * 100)

    async with door(respond) as (one, server):
        lines, whole = await one.records(ASK, enough=10_000)
        assert not whole
        assert set(lines) == {b"0123456789"}
        await server.until(lambda: server.open == 0)


async def test_connections_are_used_again_after_a_whole_answer() -> None:
    async with door(answering(b"x\n")) as (one, server):
        for _ in range(3):
            await one.records(ASK, enough=1 << 20)
        assert (server.open, len(server.calls)) == (1, 3)


async def test_closing_a_stream_closes_its_connection() -> None:
    async def respond(_call: Call, answer: Answer) -> None:
        await answer.head(JSON)
        await answer.piece(b"one\ntw")
        await answer.piece(b"o\n")
        await answer.gone.wait()

    async with door(respond) as (one, server):
        async with aclosing(one.stream(ASK)) as stream:
            found: list[bytes] = []
            while len(found) < 2:
                found += await anext(stream)
            assert found == [b"one", b"two"]
        await server.until(lambda: server.open == 0)
        waiting = asyncio.ensure_future(anext(one.stream(ASK)))
        await server.until(lambda: len(server.calls) == 2)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        await server.until(lambda: server.open == 0)


def test_a_secret_is_not_in_what_is_printed() -> None:
    assert "hunter2" not in repr(Upstream(name="a", address="http://b", authorization="Bearer hunter2"))
