"""Parsers that first try a faster way: all labels or, where later stages need only some, just these."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final, TypeVar

from loglease.logql.entry import Entry
from loglease.logql.extraction import Step, label_name

MAX_SHAPES: Final = 1_000
MAX_KEYS: Final = 100

ShapeT = TypeVar("ShapeT")

Values = Callable[[bytes], dict[str, str] | None]
"""Returns labels of a line in the parser's order, as a dictionary to be kept; None if only the parser can tell."""


class Unsure(Exception):
    """Only the parser can tell."""


class Shapes(dict[tuple[str, ...], ShapeT | None]):
    """What the keys of a line say of its labels, found once for the same keys; None where only the parser can tell."""

    def __init__(self, make: Callable[[tuple[str, ...]], ShapeT | None]) -> None:
        super().__init__()
        self._make = make

    def __missing__(self, keys: tuple[str, ...]) -> ShapeT | None:
        if len(keys) > MAX_KEYS:
            return self._make(keys)
        if len(self) >= MAX_SHAPES:
            self.clear()
        made = self[keys] = self._make(keys)
        return made


def label_names(keys: tuple[str, ...]) -> tuple[str, ...] | None:
    """Return the names of the labels for the keys of a line, None if two are the same or one is none.

    Most keys are names already: where all are, there is nothing to return.
    """
    names = tuple(map(label_name, keys))
    if not all(names) or len(set(names)) != len(names):
        return None
    return () if names == keys else names


def named(names: tuple[str, ...], values: dict[str, Any]) -> dict[str, str]:
    """Return values by name instead of by key, see `label_names`; a value that is None is left out."""
    found = dict(zip(names, values.values(), strict=True)) if names else values
    if None in found.values():
        return {name: value for name, value in found.items() if value is not None}
    return found


def quick(values: Values, parse: Step) -> Step:
    """Return the step of a parser that makes these labels, unless only the parser can."""

    def step(entry: Entry) -> bool:
        found = values(entry.line)
        if found is None:
            return parse(entry)
        entry.parse_all(found)
        return True

    return step


def unless_dropped(values: Values, tests: Iterable[Step], parse: Step) -> Step:
    """Return the step of a parser before stages that only test: it makes few labels of a line that these drop."""
    tests = tuple(tests)

    def step(entry: Entry) -> bool:
        if not entry.is_untouched or (found := values(entry.line)) is None:
            return parse(entry)
        entry.parse_all(found)
        for test in tests:
            if not test(entry):
                return False
        entry.start_over()
        return parse(entry)

    return step
