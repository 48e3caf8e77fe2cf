"""A session's channel over a WebSocket: the upgrade, pings, what the client may say, and close codes.

`websockets` knows the protocol; it does no I/O here. Frames with lines come whole from the encoder, so that they are
handed over slice by slice like everything else. What is written beside them is written between two of them.
"""

from __future__ import annotations

from collections.abc import Iterable
from types import MappingProxyType
from typing import Final

from websockets import ServerProtocol
from websockets.datastructures import Headers as WebSocketHeaders
from websockets.exceptions import InvalidOrigin
from websockets.frames import Close, CloseCode, Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import OPEN
from websockets.typing import Origin

from loglease.access.errors import NotPermitted
from loglease.gateway.channel import BEAT_NS, HEADERS
from loglease.gateway.connection import Connection
from loglease.gateway.request import Headers
from loglease.model.errors import Malformed
from loglease.model.session import CloseWhy

MAX_CLIENT_BYTES: Final = 4_096
MAX_UNANSWERED: Final = 30
"""Pings, one a second, after which a client that answers none is gone. Counted, since a machine may have slept."""

MAX_REASON_BYTES: Final = 123

_SWITCHING: Final = 101
_PING: Final = Frame(Opcode.PING, b"").serialize(mask=False)

# What is read from a head; everything else stays unread.
_READ: Final = frozenset(
    (b"connection", b"upgrade", b"origin", b"sec-websocket-key", b"sec-websocket-version", b"sec-websocket-protocol")
)

_POLICY, _INTERNAL, _LATER = CloseCode.POLICY_VIOLATION, CloseCode.INTERNAL_ERROR, CloseCode.TRY_AGAIN_LATER

_CLOSES: Final = MappingProxyType(
    {
        CloseWhy.COMPLETE: Close(CloseCode.NORMAL_CLOSURE, "complete"),
        CloseWhy.CLIENT: Close(CloseCode.NORMAL_CLOSURE, ""),
        CloseWhy.REVOKED: Close(_POLICY, "grant revoked"),
        CloseWhy.EXPIRED: Close(_POLICY, "grant ended: expired"),
        CloseWhy.ENDED: Close(_POLICY, "grant ended: used"),
        CloseWhy.SUSPENDED: Close(_POLICY, "grant suspended"),
        CloseWhy.LOCKED: Close(_POLICY, "locked"),
        CloseWhy.AUDIT: Close(_INTERNAL, "recording failed"),
        CloseWhy.REDACTION: Close(_INTERNAL, "redaction failed"),
        CloseWhy.SOURCE: Close(_INTERNAL, "source failed"),
        CloseWhy.ERROR: Close(_INTERNAL, "internal error"),
        CloseWhy.SLOW: Close(_LATER, "too slow"),
        CloseWhy.IDLE: Close(_LATER, "idle"),
        CloseWhy.LIMIT: Close(_LATER, "limit"),
        CloseWhy.TIME: Close(_LATER, "time"),
        CloseWhy.DATABASE: Close(_LATER, "database"),
        CloseWhy.CLOCK: Close(_LATER, "clock"),
    }
)
"""How a client is told. Not of a drain: whoever reads a close frame stops, and it shall come again."""


def text_frame(payload: bytes) -> bytes:
    """Return one whole message."""
    return Frame(Opcode.TEXT, payload).serialize(mask=False)


class Upgrade:
    """A client's request for a WebSocket, found in order, and the answer to it. No extension is agreed on.

    Args:
        origins: whose pages may ask; who names none is no page.

    Raises:
        Malformed: the head does not ask for a WebSocket as RFC 6455 says.
        NotPermitted: it comes from a page of an origin that is not configured.
    """

    def __init__(self, headers: Headers, origins: Iterable[str]) -> None:
        handshake = ServerProtocol(origins=[None, *map(Origin, origins)])
        asked = WebSocketHeaders([(name.decode(), value.decode("latin-1")) for name, value in headers if name in _READ])
        response = handshake.accept(Request("/", asked))
        if response.status_code != _SWITCHING:
            if isinstance(handshake.handshake_exc, InvalidOrigin):
                raise NotPermitted(
                    "Pages of this origin may not open a WebSocket here.",
                    rule="http.websocket_origins",
                    next_step="Ask an operator to add the origin.",
                )
            raise Malformed(
                "This address takes a WebSocket: Upgrade: websocket with Sec-WebSocket-Key and version 13.",
                next_step="Use a client that speaks it, such as logcli query --tail.",
            )
        for name, value in HEADERS:
            response.headers[name.decode()] = value.decode()
        self.answer = response.serialize()
        """The head that grants it."""


class WebSocketChannel:
    """One tail's WebSocket."""

    def __init__(self, connection: Connection, upgrade: Upgrade) -> None:
        self._connection = connection
        self._head = upgrade.answer
        self._protocol = ServerProtocol(state=OPEN, max_size=MAX_CLIENT_BYTES)
        self._ping_ns = 0
        self._unanswered = 0
        self._answer = b""
        self._goodbye = b""
        self._ending: CloseWhy | None = None

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
        """Why the client's side ends the session: it closed, broke the protocol or answers no more."""
        return self._ending

    async def begin(self) -> None:
        """Answer the upgrade."""
        self._connection.prepare()
        self._connection.take_over(self._received)
        self._connection.write(self._head)

    def beat(self, boot_ns: int, *, between_records: bool) -> int:
        """Ping each second, answer pings, and notice a client that answers none."""
        is_due = boot_ns >= self._ping_ns
        if is_due:
            self._ping_ns = boot_ns + BEAT_NS
            self._unanswered += 1
            if self._unanswered > MAX_UNANSWERED:
                self._ending = self._ending or CloseWhy.IDLE
        if between_records and self._connection.is_writable:
            content, self._answer = self._answer + (_PING if is_due else b""), b""
            if content:
                self._connection.write(content)
        return self._ping_ns

    async def write(self, content: bytes) -> None:
        """Write a part of what the encoder made."""
        self._connection.write(content)

    async def end(self, content: bytes, why: CloseWhy, text: str) -> None:
        """Write the close frame that says why; none at a drain."""
        close = _CLOSES.get(why)
        if close is None:
            farewell = b""
        elif self._goodbye:
            farewell = self._goodbye
        else:
            reason = text if text and close.code == _POLICY else close.reason
            told = Close(close.code, reason.encode()[:MAX_REASON_BYTES].decode(errors="ignore"))
            farewell = Frame(Opcode.CLOSE, told.serialize()).serialize(mask=False)
        if content or farewell:
            self._connection.write(content + farewell)

    def _received(self, data: bytes) -> None:
        """Take what the client sends: its pongs and its goodbye count, its messages do not."""
        protocol = self._protocol
        if protocol.state is not OPEN:
            return
        protocol.receive_data(data)
        if any(isinstance(event, Frame) and event.opcode is Opcode.PONG for event in protocol.events_received()):
            self._unanswered = 0
        answers = [one for one in protocol.data_to_send() if one]
        if protocol.state is OPEN:
            # Only the newest ping is answered, so that nothing piles up here while a record is under way.
            self._answer = answers[-1] if answers else self._answer
        else:
            self._goodbye = answers[-1] if answers else b""
            self._ending = self._ending or CloseWhy.CLIENT
        if answers:
            self._connection.stir()
