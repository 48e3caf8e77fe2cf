"""JSON pointers: where a value stands in what a provider answers. Source: RFC 6901."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final, Literal

MAX_STEPS: Final = 16
_TEXT: Final = re.compile(r"(?:/(?:[^~/]|~[01])*)*")
_INDEX: Final = re.compile(r"0|[1-9][0-9]{0,5}")


class Missing(Enum):
    """The type of `MISSING`."""

    MISSING = "missing"


MISSING: Final[Literal[Missing.MISSING]] = Missing.MISSING
"""In place of a value: there is none where a pointer points."""


@dataclass(frozen=True, slots=True)
class Pointer:
    """A place in a JSON value; without steps the whole of it."""

    steps: tuple[str, ...] = ()

    def of(self, value: object) -> object:
        """Return what stands there, or `MISSING`."""
        for step in self.steps:
            if isinstance(value, Mapping):
                value = value.get(step, MISSING)
            elif isinstance(value, Sequence) and not isinstance(value, str) and _INDEX.fullmatch(step):
                value = value[int(step)] if int(step) < len(value) else MISSING
            else:
                return MISSING
        return value


def pointer_of(text: str) -> Pointer:
    """Read a pointer such as ``/incidents/0/id``.

    Raises:
        ValueError: it is none, or has more than 16 steps.
    """
    if not _TEXT.fullmatch(text):
        raise ValueError("a JSON pointer begins with /, such as /incidents/0/id")
    steps = tuple(step.replace("~1", "/").replace("~0", "~") for step in text.split("/")[1:])
    if len(steps) > MAX_STEPS:
        raise ValueError(f"a JSON pointer has at most {MAX_STEPS} steps here")
    return Pointer(steps)
