"""Regular expressions of a query: RE2's dialect and time, so that no expression can hang a reader."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

import re2

from loglease.logql.errors import Malformed

MEMORY: Final = 8 << 20
"""Bytes that one compiled expression may take."""


_REFERENCE = re.compile(r"\$\$|\$(?:(\w+)|\{(\w+)\})")
_NUMBER = re.compile(r"0|[1-9]\d{0,7}", re.ASCII)


Spans = Sequence[tuple[int, int]]
"""Where an expression matched, then where each of its groups did: first byte and the byte after the last, or -1."""

_ANYWHERE: Final = re2._re2.RE2.Anchor.UNANCHORED  # noqa: SLF001 - see `Expression`
_ALL: Final = re2._re2.RE2.Anchor.ANCHOR_BOTH  # noqa: SLF001 - the same


class Expression:
    """A compiled expression over bytes.

    It asks RE2 itself: the methods that the library puts around it take longer than most matches.
    """

    __slots__ = ("_match", "groupindex", "groups", "instructions")

    def __init__(self, pattern: bytes, options: re2.Options) -> None:
        compiled = re2.compile(pattern, options)
        self._match: Callable[[object, bytes, int, int], Spans] = compiled._regexp.Match  # noqa: SLF001 - see above
        self.groups: int = compiled.groups
        self.instructions: int = compiled.programsize
        self.groupindex: Mapping[bytes, int] = compiled.groupindex

    def search(self, text: bytes, start: int = 0) -> Spans | None:
        """Find the first match from a place on."""
        spans = self._match(_ANYWHERE, text, start, len(text))
        return None if spans[0][0] < 0 else spans

    def finds(self, text: bytes) -> bool:
        """Say whether there is a match."""
        return self._match(_ANYWHERE, text, 0, len(text))[0][0] >= 0

    def fullmatch(self, text: bytes) -> Spans | None:
        """Match a whole text."""
        spans = self._match(_ALL, text, 0, len(text))
        return None if spans[0][0] < 0 else spans

    def lines(self, text: bytes, ends: Sequence[int], most: int | None = None) -> list[int]:
        """Return the numbers of the first lines of a text in which there is a match; for `within_page`.

        Args:
            ends: where the lines end, each with a line feed.
            most: of so many at most; None for all.
        """
        match, size = self._match, len(text)
        found: list[int] = []
        at = number = 0
        while at < size and len(found) != most:
            start = match(_ANYWHERE, text, at, size)[0][0]
            if start < 0 or start == size:
                break
            number = bisect_right(ends, start, number)
            found.append(number)
            at = ends[number]
        return found


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


def tested_line(pattern: str) -> Expression:
    """Compile an expression for lines that has no groups, which makes it faster; use its `finds`.

    Raises:
        Malformed: as for `whole_value`.
    """
    return _compiled(pattern, dot_is_any=False, has_groups=False)


def within_page(pattern: str) -> Expression:
    """Compile an expression of lines to be found in many lines at once; use its `lines`.

    No match goes over the end of a line. For an expression that `within_line` takes.
    """
    return _compiled(f"(?m:{pattern})", dot_is_any=False, crosses_lines=False, has_groups=False)


def all_matches(expression: Expression, text: bytes) -> Iterator[Spans]:
    """Yield the matches as Go finds them: none overlap, no empty one is right behind another or in a character."""
    at, behind = 0, -1
    while at <= len(text):
        found = expression.search(text, at)
        if found is None:
            return
        start, end = found[0]
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


def expander(expression: Expression, replacement: str) -> Callable[[bytes, Spans], bytes]:
    """Return what fills the groups of a match in a text into a replacement.

    As in Go these are written ``$1``, ``${1}``, ``$name``, ``${name}``, and ``$$`` is a dollar. A name runs as
    far as letters, digits and underscores do; a group that there is not is empty.
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

    def fill(text: bytes, spans: Spans) -> bytes:
        return b"".join(piece if isinstance(piece, bytes) else text[slice(*spans[piece])] for piece in pieces)

    return fill


def _compiled(pattern: str, *, dot_is_any: bool, crosses_lines: bool = True, has_groups: bool = True) -> Expression:
    options = re2.Options()
    options.max_mem = MEMORY
    options.dot_nl = dot_is_any
    options.never_nl = not crosses_lines
    options.never_capture = not has_groups
    options.log_errors = False
    try:
        return Expression(pattern.encode(), options)
    except (re2.error, UnicodeEncodeError) as error:
        reason = error.args[0] if error.args and isinstance(error.args[0], (str, bytes)) else b""
        text = reason.decode("utf-8", "replace") if isinstance(reason, bytes) else reason
        raise Malformed(f"this is no regular expression of RE2{': ' if text else ''}{text}") from error
