"""The parsers: from the text of a line to labels."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from collections.abc import Set as AbstractSet
from contextlib import suppress
from functools import lru_cache
from itertools import chain, count
from json import JSONDecoder
from json.decoder import scanstring  # type: ignore[attr-defined]  # documented only in the module's own source
from typing import Any, Final

from loglease.logql.entry import Entry, Fault
from loglease.logql.expressions import within_line
from loglease.logql.json_paths import parse_path
from loglease.logql.patterns import CapturingPattern
from loglease.logql.syntax import Extraction, JsonParser, LogfmtParser, PatternParser, RegexpParser

Step = Callable[[Entry], bool]
Rescan = Callable[[str, str], str]
"""Redacts a value that a parser has just decoded; takes the name of its label and the value."""
Names = AbstractSet[str] | None
"""Names of the labels that a parser has to make; None for all."""

ENTRY_MEMBER: Final = "_entry"
MAX_NAMES: Final = 10_000

_NOT_IN_NAME = re.compile(r"[^A-Za-z0-9_]", re.ASCII)
_HALF_OF_PAIR = re.compile("[\ud800-\udfff]")


@lru_cache(maxsize=MAX_NAMES)
def label_name(key: str) -> str:
    """Return the label's name for a key: trimmed, ``_`` for what no name may hold, and before a leading digit."""
    name = _part_of_name(key)
    return f"_{name}" if name[:1].isdigit() else name


@lru_cache(maxsize=MAX_NAMES)
def _part_of_name(key: str) -> str:
    return _NOT_IN_NAME.sub("_", key.strip())


class _Members(list[tuple[str, Any]]):
    """The members of a JSON object in their order, doubled names among them."""


class _Number(str):
    """A number as it was written."""

    __slots__ = ()


def _no_constant(_: str) -> Any:
    raise ValueError


_scan: Final = JSONDecoder(
    object_pairs_hook=_Members, parse_float=_Number, parse_int=_Number, parse_constant=_no_constant
).scan_once  # type: ignore[attr-defined]  # the same
_BLANK = re.compile(r"[ \t\r\n]*")
_STRING = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_BROKEN: Final = (ValueError, StopIteration, IndexError, RecursionError)


def _start(text: str, at: int = 0) -> int:
    match = _BLANK.match(text, at)
    return match.end() if match else at


def _string(text: str, at: int) -> tuple[str, int]:
    """Read the string whose quote is at a position; half of a pair of surrogates becomes U+FFFD."""
    if text[at] != '"':
        raise ValueError
    found, end = scanstring(text, at + 1, True)  # noqa: FBT003 - the standard library's own signature
    return _HALF_OF_PAIR.sub("\ufffd", found), end


def _object(text: str) -> tuple[_Members, bool]:
    """Return the members of the object at the start of a text, and whether it is whole; what follows it is ignored."""
    start = _start(text)
    if text[start : start + 1] != "{":
        return _Members(), False
    try:
        found, _ = _scan(text, start)
    except _BROKEN:
        found = _Members()
        with suppress(*_BROKEN):
            _read_members(text, start, found, 0)
        return found, False
    return found, True


def _read_members(text: str, at: int, into: _Members, depth: int) -> int:
    """Read the members of an object up to where it breaks, which raises; return where it ends otherwise."""
    at = _start(text, at + 1)
    if text[at] == "}":
        return at + 1
    while True:
        key, at = scanstring(text, at + 1, True) if text[at] == '"' else _no_constant(text)  # noqa: FBT003 - as above
        at = _start(text, at)
        if text[at] != ":":
            raise ValueError
        at = _start(text, at + 1)
        if text[at] == "{" and depth < 64:  # noqa: PLR2004 - as deep as JSON may be here
            value = _Members()
            into.append((key, value))
            at = _read_members(text, at, value, depth + 1)
        else:
            value, at = _scan(text, at)
            into.append((key, value))
        at = _start(text, at)
        if text[at] == "}":
            return at + 1
        if text[at] != ",":
            raise ValueError
        at = _start(text, at + 1)


class _Decoded:
    """What strings of a line stood for that were written with an escape: redaction has not seen these."""

    def __init__(self, text: str, rescan: Rescan) -> None:
        self._found: set[str] = set()
        self._rescan = rescan
        for match in _STRING.finditer(text):
            if "\\" in match[0]:
                with suppress(ValueError):
                    self._found.add(scanstring(match[0], 1, True)[0])  # noqa: FBT003 - as above

    def shown(self, name: str, value: str) -> str:
        """Return a key or value, redacted again if need be."""
        return self._rescan(name, _HALF_OF_PAIR.sub("\ufffd", value)) if value in self._found else value


def _flat(members: _Members, prefix: str | None, decoded: _Decoded | None) -> Iterator[tuple[str, str]]:
    """Yield name and value of each label in an object."""
    for key, value in members:
        shown = key if decoded is None else decoded.shown("", key)
        name = label_name(shown) if prefix is None else f"{prefix}_{_part_of_name(shown)}"
        kind = type(value)
        if kind is _Members:
            yield from _flat(value, name, decoded)
        elif not name:
            continue
        elif kind is str:
            yield name, value if decoded is None else decoded.shown(name, value)
        elif kind is _Number:
            yield name, str(value)
        elif kind is bool:
            yield name, "true" if value else "false"


def json_members(text: str) -> tuple[list[tuple[tuple[str, ...], str]], bool]:
    """Return the scalars of the object at the start of a text, each with the keys to it, and whether it is whole."""
    members, whole = _object(text)
    return list(_with_paths(members, ())), whole


def _with_paths(members: _Members, above: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str]]:
    for key, value in members:
        if type(value) is _Members:
            yield from _with_paths(value, (*above, key))
        elif type(value) is bool:
            yield (*above, key), "true" if value else "false"
        elif isinstance(value, str):
            yield (*above, key), str(value)


def json_step(stage: JsonParser, rescan: Rescan) -> Step:
    """Return the step of ``| json``."""
    if stage.extractions:
        return _json_paths(stage.extractions, rescan)

    def parse(entry: Entry) -> bool:
        text = entry.line.decode()
        members, whole = _object(text)
        for name, value in _flat(members, None, _Decoded(text, rescan) if "\\" in text else None):
            entry.parse(name, value)
        if not whole:
            entry.fail(Fault.JSON)
        return True

    return parse


def _json_paths(extractions: tuple[Extraction, ...], rescan: Rescan) -> Step:
    paths = [(one.name, parse_path(one.path)) for one in extractions]

    def parse(entry: Entry) -> bool:
        text = entry.line.decode()
        start = _start(text)
        if text[start : start + 1] not in ("{", "["):
            entry.fail(Fault.JSON)
            return True
        try:
            _scan(text, start)
        except _BROKEN:
            entry.fail(Fault.JSON)
        for name, path in paths:
            try:
                value, was_escaped = _at_path(text, start, path)
            except _BROKEN:
                value, was_escaped = "", False
            entry.parse(name, rescan(name, value) if was_escaped else value)
        return True

    return parse


def _at_path(text: str, at: int, path: tuple[str | int, ...]) -> tuple[str, bool]:
    """Return the value at a path and whether an escape was undone; empty where there is none.

    Strings are decoded, all else stays as written. Raises where the text breaks before the value ends.
    """
    for step in path:
        found = _child(text, at, step)
        if found is None:
            return "", False
        at = found
    if text[at] == '"':
        value, end = _string(text, at)
        return value, "\\" in text[at:end]
    value, end = _scan(text, at)
    return "" if value is None else text[at:end], False


def _child(text: str, at: int, step: str | int) -> int | None:
    """Return where a member or element begins."""
    opening, closing = "{}" if isinstance(step, str) else "[]"
    if text[at] != opening:
        return None
    at = _start(text, at + 1)
    if text[at] == closing:
        return None
    for number in count():
        key: str | int = number
        if opening == "{":
            key, at = _string(text, at)
            at = _start(text, at)
            if text[at] != ":":
                raise ValueError
            at = _start(text, at + 1)
        if key == step:
            return at
        _, at = _scan(text, at)
        at = _start(text, at)
        if text[at] == closing:
            return None
        if text[at] != ",":
            raise ValueError
        at = _start(text, at + 1)
    return None


def unpack_step(rescan: Rescan, names: Names) -> Step:
    """Return the step of ``| unpack``. All that it takes out is redacted again: it was text within text."""

    def unpack(entry: Entry) -> bool:
        text = entry.line.decode()
        members, whole = _object(text)
        if not whole:
            entry.fail(Fault.JSON)
            return True
        found = [(key, _HALF_OF_PAIR.sub("\ufffd", value)) for key, value in members if type(value) is str]
        packed = next((value for key, value in found if key == ENTRY_MEMBER), None)
        if packed is None:
            return True
        for key, value in found:
            name = label_name(rescan("", _HALF_OF_PAIR.sub("\ufffd", key)))
            if key != ENTRY_MEMBER and name and (names is None or name in names):
                entry.parse(name, rescan(name, value))
        entry.replace_line(rescan("", packed).encode())
        return True

    return unpack


# A key, then a value in quotes or without, or nothing; where that does not fit, an open quote takes the rest of the
# line, and anything else all up to the next white space.
_PAIR = re.compile(
    r'([^\x00- ="]++)(?:=("[^"\\]*+(?:\\.[^"\\]*+)*+")|(?:=([^\x00- ="]*+))?(?![^\x00- ]))'
    r'|[^\x00- ="]++=".*+|[^\x00- ]++',
    re.DOTALL,
)


def _unquoted(value: str) -> str | None:
    """Undo the quotes and escapes of a value; None if the escapes are none."""
    if "\\" not in value:
        return value[1:-1]
    try:
        decoded, _ = _string(value, 0)
    except ValueError:
        return None
    return decoded


def _pairs(text: str) -> Iterator[tuple[str, str, bool] | None]:
    """Yield key, value and whether an escape was undone, of each pair; None for what is none."""
    for key, quoted, bare in _PAIR.findall(text):
        value = _unquoted(quoted) if quoted else bare
        yield None if not key or value is None else (key, value, "\\" in quoted)


def logfmt_pairs(text: str) -> Iterator[tuple[str, str, bool]]:
    """Yield key, value and whether an escape was undone, of each pair that is one."""
    return (pair for pair in _pairs(text) if pair is not None)


def _good_pairs(entry: Entry, strict: bool) -> Iterator[tuple[str, str, bool]]:  # noqa: FBT001 - a flag of the query
    """Yield the pairs of a line; one that is none is left out, or ends a strict reading with an error."""
    for pair in _pairs(entry.line.decode()):
        if pair is not None:
            yield pair
        elif strict:
            entry.fail(Fault.LOGFMT)
            return


def logfmt_step(stage: LogfmtParser, rescan: Rescan) -> Step:
    """Return the step of ``| logfmt``."""
    keep_empty = stage.keep_empty
    wanted: dict[str, list[str]] = {}
    for one in stage.extractions:
        wanted.setdefault(one.path, []).append(one.name)

    def parse(entry: Entry) -> bool:
        missing = dict(wanted)
        for key, value, was_escaped in _good_pairs(entry, stage.strict):
            if value or keep_empty:
                for name in missing.pop(key, ()) if wanted else (label_name(key),):
                    entry.parse(name, rescan(name, value) if was_escaped else value)
        if keep_empty:
            for name in chain.from_iterable(missing.values()):
                entry.parse(name, "")
        return True

    return parse


def regexp_step(stage: RegexpParser, names: Names) -> Step:
    """Return the step of ``| regexp``."""
    expression = within_line(stage.pattern)
    groups = [
        (name.decode(), number)
        for name, number in expression.groupindex.items()
        if names is None or name.decode() in names
    ]

    def parse(entry: Entry) -> bool:
        line = entry.line
        spans = expression.search(line)
        if spans is not None:
            for name, number in groups:
                entry.parse(name, line[slice(*spans[number])].decode("utf-8", "replace"))
        return True

    return parse


def pattern_step(stage: PatternParser, names: Names) -> Step:
    """Return the step of ``| pattern``."""
    captures = CapturingPattern(stage.pattern).captures

    def parse(entry: Entry) -> bool:
        for name, value in captures(entry.line):
            if names is None or name in names:
                entry.parse(name, value.decode("utf-8", "replace"))
        return True

    return parse
