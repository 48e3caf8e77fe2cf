"""Patterns such as ``<method> <_> (<status>)``: literals with captures between them."""

from __future__ import annotations

import re
from dataclasses import dataclass

from loglease.logql.errors import Malformed
from loglease.logql.expressions import Expression, quoted, within_line

_CAPTURE = re.compile(r"<([A-Za-z_][A-Za-z0-9_]*)>")


@dataclass(frozen=True, slots=True)
class Capture:
    """A capture; the name ``_`` matches without making a label."""

    name: str


Part = bytes | Capture


def parse_pattern(text: str) -> tuple[Part, ...]:
    """Return the parts of a pattern, in which no two captures touch.

    Raises:
        Malformed: two captures touch, or the pattern is empty.
    """
    parts: list[Part] = []
    position = 0
    for match in _CAPTURE.finditer(text):
        if match.start() > position:
            parts.append(text[position : match.start()].encode())
        elif parts:
            raise Malformed(f"the captures before and at {match[0]} need text between them")
        parts.append(Capture(match[1]))
        position = match.end()
    if position < len(text):
        parts.append(text[position:].encode())
    if not parts:
        raise Malformed("a pattern is not empty")
    return tuple(parts)


class CapturingPattern:
    """The pattern of ``| pattern``: at least one named capture, each name once.

    Raises:
        Malformed: it is not that.
    """

    def __init__(self, text: str) -> None:
        parts = parse_pattern(text)
        names = [part.name for part in parts if isinstance(part, Capture) and part.name != "_"]
        if not names:
            raise Malformed("a pattern needs a named capture such as <status>")
        for name in names:
            if names.count(name) > 1:
                raise Malformed(f"a pattern names <{name}> only once")
        self.names = tuple(names)
        first = parts[0]
        self._lead = first if isinstance(first, bytes) else b""
        rest = parts[1:] if self._lead else parts
        captures = (part.name for part in rest if isinstance(part, Capture))
        literals = [part for part in rest if isinstance(part, bytes)]
        self._steps = tuple(zip(captures, [*literals, None], strict=False))

    def captures(self, line: bytes) -> list[tuple[str, bytes]]:
        """Return what the named captures find; where a literal is missing the capture before it takes the rest.

        The pattern begins where the line does; an empty line has nothing to find.
        """
        found: list[tuple[str, bytes]] = []
        if not line or not line.startswith(self._lead):
            return found
        at = len(self._lead)
        for name, literal in self._steps:
            end = -1 if literal is None else line.find(literal, at)
            if name != "_":
                found.append((name, line[at:] if end < 0 else line[at:end]))
            if end < 0 or literal is None:
                break
            at = end + len(literal)
        return found


def line_pattern(text: str) -> Expression:
    """Return an expression for the operand of ``|>``: it covers the line, each ``<_>`` at least one byte.

    Raises:
        Malformed: it has a named capture, or captures that touch.
    """
    parts = parse_pattern(text) if text else ()
    for part in parts:
        if isinstance(part, Capture) and part.name != "_":
            raise Malformed(f"a line is only tested: use <_> in place of <{part.name}>")
    between = b"(?s:.+?)"
    body = b"".join(between if isinstance(part, Capture) else quoted(part) for part in parts)
    return within_line((rb"\A" + body + rb"\z").decode())
