"""What makes a number of the samples in a window, and of the numbers of a group."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from loglease.logql.syntax import RangeFunction, VectorFunction

Samples = Sequence[tuple[int, float]]
"""Time in nanoseconds and number, in ascending order of times; never empty."""


def mean(values: Sequence[float]) -> float:
    """Return the mean, also of numbers whose sum would be infinite."""
    total = math.fsum(values) if all(map(math.isfinite, values)) else sum(values)
    return total / len(values)


def variance(values: Sequence[float]) -> float:
    """Return the variance of a population, by Welford's method."""
    average = spread = 0.0
    for number, value in enumerate(values, start=1):
        delta = value - average
        average += delta / number
        spread += delta * (value - average)
    return spread / len(values)


def quantile(share: float, values: Sequence[float]) -> float:
    """Return the value below which so large a share lies, between two in proportion; what is no number is lowest."""
    if math.isnan(share):
        return math.nan
    if share < 0:
        return -math.inf
    if share > 1:
        return math.inf
    ordered = sorted(values, key=lambda value: (not math.isnan(value), value))
    rank = share * (len(ordered) - 1)
    low = math.floor(rank)
    weight = rank - low
    if weight == 0:
        return ordered[low]
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] * (1 - weight) + ordered[high] * weight


def smallest(values: Sequence[float]) -> float:
    """Return the smallest that is a number."""
    return min((value for value in values if not math.isnan(value)), default=math.nan)


def largest(values: Sequence[float]) -> float:
    """Return the largest that is a number."""
    return max((value for value in values if not math.isnan(value)), default=math.nan)


def counter_rate(samples: Samples, end_ns: int, range_ns: int) -> float | None:
    """Return the increase per second of a counter that may start anew, extended to the ends of the window.

    As Prometheus' `rate`: the extension stops half a distance between samples beyond the outer ones where the window
    goes on for longer, and never before the counter would have been 0. None for fewer than two samples.
    """
    if len(samples) < 2:  # noqa: PLR2004 - an increase is between two
        return None
    first, last = samples[0], samples[-1]
    increase = last[1] - first[1]
    previous = first[1]
    for _, value in samples[1:]:
        if value < previous:
            increase += previous
        previous = value
    sampled = (last[0] - first[0]) / 1e9
    if sampled == 0:
        return None
    between = sampled / (len(samples) - 1)
    before = (first[0] - (end_ns - range_ns)) / 1e9
    after = (end_ns - last[0]) / 1e9
    longest = between * 1.1
    before = before if before < longest else between / 2
    after = after if after < longest else between / 2
    if increase > 0 and first[1] >= 0:
        before = min(before, sampled * (first[1] / increase))
    extended = sampled + before + after
    return increase * (extended / sampled) / (range_ns / 1e9)


OVER_TIME: Final[Mapping[RangeFunction, Callable[[Sequence[float]], float]]] = {
    RangeFunction.SUM: sum,
    RangeFunction.AVG: mean,
    RangeFunction.MIN: smallest,
    RangeFunction.MAX: largest,
    RangeFunction.STDVAR: variance,
    RangeFunction.STDDEV: lambda values: math.sqrt(variance(values)),
    RangeFunction.FIRST: lambda values: values[0],
    RangeFunction.LAST: lambda values: values[-1],
}
"""Range functions that need nothing but the numbers in a window."""

OVER_GROUP: Final[Mapping[VectorFunction, Callable[[Sequence[float]], float]]] = {
    VectorFunction.SUM: sum,
    VectorFunction.AVG: mean,
    VectorFunction.MIN: smallest,
    VectorFunction.MAX: largest,
    VectorFunction.COUNT: len,
    VectorFunction.STDVAR: variance,
    VectorFunction.STDDEV: lambda values: math.sqrt(variance(values)),
}
"""Vector functions that make one number of a group."""
