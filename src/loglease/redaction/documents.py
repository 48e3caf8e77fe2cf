"""Strict YAML in which every value knows its place: one mapping, no key twice, no anchors, no tags.

Without quotes `true`, `false`, `null` and numbers are what they look like; every other word is a text, `yes` and `on`
too. Not here: what the fields of a pack or of a profile mean.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Any, Final

import yaml

from loglease.redaction.errors import Fault, did_you_mean

MAX_BYTES: Final = 1 << 20
MAX_DEPTH: Final = 16
MAX_VALUES: Final = 100_000
MAX_VERSION: Final = 999_999
_LOADER: Final[type[Any]] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_INTEGER: Final = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,17})")
_DECIMAL: Final = re.compile(r"[-+]?[0-9]{1,18}\.[0-9]{1,18}")
_WORDS: Final[Mapping[str, bool | None]] = {"true": True, "false": False, "null": None, "~": None, "": None}

Path = tuple[str | int, ...]


class DocumentInvalid(ValueError):
    """A document is not what its format says.

    Args:
        detail: what is wrong, as the end of a sentence about the document.
        path: names and numbers that lead to the value, such as ``("rules", 3, "pattern")``.
        remedy: what to write instead.
        offset: place within the value, where the value is a text.
    """

    def __init__(self, detail: str, *path: str | int, remedy: str | None = None, offset: int = 0) -> None:
        super().__init__(detail)
        self.detail = detail
        self.path: Path = path
        self.remedy = remedy
        self.offset = offset

    def below(self, *path: str | int) -> DocumentInvalid:
        """Return the same with a longer path."""
        return DocumentInvalid(self.detail, *path, *self.path, remedy=self.remedy, offset=self.offset)


@dataclass(frozen=True, slots=True)
class _Mark:
    line: int
    column: int
    text: str | None = None
    style: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """One document as plain values, with the place of each.

    Attributes:
        file: its name, as faults show it.
    """

    file: str
    fields: dict[str, Any]
    _marks: Mapping[Path, _Mark] = field(repr=False)
    _lines: tuple[str, ...] = field(repr=False)

    def require(self, allowed: AbstractSet[str], needed: AbstractSet[str]) -> dict[str, Any]:
        """Return the fields of the document.

        Raises:
            DocumentInvalid: one is missing, or there is one that the format does not have.
        """
        require_fields(self.fields, allowed, needed)
        return self.fields

    def fault(self, where: str, error: DocumentInvalid) -> Fault:
        """Return what is wrong with its place in the file.

        Args:
            where: the pack, profile or rule that it is about.
            error: its path may lead further than the document goes; the last known value is the place.
        """
        path = error.path
        while path not in self._marks:
            path = path[:-1]
        mark = self._marks[path]
        line = self._lines[mark.line] if mark.line < len(self._lines) else ""
        column = mark.column + (_columns_to(mark, line, error.offset) if path == error.path else 0)
        return Fault(self.file, mark.line + 1, column + 1, where, error.detail, error.remedy, line)


def _columns_to(mark: _Mark, line: str, offset: int) -> int:
    """Return how many columns behind the beginning of a written text one of its characters stands, if it is seen."""
    if not offset or mark.text is None or mark.style in {"|", ">"}:
        return 0
    before = mark.text[:offset].replace("'", "''") if mark.style == "'" else mark.text[:offset]
    quote = mark.style or ""
    return len(quote) + len(before) if line.startswith(quote + before, mark.column) else 0


def read_document(data: bytes, file: str) -> Document:
    """Read a document that is one mapping.

    Raises:
        DocumentInvalid: it cannot be read or is too large; `unreadable` makes a fault of it.
    """
    if len(data) > MAX_BYTES:
        raise _Unreadable(f"the file is larger than {MAX_BYTES:,} bytes", 0, 0, remedy="split it")
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise _Unreadable("the file is not UTF-8", data.count(b"\n", 0, error.start), 0) from None
    try:
        fields, marks = _Walk(text).document()
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        why = str(getattr(error, "problem", None) or "it cannot be read")
        line, column = (mark.line, mark.column) if mark is not None else (0, 0)
        remedy = "check indentation, quotes and brackets; put patterns in 'single quotes'"
        raise _Unreadable(f"this is not well-formed YAML: {why}", line, column, remedy=remedy) from None
    return Document(file=file, fields=fields, _marks=marks, _lines=tuple(text.split("\n")))


class _Unreadable(DocumentInvalid):
    """A file that is no document, at a line and column counted from 0."""

    def __init__(self, detail: str, line: int, column: int, *, remedy: str | None = None) -> None:
        super().__init__(detail, remedy=remedy)
        self.line, self.column = line, column


def unreadable(error: DocumentInvalid, data: bytes, file: str, where: str) -> Fault:
    """Return the fault of a file that `read_document` refused."""
    line, column = (error.line, error.column) if isinstance(error, _Unreadable) else (0, 0)
    lines = data.decode("utf-8", "replace").split("\n") if len(data) <= MAX_BYTES else []
    shown = lines[line] if line < len(lines) else ""
    return Fault(file, line + 1, column + 1, where, error.detail, error.remedy, shown)


class _Walk:
    """One pass over the events of a document."""

    def __init__(self, text: str) -> None:
        self._events: Iterator[Any] = iter(yaml.parse(text, Loader=_LOADER))
        self._marks: dict[Path, _Mark] = {}

    def document(self) -> tuple[dict[str, Any], dict[Path, _Mark]]:
        """Return the one document as values, and their marks by path."""
        found: Any = None
        number = 0
        for event in self._events:
            if isinstance(event, yaml.DocumentStartEvent):
                number += 1
                if number > 1:
                    raise self._refused(event, "a second document begins here", "use a file for each")
                found = self._value(next(self._events), ())
        if not isinstance(found, dict):
            raise _Unreadable("the file is not a mapping of fields", 0, 0, remedy="begin with pack: or profile:")
        return found, self._marks

    def _refused(self, event: Any, detail: str, remedy: str) -> _Unreadable:
        return _Unreadable(detail, event.start_mark.line, event.start_mark.column, remedy=remedy)

    def _value(self, event: Any, path: Path) -> Any:
        if isinstance(event, yaml.AliasEvent) or event.anchor is not None:
            raise self._refused(event, "anchors and aliases are not allowed", "write the value out")
        if event.tag is not None:
            raise self._refused(event, "tags are not allowed", "remove the tag; the field has a type")
        if len(path) > MAX_DEPTH or len(self._marks) > MAX_VALUES:
            raise self._refused(event, "there are too many values, or they are nested too deep", "split the file")
        self._marks[path] = _mark(event)
        if isinstance(event, yaml.SequenceStartEvent):
            items: list[Any] = []
            while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
                items.append(self._value(event, (*path, len(items))))
            return items
        if isinstance(event, yaml.MappingStartEvent):
            return self._mapping(path)
        plain = not event.style
        self._marks[path] = _mark(event, event.value, event.style)
        return _plain(event.value) if plain else event.value

    def _mapping(self, path: Path) -> dict[str, Any]:
        found: dict[str, Any] = {}
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            if not isinstance(event, yaml.ScalarEvent) or (not event.style and event.value == "<<"):
                raise self._refused(event, "a field's name is not a plain word", "write the fields out")
            name = event.value
            if name in found:
                first = self._marks[(*path, name)].line + 1
                raise self._refused(event, f"the key {name!r} stands twice", f"the first is in line {first}")
            self._marks[*path, name, KEY] = _mark(event)
            found[name] = self._value(next(self._events), (*path, name))
        return found


def _mark(event: Any, text: str | None = None, style: str | None = None) -> _Mark:
    return _Mark(event.start_mark.line, event.start_mark.column, text, style)


KEY: Final = -1
"""Behind the path of a value: the name of its field."""


def _plain(text: str) -> Any:
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    return float(text) if _DECIMAL.fullmatch(text) else text


def require_fields(fields: Mapping[str, Any], allowed: AbstractSet[str], needed: AbstractSet[str]) -> None:
    """Check the names of fields.

    Raises:
        DocumentInvalid: one is missing, or is not one of the format's; suggests the nearest.
    """
    for name in fields:
        if name not in allowed:
            raise DocumentInvalid(
                f"there are unknown fields: {name}", name, KEY, remedy=did_you_mean(name, allowed - set(fields))
            )
    missing = sorted(needed - set(fields))
    if missing:
        raise DocumentInvalid(f"it lacks: {', '.join(missing)}", remedy=f"add {missing[0]}:")


def strings_of(fields: Mapping[str, Any], name: str) -> tuple[str, ...]:
    """Return a field that is a list of texts; empty where it is absent.

    Raises:
        DocumentInvalid: it is something else.
    """
    found = fields.get(name, [])
    if not isinstance(found, list):
        raise DocumentInvalid(f"`{name}` is not a list of texts", name, remedy=f"write {name}: [one, two]")
    for number, one in enumerate(found):
        if not isinstance(one, str):
            raise DocumentInvalid(f"`{name}` has something that is no text", name, number, remedy="put it in quotes")
    return tuple(found)


def word_of(fields: Mapping[str, Any], name: str, default: str | None, allowed: Iterable[str]) -> str:
    """Return a field that is one of a few words.

    Raises:
        DocumentInvalid: it is something else, or absent without a default.
    """
    found, words = fields.get(name, default), tuple(allowed)
    if not isinstance(found, str) or found not in words:
        one = did_you_mean(found, words) if isinstance(found, str) else None
        raise DocumentInvalid(f"`{name}` is not one of {', '.join(words)}", name, remedy=one)
    return found


def number_of(fields: Mapping[str, Any], name: str, default: int | None, low: int, high: int) -> int:
    """Return a field that is a whole number in a range.

    Raises:
        DocumentInvalid: it is something else, or absent without a default.
    """
    found = fields.get(name, default)
    if not isinstance(found, int) or isinstance(found, bool) or not low <= found <= high:
        raise DocumentInvalid(f"`{name}` is not a whole number from {low} to {high:,}", name)
    return found
