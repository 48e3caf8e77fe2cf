"""Clients of sessions of every kind on bare sockets, which count what they get and come to an end of their own in their own way."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import struct
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import quote

from tests.gateway.world import answer_of
from websockets.frames import Close, Frame, Opcode

QUERY: Final = quote('{service="web"}')
KINDS: Final = {
    "records": f"/logs?query={QUERY}&since=2h&direction=forward",
    "text": f"/logs?query={QUERY}&since=2h",
    "events": f"/logs?query={QUERY}&since=2h&direction=forward",
    "loki": f"/loki/api/v1/query_range?query={QUERY}&since=2h",
    "tail": f"/logs?query={QUERY}&since=5s&follow=true",
    "tail of events": f"/logs?query={QUERY}&since=5s&follow=true",
    "websocket": f"/loki/api/v1/tail?query={QUERY}&since=5s",
}
"""The address of each kind of session, behind its grant."""

ACCEPTED: Final = {
    "records": "application/x-ndjson",
    "text": "text/plain",
    "events": "text/event-stream",
    "tail": "application/x-ndjson",
    "tail of events": "text/event-stream",
}
FOLLOWING: Final = frozenset({"tail", "tail of events", "websocket"})
UPGRADE: Final = (
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version: 13",
)
WITHIN_S: Final = 90


@dataclass(eq=False)
class Client:
    """The client of one session.

    Attributes:
        own_end: `reads`, `crawls`, or how it ends its session: `vanishes`, `hangs up`, `stalls`.
        limit: lines that it asks for, of each client of a grant another number, since that is on the record.
        raw: all that it got.
    """

    kind: str
    own_end: str
    grant: str
    limit: int
    raw: bytearray = field(default_factory=bytearray)
    was_reset: bool = False
    gave_up: bool = False

    @property
    def is_tail(self) -> bool:
        return self.kind in FOLLOWING

    def call(self, token: str) -> bytes:
        path = f"/g/{self.grant}{KINDS[self.kind]}&limit={self.limit}"
        head = [f"GET {path} HTTP/1.1", "Host: here", f"Authorization: Bearer {token}"]
        head += [f"Accept: {ACCEPTED[self.kind]}"] if self.kind in ACCEPTED else []
        head += UPGRADE if self.kind == "websocket" else ()
        return "\r\n".join([*head, "", ""]).encode()

    async def run(self, port: int, token: str, begun: asyncio.Event, over: asyncio.Event) -> None:
        """Live until the session is over for this client.

        Args:
            begun: is set with the head of the answer.
            over: who takes nothing goes away then.
        """
        with socket.socket() as connection:
            # A small buffer, so that a session of somebody who crawls is in the middle of its answer for a while.
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
            connection.setblocking(False)
            try:
                async with asyncio.timeout(WITHIN_S):
                    await self._live(connection, port, token, begun, over)
            except ConnectionError:
                self.was_reset = True
            finally:
                begun.set()

    async def _live(
        self, connection: socket.socket, port: int, token: str, begun: asyncio.Event, over: asyncio.Event
    ) -> None:
        loop = asyncio.get_running_loop()
        await loop.sock_connect(connection, ("127.0.0.1", port))
        await loop.sock_sendall(connection, self.call(token))
        while chunk := await loop.sock_recv(connection, 2_048):
            self.raw += chunk
            if b"\r\n\r\n" not in self.raw:
                continue
            begun.set()
            if self.own_end == "stalls":
                await over.wait()
                return
            if self.own_end == "vanishes" and len(self.raw) > 6_000:
                # No goodbye and nothing more is taken: what is under way meets a reset.
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.gave_up = True
                return
            if self.own_end == "hangs up" and len(self.raw) > 6_000 and not self.gave_up:
                await self._hang_up(connection)
            elif self.own_end == "crawls":
                await asyncio.sleep(0.05)

    async def _hang_up(self, connection: socket.socket) -> None:
        """Say goodbye and take what still comes."""
        self.gave_up = True
        if self.kind == "websocket":
            goodbye = Frame(Opcode.CLOSE, Close(1000, "").serialize()).serialize(mask=True)
            with contextlib.suppress(ConnectionError):
                await asyncio.get_running_loop().sock_sendall(connection, goodbye)
        else:
            connection.shutdown(socket.SHUT_WR)

    # What it has.

    @property
    def has_session(self) -> bool:
        """Whether its call was taken up."""
        return bytes(self.raw[:13]) in (b"HTTP/1.1 200 ", b"HTTP/1.1 101 ")

    @property
    def is_clean(self) -> bool:
        """Whether it read to the end and the answer said that this is the end."""
        if self.was_reset or self.own_end not in ("reads", "crawls", "hangs up"):
            return False
        if self.kind == "websocket":
            return self._frames()[1]
        return answer_of(bytes(self.raw)).whole

    def count(self) -> tuple[int, int | None]:
        """Return whole lines and their bytes; None where lines do not stand alone in the body."""
        if not self.has_session:
            return 0, 0  # its session was over before the answer began
        if self.kind == "websocket":
            found = [one for one in self._frames()[0] if b'"values":[[' in one]
            return len(found), sum(len(one) + (2 if len(one) < 126 else 4) for one in found)
        body = answer_of(bytes(self.raw)).body
        if self.kind == "loki":
            return body.count(b"paid by"), None
        if self.kind in ("events", "tail of events"):
            events = [one for one in body.split(b"\n\n")[:-1] if b"event: line\n" in one]
            return len(events), sum(len(one) + 2 for one in events)
        whole = body.split(b"\n")[:-1]
        if self.kind == "text":
            found = [one for one in whole if not one.startswith(b"-- ")]
        else:
            found = [one for one in whole if json.loads(one)["type"] == "line"]
        return len(found), sum(len(one) + 1 for one in found)

    def _frames(self) -> tuple[list[bytes], bool]:
        """Return the texts of whole messages, and whether a goodbye came after them."""
        rest = memoryview(bytes(self.raw).partition(b"\r\n\r\n")[2])
        texts: list[bytes] = []
        while len(rest) >= 2:
            size, head = rest[1], 2
            if size == 126:
                size, head = int.from_bytes(rest[2:4], "big"), 4
            if len(rest) < head + size:
                break
            if rest[0] & 15 == Opcode.CLOSE:
                return texts, True
            if rest[0] & 15 == Opcode.TEXT:
                texts.append(bytes(rest[head : head + size]))
            rest = rest[head + size :]
        return texts, False
