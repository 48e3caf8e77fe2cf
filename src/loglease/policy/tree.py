"""Strict YAML: bytes to a small tree in which every node knows its place.

Only scalars, lists and mappings with plain string keys are left of YAML here. Limits are enforced on the parser's event
stream, before any tree of its own exists. Not here: what a scalar means; that depends on the field (`scalars`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import yaml

from loglease.policy.problems import At, Problems, shown

MAX_FILE_BYTES: Final = 1 << 20
MAX_DEPTH: Final = 16
MAX_NODES: Final = 100_000
MAX_SCALAR_BYTES: Final = 64 << 10
_WIDEST: Final = 4
"""Bytes of a character in UTF-8, at most."""

PURE: Final[type[Any]] = yaml.SafeLoader
FAST: Final[type[Any]] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_BLOCK_HEADER = re.compile(r"[|>][-+1-9]{0,2}(?: +#.*| *)$")
_FORBIDDEN = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff\ud800-\udfff]")


class Scalar(NamedTuple):
    """One value as written; `plain` means without quotes and not as a block."""

    at: At
    text: str
    plain: bool


@dataclass(frozen=True, slots=True)
class Items:
    """A list."""

    at: At
    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """A mapping; its keys are unique and in the order written."""

    at: At
    entries: tuple[tuple[Scalar, Node], ...]


Node = Scalar | Items | Table


class _Stop(Exception):
    """A limit was reached; nothing more of this file is read."""

    def __init__(self, at: At, message: str, remedy: str) -> None:
        super().__init__(message)
        self.at, self.message, self.remedy = at, message, remedy


def documents(file: str, content: bytes, problems: Problems, loader: type[Any] = FAST) -> list[Node]:
    """Read the documents of one file; what is wrong is added to `problems`, never raised.

    Args:
        file: its name, as messages show it.
        content: the bytes of the file.
        problems: takes what is found.
        loader: the parser; both of PyYAML's give the same answers.

    Returns:
        The documents, or none if the file as a whole cannot be read.
    """
    text = _text(file, content, problems)
    if text is None:
        return []
    try:
        return _read(file, text, problems, loader)
    except yaml.YAMLError:
        # The pure parser has the last word on what is malformed, so that verdict and place never depend on what is
        # installed; what it takes in spite of the other one's refusal is read by it alone, too.
        return _read_purely(file, text, problems)


def _read(file: str, text: str, problems: Problems, loader: type[Any]) -> list[Node]:
    found = Problems()
    try:
        nodes = list(_Walk(file, text, found, loader).documents())
    except _Stop as stop:
        found.add(stop.at, "P108", stop.message, stop.remedy)
        nodes = []
    problems.take(found)
    return nodes


def _read_purely(file: str, text: str, problems: Problems) -> list[Node]:
    try:
        return _read(file, text, problems, PURE)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        at = At(file, 1, 1) if mark is None else At(file, mark.line + 1, mark.column + 1)
        why = str(getattr(error, "problem", None) or "it cannot be read")
        problems.add(at, "P100", f"this is not well-formed YAML: {why}", "check indentation, quotes and brackets")
        return []


def _text(file: str, content: bytes, problems: Problems) -> str | None:
    """Decode a file and refuse what could be read in two ways, before any parser sees it."""
    whole = At(file, 1, 1)
    if len(content) > MAX_FILE_BYTES:
        problems.add(whole, "P108", f"the file has {len(content):,} bytes", f"at most {MAX_FILE_BYTES:,}: split it")
        return None
    try:
        text = content.decode("utf-8").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        number = content.count(b"\n", 0, error.start) + 1
        problems.add(At(file, number, 1), "P101", "the file is not UTF-8", "save it as UTF-8")
        return None
    lines = text.split("\n")
    problems.read(file, lines)
    clean = True
    for number, line in enumerate(lines, 1):
        match = _FORBIDDEN.search(line)
        if match is not None:
            what = "a tab" if match[0] == "\t" else f"the control character U+{ord(match[0]):04X}"
            remedy = "indent with spaces" if match[0] == "\t" else 'remove it, or write an escape in "double quotes"'
            problems.add(At(file, number, match.start() + 1), "P102", f"the line holds {what}", remedy)
            clean = False
        elif line.startswith("%"):
            problems.add(At(file, number, 1), "P103", "directives are not allowed", "remove the line")
            clean = False
    return text if clean else None


class _Walk:
    """One pass over the events of a file."""

    def __init__(self, file: str, text: str, problems: Problems, loader: type[Any]) -> None:
        self._file = file
        self._lines = text.split("\n")
        self._problems = problems
        self._parser = loader(text)
        self._next: Callable[[], Any] = self._parser.get_event
        self._is_pure = loader is PURE
        self._nodes = 0

    def documents(self) -> Iterator[Node]:
        """Yield the documents that hold something."""
        try:
            while (event := self._next()) is not None and type(event) is not yaml.StreamEndEvent:
                if type(event) is yaml.DocumentStartEvent:
                    node = self._node(self._next(), 1, self._at(event))
                    if not (isinstance(node, Scalar) and node.plain and not node.text):
                        yield node
        finally:
            self._parser.dispose()

    def _at(self, event: Any, width: int = 1) -> At:
        mark = event.start_mark
        return At(self._file, mark.line + 1, mark.column + 1, width)

    def _node(self, event: Any, depth: int, near: At) -> Node:
        """Read what starts with this event; a value that is not there is placed `near` what it belongs to."""
        self._nodes += 1
        if self._nodes > MAX_NODES:
            raise _Stop(self._at(event), f"the file has more than {MAX_NODES:,} values", "split it")
        if depth > MAX_DEPTH:
            raise _Stop(self._at(event), f"nesting is deeper than {MAX_DEPTH} levels", "no document needs that")
        kind = type(event)
        if kind is yaml.AliasEvent or event.anchor is not None or event.tag is not None:
            self._refuse_extras(event)
        if kind is yaml.ScalarEvent:
            return self._scalar(event, near)
        if kind is yaml.SequenceStartEvent:
            return self._items(event, depth)
        if kind is yaml.MappingStartEvent:
            return self._table(event, depth)
        return Scalar(self._at(event), "alias", plain=False)

    def _refuse_extras(self, event: Any) -> None:
        if not self._is_pure:
            raise yaml.YAMLError  # the two parsers differ in what tags may look like; one of them decides
        if isinstance(event, yaml.AliasEvent) or event.anchor is not None:
            self._problems.add(self._at(event), "P104", "anchors and aliases are not allowed", "write the value out")
        else:
            self._problems.add(self._at(event), "P105", "tags are not allowed", "remove the tag; the field has a type")

    def _scalar(self, event: Any, near: At) -> Scalar:
        text: str = event.value
        if len(text) > MAX_SCALAR_BYTES // _WIDEST and len(text.encode("utf-8", "surrogatepass")) > MAX_SCALAR_BYTES:
            raise _Stop(self._at(event), f"a value has more than {MAX_SCALAR_BYTES:,} bytes", "shorten it")
        plain = not event.style
        if plain and "?" in text and not self._is_pure:
            raise yaml.YAMLError  # the two parsers differ in what keys may look like; one of them decides
        at = near if plain and not text else self._at(event, self._width(event, text, plain=plain))
        fault = None if text.isprintable() else _FORBIDDEN.search(text.replace("\t", " "))
        if fault is not None:
            self._problems.add(at, "P102", f"the value holds the control character U+{ord(fault[0]):04X}", "remove it")
        return Scalar(at, text, plain)

    def _width(self, event: Any, text: str, *, plain: bool) -> int:
        mark = event.start_mark
        number, column = mark.line, mark.column
        line = self._lines[number] if number < len(self._lines) else ""
        if event.style in ("|", ">") and not _BLOCK_HEADER.match(line, column):
            raise yaml.YAMLError
        written = text if plain else f"{event.style}{text}{event.style}"
        return max(1, len(written)) if line.startswith(written, column) else 1

    def _items(self, start: Any, depth: int) -> Items:
        at, items = self._at(start), []
        while type(event := self._next()) is not yaml.SequenceEndEvent:
            items.append(self._node(event, depth + 1, at))
        return Items(at, tuple(items))

    def _table(self, start: Any, depth: int) -> Table:
        at, entries = self._at(start), dict[str, tuple[Scalar, Node]]()
        while type(event := self._next()) is not yaml.MappingEndEvent:
            key = self._node(event, depth + 1, at)
            value = self._node(self._next(), depth + 1, key.at)
            if not isinstance(key, Scalar):
                self._problems.add(key.at, "P109", "a field name is a list or mapping", "write a plain word")
            elif not key.text:
                self._problems.add(key.at, "P109", "a field name is empty", "write a plain word")
            elif key.plain and key.text == "<<":
                self._problems.add(key.at, "P106", "merge keys are not allowed", "write the fields out")
            elif key.text in entries:
                first = entries[key.text][0].at
                self._problems.add(
                    key.at, "P107", f"{shown(key.text)} is given twice", f"the first is in line {first.line}"
                )
            else:
                entries[key.text] = (key, value)
        return Table(at, tuple(entries.values()))
