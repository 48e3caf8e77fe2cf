"""Numbers, durations and sizes as text, read character by character."""

from __future__ import annotations

import math
import re
from fractions import Fraction

NANOSECONDS = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,
    "μs": 1_000,
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
}
DIGITS = "0123456789"


def number(text: str) -> float | None:
    """Read a decimal number; None if it is none, or too large for a float."""
    if not text or any(character not in "0123456789+-.eE" for character in text):
        special = {"inf": math.inf, "infinity": math.inf, "nan": math.nan}
        body = text[1:] if text[:1] in ("+", "-") and text[1:2].lower() == "i" else text
        found = special.get(body.lower())
        return None if found is None else (-found if text[0] == "-" else found)
    try:
        found = float(text)
    except ValueError:
        return None
    return None if math.isinf(found) else found


def _leading(text: str, allowed: str) -> str:
    count = 0
    while count < len(text) and text[count] in allowed:
        count += 1
    return text[:count]


def _fraction(text: str) -> Fraction | None:
    whole, _, decimals = text.partition(".")
    if not (whole or decimals) or any(digit not in DIGITS for digit in whole + decimals):
        return None
    return Fraction(int(whole or "0")) + Fraction(int(decimals or "0"), 10 ** len(decimals))


def duration(text: str) -> int | None:
    """Read a duration in Go's form as nanoseconds."""
    sign, rest = (-1, text[1:]) if text[:1] == "-" else (1, text.removeprefix("+"))
    if rest == "0":
        return 0
    if not rest:
        return None
    total = 0
    while rest:
        digits = _leading(rest, DIGITS + ".")
        amount = _fraction(digits)
        rest = rest[len(digits) :]
        unit = "".join(_until_number(rest))
        if amount is None or unit not in NANOSECONDS:
            return None
        total += int(amount * NANOSECONDS[unit])
        rest = rest[len(unit) :]
    return sign * total if total < 1 << 63 else None


def _until_number(text: str) -> list[str]:
    found = []
    for character in text:
        if character in DIGITS + ".":
            break
        found.append(character)
    return found


def size(text: str) -> int | None:
    """Read a size such as ``1.5KiB`` as bytes, a fraction cut off."""
    digits = _leading(text, DIGITS + ".,")
    amount = _fraction(digits.replace(",", "")) if digits else None
    unit = text[len(digits) :].strip().lower().removesuffix("b")
    if amount is None or text[len(digits) :].strip().lower() == "bb":
        return None
    if unit == "":
        return int(amount)
    base = 1024 if unit.endswith("i") and len(unit) == 2 else 1000
    power = "kmgtpe".find(unit[0]) + 1
    if power == 0 or len(unit) != (2 if base == 1024 else 1):
        return None
    found = int(amount * base**power)
    return found if found < 1 << 64 else None


def expanded(replacement: str, match: re.Match[str]) -> str:
    """Fill ``$1``, ``${name}`` and ``$$`` in a replacement; what names no group is empty."""

    def group(reference: re.Match[str]) -> str:
        if reference[0] == "$$":
            return "$"
        name = reference[1] or reference[2]
        if name.isdigit():
            return (match[int(name)] or "") if int(name) <= (match.re.groups) else ""
        return (match[name] or "") if name in match.re.groupindex else ""

    return re.sub(r"\$\$|\$(?:(\w+)|\{(\w+)\})", group, replacement, flags=re.ASCII)
