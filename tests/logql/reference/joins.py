"""Operations between two vectors, and between a vector and a number, as PromQL defines them."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping

from loglease.logql.syntax import Binary, BinaryOp, Many, Matching

Labels = tuple[tuple[str, str], ...]
Numbers = dict[Labels, float]


class Refused(Exception):
    """The query cannot be answered."""


def _power(base: float, exponent: float) -> float:
    odd = exponent.is_integer() and exponent % 2 == 1
    try:
        return math.pow(base, exponent)
    except OverflowError:
        return -math.inf if base < 0 and odd else math.inf
    except ValueError:
        if base == 0:
            return math.copysign(math.inf, base) if odd else math.inf
        return math.nan


COMPUTED: dict[BinaryOp, Callable[[float, float], float]] = {
    BinaryOp.ADD: operator.add,
    BinaryOp.SUBTRACT: operator.sub,
    BinaryOp.MULTIPLY: operator.mul,
    BinaryOp.DIVIDE: lambda left, right: math.nan if right == 0 else left / right,
    BinaryOp.MODULO: lambda left, right: math.nan if right == 0 or not math.isfinite(left) else math.fmod(left, right),
    BinaryOp.POWER: _power,
    BinaryOp.EQUAL: operator.eq,
    BinaryOp.NOT_EQUAL: operator.ne,
    BinaryOp.GREATER: operator.gt,
    BinaryOp.GREATER_OR_EQUAL: operator.ge,
    BinaryOp.LESS: operator.lt,
    BinaryOp.LESS_OR_EQUAL: operator.le,
}


def computed(op: BinaryOp, left: float, right: float) -> float:
    """Compute an operation; a comparison gives 1 or 0."""
    return float(COMPUTED[op](left, right))


def with_number(query: Binary, numbers: Numbers, number: float, *, number_is_left: bool) -> Numbers:
    """Join each series with a number; a comparison without `bool` keeps the series for which it holds."""
    found: Numbers = {}
    for labels, value in numbers.items():
        made = computed(query.op, number, value) if number_is_left else computed(query.op, value, number)
        if query.op.comparing and not query.returns_bool:
            if made:
                found[labels] = value
        else:
            found[labels] = made
    return found


def _signature(labels: Labels, matching: Matching) -> Labels:
    return tuple((name, value) for name, value in labels if (name in matching.names) is matching.on)


def joined(query: Binary, left: Numbers, right: Numbers) -> Numbers:
    """Join two vectors."""
    matching = query.matching or Matching()
    lefts = {_signature(labels, matching) for labels in left}
    rights = {_signature(labels, matching) for labels in right}
    match query.op:
        case BinaryOp.AND:
            return {labels: value for labels, value in left.items() if _signature(labels, matching) in rights}
        case BinaryOp.UNLESS:
            return {labels: value for labels, value in left.items() if _signature(labels, matching) not in rights}
        case BinaryOp.OR:
            added = {labels: value for labels, value in right.items() if _signature(labels, matching) not in lefts}
            return left | added
    return _matched(query, matching, left, right)


def _matched(query: Binary, matching: Matching, left: Numbers, right: Numbers) -> Numbers:
    if not left or not right:
        return {}
    many, one = (right, left) if matching.many is Many.RIGHT else (left, right)
    partners: dict[Labels, tuple[Labels, float]] = {}
    for labels, value in one.items():
        signature = _signature(labels, matching)
        if signature in partners:
            raise Refused("two series on the side that may have one")
        partners[signature] = (labels, value)
    found: Numbers = {}
    results: set[Labels] = set()
    for labels, value in many.items():
        partner = partners.get(_signature(labels, matching))
        if partner is None:
            continue
        # As in Prometheus' engine, two that go with one are refused before a comparison drops either.
        named = _named(dict(labels), dict(partner[0]), matching)
        if named in results:
            raise Refused("two results are the same series")
        results.add(named)
        first, second = (partner[1], value) if matching.many is Many.RIGHT else (value, partner[1])
        made = computed(query.op, first, second)
        if query.op.comparing and not query.returns_bool:
            if not made:
                continue
            made = first
        found[named] = made
    return found


def _named(many: dict[str, str], one: Mapping[str, str], matching: Matching) -> Labels:
    if matching.many is None:
        return _signature(tuple(sorted(many.items())), matching)
    for name in matching.included:
        many.pop(name, None)
        if name in one:
            many[name] = one[name]
    return tuple(sorted(many.items()))
