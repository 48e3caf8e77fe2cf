"""From a line that has passed its pipeline to a sample: which series, which number."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import chain
from typing import Final

from loglease.logql.entry import ERROR, ERROR_DETAILS, Entry, Fault
from loglease.logql.label_filters import filter_names, label_test
from loglease.logql.metrics.series import Series, series_of
from loglease.logql.quantities import go_duration, in_seconds, number, size
from loglease.logql.syntax import Conversion, Grouping, RangeAggregation, RangeFunction

Sample = tuple[Series, float]


def _seconds(text: str) -> float | None:
    found = go_duration(text)
    return None if found is None else in_seconds(found)


_CONVERSIONS: Final[Mapping[Conversion | None, Callable[[str], float | None]]] = {
    None: number,
    Conversion.BYTES: size,
    Conversion.DURATION: _seconds,
    Conversion.DURATION_SECONDS: _seconds,
}


class Sampler:
    """Makes samples for a range aggregation.

    Args:
        grouping: labels that the series are reduced to; None keeps all.
    """

    def __init__(self, query: RangeAggregation, grouping: Grouping | None) -> None:
        self._grouping = grouping
        self._by = None if grouping is None or grouping.without else sorted(set(grouping.names))
        self._unwrap = query.range.unwrap
        self._sizes = query.function in (RangeFunction.BYTES, RangeFunction.BYTES_RATE)
        self._convert = _CONVERSIONS[self._unwrap.conversion if self._unwrap else None]
        self._tests = tuple(label_test(test) for test in (self._unwrap.filters if self._unwrap else ()))

    def sample(self, entry: Entry) -> Sample | None:
        """Return the sample of a line, None if it gives none."""
        value = self._value(entry)
        if value is None or (self._tests and not all(test(entry) for test in self._tests)):
            return None
        return self.series(entry), value

    @property
    def names(self) -> frozenset[str] | None:
        """Names of the labels on which samples depend; None for all."""
        if self._by is None:
            return None
        unwrap = self._unwrap
        unwrapped = () if unwrap is None else (unwrap.label, *chain.from_iterable(map(filter_names, unwrap.filters)))
        return frozenset((*self._by, *unwrapped))

    def _value(self, entry: Entry) -> float | None:
        if self._unwrap is None:
            return len(entry.line) if self._sizes else 1
        text = entry.get(self._unwrap.label)
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
            return tuple([(name, value) for name in self._by if (value := entry.get_with_error(name))])
        grouping = self._grouping
        labels = entry.labels()
        if entry.fault is not None:
            labels[ERROR], labels[ERROR_DETAILS] = entry.fault
        if self._unwrap is not None:
            labels.pop(self._unwrap.label, None)
        for name in grouping.names if grouping is not None else ():
            labels.pop(name, None)
        return series_of(labels)
