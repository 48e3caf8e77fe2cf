"""Metric queries by their definitions: at each step every sample is looked at, and every window is computed anew."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tests.logql.reference import functions, joins, lines, values
from tests.logql.reference.joins import Labels, Numbers, Refused
from tests.logql.reference.needs import ERROR, needed

from loglease.logql.syntax import (
    Binary,
    BothFilters,
    Conversion,
    EitherFilter,
    Grouping,
    LabelFilter,
    LabelFilterStage,
    LabelReplace,
    LabelTest,
    LogRange,
    MatchOp,
    Metric,
    Number,
    RangeAggregation,
    RangeFunction,
    Vector,
    VectorAggregation,
    VectorFunction,
)

DETAILS = {
    "JSONParserErr": "the line is no JSON object, or is one only up to a point",
    "LogfmtParserErr": "the line is no logfmt",
    "LabelFilterErr": "a value cannot be compared as number, duration or size",
    "TemplateFormatErr": "the template cannot be filled for this line",
    "SampleExtractionErr": "a value cannot be read as a number",
}
ADDED_UP = (
    RangeFunction.COUNT,
    RangeFunction.RATE,
    RangeFunction.BYTES,
    RangeFunction.BYTES_RATE,
    RangeFunction.SUM,
)


@dataclass(frozen=True)
class Sample:
    """A number at a time; `error` if the line has one that the query does not expect."""

    ns: int
    labels: Labels
    value: float
    error: str | None


@dataclass
class Evaluation:
    """A metric query over records in ascending order of time."""

    records: Sequence[lines.Record]
    rescan: lines.Rescan
    runs_all_parsers: bool = False
    samples: dict[int, list[Sample]] = field(default_factory=dict)

    def at(self, query: Metric, step: int, over: VectorAggregation | None = None, expects: bool = False) -> Numbers:
        """Return the numbers of a query at a point in time; of a number, one without labels.

        Args:
            query: the query.
            step: the point in time.
            over: the vector function directly around it.
            expects: whether a grouping around it names the error.

        Raises:
            Refused: the query cannot be answered.
        """
        match query:
            case Number(value) | Vector(value):
                return {(): value}
            case RangeAggregation():
                return self._range(query, step, over, expects)
            case VectorAggregation():
                named = query.grouping is not None and not query.grouping.without and ERROR in query.grouping.names
                return functions.vector(query, self.at(query.inner, step, query, expects or named))
            case LabelReplace():
                return functions.label_replace(query, self.at(query.inner, step, None, expects))
            case Binary():
                left = self.at(query.left, step, None, expects)
                right = self.at(query.right, step, None, expects)
                if isinstance(query.left, Number):
                    return joins.with_number(query, right, left[()], number_is_left=True)
                if isinstance(query.right, Number):
                    return joins.with_number(query, left, right[()], number_is_left=False)
                return joins.joined(query, left, right)

    def _range(self, query: RangeAggregation, step: int, over: VectorAggregation | None, expects: bool) -> Numbers:
        log_range = query.range
        end = step - log_range.offset_ns
        start = end - log_range.range_ns
        series: dict[Labels, list[Sample]] = {}
        for sample in self._samples(query, over, expects):
            if start < sample.ns <= end:
                if sample.error is not None:
                    raise Refused(sample.error)
                series.setdefault(sample.labels, []).append(sample)
        if query.function is RangeFunction.ABSENT:
            return {} if series else {absent_labels(log_range.query.selector): 1.0}
        found = {}
        for labels, samples in series.items():
            points = [(sample.ns, sample.value) for sample in samples]
            number = functions.over_range(query, points, start, end)
            if number is not None:
                found[labels] = number
        return found

    def _samples(self, query: RangeAggregation, over: VectorAggregation | None, expects: bool) -> list[Sample]:
        if id(query) not in self.samples:
            grouping = query.grouping
            if grouping is None and over is not None and _adds_up(query, over):
                grouping = over.grouping or Grouping(())
            self.samples[id(query)] = self._extracted(query, grouping, expects)
        return self.samples[id(query)]

    def _extracted(self, query: RangeAggregation, grouping: Grouping | None, expects: bool) -> list[Sample]:
        log_range = query.range
        wanted = None if grouping is None or grouping.without else set(grouping.names)
        if query.function is RangeFunction.ABSENT:
            # What its series are called is not of its samples, but errors are still the query's.
            wanted = set()
        stages = log_range.query.stages if self.runs_all_parsers else needed(log_range, wanted)
        expects = expects or _expects(log_range) or (wanted is not None and ERROR in wanted)
        found = []
        for record in self.records:
            if not lines.selects(log_range.query.selector, record.stream):
                continue
            line = lines.evaluate(stages, record, self.rescan)
            value = None if line is None else self._value(query, line)
            if line is None or value is None:
                continue
            labels = line.all_labels()
            if line.error is not None:
                labels |= {ERROR: line.error, "__error_details__": DETAILS[line.error]}
            unwrap = log_range.unwrap
            if unwrap is not None and (grouping is None or grouping.without):
                labels.pop(unwrap.label, None)
            kept = labels if grouping is None else functions.group_of(labels, grouping)
            error = None if expects else line.error
            found.append(Sample(record.ns, functions.series(kept), value, error))
        return found

    def _value(self, query: RangeAggregation, line: lines.Line) -> float | None:
        unwrap = query.range.unwrap
        if unwrap is None:
            by_bytes = query.function in (RangeFunction.BYTES, RangeFunction.BYTES_RATE)
            return float(len(line.text.encode())) if by_bytes else 1.0
        text = line.get(unwrap.label)
        if not text:
            return None
        value = converted(text, unwrap.conversion)
        if value is None:
            line.fail("SampleExtractionErr")
        if not all(lines.label_filter(test, line) for test in unwrap.filters):
            return None
        return 0.0 if value is None else value


def converted(text: str, conversion: Conversion | None) -> float | None:
    """Read the value of a label as `unwrap` does."""
    if conversion is None:
        return values.number(text)
    if conversion is Conversion.BYTES:
        size = values.size(text)
        return None if size is None else float(size)
    nanoseconds = values.duration(text)
    return None if nanoseconds is None else nanoseconds / 1e9


def absent_labels(selector: Sequence[LabelTest]) -> Labels:
    """Return what `absent_over_time` can tell of the series that is missing."""
    named = [test.name for test in selector]
    exact: Mapping[str, str] = {
        test.name: test.value for test in selector if test.op is MatchOp.EQUAL and named.count(test.name) == 1
    }
    return functions.series(exact)


def _adds_up(query: RangeAggregation, over: VectorAggregation) -> bool:
    """Say whether a sum over groups is the same as counting in these groups at once."""
    return over.function is VectorFunction.SUM and query.function in ADDED_UP


def _expects(log_range: LogRange) -> bool:
    """Say whether a range filters by the error."""
    tests = [stage.test for stage in log_range.query.stages if isinstance(stage, LabelFilterStage)]
    if log_range.unwrap is not None:
        tests += log_range.unwrap.filters
    return any(_names_error(test) for test in tests)


def _names_error(test: LabelFilter) -> bool:
    match test:
        case BothFilters(left, right) | EitherFilter(left, right):
            return _names_error(left) or _names_error(right)
    return test.name in (ERROR, "__error_details__")


@dataclass
class Answer:
    """What a metric query gives: a number, or the points of each series."""

    scalar: float | None = None
    series: list[tuple[Labels, list[tuple[int, float]]]] = field(default_factory=list)


def answer(query: Metric, evaluation: Evaluation, steps: Sequence[int], *, is_instant: bool) -> Answer:
    """Evaluate a query at each step; points have the number of their step."""
    if isinstance(query, Number) and is_instant:
        return Answer(scalar=query.value)
    found: dict[Labels, list[tuple[int, float]]] = {}
    for number, step in enumerate(steps):
        for labels, value in evaluation.at(query, step).items():
            found.setdefault(labels, []).append((number, value))
    is_sorted = isinstance(query, VectorAggregation) and query.function in (
        VectorFunction.SORT,
        VectorFunction.SORT_DESC,
    )
    items = list(found.items())
    return Answer(series=items if is_instant and is_sorted else sorted(items))
