"""One redacted line on its way through a pipeline, with its labels of three kinds."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from enum import IntEnum
from types import MappingProxyType
from typing import Final, Protocol

ERROR: Final = "__error__"
ERROR_DETAILS: Final = "__error_details__"

EXTENSION: Final = "_extracted"
"""What a name gets when a label of it comes closer to the stream."""

NO_LABELS: Final[Mapping[str, str]] = MappingProxyType({})

_NOTHING: Final[AbstractSet[str]] = frozenset()
_NO_KINDS: Final[Mapping[str, Kind]] = MappingProxyType({})
_TOKEN = re.compile(rb"\xe2\x9f\xa6.*?\xe2\x9f\xa7", re.DOTALL)
_ATOM: Final = b"\xe2\x9f\xa6\xe2\x9f\xa7"


class MaskSpan(Protocol):
    """A replaced range of a line; offsets are bytes."""

    @property
    def start(self) -> int:
        """First byte of the replacement."""

    @property
    def end(self) -> int:
        """The byte after its last."""

    @property
    def kind(self) -> str:
        """`mask` for a token that stands for a value; other kinds replaced control characters and hide nothing."""


class Kind(IntEnum):
    """Where a label comes from: the stream, the line's metadata, or a stage."""

    STREAM = 0
    METADATA = 1
    PARSED = 2


class Fault:
    """The classes of errors that a line carries along, each with a text that never quotes a value."""

    JSON: Final = ("JSONParserErr", "the line is no JSON object, or is one only up to a point")
    LOGFMT: Final = ("LogfmtParserErr", "the line is no logfmt")
    LABEL_FILTER: Final = ("LabelFilterErr", "a value cannot be compared as number, duration or size")
    TEMPLATE: Final = ("TemplateFormatErr", "the template cannot be filled for this line")
    SAMPLE: Final = ("SampleExtractionErr", "a value cannot be read as a number")


class Entry:
    """A line, its time, where tokens are in it, and its labels.

    Attributes:
        ns: event time in nanoseconds since the epoch.
        line: redacted text.
        stream: labels of its stream, shared by all its lines.
        metadata: its own metadata; a name that its stream has, too, is extended.
        own: labels that stages have set.
        kinds: of those of them that are no parsed ones.
        gone: names of labels of stream and metadata that stages have taken away.
        fault: class and details of the first error, if there was one.
    """

    __slots__ = ("_masks", "fault", "gone", "kinds", "line", "metadata", "ns", "own", "stream")

    def __init__(
        self,
        ns: int,
        line: bytes,
        spans: Sequence[MaskSpan],
        stream: Mapping[str, str],
        metadata: Mapping[str, str] = NO_LABELS,
    ) -> None:
        self.ns = ns
        self.line = line
        self.stream = stream
        self.metadata = metadata if not metadata or stream.keys().isdisjoint(metadata) else _apart(metadata, stream)
        self.own: dict[str, str] = {}
        self.kinds: Mapping[str, Kind] = _NO_KINDS
        self.gone: AbstractSet[str] = _NOTHING
        self.fault: tuple[str, str] | None = None
        self._masks: Sequence[tuple[int, int]] | None = masked_ranges(spans) if spans else ()

    @property
    def is_untouched(self) -> bool:
        """Whether no stage has changed its labels."""
        return not self.own and not self.gone and self.fault is None

    @property
    def masks(self) -> Sequence[tuple[int, int]]:
        """Where tokens are in the line; in a line that a stage has made they are found by their marks."""
        if self._masks is None:
            self._masks = [match.span() for match in _TOKEN.finditer(self.line)]
        return self._masks

    @property
    def atomic(self) -> bytes:
        """The line with each token as the two characters ``⟦⟧``, as all filters but ``|=`` see it."""
        return with_atoms(self.line, self.masks) if self.masks else self.line

    def replace_line(self, line: bytes) -> None:
        """Put another text in place of the line."""
        self.line = line
        self._masks = None

    def get(self, name: str) -> str | None:
        """Return the value of a label, None if there is none."""
        if self.own and (found := self.own.get(name)) is not None:
            return found
        if self.gone and name in self.gone:
            return None
        value = self.stream.get(name)
        return self.metadata.get(name) if value is None and self.metadata else value

    def get_with_error(self, name: str) -> str | None:
        """Return the value of a label or the error, as filters of text, groupings and `drop` see it."""
        if self.fault is not None and name in (ERROR, ERROR_DETAILS):
            return self.fault[name == ERROR_DETAILS]
        return self.get(name)

    def kind_of(self, name: str) -> Kind | None:
        """Return where a label comes from, None if there is none."""
        if name in self.own:
            return self.kinds.get(name, Kind.PARSED)
        if name in self.gone:
            return None
        if name in self.stream:
            return Kind.STREAM
        return Kind.METADATA if name in self.metadata else None

    def parse(self, name: str, value: str) -> None:
        """Add what a parser found; a name that stream or metadata has is extended, the first value of a name stays."""
        if name in self.stream or name in self.metadata:
            name = name + EXTENSION
        if name not in self.own:
            self.own[name] = value

    def parse_all(self, found: dict[str, str]) -> None:
        """Add all that a parser found; the entry keeps what it is given."""
        if not self.own and self.stream.keys().isdisjoint(found) and self.metadata.keys().isdisjoint(found):
            self.own = found
            return
        for name, value in found.items():
            self.parse(name, value)

    def set(self, name: str, value: str, kind: Kind = Kind.PARSED) -> None:
        """Set a label on purpose, whatever there was of that name."""
        self.own[name] = value
        if kind is not Kind.PARSED or name in self.kinds:
            self.kinds = {**self.kinds, name: kind}

    def take_away(self, name: str) -> None:
        """Remove a label, or the error."""
        if name == ERROR:
            self.fault = None
            return
        self.own.pop(name, None)
        if name in self.kinds:
            self.kinds = {one: kind for one, kind in self.kinds.items() if one != name}
        if name in self.stream or name in self.metadata:
            self.gone = {*self.gone, name}

    def start_over(self) -> None:
        """Forget what a parser did to an untouched entry."""
        self.own = {}
        self.fault = None

    def fail(self, fault: tuple[str, str]) -> None:
        """Take note of an error; an earlier one stays."""
        if self.fault is None:
            self.fault = fault

    def items(self) -> Iterator[tuple[str, str, Kind]]:
        """Yield each label that is left, without the error."""
        own, gone = self.own, self.gone
        for name, value in self.stream.items():
            if name not in own and name not in gone:
                yield name, value, Kind.STREAM
        for name, value in self.metadata.items():
            if name not in own and name not in gone:
                yield name, value, Kind.METADATA
        for name, value in own.items():
            yield name, value, self.kinds.get(name, Kind.PARSED)

    def labels(self) -> dict[str, str]:
        """Return all labels, without the error."""
        found = {**self.metadata, **self.stream}
        for name in self.gone:
            found.pop(name, None)
        found.update(self.own)
        return found


def _apart(metadata: Mapping[str, str], stream: Mapping[str, str]) -> dict[str, str]:
    return {name + EXTENSION if name in stream else name: value for name, value in metadata.items()}


def masked_ranges(spans: Iterable[MaskSpan]) -> list[tuple[int, int]]:
    """Return where tokens are, from the spans of a line."""
    return [(span.start, span.end) for span in spans if span.kind == "mask"]


def with_atoms(line: bytes, masks: Sequence[tuple[int, int]]) -> bytes:
    """Return a line with each token as the two characters ``⟦⟧``."""
    made = bytearray()
    at = 0
    for start, end in masks:
        made += line[at:start] + _ATOM
        at = end
    return bytes(made + line[at:])


def holds_whole(line: bytes, literal: bytes, masks: Iterable[tuple[int, int]]) -> bool:
    """Say whether a text occurs where it touches no token, or covers each that it touches."""
    at = line.find(literal)
    while at >= 0:
        end = at + len(literal)
        if all(stop <= at or start >= end or (at <= start and stop <= end) for start, stop in masks):
            return True
        at = line.find(literal, at + 1)
    return False
