"""``query_range`` and ``query``: lines by stream, or numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Final

from loglease.access.errors import NotPermitted
from loglease.gateway.asked import Asked, Means, Prepared
from loglease.gateway.errors import QueryInvalid
from loglease.gateway.frontends.encoder import LineEncoder
from loglease.gateway.frontends.loki.document import StreamsEncoder, samples, samples_document, scalar
from loglease.gateway.lines import Lines
from loglease.gateway.parameters import Values, wrong
from loglease.gateway.planner import parsed, planned
from loglease.gateway.reading import Batches, InPool, LogReading, MetricReading, RangeRead
from loglease.gateway.recheck import Order
from loglease.gateway.rescan import rescan_with
from loglease.gateway.scan import too_many_lines
from loglease.gateway.served import Item
from loglease.gateway.worker import worker_of
from loglease.logql import LogQuery, Metric, QueryFailed, split_filters
from loglease.logql.metrics import Grid, MetricQuery, Vector
from loglease.logql.syntax import log_ranges
from loglease.model.instant import NANOSECONDS, Instant, Interval
from loglease.model.labels import Selector
from loglease.model.session import Front, SessionKind
from loglease.sources.interface import Direction, Gap, ReadPlan

DEFAULT_LIMIT: Final = 100
MAX_LIMIT: Final = 5_000
MAX_ANSWER_BYTES: Final = 32 << 20
OUTSIDE_WINDOW: Final = "the query asks for a time that the event window of the grant has nothing of"

Preparation = Callable[[Means], Prepared]

_STEPS: Final = 250
_PAGE_BYTES: Final = 256 * 1024
_PAGE_LINES: Final = 1_000


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

    def prepare(means: Means) -> Prepared:
        selector, warnings = asked_of(query, means)
        encoder = StreamsEncoder(categorize=categorize, warnings=warnings)
        if selector is None:
            return Prepared(Nothing(), encoder)
        reading = lines_reading(means, query, selector, encoder, direction, apart_ns=apart_ns)
        return Prepared(Collected(reading, limit, encoder.by_stream), encoder)

    return _asked(text, interval, limit, prepare)


def lines_reading(
    means: Means,
    query: LogQuery,
    selector: Selector,
    encoder: LineEncoder,
    direction: Direction,
    *,
    apart_ns: int = 0,
) -> LogReading:
    """Return the reading of a log query's lines.

    Args:
        selector: of the streams to ask the source for.
        apart_ns: of lines that are less apart in time than this, only the first is given.
    """
    worker = worker_of(
        query,
        redactor=means.redactor,
        recheck=means.recheck(),
        encoder=encoder,
        direction=direction,
        follow=False,
        now_ns=means.now_ns,
        scan=means.scan(),
        apart_ns=apart_ns,
        literals=(literals := means.literals(query)),
    )
    plan = ReadPlan(
        selector=selector,
        interval=means.interval,
        direction=direction,
        literals=literals,
        marks=means.redactor.block_marks,
        page_lines=_PAGE_LINES,
        page_bytes=_PAGE_BYTES,
    )
    return LogReading(means.reader, plan, worker, backward=direction is Direction.BACKWARD)


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

    def prepare(means: Means) -> Prepared:
        evaluation = MetricQuery(
            query, grid, rescan=rescan_with(means.redactor), now=means.now_ns, is_instant=is_instant
        )
        scan = means.scan()
        reads: list[RangeRead] = []
        warnings: list[str] = []
        for number, one in enumerate(evaluation.ranges):
            selector, outside = asked_of(one.query, means)
            warnings += (text for text in outside if text not in warnings)
            start, end = grid.read_interval(one)
            interval = means.interval.intersect(Interval(max(0, start), max(1, end)))
            if selector is None or interval is None:
                continue
            lines = Lines(
                one.query.selector,
                redactor=means.redactor,
                recheck=means.recheck(interval),
                order=Order(Direction.FORWARD),
                filters=split_filters(one.query.stages)[0],
                backward=False,
                scan=scan,
                literals=(literals := means.literals(one.query)),
            )
            plan = ReadPlan(
                selector=selector,
                interval=interval,
                literals=literals,
                marks=means.redactor.block_marks,
                page_lines=_PAGE_LINES,
                page_bytes=_PAGE_BYTES,
            )
            reads.append(RangeRead(number, plan, lines))
        document = samples_document(is_instant=is_instant, warnings=warnings)
        reading = MetricReading(
            means.reader,
            tuple(reads),
            evaluation,
            lambda: _bounded(samples(document, evaluation.answer(change), grid, is_instant=is_instant)),
        )
        return Prepared(reading, document)

    return _asked(text, hull, None, prepare)


def _constant(query: Metric, grid: Grid, *, is_instant: bool, now: Instant) -> bytes:
    evaluation = MetricQuery(query, grid, rescan=lambda _, value: value, now=now * 1_000, is_instant=is_instant)
    answer = evaluation.answer()
    if answer.scalar is not None:
        return scalar(answer.scalar, grid.first_ns)
    document = samples_document(is_instant=is_instant)
    items = samples(document, answer, grid, is_instant=is_instant)
    return b"".join(one.record for one in items) + document.end("", len(items), None)


def _asked(text: str, interval: Interval, limit: int | None, prepare: Preparation) -> Asked:
    return Asked(
        kind=SessionKind.QUERY,
        front=Front.LOKI,
        query=text,
        interval=interval,
        limit=limit,
        check=lambda _: None,
        prepare=prepare,
    )


def asked_of(query: LogQuery, means: Means) -> tuple[Selector | None, list[str]]:
    """Return the streams to ask a source for, None and a warning if the question lies outside the grant.

    The warning is made from question and grant alone, so it tells nothing of the data.
    """
    try:
        selector = planned(query, means.scope)
    except NotPermitted as error:
        return None, [error.message]
    return (None, [OUTSIDE_WINDOW]) if means.interval.is_empty else (selector, [])


def _bounded(items: Sequence[Item]) -> Sequence[Item]:
    if sum(len(one.record) for one in items) > MAX_ANSWER_BYTES:
        raise QueryFailed("too_large", "the answer would be larger than 32 MiB", limit=True)
    return items


@dataclass(frozen=True, slots=True)
class Nothing:
    """A question that lies outside the grant: nothing is read."""

    follow: bool = False
    is_exhausted: bool = False

    async def batches(self, in_pool: InPool) -> Batches:
        """Yield nothing."""
        del in_pool
        yield ()


@dataclass(frozen=True, slots=True)
class Collected:
    """A log query whose lines are looked at together before anything leaves.

    Attributes:
        limit: lines that are looked at.
        arrange: makes the answer's items of theirs.
    """

    reading: LogReading
    limit: int
    arrange: Callable[[Sequence[Item]], Sequence[Item]]
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
                found += () if isinstance(batch, Gap) else batch
                if len(found) >= self.limit:
                    break
                _bounded(found)
        if len(found) < self.limit and self.is_exhausted:
            raise too_many_lines()
        yield _bounded(await in_pool(self.arrange, _bounded(found[: self.limit])))
