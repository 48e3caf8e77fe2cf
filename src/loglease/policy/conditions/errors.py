"""What is wrong with a condition, and where in its text."""

from __future__ import annotations


class ConditionRefused(Exception):
    """A condition is not accepted.

    Attributes:
        code: `P2` and two digits, stable.
        start: offset of the first character that is wrong.
        end: offset behind the last one.
        help: what to write instead.
    """

    def __init__(self, code: str, start: int, end: int, message: str, remedy: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.start = start
        self.end = max(end, start + 1)
        self.help = remedy
