"""``query_range`` and ``query``: lines by stream, or numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Final

from loglease.access.errors import NotPermitted
from loglease.gateway.asked import Asked, Means, Prepared
from loglease.gateway.errors import QueryInvalid
from loglease.gateway.frontends.encoder import LineEncoder
from loglease.gateway.frontends.loki.document import StreamsEncoder, samples, samples_document, scalar
from loglease.gateway.lines import Lines
from loglease.gateway.parameters import Values, wrong
from loglease.gateway.planner import parsed, planned
from loglease.gateway.reading import Batches, InPool, LogReading, MetricReading, Nothing, RangeRead, Reading
from loglease.gateway.recheck import Order
from loglease.gateway.rescan import Rescans, rescan_with
from loglease.gateway.scan import too_many_lines
from loglease.gateway.served import Item
from loglease.gateway.subjects import require_countable
from loglease.gateway.union import merged
from loglease.gateway.worker import worker_of
from loglease.logql import LogQuery, Metric, QueryFailed, split_filters
from loglease.logql.metrics import Grid, MetricQuery, Vector
from loglease.logql.syntax import log_ranges
from loglease.model.instant import NANOSECONDS, Instant, Interval
from loglease.model.labels import Selector
from loglease.model.scope import Scope
from loglease.model.session import Front, SessionKind
from loglease.sources.interface import Direction, Gap

DEFAULT_LIMIT: Final = 100
MAX_LIMIT: Final = 5_000
MAX_ANSWER_BYTES: Final = 32 << 20
OUTSIDE_WINDOW: Final = "the query asks for a time that the event window of the grant has nothing of"

Preparation = Callable[[Sequence[Means]], Prepared]

_STEPS: Final = 250


@dataclass(frozen=True, slots=True)
class Direct:
    """An answer that holds nothing of any line, so that it takes no session."""

    body: bytes


def range_question(values: Values, now: Instant, *, categorize: bool) -> Asked | Direct:
    """Return what ``query_range`` asks.

    Raises:
        QueryInvalid: the query is none, the end lies before the start, or there are too many steps.
        Malformed: a parameter cannot have its value.
    """
    text = values.text("query", "")
    query = parsed(_required(text))
    interval = values.interval(now)
    apart_ns = values.seconds("interval") or 0
    if isinstance(query, LogQuery):
        return _log_question(values, text, query, interval, apart_ns=apart_ns, categorize=categorize)
    grid = grid_of(interval.start, interval.end or interval.start, values.seconds("step"))
    return metric_question(text, query, grid, is_instant=False, now=now)


def instant_question(values: Values, now: Instant) -> Asked | Direct:
    """Return what ``query`` asks.

    Raises:
        QueryInvalid: the query is none, or one for lines.
    """
    text = values.text("query", "")
    query = parsed(_required(text))
    if isinstance(query, LogQuery):
        raise QueryInvalid(
            "An instant query is about numbers, this one is about lines.", next_step="Ask query_range for lines."
        )
    return metric_question(text, query, Grid.instant(values.time("time", now * 1_000)), is_instant=True, now=now)


def _required(text: str) -> str:
    if not text.strip():
        raise QueryInvalid("There is no query.", next_step='Write one like {service="pay-api"} |= "timeout".')
    return text


def grid_of(start: int, end: int, step: int | None) -> Grid:
    """Return the steps of a range query; without a step there are some 250 of at least a second.

    Raises:
        QueryInvalid: there are more than a query may have.
    """
    if step is None:
        step = max((end - start) // (_STEPS * NANOSECONDS), 1) * NANOSECONDS
    if step <= 0:
        raise wrong("step", "above 0")
    try:
        return Grid.range(start, end, step)
    except QueryFailed as error:
        raise QueryInvalid(f"{error.message}.", next_step="Choose a longer step or a shorter time.") from error


def _log_question(
    values: Values, text: str, query: LogQuery, interval: Interval, *, apart_ns: int, categorize: bool
) -> Asked:
    limit = values.limit(most=MAX_LIMIT) or DEFAULT_LIMIT
    direction = values.direction(Direction.BACKWARD)

    def prepare(all_means: Sequence[Means]) -> Prepared:
        encoders = [StreamsEncoder(categorize=categorize) for _ in all_means]
        reading, warnings = lines_reading(all_means, query, encoders, direction)
        document = StreamsEncoder(categorize=categorize, warnings=warnings)

        def arranged(items: Sequence[Item]) -> Sequence[Item]:
            return document.by_stream(items, encoders)

        return Prepared(Collected(reading, limit, arranged, apart_ns), document)

    return _asked(text, interval, limit, lambda scope: planned(query, scope), prepare)


def lines_reading(
    all_means: Sequence[Means], query: LogQuery, encoders: Sequence[LineEncoder], direction: Direction
) -> tuple[Reading, list[str]]:
    """Return the reading of a log query's lines, and warnings if the query lies outside all scopes.

    Args:
        encoders: one for the lines of each grant.
    """
    selectors, warnings = asked_of(query, all_means)
    backward = direction is Direction.BACKWARD
    readings = [
        Nothing() if selector is None else _log_reading(means, query, selector, encoder, direction)
        for means, selector, encoder in zip(all_means, selectors, encoders, strict=True)
    ]
    return merged(readings, backward=backward), warnings


def _log_reading(
    means: Means, query: LogQuery, selector: Selector, encoder: LineEncoder, direction: Direction
) -> LogReading:
    backward = direction is Direction.BACKWARD
    plan = replace(means.plan(query, selector), direction=direction)
    worker = worker_of(
        query,
        redactor=means.redactor,
        recheck=means.recheck(),
        encoder=encoder,
        direction=direction,
        follow=False,
        now_ns=means.now_ns,
        scan=means.scan(),
        literals=plan.literals,
        others=means.others(backward=backward),
    )
    return LogReading(means.reader, plan, worker, backward=backward)


def metric_question(
    text: str,
    query: Metric,
    grid: Grid,
    *,
    is_instant: bool,
    now: Instant,
    change: Callable[[Vector], Vector] | None = None,
) -> Asked | Direct:
    """Return the question of a metric query, or its answer if it looks at no line.

    Args:
        change: what becomes of the numbers of each step.
    """
    ranges = [grid.read_interval(one) for one in log_ranges(query)]
    if not ranges:
        return Direct(_constant(query, grid, is_instant=is_instant, now=now))
    start, end = min(start for start, _ in ranges), max(end for _, end in ranges)
    hull = Interval(max(0, start), max(1, end))

    def prepare(all_means: Sequence[Means]) -> Prepared:
        require_countable(query, [means.subject_labels for means in all_means])
        rescans = Rescans([rescan_with(means.redactor) for means in all_means])
        evaluation = MetricQuery(query, grid, rescan=rescans, now=all_means[0].now_ns, is_instant=is_instant)
        reads, warnings = _range_reads(all_means, evaluation, grid)
        document = samples_document(is_instant=is_instant, warnings=warnings)
        owners = tuple(sorted({one.owner for one in reads})) or (0,)

        def encode() -> list[Item]:
            made = _bounded(samples(document, evaluation.answer(change), grid, is_instant=is_instant))
            # A number is made of the lines of all these grants, so it is recorded and counted under each.
            return [one._replace(owners=owners) for one in made]

        return Prepared(MetricReading(reads, evaluation, rescans, encode), document)

    def check(scope: Scope) -> None:
        refusals = [refusal for one in log_ranges(query) if (refusal := outside(one.query, scope)) is not None]
        if len(refusals) == len(ranges):
            raise refusals[0]

    return _asked(text, hull, None, check, prepare)


def _range_reads(
    all_means: Sequence[Means], evaluation: MetricQuery, grid: Grid
) -> tuple[tuple[RangeRead, ...], list[str]]:
    """Return what is read for each log range under each grant, and warnings about ranges outside all scopes."""
    scans = [means.scan() for means in all_means]
    reads: list[RangeRead] = []
    warnings: list[str] = []
    for number, one in enumerate(evaluation.ranges):
        selectors, texts = asked_of(one.query, all_means)
        warnings += (text for text in texts if text not in warnings)
        start, end = grid.read_interval(one)
        for means, selector, scan in zip(all_means, selectors, scans, strict=True):
            interval = means.interval.intersect(Interval(max(0, start), max(1, end)))
            if selector is None or interval is None:
                continue
            plan = means.plan(one.query, selector, interval)
            lines = Lines(
                one.query.selector,
                redactor=means.redactor,
                recheck=means.recheck(interval),
                order=Order(Direction.FORWARD),
                filters=split_filters(one.query.stages)[0],
                backward=False,
                scan=scan,
                literals=plan.literals,
                others=means.others(),
            )
            reads.append(RangeRead(number, means.number, means.reader, plan, lines))
    return tuple(reads), warnings


def _constant(query: Metric, grid: Grid, *, is_instant: bool, now: Instant) -> bytes:
    evaluation = MetricQuery(query, grid, rescan=lambda _, value: value, now=now * 1_000, is_instant=is_instant)
    answer = evaluation.answer()
    if answer.scalar is not None:
        return scalar(answer.scalar, grid.first_ns)
    document = samples_document(is_instant=is_instant)
    items = samples(document, answer, grid, is_instant=is_instant)
    return b"".join(one.record for one in items) + document.end("", len(items), None)


def _asked(
    text: str, interval: Interval, limit: int | None, check: Callable[[Scope], object], prepare: Preparation
) -> Asked:
    return Asked(
        kind=SessionKind.QUERY,
        front=Front.LOKI,
        query=text,
        interval=interval,
        limit=limit,
        check=check,
        prepare=prepare,
    )


def asked_of(query: LogQuery, all_means: Sequence[Means]) -> tuple[list[Selector | None], list[str]]:
    """Return the streams to ask for under each grant, None where the question lies outside it; warnings if all do.

    A warning is made from question and grant alone, so it tells nothing of the data.
    """
    selectors: list[Selector | None] = []
    warnings = []
    for means in all_means:
        refusal = outside(query, means.scope)
        if refusal is None and not means.interval.is_empty:
            selectors.append(planned(query, means.scope))
            continue
        selectors.append(None)
        warnings.append(OUTSIDE_WINDOW if refusal is None else refusal.message)
    return selectors, warnings if len(warnings) == len(selectors) else []


def outside(query: LogQuery, scope: Scope) -> NotPermitted | None:
    """Return what there is to say of a query that lies outside a scope, None of one that does not."""
    try:
        planned(query, scope)
    except NotPermitted as error:
        return error
    return None


def _bounded(items: Sequence[Item]) -> Sequence[Item]:
    if sum(len(one.record) for one in items) > MAX_ANSWER_BYTES:
        raise QueryFailed("too_large", "the answer would be larger than 32 MiB", limit=True)
    return items


@dataclass(frozen=True, slots=True)
class Collected:
    """A log query whose lines are looked at together before anything leaves.

    Attributes:
        limit: lines that are looked at.
        arrange: makes the answer's items of theirs.
        apart_ns: of lines that are less apart in time than this, only the first is given.
    """

    reading: Reading
    limit: int
    arrange: Callable[[Sequence[Item]], Sequence[Item]]
    apart_ns: int = 0
    follow: bool = False

    @property
    def is_exhausted(self) -> bool:
        """Whether there is more than may be looked at."""
        return self.reading.is_exhausted

    async def batches(self, in_pool: InPool) -> Batches:
        """Yield the whole answer at once.

        Raises:
            QueryFailed: it would be too large, or more would have to be looked at than one query may.
        """
        found: list[Item] = []
        async with aclosing(self.reading.batches(in_pool)) as batches:
            async for batch in batches:
                self._take(found, () if isinstance(batch, Gap) else batch)
                if len(found) >= self.limit:
                    break
                _bounded(found)
        if len(found) < self.limit and self.is_exhausted:
            raise too_many_lines()
        yield _bounded(await in_pool(self.arrange, _bounded(found[: self.limit])))

    def _take(self, found: list[Item], items: Sequence[Item]) -> None:
        if not self.apart_ns:
            found += items
            return
        for item in items:
            if not found or abs(item.event_ns - found[-1].event_ns) >= self.apart_ns:
                found.append(item)
