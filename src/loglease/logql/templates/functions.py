"""All functions of templates by name, with how many arguments they take."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

from loglease.logql.templates import builtin_functions as builtin
from loglease.logql.templates import number_functions as numbers
from loglease.logql.templates import text_functions as texts
from loglease.logql.templates import time_functions as times
from loglease.logql.templates.values import Value, as_float, as_whole

ANY: Final = 1 << 16
"""As many arguments as one likes."""


class Signature(NamedTuple):
    """A function and its fewest and most arguments.

    Attributes:
        call: None for the functions that need the line or the clock; evaluation knows them by name.
    """

    call: Callable[..., Value] | None
    fewest: int
    most: int


FUNCTIONS: Final[Mapping[str, Signature]] = MappingProxyType(
    {
        "__line__": Signature(None, 0, 0),
        "__timestamp__": Signature(None, 0, 0),
        "now": Signature(None, 0, 0),
        "fromJson": Signature(None, 1, 1),
        "and": Signature(builtin.all_of, 1, ANY),
        "or": Signature(builtin.any_of, 1, ANY),
        "not": Signature(builtin.negated, 1, 1),
        "eq": Signature(builtin.equal, 2, ANY),
        "ne": Signature(builtin.unequal, 2, 2),
        "lt": Signature(builtin.less, 2, 2),
        "le": Signature(builtin.less_or_equal, 2, 2),
        "gt": Signature(builtin.greater, 2, 2),
        "ge": Signature(builtin.greater_or_equal, 2, 2),
        "len": Signature(builtin.length, 1, 1),
        "index": Signature(builtin.element, 1, ANY),
        "slice": Signature(builtin.part, 1, 4),
        "print": Signature(builtin.joined, 0, ANY),
        "printf": Signature(builtin.filled, 1, ANY),
        "println": Signature(builtin.line_of, 0, ANY),
        "html": Signature(builtin.for_html, 0, ANY),
        "js": Signature(builtin.for_script, 0, ANY),
        "urlquery": Signature(builtin.for_query, 0, ANY),
        "lower": Signature(texts.lower, 1, 1),
        "upper": Signature(texts.upper, 1, 1),
        "title": Signature(texts.title, 1, 1),
        "trim": Signature(texts.trim, 1, 1),
        "trimAll": Signature(texts.trim_all, 2, 2),
        "trimPrefix": Signature(texts.trim_prefix, 2, 2),
        "trimSuffix": Signature(texts.trim_suffix, 2, 2),
        "trunc": Signature(texts.trunc, 2, 2),
        "substr": Signature(texts.substr, 3, 3),
        "replace": Signature(texts.replace, 3, 3),
        "repeat": Signature(texts.repeat, 2, 2),
        "indent": Signature(texts.indent, 2, 2),
        "nindent": Signature(texts.nindent, 2, 2),
        "contains": Signature(texts.contains, 2, 2),
        "hasPrefix": Signature(texts.has_prefix, 2, 2),
        "hasSuffix": Signature(texts.has_suffix, 2, 2),
        "default": Signature(texts.default, 1, ANY),
        "alignLeft": Signature(texts.align_left, 2, 2),
        "alignRight": Signature(texts.align_right, 2, 2),
        "count": Signature(texts.count_matches, 2, 2),
        "regexReplaceAll": Signature(texts.regex_replace_all, 3, 3),
        "regexReplaceAllLiteral": Signature(texts.regex_replace_all_literal, 3, 3),
        "b64enc": Signature(texts.b64enc, 1, 1),
        "b64dec": Signature(texts.b64dec, 1, 1),
        "urlencode": Signature(texts.urlencode, 1, 1),
        "urldecode": Signature(texts.urldecode, 1, 1),
        "ToLower": Signature(texts.lower, 1, 1),
        "ToUpper": Signature(texts.upper, 1, 1),
        "Replace": Signature(texts.replace_some, 4, 4),
        "Trim": Signature(texts.go_trim, 2, 2),
        "TrimLeft": Signature(texts.go_trim_left, 2, 2),
        "TrimRight": Signature(texts.go_trim_right, 2, 2),
        "TrimPrefix": Signature(texts.go_trim_prefix, 2, 2),
        "TrimSuffix": Signature(texts.go_trim_suffix, 2, 2),
        "TrimSpace": Signature(texts.trim, 1, 1),
        "bytes": Signature(numbers.bytes_of, 1, 1),
        "duration": Signature(numbers.seconds_of, 1, 1),
        "duration_seconds": Signature(numbers.seconds_of, 1, 1),
        "int": Signature(as_whole, 1, 1),
        "float64": Signature(as_float, 1, 1),
        "add": Signature(numbers.add, 0, ANY),
        "sub": Signature(numbers.sub, 2, 2),
        "mul": Signature(numbers.mul, 1, ANY),
        "div": Signature(numbers.div, 2, 2),
        "mod": Signature(numbers.mod, 2, 2),
        "max": Signature(numbers.largest, 1, ANY),
        "min": Signature(numbers.smallest, 1, ANY),
        "addf": Signature(numbers.addf, 0, ANY),
        "subf": Signature(numbers.subf, 1, ANY),
        "mulf": Signature(numbers.mulf, 1, ANY),
        "divf": Signature(numbers.divf, 1, ANY),
        "maxf": Signature(numbers.maxf, 1, ANY),
        "minf": Signature(numbers.minf, 1, ANY),
        "ceil": Signature(numbers.ceil, 1, 1),
        "floor": Signature(numbers.floor, 1, 1),
        "round": Signature(numbers.rounded, 2, ANY),
        "date": Signature(times.date, 2, 2),
        "toDate": Signature(times.to_date, 2, 2),
        "toDateInZone": Signature(times.to_date_in_zone, 3, 3),
        "unixToTime": Signature(times.unix_to_time, 1, 1),
        "unixEpoch": Signature(times.epoch_seconds, 1, 1),
        "unixEpochMillis": Signature(times.epoch_milliseconds, 1, 1),
        "unixEpochNanos": Signature(times.epoch_nanoseconds, 1, 1),
    }
)

DECODING: Final = frozenset(("b64dec", "urldecode", "fromJson"))
"""Functions whose result undoes an encoding, so that it is redacted again."""
OF_EXPRESSIONS: Final = frozenset(("count", "regexReplaceAll", "regexReplaceAllLiteral"))
"""Functions that may compile an expression, which takes a while."""
