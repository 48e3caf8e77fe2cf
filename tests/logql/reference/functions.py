"""The functions over ranges and over vectors, and `label_replace`."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise

from tests.logql.reference.joins import Labels, Numbers, Refused
from tests.logql.reference.values import expanded

from loglease.logql.syntax import (
    Grouping,
    LabelReplace,
    RangeAggregation,
    RangeFunction,
    VectorAggregation,
    VectorFunction,
)

Points = Sequence[tuple[int, float]]


def series(labels: Mapping[str, str]) -> Labels:
    """Return labels as the name of a series; an empty one is as good as missing."""
    return tuple(sorted((name, value) for name, value in labels.items() if value))


def group_of(labels: Mapping[str, str], grouping: Grouping) -> dict[str, str]:
    """Return the labels that a grouping keeps."""
    return {name: value for name, value in labels.items() if (name in grouping.names) is not grouping.without}


def over_range(query: RangeAggregation, points: Points, start: int, end: int) -> float | None:
    """Return the number for the samples of one series within (start, end], None if it has none."""
    numbers = [value for _, value in points]
    match query.function:
        case RangeFunction.RATE | RangeFunction.BYTES_RATE:
            return math.fsum(numbers) / ((end - start) / 1e9)
        case RangeFunction.QUANTILE:
            assert query.parameter is not None
            return quantile(query.parameter, numbers)
        case RangeFunction.RATE_COUNTER:
            return counter_rate(points, start, end)
    return OF_NUMBERS[query.function](numbers)


def mean(numbers: Sequence[float]) -> float:
    """Return the mean."""
    return math.fsum(numbers) / len(numbers)


def variance(numbers: Sequence[float]) -> float:
    """Return the variance of a whole population."""
    middle = mean(numbers)
    return math.fsum((number - middle) ** 2 for number in numbers) / len(numbers)


OF_NUMBERS: dict[RangeFunction, Callable[[Sequence[float]], float]] = {
    RangeFunction.COUNT: lambda numbers: float(len(numbers)),
    RangeFunction.SUM: math.fsum,
    RangeFunction.BYTES: math.fsum,
    RangeFunction.AVG: mean,
    RangeFunction.MIN: min,
    RangeFunction.MAX: max,
    RangeFunction.STDVAR: variance,
    RangeFunction.STDDEV: lambda numbers: math.sqrt(variance(numbers)),
    RangeFunction.FIRST: lambda numbers: numbers[0],
    RangeFunction.LAST: lambda numbers: numbers[-1],
}


def quantile(share: float, numbers: Sequence[float]) -> float:
    """Return a quantile, between two numbers in proportion."""
    if share < 0:
        return -math.inf
    if share > 1:
        return math.inf
    ordered = sorted(numbers)
    rank = share * (len(ordered) - 1)
    lower = math.floor(rank)
    upper = min(lower + 1, len(ordered) - 1)
    weight = rank - lower
    return ordered[lower] * (1 - weight) + ordered[upper] * weight


def counter_rate(points: Points, start: int, end: int) -> float | None:
    """Return how fast a counter grows, as Prometheus' `rate` extrapolates it; nothing for less than two samples."""
    if len(points) < 2:
        return None
    grown = points[-1][1] - points[0][1]
    for (_, before), (_, after) in pairwise(points):
        if after < before:
            grown += before
    sampled = (points[-1][0] - points[0][0]) / 1e9
    if sampled == 0:
        return None
    to_start = (points[0][0] - start) / 1e9
    to_end = (end - points[-1][0]) / 1e9
    between = sampled / (len(points) - 1)
    if to_start >= between * 1.1:
        to_start = between / 2
    if grown > 0 and points[0][1] >= 0:
        # A counter began at zero, so it cannot be continued to before that.
        to_start = min(to_start, sampled * points[0][1] / grown)
    if to_end >= between * 1.1:
        to_end = between / 2
    return grown * (sampled + to_start + to_end) / sampled / ((end - start) / 1e9)


def vector(query: VectorAggregation, numbers: Numbers) -> Numbers:
    """Apply a vector function."""
    if query.function in (VectorFunction.SORT, VectorFunction.SORT_DESC):
        return _sorted(numbers, descending=query.function is VectorFunction.SORT_DESC)
    groups: dict[Labels, dict[Labels, float]] = {}
    for labels, number in numbers.items():
        kept = {} if query.grouping is None else group_of(dict(labels), query.grouping)
        groups.setdefault(series(kept), {})[labels] = number
    found: Numbers = {}
    for group, members in groups.items():
        if query.function in (VectorFunction.TOPK, VectorFunction.BOTTOMK, VectorFunction.APPROX_TOPK):
            assert query.parameter is not None
            descending = query.function is not VectorFunction.BOTTOMK
            # Equal numbers: which of them are taken is not said; here, the first by their labels.
            chosen = list(_sorted(dict(sorted(members.items())), descending=descending).items())
            found |= dict(chosen[: query.parameter])
        else:
            found[group] = _one(query.function, list(members.values()))
    return found


def _sorted(numbers: Numbers, *, descending: bool) -> Numbers:
    """Sort by numbers, NaN last either way; equal ones by labels."""
    real = sorted((item for item in numbers.items() if not math.isnan(item[1])), key=lambda item: item[0])
    real.sort(key=lambda item: item[1], reverse=descending)
    none = sorted((item for item in numbers.items() if math.isnan(item[1])), key=lambda item: item[0])
    return dict(real + none)


def _total(numbers: Sequence[float]) -> float:
    if all(map(math.isfinite, numbers)):
        return math.fsum(numbers)
    return sum(numbers)


def _one(function: VectorFunction, numbers: Sequence[float]) -> float:
    real = [number for number in numbers if not math.isnan(number)]
    match function:
        case VectorFunction.SUM:
            return _total(numbers)
        case VectorFunction.AVG:
            return _total(numbers) / len(numbers)
        case VectorFunction.COUNT:
            return float(len(numbers))
        case VectorFunction.MIN:
            return min(real, default=math.nan)
        case VectorFunction.MAX:
            return max(real, default=math.nan)
        case VectorFunction.STDVAR:
            return variance(numbers) if all(map(math.isfinite, numbers)) else math.nan
        case VectorFunction.STDDEV:
            return math.sqrt(variance(numbers)) if all(map(math.isfinite, numbers)) else math.nan
    raise AssertionError(function)


def label_replace(query: LabelReplace, numbers: Numbers) -> Numbers:
    """Set a label of each series from what an expression finds in another one; it has to match the whole value."""
    found: Numbers = {}
    for labels, number in numbers.items():
        changed = dict(labels)
        match = re.fullmatch(query.pattern, changed.get(query.source, ""), re.ASCII | re.DOTALL)
        if match is not None:
            changed[query.target] = expanded(query.replacement, match)
        named = series(changed)
        if named in found:
            raise Refused("label_replace makes two series the same")
        found[named] = number
    return found
