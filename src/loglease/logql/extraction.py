"""The parsers: from the text of a line to labels."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from json import JSONDecodeError, JSONDecoder
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

ENTRY_MEMBER: Final = "_entry"
MAX_NAMES: Final = 10_000

_NOT_IN_NAME = re.compile(r"[^A-Za-z0-9_]", re.ASCII)
_names: Final[dict[str, str]] = {}


def label_name(key: str) -> str:
    """Return the label's name for a key: trimmed, ``_`` for what no name may hold, and before a leading digit."""
    found = _names.get(key)
    if found is None:
        found = _NOT_IN_NAME.sub("_", key.strip())
        if found[:1].isdigit():
            found = f"_{found}"
        if len(_names) >= MAX_NAMES:
            _names.clear()
        _names[key] = found
    return found


class _Members(list[tuple[str, Any]]):
    """The members of a JSON object in their order, doubled names among them."""


def _no_constant(_: str) -> Any:
    raise ValueError


_scan: Final = JSONDecoder(
    object_pairs_hook=_Members, parse_float=str, parse_int=str, parse_constant=_no_constant
).scan_once  # type: ignore[attr-defined]  # the same
_BLANK = re.compile(r"[ \t\r\n]*")


def _start(text: str, at: int = 0) -> int:
    match = _BLANK.match(text, at)
    return match.end() if match else at


def _object(text: str) -> tuple[_Members, bool]:
    """Return the members of the object at the start of a text, and whether it is whole; what follows it is ignored."""
    start = _start(text)
    if text[start : start + 1] != "{":
        return _Members(), False
    try:
        found, _ = _scan(text, start)
    except (ValueError, StopIteration, RecursionError):
        return _partial(text, start, 0)[0], False
    return found, True


def _partial(text: str, at: int, depth: int) -> tuple[_Members, int]:
    """Read members of an object up to where it breaks; the position is -1 if it does."""
    found = _Members()
    at = _start(text, at + 1)
    while text[at : at + 1] == '"':
        try:
            key, at = scanstring(text, at + 1, True)  # noqa: FBT003 - the standard library's own signature
        except JSONDecodeError:
            return found, -1
        at = _start(text, at)
        if text[at : at + 1] != ":":
            return found, -1
        at = _start(text, at + 1)
        if text[at : at + 1] == "{" and depth < 64:  # noqa: PLR2004 - as deep as JSON may be here
            inner, at = _partial(text, at, depth + 1)
            found.append((key, inner))
            if at < 0:
                return found, -1
        else:
            try:
                value, at = _scan(text, at)
            except (ValueError, StopIteration, RecursionError):
                return found, -1
            found.append((key, value))
        at = _start(text, at)
        if text[at : at + 1] != ",":
            break
        at = _start(text, at + 1)
    return (found, at + 1) if text[at : at + 1] == "}" else (found, -1)


def _flat(members: _Members, prefix: str) -> Iterator[tuple[str, str]]:
    for key, value in members:
        name = f"{prefix}_{key}" if prefix else key
        if type(value) is str:
            yield name, value
        elif value is True or value is False:
            yield name, "true" if value else "false"
        elif type(value) is _Members:
            yield from _flat(value, name)


def json_members(text: str) -> tuple[list[tuple[tuple[str, ...], str]], bool]:
    """Return the scalars of the object at the start of a text, each with the keys to it, and whether it is whole."""
    members, whole = _object(text)
    return list(_with_paths(members, ())), whole


def _with_paths(members: _Members, above: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str]]:
    for key, value in members:
        if type(value) is _Members:
            yield from _with_paths(value, (*above, key))
        elif type(value) is str:
            yield (*above, key), value
        elif value is True or value is False:
            yield (*above, key), "true" if value else "false"


def json_step(stage: JsonParser, rescan: Rescan) -> Step:
    """Return the step of ``| json``."""
    if stage.extractions:
        return _json_paths(stage.extractions, rescan)

    def parse(entry: Entry) -> bool:
        text = entry.line.decode()
        members, whole = _object(text)
        has_escapes = "\\" in text
        for key, value in _flat(members, ""):
            name = label_name(key)
            entry.parse(name, rescan(name, value) if has_escapes and value not in text else value)
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
        except (ValueError, StopIteration, RecursionError):
            entry.fail(Fault.JSON)
            return True
        for name, path in paths:
            value = _at_path(text, start, path)
            entry.parse(name, rescan(name, value) if "\\" in text and value not in text else value)
        return True

    return parse


def _at_path(text: str, at: int, path: tuple[str | int, ...]) -> str:
    """Return the value at a path of valid JSON: strings decoded, all else as written; empty where there is none."""
    for step in path:
        found = _child(text, at, step)
        if found is None:
            return ""
        at = found
    value, end = _scan(text, at)
    if value is None:
        return ""
    return value if text[at] == '"' else text[at:end]


def _child(text: str, at: int, step: str | int) -> int | None:
    """Return where a member or element begins."""
    opening = "{" if isinstance(step, str) else "["
    if text[at] != opening:
        return None
    at = _start(text, at + 1)
    number = 0
    while text[at] not in "}]":
        key: str | int = number
        if opening == "{":
            key, at = scanstring(text, at + 1, True)  # noqa: FBT003 - the standard library's own signature
            at = _start(text, _start(text, at) + 1)
        if key == step:
            return at
        _, at = _scan(text, at)
        at = _start(text, at)
        if text[at] == ",":
            at = _start(text, at + 1)
        number += 1
    return None


def unpack_step(rescan: Rescan) -> Step:
    """Return the step of ``| unpack``."""

    def unpack(entry: Entry) -> bool:
        text = entry.line.decode()
        members, whole = _object(text)
        if not whole:
            entry.fail(Fault.JSON)
            return True
        found = [(key, value) for key, value in members if type(value) is str and _is_string(text, value)]
        packed = next((value for key, value in found if key == ENTRY_MEMBER), None)
        if packed is None:
            return True
        for key, value in found:
            if key != ENTRY_MEMBER:
                name = label_name(key)
                entry.parse(name, value if value in text else rescan(name, value))
        entry.replace_line((packed if packed in text else rescan("", packed)).encode())
        return True

    return unpack


def _is_string(text: str, value: str) -> bool:
    """Say whether a scalar was written as a string: numbers are read as text, too."""
    return not _NUMBER.fullmatch(value) or f'"{value}"' in text


_NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?", re.ASCII)
_PAIR = re.compile(r'([^\s="]+)(?:=("(?:[^"\\]|\\.)*"(?=\s|$)|[^\s"]*(?=\s|$)))?(?=\s|$)')
_LINE_OF_PAIRS = re.compile(r'\s*(?:[^\s="]+(?:=(?:"(?:[^"\\]|\\.)*"|[^\s"=]*))?(?:\s+|$))*')


def _unquoted(value: str) -> str | None:
    """Undo the quotes and escapes of a value; None if the escapes are none."""
    if "\\" not in value:
        return value[1:-1]
    try:
        decoded, _ = scanstring(value, 1, False)  # noqa: FBT003 - the standard library's own signature
    except JSONDecodeError:
        return None
    return str(decoded)


def logfmt_pairs(text: str) -> Iterator[tuple[str, str, bool]]:
    """Yield key, value and whether an escape was undone, of each pair that is one."""
    for key, value in _PAIR.findall(text):
        if value[:1] != '"':
            yield key, value, False
            continue
        decoded = _unquoted(value)
        if decoded is not None:
            yield key, decoded, "\\" in value


def logfmt_step(stage: LogfmtParser, rescan: Rescan) -> Step:
    """Return the step of ``| logfmt``."""
    strict, keep_empty = stage.strict, stage.keep_empty
    wanted = {one.path: one.name for one in stage.extractions}

    def parse(entry: Entry) -> bool:
        text = entry.line.decode()
        if strict and not _LINE_OF_PAIRS.fullmatch(text):
            entry.fail(Fault.LOGFMT)
            return True
        missing = dict(wanted)
        for key, value, was_escaped in logfmt_pairs(text):
            if not value and not keep_empty:
                continue
            name = missing.pop(key, None) if wanted else label_name(key)
            if name is not None:
                entry.parse(name, rescan(name, value) if was_escaped else value)
        for name in missing.values():
            entry.parse(name, "")
        return True

    return parse


def regexp_step(stage: RegexpParser) -> Step:
    """Return the step of ``| regexp``."""
    expression = within_line(stage.pattern)
    groups = [(name.decode(), number) for name, number in expression.groupindex.items()]

    def parse(entry: Entry) -> bool:
        match = expression.search(entry.line)
        if match is not None:
            for name, number in groups:
                entry.parse(name, (match.group(number) or b"").decode("utf-8", "replace"))
        return True

    return parse


def pattern_step(stage: PatternParser) -> Step:
    """Return the step of ``| pattern``."""
    captures = CapturingPattern(stage.pattern).captures

    def parse(entry: Entry) -> bool:
        for name, value in captures(entry.line):
            entry.parse(name, value.decode("utf-8", "replace"))
        return True

    return parse
