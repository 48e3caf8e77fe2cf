"""What a condition reads and says beside plain values: that something is absent, or cannot be had."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final, Literal

MOST: Final = 2**63 - 1
LEAST: Final = -(2**63)
LONGEST_DURATION: Final = 10 * 365 * 86_400 * 1_000_000
"""Ten years in microseconds: the longest duration that a condition or a fact may name.

A condition is too small to add up a thousand of them, so that none leaves the ten thousand years of CEL.
"""


class Absent(Enum):
    """The type of `ABSENT`."""

    ABSENT = "absent"


ABSENT: Final[Literal[Absent.ABSENT]] = Absent.ABSENT
"""In place of the value of an optional member: it does not exist, which is known."""


@dataclass(frozen=True, slots=True)
class Fault:
    """In place of a value: it cannot be had. In place of an answer: the condition is not evaluable.

    Attributes:
        reason: in words, for explanations.
    """

    reason: str


Scalar = bool | int | str
Value = Scalar | tuple[Scalar, ...] | Absent | Fault | dict[str, "Value"]
