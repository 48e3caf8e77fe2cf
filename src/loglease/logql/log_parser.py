"""Log queries, by recursive descent: selectors and the stages of a pipeline."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from loglease.logql import checks
from loglease.logql.cursor import Cursor
from loglease.logql.lexer import Token, TokenKind
from loglease.logql.quantities import quantity
from loglease.logql.syntax import (
    Address,
    AddressFilter,
    BothFilters,
    CompareOp,
    Decolorize,
    Drop,
    EitherFilter,
    Extraction,
    FilterOp,
    JsonParser,
    Keep,
    LabelFilter,
    LabelFilterStage,
    LabelFormat,
    LabelTest,
    LineFilter,
    LineFormat,
    LogfmtParser,
    LogQuery,
    MatchOp,
    PatternParser,
    RegexpParser,
    Renaming,
    Stage,
    Templating,
    Unit,
    Unpack,
    ValueFilter,
)

MAX_STAGES: Final = 200
MAX_TESTS: Final = 100
LINE_OPERATORS: Final = tuple(op.value for op in FilterOp)

_COMPARISONS: Final = ("=", *(op.value for op in CompareOp))
_MATCHES: Final = tuple(op.value for op in MatchOp)


def log_query(cursor: Cursor) -> LogQuery:
    """Read ``selector stage*``, in parentheses or not."""
    if cursor.take_sign("("):
        with cursor.nested():
            query = log_query(cursor)
            cursor.require_sign(")")
            return query
    return LogQuery(selector(cursor), stages(cursor))


def selector(cursor: Cursor) -> tuple[LabelTest, ...]:
    """Read ``{…}``."""
    cursor.require_sign("{")
    if cursor.take_sign("}"):
        return ()
    tests: list[LabelTest] = []
    while True:
        tests.append(_test(cursor, cursor.require_name()))
        if cursor.take_sign("}"):
            return tuple(tests)
        if not cursor.take_sign(","):
            raise cursor.unexpected("',' or '}'")
        if len(tests) >= MAX_TESTS:
            raise cursor.error(f"a selector has at most {MAX_TESTS} matchers")


def stages(cursor: Cursor) -> tuple[Stage, ...]:
    """Read stages as long as there are some; an ``unwrap`` is left to the metric around."""
    found: list[Stage] = []
    while True:
        if cursor.at_sign(*LINE_OPERATORS):
            found.append(_line_filter(cursor))
        elif cursor.at_sign("|") and cursor.after().text.lower() != "unwrap":
            cursor.advance()
            found.append(_stage(cursor))
        else:
            return tuple(found)
        if len(found) > MAX_STAGES:
            raise cursor.error(f"a query has at most {MAX_STAGES} stages")


def label_filter(cursor: Cursor, binding: int = 0) -> LabelFilter:
    """Read a label filter; `and` binds tighter than `or`, a comma or nothing takes all that follows to its right."""
    with cursor.nested():
        left = _single_filter(cursor)
    while True:
        if binding <= _AND and cursor.take_word("and"):
            left = BothFilters(left, label_filter(cursor, _AND + 1))
        elif binding <= _OR and cursor.take_word("or"):
            left = EitherFilter(left, label_filter(cursor, _OR + 1))
        elif cursor.take_sign(",") or _begins_filter(cursor):
            with cursor.nested():
                return BothFilters(left, label_filter(cursor))
        else:
            return left


_OR: Final = 1
_AND: Final = 2


def _begins_filter(cursor: Cursor) -> bool:
    if cursor.at_sign("("):
        return True
    return cursor.next.kind is TokenKind.NAME and cursor.after().text in (*_COMPARISONS, *_MATCHES)


def _single_filter(cursor: Cursor) -> LabelFilter:
    if cursor.take_sign("("):
        inner = label_filter(cursor)
        cursor.require_sign(")")
        return inner
    name = cursor.require_name("a stage or a label name")
    if not cursor.at_sign(*_COMPARISONS, *_MATCHES):
        raise cursor.unexpected("an operator such as =, !=, =~, !~, ==, <, <=, > or >=")
    if cursor.after().kind is TokenKind.STRING:
        return _test(cursor, name)
    operator = cursor.advance()
    if cursor.at_word("ip") and cursor.after().text == "(":
        return _address_filter(cursor, name, operator)
    return _value_filter(cursor, name, operator)


def _test(cursor: Cursor, name: Token) -> LabelTest:
    operator = cursor.take_sign(*_MATCHES)
    if operator is None:
        raise cursor.unexpected("=, !=, =~ or !~")
    op = MatchOp(operator.text)
    value = cursor.require_string()
    if op.by_expression:
        with cursor.checking(value):
            cursor.count_expression(checks.require_expression(value.text), value)
    return LabelTest(name.text, op, value.text)


def _address_filter(cursor: Cursor, name: Token, operator: Token) -> AddressFilter:
    if operator.text not in ("=", "!="):
        raise cursor.error("ip() goes with = and != only", operator)
    return AddressFilter(name.text, operator.text == "=", _address(cursor).pattern)


def _value_filter(cursor: Cursor, name: Token, operator: Token) -> ValueFilter:
    if operator.text in ("=~", "!~"):
        raise cursor.unexpected("a string in double quotes")
    sign = cursor.take_sign("-", "+")
    token = cursor.next
    found = quantity(token.text) if token.kind is TokenKind.NUMBER else None
    if found is None:
        raise cursor.unexpected("a string, a number, a duration such as 5m, or a size such as 10KiB")
    cursor.advance()
    unit, value = found
    if sign is not None and sign.text == "-":
        if unit is Unit.BYTES:
            raise cursor.error("a size is never negative", sign)
        value = -value
    return ValueFilter(name.text, CompareOp("==" if operator.text == "=" else operator.text), unit, value)


def _address(cursor: Cursor) -> Address:
    cursor.advance()
    cursor.require_sign("(")
    pattern = cursor.require_string()
    with cursor.checking(pattern):
        checks.require_address(pattern.text)
    cursor.require_sign(")")
    return Address(pattern.text)


def _line_filter(cursor: Cursor) -> LineFilter:
    op = FilterOp(cursor.advance().text)
    operands = [_operand(cursor, op)]
    while cursor.take_word("or"):
        operands.append(_operand(cursor, op))
        if len(operands) > MAX_STAGES:
            raise cursor.error(f"a line filter has at most {MAX_STAGES} operands")
    return LineFilter(op, tuple(operands))


def _operand(cursor: Cursor, op: FilterOp) -> str | Address:
    if cursor.at_word("ip"):
        if op not in (FilterOp.HOLDS, FilterOp.LACKS):
            raise cursor.error("ip() goes with |= and != only")
        return _address(cursor)
    token = cursor.require_string()
    with cursor.checking(token):
        if op in (FilterOp.MATCHES, FilterOp.NOT_MATCHES):
            cursor.count_expression(checks.require_expression(token.text), token)
        elif op in (FilterOp.FITS, FilterOp.NOT_FITS):
            cursor.count_expression(checks.require_line_pattern(token.text), token)
    return token.text


def _stage(cursor: Cursor) -> Stage:
    read = _STAGES.get(cursor.next.text.lower()) if cursor.next.kind is TokenKind.NAME else None
    if read is None:
        return LabelFilterStage(label_filter(cursor))
    cursor.advance()
    return read(cursor)


def _json(cursor: Cursor) -> JsonParser:
    return JsonParser(_extractions(cursor, checks.require_path))


def _logfmt(cursor: Cursor) -> LogfmtParser:
    flags = set()
    while cursor.next.kind is TokenKind.FLAG:
        if cursor.next.text not in ("--strict", "--keep-empty") or cursor.next.text in flags:
            raise cursor.unexpected("--strict or --keep-empty, each once")
        flags.add(cursor.advance().text)
    return LogfmtParser("--strict" in flags, "--keep-empty" in flags, _extractions(cursor, checks.require_key))


def _extractions(cursor: Cursor, check: Callable[[str], None]) -> tuple[Extraction, ...]:
    if cursor.next.kind is not TokenKind.NAME:
        return ()
    found = []
    while True:
        name = cursor.require_name()
        path = name
        if cursor.take_sign("="):
            path = cursor.require_string()
        with cursor.checking(path):
            check(path.text)
        found.append(Extraction(name.text, path.text))
        if not cursor.take_sign(","):
            return tuple(found)


def _regexp(cursor: Cursor) -> RegexpParser:
    token = cursor.require_string()
    with cursor.checking(token):
        cursor.count_expression(checks.require_capturing(token.text), token)
    return RegexpParser(token.text)


def _pattern(cursor: Cursor) -> PatternParser:
    token = cursor.require_string()
    with cursor.checking(token):
        checks.require_pattern(token.text)
    return PatternParser(token.text)


def _line_format(cursor: Cursor) -> LineFormat:
    return LineFormat(_template(cursor))


def _template(cursor: Cursor) -> str:
    token = cursor.require_string()
    with cursor.checking(token):
        checks.require_template(token.text)
    return token.text


def _label_format(cursor: Cursor) -> LabelFormat:
    sets: list[Renaming | Templating] = []
    seen: set[str] = set()
    while True:
        target = cursor.require_name()
        if target.text in seen:
            raise cursor.error(f"label_format sets {target.text} twice", target)
        if target.text.startswith("__error"):
            raise cursor.error(f"{target.text} cannot be set", target)
        seen.add(target.text)
        cursor.require_sign("=")
        if cursor.next.kind is TokenKind.STRING:
            sets.append(Templating(target.text, _template(cursor)))
        else:
            sets.append(Renaming(target.text, cursor.require_name("a label name or a string").text))
        if not cursor.take_sign(","):
            return LabelFormat(tuple(sets))


def _decolorize(_: Cursor) -> Decolorize:
    return Decolorize()


def _unpack(_: Cursor) -> Unpack:
    return Unpack()


def _drop(cursor: Cursor) -> Drop:
    return Drop(_names(cursor))


def _keep(cursor: Cursor) -> Keep:
    return Keep(_names(cursor))


def _names(cursor: Cursor) -> tuple[str | LabelTest, ...]:
    found: list[str | LabelTest] = []
    while True:
        name = cursor.require_name()
        found.append(_test(cursor, name) if cursor.at_sign(*_MATCHES) else name.text)
        if not cursor.take_sign(","):
            return tuple(found)


_STAGES: Final[dict[str, Callable[[Cursor], Stage]]] = {
    "json": _json,
    "logfmt": _logfmt,
    "regexp": _regexp,
    "pattern": _pattern,
    "unpack": _unpack,
    "line_format": _line_format,
    "label_format": _label_format,
    "decolorize": _decolorize,
    "drop": _drop,
    "keep": _keep,
}
