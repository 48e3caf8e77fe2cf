"""The canonical text of a query: one line, double quotes, no comments. Parsing it gives the same tree."""

from __future__ import annotations

from loglease.logql.syntax import LogQuery

_ESCAPES = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"})


def print_query(query: LogQuery) -> str:
    """Write a query so that `parse` gives the same one back."""
    tests = ", ".join(f"{test.name}{test.op}{_quoted(test.value)}" for test in query.selector)
    filters = "".join(f" {one.op} {' or '.join(map(_quoted, one.literals))}" for one in query.filters)
    return "{" + tests + "}" + filters


def _quoted(text: str) -> str:
    return f'"{text.translate(_ESCAPES)}"'
