"""What a front end asks of the sessions: one question, under one grant or several, and how its answer is made."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from loglease.access.open_session import Opened
from loglease.gateway.coverage import Coverage, has_line_rules
from loglease.gateway.covered_streams import CoveredStreams
from loglease.gateway.frontends.encoder import Encoder
from loglease.gateway.lines import Covers
from loglease.gateway.planner import pushed_literals
from loglease.gateway.reading import Reading
from loglease.gateway.recheck import Recheck, Violations
from loglease.gateway.scan import Scan
from loglease.gateway.settings import GatewaySettings
from loglease.logql import LogQuery
from loglease.model.grant import Grant
from loglease.model.instant import Interval
from loglease.model.labels import Selector
from loglease.model.scope import Scope
from loglease.model.session import Front, SessionKind
from loglease.redaction import Redactor
from loglease.sources.interface import Reader, ReadPlan

PAGE_LINES: Final = 1_000
PAGE_BYTES: Final = 256 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """What an answer is made with under one grant, once its session is open.

    Attributes:
        number: which of the answer's grants it is, as they rank; `of` is how many there are.
        before: the same of grants on the same source that rank before this one: a line that one of them covers is
            theirs.
        streams: what is remembered of streams for who asks.
    """

    opened: Opened
    reader: Reader
    redactor: Redactor
    violations: Violations
    settings: GatewaySettings
    number: int = 0
    of: int = 1
    before: tuple[Means, ...] = ()
    streams: CoveredStreams | None = None

    @property
    def scope(self) -> Scope:
        """The scope of the grant as policy has it now."""
        return self.opened.grant.terms.scopes[0]

    @property
    def interval(self) -> Interval:
        """Event times that may be read: what was asked for, inside the grant's window; perhaps none."""
        return self.opened.interval

    @property
    def now_ns(self) -> int:
        """The time of the question, nanoseconds since the epoch."""
        return self.opened.now * 1_000

    @property
    def subject_labels(self) -> frozenset[str]:
        """Labels of the pseudonyms that are counted as data subjects; none where the grant has no limit of them."""
        counts = self.opened.grant.terms.limits.subjects is not None
        return self.redactor.subject_labels if counts else frozenset()

    @property
    def has_line_rules(self) -> bool:
        """Whether a line's text or level decides if it is covered."""
        return has_line_rules(self.scope)

    def recheck(self, interval: Interval | None = None) -> Recheck:
        """Return the tests of the lines in an interval, which lies inside what may be read."""
        return Recheck(self.scope, interval or self.interval, self.violations, self.streams)

    def plan(self, query: LogQuery, selector: Selector, interval: Interval | None = None) -> ReadPlan:
        """Return how to read the lines of a query forward, up to an end.

        The source is asked for no text where the line rules of another grant have to be tested: its redactor needs the
        lines around.

        Args:
            selector: of the streams to ask the source for.
            interval: lies inside what may be read.
        """
        block_marks = self.redactor.block_marks
        needs_all = any(one.has_line_rules for one in self.before)
        return ReadPlan(
            selector=selector,
            interval=interval or self.interval,
            literals=() if needs_all else pushed_literals(query, self.reader.capabilities, block_marks),
            marks=block_marks,
            page_lines=PAGE_LINES,
            page_bytes=PAGE_BYTES,
        )

    def others(self, *, backward: bool = False) -> Sequence[Covers]:
        """Return the tests for the lines that belong to a grant that ranks before this one, for one read."""
        return [
            Coverage(one.scope, one.interval, one.redactor, backward=backward, streams=self.streams)
            for one in self.before
            if one.scope.intersect(self.scope) is not None and one.interval.intersect(self.interval) is not None
        ]

    def scan(self) -> Scan:
        """Return what the question may look at under this grant; one for all its reads."""
        return Scan(self.settings.scan_lines // self.of, self.settings.scan_bytes // self.of)


@dataclass(frozen=True, slots=True)
class Prepared:
    """An answer that is about to be read.

    Attributes:
        progress: writes that the session still runs, so many seconds after it was opened, for a client that wants to
            be told; None for all others. It takes nothing else, since how much was looked at may depend on what is
            hidden.
    """

    reading: Reading
    encoder: Encoder
    progress: Callable[[int], bytes] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A question.

    Attributes:
        query: the text as it was asked; for the record.
        interval: event times that it is about; `end` None for a tail.
        limit: items after which the answer is complete; None is everything permitted.
        check: raises what speaks against asking this under a scope: no line can be in both.
        prepare: makes the answer ready, under all grants that it is made under, as they rank; may raise the same for
            the scopes that policy allows by then.
        refuses_streams: refuse what `check` speaks against; else the answer is empty and says why.
        refuses_outside: refuse a time that the event window has nothing of; else lines do not exist there.
        admit: raises what speaks against an answer under these very grants, before anything is opened.
    """

    kind: SessionKind
    front: Front
    query: str
    interval: Interval
    limit: int | None
    check: Callable[[Scope], object]
    prepare: Callable[[Sequence[Means]], Prepared]
    refuses_streams: bool = False
    refuses_outside: bool = False
    admit: Callable[[Sequence[Grant]], object] = lambda _: None
