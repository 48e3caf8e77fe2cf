"""Line filters made ready. Tokens that stand for masked values are atoms, so no filter can feel its way into one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

from loglease.logql.addresses import address_test, any_address
from loglease.logql.entry import NO_LABELS, Entry, MaskSpan
from loglease.logql.expressions import within_line
from loglease.logql.joined import JoinedLines
from loglease.logql.page_search import page_search
from loglease.logql.patterns import line_pattern
from loglease.logql.syntax import Address, FilterOp, LineFilter

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
    expression = within_line(operand) if op in (FilterOp.MATCHES, FilterOp.NOT_MATCHES) else line_pattern(operand)
    search = expression.search
    return lambda entry: search(entry.atomic) is not None


def _literal(literal: bytes) -> LineTest:
    def holds(entry: Entry) -> bool:
        line = entry.line
        return literal in line and (not entry.masks or _found_whole(line, literal, entry.masks))

    return holds


def _found_whole(line: bytes, literal: bytes, masks: Iterable[tuple[int, int]]) -> bool:
    at = line.find(literal)
    while at >= 0:
        end = at + len(literal)
        if all(stop <= at or start >= end or (at <= start and stop <= end) for start, stop in masks):
            return True
        at = line.find(literal, at + 1)
    return False


class EarlyTest:
    """Line filters together, ready for a redacted line or for the lines of a page at once.

    In a page one filter that demands something goes first, over all lines at once, and only those where it finds it
    are looked at alone; where all filters only refuse, those where none finds anything pass at once.
    """

    def __init__(self, filters: Sequence[LineFilter]) -> None:
        self._tests = [line_test(one) for one in filters]
        self._is_one = len(filters) == 1
        # Most lines fail a literal, so nothing is made for a line that lacks one.
        self._literals = [literal for one in filters if (literal := required_literal(one)) is not None]
        self._only_literals = len(self._literals) == len(filters)
        searches = [(one, search) for one in filters if (search := page_search(one)) is not None]
        demanded = next(((one, search) for one, search in searches if one.op.positive), None)
        self._demanded = None if demanded is None else demanded[1]
        # A line without a literal does not hold it, whatever tokens are in it; an expression may match around them.
        self._finds_all = demanded is not None and demanded[0].op is FilterOp.HOLDS
        refused = [search for one, search in searches if not one.op.positive]
        self._refused = refused if len(refused) == len(filters) else []

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
        if not self._tests:
            return numbers
        alone = lines.broken.union(lines.spans)
        sure: AbstractSet[int]
        places: Sequence[int]
        if self._demanded is not None:
            found = self._demanded(lines)
            touched = found if self._finds_all else alone | found
            sure = found - alone if self._is_one else frozenset[int]()
            places = sorted(touched) if len(numbers) == len(lines.ends) else [n for n in numbers if n in touched]
        elif self._refused:
            found = set().union(*(search(lines) for search in self._refused))
            sure = frozenset(numbers).difference(found, alone)
            places = [number for number in numbers if number in sure or number in alone]
        else:
            sure, places = frozenset(), numbers
        return [n for n in places if n in sure or self(lines.line(n), lines.spans_of(n))]


def early_test(filters: Sequence[LineFilter]) -> EarlyTest:
    """Return the test that line filters are together."""
    return EarlyTest(filters)


def required_literal(one: LineFilter) -> bytes | None:
    """Return the text that a line must hold to pass, None if there is not just one."""
    operand = one.operands[0]
    if one.op is FilterOp.HOLDS and len(one.operands) == 1 and isinstance(operand, str):
        return operand.encode()
    return None
