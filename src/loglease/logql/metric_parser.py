"""Metric queries: ranges, functions over ranges and vectors, and binary operations by precedence."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Final, NamedTuple

from loglease.logql import checks, folding
from loglease.logql.cursor import Cursor
from loglease.logql.lexer import Token, TokenKind
from loglease.logql.log_parser import label_filter, selector, stages
from loglease.logql.quantities import go_duration, long_duration, quantity
from loglease.logql.syntax import (
    Binary,
    BinaryOp,
    Conversion,
    Grouping,
    LabelFilter,
    LabelReplace,
    LogQuery,
    LogRange,
    Many,
    Matching,
    Metric,
    Number,
    RangeAggregation,
    RangeFunction,
    Unit,
    Unwrap,
    Vector,
    VectorAggregation,
    VectorFunction,
)

MAX_SELECTORS: Final = 50

_MOST_COUNTED: Final = (1 << 31) - 1

_PRECEDENCE: Final = {
    BinaryOp.OR: 1,
    BinaryOp.AND: 2,
    BinaryOp.UNLESS: 2,
    BinaryOp.EQUAL: 3,
    BinaryOp.NOT_EQUAL: 3,
    BinaryOp.GREATER: 3,
    BinaryOp.GREATER_OR_EQUAL: 3,
    BinaryOp.LESS: 3,
    BinaryOp.LESS_OR_EQUAL: 3,
    BinaryOp.ADD: 4,
    BinaryOp.SUBTRACT: 4,
    BinaryOp.MULTIPLY: 5,
    BinaryOp.DIVIDE: 5,
    BinaryOp.MODULO: 5,
    BinaryOp.POWER: 6,
}
_PARAMETER_TAKERS: Final = frozenset((VectorFunction.TOPK, VectorFunction.BOTTOMK, VectorFunction.APPROX_TOPK))
_UNGROUPED: Final = frozenset((VectorFunction.SORT, VectorFunction.SORT_DESC, VectorFunction.APPROX_TOPK))
_OF_LINES: Final = frozenset((RangeFunction.COUNT, RangeFunction.BYTES, RangeFunction.BYTES_RATE))
_OF_EITHER: Final = frozenset((RangeFunction.RATE, RangeFunction.ABSENT))
_GROUPED_RANGES: Final = frozenset(
    (
        RangeFunction.AVG,
        RangeFunction.MIN,
        RangeFunction.MAX,
        RangeFunction.STDDEV,
        RangeFunction.STDVAR,
        RangeFunction.QUANTILE,
        RangeFunction.FIRST,
        RangeFunction.LAST,
    )
)


class _Operator(NamedTuple):
    """An operator that waits for its right side."""

    token: Token
    op: BinaryOp
    returns_bool: bool
    matching: Matching | None

    def binds_before(self, later: BinaryOp) -> bool:
        """Say whether it takes what stands between it and a later operator."""
        # The power binds to the right: 2 ^ 3 ^ 2 is 2 ^ (3 ^ 2).
        own, other = _PRECEDENCE[self.op], _PRECEDENCE[later]
        return own > other or (own == other and later is not BinaryOp.POWER)


def metric(cursor: Cursor) -> Metric:
    """Read a metric query: operands and operators between them, joined as these bind."""
    operands = [_single(cursor)]
    waiting: list[_Operator] = []
    while (op := _operator(cursor)) is not None:
        while waiting and waiting[-1].binds_before(op):
            _join(cursor, operands, waiting.pop())
        waiting.append(_Operator(cursor.advance(), op, *_modifiers(cursor, op)))
        operands.append(_single(cursor))
    if cursor.at_sign("["):
        raise cursor.error("subqueries are not part of LogQL; a range follows a log query")
    while waiting:
        _join(cursor, operands, waiting.pop())
    return operands[0]


def _operator(cursor: Cursor) -> BinaryOp | None:
    token = cursor.next
    if token.kind not in (TokenKind.SIGN, TokenKind.NAME):
        return None
    try:
        return BinaryOp(token.text.lower())
    except ValueError:
        return None


def _join(cursor: Cursor, operands: list[Metric], operator: _Operator) -> None:
    """Put the operation in the place of its two sides, the last operands."""
    right, left = operands.pop(), operands.pop()
    token, op, returns_bool, matching = operator
    has_number = isinstance(left, Number) or isinstance(right, Number)
    if has_number and op.of_sets:
        raise cursor.error(f"'{op}' joins series, a number has none", token)
    if has_number and matching is not None:
        raise cursor.error("on and ignoring go between series, a number has no labels", token)
    if isinstance(left, Number) and isinstance(right, Number):
        operands.append(Number(folding.folded(op, left.value, right.value)))
    else:
        operands.append(Binary(op, left, right, returns_bool, matching))


def _modifiers(cursor: Cursor, op: BinaryOp) -> tuple[bool, Matching | None]:
    word = cursor.take_word("bool")
    if word is not None and not op.comparing:
        raise cursor.error("bool goes with comparisons only", word)
    how = cursor.take_word("on", "ignoring")
    if how is None:
        return word is not None, None
    matching = Matching(how.text.lower() == "on", _label_names(cursor))
    many = cursor.take_word("group_left", "group_right")
    if many is not None:
        if op.of_sets:
            raise cursor.error(f"{many.text.lower()} does not go with '{op}'", many)
        included = _label_names(cursor) if cursor.at_sign("(") else ()
        doubled = set(included) & set(matching.names) if matching.on else set()
        if doubled:
            raise cursor.error(f"{min(doubled)} stands in on (…) and in {many.text.lower()} (…) at once", many)
        matching = replace(matching, many=Many(many.text.lower()), included=included)
    return word is not None, matching


def _label_names(cursor: Cursor) -> tuple[str, ...]:
    cursor.require_sign("(")
    if cursor.take_sign(")"):
        return ()
    names = []
    while True:
        names.append(cursor.require_name().text)
        if cursor.take_sign(")"):
            return tuple(names)
        if not cursor.take_sign(","):
            raise cursor.unexpected("',' or ')'")


def _single(cursor: Cursor) -> Metric:
    with cursor.nested():
        return _operand(cursor)


def _operand(cursor: Cursor) -> Metric:
    if cursor.take_sign("("):
        inner = metric(cursor)
        cursor.require_sign(")")
        return inner
    if cursor.at_sign("+", "-") or cursor.next.kind is TokenKind.NUMBER:
        sign = cursor.take_sign("+", "-")
        value = _number(cursor)
        return Number(-value if sign is not None and sign.text == "-" else value)
    token = cursor.next
    if cursor.at_sign("{"):
        raise cursor.error("a metric is expected here, this is a log query; put it into count_over_time(… [5m])")
    if token.kind is not TokenKind.NAME:
        raise cursor.unexpected("a function such as rate, sum or count_over_time, or a number")
    name = token.text.lower()
    if name == "vector":
        return _vector(cursor)
    if name == "label_replace":
        return _label_replace(cursor)
    for functions, read in ((RangeFunction, _range_aggregation), (VectorFunction, _vector_aggregation)):
        if name in list(functions):
            return read(cursor)
    cursor.require_name("a function")
    raise cursor.error(f"'{token.text[:40]}' is no function of LogQL", token)


def _number(cursor: Cursor) -> float:
    found = quantity(cursor.next.text) if cursor.next.kind is TokenKind.NUMBER else None
    if found is None or found[0] is not Unit.NUMBER:
        raise cursor.unexpected("a number")
    cursor.advance()
    return float(found[1])


def _vector(cursor: Cursor) -> Vector:
    cursor.advance()
    cursor.require_sign("(")
    value = _number(cursor)
    cursor.require_sign(")")
    return Vector(value)


def _label_replace(cursor: Cursor) -> LabelReplace:
    cursor.advance()
    cursor.require_sign("(")
    inner = metric(cursor)
    parts = []
    for _ in range(4):
        cursor.require_sign(",")
        parts.append(cursor.require_string())
    cursor.require_sign(")")
    target, replacement, source, pattern = parts
    with cursor.checking(target):
        checks.require_label(target.text)
    with cursor.checking(pattern):
        cursor.count_expression(checks.require_expression(pattern.text), pattern)
    return LabelReplace(inner, target.text, replacement.text, source.text, pattern.text)


def _grouping(cursor: Cursor) -> Grouping | None:
    word = cursor.take_word("by", "without")
    return None if word is None else Grouping(_label_names(cursor), word.text.lower() == "without")


def _vector_aggregation(cursor: Cursor) -> VectorAggregation:
    token = cursor.advance()
    function = VectorFunction(token.text.lower())
    grouping = _grouping(cursor)
    cursor.require_sign("(")
    parameter = None
    if function in _PARAMETER_TAKERS:
        parameter = _count(cursor, function)
        cursor.require_sign(",")
    inner = metric(cursor)
    if cursor.at_sign(","):
        raise cursor.error(f"{function} takes no parameter")
    cursor.require_sign(")")
    if grouping is None:
        grouping = _grouping(cursor)
    if grouping is not None and function in _UNGROUPED:
        raise cursor.error(f"{function} takes no grouping", token)
    return VectorAggregation(function, inner, parameter, grouping)


def _count(cursor: Cursor, function: VectorFunction) -> int:
    token = cursor.next
    found = quantity(token.text) if token.kind is TokenKind.NUMBER and token.text.isdecimal() else None
    if found is None or not 0 < found[1] <= _MOST_COUNTED:
        raise cursor.unexpected(f"how many {function} returns, a whole number from 1 to {_MOST_COUNTED}")
    cursor.advance()
    return int(found[1])


def _range_aggregation(cursor: Cursor) -> RangeAggregation:
    token = cursor.advance()
    function = RangeFunction(token.text.lower())
    cursor.require_sign("(")
    parameter = None
    if cursor.next.kind is TokenKind.NUMBER or cursor.at_sign("-", "+"):
        sign = cursor.take_sign("-", "+")
        parameter = _number(cursor) * (-1 if sign is not None and sign.text == "-" else 1)
        cursor.require_sign(",")
    inner = log_range(cursor)
    cursor.require_sign(")")
    grouping = _grouping(cursor)
    _require_fitting(cursor, token, RangeAggregation(function, inner, parameter, grouping))
    return RangeAggregation(function, inner, parameter, grouping)


def _require_fitting(cursor: Cursor, token: Token, made: RangeAggregation) -> None:
    function = made.function
    if made.range.unwrap is None and function not in _OF_LINES | _OF_EITHER:
        raise cursor.error(f"{function} needs numbers: add | unwrap LABEL before the range", token)
    if made.range.unwrap is not None and function in _OF_LINES:
        raise cursor.error(f"{function} counts lines, it takes no unwrap", token)
    if (made.parameter is None) is (function is RangeFunction.QUANTILE):
        what = "a quantile such as 0.99 first" if function is RangeFunction.QUANTILE else "no parameter"
        raise cursor.error(f"{function} takes {what}", token)
    if made.grouping is not None and function not in _GROUPED_RANGES:
        raise cursor.error(f"{function} takes no grouping; put it into sum by (…) (…)", token)


def log_range(cursor: Cursor) -> LogRange:
    """Read a log query with its range; stages and unwrap come before the range, or after it and its offset."""
    return _log_range(cursor, _parentheses_around_range(cursor))


def _log_range(cursor: Cursor, parentheses: int) -> LogRange:
    if parentheses and cursor.take_sign("("):
        with cursor.nested():
            found = _log_range(cursor, parentheses - 1)
            cursor.require_sign(")")
        return found
    query, unwrap, closed = _ranged(cursor)
    range_ns = _range(cursor)
    offset_ns = _offset(cursor)
    if not query.stages and unwrap is None:
        query = LogQuery(query.selector, stages(cursor))
    if unwrap is None:
        unwrap = _unwrap(cursor)
    if not closed and cursor.at_word("offset"):
        offset_ns = _offset(cursor)
    return LogRange(query, range_ns, offset_ns, unwrap)


def _parentheses_around_range(cursor: Cursor) -> int:
    """Return how many of the parentheses that open now have the range inside them."""
    depth = 0
    for count in itertools.count():
        token = cursor.after(count)
        if token.kind is TokenKind.SIGN:
            depth += (token.text == "(") - (token.text == ")")
            if token.text == "[":
                return depth
        if depth == 0 or token.kind is TokenKind.END:
            break
    return 0


def _ranged(cursor: Cursor) -> tuple[LogQuery, Unwrap | None, bool]:
    if cursor.take_sign("("):
        with cursor.nested():
            query, unwrap, _ = _ranged(cursor)
            cursor.require_sign(")")
        return query, unwrap, True
    if cursor.next.kind is TokenKind.NAME and cursor.after().text == "(":
        raise cursor.error("a range function takes a log query, no metric; subqueries are not part of LogQL")
    if not cursor.at_sign("{"):
        raise cursor.unexpected('a selector such as {service="pay-api"}')
    return LogQuery(selector(cursor), stages(cursor)), _unwrap(cursor), False


def _range(cursor: Cursor) -> int:
    opening = cursor.next
    if not cursor.take_sign("["):
        raise cursor.unexpected("a range such as [5m]")
    token = cursor.advance()
    found = long_duration(token.text) if token.kind is TokenKind.NUMBER else None
    if found is None:
        raise cursor.error("a range takes whole numbers and units in descending order, such as [1h30m]", token)
    if found <= 0:
        raise cursor.error("a range is longer than 0", token)
    if cursor.at_sign(":"):
        raise cursor.error("subqueries are not part of LogQL; write a range like [5m]")
    if not cursor.take_sign("]"):
        raise cursor.error("this range has no end; write it like [5m]", opening)
    return found


def _offset(cursor: Cursor) -> int:
    if not cursor.take_word("offset"):
        return 0
    sign = cursor.take_sign("-")
    token = cursor.next
    text = token.text if token.kind is TokenKind.NUMBER else ""
    found = go_duration(f"-{text}") if sign else long_duration(text)
    if found is None and not sign:
        found = go_duration(text)
    if found is None:
        raise cursor.unexpected("an offset such as 5m or -1h")
    cursor.advance()
    return found


def _unwrap(cursor: Cursor) -> Unwrap | None:
    if not (cursor.at_sign("|") and cursor.after().text.lower() == "unwrap"):
        return None
    cursor.advance()
    cursor.advance()
    name = cursor.require_name()
    conversion = None
    if cursor.take_sign("("):
        if name.text.lower() not in list(Conversion):
            raise cursor.error("unwrap converts with bytes, duration or duration_seconds", name)
        conversion = Conversion(name.text.lower())
        name = cursor.require_name()
        cursor.require_sign(")")
    filters: list[LabelFilter] = []
    while cursor.take_sign("|"):
        filters.append(label_filter(cursor))
    return Unwrap(name.text, conversion, tuple(filters))
