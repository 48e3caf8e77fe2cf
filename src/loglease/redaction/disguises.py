"""Disguises: values written in escapes. A marked line gets decoded views, each with a map back to the raw bytes."""

from __future__ import annotations

import base64
import binascii
import re
import unicodedata
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from html.entities import html5
from typing import Final

MAX_MARKED_LINE: Final = 64 << 10
MAX_ROUNDS: Final = 3
MAX_GROWTH: Final = 4
_RUN_LENGTHS: Final = (20, 8192)

_INVISIBLE: Final = rb"\xc2\xad|\xcd\x8f|\xe2\x80[\x8b-\x8f\xaa-\xae]|\xe2\x81[\xa0-\xaf]|\xef\xbb\xbf"
_COMBINING: Final = rb"\xcc[\x80-\xbf]|\xcd[\x80-\xaf]"
_COMPATIBLE: Final = (
    rb"\xc2[\xa0\xaa\xb2\xb3\xb9\xba]|\xe2[\x80\x81\x82\x84\x85\x92\x93][\x80-\xbf]|\xef[\xb8-\xbf][\x80-\xbf]|\xf0\x9d[\x90-\x9f][\x80-\xbf]"
    rb"|\xd9[\xa0-\xa9]|\xdb[\xb0-\xb9]|\xe0\xa5[\xa6-\xaf]|\xe3\x80\x80"
)
# What makes a line worth decoding; also the tripwire of all engines, so it stays within their common language.
MARKS: Final = (
    r"%[0-9A-Fa-f][0-9A-Fa-f]",
    r"\\(?:u[0-9A-Fa-f]{4}|x[0-9A-Fa-f]{2}|[0-3][0-7]{2}|[\x22'/nrt])",
    r"\\u\{",
    r"&(?:#|[A-Za-z]{2,24};)",
    r"=3D|=[0-9A-F]{2}=[0-9A-F]{2}",
    r"\x1b|\x08",
    r"\xc2[\xa0\xaa\xad\xb2\xb3\xb9\xba]|\xcc[\x80-\xbf]|\xcd[\x80-\xaf]|\xe2\x80[\x80-\x8f\xaa-\xaf]|\xe2\x81[\x9f-\xaf]",
    r"\xe2[\x82\x84\x85\x92\x93][\x80-\xbf]|\xef[\xb8-\xbf][\x80-\xbf]|\xf0\x9d[\x90-\x9f]|\xd9[\xa0-\xa9]|\xdb[\xb0-\xb9]|\xe0\xa5[\xa6-\xaf]|\xe3\x80\x80",
)
MARK: Final = re.compile("|".join(MARKS).encode())
_TOKEN: Final = re.compile(
    rb"(?P<percent>%[0-9A-Fa-f]{2})"
    rb"|(?P<u>\\u[Dd][89ABab][0-9A-Fa-f]{2}\\u[Dd][C-Fc-f][0-9A-Fa-f]{2}|\\u[0-9A-Fa-f]{4})"
    rb"|\\u\{(?P<brace>[0-9A-Fa-f]{1,6})\}"
    rb"|(?P<x>\\x[0-9A-Fa-f]{2})"
    rb"|(?P<octal>\\[0-3][0-7]{2})"
    rb"|\\(?P<plain>[\"'/\\nrtbf])"
    rb"|&#(?P<decimal>[0-9]{1,7});?|&#[xX](?P<hex>[0-9A-Fa-f]{1,6});?|&(?P<name>[A-Za-z]{2,24});"
    rb"|(?P<qp>=3D|(?:=[0-9A-F]{2}){2,64})"
    rb"|(?P<gone>\x1b\[[0-?]{0,64}[ -/]{0,8}[@-~]|[^\n\x08]\x08|" + _INVISIBLE + rb"|" + _COMBINING + rb")"
    rb"|(?P<compat>" + _COMPATIBLE + rb")"
)
_ESCAPE: Final = b"\x1b"
_PLAIN: Final = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"b": b" ", b"f": b" "}
_RUN: Final = re.compile(rb"[A-Za-z0-9+/_-]{20,8192}={0,2}")
_HEX_RUN: Final = re.compile(rb"(?:[0-9A-Fa-f]{2}){10,4096}")
_CARRIED: Final = (b"password", b"passwd", b"secret", b"token", b"AKIA", b"ghp_", b"eyJ", b"-----BEGIN")


def _alignments(word: bytes) -> Iterator[str]:
    """Yield how a word looks inside base64 at each of the three alignments, without the characters it shares."""
    for shift in range(3):
        encoded = base64.b64encode(b"\0" * shift + word).decode().rstrip("=")
        first = (shift * 8 + 5) // 6
        last = (shift + len(word)) * 8 // 6
        yield encoded[first:last]


def _run_marks() -> tuple[str, ...]:
    base = sorted({part for word in _CARRIED for part in _alignments(word) if len(part) >= 4})  # noqa: PLR2004 - shorter ones are everywhere
    safe = sorted({part.replace("+", "-").replace("/", "_") for part in base})
    hexed = sorted({word.hex() for word in _CARRIED})
    words = "|".join(re.escape(part) for part in sorted(set(base) | set(safe)))
    return (words, "(?i)(?:" + "|".join(hexed) + ")")


RUN_MARKS: Final = _run_marks()
_RUN_MARK: Final = re.compile(RUN_MARKS[0].encode())
_HEX_MARK: Final = re.compile(RUN_MARKS[1].encode())


class View:
    """A decoded text; knows which bytes of the text before it a range came from."""

    __slots__ = ("_ends", "_from", "_starts", "_to", "parent", "text")

    def __init__(self, text: bytes, cuts: list[tuple[int, int, int, int]], parent: View | None) -> None:
        self.text = text
        self.parent = parent
        self._starts = [cut[0] for cut in cuts]
        self._ends = [cut[1] for cut in cuts]
        self._from = [cut[2] for cut in cuts]
        self._to = [cut[3] for cut in cuts]

    def raw_range(self, start: int, end: int) -> tuple[int, int]:
        """Return the smallest raw range that holds a range of this view: escapes count whole."""
        at = bisect_right(self._starts, start) - 1
        if at < 0:
            first = start
        elif start < self._ends[at]:
            first = self._from[at]
        else:
            first = start - self._ends[at] + self._to[at]
        at = bisect_left(self._starts, end) - 1
        if at < 0:
            last = end
        elif end <= self._ends[at]:
            last = self._to[at]
        else:
            last = end - self._ends[at] + self._to[at]
        return self.parent.raw_range(first, last) if self.parent is not None else (first, last)

    def splits(self, at: int) -> tuple[int, int] | None:
        """Return the escape of the text before this view that an offset falls into, if it does."""
        place = bisect_left(self._from, at) - 1
        if place >= 0 and self._from[place] < at < self._to[place]:
            return self._from[place], self._to[place]
        return None


def _character(number: int) -> bytes:
    try:
        return chr(number).encode()
    except (ValueError, UnicodeEncodeError):
        return b"?"


def _utf16(escapes: bytes) -> bytes:
    units = bytes.fromhex(escapes.replace(b"\\u", b"").decode())
    return units.decode("utf-16-be", "replace").encode()


def _compatible(found: bytes) -> bytes:
    text = unicodedata.normalize("NFKC", found.decode("utf-8", "replace"))
    return "".join(
        str(unicodedata.digit(char)) if char.isdigit() and not char.isascii() else char for char in text
    ).encode()


def _decoded(found: re.Match[bytes], gap: bytes) -> bytes:
    kind, whole = found.lastgroup, found[0]
    if kind in {"percent", "x"}:
        return bytes([int(whole[-2:], 16)])
    if kind == "qp":
        return bytes.fromhex(whole.replace(b"=", b"").decode())
    if kind == "u":
        return _utf16(whole)
    if kind == "plain":
        return _PLAIN.get(found["plain"], found["plain"])
    if kind == "octal":
        return bytes([int(whole[1:], 8)])
    if kind in {"decimal", "hex", "brace"}:
        return _character(int(found[kind], 10 if kind == "decimal" else 16))
    if kind == "name":
        return html5.get(found["name"].decode() + ";", whole.decode()).encode()
    if kind == "compat":
        return _compatible(whole)
    return gap if whole[:1] == _ESCAPE else b""


def decoded(text: bytes, parent: View | None, *, gap: bytes = b"") -> View | None:
    """Undo one round of escapes; None if there is nothing to undo.

    Args:
        text: one line, or the text of a view.
        parent: the view whose text it is, if it is one's.
        gap: what stands for a terminal's control sequence.
    """
    parts: list[bytes] = []
    cuts: list[tuple[int, int, int, int]] = []
    at = size = 0
    for found in _TOKEN.finditer(text):
        start, end = found.span()
        new = _decoded(found, gap)
        if new == found[0]:
            continue
        parts.append(text[at:start])
        size += start - at
        parts.append(new)
        cuts.append((size, size + len(new), start, end))
        size += len(new)
        at = end
    if not cuts:
        return None
    parts.append(text[at:])
    return View(b"".join(parts), cuts, parent)


def escape_views(text: bytes) -> list[View] | None:
    """Return the views of a marked line, one a round; None if a limit was met and the line is to be masked whole."""
    if len(text) > MAX_MARKED_LINE:
        return None
    views: list[View] = []
    current, parent = text, None
    for _ in range(MAX_ROUNDS):
        view = decoded(current, parent)
        if view is None:
            break
        if len(view.text) > MAX_GROWTH * len(text):
            return None
        views.append(view)
        current, parent = view.text, view
    else:
        if decoded(current, parent) is not None:
            return None
    # A sequence may stand inside a word, or be all that stands between two.
    apart = decoded(text, None, gap=b" ") if _ESCAPE in text else None
    return views if apart is None else [*views, apart]


def run_views(text: bytes) -> Iterator[View]:
    """Yield what runs of base64 and hex hold, where they carry a known beginning; a find in one masks the whole run."""
    for found in _RUN.finditer(text):
        plain = _base64(found[0]) if _RUN_MARK.search(found[0]) else None
        if plain is not None:
            yield View(plain, [(0, len(plain), found.start(), found.end())], None)
    for found in _HEX_RUN.finditer(text):
        if _HEX_MARK.search(found[0]):
            plain = bytes.fromhex(found[0].decode())
            yield View(plain, [(0, len(plain), found.start(), found.end())], None)


def _base64(run: bytes) -> bytes | None:
    body = run.rstrip(b"=").translate(bytes.maketrans(b"-_", b"+/"))
    body = body[: len(body) - (len(body) % 4 == 1)]
    try:
        return base64.b64decode(body + b"=" * (-len(body) % 4))
    except (binascii.Error, ValueError):
        return None
