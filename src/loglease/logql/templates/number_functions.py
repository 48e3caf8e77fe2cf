"""Functions on numbers."""

from __future__ import annotations

import math

from loglease.logql.quantities import go_duration, size
from loglease.logql.templates.values import TemplateFailed, Value, as_float, as_whole, count, text, wrapped


def add(*values: Value) -> int:
    """Add whole numbers."""
    return wrapped(sum(map(as_whole, values)))


def sub(first: Value, second: Value) -> int:
    """Subtract whole numbers."""
    return wrapped(as_whole(first) - as_whole(second))


def mul(*values: Value) -> int:
    """Multiply whole numbers."""
    return wrapped(math.prod(map(as_whole, values)))


def div(first: Value, second: Value) -> int:
    """Divide whole numbers, cut towards 0."""
    left, right = as_whole(first), as_whole(second)
    if right == 0:
        raise TemplateFailed
    return wrapped(abs(left) // abs(right) * (1 if (left < 0) is (right < 0) else -1))


def mod(first: Value, second: Value) -> int:
    """Return the remainder, with the sign of the first."""
    left, right = as_whole(first), as_whole(second)
    if right == 0:
        raise TemplateFailed
    rest = abs(left) % abs(right)
    return -rest if left < 0 else rest


def largest(*values: Value) -> int:
    """Return the largest whole number."""
    return max(map(as_whole, values))


def smallest(*values: Value) -> int:
    """Return the smallest whole number."""
    return min(map(as_whole, values))


def addf(*values: Value) -> float:
    """Add floats."""
    return sum(map(as_float, values), 0.0)


def subf(first: Value, *others: Value) -> float:
    """Subtract floats from the first."""
    return as_float(first) - sum(map(as_float, others))


def mulf(*values: Value) -> float:
    """Multiply floats."""
    return math.prod(map(as_float, values), start=1.0)


def divf(first: Value, *others: Value) -> float:
    """Divide the first by each of the others."""
    result = as_float(first)
    for other in map(as_float, others):
        if other == 0:
            result = math.nan if result == 0 or math.isnan(result) else math.copysign(math.inf, result)
        else:
            result /= other
    return result


def maxf(*values: Value) -> float:
    """Return the largest float."""
    return max(map(as_float, values))


def minf(*values: Value) -> float:
    """Return the smallest float."""
    return min(map(as_float, values))


def ceil(value: Value) -> float:
    """Round up."""
    number = as_float(value)
    return float(math.ceil(number)) if math.isfinite(number) else number


def floor(value: Value) -> float:
    """Round down."""
    number = as_float(value)
    return float(math.floor(number)) if math.isfinite(number) else number


def rounded(value: Value, digits: Value, half: Value = 0.5) -> float:
    """Round to so many digits after the point, up from the half on."""
    number, places = as_float(value), count(digits)
    if not math.isfinite(number) or not -400 < places < 400:  # noqa: PLR2004 - more digits than a float has
        return number
    scale = 10.0 ** min(places, 300)
    scaled = number * scale
    if not math.isfinite(scaled):
        return number
    whole = math.trunc(scaled)
    if abs(scaled - whole) >= as_float(half):
        whole += 1 if scaled > 0 else -1
    return whole / scale


def bytes_of(value: Value) -> float:
    """Read a size such as ``5KiB`` in bytes."""
    found = size(text(value))
    if found is None:
        raise TemplateFailed
    return float(found)


def seconds_of(value: Value) -> float:
    """Read a duration such as ``1m30s`` in seconds."""
    found = go_duration(text(value))
    if found is None:
        raise TemplateFailed
    return found / 1e9
