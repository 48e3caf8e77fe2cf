"""How deep a query is nested in its canonical text, where each operation stands in parentheses."""

from __future__ import annotations

import math
from collections.abc import Sequence

from loglease.logql.syntax import (
    Binary,
    BothFilters,
    EitherFilter,
    LabelFilter,
    LabelFilterStage,
    LabelReplace,
    LogQuery,
    Metric,
    Number,
    Query,
    RangeAggregation,
    Stage,
    VectorAggregation,
)


def depth(query: Query) -> int:
    """Return how many parentheses or functions stand around the innermost part, that part included.

    It works level by level, since what it is asked about may be too deep for recursion.
    """
    found = 0
    level: list[Metric | LabelFilter] = _filters(query.stages) if isinstance(query, LogQuery) else [query]
    while level:
        found += 1
        level = [part for one in level for part in _parts(one)]
    return found


def _parts(one: Metric | LabelFilter) -> Sequence[Metric | LabelFilter]:
    match one:
        case Binary(_, left, right) | BothFilters(left, right) | EitherFilter(left, right):
            return left, right
        case VectorAggregation() | LabelReplace():
            return (one.inner,)
        case RangeAggregation():
            unwrap = one.range.unwrap
            return [*_filters(one.range.query.stages), *(unwrap.filters if unwrap else ())]
        case Number(value) if not math.isfinite(value):
            # Only arithmetic can write it.
            return (Number(0),)
    return ()


def _filters(stages: Sequence[Stage]) -> list[Metric | LabelFilter]:
    return [stage.test for stage in stages if isinstance(stage, LabelFilterStage)]
