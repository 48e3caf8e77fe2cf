"""Some labels of a JSON line, without making all the others: for queries of which later stages need only these.

Exact or not at all: whatever could make a label differ from what ``| json`` gives is left to the parser itself.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

import orjson

from loglease.logql.entry import Entry
from loglease.logql.extraction import Step, label_name

JsonValues = Callable[[bytes], list[tuple[str, str]] | None]
"""Returns the labels of some names that are in a line, None if only the parser can tell."""

MAX_SHAPES: Final = 1_000
MAX_OPENED: Final = 64
_EXTENSION: Final = "_extracted"


class _Member(NamedTuple):
    """Where a label comes from."""

    name: str
    key: str
    quoted: bytes
    number: re.Pattern[bytes]


class _Shape(NamedTuple):
    """What the keys of an object say of the labels: where they come from, and which members must be no objects."""

    members: tuple[_Member, ...]
    scalars: tuple[str, ...]


def json_values(names: Iterable[str]) -> JsonValues:
    """Return what takes the labels of these names out of JSON lines; a name with an extension stands for both."""
    wanted = {part for name in names for part in (name, name.removesuffix(_EXTENSION))}
    shapes: dict[tuple[str, ...], _Shape | None] = {}

    def values(line: bytes) -> list[tuple[str, str]] | None:
        if b"\\" in line or line.count(b"{") + line.count(b"[") > MAX_OPENED:
            return None
        try:
            fields = orjson.loads(line)
        except orjson.JSONDecodeError:
            return None
        if type(fields) is not dict:
            return None
        keys = tuple(fields)
        if keys not in shapes:
            if len(shapes) >= MAX_SHAPES:
                shapes.clear()
            shapes[keys] = _shape(keys, wanted)
        shape = shapes[keys]
        return None if shape is None else _members(shape, fields, line)

    return values


def _members(shape: _Shape, fields: dict[str, object], line: bytes) -> list[tuple[str, str]] | None:
    for key in shape.scalars:
        if type(fields[key]) is dict:
            return None
    found = []
    for member in shape.members:
        # The decoder takes the last of two members with one key, the language the first.
        if line.count(member.quoted) != 1:
            return None
        text = _text(fields[member.key], line, member)
        if text is not None:
            found.append((member.name, text))
    return found


def _shape(keys: tuple[str, ...], wanted: set[str]) -> _Shape | None:
    members: dict[str, _Member] = {}
    scalars = []
    for key in keys:
        name = label_name(key)
        if not name:
            return None
        if name in wanted:
            if name in members:
                return None
            quoted = b'"%b"' % key.encode()
            number = re.compile(re.escape(quoted) + rb"\s*:\s*([-+.0-9eE]+)")
            members[name] = _Member(name, key, quoted, number)
        if any(one.startswith(f"{name}_") for one in wanted):
            scalars.append(key)
    return _Shape(tuple(members.values()), tuple(scalars))


def _text(value: object, line: bytes, member: _Member) -> str | None:
    """Return a value as the parser writes it, None for what gives no label; numbers stay as they were written."""
    if type(value) is str:
        return value
    if type(value) is bool:
        return "true" if value else "false"
    if type(value) is int and value:
        return str(value)
    if type(value) in (int, float) and (match := member.number.search(line)) is not None:
        return match[1].decode()
    return None


def only(values: JsonValues, parse: Step) -> Step:
    """Return the step of ``| json`` where later stages need only some labels."""

    def step(entry: Entry) -> bool:
        found = values(entry.line)
        if found is None:
            return parse(entry)
        for name, value in found:
            entry.parse(name, value)
        return True

    return step


def unless_dropped(values: JsonValues, tests: Iterable[Step], parse: Step) -> Step:
    """Return the step of ``| json`` before stages that only test: it makes few labels of a line that these drop."""
    tests = tuple(tests)

    def step(entry: Entry) -> bool:
        if not entry.is_untouched or (found := values(entry.line)) is None:
            return parse(entry)
        for name, value in found:
            entry.parse(name, value)
        for test in tests:
            if not test(entry):
                return False
        entry.own.clear()
        entry.fault = None
        return parse(entry)

    return step
