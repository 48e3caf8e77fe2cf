"""A Loki of a few lines: just the requests that a reader may send, evaluated by a parser of its own.

It answers as Loki 3 does where it is asked to tell labels and metadata apart, and as Loki 2 does with `folds`. Equal
lines one after the other in a stream are one line, as there; anything that it does not know is a failure.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import re
import struct
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from tests.fakes.http import Answer, Call
from tests.fakes.victorialogs import unquoted

JSON = "application/json; charset=UTF-8"
FLAG = "categorize-labels"
_STRING = r'"(?:[^"\\]|\\.)*"'
_TEST = re.compile(rf"([A-Za-z_][A-Za-z0-9_]*)(=~|!~|!=|=)({_STRING})")
_QUERY = re.compile(rf"\{{((?:[^\"{{}}]|{_STRING})*)\}}((?: \|[=~] {_STRING})*)")


@dataclass(frozen=True, slots=True)
class Stored:
    ts: int
    labels: dict[str, str]
    line: str
    metadata: dict[str, str] = field(default_factory=dict)


@dataclass
class FakeLoki:
    """Attributes:
    folds: whether it is too old to know metadata, so that it confirms nothing.
    most: lines that one answer may have.
    drops: whether its tail says of the next lines that it dropped them.
    instead: answers before the fake does, and says whether it has.
    """

    rows: list[Stored] = field(default_factory=list)
    folds: bool = False
    most: int = 5_000
    drops: bool = False
    instead: Callable[[Call, Answer], Awaitable[bool]] | None = None
    grown: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def write(self, rows: Iterable[Stored]) -> None:
        async with self.grown:
            last = {json.dumps(row.labels, sort_keys=True): row for row in self.rows}
            for row in rows:
                stream = json.dumps(row.labels, sort_keys=True)
                before = last.get(stream)
                if before is None or (before.ts, before.line) != (row.ts, row.line):
                    self.rows.append(row)
                last[stream] = row
            self.grown.notify_all()

    async def respond(self, call: Call, answer: Answer) -> None:
        if self.instead is not None and await self.instead(call, answer):
            return
        assert (call.method, call.form) == ("GET", []), call
        assert call.headers["x-loki-response-encoding-flags"] == FLAG
        query = dict(call.query)
        assert len(query) == len(call.query), call
        if call.path == "/loki/api/v1/query_range":
            await self._query(query, answer)
        elif call.path == "/loki/api/v1/series":
            rows = self._selected(query["match[]"], time_of(query["start"]), time_of(query["end"]))
            found = {json.dumps(row.labels, sort_keys=True): row.labels for row in rows}
            await whole(answer, {"status": "success", "data": list(found.values())})
        elif call.path == "/loki/api/v1/tail":
            await self._tail(query, call, answer)
        else:
            raise AssertionError(call.path)

    async def _query(self, query: dict[str, str], answer: Answer) -> None:
        limit, backward = int(query["limit"]), {"forward": False, "backward": True}[query["direction"]]
        if limit > self.most:
            await answer.whole(b"max entries limit per query exceeded\n", "text/plain", status="400 Bad Request")
            return
        rows = sorted(
            self._selected(query["query"], time_of(query["start"]), time_of(query["end"])), key=lambda row: row.ts
        )
        await whole(answer, self.answer_of((rows[::-1] if backward else rows)[:limit]))

    def answer_of(self, rows: Iterable[Stored]) -> dict[str, Any]:
        flags = {} if self.folds else {"encodingFlags": [FLAG]}
        data = {"resultType": "streams", **flags, "result": self.streams_of(rows), "stats": {"summary": {}}}
        return {"status": "success", "data": data}

    def streams_of(self, rows: Iterable[Stored]) -> list[dict[str, Any]]:
        found: dict[str, dict[str, Any]] = {}
        for row in rows:
            labels = {**row.labels, **row.metadata} if self.folds else row.labels
            stream = found.setdefault(json.dumps(labels, sort_keys=True), {"stream": labels, "values": []})
            known = {"structuredMetadata": row.metadata} if row.metadata else {}
            stream["values"].append([str(row.ts), row.line] if self.folds else [str(row.ts), row.line, known])
        return list(found.values())

    async def _tail(self, query: dict[str, str], call: Call, answer: Answer) -> None:
        """Give the last lines from a time on, then what is written, each line in a stream of its own."""
        assert query["delay_for"] == "0"
        await upgrade(call, answer)
        start, limit = time_of(query["start"]), int(query["limit"])
        given = len(self.rows)
        before = sorted((row for row in self._selected(query["query"], start)), key=lambda row: row.ts)
        fresh: list[Stored] = before[-limit:]
        while True:
            if fresh and self.drops:
                dropped = [{"labels": row.labels, "timestamp": str(row.ts)} for row in fresh]
                await message(answer, {"streams": None, "dropped_entries": dropped})
            elif fresh:
                streams = [stream for row in fresh for stream in self.streams_of([row])]
                flags = {} if self.folds else {"encodingFlags": [FLAG]}
                await message(answer, {"streams": streams, **flags})
            async with self.grown:
                while given == len(self.rows):
                    await self.grown.wait()
            new = {id(row) for row in self.rows[given:]}
            given = len(self.rows)
            fresh = [row for row in self._selected(query["query"], start) if id(row) in new]

    def _selected(self, text: str, start: int, end: int = 1 << 63) -> Iterator[Stored]:
        test = passes(text)
        return (row for row in self.rows if start <= row.ts < end and test(row))


async def whole(answer: Answer, found: object) -> None:
    await answer.whole(json.dumps(found).encode(), JSON)


async def upgrade(call: Call, answer: Answer) -> None:
    """Open a WebSocket; compression must not be offered."""
    assert "sec-websocket-extensions" not in call.headers
    key = call.headers["sec-websocket-key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
    accept = base64.b64encode(hashlib.sha1(key.encode(), usedforsecurity=False).digest()).decode()
    head = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    await answer.raw(f"{head}Sec-WebSocket-Accept: {accept}\r\n\r\n".encode())


async def message(answer: Answer, found: object, *, kind: int = 1) -> None:
    await frame(answer, found if isinstance(found, bytes) else json.dumps(found).encode(), kind=kind)


async def frame(answer: Answer, data: bytes, *, kind: int = 1, final: bool = True) -> None:
    size = struct.pack("!BQ", 127, len(data)) if len(data) > 125 else struct.pack("!B", len(data))
    await answer.raw(bytes([kind | 0x80 * final]) + size + data)


def passes(text: str) -> Callable[[Stored], bool]:
    match = _QUERY.fullmatch(text)
    assert match is not None, text
    found = list(_TEST.finditer(match[1]))
    assert ",".join(one[0] for one in found) == match[1], text
    tests = [(one[1], one[2], unquoted(one[3])) for one in found]
    can_be_missing = [_fits("", operator, operand) for _, operator, operand in tests]
    assert not all(can_be_missing), "Loki wants a label that is there in every selector"
    filters = [(operator, unquoted(one)) for operator, one in re.findall(rf"\|([=~]) ({_STRING})", match[2])]
    patterns = [re.escape(operand) if operator == "=" else operand for operator, operand in filters]
    return lambda row: (
        all(_fits(row.labels.get(name, ""), operator, operand) for name, operator, operand in tests)
        and all(re.search(pattern, row.line) for pattern in patterns)
    )


def _fits(value: str, operator: str, operand: str) -> bool:
    if operator in ("=", "!="):
        return (value == operand) is (operator == "=")
    return (re.fullmatch(operand, value) is not None) is (operator == "=~")


def time_of(text: str) -> int:
    match = re.fullmatch(r"(\S{19})\.(\d{9})Z", text)
    assert match is not None, text
    return round(datetime.fromisoformat(match[1]).replace(tzinfo=UTC).timestamp()) * 10**9 + int(match[2])
