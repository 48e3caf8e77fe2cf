"""A VictoriaLogs of a few lines: just the requests that a reader may send, evaluated by a parser of its own.

Lines of one time come in any order, as they do from the real one; anything that it does not know is a failure.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import random
import re
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

from tests.fakes.http import Answer, Call

LINES = "application/stream+json"
_STRING = r'"(?:[^"\\]|\\.)*"'
_TEST = re.compile(rf"({_STRING})(=~|!~|!=|=)({_STRING})")
_TIME = re.compile(r"_time:\[(\S{30}), (\S{30})\)")
_QUERY = re.compile(r"\* \| sort by \(_time( desc)?\) limit (\d+)")


@dataclass(frozen=True, slots=True)
class Stored:
    ts: int
    labels: dict[str, str]
    line: str
    fields: dict[str, str] = field(default_factory=dict)


@dataclass
class FakeVictoriaLogs:
    """Attributes: instead: answers before the fake does, and says whether it has."""

    rows: list[Stored] = field(default_factory=list)
    instead: Callable[[Call, Answer], Awaitable[bool]] | None = None
    grown: asyncio.Condition = field(default_factory=asyncio.Condition)
    chance: random.Random = field(default_factory=lambda: random.Random(7))  # noqa: S311 - no secret

    async def write(self, rows: list[Stored]) -> None:
        async with self.grown:
            self.rows += rows
            self.grown.notify_all()

    async def respond(self, call: Call, answer: Answer) -> None:
        if self.instead is not None and await self.instead(call, answer):
            return
        if call.method != "POST" or call.query:
            raise AssertionError(call)
        form = dict(call.form)
        assert form["allow_partial_response"] == "false"
        if call.path == "/select/logsql/query":
            await self._query(call, answer, form["query"])
        elif call.path == "/select/logsql/streams":
            names = sorted({stream_text(row.labels) for row in self._selected(call)})
            values = [{"value": name, "hits": 1} for name in names]
            await answer.whole(json.dumps({"values": values}).encode(), "application/json")
        elif call.path == "/select/logsql/tail":
            await self._tail(call, answer)
        else:
            raise AssertionError(call.path)

    async def _query(self, call: Call, answer: Answer, query: str) -> None:
        match = _QUERY.fullmatch(query)
        if match is None:
            raise AssertionError(query)
        rows = list(self._selected(call))
        self.chance.shuffle(rows)
        rows.sort(key=lambda row: row.ts, reverse=match[1] is not None)
        await answer.head(LINES)
        for batch in (
            itertools.batched(rows[: int(match[2])], 500) if hasattr(itertools, "batched") else [rows[: int(match[2])]]
        ):
            await answer.piece(b"".join(map(record_of, batch)))
        await answer.end()

    async def _tail(self, call: Call, answer: Answer) -> None:
        """Give what is written from now on, but leave out what comes behind the last time of its stream."""
        await answer.head("application/x-ndjson")
        given, last = len(self.rows), dict[str, int]()
        while True:
            async with self.grown:
                while given == len(self.rows):
                    await self.grown.wait()
            fresh = {id(row) for row in self.rows[given:]}
            given = len(self.rows)
            for row in sorted(self._selected(call), key=lambda row: row.ts):
                name = stream_text(row.labels)
                if id(row) in fresh and row.ts > last.get(name, -1):
                    await answer.piece(record_of(row))
            for row in self.rows[:given]:
                if id(row) in fresh:
                    last[stream_text(row.labels)] = max(row.ts, last.get(stream_text(row.labels), -1))

    def _selected(self, call: Call) -> Iterator[Stored]:
        tests = [passes(value) for name, value in call.form if name in ("extra_filters", "extra_stream_filters")]
        return (row for row in self.rows if all(test(row) for test in tests))


def passes(text: str) -> Callable[[Stored], bool]:
    if text.startswith("_time:"):
        match = _TIME.fullmatch(text)
        assert match is not None, text
        start, end = time_of(match[1]), time_of(match[2])
        return lambda row: start <= row.ts < end
    if text.startswith("_msg:~"):
        pattern = re.compile(unquoted(text.removeprefix("_msg:~")))
        return lambda row: pattern.search(row.line) is not None
    assert text.startswith("_stream:{"), text
    assert text.endswith("}"), text
    inner = text.removeprefix("_stream:{").removesuffix("}")
    found = list(_TEST.finditer(inner))
    assert ",".join(one[0] for one in found) == inner, text
    return lambda row: all(_one(row.labels.get(unquoted(one[1]), ""), one[2], unquoted(one[3])) for one in found)


def _one(value: str, operator: str, operand: str) -> bool:
    if operator in ("=", "!="):
        return (value == operand) is (operator == "=")
    return (re.fullmatch(operand, value) is not None) is (operator == "=~")


def unquoted(text: str) -> str:
    assert text.isascii(), text
    escapes = re.compile(r'\\(?:x(..)|u(.{4})|U(.{8})|(["\\]))')
    return escapes.sub(lambda one: one[4] or chr(int(one[1] or one[2] or one[3], 16)), text[1:-1])


def time_of(text: str) -> int:
    moment = datetime.fromisoformat(text[:19]).replace(tzinfo=UTC)
    return round(moment.timestamp()) * 10**9 + int(text[20:29])


def stream_text(labels: dict[str, str]) -> str:
    return (
        "{"
        + ",".join(f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in sorted(labels.items()))
        + "}"
    )


def record_of(row: Stored) -> bytes:
    seconds, rest = divmod(row.ts, 10**9)
    time = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    fraction = f".{rest:09d}".rstrip("0").rstrip(".")
    known = {"_msg": row.line, "_stream": stream_text(row.labels), "_stream_id": "0", "_time": f"{time}{fraction}Z"}
    return json.dumps({**known, **row.labels, **row.fields}, ensure_ascii=False).encode() + b"\n"
