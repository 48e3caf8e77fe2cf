"""Functions on numbers."""

from __future__ import annotations

import math
from collections.abc import Callable
from decimal import ROUND_HALF_UP, Context, Decimal, DecimalException
from functools import reduce
from typing import Final

from loglease.logql.quantities import go_duration, in_seconds, size
from loglease.logql.templates.values import TemplateFailed, Value, as_float, as_whole, count, text, wrapped


def add(*values: Value) -> int:
    """Add whole numbers."""
    return wrapped(sum(map(as_whole, values)))


def sub(first: Value, second: Value) -> int:
    """Subtract whole numbers."""
    return wrapped(as_whole(first) - as_whole(second))


def mul(*values: Value) -> int:
    """Multiply whole numbers."""
    return reduce(lambda left, right: wrapped(left * right), map(as_whole, values))


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


_DIGITS: Final = 1000
"""More than the digits between the largest and the smallest float."""
_EXACT: Final = Context(prec=_DIGITS, rounding=ROUND_HALF_UP, Emin=-999_999, Emax=999_999)
_SMALLEST: Final = Decimal("1e-16")
"""A quotient has so many digits after the point."""


def addf(*values: Value) -> float:
    """Add in decimal digits."""
    return _as_decimals(_EXACT.add, 0.0, *values)


def subf(first: Value, *others: Value) -> float:
    """Subtract from the first in decimal digits."""
    return _as_decimals(_EXACT.subtract, first, *others)


def mulf(first: Value, *others: Value) -> float:
    """Multiply in decimal digits."""
    return _as_decimals(_EXACT.multiply, first, *others)


def divf(first: Value, *others: Value) -> float:
    """Divide the first by each of the others in decimal digits."""
    return _as_decimals(_quotient, first, *others)


def _quotient(left: Decimal, right: Decimal) -> Decimal:
    if not right:
        raise TemplateFailed
    found = _EXACT.divide(left, right)
    return found.quantize(_SMALLEST, context=_EXACT) if found.adjusted() < _DIGITS // 2 else found


def _as_decimals(operation: Callable[[Decimal, Decimal], Decimal], *values: Value) -> float:
    numbers = [as_float(value) for value in values]
    if not all(map(math.isfinite, numbers)):
        raise TemplateFailed
    try:
        return float(reduce(operation, [Decimal(repr(number)) for number in numbers])) + 0.0
    except (DecimalException, OverflowError) as error:
        raise TemplateFailed from error


def maxf(*values: Value) -> float:
    """Return the largest float; what is no number prevails over all but infinity."""
    return reduce(_larger, map(as_float, values))


def minf(*values: Value) -> float:
    """Return the smallest float; what is no number prevails over all but infinity."""
    return -reduce(_larger, (-as_float(value) for value in values))


def _larger(left: float, right: float) -> float:
    if math.inf in (left, right):
        return math.inf
    if math.isnan(left) or math.isnan(right):
        return math.nan
    if left == right == 0:
        return right if math.copysign(1, left) < 0 else left
    return max(left, right)


def ceil(value: Value) -> float:
    """Round up."""
    number = as_float(value)
    return math.copysign(math.ceil(number), number) if math.isfinite(number) else number


def floor(value: Value) -> float:
    """Round down."""
    number = as_float(value)
    return math.copysign(math.floor(number), number) if math.isfinite(number) else number


def rounded(value: Value, digits: Value, half: Value = 0.5, *_: Value) -> float:
    """Round to so many digits after the point, up from the half on, and so a negative number always down."""
    places = count(digits)
    power = 10.0**places if -_DIGITS < places <= _MOST_PLACES else 0.0 if places < 0 else math.inf
    scaled = as_float(value) * power
    fraction = math.modf(scaled)[0]
    whole = ceil(scaled) if fraction >= as_float(half) else floor(scaled)
    if power == 0 or math.isinf(power):
        return math.nan if math.isinf(power) or whole == 0 else math.copysign(math.inf, whole)
    return whole / power


_MOST_PLACES: Final = 308


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
    return in_seconds(found)
