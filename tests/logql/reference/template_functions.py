"""The functions of templates that generated queries use, each as its documentation describes it."""

from __future__ import annotations

import base64
import math
import re
import urllib.parse
from collections.abc import Callable
from decimal import Decimal

from tests.logql.reference.values import expanded

Value = str | int | float | bool | dict[str, str] | None


class Failed(Exception):
    """A function cannot take these arguments."""


def truth(value: Value) -> bool:
    """Say whether a condition holds: what is not empty, zero or false."""
    return bool(value)


def shown(value: Value) -> str:
    """Write a value as templates do."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return _shown_float(value)
    if isinstance(value, dict):
        return "map[" + " ".join(f"{name}:{text}" for name, text in sorted(value.items())) + "]"
    return str(value)


def _shown_float(value: float) -> str:
    """Write a float with the fewest digits that read back, with an exponent below 1e-4 and from 1e21."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    if value == 0:
        return "-0" if math.copysign(1, value) < 0 else "0"
    sign, digits, exponent = Decimal(repr(value)).as_tuple()
    text = "".join(map(str, digits)).rstrip("0") or "0"
    point = len(digits) + int(exponent)
    if -4 <= point - 1 < 21:
        plain = format(Decimal(repr(value)), "f")
        return plain.rstrip("0").rstrip(".") if "." in plain else plain
    power = point - 1
    body = text[0] + ("." + text[1:] if len(text) > 1 else "")
    return f"{'-' if sign else ''}{body}e{'-' if power < 0 else '+'}{abs(power):02d}"


def _text(value: Value) -> str:
    if not isinstance(value, str):
        raise Failed
    return value


def _count(value: Value) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise Failed
    return value


def _whole(value: Value) -> int:
    """Convert as arithmetic on whole numbers does; what is none counts as 0."""
    if isinstance(value, float):
        return int(value)
    if isinstance(value, int):
        return int(value)
    return int(value.partition(".")[0]) if isinstance(value, str) and re.fullmatch(r"-?\d+(\.0+)?", value) else 0


def _floating(value: Value) -> float:
    if isinstance(value, str):
        return float(value) if re.fullmatch(r"-?\d+(\.\d*)?([eE][-+]?\d+)?", value) else 0.0
    return float(value) if isinstance(value, (int, float)) else 0.0


def _default(instead: Value, value: Value = "") -> Value:
    return value if truth(value) else instead


def _substr(start: Value, end: Value, text: Value) -> str:
    first, last, characters = _count(start), _count(end), list(_text(text))
    if first < 0 and last < 0:
        return ""
    stop = len(characters) if last < 0 else last
    return "".join(one for place, one in enumerate(characters) if first <= place < stop)


def _trunc(count: Value, text: Value) -> str:
    kept, characters = _count(count), list(_text(text))
    skipped = max(0, len(characters) + kept) if kept < 0 else 0
    return "".join(one for place, one in enumerate(characters) if place >= skipped and (kept < 0 or place < kept))


def _align_left(count: Value, text: Value) -> str:
    return _text(text)[: _count(count)].ljust(_count(count))


def _align_right(count: Value, text: Value) -> str:
    return _text(text).rjust(_count(count))[-_count(count) :]


def _divided(left: Value, right: Value) -> int:
    dividend, divisor = _whole(left), _whole(right)
    if divisor == 0:
        raise Failed
    quotient = abs(dividend) // abs(divisor)
    return quotient if (dividend < 0) is (divisor < 0) else -quotient


def _remainder(left: Value, right: Value) -> int:
    return _whole(left) - _divided(left, right) * _whole(right)


def _divided_floats(left: Value, right: Value) -> float:
    dividend, divisor = _floating(left), _floating(right)
    if divisor == 0:
        return math.nan if dividend == 0 else math.copysign(math.inf, dividend)
    return dividend / divisor


def _and(*values: Value) -> Value:
    return next((value for value in values if not truth(value)), values[-1])


def _or(*values: Value) -> Value:
    return next((value for value in values if truth(value)), values[-1])


def _equal(left: Value, *others: Value) -> bool:
    if any(type(left) is not type(other) for other in others):
        raise Failed
    return any(left == other for other in others)


def _less(left: Value, right: Value) -> bool:
    if isinstance(left, str) and isinstance(right, str):
        return left.encode() < right.encode()
    if isinstance(left, (int, float)) and type(left) is type(right):
        return left < right  # type: ignore[operator]
    raise Failed


def _length(value: Value) -> int:
    if isinstance(value, str):
        return len(value.encode())
    if isinstance(value, dict):
        return len(value)
    raise Failed


def _printf(form: Value, *values: Value) -> str:
    rest = list(values)

    def one(match: re.Match[str]) -> str:
        value = rest.pop(0)
        width = int(match[1] or "0")
        text = shown(value)
        return text.ljust(-width) if width < 0 else text.rjust(width)

    return re.sub(r"%(-?\d*)[sdv]", one, _text(form))


def _replaced(expression: Value, text: Value, replacement: Value) -> str:
    into = _text(replacement)
    return re.sub(_text(expression), lambda match: expanded(into, match), _text(text), flags=re.ASCII)


FUNCTIONS: dict[str, Callable[..., Value]] = {
    "lower": lambda text: _text(text).lower(),
    "upper": lambda text: _text(text).upper(),
    "ToLower": lambda text: _text(text).lower(),
    "ToUpper": lambda text: _text(text).upper(),
    "trim": lambda text: _text(text).strip(" \t\r\n"),
    "TrimSpace": lambda text: _text(text).strip(" \t\r\n"),
    "trimPrefix": lambda prefix, text: _text(text).removeprefix(_text(prefix)),
    "trimSuffix": lambda suffix, text: _text(text).removesuffix(_text(suffix)),
    "TrimPrefix": lambda text, prefix: _text(text).removeprefix(_text(prefix)),
    "trimAll": lambda cut, text: _text(text).strip(_text(cut)),
    "Trim": lambda text, cut: _text(text).strip(_text(cut)),
    "replace": lambda old, new, text: _text(text).replace(_text(old), _text(new)),
    "Replace": lambda text, old, new, count: _text(text).replace(_text(old), _text(new), _count(count)),
    "repeat": lambda count, text: _text(text) * _count(count),
    "contains": lambda part, text: _text(part) in _text(text),
    "hasPrefix": lambda part, text: _text(text).startswith(_text(part)),
    "hasSuffix": lambda part, text: _text(text).endswith(_text(part)),
    "default": _default,
    "substr": _substr,
    "trunc": _trunc,
    "alignLeft": _align_left,
    "alignRight": _align_right,
    "indent": lambda count, text: "\n".join(" " * _count(count) + line for line in _text(text).split("\n")),
    "count": lambda expression, text: len(re.findall(_text(expression), _text(text), flags=re.ASCII)),
    "regexReplaceAll": _replaced,
    "b64enc": lambda text: base64.b64encode(_text(text).encode()).decode(),
    "b64dec": lambda text: base64.b64decode(_text(text).encode()).decode(),
    "urlencode": lambda text: urllib.parse.quote_plus(_text(text), safe="~"),
    "urldecode": lambda text: urllib.parse.unquote_plus(_text(text)),
    "int": _whole,
    "float64": _floating,
    "add": lambda *values: sum(map(_whole, values)),
    "sub": lambda left, right: _whole(left) - _whole(right),
    "mul": lambda *values: math.prod(map(_whole, values)),
    "div": _divided,
    "mod": _remainder,
    "max": lambda *values: max(map(_whole, values)),
    "min": lambda *values: min(map(_whole, values)),
    "addf": lambda *values: math.fsum(map(_floating, values)),
    "subf": lambda left, right: _floating(left) - _floating(right),
    "mulf": lambda *values: math.prod(map(_floating, values)),
    "divf": _divided_floats,
    "ceil": lambda value: float(math.ceil(_floating(value))),
    "floor": lambda value: float(math.floor(_floating(value))),
    "and": _and,
    "or": _or,
    "not": lambda value: not truth(value),
    "eq": _equal,
    "ne": lambda left, right: not _equal(left, right),
    "lt": _less,
    "gt": lambda left, right: _less(right, left),
    "len": _length,
    "print": lambda *values: "".join(map(shown, values)),
    "printf": _printf,
}
