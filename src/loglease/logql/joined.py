"""The lines of a page as one text, so that a filter looks at all of them at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, pairwise
from typing import Generic, NamedTuple, Self, TypeVar

from loglease.logql.entry import MaskSpan, masked_ranges, with_atoms

SpanT = TypeVar("SpanT", bound=MaskSpan)


class Atoms(NamedTuple):
    """The lines of a page that have tokens, each token as an atom, one behind the other.

    Attributes:
        ends: where each ends in the text, behind its line feed.
        numbers: of these lines in their page, in ascending order.
    """

    text: bytes
    ends: Sequence[int]
    numbers: Sequence[int]


@dataclass(frozen=True)
class JoinedLines(Generic[SpanT]):
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
    broken: frozenset[int] = frozenset()

    @classmethod
    def of(cls, text: bytes, ends: Sequence[int], spans: Mapping[int, Sequence[SpanT]]) -> Self:
        """Return lines that are joined already, any of which may have a line feed of its own."""
        broken: Iterable[int] = ()
        if text.count(b"\n") != len(ends):
            broken = (
                number for number, (start, end) in enumerate(pairwise((0, *ends))) if b"\n" in text[start : end - 1]
            )
        return cls(text, ends, spans, frozenset(broken))

    def line(self, number: int) -> bytes:
        """Return one line without the line feed behind it."""
        return self.text[self.ends[number - 1] if number else 0 : self.ends[number] - 1]

    def spans_of(self, number: int) -> Sequence[SpanT]:
        """Return the spans of a line."""
        return self.spans.get(number, ())

    @cached_property
    def atoms(self) -> Atoms:
        """The lines that have tokens, as all filters but ``|=`` see them."""
        masks = {number: found for number in sorted(self.spans) if (found := masked_ranges(self.spans[number]))}
        lines = [with_atoms(self.line(number), found) + b"\n" for number, found in masks.items()]
        return Atoms(b"".join(lines), list(accumulate(map(len, lines))), list(masks))
