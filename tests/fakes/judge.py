"""Who compares what was handed to sockets, and what arrived, with what the database file says at that very moment.

Neither the gateway's account nor its connections to the database are asked: bytes are seen as the transport takes them,
and entries are read back with a connection that can do nothing else.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from loglease.gateway import SessionProtocol
from loglease.store.sqlite_library import running_library

LINE_RECORD = b'{"type":"line"'
_NEWER = "SELECT idx, bytes FROM entries WHERE idx >= ? ORDER BY idx"
_SIGNED = "SELECT coalesce(max(size), 0) FROM checkpoints"


@dataclass
class Recorded:
    """What the committed entries of one session allow.

    Attributes:
        lines, size: the ceiling of its newest batch: all that was settled, and what is reserved behind that.
        closed: the data of `session.closed`.
    """

    grant: str
    is_asked: bool = False
    settled_lines: int = 0
    settled_size: int = 0
    lines: int = 0
    size: int = 0
    closed: dict[str, Any] | None = None


class DurableRecord:
    """The entries of a database file, read by a connection of its own.

    Args:
        is_signed: only entries that a signed head covers count.
    """

    def __init__(self, path: Path, *, is_signed: bool = False) -> None:
        # The library that the server uses: two of them in one process would undo each other's locks.
        connect = running_library().module.connect
        self._database = connect(f"file:{path}?mode=ro", uri=True, isolation_level=None)
        self._is_signed = is_signed
        self._next = 0
        self._unsigned: deque[tuple[int, dict[str, Any]]] = deque()
        self.opened: dict[str, list[str]] = {}
        """All sessions, signed for or not, by grant."""
        self.sessions: dict[str, Recorded] = {}

    def look(self) -> None:
        """Take in what was committed since the last look."""
        for index, content in self._database.execute(_NEWER, (self._next,)).fetchall():
            self._next = index + 1
            entry = json.loads(content)
            if "session" not in (ref := entry.get("ref", {})):
                continue
            if entry["type"] == "session.opened":
                self.opened.setdefault(ref["grant"], []).append(ref["session"])
            self._unsigned.append((index, entry))
        size = self._database.execute(_SIGNED).fetchone()[0] if self._is_signed else self._next
        while self._unsigned and self._unsigned[0][0] < size:
            entry = self._unsigned.popleft()[1]
            self._take(entry["type"], entry["ref"]["session"], entry)

    def _take(self, kind: str, session: str, entry: dict[str, Any]) -> None:
        data = entry["data"]
        if kind == "session.opened":
            self.sessions[session] = Recorded(entry["ref"]["grant"])
        elif kind == "query.recorded":
            self.sessions[session].is_asked = True
        elif kind == "batch.served":
            found, settled = self.sessions[session], data.get("settled", {"lines": 0, "bytes": 0})
            found.settled_lines += settled["lines"]
            found.settled_size += settled["bytes"]
            found.lines = found.settled_lines + data["reserved"]["lines"]
            found.size = found.settled_size + data["reserved"]["bytes"]
        elif kind == "session.closed":
            self.sessions[session].closed = data

    def close(self) -> None:
        """Let the file go."""
        self._database.close()


class Count:
    """How many items, and bytes of line records, were in what came so far."""

    def __init__(self, mark: bytes) -> None:
        self._mark = mark
        self._edge = b""
        self.items = 0
        self.size = 0

    def take(self, content: bytes, *, is_chunk: bool = False) -> None:
        """Count.

        Args:
            is_chunk: it is one chunk of a body with whole records in it.
        """
        seen = self._edge + content
        self.items += seen.count(self._mark)
        # What could be the beginning of another mark, and no more: a whole one must not be counted twice.
        self._edge = seen[len(seen) + 1 - len(self._mark) :]
        if is_chunk:
            records = content.partition(b"\r\n")[2].split(b"\n")
            self.size += sum(len(one) + 1 for one in records if one.startswith(LINE_RECORD))


@dataclass
class Exchange:
    """One call of one client, on a connection of its own.

    Attributes:
        earlier: how many sessions the grant had before it.
        status: as the first byte that was handed over says; empty before.
        handed, arrived: what the server's socket took, and what the client read.
    """

    grant: str
    mark: bytes
    earlier: int
    status: bytes = b""
    is_over: bool = False
    handed: Count = field(init=False)
    arrived: Count = field(init=False)

    def __post_init__(self) -> None:
        self.handed, self.arrived = Count(self.mark), Count(self.mark)

    @property
    def is_refused(self) -> bool:
        """Whether the answer is no success."""
        return self.status not in (b"", b"200", b"101")

    @property
    def flows(self) -> bool:
        """Whether items were handed over, and more may be."""
        return self.handed.items > 0 and not self.is_over


class Judge:
    """Holds all exchanges of a gateway against the record; `violations` says in words what was wrong.

    Attributes:
        looks: how often bytes were held against the record.
        items: what was handed over in all.
        recoveries: how often all was said to be well again.
    """

    def __init__(self, record: DurableRecord) -> None:
        self.record = record
        self.exchanges: dict[int, Exchange] = {}
        self.all: list[Exchange] = []
        self.violations: list[str] = []
        self.looks = 0
        self.items = 0
        self.recoveries = 0

    @property
    def flows(self) -> bool:
        """Whether anybody is in the middle of an answer with items."""
        return any(one.flows for one in list(self.exchanges.values()))

    def begins(self, port: int, grant: str, mark: bytes) -> Exchange:
        """Expect a call from a client's port."""
        self.record.look()
        made = Exchange(grant, mark, len(self.record.opened.get(grant, ())))
        self.exchanges[port] = made
        self.all.append(made)
        return made

    def ends(self, port: int) -> None:
        """Take note that the client is done."""
        self.exchanges.pop(port).is_over = True

    def handed(self, port: int, content: bytes) -> None:
        """Take note of bytes that a socket of the server is about to take, before anything else can happen."""
        found = self.exchanges.get(port)
        if found is None:
            return
        found.status = found.status or content[9:12]
        before = found.handed.items
        found.handed.take(content, is_chunk=not content.startswith(b"HTTP/1.1 "))
        self.items += found.handed.items - before
        self._compare(found, found.handed, "handed over")

    def arrived(self, exchange: Exchange, content: bytes) -> None:
        """Take note of bytes that a client has just read."""
        exchange.arrived.take(content)
        self._compare(exchange, exchange.arrived, "received")

    def _compare(self, exchange: Exchange, count: Count, how: str) -> None:
        self.record.look()
        self.looks += 1
        names = self.record.opened.get(exchange.grant, [])[exchange.earlier :]
        own = [found for one in names if (found := self.record.sessions.get(one)) is not None]
        lines, size = sum(one.lines for one in own), sum(one.size for one in own)
        if exchange.is_refused:
            if count.items:
                self.violations.append(f"{count.items} items {how} in a refusal")
        elif not any(one.is_asked for one in own):
            self.violations.append(f"a byte {how} before its query was recorded")
        if count.items > lines or count.size > size:
            self.violations.append(f"{count.items} items, {count.size} bytes {how}; recorded {lines}, {size}")


def judged_protocol(judge: Callable[[], Judge | None]) -> type[SessionProtocol]:
    """Return the gateway's protocol over a transport whose writes a judge sees first."""

    class Judged(SessionProtocol):
        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(_Seen(transport, judge))  # type: ignore[arg-type]

    return Judged


class _Seen:
    """A transport that tells of what is written to it."""

    def __init__(self, transport: asyncio.Transport, judge: Callable[[], Judge | None]) -> None:
        self._transport = transport
        self._judge = judge
        self._port = transport.get_extra_info("peername")[1]

    def write(self, content: bytes) -> None:
        if (judge := self._judge()) is not None:
            judge.handed(self._port, content)
        self._transport.write(content)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)
