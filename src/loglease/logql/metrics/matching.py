"""Operations between two sides, at one point in time: which series go together, and what comes of them.

After Prometheus' rules for vector matching.
"""

from __future__ import annotations

from loglease.logql.errors import QueryFailed
from loglease.logql.folding import COMPARISONS, folded
from loglease.logql.metrics.series import Series, Vector, series_of
from loglease.logql.syntax import Binary, BinaryOp, Many, Matching

_ALL: Matching = Matching()


def operated(query: Binary, left: Vector | float, right: Vector | float) -> Vector | float:
    """Return the result of an operation.

    Raises:
        QueryFailed: more than one series could go with another, and the query does not say which side has many.
    """
    if isinstance(left, dict):
        if isinstance(right, dict):
            return _between(query, left, right)
        return _with_number(query, left, right, swapped=False)
    if isinstance(right, dict):
        return _with_number(query, right, left, swapped=True)
    return folded(query.op, left, right)


def _with_number(query: Binary, vector: Vector, number: float, *, swapped: bool) -> Vector:
    made: Vector = {}
    for series, value in vector.items():
        result = _result(query, *((number, value) if swapped else (value, number)), kept=value)
        if result is not None:
            made[series] = result
    return made


def _result(query: Binary, left: float, right: float, *, kept: float) -> float | None:
    """Return a number, or None where a comparison without `bool` drops the series."""
    compare = COMPARISONS.get(query.op)
    if compare is None:
        return folded(query.op, left, right)
    holds = compare(left, right)
    if query.returns_bool:
        return float(holds)
    return kept if holds else None


def _between(query: Binary, left: Vector, right: Vector) -> Vector:
    matching = query.matching or _ALL
    if query.op.of_sets:
        return _of_sets(query.op, matching, left, right)
    if matching.many is Many.RIGHT:
        return _joined(query, matching, many=right, one=left)
    return _joined(query, matching, many=left, one=right)


def _signature(series: Series, matching: Matching) -> Series:
    return tuple(pair for pair in series if (pair[0] in matching.names) is matching.on)


def _of_sets(op: BinaryOp, matching: Matching, left: Vector, right: Vector) -> Vector:
    if op is BinaryOp.OR:
        known = {_signature(series, matching) for series in left}
        others = {series: value for series, value in right.items() if _signature(series, matching) not in known}
        return {**left, **others}
    known = {_signature(series, matching) for series in right}
    wanted = op is BinaryOp.AND
    return {series: value for series, value in left.items() if (_signature(series, matching) in known) is wanted}


def _joined(query: Binary, matching: Matching, *, many: Vector, one: Vector) -> Vector:
    if not many or not one:
        return {}
    ones: dict[Series, tuple[Series, float]] = {}
    for series, value in one.items():
        signature = _signature(series, matching)
        if signature in ones:
            side = "left" if matching.many is Many.RIGHT else "right"
            raise QueryFailed("match_ambiguous", f"several series on the {side} side go with the same labels")
        ones[signature] = series, value
    made: Vector = {}
    met = set()
    for series, value in many.items():
        signature = _signature(series, matching)
        if signature not in ones:
            continue
        partner, other = ones[signature]
        new = _labels(series, partner, signature, matching)
        if new in met:
            raise QueryFailed("match_ambiguous", "several series go with one: add group_left or group_right")
        met.add(new)
        sides = (other, value) if matching.many is Many.RIGHT else (value, other)
        result = _result(query, *sides, kept=sides[0])
        if result is not None:
            made[new] = result
    return made


def _labels(series: Series, partner: Series, signature: Series, matching: Matching) -> Series:
    if matching.many is None:
        return signature
    if not matching.included:
        return series
    labels = dict(series)
    given = dict(partner)
    for name in matching.included:
        labels[name] = given.get(name, "")
    return series_of(labels)
