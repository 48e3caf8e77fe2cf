"""Label filters made ready, and the matchers of selectors."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final

from loglease.logql.addresses import address_test, any_address
from loglease.logql.entry import Entry, Fault
from loglease.logql.expressions import whole_value
from loglease.logql.folding import COMPARISONS
from loglease.logql.quantities import go_duration, number, size
from loglease.logql.syntax import (
    AddressFilter,
    BinaryOp,
    BothFilters,
    EitherFilter,
    LabelFilter,
    LabelTest,
    Unit,
    ValueFilter,
)

MAX_REMEMBERED: Final = 4_096

EntryTest = Callable[[Entry], bool]
ValueTest = Callable[[str], bool]

_CONVERSIONS: Final[Mapping[Unit, Callable[[str], float | None]]] = {
    Unit.NUMBER: number,
    Unit.DURATION: go_duration,
    Unit.BYTES: size,
}


def value_test(test: LabelTest) -> ValueTest:
    """Return the test of a matcher on a value; expressions match whole values, and remember some answers."""
    if not test.op.by_expression:
        wanted, positive = test.value, test.op.positive
        return (lambda value: value == wanted) if positive else (lambda value: value != wanted)
    fullmatch = whole_value(test.value).fullmatch
    positive = test.op.positive
    known: dict[str, bool] = {}

    def fits(value: str) -> bool:
        answer = known.get(value)
        if answer is None:
            if len(known) >= MAX_REMEMBERED:
                known.clear()
            answer = known[value] = (fullmatch(value.encode()) is not None) is positive
        return answer

    return fits


class Streams:
    """The selector of a query, ready to be applied to redacted labels."""

    def __init__(self, tests: Iterable[LabelTest]) -> None:
        self._tests = tuple((test.name, value_test(test)) for test in tests)

    def __bool__(self) -> bool:
        return bool(self._tests)

    def selects(self, labels: Mapping[str, str]) -> bool:
        """Say whether a stream with these redacted labels is selected; a missing label is an empty value."""
        return all(fits(labels.get(name, "")) for name, fits in self._tests)


def filter_names(test: LabelFilter) -> Iterator[str]:
    """Yield the labels that a label filter looks at."""
    if isinstance(test, (BothFilters, EitherFilter)):
        yield from filter_names(test.left)
        yield from filter_names(test.right)
    else:
        yield test.name


def label_test(test: LabelFilter) -> EntryTest:
    """Return the test that a label filter is. Lines with an error pass all but tests of text."""
    match test:
        case LabelTest(name):
            fits = value_test(test)
            return lambda entry: fits(entry.get_with_error(name) or "")
        case ValueFilter():
            return _comparison(test)
        case AddressFilter():
            return _address(test)
        case BothFilters(first, second):
            left, right = label_test(first), label_test(second)
            return lambda entry: left(entry) and right(entry)
        case EitherFilter(first, second):
            left, right = label_test(first), label_test(second)
            return lambda entry: left(entry) or right(entry)


def _comparison(test: ValueFilter) -> EntryTest:
    convert = _CONVERSIONS[test.unit]
    compare = COMPARISONS[BinaryOp(test.op.value)]
    name, wanted = test.name, test.value

    def passes(entry: Entry) -> bool:
        if entry.fault is not None:
            return True
        value = entry.get(name)
        if value is None:
            return False
        found = convert(value)
        if found is None:
            entry.fail(Fault.LABEL_FILTER)
            return True
        return compare(found, wanted)

    return passes


def _address(test: AddressFilter) -> EntryTest:
    fits = address_test(test.pattern)
    name, positive = test.name, test.positive

    def passes(entry: Entry) -> bool:
        if entry.fault is not None:
            return True
        value = entry.get(name)
        return value is not None and any_address(value.encode(), fits) is positive

    return passes
