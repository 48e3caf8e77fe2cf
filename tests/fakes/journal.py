"""A systemd-journal-gatewayd of a few lines: `/entries` with ranges and matches as Debian's 252 answers them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from tests.fakes.http import Answer, Call

JSON = "application/json"


@dataclass
class FakeJournal:
    """Entries in the order of writing; `instead` answers before the fake does, and says whether it has."""

    entries: list[dict[str, object]] = field(default_factory=list)
    instead: Callable[[Call, Answer], Awaitable[bool]] | None = None
    grown: asyncio.Condition = field(default_factory=asyncio.Condition)
    written: int = 0

    async def write(self, us: int, **fields: object) -> None:
        async with self.grown:
            self.written += 1
            cursor = f"s=1;i={self.written:x};b=2;m=3;t={us:x};x=4"
            self.entries.append({"__CURSOR": cursor, "__REALTIME_TIMESTAMP": str(us), **fields})
            self.grown.notify_all()

    async def respond(self, call: Call, answer: Answer) -> None:
        if self.instead is not None and await self.instead(call, answer):
            return
        assert (call.method, call.path, call.headers["accept"]) == ("GET", "/entries", JSON)
        wanted: dict[str, set[str]] = {}
        for name, value in call.query:
            if name != "follow":
                assert name.startswith("_")
                wanted.setdefault(name, set()).add(value)
        follow = ("follow", "") in call.query
        cursor, _, range_ = call.headers["range"].removeprefix("entries=").partition(":")
        skip, _, count = range_.partition(":")
        place = self._seek(cursor, int(skip or 0), wanted)
        await answer.head(JSON)
        left = int(count) if count else 1 << 62
        while left and place is not None:
            if place < len(self.entries):
                entry, place = self.entries[place], place + 1
                if _matches(entry, wanted):
                    left -= 1
                    await answer.piece(json.dumps(entry).encode() + b"\n")
                continue
            if not follow:
                break
            async with self.grown:
                while place >= len(self.entries):
                    await self.grown.wait()
        await answer.end()

    def _seek(self, cursor: str, skip: int, wanted: dict[str, set[str]]) -> int | None:
        """Return the place of the first entry to give; to skip back from nothing gives nothing, as in the real one."""
        parts = dict(part.split("=") for part in cursor.split(";"))
        us = int(parts["t"], 16)
        number = int(parts["i"], 16) if "i" in parts else None

        def before(entry: dict[str, object]) -> bool:
            if number is not None:
                return int(str(entry["__CURSOR"]).split(";")[1].removeprefix("i="), 16) < number
            return int(str(entry["__REALTIME_TIMESTAMP"])) < us

        at = next((place for place, entry in enumerate(self.entries) if not before(entry)), len(self.entries))
        if skip == 0:
            return at
        assert skip < 0
        if at < len(self.entries) and (number is not None or int(str(self.entries[at]["__REALTIME_TIMESTAMP"])) == us):
            at += 1  # the entry itself is the first one back
        matching = [place for place in range(at) if _matches(self.entries[place], wanted)]
        return matching[max(0, len(matching) - 1 + skip)] if matching else None


def _matches(entry: dict[str, object], wanted: dict[str, set[str]]) -> bool:
    return all(entry.get(name) in values for name, values in wanted.items())
