"""Where the values of a structured line stand: JSON and logfmt, read once from left to right, as byte ranges.

Nothing is rebuilt and nothing recurses. What is no JSON or logfmt in the end has given its values up to there.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from loglease.redaction.paths import MAX_DEPTH, Path, names_in

_GAP: Final = re.compile(rb"[ \t\r]*+")
_STRING: Final = re.compile(rb'"(?P<text>[^"\\]*+(?:\\.[^"\\]*+)*+)"', re.DOTALL)
_BARE: Final = re.compile(
    rb"(?:-?(?:0|[1-9][0-9]*+)(?:\.[0-9]++)?(?:[eE][+-]?[0-9]++)?|true|false|null|NaN|-?Infinity)(?![^ \t\r,\]}])"
)
_KEY: Final = re.compile(rb'[^\s="\x00-\x20]++')
_NAME: Final = re.compile(rb"[A-Za-z_@][A-Za-z0-9_.@/-]{0,127}")
_QUOTED: Final = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"|\'[^\'\\]*+(?:\\.[^\'\\]*+)*+\'|`[^`]*+`', re.DOTALL)
_WORD: Final = re.compile(rb'(?:[^\s"]++|"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\Z))*+', re.DOTALL)
_ESCAPE: Final = re.compile(rb"\\(.)", re.DOTALL)
_OBJECT, _ARRAY = b"{", b"["


class FieldValue(NamedTuple):
    """A value, without the quotes around it.

    Attributes:
        bare: it is a JSON value without quotes, so that a token in its place needs some.
    """

    path: Path
    start: int
    end: int
    bare: bool


@dataclass(slots=True)
class Fields:
    """The fields of a line.

    Attributes:
        whole: the line is one JSON object or array, or logfmt with a name to every word.
        deep: it nests deeper than is looked into.
    """

    values: list[FieldValue] = field(default_factory=list)
    whole: bool = False
    deep: bool = False


def fields_of(line: bytes) -> Fields:
    """Return the fields of a line without its LF."""
    begin = _GAP.match(line).end()  # type: ignore[union-attr] # it matches nothing, too
    first = line[begin : begin + 1]
    if first in (_OBJECT, _ARRAY):
        found = _Json(line).read(begin)
        if first == _OBJECT or found.whole or found.deep:
            return found
    return _logfmt(line)


class _Json:
    """One pass over a text that begins like JSON."""

    def __init__(self, text: bytes) -> None:
        self._text = text
        self._found = Fields()
        # For each open object or array: which it is, and the path of what is directly in it, as far as it is known.
        self._open: list[tuple[bytes, Path]] = []
        self._is_fresh = False  # nothing has come behind the last bracket that was opened

    def read(self, at: int) -> Fields:
        """Read values until the text ends or is none; one document alone is whole."""
        text, found = self._text, self._found
        documents = 0
        while at >= 0 and not found.deep:
            at = self._document(at)
            if at < 0:
                break
            documents += 1
            at = _gap(text, at)
            if at == len(text):
                found.whole = documents == 1
                break
            if text[at : at + 1] not in (_OBJECT, _ARRAY):
                break
        return found

    def _document(self, at: int) -> int:
        """Read one object or array; return where it ends, -1 if it does not."""
        text = self._text
        at = self._value(at, ())
        while self._open and at >= 0:
            kind, path = self._open[-1]
            at = _gap(text, at)
            mark = text[at : at + 1]
            if mark == (b"}" if kind == _OBJECT else b"]"):
                self._open.pop()
                self._is_fresh = False
                at += 1
                continue
            if not self._is_fresh:
                if mark != b",":
                    return -1
                at = _gap(text, at + 1)
            at = self._member(at, path) if kind == _OBJECT else self._value(at, path)
        return -1 if self._found.deep else at

    def _member(self, at: int, path: Path) -> int:
        key = _STRING.match(self._text, at)
        if key is None:
            return -1
        at = _gap(self._text, key.end())
        if self._text[at : at + 1] != b":":
            return -1
        names = path + names_in(_name(key["text"]))
        if len(names) > MAX_DEPTH:
            self._found.deep = True
            return -1
        return self._value(_gap(self._text, at + 1), names)

    def _value(self, at: int, path: Path) -> int:
        """Read a value, or go into it; return where it ends or its first member may stand, -1 if there is none."""
        text, values = self._text, self._found.values
        first = text[at : at + 1]
        self._is_fresh = first in (_OBJECT, _ARRAY)
        if self._is_fresh:
            self._open.append((first, path))
            if len(self._open) > MAX_DEPTH:
                self._found.deep = True
                return -1
            return at + 1
        if first == b'"':
            string = _STRING.match(text, at)
            end = _end_of(text) if string is None else string.end() - 1
            if end > at + 1:
                values.append(FieldValue(path, at + 1, end, bare=False))
            return -1 if string is None else string.end()
        bare = _BARE.match(text, at)
        if bare is None:
            return -1
        values.append(FieldValue(path, at, bare.end(), bare=True))
        return bare.end()


def _gap(text: bytes, at: int) -> int:
    return _GAP.match(text, at).end()  # type: ignore[union-attr] # it matches nothing, too


def _name(raw: bytes) -> str:
    """Return a key as it reads; one with escapes that are none reads without their backslashes."""
    if b"\\" not in raw:
        return raw.decode("utf-8", "replace")
    try:
        return str(json.loads(b'"%b"' % raw, strict=False))
    except ValueError:
        return _ESCAPE.sub(rb"\1", raw).decode("utf-8", "replace")


def _end_of(line: bytes) -> int:
    """Return where the text of a line ends: a CR belongs to the line's end."""
    return len(line) - line.endswith(b"\r")


def _logfmt(line: bytes) -> Fields:
    found = Fields(whole=True)
    size = _end_of(line)
    at = _gap(line, 0)
    while at < size:
        key = _KEY.match(line, at)
        if key is None or line[key.end() : key.end() + 1] != b"=":
            found.whole = False
            at = _gap(line, at + 1 if key is None else key.end())
            continue
        path = names_in(key[0].decode("utf-8", "replace"))
        if len(path) > MAX_DEPTH:
            found.deep = True
            return found
        if not _NAME.fullmatch(key[0]):  # what looks like no name may be a value
            found.whole = False
        start, end, at, is_closed = _logfmt_value(line, key.end() + 1)
        if end > start:
            found.values.append(FieldValue(path, start, end, bare=False))
        behind = _gap(line, at)
        if not is_closed or (behind == at and at < size):
            found.whole = False
        at = behind
    found.whole = found.whole and bool(found.values)
    return found


def _logfmt_value(line: bytes, at: int) -> tuple[int, int, int, bool]:
    """Return start and end of a value, where its own syntax ends, and whether its quote, if any, is closed."""
    quoted = _QUOTED.match(line, at)
    if quoted is not None:
        return at + 1, quoted.end() - 1, quoted.end(), True
    if line[at : at + 1] == b'"':
        return at + 1, _end_of(line), len(line), False
    word = _WORD.match(line, at)
    end = at if word is None else word.end()
    return at, end, end, b'"' not in line[at:end]
