"""Numbers, durations and sizes as the language and the programs behind the lines write them, in both directions.

Durations come in two forms: Prometheus' (``1h30m``: whole numbers, units in descending order, with days, weeks and
years) and Go's (``1.5h``, ``-300us``: fractions and signs, at most hours). All durations are nanoseconds here.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from decimal import Decimal
from types import MappingProxyType
from typing import Final

from loglease.logql.syntax import Unit

MAX_DURATION: Final = (1 << 63) - 1
"""The longest duration in nanoseconds, some 292 years: Go's."""
MAX_BYTES: Final = (1 << 64) - 1
SPACE: Final = "\t\n\v\f\r \x85\xa0\u1680" + "".join(map(chr, range(0x2000, 0x200B))) + "\u2028\u2029\u202f\u205f\u3000"
"""What is white space to Go."""

_SECOND: Final = 10**9
_GO_UNITS: Final[Mapping[str, int]] = MappingProxyType(
    {
        "ns": 1,
        "us": 10**3,
        "µs": 10**3,
        "μs": 10**3,
        "ms": 10**6,
        "s": _SECOND,
        "m": 60 * _SECOND,
        "h": 3600 * _SECOND,
    }
)
_MOST: Final = 1 << 63
_MOST_DIGITS: Final = 40
_LONG_UNITS: Final = (
    365 * 86400 * _SECOND,
    7 * 86400 * _SECOND,
    86400 * _SECOND,
    3600 * _SECOND,
    60 * _SECOND,
    _SECOND,
    10**6,
)
_LONG = re.compile(
    r"(?:(\d{1,19})y)?(?:(\d{1,19})w)?(?:(\d{1,19})d)?(?:(\d{1,19})h)?(?:(\d{1,19})m)?(?:(\d{1,19})s)?(?:(\d{1,19})ms)?",
    re.ASCII,
)
_GO = re.compile(r"([+-]?)((?:(?:\d+(?:\.\d*)?|\.\d+)(?:ns|us|µs|μs|ms|s|m|h))+)", re.ASCII)
_GO_PART = re.compile(r"(\d*)(?:\.(\d*))?(ns|us|µs|μs|ms|s|m|h)", re.ASCII)
_DIGITS: Final = r"\d(?:_?\d)*"
_HEX_DIGITS: Final = r"[\da-f](?:_?[\da-f])*"
_FLOAT = re.compile(
    rf"[+-]?(?:(?:{_DIGITS}(?:\.(?:{_DIGITS})?)?|\.{_DIGITS})(?:e[+-]?{_DIGITS})?|inf(?:inity)?)|nan",
    re.ASCII | re.IGNORECASE,
)
_HEX_FLOAT = re.compile(
    rf"[+-]?0x(?:_?{_HEX_DIGITS}(?:\.(?:{_HEX_DIGITS})?)?|\.{_HEX_DIGITS})p[+-]?{_DIGITS}", re.ASCII | re.IGNORECASE
)
_PLAIN_NUMBER = re.compile(r"(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)
_SIZE_NUMBER = re.compile(r"[\d.,]+", re.ASCII)
_PREFIXES: Final = "kmgtpe"


def _size_units() -> Mapping[str, int]:
    units = {"": 1, "b": 1}
    for power, prefix in enumerate(_PREFIXES, start=1):
        units |= {prefix: 1000**power, f"{prefix}b": 1000**power}
        units |= {f"{prefix}i": 1024**power, f"{prefix}ib": 1024**power}
    return MappingProxyType(units)


_SIZE_UNITS: Final = _size_units()


def long_duration(text: str) -> int | None:
    """Read Prometheus' form, as between the brackets of a range; None if the text is none."""
    if text == "0":
        return 0
    match = _LONG.fullmatch(text) if text else None
    if match is None:
        return None
    total = sum(int(part) * unit for part, unit in zip(match.groups(), _LONG_UNITS, strict=True) if part)
    return total if total <= MAX_DURATION else None


def go_duration(text: str) -> int | None:
    """Read Go's form, as values of labels hold it; None if the text is none."""
    if text in ("0", "+0", "-0"):
        return 0
    match = _GO.fullmatch(text)
    if match is None:
        return None
    total = 0
    for whole, fraction, unit in _GO_PART.findall(match[2]):
        significant = whole.lstrip("0")
        if len(significant) > _MOST_DIGITS:
            return None
        total += int(significant or 0) * _GO_UNITS[unit] + _go_fraction(fraction, _GO_UNITS[unit])
    if total > _MOST:
        return None
    if match[1] == "-":
        return -total
    return total if total <= MAX_DURATION else None


def _go_fraction(digits: str, unit: int) -> int:
    """Return the nanoseconds of a fraction: Go reads as many digits as 63 bits hold and computes with floats."""
    numerator, used = 0, 0
    for digit in digits[:_MOST_DIGITS]:
        longer = numerator * 10 + int(digit)
        if numerator > MAX_DURATION // 10 or longer > _MOST:
            break
        numerator, used = longer, used + 1
    return int(numerator * (unit / 10.0**used))


def in_seconds(nanoseconds: int) -> float:
    """Return a duration in seconds, rounded as Go does it: the whole seconds by themselves."""
    whole, rest = divmod(abs(nanoseconds), _SECOND)
    return math.copysign(whole + rest / 1e9, nanoseconds) if nanoseconds else 0.0


def size(text: str) -> int | None:
    """Read a size such as ``5KiB``, ``1.5 MB`` or ``42`` in bytes, a fraction cut off; None if the text is none."""
    match = _SIZE_NUMBER.match(text)
    if match is None:
        return None
    unit = _SIZE_UNITS.get(text[match.end() :].strip(SPACE).lower())
    number = match[0].replace(",", "")
    if unit is None or not _PLAIN_NUMBER.fullmatch(number):
        return None
    if number.isdecimal():
        significant = number.lstrip("0") or "0"
        total = int(significant) * unit if len(significant) <= _MOST_DIGITS else MAX_BYTES + 1
    else:
        value = float(number) * unit
        total = int(value) if math.isfinite(value) else MAX_BYTES + 1
    return total if total <= MAX_BYTES else None


def number(text: str) -> float | None:
    """Read a number as Go's ``ParseFloat`` does; None if the text is none, or too large for one."""
    if _FLOAT.fullmatch(text):
        value = float(text)
        return None if math.isinf(value) and "i" not in text.lower() else value
    if _HEX_FLOAT.fullmatch(text):
        try:
            return float.fromhex(text.replace("_", ""))
        except OverflowError:
            return None
    return None


def quantity(text: str) -> tuple[Unit, float | int] | None:
    """Read what a query writes as a number, duration or size; what fits a duration is one. None if it fits nothing."""
    if _PLAIN_NUMBER.fullmatch(text):
        value = float(text)
        return None if math.isinf(value) else (Unit.NUMBER, value)
    duration = long_duration(text)
    if duration is None:
        duration = go_duration(text)
    if duration is not None:
        return Unit.DURATION, duration
    in_bytes = size(text)
    return None if in_bytes is None else (Unit.BYTES, in_bytes)


def print_duration(nanoseconds: int) -> str:
    """Write a duration exactly, in the largest single unit that divides it, so that both forms can read it."""
    sign, rest = ("-", -nanoseconds) if nanoseconds < 0 else ("", nanoseconds)
    for unit in ("h", "m", "s", "ms", "us"):
        if rest % _GO_UNITS[unit] == 0 and rest:
            return f"{sign}{rest // _GO_UNITS[unit]}{unit}"
    return f"{sign}{rest}ns" if rest else "0s"


def print_number(value: float) -> str:
    """Write a finite number so that it reads back exactly."""
    return str(int(value)) if value.is_integer() and abs(value) < 1e16 else repr(value)  # noqa: PLR2004


def print_sample(value: float) -> str:
    """Write the value of a sample as Prometheus' API does: shortest digits, never an exponent, ``NaN``, ``+Inf``."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    text = repr(value)
    if "e" in text:
        text = format(Decimal(text), "f")
    return text.removesuffix(".0")
