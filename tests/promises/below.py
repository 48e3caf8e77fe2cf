"""Answers made below the socket: reading, evaluation, slices, end and resume value of one question, thousands a minute.

What a socket adds (head, chunked framing, connection) is a function of these, and `test_2_blind.py` compares it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, cast

from tests.gateway.world import Line, ListReader

from loglease.access.open_session import Opened
from loglease.access.serving import Reservation
from loglease.gateway.asked import Asked, Means
from loglease.gateway.frontends.loki.queries import Direct
from loglease.gateway.frontends.plain import numbers_question, plain_question
from loglease.gateway.parameters import parameters_of
from loglease.gateway.planner import parsed
from loglease.gateway.recheck import Violations
from loglease.gateway.request import Format
from loglease.gateway.resume import Resumes
from loglease.gateway.session import Finish, Moment, Reserve, ServedSession, Slice
from loglease.gateway.settings import GatewaySettings
from loglease.logql import LogQuery, QueryFailed
from loglease.model.errors import LogLeaseError
from loglease.model.ids import GrantId, PrincipalId
from loglease.model.instant import Instant
from loglease.model.scope import Scope
from loglease.model.session import CloseWhy
from loglease.redaction import Redactor

NOW = Instant(1_800_000_000_000_000)
FOREVER_NS = 1 << 62


@dataclass(frozen=True, slots=True)
class Transcript:
    """All that a client sees: the slices and the end, or the problem in their place."""

    slices: tuple[bytes, ...] = ()
    end: bytes = b""
    resume: str | None = None
    problem: tuple[object, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Circumstances:
    """What an answer meets that is no part of the question.

    Attributes:
        page_lines: of the source, which gives all it has.
        exact: the source leaves out lines without the literals that it is told to look for.
        scan_lines: permitted lines that a query may look at; bytes likewise.
        budget: lines and bytes that the grant has left.
    """

    page_lines: int = 1_000
    exact: bool = False
    scan_lines: int = 10**6
    scan_bytes: int = 10**9
    budget: tuple[int, int] = (10**9, 10**12)


class Desk:
    """Answers questions under one scope with one redactor."""

    def __init__(self, scope: Scope, redactor: Redactor) -> None:
        self.scope = scope
        self.redactor = redactor
        self._run = asyncio.Runner()

    def close(self) -> None:
        self._run.close()

    def answer(
        self,
        lines: tuple[Line, ...],
        parameters: str,
        chosen: Format,
        circumstances: Circumstances,
        resume: str | None = None,
    ) -> Transcript:
        """Answer the question that a query string asks."""
        made: list[Resumes] = []

        def resumes_for(bound: str, _grants: object) -> Resumes:
            made.append(Resumes(b"r" * 32, grants=[(GrantId("grt"), 0)], principal=PrincipalId("prn"), query=bound))
            return made[0]

        try:
            read = parameters_of(parameters.encode(), NOW)
            query = parsed(read.query)
            if isinstance(query, LogQuery):
                asked = plain_question(query, read, chosen, resumes_for, resume)
            else:
                found = numbers_question(read, query, NOW)
                if isinstance(found, Direct):
                    return Transcript((found.body,))
                asked = found
            asked.check(self.scope)
            return self._run.run(self._answer(asked, lines, circumstances, made))
        except LogLeaseError as error:
            return Transcript(problem=(error.code, error.message, error.rule, error.next_step))

    async def _answer(
        self, asked: Asked, lines: tuple[Line, ...], circumstances: Circumstances, resumes: list[Resumes]
    ) -> Transcript:
        window = self.scope.window.until(NOW)
        interval = None if window is None else window.intersect(asked.interval)
        if interval is None:
            return Transcript(problem=("outside the window",))
        opened = SimpleNamespace(
            grant=SimpleNamespace(terms=SimpleNamespace(scopes=(self.scope,))), interval=interval, now=NOW
        )
        means = Means(
            opened=cast(Opened, opened),
            reader=ListReader(lines, loose=True, exact=circumstances.exact, page_lines=circumstances.page_lines),
            redactor=self.redactor,
            violations=Violations(),
            settings=GatewaySettings(scan_lines=circumstances.scan_lines, scan_bytes=circumstances.scan_bytes),
        )
        prepared = asked.prepare([means])
        machine = ServedSession(
            deadline_ns=FOREVER_NS,
            epoch=0,
            limit=asked.limit,
            follow=False,
            skip_after_ns=FOREVER_NS,
            slow_after_ns=FOREVER_NS,
            started_ns=0,
        )
        budget = _Budget(*circumstances.budget)
        slices: list[bytes] = []
        try:
            async for batch in prepared.reading.batches(_at_once):
                machine.offer(batch)
                _carry(machine, budget, slices)
        except QueryFailed as error:
            return Transcript(tuple(slices), problem=(error.reason, error.message, error.limit))
        machine.finished(CloseWhy.LIMIT if prepared.reading.is_exhausted else CloseWhy.COMPLETE)
        why = _carry(machine, budget, slices)
        places = machine.places
        return Transcript(
            tuple(slices),
            prepared.encoder.end(str(why), machine.handed_lines, places),
            resumes[0].text(places) if resumes and places is not None else None,
        )


def _carry(machine: ServedSession, budget: _Budget, slices: list[bytes]) -> CloseWhy | None:
    """Hand over all that can be, as the pump does it; return why the session is over, if it is."""
    moment = Moment(boot_ns=0, deadline_ns=FOREVER_NS, lease_until_ns=FOREVER_NS, epoch=0, writable=True)
    while True:
        step = machine.step(moment)
        if isinstance(step, Slice):
            slices.append(step.content)
        elif isinstance(step, Reserve):
            machine.reserved(budget.take(step, machine), acknowledged_ns=0)
        else:
            return step.why if isinstance(step, Finish) else None


class _Budget:
    def __init__(self, lines: int, size: int) -> None:
        self._lines = lines
        self._size = size

    def take(self, step: Reserve, machine: ServedSession) -> Reservation:
        """Reserve as `access.reserve` does it: what the budget does not hold is not reserved."""
        standing = machine.shares[0].standing
        lines, size = min(step.lines, self._lines), min(step.size, self._size)
        open_lines = standing.ceiling_lines - standing.handed_lines + lines
        open_bytes = standing.ceiling_bytes - standing.handed_bytes + size
        exhausted = open_lines < 1 or open_bytes < 1
        if not exhausted:
            self._lines -= lines
            self._size -= size
        return Reservation(
            seq=1,
            ceiling_lines=standing.ceiling_lines + (0 if exhausted else lines),
            ceiling_bytes=standing.ceiling_bytes + (0 if exhausted else size),
            exhausted=exhausted,
        )


async def _at_once(work: Callable[..., Any], *arguments: object) -> Any:
    return work(*arguments)
