"""Walks a journal page by page from cursor to cursor.

A journal is in the order of writing; where a clock stepped back, times do, too. So a walk begins 1,000 entries early,
ends after 1,000 entries in a row outside its interval, and sorts as many; a larger step is an error, not a hole.

A cursor with nothing but a time, ``t=<hexadecimal microseconds>``, is one that the journal itself accepts. It works
with every version; the bounds of time that newer gateway daemons take do not.
"""

from __future__ import annotations

import heapq
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Final

from loglease.model.instant import Interval
from loglease.sources.interface import SourceLimit
from loglease.sources.journald.entries import Entry, Matches, entry_of, nonsense
from loglease.sources.paging import Row
from loglease.sources.transport import Request, Transport

PAGE: Final = 1_000
STRAY: Final = 1_000
"""Entries by which times may be out of order."""
PAGE_BYTES: Final = 8 << 20
HELD_BYTES: Final = 32 << 20
JSON: Final = "application/json"
MAX_US: Final = (1 << 63) - 1


class Journal:
    """The entries that some matches select.

    Args:
        names: the labels of the source.
    """

    def __init__(self, transport: Transport, matches: Matches, names: frozenset[str]) -> None:
        self._transport = transport
        self._matches = matches
        self._names = names

    def request(self, entries: str, *, follow: bool = False) -> Request:
        """Return the request for a range of entries."""
        return Request(
            path="/entries",
            accept=JSON,
            types=frozenset({JSON}),
            query=[*([("follow", "")] if follow else []), *self._matches.pushed],
            headers=(("Range", f"entries={entries}"),),
        )

    def entry(self, record: bytes) -> Entry:
        """Read one entry."""
        return entry_of(record, self._names)

    def selects(self, row: Row) -> bool:
        """Say whether a row passes what was not left to the journal."""
        return self._matches.left.matches(row.labels)

    async def forward(self, start_ns: int) -> AsyncGenerator[Entry, None]:
        """Yield entries in the journal's order, the first 1,000 before that time as far as there are."""
        at = cursor_at(start_ns)
        page = await self._some(f"{at}:-{STRAY}", STRAY + PAGE)
        if not page:  # to this daemon nothing before a time is nothing at all
            page = await self._some(f"{at}:0", PAGE)
        while page:
            for entry in page:
                yield entry
            page = await self._after(page[-1].cursor, PAGE)

    async def backward(self, end_ns: int) -> AsyncGenerator[Entry, None]:
        """Yield entries against the journal's order, the first 1,000 after that time as far as there are."""
        at = cursor_at(end_ns)
        beyond = await self._all(f"{at}:0", STRAY)
        for entry in reversed(beyond):
            yield entry
        page = await self._before(beyond[0].cursor) if beyond else await self._all(f"{at}:-{PAGE}", PAGE + 1)
        while page:
            for entry in reversed(page):
                yield entry
            page = await self._before(page[0].cursor)

    async def _after(self, cursor: str, count: int) -> list[Entry]:
        """Return the next page; if the entry of the cursor was removed meanwhile, the journal begins behind it."""
        page = await self._some(f"{cursor}:0", count + 1)
        if page and page[0].cursor == cursor:
            del page[0]
        if page and page[-1].cursor == cursor:
            raise nonsense()
        return page

    async def _before(self, cursor: str) -> list[Entry]:
        """Return the page before; near its beginning the journal gives the entry of the cursor, too, and on from it."""
        page = await self._all(f"{cursor}:-{PAGE}", PAGE)
        for place, entry in enumerate(page):
            if entry.cursor == cursor:
                return page[:place]
        return page

    async def _some(self, begin: str, count: int) -> list[Entry]:
        """Return at most so many entries, fewer where they are large."""
        records, whole = await self._transport.records(self.request(f"{begin}:{count}"), enough=PAGE_BYTES)
        if len(records) > count or not (whole or records):
            raise nonsense()
        return [self.entry(record) for record in records]

    async def _all(self, begin: str, count: int) -> list[Entry]:
        """Return so many entries, fewer only where the journal ends.

        Raises:
            SourceLimit: they are larger than what may be held.
        """
        found = await self._some(begin, count)
        while 0 < len(found) < count and (more := await self._after(found[-1].cursor, count - len(found))):
            found += more
            if sum(entry.row.size for entry in found) > HELD_BYTES:
                raise SourceLimit(
                    f"{len(found)} entries of the journal have more than 32 MiB.", next_step="Read forward instead."
                )
        return found


def cursor_at(event_ns: int) -> str:
    """Return the cursor of a time."""
    return f"t={min(max(-(-event_ns // 1_000), 0), MAX_US):x}"


async def rows_between(journal: Journal, interval: Interval, *, backward: bool) -> AsyncGenerator[list[Row], None]:
    """Yield the rows of an interval in order of time, equal times in the journal's order.

    Raises:
        SourceLimit: times are out of order by more than 1,000 entries.
        SourceError: the journal cannot be read.
    """
    end = MAX_US * 1_000 if interval.end is None else interval.end
    walk = journal.backward(end) if backward else journal.forward(interval.start)
    sorting = Sorting(backward=backward)
    outside = 0
    async with aclosing(walk) as entries:
        async for entry in entries:
            ts = entry.row.ts
            if interval.holds(ts):
                outside = 0
                if journal.selects(entry.row) and (ready := sorting.add(entry.row)):
                    yield ready
                continue
            beyond = ts < interval.start if backward else ts >= end
            outside = outside + 1 if beyond else 0
            if outside >= STRAY:
                break
    yield sorting.rest()


class Sorting:
    """Puts rows in order that are nearly so."""

    def __init__(self, *, backward: bool) -> None:
        self._sign = -1 if backward else 1
        self._heap: list[tuple[int, int, Row]] = []
        self._count = 0
        self._bytes = 0
        self._last: int | None = None

    def add(self, row: Row) -> list[Row]:
        """Take a row; return those that no row within reach can come before.

        Raises:
            SourceLimit: it comes before one that was already given.
        """
        key = self._sign * row.ts
        if self._last is not None and key < self._last:
            raise SourceLimit(
                "The clock of the source stepped back by more entries than can be sorted.",
                next_step="Ask for the time before it and the time after it separately.",
            )
        self._count += 1
        self._bytes += row.size
        heapq.heappush(self._heap, (key, self._count, row))
        ready = []
        while len(self._heap) > STRAY or self._bytes > HELD_BYTES:
            ready.append(self._pop())
        return ready

    def rest(self) -> list[Row]:
        """Return all that is left."""
        return [self._pop() for _ in range(len(self._heap))]

    def _pop(self) -> Row:
        self._last, _, row = heapq.heappop(self._heap)
        self._bytes -= row.size
        return row
