"""Values as Go writes them: by themselves, and in the verbs of ``printf``."""

from __future__ import annotations

import math
import re
from decimal import Decimal
from typing import Final

from loglease.logql.templates.dates import written_moment
from loglease.logql.templates.values import Moment, Value, within_limit

_VERB = re.compile(r"%([-+# 0]*)(\d{1,7})?(?:\.(\d{0,7}))?(.)", re.DOTALL)
_KINDS: Final = {bool: "bool", int: "int", float: "float64", str: "string"}


def written(value: Value) -> str:
    """Write a value as Go prints it."""
    match value:
        case str():
            return value
        case None:
            return "<no value>"
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case float():
            return written_float(value)
        case Moment():
            return written_moment(value)
    return _written_group(value)


def _written_group(value: list[Value] | dict[str, Value]) -> str:
    if isinstance(value, dict):
        return "map[" + " ".join(f"{key}:{_inner(value[key])}" for key in sorted(value)) + "]"
    return "[" + " ".join(_inner(one) for one in value) + "]"


def _inner(value: Value) -> str:
    return "<nil>" if value is None else written(value)


def written_float(value: float) -> str:
    """Write a float with the fewest digits that tell it apart, with an exponent below 1e-4 and from 1e21 on."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    digits = Decimal(repr(value))
    exponent = digits.adjusted() if value else 0
    if value and not -4 <= exponent < 21:  # noqa: PLR2004 - Go's own limits
        mantissa = format(digits.scaleb(-exponent).normalize(), "f")
        return f"{mantissa}e{'-' if exponent < 0 else '+'}{abs(exponent):02d}"
    shown = format(digits, "f")
    return (shown.rstrip("0").rstrip(".") if "." in shown else shown) or "0"


def formatted(layout: str, values: tuple[Value, ...]) -> str:
    """Fill values into the verbs of a layout, and say in Go's way what does not fit."""
    remaining = list(values)
    size = 0

    def fill(match: re.Match[str]) -> str:
        nonlocal size
        flags, width, precision, verb = match.groups()
        if verb == "%":
            return "%"
        if not remaining:
            return f"%!{verb}(MISSING)"
        digits = None if precision is None else int(precision or 0)
        size += within_limit(int(width or 0)) + within_limit(digits or 0)
        within_limit(size)
        return _padded(_verb(verb, flags, digits, remaining.pop(0)), flags, int(width or 0))

    filled = _VERB.sub(fill, layout)
    if remaining:
        filled += "%!(EXTRA " + ", ".join(f"{_kind(one)}={written(one)}" for one in remaining) + ")"
    return filled


def _padded(shown: str, flags: str, width: int) -> str:
    if "-" in flags:
        return shown.ljust(width)
    if "0" in flags and shown[1:].replace(".", "").isdigit():
        sign = shown[0] if shown[0] in "+-" else ""
        return sign + shown.removeprefix(sign).rjust(width - len(sign), "0")
    return shown.rjust(width, "0" if "0" in flags and shown.isdigit() else " ")


def _verb(verb: str, flags: str, precision: int | None, value: Value) -> str:
    if verb == "v" or (verb == "s" and not isinstance(value, (bool, int, float))):
        shown = written(value) if value is not None else "<nil>"
        return shown[:precision] if verb == "s" and precision is not None else shown
    if verb == "T":
        return _kind(value)
    if verb == "t" and isinstance(value, bool):
        return written(value)
    if isinstance(value, str) and verb in "qxX":
        return quoted(value) if verb == "q" else _hexadecimal(value, verb)
    if isinstance(value, int) and not isinstance(value, bool):
        shown_whole = _whole(verb, value)
        if shown_whole is not None:
            return _signed(shown_whole, flags)
    if isinstance(value, float) and verb in "eEfFgG":
        return _signed(_real(verb, precision, value), flags)
    return f"%!{verb}({_kind(value)}={written(value)})"


def _whole(verb: str, value: int) -> str | None:
    if verb == "q":
        return f"'{_character(value)}'"
    if verb == "c":
        return _character(value)
    if verb == "U":
        return f"U+{value:04X}"
    return format(value, verb) if verb in "dxXob" else None


def _character(code: int) -> str:
    surrogate = 0xD800 <= code <= 0xDFFF  # noqa: PLR2004 - Unicode's surrogates
    return "\ufffd" if surrogate or not 0 <= code <= 0x10FFFF else chr(code)  # noqa: PLR2004 - its last code


def _hexadecimal(value: str, verb: str) -> str:
    shown = value.encode().hex()
    return shown.upper() if verb == "X" else shown


def _real(verb: str, precision: int | None, value: float) -> str:
    if not math.isfinite(value):
        return written_float(value)
    if verb in "gG" and precision is None:
        shown = written_float(value)
    else:
        shown = format(value, f".{6 if precision is None else precision}{verb}")
    return shown.upper() if verb in "EG" else shown


def _signed(shown: str, flags: str) -> str:
    if shown.startswith(("-", "+")):
        return shown
    return f"+{shown}" if "+" in flags else f" {shown}" if " " in flags else shown


def _kind(value: Value) -> str:
    if value is None:
        return "<nil>"
    return _KINDS.get(type(value), "time.Time" if isinstance(value, Moment) else "interface {}")


_ESCAPES: Final = {
    "\a": "\\a",
    "\b": "\\b",
    "\f": "\\f",
    "\n": "\\n",
    "\r": "\\r",
    "\t": "\\t",
    "\v": "\\v",
    "\\": "\\\\",
}


def quoted(value: str) -> str:
    """Write a text in double quotes, what cannot be printed escaped."""
    return '"' + "".join(_escaped(one) for one in value) + '"'


def _escaped(one: str) -> str:
    if one == '"':
        return '\\"'
    if one in _ESCAPES:
        return _ESCAPES[one]
    if one.isprintable():
        return one
    code = ord(one)
    if code < 0x80:  # noqa: PLR2004 - one byte
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"  # noqa: PLR2004 - two bytes
