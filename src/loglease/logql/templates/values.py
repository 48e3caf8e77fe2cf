"""What templates compute with, and how Go writes and converts it.

Values are text, whole numbers of 64 bits, floats, booleans, `None`, lists, mappings with text keys, and `Moment`.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any, Final

from loglease.logql.quantities import number

MAX_OUTPUT: Final = 1 << 20
"""Bytes, and here characters, that one text of a template may have."""
MIN_WHOLE: Final = -(1 << 63)
MAX_WHOLE: Final = (1 << 63) - 1

Value = Any


class Labels(dict[str, str]):
    """The labels of a line; unlike a member of decoded JSON, one that is missing is empty."""

    def __missing__(self, name: str) -> str:
        """Return what a missing label is."""
        return ""


class TemplateFailed(Exception):
    """A template cannot be evaluated for a line, which goes on with an error label.

    Carries no text, since that could hold content.
    """


@dataclass(frozen=True, slots=True)
class Moment:
    """A point in time and the zone to show it in: nanoseconds since the epoch, seconds east of UTC."""

    ns: int
    offset: int = 0
    zone: str = "UTC"


def within_limit(length: int) -> int:
    """Return a length, unless a text of it would be too large to make."""
    if length > MAX_OUTPUT:
        raise TemplateFailed
    return length


def text(value: Value) -> str:
    """Require a text."""
    if not isinstance(value, str):
        raise TemplateFailed
    return value


def count(value: Value) -> int:
    """Require a whole number."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise TemplateFailed
    return value


def wrapped(value: int) -> int:
    """Return a whole number as 64 bits hold it."""
    return (value - MIN_WHOLE) % (1 << 64) + MIN_WHOLE


def as_whole(value: Value) -> int:
    """Convert to a whole number; what is none is 0."""
    if isinstance(value, (bool, int)):
        return int(value)
    if isinstance(value, float):
        return int(value) if math.isfinite(value) and MIN_WHOLE <= value <= MAX_WHOLE else MIN_WHOLE
    if not isinstance(value, str):
        return 0
    found = read_whole(re.sub(r"\.0+\Z", "", value))
    return found if found is not None and MIN_WHOLE <= found <= MAX_WHOLE else 0


_WHOLE = re.compile(
    r"([+-]?)(0x(?:_?[\da-f])+|0b(?:_?[01])+|0o(?:_?[0-7])+|0(?:_?[0-7])+|[1-9](?:_?\d)*|0)",
    re.ASCII | re.IGNORECASE,
)
_MOST_DIGITS: Final = 100


def read_whole(value: str) -> int | None:
    """Read a whole number as Go's source has it, with its prefixes and underscores; None if it is none."""
    match = _WHOLE.fullmatch(value)
    if match is None:
        return None
    digits = match[2].lower().replace("_", "")
    base = {"0x": 16, "0b": 2, "0o": 8}.get(digits[:2], 8 if digits[0] == "0" else 10)
    significant = digits.removeprefix("0x").removeprefix("0b").removeprefix("0o").lstrip("0")
    if len(significant) > _MOST_DIGITS:
        significant = significant[: _MOST_DIGITS + 1]
    return int(significant or "0", base) * (-1 if match[1] == "-" else 1)


def as_float(value: Value) -> float:
    """Convert to a float; what is none is 0."""
    if isinstance(value, (bool, int, float)):
        return float(value)
    found = number(value) if isinstance(value, str) else None
    return 0.0 if found is None else found


def is_true(value: Value) -> bool:
    """Say whether a value counts as true: not false, 0, nothing or empty."""
    return isinstance(value, Moment) or bool(value)
