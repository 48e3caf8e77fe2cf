"""Regular expressions of a query: RE2's dialect and time, so that no expression can hang a reader."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Final, Protocol

import re2

from loglease.logql.errors import Malformed

MEMORY: Final = 8 << 20
"""Bytes that one compiled expression may take."""


_REFERENCE = re.compile(r"\$\$|\$(?:(\w+)|\{(\w+)\})")
_NUMBER = re.compile(r"0|[1-9]\d{0,7}", re.ASCII)


class Found(Protocol):
    """Where an expression matched; RE2's own class has no public name."""

    def span(self, group: int = 0, /) -> tuple[int, int]:
        """Return the first byte and the byte after the last."""

    def group(self, group: int = 0, /) -> bytes | None:
        """Return the text of a group."""


class Expression(Protocol):
    """A compiled expression over bytes."""

    @property
    def groupindex(self) -> Mapping[bytes, int]:
        """Its named groups."""

    @property
    def groups(self) -> int:
        """How many groups it has."""

    def search(self, text: bytes, start: int = 0, /) -> Found | None:
        """Find the first match."""

    def fullmatch(self, text: bytes, /) -> Found | None:
        """Match a whole text."""

    def finditer(self, text: bytes, /) -> Iterator[Found]:
        """Find all matches that do not overlap, an empty one maybe twice or within a character."""


def whole_value(pattern: str) -> Expression:
    """Compile an expression for whole values of labels, where a dot is any character; use its `fullmatch`.

    Raises:
        Malformed: it is no expression of RE2, or too large.
    """
    return _compiled(pattern, dot_is_any=True)


def within_line(pattern: str) -> Expression:
    """Compile an expression to be found within a line, where a dot is no newline; use its `search`.

    Raises:
        Malformed: as for `whole_value`.
    """
    return _compiled(pattern, dot_is_any=False)


def within_page(pattern: str) -> Expression:
    """Compile an expression of lines to be found in many lines at once, at most once in each; use its `finditer`.

    No match goes over the end of a line. For an expression that `within_line` takes.
    """
    return _compiled(f"(?m:{pattern}).*", dot_is_any=False, crosses_lines=False)


def all_matches(expression: Expression, text: bytes) -> Iterator[Found]:
    """Yield the matches as Go finds them: none overlap, no empty one is right behind another or in a character."""
    at, behind = 0, -1
    while at <= len(text):
        found = expression.search(text, at)
        if found is None:
            return
        start, end = found.span()
        if end > at:
            at = end
        else:
            at += 1
            while at < len(text) and text[at] & 0xC0 == 0x80:  # noqa: PLR2004 - a byte within a character
                at += 1
        if end > start or start != behind:
            yield found
        behind = end


def quoted(text: bytes) -> bytes:
    """Return an expression that matches just this text."""
    quoted_text: bytes = re2.escape(text)
    return quoted_text


def expander(expression: Expression, replacement: str) -> Callable[[Found], bytes]:
    """Return what fills groups into a replacement as Go does: ``$1``, ``${1}``, ``$name``, ``${name}``, ``$$``.

    A name runs as far as letters, digits and underscores do; a group that there is not is empty.
    """
    pieces: list[bytes | int] = []
    at = 0
    for match in _REFERENCE.finditer(replacement):
        pieces.append(replacement[at : match.start()].encode())
        at = match.end()
        if match[0] == "$$":
            pieces.append(b"$")
            continue
        name = match[1] or match[2]
        number = int(name) if _NUMBER.fullmatch(name) else expression.groupindex.get(name.encode(), -1)
        if 0 <= number <= expression.groups:
            pieces.append(number)
    pieces.append(replacement[at:].encode())

    def fill(found: Found) -> bytes:
        return b"".join(piece if isinstance(piece, bytes) else found.group(piece) or b"" for piece in pieces)

    return fill


def _compiled(pattern: str, *, dot_is_any: bool, crosses_lines: bool = True) -> Expression:
    options = re2.Options()
    options.max_mem = MEMORY
    options.dot_nl = dot_is_any
    options.never_nl = not crosses_lines
    options.log_errors = False
    try:
        compiled: Expression = re2.compile(pattern.encode(), options)
    except (re2.error, UnicodeEncodeError) as error:
        reason = error.args[0] if error.args and isinstance(error.args[0], (str, bytes)) else b""
        text = reason.decode("utf-8", "replace") if isinstance(reason, bytes) else reason
        raise Malformed(f"this is no regular expression of RE2{': ' if text else ''}{text}") from error
    return compiled
