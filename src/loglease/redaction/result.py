"""What redaction gives back: the text, the spans in it, and counts that hold no text."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Literal, NamedTuple

Kind = Literal["mask", "control"]


class Span(NamedTuple):
    """One replaced range; offsets are bytes into the text that came out."""

    start: int
    end: int
    kind: Kind
    rule: str
    cls: str
    treatment: str


@dataclass(slots=True)
class Counters:
    """Counts of one call. `masks` is by rule id; `input_bytes` is for operators, never for a client."""

    engine: str = ""
    input_bytes: int = 0
    lines: int = 0
    lines_touched: int = 0
    masks: dict[str, int] = field(default_factory=dict)
    long_lines: int = 0
    controls: int = 0
    canaries: int = 0

    def add(self, other: Counters) -> None:
        """Add the counts of another call."""
        self.engine = other.engine or self.engine
        self.input_bytes += other.input_bytes
        self.lines += other.lines
        self.lines_touched += other.lines_touched
        self.long_lines += other.long_lines
        self.controls += other.controls
        self.canaries += other.canaries
        for rule, count in other.masks.items():
            self.masks[rule] = self.masks.get(rule, 0) + count


_LINE_END = re.compile(rb"\n")


class Redacted:
    """Text that may be shown: `out` is valid UTF-8, `spans` are sorted and disjoint."""

    __slots__ = ("_ends", "counters", "out", "spans")

    def __init__(self, out: bytes, spans: Sequence[Span], counters: Counters, ends: Sequence[int] | None) -> None:
        self.out = out
        self.spans = spans
        self.counters = counters
        self._ends = ends

    @property
    def ends(self) -> Sequence[int]:
        """Where each complete entry ends in `out`; found when first asked for if entries are lines."""
        if self._ends is None:
            ends = [found.end() for found in _LINE_END.finditer(self.out)]
            if self.out and (not ends or ends[-1] != len(self.out)):
                ends.append(len(self.out))
            self._ends = ends
        return self._ends

    def entries(self) -> Iterator[tuple[memoryview, Sequence[Span]]]:
        """Yield each entry with its spans, whose offsets are relative to the entry."""
        view = memoryview(self.out)
        spans = self.spans
        if not spans:
            yield from ((view[start:end], ()) for start, end in pairwise((0, *self.ends)))
            return
        starts = [span.start for span in spans]
        start = first = 0
        for end in self.ends:
            last = bisect_left(starts, end, first)
            moved = [
                Span(span.start - start, span.end - start, span.kind, span.rule, span.cls, span.treatment)
                for span in spans[first:last]
            ]
            yield view[start:end], moved
            start, first = end, last
