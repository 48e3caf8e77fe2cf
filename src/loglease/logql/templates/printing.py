"""Values as Go writes them by themselves."""

from __future__ import annotations

import math
from decimal import Decimal

from loglease.logql.templates.dates import written_moment
from loglease.logql.templates.values import Moment, Value


def written(value: Value, nothing: str = "<nil>") -> str:
    """Write a value; what an action shows for nothing differs from what functions write for it."""
    match value:
        case str():
            return value
        case None:
            return nothing
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case float():
            return written_float(value)
        case Moment():
            return written_moment(value)
    if isinstance(value, dict):
        return "map[" + " ".join(f"{key}:{written(value[key])}" for key in sorted(value)) + "]"
    return "[" + " ".join(written(one) for one in value) + "]"


def written_float(value: float) -> str:
    """Write a float with the fewest digits that tell it apart, with an exponent below 1e-4 and from 1e6 on."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    digits = Decimal(repr(value))
    exponent = digits.adjusted() if value else 0
    if not -4 <= exponent < 6:  # noqa: PLR2004 - Go's own limits
        mantissa = format(digits.scaleb(-exponent).normalize(), "f")
        return f"{mantissa}e{'-' if exponent < 0 else '+'}{abs(exponent):02d}"
    shown = format(digits, "f")
    return shown.rstrip("0").rstrip(".") if "." in shown else shown
