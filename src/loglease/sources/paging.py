"""From rows of a store to pages: what readers of remote stores have in common."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from loglease.model.labels import Labels
from loglease.sources.interface import Metadata, Page


class Row(NamedTuple):
    """One line as a store gave it; rows compare by time, then stream, then content, the same at every read."""

    ts: int
    labels: Labels
    line: bytes
    metadata: Metadata

    @property
    def size(self) -> int:
        """Bytes that count against a page."""
        size = len(self.line)
        for name, value in self.metadata:
            size += len(name) + len(value)
        return size


@dataclass(slots=True)
class Pager:
    """Cuts rows into pages.

    Attributes:
        lines: the most lines of a page.
        size: bytes at which a page is full; one line always fits.
    """

    lines: int
    size: int
    _page: Page = field(default_factory=Page)
    _places: dict[Labels, int] = field(default_factory=dict)
    _bytes: int = 0

    def feed(self, rows: Iterable[Row]) -> Iterator[Page]:
        """Take rows and yield the pages that are full."""
        for row in rows:
            size, held = row.size, len(self._page.lines)
            if held >= self.lines or (held and self._bytes + size > self.size):
                yield from self.flush()
            place = self._places.get(row.labels)
            if place is None:
                place = self._places[row.labels] = len(self._page.streams)
                self._page.streams.append(row.labels)
            self._page.stream.append(place)
            self._page.ts.append(row.ts)
            self._page.lines.append(row.line)
            self._page.metadata.append(row.metadata or None)
            self._bytes += size

    def flush(self) -> Iterator[Page]:
        """Yield what is left."""
        if len(self._page):
            page, self._page, self._places, self._bytes = self._page, Page(), {}, 0
            yield page
