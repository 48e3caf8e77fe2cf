"""The lines of a page as one text, so that a filter looks at all of them at once."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Generic, NamedTuple, Self, TypeVar

from loglease.logql.entry import MaskSpan

SpanT = TypeVar("SpanT", bound=MaskSpan)


class JoinedLines(NamedTuple, Generic[SpanT]):
    """Redacted lines, one behind the other, each with a line feed behind it.

    Attributes:
        text: all of them.
        ends: where each ends in the text, behind its line feed.
        spans: for the number of each line that has any, its spans; offsets are relative to the line.
        broken: numbers of the lines that have a line feed of their own.
    """

    text: bytes
    ends: Sequence[int]
    spans: Mapping[int, Sequence[SpanT]]
    broken: frozenset[int]

    @classmethod
    def of(cls, text: bytes, ends: Sequence[int], spans: Mapping[int, Sequence[SpanT]]) -> Self:
        """Return lines that are joined already."""
        broken: Iterable[int] = ()
        if text.count(b"\n") != len(ends):
            broken = (
                number for number, (start, end) in enumerate(pairwise((0, *ends))) if b"\n" in text[start : end - 1]
            )
        return cls(text, ends, spans, frozenset(broken))

    def line(self, number: int) -> bytes:
        """Return one line without the line feed behind it."""
        return self.text[self.start(number) : self.ends[number] - 1]

    def start(self, number: int) -> int:
        """Return where a line begins in the text."""
        return self.ends[number - 1] if number else 0

    def number_at(self, place: int) -> int:
        """Return the number of the line that a place in the text belongs to."""
        return bisect_right(self.ends, place)

    def spans_of(self, number: int) -> Sequence[SpanT]:
        """Return the spans of a line."""
        return self.spans.get(number, ())
