"""A metric query from its lines to its numbers: samples into windows, then the tree at each step."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from loglease.logql.entry import ERROR, ERROR_DETAILS, Entry
from loglease.logql.errors import QueryFailed
from loglease.logql.extraction import Rescan
from loglease.logql.label_filters import filter_names
from loglease.logql.metrics.grid import Grid
from loglease.logql.metrics.matching import operated
from loglease.logql.metrics.sampling import AT_ONCE, Sampler
from loglease.logql.metrics.series import Series, Vector, series_of
from loglease.logql.metrics.vectors import aggregated, replacer
from loglease.logql.metrics.windows import Absence, Points, Totals, Windows, windows_of
from loglease.logql.pipeline import Pipeline, may_read, split_filters
from loglease.logql.syntax import (
    Binary,
    Grouping,
    LabelFilterStage,
    LabelReplace,
    LogRange,
    MatchOp,
    Metric,
    Number,
    RangeAggregation,
    RangeFunction,
    Stage,
    VectorAggregation,
    VectorFunction,
)
from loglease.logql.syntax import Vector as VectorOf

MAX_SERIES: Final = 500

_OF_LINES: Final = frozenset((RangeFunction.COUNT, RangeFunction.RATE, RangeFunction.ABSENT))
_OF_SIZES: Final = frozenset((RangeFunction.BYTES, RangeFunction.BYTES_RATE))
_SUMMED: Final = frozenset(
    (
        RangeFunction.COUNT,
        RangeFunction.RATE,
        RangeFunction.BYTES,
        RangeFunction.BYTES_RATE,
        RangeFunction.SUM,
    )
)


class _Range:
    """One log range: its pipeline, its samples, its windows.

    Args:
        grouping: labels that the series are reduced to at once; None keeps all.
        expects_errors: whether something around the range asks for the error.
    """

    def __init__(
        self,
        query: RangeAggregation,
        grid: Grid,
        grouping: Grouping | None,
        *,
        rescan: Rescan,
        now: int,
        expects_errors: bool,
    ) -> None:
        self.log_range = query.range
        self._sampler = Sampler(query, grouping)
        _, self._stages = split_filters(query.range.query.stages)
        self._pipeline = Pipeline(self._stages, rescan=rescan, now=now, wanted=self._sampler.names)
        self._windows: Windows = windows_of(query, grid, _absent(query.range))
        self._counted = _counting(query, self._stages, self._windows)
        self.measures = self._counted is not None and query.function in _OF_SIZES
        self._grid = grid
        self._keeps_errors = expects_errors or _asks_for_error(query.range)
        self._faults: list[str] = []
        self._faulty_ns = 0

    def feed(self, entries: Iterable[Entry]) -> None:
        passes, sample, add = self._pipeline.passes, self._sampler.sample, self._windows.add
        offset_ns = self.log_range.offset_ns
        for entry in entries:
            if self._faults and entry.ns != self._faulty_ns:
                self._refuse()
            if passes(entry) and (found := sample(entry)) is not None:
                if entry.fault is not None and not self._keeps_errors:
                    self._note(entry.fault[0], entry.ns)
                add(found[0], entry.ns + offset_ns, found[1])

    def reads(self, name: str) -> bool:
        """Say whether the numbers depend on the value of a label."""
        names = self._sampler.names
        return names is None or name in names or may_read(self._stages, name)

    @property
    def counts(self) -> bool:
        """Whether of each line that the first line filters pass only its time and its size count."""
        return self._counted is not None

    def count(self, stream: Mapping[str, str], times: Sequence[int], sizes: Sequence[int] | None) -> None:
        if self._counted is None:
            raise TypeError("lines of this range are more than times and sizes")
        offset_ns = self.log_range.offset_ns
        series = self._sampler.series(Entry(0, b"", (), stream))
        self._counted.take(series, [ns + offset_ns for ns in times] if offset_ns else times, sizes)

    def _note(self, fault: str, ns: int) -> None:
        """Note an error that fails the query, if its sample lies in a window; lines of one time fail it together."""
        first, last = self._grid.covered(ns + self.log_range.offset_ns, self.log_range.range_ns)
        if first <= last:
            self._faults.append(fault)
            self._faulty_ns = ns

    def _refuse(self) -> None:
        fault = min(self._faults)
        raise QueryFailed(
            "pipeline_error",
            f'a line has the error {fault}; to skip such lines add | {ERROR}!="{fault}" to the query',
        )

    def steps(self) -> Callable[[int], Vector]:
        """Return what gives the vector of a step; steps are asked for one after another.

        Series are in the order of their labels, so that no sum of theirs depends on which one had a line first.
        """
        if self._faults:
            self._refuse()
        waiting = {series: _Ahead(points) for series, points in sorted(self._windows.points().items(), key=_labels)}

        def at(step: int) -> Vector:
            return {series: value for series, ahead in waiting.items() if (value := ahead.take(step)) is not None}

        return at


def _labels(item: tuple[Series, Points]) -> Series:
    return item[0]


def _counting(query: RangeAggregation, stages: Sequence[Stage], windows: Windows) -> Totals | Absence | None:
    """Return the windows if all that they take of lines is that they are there, and their sizes."""
    if stages or query.range.unwrap is not None or query.function not in _OF_LINES | _OF_SIZES:
        return None
    return windows if isinstance(windows, (Totals, Absence)) else None


class _Ahead:
    """Points of a series, read one ahead."""

    __slots__ = ("_next", "_points")

    def __init__(self, points: Iterator[tuple[int, float]]) -> None:
        self._points = points
        self._next = next(points, None)

    def take(self, step: int) -> float | None:
        if self._next is None or self._next[0] != step:
            return None
        value = self._next[1]
        self._next = next(self._points, None)
        return value


def _asks_for_error(log_range: LogRange) -> bool:
    """Say whether a range filters by the error, so that lines which have one are its own affair."""
    tests = [stage.test for stage in log_range.query.stages if isinstance(stage, LabelFilterStage)]
    tests += log_range.unwrap.filters if log_range.unwrap else ()
    return any(name in (ERROR, ERROR_DETAILS) for test in tests for name in filter_names(test))


def _absent(log_range: LogRange) -> Series:
    """Return the labels that `absent_over_time` can tell: those whose value the selector names.

    As in Prometheus, a label that the selector tests again after that is not told.
    """
    told: dict[str, str] = {}
    named = set()
    for test in log_range.query.selector:
        if test.op is MatchOp.EQUAL and test.name not in named:
            told[test.name] = test.value
            named.add(test.name)
        else:
            told.pop(test.name, None)
    return series_of(told)


@dataclass(slots=True)
class Answer:
    """What a metric query gives.

    Attributes:
        scalar: the number, if the query is one by itself and asked for one point in time.
        series: for each series the numbers of steps and values, in the order of the answer.
    """

    scalar: float | None = None
    series: list[tuple[Series, list[tuple[int, float]]]] = field(default_factory=list)


class MetricQuery:
    """A metric query over a grid: feed each of `ranges` with its lines, then ask for the `answer`.

    Args:
        rescan: redacts a value that a stage has decoded; takes its label's name and the value.
        now: the time of the query, nanoseconds since the epoch.
        is_instant: whether one point in time was asked for, rather than a range.
    """

    def __init__(self, query: Metric, grid: Grid, *, rescan: Rescan, now: int, is_instant: bool) -> None:
        self._query = query
        self._grid = grid
        self._is_instant = is_instant
        self._ranges: list[_Range] = []
        self._rescan = rescan
        self._now = now
        self._compiled = self._prepared(query)

    @property
    def ranges(self) -> list[LogRange]:
        """The log ranges, in the order in which `feed` numbers them."""
        return [one.log_range for one in self._ranges]

    def feed(self, number: int, entries: Iterable[Entry]) -> None:
        """Take lines that the selector and the first line filters of a log range pass, in ascending order of times.

        Raises:
            QueryFailed: a line has an error that the query does not expect, or there are too many series.
        """
        self._ranges[number].feed(entries)

    def reads(self, number: int, name: str) -> bool:
        """Say whether the numbers of a log range depend on the value of a label that lines have before all stages."""
        return self._ranges[number].reads(name)

    def counts(self, number: int) -> bool:
        """Say whether all that a log range takes of lines is their time and size, so that `count` will do."""
        return self._ranges[number].counts

    def measures(self, number: int) -> bool:
        """Say whether `count` needs the sizes of the lines of a log range."""
        return self._ranges[number].measures

    def count(
        self, number: int, stream: Mapping[str, str], times: Sequence[int], sizes: Sequence[int] | None = None
    ) -> None:
        """Take lines of one stream in place of `feed`, where `counts` says so and they have no other label.

        Args:
            times: of the lines that the first line filters pass, in ascending order.
            sizes: bytes of each of these lines, where `measures` says so.

        Raises:
            QueryFailed: there are too many series.
        """
        self._ranges[number].count(stream, times, sizes)

    def answer(self, change: Callable[[Vector], Vector] | None = None) -> Answer:
        """Return the numbers, once all lines are in.

        Args:
            change: what becomes of each step's numbers; of one point in time, in the order that it gives them.

        Raises:
            QueryFailed: series cannot be matched, or there are more than 500.
        """
        at = self._compiled()
        found: dict[Series, list[tuple[int, float]]] = {}
        for step in range(self._grid.count):
            value = at(step)
            if isinstance(value, float):
                if self._is_instant:
                    return Answer(scalar=value)
                value = {(): value}
            for series, number in (value if change is None else change(value)).items():
                found.setdefault(series, []).append((step, number))
        if len(found) > MAX_SERIES:
            raise QueryFailed(
                "too_many_series", f"the answer has more than {MAX_SERIES} series; group by fewer labels", limit=True
            )
        keeps_order = self._is_instant and (change is not None or _is_sorted(self._query))
        return Answer(series=list(found.items()) if keeps_order else sorted(found.items()))

    def _prepared(
        self, query: Metric, *, expects_errors: bool = False
    ) -> Callable[[], Callable[[int], Vector | float]]:
        """Return what, once all lines are in, gives the value of each step."""
        match query:
            case Number(number):
                return lambda: lambda _: number
            case VectorOf(number):
                return lambda: lambda _: {(): number}
            case RangeAggregation():
                return self._range(query, query.grouping, expects_errors=expects_errors).steps
            case VectorAggregation(VectorFunction.SUM, RangeAggregation(function) as inner) if function in _SUMMED:
                # The sum over groups is the same as counting in groups: then no series is made to be summed away.
                return self._range(inner, query.grouping or AT_ONCE, expects_errors=expects_errors).steps
            case VectorAggregation():
                inner_at = self._prepared(query.inner, expects_errors=expects_errors or _keeps_error(query.grouping))
                return _changed(inner_at, lambda vector: aggregated(query, vector))
            case LabelReplace():
                return _changed(self._prepared(query.inner, expects_errors=expects_errors), replacer(query))
            case Binary():
                return self._both(query, expects_errors=expects_errors)

    def _range(self, query: RangeAggregation, grouping: Grouping | None, *, expects_errors: bool) -> _Range:
        expects_errors = expects_errors or _keeps_error(grouping)
        made = _Range(query, self._grid, grouping, rescan=self._rescan, now=self._now, expects_errors=expects_errors)
        self._ranges.append(made)
        return made

    def _both(self, query: Binary, *, expects_errors: bool) -> Callable[[], Callable[[int], Vector | float]]:
        left = self._prepared(query.left, expects_errors=expects_errors)
        right = self._prepared(query.right, expects_errors=expects_errors)

        def ready() -> Callable[[int], Vector | float]:
            left_at, right_at = left(), right()
            return lambda step: operated(query, left_at(step), right_at(step))

        return ready


def _changed(
    prepared: Callable[[], Callable[[int], Vector | float]], change: Callable[[Vector], Vector]
) -> Callable[[], Callable[[int], Vector | float]]:
    def ready() -> Callable[[int], Vector | float]:
        at = prepared()
        return lambda step: change(_vector(at(step)))

    return ready


def _keeps_error(grouping: Grouping | None) -> bool:
    return grouping is not None and not grouping.without and not {ERROR, ERROR_DETAILS}.isdisjoint(grouping.names)


def _vector(value: Vector | float) -> Vector:
    return {(): value} if isinstance(value, float) else value


def _is_sorted(query: Metric) -> bool:
    return isinstance(query, VectorAggregation) and query.function in (VectorFunction.SORT, VectorFunction.SORT_DESC)
