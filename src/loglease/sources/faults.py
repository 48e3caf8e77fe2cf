"""What an operator wrote wrongly of a source: all mistakes together, each with its place and its remedy."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from loglease.model.errors import FieldFault, InvalidField

LABEL_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
MIN_S: Final = 0.1
MAX_S: Final = 3_600.0


class Faults:
    """Collects mistakes, so that an operator sees all of them together.

    Args:
        what: the kind of thing that is configured, such as ``file source``.
    """

    def __init__(self, what: str) -> None:
        self._what = what
        self.found: list[FieldFault] = []

    def add(self, pointer: str, detail: str) -> None:
        """Note one mistake with its remedy."""
        self.found.append(FieldFault(pointer, "invalid_field", detail))

    def unknown(self, pointer: str, raw: Mapping[str, Any], known: Sequence[str]) -> None:
        """Note the keys that nobody reads."""
        for key in raw:
            if key not in known:
                self.add(f"{pointer}/{key}", f"There is no such field; known are {', '.join(sorted(known))}.")

    def text(self, pointer: str, value: object) -> str:
        """Return a text."""
        if isinstance(value, str):
            return value
        self.add(pointer, "Write a text; put it in quotes if it looks like a number.")
        return ""

    def flag(self, pointer: str, value: object) -> bool:
        """Return true or false."""
        if isinstance(value, bool):
            return value
        self.add(pointer, "Write true or false.")
        return False

    def seconds(self, pointer: str, value: object) -> float:
        """Return a number of seconds, from a tenth to an hour."""
        if isinstance(value, int | float) and not isinstance(value, bool) and MIN_S <= value <= MAX_S:
            return float(value)
        self.add(pointer, f"Write seconds as a number from {MIN_S} to {MAX_S}.")
        return MAX_S

    def number(self, pointer: str, value: object, most: int) -> int:
        """Return a whole number from 0."""
        if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= most:
            return value
        self.add(pointer, f"Write a whole number from 0 to {most}.")
        return 0

    def sequence(self, pointer: str, value: object) -> Sequence[Any]:
        """Return a list."""
        if isinstance(value, (list, tuple)):
            return value
        self.add(pointer, "Write a list.")
        return ()

    def mapping(self, pointer: str, value: object) -> Mapping[str, Any]:
        """Return a mapping."""
        if isinstance(value, Mapping):
            return value
        self.add(pointer, "Write a mapping of names to values.")
        return {}

    def names(self, pointer: str, value: object) -> frozenset[str]:
        """Return a set of label names."""
        items = [self.text(pointer, item) for item in self.sequence(pointer, value)]
        for item in items:
            if not LABEL_NAME.fullmatch(item):
                self.add(pointer, f"{item!r} is no label name: letters, digits and _, no digit first.")
        return frozenset(items)

    def raise_any(self, name: str) -> None:
        """Raise what was found."""
        if self.found:
            lines = "; ".join(f"{fault.pointer}: {fault.detail}" for fault in self.found)
            raise InvalidField(
                f"The {self._what} {name!r} is not configured well. {lines}",
                next_step="Correct these fields in the configuration file.",
                faults=tuple(self.found),
            )
