"""Vector functions and `label_replace`, at one point in time."""

from __future__ import annotations

import math
from collections.abc import Callable

from loglease.logql.errors import QueryFailed
from loglease.logql.expressions import expander, whole_value
from loglease.logql.metrics.functions import OVER_GROUP
from loglease.logql.metrics.series import Series, Vector, grouped, series_of
from loglease.logql.syntax import LabelReplace, VectorAggregation, VectorFunction


def aggregated(query: VectorAggregation, vector: Vector) -> Vector:
    """Return what a vector function makes of a vector."""
    function = query.function
    if function in (VectorFunction.SORT, VectorFunction.SORT_DESC):
        by = _highest_first if function is VectorFunction.SORT_DESC else _lowest_first
        return dict(sorted(vector.items(), key=by))
    groups: dict[Series, list[tuple[Series, float]]] = {}
    for series, value in vector.items():
        groups.setdefault(grouped(series, query.grouping), []).append((series, value))
    if function in OVER_GROUP:
        fold = OVER_GROUP[function]
        return {group: float(fold([value for _, value in members])) for group, members in groups.items()}
    lowest = function is VectorFunction.BOTTOMK
    chosen: Vector = {}
    for members in groups.values():
        chosen.update(sorted(members, key=_lowest_first if lowest else _highest_first)[: query.parameter])
    return chosen


def _lowest_first(item: tuple[Series, float]) -> tuple[bool, float, Series]:
    return math.isnan(item[1]), item[1], item[0]


def _highest_first(item: tuple[Series, float]) -> tuple[bool, float, Series]:
    return math.isnan(item[1]), -item[1], item[0]


def replacer(query: LabelReplace) -> Callable[[Vector], Vector]:
    """Return what `label_replace` does to a vector.

    Raises (what is returned):
        QueryFailed: two series would have the same labels.
    """
    expression = whole_value(query.pattern)
    fill = expander(expression, query.replacement)

    def replace(vector: Vector) -> Vector:
        made: Vector = {}
        for series, value in vector.items():
            labels = dict(series)
            source = labels.get(query.source, "").encode()
            spans = expression.fullmatch(source)
            if spans is not None:
                labels[query.target] = fill(source, spans).decode("utf-8", "replace")
            new = series_of(labels)
            if new in made:
                raise QueryFailed("series_doubled", "label_replace gives two series the same labels")
            made[new] = value
        return made

    return replace
