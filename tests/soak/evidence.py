"""What the checker reads: what clients received, what they were told, and the published audit log. It needs no LogLease.

A folder holds

- `log/`: the published directory of the audit log, tiles and bundles of entries;
- `received/<name>.ndjson`: one call each. The first record says what was asked for: `grant`, `start_ns` (another one for
  each call, by which its session is found in the log), `who`, `source`, `prompt`, whether its reader took bytes as soon
  as they came, and `wall_s`, how much more the wall clock showed than the monotonic one. Then a record for what came at
  once: `at`, seconds of the machine's monotonic clock, and `bytes`, each as the character of the same number. The last
  one has `end`: `closed`, `reset` or `left`;
- `told.ndjson`: what a server acknowledged, in the order of `at`: `what` is `request`, `review`, `grant`, `activated`,
  `revoked`, `returned`, `locked` or `lifted`, and the other keys say which; `began` is when lifting was asked for first;
- `clocks.ndjson`, if it is there: each `at` from which some server's clock was ahead by `ahead_s`.
"""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

BUNDLE = 256


@dataclass
class Line:
    """One line as it came; `whole` is false if it was cut in the middle, and then nothing of it is known."""

    at: float
    whole: bool
    ts_ns: int = 0
    size: int = 0
    labels: dict[str, str] = field(default_factory=dict)


@dataclass
class Call:
    """What one client asked for and got."""

    name: str
    grant: str
    start_ns: str
    who: str
    source: str
    prompt: bool
    wall_s: float
    status: int = 0
    lines: list[Line] = field(default_factory=list)
    told_lines: int | None = None
    reason: str | None = None
    whole: bool = False
    last_at: float = 0.0
    arrivals: list[tuple[float, int]] = field(default_factory=list)

    def true_time(self, at: float) -> float:
        """Return a moment in seconds since 1970, by the clock of the machine that the client is on."""
        return self.wall_s + at


@dataclass
class Entry:
    """One entry of the log."""

    index: int
    id: str
    type: str
    actor: str
    at: str
    ref: dict[str, str]
    data: dict[str, Any]

    @property
    def seconds(self) -> float:
        """When it was recorded, in seconds since 1970."""
        return dt.datetime.fromisoformat(self.at).timestamp()


class Unreadable(Exception):
    """The evidence is not what it should be."""


def read_entries(log: Path) -> tuple[list[Entry], list[str]]:
    """Return all entries up to the signed size, and what is wrong with them as a tree."""
    head = (log / "checkpoint").read_text().split("\n")
    size, root = int(head[1]), head[2]
    contents: list[bytes] = []
    for number in range((size + BUNDLE - 1) // BUNDLE):
        contents += _bundle(log, number, min(BUNDLE, size - number * BUNDLE))
    wrong = []
    if (found := _root(contents)) != root:
        wrong.append(f"log: the entries have the root {found}, the head says {root}")
    return [_entry(index, json.loads(content)) for index, content in enumerate(contents)], wrong


def _entry(index: int, found: dict[str, Any]) -> Entry:
    ref, data = found.get("ref", {}), found.get("data", {})
    return Entry(index, found["id"], found["type"], found["actor"], found["at"], ref, data)


def _bundle(log: Path, number: int, width: int) -> Iterator[bytes]:
    path = log / "tile" / "entries" / _numbered(number)
    if width < BUNDLE and not path.exists():
        path = path.with_name(f"{path.name}.p") / str(width)
    content = path.read_bytes()
    at = 0
    for _ in range(width):
        length = int.from_bytes(content[at : at + 2], "big")
        if at + 2 + length > len(content):
            raise Unreadable(f"{path} ends in the middle of an entry")
        yield content[at + 2 : at + 2 + length]
        at += 2 + length


def _numbered(number: int) -> str:
    """Return the path of a tile as tlog-tiles writes it: thousands in folders that begin with an x."""
    parts = [f"{number % 1_000:03d}"]
    while number := number // 1_000:
        parts.append(f"x{number % 1_000:03d}")
    return "/".join(reversed(parts))


def _root(contents: list[bytes]) -> str:
    level = [hashlib.sha256(b"\0" + one).digest() for one in contents]
    while len(level) > 1:
        pairs = [hashlib.sha256(b"\1" + a + b).digest() for a, b in zip(level[::2], level[1::2], strict=False)]
        level = pairs + level[len(pairs) * 2 :]
    return base64.b64encode(level[0] if level else hashlib.sha256(b"").digest()).decode()


def read_told(path: Path) -> list[dict[str, Any]]:
    """Return what was acknowledged."""
    found = [json.loads(line) for line in path.read_text().splitlines() if line]
    return sorted(found, key=lambda one: float(one["at"]))


def read_clocks(path: Path) -> list[dict[str, float]]:
    """Return when which clock was ahead."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def read_calls(folder: Path) -> list[Call]:
    """Return what clients received."""
    return [_call(path) for path in sorted(folder.glob("*.ndjson"))]


def _call(path: Path) -> Call:
    records = [json.loads(line) for line in path.read_text().splitlines() if line]
    asked = records[0]
    call = Call(
        path.stem, asked["grant"], asked["start_ns"], asked["who"], asked["source"], asked["prompt"], asked["wall_s"]
    )
    answer = _Answer(call)
    for one in records[1:]:
        if "bytes" in one:
            content = one["bytes"].encode("latin-1")
            call.arrivals.append((one["at"], len(content)))
            call.last_at = one["at"]
            answer.feed(content, one["at"])
    answer.end()
    return call


class _Answer:
    """Reads an HTTP/1.1 answer, its chunks, and the records in them, as bytes come."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self._raw = b""
        self._text = b""
        self._left = 0
        self._chunked = False
        self._at = 0.0

    def feed(self, content: bytes, at: float) -> None:
        self._raw += content
        self._at = at
        if not self._call.status and not self._head():
            return
        if self._call.status == 200 and self._chunked:
            self._chunks()
            self._records()

    def _head(self) -> bool:
        head, found, rest = self._raw.partition(b"\r\n\r\n")
        if not found:
            return False
        first, *headers = head.decode("latin-1").split("\r\n")
        self._call.status = int(first.split(" ")[1])
        self._chunked = any(one.lower().replace(" ", "") == "transfer-encoding:chunked" for one in headers)
        self._raw = rest
        return True

    def _chunks(self) -> None:
        """Take what there is of the body. `_left` is what is to come of a chunk, the two bytes behind it included."""
        while self._raw and not self._call.whole:
            if self._left == 0:
                size, found, rest = self._raw.partition(b"\r\n")
                if not found:
                    return
                self._left, self._raw = int(size, 16) + 2, rest
                self._call.whole = self._left == 2
            else:
                taken = self._raw[: self._left]
                self._text += taken[: max(0, self._left - 2)]
                self._left -= len(taken)
                self._raw = self._raw[len(taken) :]

    def _records(self) -> None:
        *whole, self._text = self._text.split(b"\n")
        for text in whole:
            if text:
                self._record(json.loads(text), len(text) + 1)

    def _record(self, found: dict[str, Any], size: int) -> None:
        if found["type"] == "line":
            self._call.lines.append(Line(self._at, True, int(found["ts"]), size, found["labels"]))
        elif found["type"] == "end":
            self._call.reason, self._call.told_lines = found["reason"], found.get("lines")

    def end(self) -> None:
        if self._text.startswith(b'{"type":"line"'):
            self._call.lines.append(Line(self._at, False))
