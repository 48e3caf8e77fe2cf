"""From what a provider says, as JSON, YAML or TOML give it, to the typed value that conditions read.

What does not fit is a fault that tells what was expected, and never what came: it may be anything, a secret too. Words,
lengths and ranges are the business of policy.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, cast

from loglease.model.errors import DurationInvalid, Malformed
from loglease.model.instant import MICROSECONDS, Instant, parse_duration, parse_instant
from loglease.policy.conditions import ABSENT, Fault, Listed, Record, Text, Type
from loglease.policy.conditions.types import Bool, Duration, Int, name_of
from loglease.policy.conditions.values import LONGEST_DURATION, Scalar, Value

_MAX_INSTANT_S: Final = 253_402_300_799


def value_of(kind: Type, raw: object) -> Value:
    """Read one value: durations become microseconds, lists tuples, records mappings with all of their members.

    Args:
        kind: what it has to be. Durations are seconds, or texts such as ``1h30m``.
        raw: what came. Nothing at all, in a record, is a member that does not exist.
    """
    match kind:
        case Listed(of=of):
            return _list(of, raw)
        case Record(fields=fields):
            return _record(kind, raw) if isinstance(raw, Mapping) else Fault(f"record of {', '.join(fields)} expected")
        case _:
            found = _plain(kind, raw)
            return Fault(f"{name_of(kind)} expected") if found is None else found


def _plain(kind: Type, raw: object) -> Scalar | None:
    match kind:
        case Bool():
            return raw if isinstance(raw, bool) else None
        case Int():
            return raw if isinstance(raw, int) and not isinstance(raw, bool) else None
        case Duration():
            return _duration(raw)
        case Text():
            return raw if isinstance(raw, str) else None
        case _:
            return None


def _duration(raw: object) -> int | None:
    if isinstance(raw, str):
        try:
            return 0 if raw == "0s" else parse_duration(raw) * MICROSECONDS
        except DurationInvalid:
            return None
    if not isinstance(raw, int | float) or isinstance(raw, bool) or not 0 <= raw <= LONGEST_DURATION // MICROSECONDS:
        return None
    return round(raw * MICROSECONDS)


def _list(of: Bool | Int | Duration | Text, raw: object) -> Value:
    items = raw if isinstance(raw, Sequence) and not isinstance(raw, str | bytes) else None
    found = None if items is None else [_plain(of, item) for item in items]
    if found is None or None in found:
        return Fault(f"list of {name_of(of)} expected")
    return tuple(cast("list[Scalar]", found))


def _record(kind: Record, raw: Mapping[str, object]) -> Value:
    found: dict[str, Value] = {}
    for name, field in kind.fields.items():
        value = raw.get(name)
        if value is None:
            if not field.optional:
                return Fault(f"member {name} expected")
            found[name] = ABSENT
            continue
        inner = value_of(field.type, value)
        if isinstance(inner, Fault):
            return Fault(f"member {name}: {inner.reason}")
        found[name] = inner
    return found


def instant_of(raw: object) -> Instant | None:
    """Read when something was observed: RFC 3339, or seconds since 1970; None if it is neither."""
    if isinstance(raw, str):
        try:
            return parse_instant(raw)
        except Malformed:
            return None
    if not isinstance(raw, int | float) or isinstance(raw, bool) or not 0 <= raw <= _MAX_INSTANT_S:
        return None
    return Instant(round(raw * MICROSECONDS))
