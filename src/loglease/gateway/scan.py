"""What one query may look at: permitted lines and their bytes after redaction, so that hidden text moves no limit."""

from __future__ import annotations

from loglease.logql import QueryFailed


class Scan:
    """What a query may still look at.

    Args:
        lines: the most lines.
        size: the most bytes of redacted text.
    """

    def __init__(self, lines: int, size: int) -> None:
        self._lines = lines
        self._size = size
        self.reached_ns: int | None = None
        """Event time of the first line that was too much."""

    def takes(self, event_ns: int, size: int) -> bool:
        """Count a line, and say whether it and all before it may be looked at."""
        if self.reached_ns is None:
            self._lines -= 1
            self._size -= size
            if self._lines < 0 or self._size < 0:
                self.reached_ns = event_ns
        return self.reached_ns is None

    def takes_all(self, lines: int, size: int) -> bool:
        """Count lines together if all of them may be looked at; say whether they were counted."""
        if self.reached_ns is not None or lines > self._lines or size > self._size:
            return False
        self._lines -= lines
        self._size -= size
        return True


def too_many_lines() -> QueryFailed:
    """Return the error of a query that cannot be answered in part."""
    return QueryFailed("too_many_lines", "the query has to look at more lines than one may", limit=True)
