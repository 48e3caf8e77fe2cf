"""What a scalar may mean: words, numbers, durations, sizes, dates; and the plain words that must be quoted."""

from __future__ import annotations

import re
from datetime import date
from typing import Final

from loglease.model.errors import DurationInvalid
from loglease.model.instant import parse_duration

MAX_INTEGER: Final = 2**53 - 1

_WORDS: Final = frozenset({"", "~", "null", "y", "yes", "n", "no", "on", "off", "true", "false", "=", "<<"})
_NUMBER = re.compile(
    r"""[-+]?(?:
        0b[01_]+ | 0o?[0-7_]+ | 0x[0-9a-f_]+                         # other bases
      | [0-9][0-9_]*(?::[0-9]{1,2})+(?:\.[0-9_]*)?                   # base 60: 12:30
      | (?:[0-9][0-9_]*\.?[0-9_]*|\.[0-9][0-9_]*)(?:e[-+]?[0-9]+)?   # decimal and floating
      | \.inf | \.nan
    )""",
    re.IGNORECASE | re.VERBOSE,
)
_DATE_LIKE = re.compile(r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?:[Tt \t].*)?")
_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]{0,17})")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_SIZE = re.compile(r"([1-9][0-9]{0,15})(B|kB|MB|GB|TB|KiB|MiB|GiB|TiB)")
_UNITS: Final = {
    "B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12,
    "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40,
}  # fmt: skip


def is_ambiguous(plain: str) -> bool:
    """Say whether some YAML version reads this unquoted text as anything but a string."""
    return plain.lower() in _WORDS or _NUMBER.fullmatch(plain) is not None or _DATE_LIKE.fullmatch(plain) is not None


def integer(plain: str) -> int | None:
    """Read a plain decimal number; None if it is none, or beyond 2^53."""
    if not _INTEGER.fullmatch(plain) or plain == "-0":
        return None
    value = int(plain)
    return value if abs(value) <= MAX_INTEGER else None


def duration_s(text: str) -> int | None:
    """Read a duration such as `2h30m` in seconds; None if it is none."""
    if not text.isascii():
        return None
    try:
        return parse_duration(text)
    except DurationInvalid:
        return None


def size_bytes(text: str) -> int | None:
    """Read a size such as `500MB` (powers of ten) or `256MiB` (powers of two); None if it is none."""
    match = _SIZE.fullmatch(text)
    if match is None:
        return None
    size = int(match[1]) * _UNITS[match[2]]
    return size if size <= MAX_INTEGER else None


def size_text(size: int) -> str:
    """Write a size as people write it, in the unit that leaves the smallest whole number: ``500MB``, ``256MiB``."""
    count, unit = min((size // factor, name) for name, factor in _UNITS.items() if size % factor == 0)
    return f"{count}{unit}"


def day(text: str) -> date | None:
    """Read a date such as `2027-05-01`; None if it is none."""
    if not _DATE.fullmatch(text):
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None
