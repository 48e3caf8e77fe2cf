"""The errors of the query language: a root of its own, since this package imports nothing of ours.

A message quotes the query and nothing else, so it is safe to show to whoever wrote the query.
"""

from __future__ import annotations

from typing import ClassVar, Final

SHOWN_BEFORE: Final = 40
SHOWN_AFTER: Final = 20


class LogqlError(Exception):
    """The root: a stable code and a text that is safe to show."""

    code: ClassVar[str] = "query_invalid"


class ParseError(LogqlError):
    """A text is no query.

    Args:
        text: the whole query.
        position: where the fault is, counted in characters from 0.
        message: what was found and what was expected.
    """

    def __init__(self, text: str, position: int, message: str) -> None:
        before = text[:position]
        self.line = before.count("\n") + 1
        self.column = position - (before.rfind("\n") + 1) + 1
        self.caret = _caret(text, position)
        self.message = f"parse error at line {self.line}, col {self.column}: {message}"
        super().__init__(self.message)


class Malformed(LogqlError):
    """A part of a query that has a language of its own (expression, template, path, pattern, address) is none.

    Args:
        message: what is wrong with it, quoting at most the part.
    """


class QueryFailed(LogqlError):
    """A query cannot be answered for the lines that it met, or not within its limits.

    Args:
        reason: a stable word for what happened.
        message: what happened and what to do, without any content.
        limit: whether a limit was reached, rather than the query being at fault.
    """

    def __init__(self, reason: str, message: str, *, limit: bool = False) -> None:
        self.reason = reason
        self.message = message
        self.limit = limit
        super().__init__(message)


def _caret(text: str, position: int) -> str:
    """Return the line of the query around the fault and a second line with a caret below it."""
    start = text.rfind("\n", 0, position) + 1
    end = text.find("\n", position)
    line = text[start : len(text) if end < 0 else end].replace("\t", " ")
    at = position - start
    first = max(0, at - SHOWN_BEFORE)
    return f"{line[first : at + SHOWN_AFTER]}\n{' ' * (at - first)}^"
