"""Labels of a JSON line, faster than the parser makes them: those of some names, or all of a flat object.

Exact or not at all: whatever could make a label differ from what ``| json`` gives is left to the parser itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final, NamedTuple

import orjson

from loglease.logql.extraction import label_name
from loglease.logql.sparing import Shapes, Unsure, Values, label_names, named

MAX_OPENED: Final = 64

_NUMBER: Final = re.compile(rb"\s*:\s*([-+.0-9eE]+)")


class _Member(NamedTuple):
    """Where a label comes from."""

    name: str
    key: str
    quoted: bytes


class _Shape(NamedTuple):
    """What the keys of an object say of the labels: where they come from, and which members must be no objects."""

    members: tuple[_Member, ...]
    scalars: tuple[tuple[str, bytes], ...]


def json_values(names: Iterable[str]) -> Values:
    """Return what takes the labels of these names out of JSON lines."""
    wanted = frozenset(names)
    shape_of = Shapes(lambda keys: _shape(keys, wanted))

    def values(line: bytes) -> dict[str, str] | None:
        fields = _object(line)
        shape = None if fields is None else shape_of[tuple(fields)]
        return None if fields is None or shape is None else _members(shape, fields, line)

    return values


def all_json_values() -> Values:
    """Return what takes all labels out of JSON lines that are flat objects."""
    names_of = Shapes(label_names)

    def values(line: bytes) -> dict[str, str] | None:
        fields = _object(line)
        names = None if fields is None else names_of[tuple(fields)]
        if fields is None or names is None:
            return None
        texts = 0
        for key, value in fields.items():
            kind = type(value)
            if kind is str:
                texts += 1
            elif kind is int and value:
                fields[key] = str(value)
            elif kind is dict or kind is list:
                return None
            else:
                try:
                    fields[key] = _text(value, line, b'"%b"' % key.encode())
                except Unsure:
                    return None
        # Each key and each text has two quotes: if there are more, a key is doubled.
        if line.count(b'"') != 2 * (len(fields) + texts):
            return None
        return named(names, fields)

    return values


def _object(line: bytes) -> dict[str, Any] | None:
    """Return the object that a line is; none that has an escape or is deep."""
    # To ask where a byte is takes a third of the time of asking whether it is there.
    if line.find(b"\\") >= 0:
        return None
    if (line.rfind(b"{") > 0 or line.find(b"[") >= 0) and line.count(b"{") + line.count(b"[") > MAX_OPENED:
        return None
    try:
        fields = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
    return fields if type(fields) is dict else None


def _members(shape: _Shape, fields: dict[str, object], line: bytes) -> dict[str, str] | None:
    # The decoder takes the last of two members with one key, the language the first.
    for key, quoted in shape.scalars:
        if type(fields[key]) is dict or line.count(quoted) != 1:
            return None
    found = {}
    for name, key, quoted in shape.members:
        if line.count(quoted) != 1:
            return None
        try:
            text = _text(fields[key], line, quoted)
        except Unsure:
            return None
        if text is not None:
            found[name] = text
    return found


def _shape(keys: tuple[str, ...], wanted: frozenset[str]) -> _Shape | None:
    members: dict[str, _Member] = {}
    scalars = []
    for key in keys:
        name = label_name(key)
        if not name:
            return None
        if name in wanted:
            if name in members:
                return None
            members[name] = _Member(name, key, b'"%b"' % key.encode())
        if any(one.startswith(f"{name}_") for one in wanted):
            scalars.append((key, b'"%b"' % key.encode()))
    return _Shape(tuple(members.values()), tuple(scalars))


def _text(value: object, line: bytes, quoted: bytes) -> str | None:
    """Return a value as the parser writes it, None for what gives no label; numbers stay as they were written.

    Raises:
        Unsure: the first place where its key stands in the line is another.
    """
    if type(value) is str:
        return value
    if type(value) is bool:
        return "true" if value else "false"
    if type(value) is int and value:
        return str(value)
    if type(value) not in (int, float):
        return None
    match = _NUMBER.match(line, line.find(quoted) + len(quoted))
    if match is None:
        raise Unsure
    return match[1].decode()
