"""The socket under a session: small buffers before its first byte, how much is still under way, and the reset.

An orderly close lets the kernel deliver what it holds, megabytes with its defaults. So a session's connection gets
small buffers first, and a cut that cannot wait ends it with a reset. HTTP/1.1 only, and WebSockets that begin with it.
Where an operating system lacks an option, those that it has are used.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import socket
import struct
import termios
from collections.abc import Callable, Sequence
from typing import Any, Final

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from loglease.gateway.arrivals import Arrivals

STATE_KEY: Final = "loglease.connection"
"""Where an application finds the connection in ``scope["state"]``."""

SEND_BUFFER: Final = 8 * 1024
NOT_SENT_LOW: Final = 4 * 1024
HIGH_WATER: Final = 4 * 1024
LOW_WATER: Final = 1 * 1024
USER_TIMEOUT_MS: Final = 30_000
MAX_HEAD_BYTES: Final = 64 * 1024
HEAD_WITHIN_S: Final = 10.0
"""How long a request's head may take from its first byte, and the first byte of a new connection."""

BODY_WITHIN_S: Final = 15.0
"""How long a body may take; the API answers before that."""

_HEAD_END: Final = b"\r\n\r\n"
_FULL: Final = b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 2\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
_TOO_LONG_TEXT: Final = (
    b"too_large: The address is longer than 64 KiB.\nNext: Send its parameters as a form, or ask for less.\n"
)
_TOO_LONG: Final = (
    b"HTTP/1.1 414 URI Too Long\r\ncontent-type: text/plain; charset=utf-8\r\ncache-control: no-store\r\n"
    b"content-length: %d\r\nconnection: close\r\n\r\n%b" % (len(_TOO_LONG_TEXT), _TOO_LONG_TEXT)
)
_RESET: Final = struct.pack("ii", 1, 0)
_MAC_NOT_SENT: Final = 0x1024
"""`SO_NWRITE` of macOS: bytes in the send buffer."""


class Connection:
    """What a session may know of its connection and do to it."""

    def __init__(self, transport: asyncio.Transport, protocol: SessionProtocol) -> None:
        self._transport = transport
        self._protocol = protocol
        self._wake: Callable[[], None] | None = None
        self.serves_session = False
        """A connection that served a session serves nothing else afterwards."""
        self.is_lost = False
        """Whether it is closed, by whomever."""

    def listen(self, wake: Callable[[], None]) -> None:
        """Call `wake` when bytes can be written again, and when the connection is lost."""
        self._wake = wake

    def prepare(self) -> None:
        """Make the buffers small; to be called before the first byte of a session."""
        self.serves_session = True
        self._protocol.session_begins()
        self._transport.set_write_buffer_limits(high=HIGH_WATER, low=LOW_WATER)
        found = self._socket
        if found is None:
            return
        found.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
        if found.family not in (socket.AF_INET, socket.AF_INET6):
            return
        found.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for name, value in (("TCP_NOTSENT_LOWAT", NOT_SENT_LOW), ("TCP_USER_TIMEOUT", USER_TIMEOUT_MS)):
            if (option := getattr(socket, name, None)) is not None:
                found.setsockopt(socket.IPPROTO_TCP, option, value)

    @property
    def _socket(self) -> socket.socket | None:
        found: socket.socket | None = self._transport.get_extra_info("socket")
        return found

    @property
    def is_writable(self) -> bool:
        """Whether bytes that are written now go on without filling a buffer of ours."""
        return not (self.is_lost or self._protocol.flow.write_paused or self._transport.is_closing())

    @property
    def queued_bytes(self) -> int:
        """Bytes that the peer has not acknowledged, as far as we can see: our buffer and the kernel's."""
        return self._transport.get_write_buffer_size() + self._kernel_bytes()

    def _kernel_bytes(self) -> int:
        found = self._socket
        if found is None or self.is_lost or found.fileno() < 0:
            return 0
        try:
            if hasattr(termios, "TIOCOUTQ"):
                answer = fcntl.ioctl(found.fileno(), termios.TIOCOUTQ, b"\0\0\0\0")
                return int(struct.unpack("i", answer)[0])
            return found.getsockopt(socket.SOL_SOCKET, _MAC_NOT_SENT)
        except OSError:
            return 0

    def take_over(self, received: Callable[[bytes], None]) -> None:
        """Speak no HTTP any more: what comes goes to `received`, and `write` answers."""
        self._protocol.hand_over(received)

    def write(self, content: bytes) -> None:
        """Write bytes as they are, on a connection that was taken over."""
        self._transport.write(content)

    def hold_open(self) -> None:
        """Keep the server from closing by itself once the body is complete: the cut decides how."""
        self._protocol.cycle.keep_alive = True

    def close(self) -> None:
        """Close in order."""
        self._transport.close()

    def reset(self) -> None:
        """Drop whatever is still queued, here and in the kernel, and tell the peer so."""
        found = self._socket
        if found is not None and found.fileno() >= 0:
            with contextlib.suppress(OSError):  # already gone, which is what we want
                found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self._transport.abort()

    def stir(self) -> None:
        """Wake whoever serves on this connection."""
        if self._wake is not None:
            self._wake()


class SessionProtocol(HttpToolsProtocol):
    """uvicorn's HTTP protocol that passes its connection on and bounds what a request's head may be, and take.

    A request for a WebSocket is a call like any other: the application takes the connection over, or answers and it is
    closed. The base class is half public, so uvicorn's minor version is pinned and `tests/gateway` drives it on real
    sockets.
    """

    connection: Connection
    arrivals = Arrivals()
    """The connections of this listener, without a bound unless `listening_protocol` sets one."""

    _head_bytes = 0
    _head_edge = b""
    _in_head = True
    _has_place = False
    _late: asyncio.TimerHandle | None = None
    _asks_websocket = False
    _received: Callable[[bytes], None] | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take over a new connection, if there is a place for it."""
        super().connection_made(transport)
        self.ws_protocol_class = None
        self.connection = Connection(transport, self)
        self.app_state: dict[str, Any] = {**self.app_state, STATE_KEY: self.connection}
        self._has_place = self.arrivals.take(self._address)
        if self._has_place:
            self._expect(HEAD_WITHIN_S)
        else:
            transport.write(_FULL)
            transport.abort()

    @property
    def _address(self) -> str:
        return self.client[0] if self.client else "local"

    def session_begins(self) -> None:
        """Count this connection no longer as one of its address."""
        self.arrivals.serves_session(self._address)

    def connection_lost(self, exc: Exception | None) -> None:
        """Note that the connection is gone."""
        self.connection.is_lost = True
        self._expect(None)
        if self._has_place:
            self.arrivals.leave(self._address, served_session=self.connection.serves_session)
        super().connection_lost(exc)
        self.connection.stir()

    def _expect(self, within_s: float | None) -> None:
        """Give the rest of a head or body so much time; None: nothing is expected."""
        if self._late is not None:
            self._late.cancel()
        self._late = None if within_s is None else self.loop.call_later(within_s, self._is_late)

    def _is_late(self) -> None:
        """End a connection whose client sends too slowly, whatever is still queued for it."""
        self.transport.abort()

    def data_received(self, data: bytes) -> None:
        """Parse what came; after a session nothing more is, and a head has a bound."""
        if self._received is not None:
            self._received(data)
            return
        if self.connection.serves_session or self.transport.is_closing():
            return
        if self._asks_websocket:
            self.transport.abort()  # who asks for a WebSocket has to wait for the answer
            return
        if self._in_head:
            if self._late is None:
                self._expect(HEAD_WITHIN_S)
            seen = self._head_edge + data
            end = seen.find(_HEAD_END)
            self._head_bytes += len(data) if end < 0 else end  # what follows its end is a body, which may be larger
            self._head_edge = seen[1 - len(_HEAD_END) :]
            if self._head_bytes > MAX_HEAD_BYTES:
                if self.headers or b"\r\n" in data[:MAX_HEAD_BYTES]:
                    self.send_400_response("The request head is too large.")
                else:  # no line of it ended yet, so it is the address
                    self.transport.write(_TOO_LONG)
                    self.transport.close()
                return
        self._parse(data)

    def _parse(self, data: bytes) -> None:
        """Do as the base class does, but leave it to the application what becomes of an upgrade."""
        self._unset_keepalive_if_required()
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            if self._asks_websocket and upgrade.args[0] < len(data):
                self.transport.abort()
        except httptools.HttpParserError:
            self.send_400_response("Invalid HTTP request received.")

    def hand_over(self, received: Callable[[bytes], None]) -> None:
        """Give what comes from now on to somebody else, who also answers."""
        self._received = received
        self.cycle.response_started = self.cycle.response_complete = True

    def shutdown(self) -> None:
        """Let go of the connection, unless a session has it: the cut decides how that ends."""
        if not self.connection.serves_session:
            super().shutdown()

    def on_message_begin(self) -> None:
        """Begin to count a head."""
        super().on_message_begin()
        self._in_head, self._head_bytes = True, 0
        if self._late is None:
            self._expect(HEAD_WITHIN_S)

    def on_url(self, url: bytes) -> None:
        """Take a part of the address; a fragment has no place in it, and would be cut off unseen."""
        if b"#" in url:
            raise httptools.HttpParserInvalidURLError
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header; what comes behind the body is none."""
        # SECURITY: a proxy that checks or sets headers does not look at trailers; tested in test_routes_raw.py.
        if self._in_head:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """The head is whole; what may follow is its body."""
        if self.parser.get_http_version() == "1.1" and not _is_plain(self.headers):
            raise httptools.HttpParserError
        self._in_head = False
        self._expect(BODY_WITHIN_S)
        super().on_headers_complete()
        if self.parser.should_upgrade() and (b"upgrade", b"websocket") in [(n, v.lower()) for n, v in self.headers]:
            self._asks_websocket = True
            self.cycle.keep_alive = False

    def on_message_complete(self) -> None:
        """The message is whole; what comes next, in its own time, is a head."""
        self._in_head, self._head_bytes = True, 0
        self._expect(None)
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Go on with the next request, except after a session."""
        if self.connection.serves_session:
            self.server_state.total_requests += 1
            return
        super().on_response_complete()

    def resume_writing(self) -> None:
        """Tell whoever waits that bytes can be written."""
        super().resume_writing()
        self.connection.stir()


def _is_plain(headers: Sequence[tuple[bytes, bytes]]) -> bool:
    """Say whether a head names one host, and no coding of its body but chunks."""
    hosts = sum(name == b"host" for name, _ in headers)
    return hosts == 1 and all(value.lower() == b"chunked" for name, value in headers if name == b"transfer-encoding")


def listening_protocol(arrivals: Arrivals) -> type[SessionProtocol]:
    """Return the protocol of one listener, which counts its connections."""
    return type("ListeningProtocol", (SessionProtocol,), {"arrivals": arrivals})


def connection_of(scope: Any) -> Connection | None:
    """Return the connection of a call, or None if the server runs without `SessionProtocol`."""
    state = scope.get("state") or {}
    found = state.get(STATE_KEY)
    return found if isinstance(found, Connection) else None
