"""Line filters made ready. Tokens that stand for masked values are atoms, so no filter can feel its way into one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from loglease.logql.addresses import address_test, any_address
from loglease.logql.entry import NO_LABELS, Entry, MaskSpan
from loglease.logql.expressions import within_line
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


def holds_literal(line: bytes, literal: bytes, spans: Sequence[MaskSpan]) -> bool:
    """Say whether a redacted line holds a literal outside of masks, or around whole ones."""
    if literal not in line:
        return False
    masks = [(span.start, span.end) for span in spans if span.kind == "mask"]
    return not masks or _found_whole(line, literal, masks)


def _found_whole(line: bytes, literal: bytes, masks: Iterable[tuple[int, int]]) -> bool:
    at = line.find(literal)
    while at >= 0:
        end = at + len(literal)
        if all(stop <= at or start >= end or (at <= start and stop <= end) for start, stop in masks):
            return True
        at = line.find(literal, at + 1)
    return False


EarlyTest = Callable[[bytes, Sequence[MaskSpan]], bool]


def early_test(filters: Sequence[LineFilter]) -> EarlyTest:
    """Return the test that line filters are together, of a redacted line with the spans in it.

    Most lines fail a literal, so literals are looked at first and nothing is made for a line that lacks one.
    """
    tests = [line_test(one) for one in filters]
    literals = [literal for one in filters if (literal := required_literal(one)) is not None]
    only_literals = len(literals) == len(filters)

    def passes(line: bytes, spans: Sequence[MaskSpan]) -> bool:
        for literal in literals:
            if literal not in line:
                return False
        if only_literals and not spans:
            return True
        entry = Entry(0, line, spans, NO_LABELS)
        return all(test(entry) for test in tests)

    return passes


def required_literal(one: LineFilter) -> bytes | None:
    """Return the text that a line must hold to pass, None if there is not just one."""
    operand = one.operands[0]
    if one.op is FilterOp.HOLDS and len(one.operands) == 1 and isinstance(operand, str):
        return operand.encode()
    return None
