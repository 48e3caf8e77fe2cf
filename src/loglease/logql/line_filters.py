"""Line filters made ready. Tokens that stand for masked values are atoms, so no filter can feel its way into one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from loglease.logql.addresses import address_test, any_address
from loglease.logql.entry import NO_LABELS, Entry, MaskSpan, holds_whole
from loglease.logql.expressions import tested_line
from loglease.logql.joined import JoinedLines
from loglease.logql.page_search import page_search
from loglease.logql.patterns import line_pattern
from loglease.logql.syntax import Address, FilterOp, LineFilter

MANY: Final = 8
"""A page is looked through whole if more than one in so many of its lines are left."""

LineTest = Callable[[Entry], bool]


def line_test(stage: LineFilter) -> LineTest:
    """Return the test that a line filter is."""
    tests = [_operand(stage.op, operand) for operand in stage.operands]
    if len(tests) == 1:
        single = tests[0]
        return single if stage.op.positive else lambda entry: not single(entry)
    if stage.op.positive:
        return lambda entry: any(test(entry) for test in tests)
    return lambda entry: not any(test(entry) for test in tests)


def _operand(op: FilterOp, operand: str | Address) -> LineTest:
    if isinstance(operand, Address):
        fits = address_test(operand.pattern)
        return lambda entry: any_address(entry.atomic, fits)
    if op in (FilterOp.HOLDS, FilterOp.LACKS):
        return _literal(operand.encode())
    expression = tested_line(operand) if op in (FilterOp.MATCHES, FilterOp.NOT_MATCHES) else line_pattern(operand)
    finds = expression.finds
    return lambda entry: finds(entry.atomic)


def _literal(literal: bytes) -> LineTest:
    def holds(entry: Entry) -> bool:
        line = entry.line
        return literal in line and (not entry.masks or holds_whole(line, literal, entry.masks))

    return holds


class EarlyTest:
    """Line filters together, ready for a redacted line or for the lines of a page at once.

    A page is filtered as a whole as long as many of its lines are left, by what demands something first; the few that
    are left then are looked at one by one.
    """

    def __init__(self, filters: Sequence[LineFilter]) -> None:
        in_order = sorted(filters, key=lambda one: not one.op.positive)
        self._tests = [line_test(one) for one in in_order]
        # Most lines fail a literal, so nothing is made for a line that lacks one.
        self._literals = [literal for one in filters if (literal := required_literal(one)) is not None]
        self._only_literals = len(self._literals) == len(filters)
        searches = [(page_search(one), one.op.positive) for one in in_order]
        self._searches = [(search, positive) for search, positive in searches if search is not None]
        self._is_searched = len(self._searches) == len(filters)

    def __call__(self, line: bytes, spans: Sequence[MaskSpan]) -> bool:
        """Say whether a line passes."""
        for literal in self._literals:
            if literal not in line:
                return False
        if self._only_literals and not spans:
            return True
        entry = Entry(0, line, spans, NO_LABELS)
        return all(test(entry) for test in self._tests)

    def kept(self, lines: JoinedLines[Any], numbers: Sequence[int]) -> Sequence[int]:
        """Return which lines pass, of those with these numbers, which are in ascending order."""
        left, broken = numbers, lines.broken
        enough = len(lines.ends) // MANY
        for search, positive in self._searches:
            if len(left) <= enough:
                return self._one_by_one(lines, left)
            found = search(lines)
            if positive and not broken and len(left) == len(lines.ends):
                left = found
            else:
                hits = frozenset(found)
                left = [number for number in left if (number in hits) is positive or number in broken]
        return left if self._is_searched and not broken else self._one_by_one(lines, left)

    def _one_by_one(self, lines: JoinedLines[Any], numbers: Sequence[int]) -> Sequence[int]:
        return [number for number in numbers if self(lines.line(number), lines.spans_of(number))]


def early_test(filters: Sequence[LineFilter]) -> EarlyTest:
    """Return the test that line filters are together."""
    return EarlyTest(filters)


def required_literal(one: LineFilter) -> bytes | None:
    """Return the text that a line must hold to pass, None if there is not just one."""
    operand = one.operands[0]
    if one.op is FilterOp.HOLDS and len(one.operands) == 1 and isinstance(operand, str):
        return operand.encode()
    return None
