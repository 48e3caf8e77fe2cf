"""What is wrong with a condition, and where in its text."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

HELP: Final[Mapping[str, str]] = MappingProxyType(
    {
        "P200": "join conditions with && or ||, negate with !, compare with ==, !=, <, <=, >, >= or in",
        "P204": "see which types the operator or function takes, and use two values of one type",
        "P205": "see which names conditions may read",
        "P206": "compare with one of its words",
        "P209": "choose another name; a label of that name is read as req.labels[…] with the name in quotes",
    }
)


class ConditionRefused(Exception):
    """A condition is not accepted.

    Attributes:
        code: `P2` and two digits, stable.
        start: offset of the first character that is wrong.
        end: offset behind the last one.
        help: what to write instead; what goes for every mistake of a code where nothing closer is known.
    """

    def __init__(self, code: str, start: int, end: int, message: str, remedy: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.start = start
        self.end = max(end, start + 1)
        self.help = remedy or HELP.get(code)
