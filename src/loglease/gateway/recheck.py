"""Each line against the scope, whatever the source did: labels and time before redaction, line rules after it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

from loglease.gateway.covered_streams import CoveredStreams
from loglease.logql import FilterOp, JoinedLines, LineFilter, early_test
from loglease.model.instant import Interval
from loglease.model.scope import Level, Scope
from loglease.sources.interface import Direction, Page, SourceProtocol


@dataclass(slots=True)
class Violations:
    """Lines that sources gave although they should have held them back, by source; counts only."""

    by_source: dict[str, int] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    def count(self, source: str, lines: int) -> None:
        """Add so many lines of a source."""
        with self._lock:
            self.by_source[source] = self.by_source.get(source, 0) + lines


class Recheck:
    """The tests of one session.

    Args:
        interval: event times that the session may see, already inside the grant's window.
        streams: what is remembered of streams; None remembers for this session alone.
    """

    def __init__(
        self, scope: Scope, interval: Interval, violations: Violations, streams: CoveredStreams | None = None
    ) -> None:
        self._scope = scope
        self._interval = interval
        self._violations = violations
        self._contains = early_test([LineFilter(FilterOp.HOLDS, (literal,)) for literal in scope.contains])
        self._admits_stream = (streams or CoveredStreams()).of(scope.selector)

    def admitted(self, page: Page) -> Sequence[int]:
        """Return the places of the lines whose labels and event time are covered, in ascending order; count others."""
        places = self.covered(page)
        if len(places) != len(page):
            self._violations.count(self._scope.source, len(page) - len(places))
        return places

    def covered(self, page: Page) -> Sequence[int]:
        """Return the places of the lines whose labels and event time are covered, in ascending order."""
        streams = [self._admits_stream(labels) for labels in page.streams]
        start, end = self._interval.start, self._interval.end
        stream, ts = page.stream, page.ts
        if ts and all(streams):
            times = ts.tolist()
            if start <= min(times) and (end is None or max(times) < end):
                return range(len(page))
        return [
            place
            for place in range(len(page))
            if streams[stream[place]] and start <= ts[place] and (end is None or ts[place] < end)
        ]

    @property
    def needs_level(self) -> bool:
        """Whether a line's level decides if it is covered."""
        return self._scope.level_from is not None

    def admits_level(self, level: str) -> bool:
        """Say whether a line of that level is covered."""
        return self._scope.admits_level(Level(level))

    def admits_texts(self, lines: JoinedLines[Any], numbers: Sequence[int]) -> Sequence[int]:
        """Return which redacted lines hold all that the scope demands."""
        return self._contains.kept(lines, numbers)


class Order:
    """The order of event times that a read promised.

    Args:
        direction: as in the plan of the read.
    """

    def __init__(self, direction: Direction) -> None:
        self._forward = direction is Direction.FORWARD
        self._last: int | None = None

    def check(self, times: Sequence[int]) -> None:
        """Take the next event times.

        Raises:
            SourceProtocol: one comes before the one it follows.
        """
        if not times:
            return
        last = times[0] if self._last is None else self._last
        followed = [last, *times]
        if followed != sorted(followed, reverse=not self._forward):
            raise SourceProtocol("The source gave lines out of order.", next_step="Tell an operator.")
        self._last = times[-1]
