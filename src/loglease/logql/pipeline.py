"""Evaluation: which streams a query selects, and which redacted lines pass its filters.

Tokens that stand for masked values are atoms: a literal is found only where it touches no mask, or covers each one that
it touches. So no filter can feel its way into a token, and a whole token can be searched for.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from loglease.logql.parser import Expression, expression
from loglease.logql.syntax import FilterOp, LabelTest, LineFilter, MatchOp


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


def holds_literal(line: bytes, literal: bytes, spans: Sequence[MaskSpan]) -> bool:
    """Say whether a redacted line holds a literal outside of masks, or around whole ones."""
    at = line.find(literal)
    if at < 0:
        return False
    masks = [span for span in spans if span.kind == "mask"]
    if not masks:
        return True
    while at >= 0:
        if _is_whole(at, at + len(literal), masks):
            return True
        at = line.find(literal, at + 1)
    return False


def _is_whole(start: int, end: int, masks: Iterable[MaskSpan]) -> bool:
    return all(mask.end <= start or mask.start >= end or (start <= mask.start and mask.end <= end) for mask in masks)


class Filters:
    """The line filters of a query, ready to be applied."""

    def __init__(self, filters: Iterable[LineFilter]) -> None:
        self._filters = tuple(
            (one.op is FilterOp.HOLDS, tuple(literal.encode() for literal in one.literals)) for one in filters
        )

    def __bool__(self) -> bool:
        return bool(self._filters)

    @property
    def required(self) -> tuple[bytes, ...]:
        """Literals that every line which passes holds."""
        return tuple(literals[0] for wanted, literals in self._filters if wanted and len(literals) == 1)

    def pass_line(self, line: bytes, spans: Sequence[MaskSpan]) -> bool:
        """Say whether a redacted line passes every filter."""
        for wanted, literals in self._filters:
            if any(holds_literal(line, literal, spans) for literal in literals) is not wanted:
                return False
        return True


class Streams:
    """The selector of a query, ready to be applied to redacted labels."""

    def __init__(self, tests: Iterable[LabelTest]) -> None:
        self._tests = tuple((test, _pattern(test)) for test in tests)

    def __bool__(self) -> bool:
        return bool(self._tests)

    def selects(self, labels: Mapping[str, str]) -> bool:
        """Say whether a stream with these redacted labels is selected; a missing label is an empty value."""
        for test, pattern in self._tests:
            value = labels.get(test.name, "")
            fits = value == test.value if pattern is None else pattern.fullmatch(value) is not None
            if fits is not test.op.positive:
                return False
        return True


def _pattern(test: LabelTest) -> Expression | None:
    return expression(test.value) if test.op in (MatchOp.MATCHES, MatchOp.NOT_MATCHES) else None
