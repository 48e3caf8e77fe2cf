"""How a session's bytes reach its client: the head of the answer, its body, its end."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final, Protocol

from loglease.gateway.connection import Connection
from loglease.model.session import CloseWhy

Send = Callable[[dict[str, Any]], Awaitable[None]]

HEADERS: Final = (
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-accel-buffering", b"no"),
)
"""What every answer of the gateway carries."""


BEAT_NS: Final = 1_000_000_000
"""How often a connection is looked after, at most."""


class Channel(Protocol):
    """The way to one client. None of its methods waits for the socket."""

    @property
    def connection(self) -> Connection:
        """The connection under it."""

    @property
    def is_writable(self) -> bool:
        """Whether bytes that are written now go on without filling a buffer of ours."""

    @property
    def ending(self) -> CloseWhy | None:
        """Why the client's side ends the session; None as long as it does not."""

    async def begin(self) -> None:
        """Write the head of the answer: the opening is on record, and the buffers are small from here on."""

    def beat(self, boot_ns: int, *, between_records: bool) -> int:
        """Do what keeps the connection alive, and return when this is due again.

        Args:
            between_records: nothing that was written is unfinished.
        """

    async def write(self, content: bytes) -> None:
        """Write bytes; to be called only while the connection takes some."""

    async def end(self, content: bytes, why: CloseWhy, text: str) -> None:
        """Write the last bytes and what says that no more come.

        Args:
            text: how whoever ended the session calls it; may be empty.
        """


class HttpChannel:
    """A chunked body of HTTP/1.1.

    Args:
        send: writes to the client, as an ASGI application does.
    """

    headers: tuple[tuple[bytes, bytes], ...] = (*HEADERS, (b"connection", b"close"))

    def __init__(self, send: Send, connection: Connection, media_type: str) -> None:
        self._send = send
        self._connection = connection
        self._media_type = media_type

    @property
    def connection(self) -> Connection:
        """The connection under it."""
        return self._connection

    @property
    def is_writable(self) -> bool:
        """Whether bytes that are written now go on."""
        return self._connection.is_writable

    @property
    def ending(self) -> CloseWhy | None:
        """A client says nothing, it goes away."""
        return None

    def beat(self, boot_ns: int, *, between_records: bool) -> int:  # noqa: ARG002 - a body needs nothing
        """Do nothing."""
        return boot_ns + BEAT_NS

    async def begin(self) -> None:
        """Write status and headers."""
        self._connection.prepare()
        headers = [(b"content-type", self._media_type.encode()), *self.headers]
        await self._send({"type": "http.response.start", "status": 200, "headers": headers})
        self._connection.hold_open()

    async def write(self, content: bytes) -> None:
        """Write a chunk."""
        await self._send({"type": "http.response.body", "body": content, "more_body": True})

    async def end(self, content: bytes, why: CloseWhy, text: str) -> None:  # noqa: ARG002 - its last record says why
        """Write the last chunk and the empty one behind it."""
        await self._send({"type": "http.response.body", "body": content, "more_body": False})
