"""A server on a real socket that answers byte by byte what a test says, so that it can also answer badly."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, urlsplit


@dataclass(frozen=True, slots=True)
class Call:
    method: str
    path: str
    query: list[tuple[str, str]]
    headers: dict[str, str]
    form: list[tuple[str, str]]


@dataclass(slots=True)
class Answer:
    """What a handler writes with; `gone` is set when the client has left."""

    writer: asyncio.StreamWriter
    gone: asyncio.Event

    async def raw(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def head(
        self, content_type: str, *, status: str = "200 OK", more: str = "", length: int | None = None
    ) -> None:
        framing = "Transfer-Encoding: chunked" if length is None else f"Content-Length: {length}"
        await self.raw(f"HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\n{framing}\r\n{more}\r\n".encode())

    async def piece(self, data: bytes) -> None:
        if data:
            await self.raw(b"%x\r\n%s\r\n" % (len(data), data))

    async def end(self) -> None:
        await self.raw(b"0\r\n\r\n")

    async def whole(self, data: bytes, content_type: str, *, status: str = "200 OK", more: str = "") -> None:
        await self.head(content_type, status=status, more=more, length=len(data))
        await self.raw(data)


Respond = Callable[[Call, Answer], Awaitable[None]]


@dataclass
class Server:
    respond: Respond
    calls: list[Call] = field(default_factory=list)
    writers: set[asyncio.StreamWriter] = field(default_factory=set)
    open: int = 0
    port: int = 0
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def until(self, true: Callable[[], bool]) -> None:
        async with asyncio.timeout(20), self.changed:
            await self.changed.wait_for(true)

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open += 1
        self.writers.add(writer)
        try:
            while await self._one(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            self.open -= 1
            self.writers.discard(writer)
            writer.close()
            async with self.changed:
                self.changed.notify_all()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        method, target, _ = head[0].split(" ")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)}
        body = (await reader.readexactly(int(headers.get("content-length", "0")))).decode()
        parts = urlsplit(target)
        call = Call(
            method,
            parts.path,
            parse_qsl(parts.query, keep_blank_values=True),
            headers,
            parse_qsl(body, keep_blank_values=True),
        )
        self.calls.append(call)
        async with self.changed:
            self.changed.notify_all()
        gone = asyncio.Event()
        answering = asyncio.ensure_future(self.respond(call, Answer(writer, gone)))
        next_byte = asyncio.ensure_future(reader.read(1))
        await asyncio.wait({answering, next_byte}, return_when=asyncio.FIRST_COMPLETED)
        if not answering.done():
            gone.set()
            answering.cancel()
        with suppress(asyncio.CancelledError, ConnectionError):
            await answering
        if next_byte.done() and not next_byte.result():
            return False
        if not next_byte.done():
            byte = await next_byte
            if not byte:
                return False
        reader._buffer[:0] = next_byte.result()  # type: ignore[attr-defined] # one byte read too far, put back
        return not writer.is_closing()


@asynccontextmanager
async def serving(respond: Respond) -> AsyncIterator[Server]:
    server = Server(respond)
    listening = await asyncio.start_server(server.connected, "127.0.0.1", 0, limit=1 << 20)
    server.port = listening.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listening.close()
        listening.close_clients() if hasattr(listening, "close_clients") else None
        await server.until(lambda: server.open == 0)
