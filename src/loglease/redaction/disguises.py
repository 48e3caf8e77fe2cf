"""Disguises: values written in escapes. A marked line gets decoded views, each with a map back to the raw bytes.

A round undoes escapes, then what Unicode and terminals add: control sequences, over-strike, combining marks, invisible
and compatibility characters. Runs of base64 and hexadecimal are decoded once. What makes a line worth it: `marks`.
"""

from __future__ import annotations

import base64
import binascii
import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator
from html.entities import html5
from typing import Final

from loglease.redaction.engine.re2_engine import linear
from loglease.redaction.marks import COMBINING, COMPATIBLE, CONTROL, INVISIBLE, QUOTED, RUN_MARKS, plain_form

MAX_MARKED_LINE: Final = 64 << 10
MAX_ROUNDS: Final = 3
MAX_GROWTH: Final = 4

_ESCAPE: Final = re.compile(
    rb"(?<!\\x[89A-Fa-f][0-9A-Fa-f])\\x(?P<lone>[89ABab][0-9A-Fa-f])|(?P<byte>%[0-9A-Fa-f]{2}|\\x[0-9A-Fa-f]{2})"
    rb"|(?P<pair>\\u[Dd][89ABab][0-9A-Fa-f]{2}\\u[Dd][C-Fc-f][0-9A-Fa-f]{2})"
    rb"|[\\%]u(?P<u>[0-9A-Fa-f]{4})|\\U(?P<long>00[01][0-9A-Fa-f]{5})|\\[ux]\{(?P<brace>[0-9A-Fa-f]{1,6})\}"
    rb"|(?P<octal>\\[0-3][0-7]{2})"
    # Backslashes that end a text stay as they are: undone, they would seem to escape the quote that closes it.
    rb"|(?P<kept>(?:\\\\){1,64}+(?=[\"'`]))"
    rb"|\\(?P<plain>[\"'/\\nrtbf =:@._+-])"
    rb"|&#0{0,16}(?P<decimal>[0-9]{1,7});?|&#[xX]0{0,16}(?P<hex>[0-9A-Fa-f]{1,6});?|&(?P<name>[A-Za-z][A-Za-z0-9]{1,31};)"
)
_LEAD: Final = re.compile(rb"[%\\&]")
_SHAPE_LEAD: Final = re.compile(rb"[^\t\n\x20-\x7e]")
_SEQUENCE: Final = (
    rb"(?:\x1b\[|\xc2\x9b)[0-?]{0,64}[ -/]{0,8}[@-~]|\x1b\][^\x07\x1b\n]{0,256}(?:\x07|\x1b\\)|\x1b[ -/]{1,3}[0-~]"
)
# A struck character is the last of those printed over one another, but an underscore only underlines.
_SHAPE: Final = re.compile(
    rb"(?P<sequence>"
    + _SEQUENCE
    + rb")|(?P<struck>(?:\x08(?:[\x20-\x7e]|[\xc2-\xf4][\x80-\xbf]{1,3}))+)|(?P<gone>\x08|\r(?!\n|\Z)|"
    + CONTROL.encode()
    + rb"|"
    + INVISIBLE.encode()
    + rb")|(?P<marks>(?:"
    + COMBINING.encode()
    + rb")+)|(?P<plain>"
    + COMPATIBLE.encode()
    + rb")"
)
_PRINTABLE: Final = bytes([0x09, 0x0A, *range(0x20, 0x7F)])
# No controls in two digits: `=172.16.0.1` is an address behind a sign.
_QUOTED: Final = re.compile(rb"=(?!0[0-7]|1[0-9])[0-9A-F]{2}")
_QUOTED_MARK: Final = re.compile(QUOTED.encode())
_CONTROLS: Final = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"b": b"\x08", b"f": b"\x0c"}
_RUN: Final = re.compile(rb"[A-Za-z0-9+/_-]{20,}={0,2}")
_HEX_RUN: Final = re.compile(rb"[0-9A-Fa-f]{20,}")
# So many choices are far slower in `re`, which tries one after the other.
_RUN_MARK, _HEX_MARK = (linear(mark) or re.compile(mark.encode()) for mark in RUN_MARKS)
_STANDARD: Final = bytes.maketrans(b"-_", b"+/")


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


def _escaped(found: re.Match[bytes]) -> bytes:
    kind, whole = found.lastgroup, found[0]
    if kind == "kept":
        return whole
    if kind == "byte":
        return bytes([int(whole[-2:], 16)])
    if kind == "lone":
        return chr(int(found["lone"], 16)).encode()
    if kind == "plain":
        return _CONTROLS.get(found["plain"], found["plain"])
    if kind == "pair":
        return bytes.fromhex(whole.replace(b"\\u", b"").decode()).decode("utf-16-be", "replace").encode()
    if kind == "octal":
        return bytes([int(whole[1:], 8)])
    if kind == "name":
        return html5.get(found["name"].decode(), whole.decode()).encode()
    return _character(int(found[kind or 0], 10 if kind == "decimal" else 16))


def _struck(found: re.Match[bytes], before: bytes) -> bytes:
    printed = (before + found[0]).decode("utf-8", "replace").split("\b")
    letters = ["".join(map(plain_form, part)) for part in printed]
    return next((letter for letter in reversed(letters) if letter not in {"", "_"}), "_").encode()


class _Undoing:
    """One pass over a text: what is undone, and the map of it."""

    def __init__(self, text: bytes) -> None:
        self._text = text
        self._parts: list[bytes] = []
        self._cuts: list[tuple[int, int, int, int]] = []
        self._at = self._size = 0

    def put(self, start: int, end: int, new: bytes) -> None:
        """Let new bytes stand for a range behind the last one."""
        self._parts += (self._text[self._at : start], new)
        self._size += start - self._at
        self._cuts.append((self._size, self._size + len(new), start, end))
        self._size += len(new)
        self._at = end

    def taken(self, at: int) -> tuple[int, bytes]:
        """Take back the character before an offset; return where it begins and how it reads so far."""
        if self._cuts and self._at == at:
            start, _, first, _ = self._cuts.pop()
            self._size, self._at = start, first
            return first, self._parts.pop()
        start = at
        while start > self._at and at - start < 4:  # noqa: PLR2004 - the longest character
            start -= 1
            if not 0x80 <= self._text[start] < 0xC0:  # noqa: PLR2004 - bytes that go on with a character
                return start, self._text[start:at]
        return at, b""

    def view(self, parent: View | None) -> View | None:
        """Return what came of it, if anything was undone."""
        if not self._cuts:
            return None
        self._parts.append(self._text[self._at :])
        return View(b"".join(self._parts), self._cuts, parent)


def _without_escapes(text: bytes, parent: View | None) -> View | None:
    lead = _LEAD.search(text)
    if lead is None:
        return None
    undoing = _Undoing(text)
    # Where no escape can begin, `re` skips a class of bytes far faster than a choice of patterns.
    while lead is not None:
        at = lead.start() + 1
        if found := _ESCAPE.match(text, at - 1):
            at = found.end()
            new = _escaped(found)
            if new != found[0]:
                undoing.put(found.start(), at, new)
        lead = _LEAD.search(text, at)
    return undoing.view(parent)


def _without_shapes(text: bytes, parent: View | None, gap: bytes) -> View | None:
    if not text.translate(None, _PRINTABLE):
        return None
    undoing = _Undoing(text)
    at = 0
    while lead := _SHAPE_LEAD.search(text, at):
        at = lead.start() + 1
        found = _SHAPE.match(text, at - 1)
        if found is None:
            continue
        kind, (start, at) = found.lastgroup, found.span()
        end, new = at, b""
        if kind == "sequence":
            new = gap
        elif kind == "plain":
            new = plain_form(found[0].decode()).encode()
        elif kind in {"struck", "marks"}:
            # The character before belongs to it, so that no half of it stays visible.
            start, new = undoing.taken(start)
            if kind == "struck":
                new = _struck(found, new)
        undoing.put(start, end, new)
    return undoing.view(parent)


def _without_quoting(text: bytes, parent: View | None) -> View | None:
    if not _QUOTED_MARK.search(text):
        return None
    undoing = _Undoing(text)
    for found in _QUOTED.finditer(text):
        undoing.put(found.start(), found.end(), bytes([int(found[0][1:], 16)]))
    return undoing.view(parent)


def _rounds(text: bytes, parent: View | None, gap: bytes = b"") -> list[View] | None:
    """Return the views of up to three rounds, three steps each; None if one grew too large or they do not end."""
    steps: tuple[Callable[[bytes, View | None], View | None], ...] = (
        _without_escapes,
        _without_quoting,
        lambda text, parent: _without_shapes(text, parent, gap),
    )
    views: list[View] = []
    for number in range(MAX_ROUNDS + 1):
        changed = False
        for step in steps:
            view = step(views[-1].text if views else text, views[-1] if views else parent)
            if view is None:
                continue
            if number == MAX_ROUNDS or len(view.text) > MAX_GROWTH * len(text):
                return None
            views.append(view)
            changed = True
        if not changed:
            break
    return views


def escape_views(text: bytes, parent: View | None = None) -> list[View] | None:
    """Return the views of a marked text in the order of decoding; None if a limit was met: the line is masked whole."""
    if len(text) > MAX_MARKED_LINE:
        return None
    views = _rounds(text, parent)
    if views is not None and (shaped := _without_shapes(text, parent, b"")) and _without_escapes(text, parent):
        # What a terminal or a font adds may stand inside an escape.
        more = _rounds(shaped.text, shaped)
        views = None if more is None else [*views, shaped, *more]
    if views is not None and any(b"\x1b" in one for one in (text, *(view.text for view in views))):
        # A sequence may stand inside a word, or be all that stands between two.
        apart = _rounds(text, parent, b" ")
        views = None if apart is None else views + apart
    return views


def first_steps(text: bytes) -> list[View]:
    """Return what either step of a round makes of a text, which tells where its escapes and sequences stand."""
    steps = (_without_escapes(text, None), _without_shapes(text, None, b""))
    return [step for step in steps if step is not None]


def is_text(data: bytes) -> bool:
    """Tell whether bytes from inside a run are text, so that escapes in them mean something."""
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def run_views(text: bytes, parent: View | None = None, *, known: bytes = b"", every: bool = False) -> Iterator[View]:
    """Yield what runs of base64 and hexadecimal hold; a find in one masks the whole run.

    A run may begin with characters that do not belong to it, so that each offset into a group is tried.

    Args:
        text: a line, or the text of a view.
        parent: the view whose text it is, if it is one's.
        known: leave out runs that stand in this text, too.
        every: decode runs without a mark, too.
    """
    for pattern, mark, size, decode in ((_RUN, _RUN_MARK, 4, _base64), (_HEX_RUN, _HEX_MARK, 2, _hexadecimal)):
        for found in pattern.finditer(text):
            if found[0] in known:
                continue
            marked = mark.search(found[0])
            for skipped in range(size if marked else int(every)):
                plain = decode(found[0][skipped:])
                yield View(plain, [(0, len(plain), found.start(), found.end())], parent)


def _base64(run: bytes) -> bytes:
    body = run.rstrip(b"=").translate(_STANDARD)
    body = body[: len(body) - (len(body) % 4 == 1)]
    return base64.b64decode(body + b"=" * (-len(body) % 4))


def _hexadecimal(run: bytes) -> bytes:
    return binascii.unhexlify(run[: len(run) // 2 * 2])
