"""The one door to log stores that speak HTTP: requests that we built, answers that are bounded before they are decoded.

Readers name constant paths and headers of their own; nothing that a client sent comes near. What a store says in an
error goes nowhere: the operator's log has its status and its size. Not here: what a line of an answer means.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
import zlib
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final, Literal
from urllib.parse import urlencode

import aiohttp
from yarl import URL

from loglease.sources.interface import (
    MAX_LINE_BYTES,
    Health,
    SourceError,
    SourceLimit,
    SourceProtocol,
    SourceTimeout,
    SourceUnavailable,
)

BODY_BYTES: Final = 64 << 20
RECORD_BYTES: Final = MAX_LINE_BYTES
FRAME_BYTES: Final = 16 << 20
"""The most that one message of a WebSocket may hold, all of its frames together."""
COMPRESSION_RATIO: Final = 200
FREE_BYTES: Final = 1 << 20
"""What a compressed answer may hold at any ratio: small answers of equal lines compress well."""
KEEP_S: Final = 15.0
CHECK_S: Final = 3.0
HEARTBEAT_S: Final = 20.0
"""How long a WebSocket may be silent before the store is asked whether it is still there."""
CLOSE_S: Final = 0.05
"""How long the end of a WebSocket waits for the store to say goodbye, too."""

_TELL: Final = "Tell an operator of LogLease; loglease doctor shows the state of each source."
_log = logging.getLogger(__name__)

Pairs = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """Seconds: to connect, between two pieces of an answer, and for a whole one."""

    connect_s: float = 5.0
    silence_s: float = 30.0
    answer_s: float = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Upstream:
    """One log store, as its operator configured it.

    Attributes:
        address: ``http`` or ``https``, host, port, and a path if the store lies below one; no slash at the end.
        headers: of every request, such as a tenant's.
        authorization: value of that header.
        ca_file: certificates to trust instead of the system's.
        compressed: whether answers may be compressed by gzip.
    """

    name: str
    address: str
    headers: tuple[tuple[str, str], ...] = ()
    authorization: str | None = field(default=None, repr=False)
    ca_file: str | None = None
    timeouts: Timeouts = field(default_factory=Timeouts)
    compressed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request. `form` makes it a POST.

    Attributes:
        path: constant, begins with a slash.
        accept: the only media type that is asked for.
        types: the media types that an answer may have.
    """

    path: str
    accept: str
    types: frozenset[str]
    query: Pairs = ()
    form: Pairs | None = None
    headers: Pairs = ()


class Transport:
    """Connections to one store. They are opened at the first request.

    Args:
        upstream: where, as whom, and for how long to wait.
    """

    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream
        self._session: aiohttp.ClientSession | None = None
        self._closed = False

    async def document(self, request: Request, *, at_most: int = BODY_BYTES) -> bytes:
        """Return a whole body.

        Raises:
            SourceLimit: it has more bytes than that.
            SourceError: there is none.
        """
        pieces: list[bytes] = []
        async with self._in_time(), self._answer(request, self._upstream.timeouts.silence_s) as pieces_of:
            async for piece in _bounded(pieces_of(), at_most):
                pieces.append(piece)  # noqa: PERF401 - a comprehension would hide the bound
        return b"".join(pieces)

    async def records(self, request: Request, *, enough: int) -> tuple[list[bytes], bool]:
        """Return lines of a body and whether these are all; what comes after `enough` bytes is not waited for.

        Raises:
            SourceError: the body breaks off, or is not what was asked for.
        """
        found: list[bytes] = []
        size = 0
        async with (
            self._in_time(),
            self._answer(request, self._upstream.timeouts.silence_s) as pieces_of,
            aclosing(_records(pieces_of())) as batches,
        ):
            async for batch in batches:
                found += batch
                size += sum(map(len, batch))
                if size > enough:
                    return found, False
        return found, True

    async def stream(self, request: Request) -> AsyncGenerator[list[bytes], None]:
        """Yield the lines of an answer without end as they arrive, first an empty list when it has begun.

        Raises:
            SourceError: it broke off.
        """
        async with self._answer(request, None) as pieces_of, aclosing(_records(pieces_of())) as batches:
            yield []
            async for batch in batches:
                yield batch

    async def messages(self, request: Request) -> AsyncGenerator[list[bytes], None]:
        """Yield the text messages of a WebSocket as they arrive, each alone, first an empty list when it is open.

        Nothing is sent but pings and their answers, and compression is not offered. While nobody takes a message, few
        are read ahead.

        Raises:
            SourceError: it cannot be opened, broke off, or gave something else than texts of at most 16 MiB.
        """
        socket = await self._opened(request)
        try:
            yield []
            while (message := await socket.receive()).type is aiohttp.WSMsgType.TEXT:
                yield [message.data]
            if message.type is aiohttp.WSMsgType.BINARY:
                raise SourceProtocol("The source gave bytes where it has to give text.", next_step=_TELL)
            if message.type is aiohttp.WSMsgType.ERROR:
                raise self._failed(aiohttp.ClientPayloadError())
        finally:
            with suppress(TimeoutError):
                async with asyncio.timeout(CLOSE_S):
                    await socket.close()

    async def health(self, request: Request) -> Health:
        """Say whether a request is answered, soon."""
        return await health_of(self.records(request, enough=1))

    async def aclose(self) -> None:
        """Close all connections; requests under way end with `SourceUnavailable`."""
        self._closed = True
        if self._session is not None:
            await self._session.close()

    # Inside

    @asynccontextmanager
    async def _in_time(self) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(self._upstream.timeouts.answer_s):
                yield
        except TimeoutError:
            raise self._late() from None

    @asynccontextmanager
    async def _answer(
        self, request: Request, silence_s: float | None
    ) -> AsyncIterator[Callable[[], AsyncGenerator[bytes, None]]]:
        """Open an answer whose head is in order; unless it is read to its end, its connection is not used again."""
        response: aiohttp.ClientResponse | None = None
        try:
            response = await self._begin(request, silence_s)
            self._check(response, request)
            coding = response.headers.get("Content-Encoding", "identity").lower()
            content = response.content.iter_any()
            yield lambda: _inflated(content) if coding == "gzip" else _plain(content)
        except SourceError:
            raise
        except (TimeoutError, aiohttp.ServerTimeoutError):
            raise self._late() from None
        except aiohttp.ClientError as error:
            raise self._failed(error) from None
        finally:
            if response is not None:
                response.release() if response.content.at_eof() else response.close()

    async def _begin(self, request: Request, silence_s: float | None) -> aiohttp.ClientResponse:
        compressed = self._upstream.compressed and silence_s is not None
        headers = self._headers(request)
        if compressed:
            headers["Accept-Encoding"] = "gzip"
        if request.form is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        connect_s = self._upstream.timeouts.connect_s
        return await self._connected().request(
            "GET" if request.form is None else "POST",
            self._url(request),
            data=None if request.form is None else urlencode(request.form).encode(),
            headers=headers,
            allow_redirects=False,
            timeout=aiohttp.ClientTimeout(total=None, connect=connect_s, sock_read=silence_s),
        )

    def _headers(self, request: Request) -> dict[str, str]:
        headers = {**dict(self._upstream.headers), **dict(request.headers)}
        headers |= {"Accept": request.accept, "Accept-Encoding": "identity"}
        if self._upstream.authorization is not None:
            headers["Authorization"] = self._upstream.authorization
        return headers

    def _url(self, request: Request) -> URL:
        query = f"?{urlencode(request.query)}" if request.query else ""
        return URL(f"{self._upstream.address}{request.path}{query}", encoded=True)

    async def _opened(self, request: Request) -> aiohttp.ClientWebSocketResponse[Literal[False]]:
        timeouts = self._upstream.timeouts
        try:
            async with asyncio.timeout(timeouts.connect_s + timeouts.silence_s):
                return await self._connected().ws_connect(
                    self._url(request),
                    headers=self._headers(request),
                    compress=0,
                    max_msg_size=FRAME_BYTES,
                    decode_text=False,
                    heartbeat=HEARTBEAT_S,
                    autoclose=False,  # we do, without waiting for a store that goes on talking
                )
        except TimeoutError:
            raise self._late() from None
        except aiohttp.ClientError as error:
            raise self._failed(error) from None

    async def _upgraded(
        self, request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        """Refuse what is no WebSocket where one was asked for.

        SECURITY: for WebSockets aiohttp follows redirects, and there is no argument against it.
        tests/sources/test_transport.py.
        """
        response = await handler(request)
        if "Upgrade" in request.headers and response.status != HTTPStatus.SWITCHING_PROTOCOLS:
            self._warn("source.refused", response)
            response.close()
            raise _refusal(response.status)
        return response

    def _connected(self) -> aiohttp.ClientSession:
        if self._closed:
            raise SourceUnavailable("The source is closed.")
        if self._session is None:
            ca_file = self._upstream.ca_file
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    limit=0,  # sessions are what is bounded; a read that waits for a tail to end would never begin
                    keepalive_timeout=KEEP_S,
                    ssl=True if ca_file is None else ssl.create_default_context(cafile=ca_file),
                ),
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"User-Agent": "loglease"},
                timeout=aiohttp.ClientTimeout(total=None),
                middlewares=(self._upgraded,),
                auto_decompress=False,
                trust_env=False,
            )
        return self._session

    def _check(self, response: aiohttp.ClientResponse, request: Request) -> None:
        if response.status != HTTPStatus.OK:
            self._warn("source.refused", response)
            raise _refusal(response.status)
        if response.headers.get("Content-Type", "").partition(";")[0].strip().lower() not in request.types:
            self._warn("source.wrong_type", response)
            raise SourceProtocol(
                "The source answered with another type of content than it was asked for.", next_step=_TELL
            )
        allowed = {"identity", "gzip"} if self._upstream.compressed else {"identity"}
        if response.headers.get("Content-Encoding", "identity").lower() not in allowed:
            self._warn("source.wrong_encoding", response)
            raise SourceProtocol("The source answered in an encoding that it was not asked for.", next_step=_TELL)

    def _warn(self, event: str, response: aiohttp.ClientResponse) -> None:
        size = response.content_length
        _log.warning(event, extra={"where": self._upstream.name, "status": response.status, "count": size or 0})

    def _late(self) -> SourceTimeout:
        _log.warning("source.late", extra={"where": self._upstream.name})
        return SourceTimeout("The source did not answer in time.", next_step="Try again, or ask for a shorter time.")

    def _failed(self, error: aiohttp.ClientError) -> SourceError:
        _log.warning("source.failed", extra={"where": self._upstream.name, "error": type(error).__name__})
        if isinstance(error, aiohttp.ClientResponseError | aiohttp.InvalidURL):
            return SourceProtocol("The source does not speak HTTP as it should.", next_step=_TELL)
        if isinstance(error, aiohttp.ClientPayloadError):
            return SourceUnavailable("The answer of the source broke off.", next_step="Try again.")
        return SourceUnavailable("The source cannot be reached.", next_step=_TELL)


async def health_of(asking: Awaitable[object]) -> Health:
    """Say whether something that a source is asked comes back well, and soon."""
    try:
        async with asyncio.timeout(CHECK_S):
            await asking
    except TimeoutError:
        return Health(ok=False, detail="The source does not answer in time.")
    except SourceError as error:
        return Health(ok=False, detail=error.message)
    return Health(ok=True, detail="The source answers.")


def _refusal(status: int) -> SourceError:
    """Return the error for a status; whatever the store says about it stays there."""
    if status in (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.GATEWAY_TIMEOUT):
        return SourceTimeout("The source did not answer in time.", next_step="Try again, or ask for a shorter time.")
    if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        return SourceUnavailable("The source does not accept our credentials.", next_step=_TELL)
    if status == HTTPStatus.TOO_MANY_REQUESTS or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return SourceUnavailable("The source cannot answer now.", next_step="Try again later.")
    return SourceProtocol("The source did not accept a request.", next_step=_TELL)


async def _plain(content: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
    async for piece in content:
        yield piece


async def _inflated(content: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
    """Decompress in pieces, so that a small answer never becomes a large one before it is noticed."""
    inflate = zlib.decompressobj(wbits=31)
    taken = given = 0
    async for piece in content:
        taken += len(piece)
        rest = piece
        while rest:
            try:
                plain = inflate.decompress(rest, FREE_BYTES)
            except zlib.error:
                raise SourceProtocol("The answer of the source cannot be decompressed.", next_step=_TELL) from None
            given += len(plain)
            if given > FREE_BYTES + taken * COMPRESSION_RATIO:
                raise SourceLimit("The answer of the source is compressed beyond all measure.", next_step=_TELL)
            if inflate.unused_data:
                raise SourceProtocol("The answer of the source goes on after its end.", next_step=_TELL)
            rest = inflate.unconsumed_tail
            if plain:
                yield plain
    if not inflate.eof:
        raise SourceUnavailable("The answer of the source broke off.", next_step="Try again.")


async def _bounded(pieces: AsyncGenerator[bytes, None], at_most: int) -> AsyncGenerator[bytes, None]:
    size = 0
    async with aclosing(pieces):
        async for piece in pieces:
            size += len(piece)
            if size > at_most:
                raise SourceLimit(
                    f"The answer of the source is larger than {at_most >> 20} MiB.", next_step="Ask for less."
                )
            yield piece


async def _records(pieces: AsyncGenerator[bytes, None]) -> AsyncGenerator[list[bytes], None]:
    """Yield complete lines in batches; a last one without its newline was cut off and is an error."""
    kept: list[bytes] = []
    size = 0
    async with aclosing(pieces):
        async for piece in pieces:
            first, newline, rest = piece.partition(b"\n")
            kept.append(first)
            size += len(first)
            if newline:
                lines = [b"".join(kept), *rest.split(b"\n")]
                kept = [lines.pop()]
                size = len(kept[0])
                yield [line for line in lines if line and not line.isspace()]
            if size > RECORD_BYTES:
                raise SourceLimit("The source gave a line of more than 16 MiB.", next_step=_TELL)
    if b"".join(kept).strip():
        raise SourceUnavailable("The answer of the source broke off.", next_step="Try again.")
