"""What the gateway knows of a source: a reader that takes a plan and gives pages of lines.

A reader may return more than was asked, never less; the gateway checks every line again. No method takes a query, an
address or a header, so no caller can pass a user's text to a store.
"""

from __future__ import annotations

from array import array
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, Protocol

from loglease.model.errors import LogLeaseError
from loglease.model.instant import Interval
from loglease.model.labels import Labels, Selector

Metadata = tuple[tuple[str, str], ...]
"""Structured metadata of one line, set by whoever wrote the line; never part of a scope."""

PAGE_LINES: Final = 5_000
PAGE_BYTES: Final = 1 << 20
MAX_LINE_BYTES: Final = 16 << 20
MAX_TIME_NS: Final = (1 << 63) - 1
"""Event times are 64-bit numbers of nanoseconds, here and in every store."""


class SourceError(LogLeaseError):
    """A source failed. The text is fixed; what the store said goes to no client."""

    code = "source_failed"


class SourceUnavailable(SourceError):
    """The store cannot be reached or does not answer."""


class SourceTimeout(SourceError):
    """The store did not answer in time."""

    code = "source_timeout"


class SourceLimit(SourceError):
    """A limit of the reader or the store was reached, so an answer would not be whole."""


class SourceProtocol(SourceError):
    """The store answered nonsense, or lines out of order."""


class Direction(StrEnum):
    """Order of event times in an answer."""

    FORWARD = "forward"
    BACKWARD = "backward"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadPlan:
    """What to read.

    Attributes:
        literals: every wanted line contains each of these, or one of the marks.
        marks: lines with one of these are wanted besides; without literals they say nothing.
    """

    selector: Selector
    interval: Interval
    direction: Direction = Direction.FORWARD
    literals: tuple[bytes, ...] = ()
    marks: tuple[bytes, ...] = ()
    page_lines: int = PAGE_LINES
    page_bytes: int = PAGE_BYTES


@dataclass(slots=True)
class Page:
    """A run of lines in order; parallel columns, so that a line costs no object.

    Attributes:
        streams: the distinct label sets of this page.
        stream: for each line an index into `streams`.
        ts: event time of each line in nanoseconds since the epoch.
        lines: the text of each line, without a trailing newline; inner newlines stay.
        metadata: for each line its structured metadata, or None.
    """

    streams: list[Labels] = field(default_factory=list)
    stream: array[int] = field(default_factory=lambda: array("I"))
    ts: array[int] = field(default_factory=lambda: array("q"))
    lines: list[bytes] = field(default_factory=list)
    metadata: list[Metadata | None] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.lines)


@dataclass(frozen=True, slots=True)
class Gap:
    """Lines between these event times may be missing from a followed stream."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a reader does itself; whatever is False the gateway does.

    Attributes:
        exact_literal: no line without the literals of a plan comes, but for those with one of its marks.
        marks: lines with a mark come beside those with the literals.
    """

    backward: bool = False
    follow: bool = False
    exact_literal: bool = False
    marks: bool = False
    exact_series: bool = False


@dataclass(frozen=True, slots=True)
class Health:
    """Whether a source can be read now, in words for operators."""

    ok: bool
    detail: str


class Reader(Protocol):
    """One configured source."""

    @property
    def capabilities(self) -> Capabilities:
        """What this reader does itself."""

    def read(self, plan: ReadPlan) -> AsyncIterator[Page]:
        """Yield the lines of the plan in its order, at least those that are asked for.

        Lines of one stream with equal times keep the store's order (reversed for backward), the same at every read.
        Closing the iterator ends the read.

        Raises:
            SourceError: the read cannot be completed; nothing of it may count as a whole answer.
        """

    def follow(self, plan: ReadPlan) -> AsyncIterator[Page | Gap]:
        """Yield the lines from `plan.interval.start` on, then new ones as they arrive, until closed or its end.

        Each line comes once. Order is by arrival; within a stream it is the store's.

        Raises:
            SourceError: the source is lost and cannot be followed further.
        """

    def series(self, selector: Selector, interval: Interval) -> AsyncIterator[Labels]:
        """Yield the label sets that may have lines there."""

    async def labels(self, selector: Selector, interval: Interval) -> set[str]:
        """Return the names of labels among those streams."""

    async def label_values(self, name: str, selector: Selector, interval: Interval) -> set[str]:
        """Return the values of one label among those streams."""

    async def check(self) -> Health:
        """Say whether the source can be read."""

    async def aclose(self) -> None:
        """Release everything; reads under way end with `SourceUnavailable`."""
