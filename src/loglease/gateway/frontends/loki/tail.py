"""``tail``: the newest lines, then live ones, each a message of its own on a WebSocket."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import orjson

from loglease.gateway.asked import Asked, Means, Prepared
from loglease.gateway.errors import QueryInvalid
from loglease.gateway.frontends.encoder import Line
from loglease.gateway.frontends.loki.queries import DEFAULT_LIMIT, MAX_LIMIT
from loglease.gateway.frontends.loki.shapes import FLAG, stream_labels, value
from loglease.gateway.parameters import Values, wrong
from loglease.gateway.planner import parsed, planned
from loglease.gateway.resume import Places
from loglease.gateway.scan import Scan
from loglease.gateway.tailing import NewestThenLive, TailsTogether
from loglease.gateway.websocket import text_frame
from loglease.gateway.worker import Worker, worker_of
from loglease.logql import LogQuery
from loglease.model.clock import Clock
from loglease.model.instant import NANOSECONDS, Instant, Interval
from loglease.model.session import Front, SessionKind
from loglease.sources.interface import Direction

TAIL_SINGLE: Final = frozenset(("query", "start", "since", "limit", "delay_for"))
"""Parameters that may be given once."""

MAX_DELAY_S: Final = 5


class TailEncoder:
    """Writes each line as one message; why the answer ends is said by a close code."""

    ends_early = True

    def __init__(self, clock: Clock, *, categorize: bool) -> None:
        self._clock = clock
        self._categorize = categorize
        self._flags = b',"encodingFlags":["%b"]' % FLAG.encode() if categorize else b""

    def line(self, line: Line) -> bytes:
        """Write one line."""
        categorize = self._categorize
        return text_frame(
            b'{"streams":[{"stream":%b,"values":[%b]}]%b}'
            % (stream_labels(line, categorize=categorize), value(line, categorize=categorize), self._flags)
        )

    def gap(self, lines: int | None) -> bytes:
        """Write that lines are missing here, with the time of this message: theirs may be hidden."""
        dropped: dict[str, object] = {"labels": {}, "timestamp": str(self._clock.now() * 1_000)}
        if lines is not None:
            dropped["lines"] = lines
        return text_frame(orjson.dumps({"streams": [], "dropped_entries": [dropped]}))

    def end(self, reason: str, lines: int, places: Places | None) -> bytes:  # noqa: ARG002 - see above
        """Write nothing."""
        return b""


def tail_question(values: Values, now: Instant, clock: Clock, *, categorize: bool) -> Asked:
    """Return what ``tail`` asks.

    Raises:
        QueryInvalid: the query is none, or is about numbers and not about lines.
        Malformed: a parameter cannot have its value.
    """
    text = values.text("query", "")
    query = parsed(text) if text.strip() else None
    if not isinstance(query, LogQuery):
        raise QueryInvalid(
            "A tail gives lines: only a log selector with its stages is supported.",
            next_step='Ask for lines, such as {service="pay-api"} |= "timeout".',
        )
    newest = values.limit(most=MAX_LIMIT) or DEFAULT_LIMIT
    delay_ns = _delay_ns(values)

    def tail_of(means: Means, encoder: TailEncoder) -> NewestThenLive:
        plan = means.plan(query, planned(query, means.scope))

        def worker(interval: Interval, direction: Direction, follow: bool, scan: Scan | None) -> Worker:  # noqa: FBT001
            return worker_of(
                query,
                redactor=means.redactor,
                recheck=means.recheck(interval),
                encoder=encoder,
                direction=direction,
                follow=follow,
                now_ns=means.now_ns,
                scan=scan,
                others=means.others(backward=direction is Direction.BACKWARD),
                literals=plan.literals,
            )

        return NewestThenLive(
            reader=means.reader,
            plan=plan,
            worker=worker,
            scan=means.scan(),
            now_ns=means.now_ns,
            newest=newest,
            delay_ns=delay_ns,
            clock=clock,
        )

    def prepare(all_means: Sequence[Means]) -> Prepared:
        encoder = TailEncoder(clock, categorize=categorize)
        # It keeps nothing of the lines that it writes, so that one does for those of all grants.
        tails = [tail_of(means, encoder) for means in all_means]
        return Prepared(tails[0] if len(tails) == 1 else TailsTogether(tails, newest), encoder)

    return Asked(
        kind=SessionKind.TAIL,
        front=Front.LOKI,
        query=text,
        interval=Interval(values.start(now * 1_000), None),
        limit=None,
        check=lambda scope: planned(query, scope),
        prepare=prepare,
        refuses_streams=True,
    )


def _delay_ns(values: Values) -> int:
    text = values.text("delay_for", "0")
    if not (text.isascii() and text.isdecimal() and int(text[:9]) <= MAX_DELAY_S):
        raise wrong("delay_for", f"a whole number from 0 to {MAX_DELAY_S}")
    return int(text) * NANOSECONDS
