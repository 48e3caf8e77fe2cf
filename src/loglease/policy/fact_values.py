"""From answers of providers to what conditions read: anything that does not fit, or is too old, is a fault."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from loglease.model.instant import MICROSECONDS, Instant
from loglease.policy.conditions import ABSENT, Fault, Listed, Record, Text, Type
from loglease.policy.conditions.types import Bool, Duration, Int
from loglease.policy.conditions.values import LEAST, LONGEST_DURATION, MOST, Value
from loglease.policy.documents import Combine, FactRule
from loglease.policy.observed import Facts, Observed

_MISTYPED: Final = Fault("it has the wrong type")
OTHER: Final = "?"
"""Stands in a label's list for values that the Catalog does not declare, and for streams without the label."""
MAX_AHEAD_S: Final = 5
"""How far in the future an answer may be observed, since clocks differ."""


def fact_values(
    rules: Mapping[str, FactRule], root: str, facts: Facts, labels: Mapping[str, Value], now: Instant
) -> dict[str, Value]:
    """Return the values of the facts below a root, by their names without it.

    Args:
        rules: the facts of a bundle, by name.
        root: `ctx` or `approver`.
        facts: what is known.
        labels: what the request may read of each label.
        now: the instant of the decision, from which ages count.
    """
    prefix = f"{root}."
    return {
        name[len(prefix) :]: fact_value(rule, facts, labels, now)
        for name, rule in rules.items()
        if name.startswith(prefix)
    }


def fact_value(rule: FactRule, facts: Facts, labels: Mapping[str, Value], now: Instant) -> Value:
    """Return what a condition reads of one fact; for several values of a label, their answers joined."""
    if rule.per is None:
        return _settled(rule, facts.get((rule.name, None)), now)
    asked = named(labels, rule.per)
    if isinstance(asked, Fault):
        return asked
    return _joined(rule, [_settled(rule, facts.get((rule.name, one)), now) for one in asked])


def named(labels: Mapping[str, Value], label: str) -> tuple[str, ...] | Fault:
    """Return the values of a label that a provider can be asked about: each is named, and there is one."""
    found = labels.get(label)
    if isinstance(found, tuple) and found and OTHER not in found:
        return tuple(map(str, found))
    return found if isinstance(found, Fault) else Fault(f"the request does not say which values of {label} it means")


def _joined(rule: FactRule, answers: Sequence[Value]) -> Value:
    """Join bools as `combine` says, in fault where one decides that is not known; others have to be the same."""
    fault = next((one for one in answers if isinstance(one, Fault)), None)
    if rule.combine is None:
        if fault is not None:
            return fault
        same = all(one == answers[0] for one in answers)
        return answers[0] if same else Fault(f"it is not the same for all values of {rule.per}")
    if ABSENT in answers:
        return fault or (ABSENT if all(one is ABSENT for one in answers) else Fault("it exists for some values only"))
    settles = rule.combine is Combine.ANY
    if any(one is settles for one in answers):
        return settles
    return fault or not settles


def _settled(rule: FactRule, observed: Observed | None, now: Instant) -> Value:
    if observed is None:
        return Fault("it was not to be had")
    if isinstance(observed.value, Fault):
        return observed.value
    age_s = (now - observed.observed_at) // MICROSECONDS
    if age_s < -MAX_AHEAD_S:
        return Fault(f"{observed.provider} observed it in the future")
    if rule.max_age_s is not None and now - observed.observed_at > rule.max_age_s * MICROSECONDS:
        return Fault(f"it is {age_s} s old, and may be {rule.max_age_s} s")
    if observed.value is ABSENT:
        return ABSENT if rule.optional else Fault("it does not exist")
    value = fitting(rule.type, observed.value)
    if rule.span is not None and isinstance(value, int) and not rule.span[0] <= value <= rule.span[1]:
        return Fault("it is out of its range")
    return value


def fitting(kind: Type, value: Value) -> Value:
    """Return a value as a condition of this type reads it, or a fault that says what it should have been."""
    if isinstance(value, str):
        return _text(kind, value) if isinstance(kind, Text) else _MISTYPED
    if isinstance(value, bool):
        return value if isinstance(kind, Bool) else _MISTYPED
    if isinstance(value, int):
        return _number(kind, value)
    if isinstance(value, dict):
        return _record(kind, value) if isinstance(kind, Record) else _MISTYPED
    return _list(kind, value) if isinstance(value, tuple) and isinstance(kind, Listed) else _MISTYPED


def _number(kind: Type, value: int) -> Value:
    is_within = (isinstance(kind, Int) and LEAST <= value <= MOST) or (
        isinstance(kind, Duration) and 0 <= value <= LONGEST_DURATION
    )
    return value if is_within else _MISTYPED


def _text(kind: Text, value: str) -> Value:
    if kind.words is not None:
        return value if value in kind.words else Fault("it is none of its words")
    return value if len(value) <= kind.longest else Fault("it is too long")


def _list(kind: Listed, values: tuple[bool | int | str, ...]) -> Value:
    if len(values) > kind.most:
        return Fault("it has too many items")
    found = [fitting(kind.of, one) for one in values]
    fault = next((one for one in found if isinstance(one, Fault)), None)
    return values if fault is None else fault


def _record(kind: Record, values: Mapping[str, Value]) -> Value:
    """Read the declared fields; what a provider says besides is nobody's business."""
    found: dict[str, Value] = {}
    for name, field in kind.fields.items():
        value = values.get(name, ABSENT)
        if value is ABSENT:
            if not field.optional:
                return Fault(f"its field {name} is missing")
            found[name] = ABSENT
        else:
            found[name] = fitted = fitting(field.type, value)
            if isinstance(fitted, Fault):
                return Fault(f"its field {name}: {fitted.reason}")
    return found
