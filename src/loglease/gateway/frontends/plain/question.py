"""What a call of the plain endpoint asks: a log query, whole or as lines arrive."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from loglease.gateway.asked import Asked, Means, Prepared
from loglease.gateway.frontends.plain.encoders import encoder_for
from loglease.gateway.parameters import Parameters
from loglease.gateway.planner import planned
from loglease.gateway.reading import LogReading, Reading, TailReading
from loglease.gateway.request import Format
from loglease.gateway.resume import Position, Resumes
from loglease.gateway.worker import worker_of
from loglease.logql import LogQuery, print_query
from loglease.model.instant import Interval
from loglease.model.session import Front, SessionKind
from loglease.sources.interface import Direction, ReadPlan

PAGE_BYTES: Final = 256 * 1024
PAGE_LINES: Final = 1_000
TAIL_BYTES: Final = 64 * 1024

ResumesFor = Callable[[str], Resumes]


@dataclass(frozen=True, slots=True)
class _Call:
    query: LogQuery
    parameters: Parameters
    chosen: Format
    resumes: Resumes
    after: Position | None

    def prepare(self, means: Means) -> Prepared:
        """Make the answer ready."""
        encoder = encoder_for(self.chosen, self.resumes)
        follow, direction = self.parameters.follow, self.parameters.direction
        literals = () if follow else means.literals(self.query)
        worker = worker_of(
            self.query,
            redactor=means.redactor,
            recheck=means.recheck(),
            encoder=encoder,
            direction=direction,
            follow=follow,
            now_ns=means.now_ns,
            after=self.after,
            scan=None if follow else means.scan(),
            literals=literals,
        )
        plan = ReadPlan(
            selector=planned(self.query, means.scope),
            interval=means.interval,
            direction=direction,
            literals=literals,
            marks=means.redactor.block_marks,
            page_lines=PAGE_LINES,
            page_bytes=TAIL_BYTES if follow else PAGE_BYTES,
        )
        backward = direction is Direction.BACKWARD
        reading: Reading = (
            TailReading(means.reader, plan, worker) if follow else LogReading(means.reader, plan, worker, backward)
        )
        return Prepared(reading, encoder, encoder.progress if self.parameters.progress else None)


def plain_question(
    query: LogQuery, parameters: Parameters, chosen: Format, resumes_for: ResumesFor, resume: str | None
) -> Asked:
    """Return what a call asks that wants lines.

    Args:
        resumes_for: makes the resume values that are bound to a text: what was asked and in which shape.
        resume: the value that the client goes on from.

    Raises:
        CursorInvalid: the resume value is not for this question.
    """
    resumes = resumes_for(f"{print_query(query)} {parameters.direction} {chosen}")
    after = None if resume is None else resumes.position(resume)
    return Asked(
        kind=SessionKind.TAIL if parameters.follow else SessionKind.QUERY,
        front=Front.PLAIN,
        query=parameters.query,
        interval=_from(after, parameters),
        limit=parameters.limit,
        check=lambda scope: planned(query, scope),
        prepare=_Call(query, parameters, chosen, resumes, after).prepare,
        refuses_outside=True,
    )


def _from(after: Position | None, parameters: Parameters) -> Interval:
    """Return the interval that is left behind a position; the line at it is read again and skipped."""
    interval = parameters.interval
    if after is None:
        return interval
    if parameters.direction is Direction.BACKWARD:
        end = after.event_ns + 1 if interval.end is None else min(interval.end, after.event_ns + 1)
        return Interval(min(interval.start, after.event_ns), end)
    start = max(interval.start, after.event_ns)
    return Interval(start, None if interval.end is None else max(interval.end, start + 1))
