"""Lead one line through a query, for tests that show what goes in and what comes out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from tests.logql.reference.lines import marked

from loglease.logql import Entry, LogQuery, Pipeline, Query, Streams, parse, split_filters
from loglease.logql.metrics import Answer, Grid, MetricQuery

SECOND = 10**9


class Span(NamedTuple):
    start: int
    end: int
    kind: str = "mask"


class Outcome(NamedTuple):
    """A line that has passed."""

    line: str
    labels: dict[str, str]
    error: str | None


def rescan(_name: str, text: str) -> str:
    """Redact what a stage has decoded, as these tests do it."""
    return text.replace("secret", "⟦secret⟧")


def entry_of(line: str, stream: Mapping[str, str], metadata: Mapping[str, str], ns: int = 0) -> Entry:
    """Return an entry; every token in the line is a mask."""
    return Entry(ns, line.encode(), [Span(*mask) for mask in marked(line)], stream, metadata)


def run(
    query: str, line: str, stream: Mapping[str, str] | None = None, metadata: Mapping[str, str] | None = None
) -> Outcome | None:
    """Return what comes of a line, None if the query drops it."""
    read = parse(query)
    assert isinstance(read, LogQuery)
    entry = entry_of(line, stream or {}, metadata or {})
    if not Pipeline(read.stages, rescan=rescan, now=0).passes(entry):
        return None
    return Outcome(entry.line.decode(), entry.labels(), entry.fault and entry.fault[0])


def labels(query: str, line: str) -> dict[str, str]:
    """Return the labels of a line that passes."""
    found = run(query, line)
    assert found is not None
    return found.labels


Lines = Sequence[tuple[float, Mapping[str, str], str]]
"""Seconds, labels of the stream, text."""


def compute(query: str, lines: Lines, grid: Grid, *, is_instant: bool = False) -> Answer:
    """Answer a metric query from lines."""
    read: Query = parse(query)
    assert not isinstance(read, LogQuery)
    metric = MetricQuery(read, grid, rescan=rescan, now=0, is_instant=is_instant)
    for number, log_range in enumerate(metric.ranges):
        first, behind = grid.read_interval(log_range)
        streams = Streams(log_range.query.selector)
        entries = [entry_of(line, stream, {}, int(seconds * SECOND)) for seconds, stream, line in lines]
        read = [entry for entry in entries if first <= entry.ns < behind and streams.selects(entry.stream)]
        filters = Pipeline(split_filters(log_range.query.stages)[0], rescan=rescan, now=0)
        metric.feed(number, (entry for entry in read if filters.passes(entry)))
    return metric.answer()


def at(query: str, lines: Lines, seconds: float = 60) -> dict[str, float]:
    """Return the numbers of a query at one time, by labels written like ``a=1 b=2``."""
    answer = compute(query, lines, Grid.instant(int(seconds * SECOND)), is_instant=True)
    assert answer.scalar is None
    return {" ".join(f"{name}={value}" for name, value in series): points[0][1] for series, points in answer.series}
