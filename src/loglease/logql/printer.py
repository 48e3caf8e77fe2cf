"""The canonical text of a query: one line, double quotes, no comments. Parsing it gives the same tree."""

from __future__ import annotations

import math
from collections.abc import Iterable

from loglease.logql.quantities import print_duration, print_number
from loglease.logql.syntax import (
    Address,
    AddressFilter,
    Binary,
    BothFilters,
    Decolorize,
    Drop,
    EitherFilter,
    Extraction,
    Grouping,
    JsonParser,
    Keep,
    LabelFilter,
    LabelFilterStage,
    LabelFormat,
    LabelReplace,
    LabelTest,
    LineFilter,
    LineFormat,
    LogfmtParser,
    LogQuery,
    LogRange,
    Matching,
    Metric,
    Number,
    PatternParser,
    Query,
    RangeAggregation,
    RegexpParser,
    Renaming,
    Stage,
    Templating,
    Unit,
    Unpack,
    Unwrap,
    ValueFilter,
    Vector,
    VectorAggregation,
)

_ESCAPES = str.maketrans({"\0": "\\x00", "\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"})


def print_query(query: Query) -> str:
    """Write a query so that `parse` gives the same one back, unless the text is longer than a query may be."""
    return _log(query) if isinstance(query, LogQuery) else _metric(query)


def print_selector(tests: Iterable[LabelTest]) -> str:
    """Write a selector."""
    return "{" + ", ".join(map(_test, tests)) + "}"


def _log(query: LogQuery) -> str:
    return " ".join((print_selector(query.selector), *map(_stage, query.stages)))


def _quoted(text: str) -> str:
    return f'"{text.translate(_ESCAPES)}"'


def _test(test: LabelTest) -> str:
    return f"{test.name}{test.op}{_quoted(test.value)}"


def _stage(stage: Stage) -> str:
    match stage:
        case LineFilter(op, operands):
            return f"{op} {' or '.join(map(_operand, operands))}"
        case JsonParser(extractions):
            return "| json" + _extractions(extractions)
        case LogfmtParser(strict, keep_empty, extractions):
            flags = (" --strict" if strict else "") + (" --keep-empty" if keep_empty else "")
            return f"| logfmt{flags}{_extractions(extractions)}"
        case RegexpParser(pattern):
            return f"| regexp {_quoted(pattern)}"
        case PatternParser(pattern):
            return f"| pattern {_quoted(pattern)}"
        case Unpack():
            return "| unpack"
        case LabelFilterStage(test):
            return f"| {_filter(test)}"
    return _formatting(stage)


def _formatting(stage: LineFormat | LabelFormat | Decolorize | Drop | Keep) -> str:
    match stage:
        case LineFormat(template):
            return f"| line_format {_quoted(template)}"
        case LabelFormat(sets):
            return "| label_format " + ", ".join(map(_set, sets))
        case Decolorize():
            return "| decolorize"
        case Drop(names):
            return "| drop " + ", ".join(map(_name, names))
        case Keep(names):
            return "| keep " + ", ".join(map(_name, names))


def _operand(operand: str | Address) -> str:
    return f"ip({_quoted(operand.pattern)})" if isinstance(operand, Address) else _quoted(operand)


def _extractions(extractions: tuple[Extraction, ...]) -> str:
    shown = ", ".join(f"{one.name}={_quoted(one.path)}" for one in extractions)
    return f" {shown}" if shown else ""


def _set(one: Renaming | Templating) -> str:
    return f"{one.target}={one.source if isinstance(one, Renaming) else _quoted(one.template)}"


def _name(one: str | LabelTest) -> str:
    return one if isinstance(one, str) else _test(one)


def _filter(test: LabelFilter) -> str:
    match test:
        case LabelTest():
            return _test(test)
        case ValueFilter(name, op, unit, value):
            return f"{name} {op} {_value(unit, value)}"
        case AddressFilter(name, positive, pattern):
            return f"{name} {'=' if positive else '!='} ip({_quoted(pattern)})"
        case BothFilters(left, right):
            return f"({_filter(left)} and {_filter(right)})"
        case EitherFilter(left, right):
            return f"({_filter(left)} or {_filter(right)})"


def _value(unit: Unit, value: float) -> str:
    match unit:
        case Unit.NUMBER:
            return print_number(value)
        case Unit.DURATION:
            return print_duration(int(value))
        case Unit.BYTES:
            return f"{int(value)}B"


def _metric(query: Metric) -> str:
    match query:
        case RangeAggregation(function, log_range, parameter, grouping):
            first = "" if parameter is None else f"{print_number(parameter)}, "
            return f"{function}({first}{_range(log_range)}){_grouping(grouping)}"
        case VectorAggregation(function, inner, parameter, grouping):
            first = "" if parameter is None else f"{parameter}, "
            return f"{function}{_grouping(grouping)}({first}{_metric(inner)})"
        case Binary(op, left, right, returns_bool, matching):
            modifiers = (" bool" if returns_bool else "") + _matching(matching)
            return f"({_metric(left)} {op}{modifiers} {_metric(right)})"
        case Number(value):
            return _number(value)
        case Vector(value):
            return f"vector({print_number(value)})"
        case LabelReplace(inner, target, replacement, source, pattern):
            texts = ", ".join(map(_quoted, (target, replacement, source, pattern)))
            return f"label_replace({_metric(inner)}, {texts})"


def _number(value: float) -> str:
    """Write a number; one that only arithmetic can make, as arithmetic that makes it again."""
    if math.isnan(value):
        return "(0 / 0)"
    if math.isinf(value):
        return "(10 ^ 999)" if value > 0 else "(-10 ^ 999)"
    return print_number(value)


def _range(one: LogRange) -> str:
    offset = f" offset {print_duration(one.offset_ns)}" if one.offset_ns else ""
    unwrap = "" if one.unwrap is None else f" {_unwrap(one.unwrap)}"
    return f"{_log(one.query)}{unwrap} [{print_duration(one.range_ns)}]{offset}"


def _unwrap(unwrap: Unwrap) -> str:
    label = unwrap.label if unwrap.conversion is None else f"{unwrap.conversion}({unwrap.label})"
    return " ".join((f"| unwrap {label}", *(f"| {_filter(one)}" for one in unwrap.filters)))


def _grouping(grouping: Grouping | None) -> str:
    if grouping is None:
        return ""
    return f" {'without' if grouping.without else 'by'} ({', '.join(grouping.names)})"


def _matching(matching: Matching | None) -> str:
    if matching is None:
        return ""
    shown = f" {'on' if matching.on else 'ignoring'} ({', '.join(matching.names)})"
    return shown if matching.many is None else f"{shown} {matching.many} ({', '.join(matching.included)})"
