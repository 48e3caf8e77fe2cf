"""Arithmetic between two numbers, as the query and its evaluation do it."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Final

from loglease.logql.syntax import BinaryOp


def folded(op: BinaryOp, left: float, right: float) -> float:
    """Return the result of an operation that does not work on sets; a comparison gives 1 or 0.

    Dividing by zero, also for a remainder, gives NaN; what is too large is infinite.
    """
    compare = COMPARISONS.get(op)
    if compare is not None:
        return float(compare(left, right))
    return _ARITHMETIC[op](left, right)


def _divided(left: float, right: float) -> float:
    return left / right if right else math.nan


def _remainder(left: float, right: float) -> float:
    if not right or math.isinf(left) or math.isnan(left) or math.isnan(right):
        return math.nan
    return math.fmod(left, right)


def _power(left: float, right: float) -> float:
    try:
        result = math.pow(left, right)
    except OverflowError:
        negative = left < 0 and math.fmod(right, 2) in (1, -1)
        return -math.inf if negative else math.inf
    except ValueError:
        if left == 0:
            odd = math.fmod(right, 2) in (1, -1)
            return math.copysign(math.inf, left) if odd else math.inf
        return math.nan
    return result


COMPARISONS: Final[dict[BinaryOp, Callable[[float, float], bool]]] = {
    BinaryOp.EQUAL: operator.eq,
    BinaryOp.NOT_EQUAL: operator.ne,
    BinaryOp.GREATER: operator.gt,
    BinaryOp.GREATER_OR_EQUAL: operator.ge,
    BinaryOp.LESS: operator.lt,
    BinaryOp.LESS_OR_EQUAL: operator.le,
}
"""The comparisons between numbers."""

_ARITHMETIC: Final[dict[BinaryOp, Callable[[float, float], float]]] = {
    BinaryOp.ADD: operator.add,
    BinaryOp.SUBTRACT: operator.sub,
    BinaryOp.MULTIPLY: operator.mul,
    BinaryOp.DIVIDE: _divided,
    BinaryOp.MODULO: _remainder,
    BinaryOp.POWER: _power,
}
