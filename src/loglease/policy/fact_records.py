"""Facts as they are recorded with a decision, and read again from there."""

from __future__ import annotations

from typing import Any

from loglease.model.digest import Canonical
from loglease.model.instant import instant_text, parse_instant
from loglease.policy.conditions import ABSENT, Fault
from loglease.policy.conditions.values import Value
from loglease.policy.observed import FactKey, Facts, Observed


def facts_data(facts: Facts) -> list[Canonical]:
    """Return facts as plain values, sorted: name, label, value, who said so, when, and where to find it."""
    ordered = sorted(facts.items(), key=lambda one: (one[0][0], one[0][1] or ""))
    return [_data(key, observed) for key, observed in ordered]


def _data(key: FactKey, observed: Observed) -> Canonical:
    name, label = key
    data: dict[str, Canonical] = {"fact": name, "from": observed.provider, "at": instant_text(observed.observed_at)}
    if label is not None:
        data["label"] = label
    if observed.reference is not None:
        data["ref"] = observed.reference
    return data | _said(observed.value)


def _said(value: Value) -> dict[str, Canonical]:
    match value:
        case Fault(reason=reason):
            return {"fault": reason}
        case dict():
            return {"value": {name: one["value"] for name, inner in value.items() if "value" in (one := _said(inner))}}
        case tuple():
            return {"value": list(value)}
        case bool() | int() | str():
            return {"value": value}
        case _:
            return {"absent": True}


def facts_of(data: list[dict[str, Any]]) -> Facts:
    """Read facts that `facts_data` wrote.

    Raises:
        KeyError, Malformed: they were not written so.
    """
    found: dict[FactKey, Observed] = {}
    for one in data:
        value: Value = Fault(one["fault"]) if "fault" in one else ABSENT if one.get("absent") else _value(one["value"])
        observed = Observed(value, one["from"], parse_instant(one["at"]), one.get("ref"))
        found[one["fact"], one.get("label")] = observed
    return found


def _value(data: Any) -> Value:
    match data:
        case dict():
            return {name: _value(one) for name, one in data.items()}
        case list():
            return tuple(data)
        case _:
            plain: bool | int | str = data
            return plain
