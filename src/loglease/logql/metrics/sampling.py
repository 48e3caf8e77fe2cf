"""From a line that has passed its pipeline to a sample: which series, which number."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from typing import Final

from loglease.logql.entry import ERROR, ERROR_DETAILS, Entry, Fault
from loglease.logql.label_filters import label_test
from loglease.logql.metrics.series import Series, series_of
from loglease.logql.needs import filter_reads
from loglease.logql.quantities import go_duration, in_seconds, number, size
from loglease.logql.syntax import Conversion, Grouping, RangeAggregation, RangeFunction

Sample = tuple[Series, float]

MAX_GROUPS: Final = 10_000

AT_ONCE: Final = Grouping(())
"""The grouping that makes one series of all."""


def _seconds(text: str) -> float | None:
    found = go_duration(text)
    return None if found is None else in_seconds(found)


_CONVERSIONS: Final[Mapping[Conversion | None, Callable[[str], float | None]]] = {
    None: number,
    Conversion.BYTES: size,
    Conversion.DURATION: _seconds,
    Conversion.DURATION_SECONDS: _seconds,
}


class _Groups(dict[tuple[str | None, ...], Series]):
    """Series by the values of the labels that they are grouped by, each made once."""

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__()
        self._names = names

    def __missing__(self, values: tuple[str | None, ...]) -> Series:
        if len(self) >= MAX_GROUPS:
            self.clear()
        made = self[values] = tuple((name, value) for name, value in zip(self._names, values, strict=True) if value)
        return made


class Sampler:
    """Makes samples for a range aggregation.

    Args:
        grouping: labels that the series are reduced to; None keeps all.
    """

    def __init__(self, query: RangeAggregation, grouping: Grouping | None) -> None:
        if query.function is RangeFunction.ABSENT:
            grouping = AT_ONCE
        self._grouping = grouping
        self._by = None if grouping is None or grouping.without else sorted(set(grouping.names))
        self._grouped = _Groups(self._by or ())
        self._unwrap = query.range.unwrap
        self._sizes = query.function in (RangeFunction.BYTES, RangeFunction.BYTES_RATE)
        self._convert = _CONVERSIONS[self._unwrap.conversion if self._unwrap else None]
        self._tests = tuple(label_test(test) for test in (self._unwrap.filters if self._unwrap else ()))

    def sample(self, entry: Entry) -> Sample | None:
        """Return the sample of a line, None if it gives none."""
        unwrap = self._unwrap
        if unwrap is None:
            return self.series(entry), len(entry.line) if self._sizes else 1
        value = self._value(entry, unwrap.label)
        if value is None or not all(test(entry) for test in self._tests):
            return None
        return self.series(entry), value

    @property
    def names(self) -> frozenset[str] | None:
        """Names of the labels on which samples depend; None for all."""
        if self._by is None:
            return None
        unwrap = self._unwrap
        unwrapped = () if unwrap is None else (unwrap.label, *chain.from_iterable(map(filter_reads, unwrap.filters)))
        return frozenset((*self._by, *unwrapped))

    def _value(self, entry: Entry, label: str) -> float | None:
        text = entry.get(label)
        if not text:
            return None
        value = self._convert(text)
        if value is None:
            entry.fail(Fault.SAMPLE)
            return 0.0
        return value

    def series(self, entry: Entry) -> Series:
        """Return the series that a line counts to."""
        if self._by is not None:
            return self._grouped[tuple(map(entry.get_with_error, self._by))]
        grouping = self._grouping
        labels = entry.labels()
        if entry.fault is not None:
            labels[ERROR], labels[ERROR_DETAILS] = entry.fault
        if self._unwrap is not None:
            labels.pop(self._unwrap.label, None)
        for name in grouping.names if grouping is not None else ():
            labels.pop(name, None)
        return series_of(labels)
