"""``index/volume`` and ``index/volume_range``: bytes of redacted lines by labels, computed as a metric."""

from __future__ import annotations

from typing import Final

from loglease.gateway.asked import Asked
from loglease.gateway.errors import QueryInvalid
from loglease.gateway.frontends.loki.queries import Direct, grid_of, metric_question
from loglease.gateway.lines import DERIVED_LEVEL
from loglease.gateway.parameters import Values, wrong
from loglease.gateway.planner import parsed
from loglease.logql import LogQuery
from loglease.logql.metrics import Grid
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

MAX_LIMIT: Final = 5_000

_ALL: Final = Grouping((DERIVED_LEVEL,), without=True)
"""All labels of a stream: the level is a line's own."""


def volume_question(values: Values, now: Instant) -> Asked | Direct:
    """Return what ``index/volume`` asks: one number for the whole time."""
    text, query = _query(values)
    interval = values.interval(now)
    end = interval.end or interval.start
    volume = _volume(values, query, end - interval.start)
    return metric_question(text, volume, Grid.instant(end - 1), is_instant=True, now=now)


def volume_range_question(values: Values, now: Instant) -> Asked | Direct:
    """Return what ``index/volume_range`` asks: a number for each step."""
    text, query = _query(values)
    interval = values.interval(now)
    grid = grid_of(interval.start, interval.end or interval.start, values.seconds("step"))
    return metric_question(text, _volume(values, query, grid.step_ns), grid, is_instant=False, now=now)


def _query(values: Values) -> tuple[str, LogQuery]:
    text = values.text("query", "{}")
    query = parsed(text)
    if not isinstance(query, LogQuery):
        raise QueryInvalid("This takes a log query.", next_step='Write one like {service="pay-api"}.')
    return text, query


def _volume(values: Values, query: LogQuery, range_ns: int) -> Metric:
    if values.text("aggregateBy", "series") != "series":
        raise wrong("aggregateBy", "series")
    named = [one for one in values.text("targetLabels", "").split(",") if one]
    names = tuple(dict.fromkeys(named or [test.name for test in query.selector]))
    counted = RangeAggregation(RangeFunction.BYTES, LogRange(query, range_ns))
    volume = VectorAggregation(VectorFunction.SUM, counted, None, Grouping(names, without=False) if names else _ALL)
    limit = values.limit(most=MAX_LIMIT) or 100
    return VectorAggregation(VectorFunction.SORT_DESC, VectorAggregation(VectorFunction.TOPK, volume, limit))
