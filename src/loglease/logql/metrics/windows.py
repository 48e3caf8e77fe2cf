"""From lines to the numbers of one log range at every step. Lines come in ascending order of their times."""

from __future__ import annotations

import math
from array import array
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate
from typing import Final, Protocol

from loglease.logql.errors import QueryFailed
from loglease.logql.metrics.functions import OVER_TIME, counter_rate, quantile
from loglease.logql.metrics.grid import Grid
from loglease.logql.metrics.series import Series
from loglease.logql.syntax import RangeAggregation, RangeFunction

MAX_SERIES: Final = 100_000
MAX_SAMPLES: Final = 4_000_000
"""Samples that may lie in windows at one time; each takes some 60 bytes."""

Points = Iterator[tuple[int, float]]
"""Numbers of steps, ascending, with values; a step without a value is left out."""


class Windows(Protocol):
    """The windows of one log range."""

    def add(self, series: Series, ns: int, value: float) -> None:
        """Take a sample; its time has the offset of the range added."""

    def points(self) -> dict[Series, Points]:
        """Return the numbers of each series, once all samples are in."""


class Totals:
    """Windows whose number is a sum of whole numbers: what counts is when each sample enters and leaves."""

    def __init__(self, grid: Grid, range_ns: int, divisor: float) -> None:
        self._grid = grid
        self._range_ns = range_ns
        self._divisor = divisor
        self._changes: dict[Series, dict[int, int]] = {}
        # The times that the points which the last sample lies in cover alike, and what was added for these.
        self._since, self._until, self._covered = 1, 0, (1, 0)
        self._added: dict[Series, int] = {}

    def add(self, series: Series, ns: int, value: float) -> None:
        """Take a sample."""
        # A total of 0 bytes is a number, no line is none: lines are counted in the lowest 40 bits beside it.
        self._add(series, ns, (int(value) << _LINE_BITS) + 1)

    def take(self, series: Series, times: Sequence[int], values: Sequence[int] | None) -> None:
        """Take a sample at each of these times, which are in ascending order.

        Args:
            values: of the samples; None if each is 1.
        """
        at = 0
        while at < len(times):
            ns = times[at]
            end = bisect_right(times, self._grid.alike_until(ns, self._range_ns), at)
            total = end - at if values is None else sum(values[at:end])
            self._add(series, ns, (total << _LINE_BITS) + end - at)
            at = end

    def _add(self, series: Series, ns: int, amount: int) -> None:
        if not self._since <= ns <= self._until:
            self._settle()
            self._since, self._until = ns, self._grid.alike_until(ns, self._range_ns)
            self._covered = self._grid.covered(ns, self._range_ns)
        added = self._added
        if series in added:
            added[series] += amount
        elif self._covered[0] <= self._covered[1]:
            added[series] = amount
            require_room(len(added))

    def _settle(self) -> None:
        """Note where what was added comes into windows and where it leaves them."""
        first, last = self._covered
        for series, amount in self._added.items():
            changes = self._changes.setdefault(series, {})
            changes[first] = changes.get(first, 0) + amount
            changes[last + 1] = changes.get(last + 1, 0) - amount
        require_room(len(self._changes))
        self._added.clear()

    def points(self) -> dict[Series, Points]:
        """Return the numbers of each series."""
        self._settle()
        return {series: self._running(changes) for series, changes in self._changes.items()}

    def _running(self, changes: dict[int, int]) -> Points:
        steps = sorted(changes)
        totals = accumulate(changes[step] for step in steps)
        for (step, following), total in zip(
            zip(steps, [*steps[1:], self._grid.count], strict=True), totals, strict=True
        ):
            if total:
                number = (total >> _LINE_BITS) / self._divisor
                for one in range(step, following):
                    yield one, number


_LINE_BITS: Final = 40


def require_room(series: int) -> None:
    """Require that so many series are not too many.

    Raises:
        QueryFailed: they are.
    """
    if series > MAX_SERIES:
        raise QueryFailed(
            "too_many_series", f"a range has more than {MAX_SERIES} series; group by fewer labels", limit=True
        )


class Samples:
    """Windows that keep their samples; a step is computed, and what lies before it let go, once time has passed it.

    Samples of one time are taken in the order of their values: the one in which they come may be that of streams which
    look the same, and no number may depend on that.
    """

    def __init__(
        self, grid: Grid, range_ns: int, compute: Callable[[list[tuple[int, float]], int], float | None]
    ) -> None:
        self._grid = grid
        self._range_ns = range_ns
        self._compute = compute
        self._kept: dict[Series, deque[tuple[int, float]]] = {}
        self._tied: set[Series] = set()
        self._steps: dict[Series, array[int]] = {}
        self._numbers: dict[Series, array[float]] = {}
        self._next_step = 0
        self._count = 0

    def add(self, series: Series, ns: int, value: float) -> None:
        """Take a sample."""
        grid = self._grid
        while self._next_step < grid.count and ns > grid.at(self._next_step):
            self._close_step()
        kept = self._kept.get(series)
        if kept is None:
            kept = self._kept[series] = deque()
            require_room(len(self._kept))
        elif kept[-1][0] == ns:
            self._tied.add(series)
        kept.append((ns, value))
        self._count += 1
        if self._count > MAX_SAMPLES:
            raise QueryFailed("too_many_samples", "a window has too many samples; choose a shorter range", limit=True)

    def points(self) -> dict[Series, Points]:
        """Return the numbers of each series."""
        while self._next_step < self._grid.count:
            self._close_step()
        return {series: zip(steps, self._numbers[series], strict=True) for series, steps in self._steps.items()}

    def _close_step(self) -> None:
        step = self._next_step
        self._next_step += 1
        end = self._grid.at(step)
        start = end - self._range_ns
        for series in list(self._kept):
            kept = self._kept[series]
            while kept and kept[0][0] <= start:
                kept.popleft()
                self._count -= 1
            if not kept:
                del self._kept[series]
                self._tied.discard(series)
                continue
            number = self._compute(sorted(kept, key=_place) if series in self._tied else list(kept), end)
            if number is not None:
                self._steps.setdefault(series, array("I")).append(step)
                self._numbers.setdefault(series, array("d")).append(number)


def _place(sample: tuple[int, float]) -> tuple[int, bool, float, float]:
    ns, value = sample
    return ns, math.isnan(value), value, math.copysign(1, value)


class Absence:
    """Steps in whose window no sample lies: the one series is 1 there."""

    def __init__(self, grid: Grid, range_ns: int, series: Series) -> None:
        self._totals = Totals(grid, range_ns, 1)
        self._count = grid.count
        self._series = series

    def add(self, series: Series, ns: int, value: float) -> None:
        """Take a sample, whatever it is."""
        del series, value
        self._totals.add((), ns, 1)

    def take(self, series: Series, times: Sequence[int], values: Sequence[int] | None) -> None:
        """Take a sample at each of these times, which are in ascending order."""
        del series, values
        self._totals.take((), times, None)

    def points(self) -> dict[Series, Points]:
        """Return the steps without a sample."""
        present = {step for points in self._totals.points().values() for step, _ in points}
        return {self._series: ((step, 1.0) for step in range(self._count) if step not in present)}


def windows_of(query: RangeAggregation, grid: Grid, absent: Series) -> Windows:
    """Return empty windows for a range function.

    Args:
        absent: labels of the series that `absent_over_time` gives.
    """
    function, range_ns = query.function, query.range.range_ns
    seconds = range_ns / 1e9
    unwraps = query.range.unwrap is not None
    match function:
        case RangeFunction.COUNT | RangeFunction.BYTES:
            return Totals(grid, range_ns, 1)
        case RangeFunction.BYTES_RATE:
            return Totals(grid, range_ns, seconds)
        case RangeFunction.RATE if not unwraps:
            return Totals(grid, range_ns, seconds)
        case RangeFunction.RATE:
            return Samples(grid, range_ns, lambda kept, _: sum(value for _, value in kept) / seconds)
        case RangeFunction.RATE_COUNTER:
            return Samples(grid, range_ns, lambda kept, end: counter_rate(kept, end, range_ns))
        case RangeFunction.ABSENT:
            return Absence(grid, range_ns, absent)
        case RangeFunction.QUANTILE:
            share = query.parameter or 0.0
            return Samples(grid, range_ns, lambda kept, _: quantile(share, [value for _, value in kept]))
    fold = OVER_TIME[function]
    return Samples(grid, range_ns, lambda kept, _: fold([value for _, value in kept]))
