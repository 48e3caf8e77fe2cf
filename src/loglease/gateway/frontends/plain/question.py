"""What a call of the plain endpoint asks: a log query, whole or as lines arrive."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from loglease.gateway.asked import Asked, Means, Prepared
from loglease.gateway.frontends.encoder import LineEncoder
from loglease.gateway.frontends.plain.encoders import ServerSentEvents, encoder_for, part_encoder_for
from loglease.gateway.parameters import Parameters
from loglease.gateway.planner import planned
from loglease.gateway.reading import FOLLOW_BYTES, LogReading, Nothing, Reading, TailReading
from loglease.gateway.request import Format
from loglease.gateway.resume import Position, Resumes
from loglease.gateway.union import merged, together
from loglease.gateway.worker import worker_of
from loglease.logql import LogQuery, print_query
from loglease.model.grant import Grant
from loglease.model.instant import Interval
from loglease.model.session import Front, SessionKind
from loglease.sources.interface import Direction

ResumesFor = Callable[[str, Sequence[Grant]], Resumes]
"""Makes the resume values that are bound to a text and to grants."""


@dataclass(frozen=True, slots=True)
class _Call:
    query: LogQuery
    parameters: Parameters
    chosen: Format
    resumes_for: ResumesFor
    resume: str | None

    def resumes(self, grants: Sequence[Grant]) -> Resumes:
        parameters = self.parameters
        return self.resumes_for(f"{print_query(self.query)} {parameters.direction} {self.chosen}", grants)

    def admit(self, grants: Sequence[Grant]) -> None:
        """Refuse a resume value that is not for this question and these grants."""
        if self.resume is not None:
            self.resumes(grants).places(self.resume)

    def prepare(self, all_means: Sequence[Means]) -> Prepared:
        """Make the answer ready."""
        resumes = self.resumes([means.opened.grant for means in all_means])
        after = None if self.resume is None else resumes.places(self.resume)
        encoder = encoder_for(self.chosen, resumes)
        identified = encoder.identified if isinstance(encoder, ServerSentEvents) else None
        own = after or (None,) * len(all_means)
        encoders = [encoder if means.of == 1 else part_encoder_for(self.chosen, resumes) for means in all_means]
        readings = [self._reading(*one) for one in zip(all_means, encoders, own, strict=True)]
        backward = self.parameters.direction is Direction.BACKWARD
        reading = (
            together(readings, after=after, identified=identified)
            if self.parameters.follow
            else merged(readings, backward=backward, after=after, identified=identified)
        )
        return Prepared(reading, encoder, encoder.progress if self.parameters.progress else None)

    def _reading(self, means: Means, encoder: LineEncoder, after: Position | None) -> Reading:
        follow, direction = self.parameters.follow, self.parameters.direction
        interval = means.interval if after is None else means.interval.intersect(_behind(after, direction))
        if interval is None:
            return Nothing(follow)
        backward = direction is Direction.BACKWARD
        plan = replace(means.plan(self.query, planned(self.query, means.scope), interval), direction=direction)
        if follow:
            plan = replace(plan, literals=(), marks=(), page_bytes=FOLLOW_BYTES)
        worker = worker_of(
            self.query,
            redactor=means.redactor,
            recheck=means.recheck(interval),
            encoder=encoder,
            direction=direction,
            follow=follow,
            now_ns=means.now_ns,
            after=after,
            scan=None if follow else means.scan(),
            literals=plan.literals,
            others=means.others(backward=backward),
        )
        if follow:
            return TailReading(means.reader, plan, worker)
        return LogReading(means.reader, plan, worker, backward)


def plain_question(
    query: LogQuery, parameters: Parameters, chosen: Format, resumes_for: ResumesFor, resume: str | None
) -> Asked:
    """Return what a call asks that wants lines.

    Args:
        resume: the value that the client goes on from; whether it is for this question is found out once the grants
            are known that it is asked under.
    """
    call = _Call(query, parameters, chosen, resumes_for, resume)
    return Asked(
        kind=SessionKind.TAIL if parameters.follow else SessionKind.QUERY,
        front=Front.PLAIN,
        query=parameters.query,
        interval=parameters.interval,
        limit=parameters.limit,
        check=lambda scope: planned(query, scope),
        prepare=call.prepare,
        refuses_streams=True,
        refuses_outside=True,
        admit=call.admit,
    )


def _behind(after: Position, direction: Direction) -> Interval:
    """Return the interval that is left behind a position; the line at it is read again and skipped."""
    if direction is Direction.BACKWARD:
        return Interval(0, after.event_ns + 1)
    return Interval(after.event_ns, None)
