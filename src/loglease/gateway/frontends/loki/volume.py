"""``index/volume`` and ``index/volume_range``: bytes of redacted lines by labels, computed as a metric."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from loglease.gateway.asked import Asked
from loglease.gateway.errors import QueryInvalid
from loglease.gateway.frontends.loki.queries import MAX_LIMIT, Direct, grid_of, metric_question
from loglease.gateway.lines import DERIVED_LEVEL
from loglease.gateway.parameters import Values, wrong
from loglease.gateway.planner import parsed
from loglease.logql import LabelTest, LogQuery, MatchOp
from loglease.logql.metrics import Grid, Vector
from loglease.logql.syntax import (
    Grouping,
    LogRange,
    Metric,
    RangeAggregation,
    RangeFunction,
    VectorAggregation,
    VectorFunction,
)
from loglease.model.instant import Instant

DEFAULT_LIMIT: Final = 100

_ALL: Final = Grouping((DERIVED_LEVEL,), without=True)
"""All labels of a stream: the level is a line's own."""


@dataclass(frozen=True, slots=True)
class _Volume:
    """What is counted and how it is told.

    Attributes:
        grouping: labels that streams are told apart by.
        by_name: tell of each label how much the streams have that have it, whatever its value.
        limit: of the numbers of one time only so many are given, the largest.
    """

    text: str
    query: LogQuery
    grouping: Grouping
    by_name: bool
    limit: int

    def asked(self, grid: Grid, range_ns: int, *, is_instant: bool, now: Instant) -> Asked | Direct:
        """Return the question of it over a grid."""
        counted = RangeAggregation(RangeFunction.BYTES, LogRange(self.query, range_ns))
        volume: Metric = VectorAggregation(VectorFunction.SUM, counted, None, self.grouping)
        return metric_question(self.text, volume, grid, is_instant=is_instant, now=now, change=self._told)

    def _told(self, vector: Vector) -> Vector:
        """Return the largest numbers of one time, the largest first."""
        told = self._by_name(vector) if self.by_name else vector
        return dict(sorted(told.items(), key=lambda one: (-one[1], one[0]))[: self.limit])

    def _by_name(self, vector: Vector) -> Vector:
        told: Vector = {}
        for series, size in vector.items():
            for name, _ in series:
                told[(name, ""),] = told.get(((name, ""),), 0.0) + size
        return told


def volume_question(values: Values, now: Instant) -> Asked | Direct:
    """Return what ``index/volume`` asks: one number for the whole time."""
    volume = _volume(values)
    interval = values.interval(now)
    end = interval.end or interval.start
    # Both ends belong to it, as to all that is asked about streams; a range at a time leaves out its own beginning.
    return volume.asked(Grid.instant(end), end - interval.start + 1, is_instant=True, now=now)


def volume_range_question(values: Values, now: Instant) -> Asked | Direct:
    """Return what ``index/volume_range`` asks: a number for each step."""
    volume = _volume(values)
    interval = values.interval(now)
    grid = grid_of(interval.start, interval.end or interval.start, values.seconds("step"))
    return volume.asked(grid, grid.step_ns, is_instant=False, now=now)


def _volume(values: Values) -> _Volume:
    text = values.text("query", "{}")
    query = parsed(text or "{}")
    if not isinstance(query, LogQuery):
        raise QueryInvalid("This takes a log query.", next_step='Write one like {service="pay-api"}.')
    by = values.text("aggregateBy", "series")
    if by not in ("series", "labels"):
        raise wrong("aggregateBy", "series or labels")
    targets = tuple(dict.fromkeys(one for one in values.text("targetLabels", "").split(",") if one))
    # Streams without a label that is asked for are not asked for.
    present = tuple(LabelTest(name, MatchOp.MATCHES, ".+") for name in targets)
    names = targets or (() if by == "labels" else tuple(dict.fromkeys(test.name for test in query.selector)))
    return _Volume(
        text=text,
        query=replace(query, selector=(*query.selector, *present)),
        grouping=Grouping(names, without=False) if names else _ALL,
        by_name=by == "labels",
        limit=values.limit(most=MAX_LIMIT) or DEFAULT_LIMIT,
    )
