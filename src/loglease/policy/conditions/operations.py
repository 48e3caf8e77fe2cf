"""What conditions are compiled to: closures. Each takes the roots, and the item that `exists` or `all` looks at."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from loglease.policy.conditions.values import ABSENT, LEAST, LONGEST_DURATION, MOST, Fault, Scalar, Value

Roots = Mapping[str, Value]
Run = Callable[[Roots, Any], Any]

_OVERFLOW: Final = Fault("a number left the range of 64 bits")
_COMPARE: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_TEXT: Final[Mapping[str, Callable[[str, str], bool]]] = {
    "startsWith": str.startswith,
    "endsWith": str.endswith,
    "contains": operator.contains,
}
_SHORT: Final = 2
_LONG: Final = 3
"""How many names most paths have: a root, a member, and perhaps a field of it."""
_DURATION: Final = re.compile(r"(?:([0-9]{1,9})h)?(?:([0-9]{1,9})m)?(?:([0-9]{1,9})s)?")


def duration_of(text: str) -> int | None:
    """Return the microseconds of a text such as ``1h30m``; None where it is none, or longer than ten years."""
    found = _DURATION.fullmatch(text)
    if found is None or not text:
        return None
    hours, minutes, seconds = (int(part or 0) for part in found.groups())
    value = (hours * 3600 + minutes * 60 + seconds) * 1_000_000
    return value if value <= LONGEST_DURATION else None


def constant(value: Scalar) -> Run:
    """Compute a literal."""
    return lambda _roots, _item: value


def bound(_roots: Roots, item: Any) -> Any:
    """Compute the variable of an `exists` or `all`."""
    return item


def _found(roots: Roots, path: tuple[str, ...]) -> Any:
    value: Any = roots
    for name in path:
        if isinstance(value, Fault):
            return value
        if value is ABSENT:
            break
        try:
            value = value[name]
        except KeyError:
            return Fault(f"{'.'.join(path)} was not given")
    return value


def reading(path: tuple[str, ...]) -> Run:
    """Compute a member; one that is absent is a fault to whoever relies on it."""
    absent = Fault(f"{'.'.join(path)} is absent")
    find = _finding(path)

    def run(roots: Roots, _item: Any) -> Any:
        value = find(roots)
        return absent if value is ABSENT else value

    return run


def _finding(path: tuple[str, ...]) -> Callable[[Any], Any]:
    """Return what follows a path: straight where everything is there, which is nearly always, else step by step."""
    if len(path) not in (_SHORT, _LONG):
        return lambda roots: _found(roots, path)
    (root, name), last = path[:2], path[2] if len(path) == _LONG else None

    def short(roots: Any) -> Any:
        try:
            return roots[root][name]
        except (KeyError, TypeError):
            return _found(roots, path)

    def long(roots: Any) -> Any:
        try:
            return roots[root][name][last]
        except (KeyError, TypeError):
            return _found(roots, path)

    return short if last is None else long


def has(path: tuple[str, ...]) -> Run:
    """Tell whether an optional member is there; of one in fault nobody knows."""
    find = _finding(path)

    def run(roots: Roots, _item: Any) -> bool | Fault:
        value = find(roots)
        return value if isinstance(value, Fault) else value is not ABSENT

    return run


def chain(runs: tuple[Run, ...], *, stop: bool) -> Run:
    """Compute ``&&``, which stops at false, or ``||``, which stops at true; a fault counts only where none stops it."""
    other = not stop

    def run(roots: Roots, item: Any) -> bool | Fault:
        fault: bool | Fault | None = None
        for one in runs:
            value: bool | Fault = one(roots, item)
            if value is stop:
                return stop
            if value is not other and fault is None:
                fault = value
        return other if fault is None else fault

    return run


def quantified(of: Run, holds: Run, *, stop: bool) -> Run:
    """Compute `exists`, which stops at true, or `all`, which stops at false."""
    other = not stop

    def run(roots: Roots, item: Any) -> bool | Fault:
        items = of(roots, item)
        if isinstance(items, Fault):
            return items
        fault: bool | Fault | None = None
        for one in items:
            value: bool | Fault = holds(roots, one)
            if value is stop:
                return stop
            if value is not other and fault is None:
                fault = value
        return other if fault is None else fault

    return run


def _single(of: Run, made: Callable[[Any], Any]) -> Run:
    def run(roots: Roots, item: Any) -> Any:
        value = of(roots, item)
        return value if isinstance(value, Fault) else made(value)

    return run


def _pair(left: Run, right: Run, made: Callable[[Any, Any], Any]) -> Run:
    def run(roots: Roots, item: Any) -> Any:
        one = left(roots, item)
        if isinstance(one, Fault):
            return one
        other = right(roots, item)
        return other if isinstance(other, Fault) else made(one, other)

    return run


def negation(of: Run) -> Run:
    """Compute ``!``."""
    return _single(of, operator.not_)


def _in_range(value: int) -> int | Fault:
    return value if LEAST <= value <= MOST else _OVERFLOW


def negative(of: Run) -> Run:
    """Compute ``-`` before a number."""
    return _single(of, lambda value: _in_range(-value))


def number_sum(left: Run, right: Run, *, plus: bool) -> Run:
    """Compute ``+`` or ``-`` of numbers, within 64 bits."""
    sign = 1 if plus else -1
    return _pair(left, right, lambda one, other: _in_range(one + sign * other))


def duration_sum(left: Run, right: Run, *, plus: bool) -> Run:
    """Compute ``+`` or ``-`` of durations, which cannot overflow: see `LONGEST_DURATION`."""
    return _pair(left, right, operator.add if plus else operator.sub)


def comparison(op: str, left: Run, right: Run) -> Run:
    """Compute a comparison."""
    return _pair(left, right, _COMPARE[op])


def comparison_with(op: str, left: Run, value: Scalar) -> Run:
    """Compute a comparison with a literal."""
    compare = _COMPARE[op]

    def run(roots: Roots, item: Any) -> bool | Fault:
        one = left(roots, item)
        return one if isinstance(one, Fault) else compare(one, value)

    return run


def among(of: Run, values: frozenset[Scalar]) -> Run:
    """Compute `in` for a list of literals."""
    return _single(of, values.__contains__)


def membership(left: Run, right: Run) -> Run:
    """Compute `in` for a list that is read."""
    return _pair(left, right, lambda one, items: one in items)


def size(of: Run) -> Run:
    """Compute the number of characters or items."""
    return _single(of, len)


def text_method(name: str, left: Run, right: Run) -> Run:
    """Compute a method of texts."""
    return _pair(left, right, _TEXT[name])
