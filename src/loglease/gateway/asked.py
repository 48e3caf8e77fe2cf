"""What a front end asks of the sessions: one question under one grant, and how its answer is made."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from loglease.access.open_session import Opened
from loglease.gateway.frontends.encoder import Encoder
from loglease.gateway.planner import pushed_literals
from loglease.gateway.reading import Reading
from loglease.gateway.recheck import Recheck, Violations
from loglease.gateway.scan import Scan
from loglease.gateway.settings import GatewaySettings
from loglease.logql import LogQuery
from loglease.model.instant import Interval
from loglease.model.scope import Scope
from loglease.model.session import Front, SessionKind
from loglease.redaction import Redactor
from loglease.sources.interface import Reader


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """What an answer is made with, once its session is open."""

    opened: Opened
    reader: Reader
    redactor: Redactor
    violations: Violations
    settings: GatewaySettings

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
    def has_line_rules(self) -> bool:
        """Whether a line's text or level decides if it is covered."""
        return self.scope.level_from is not None or bool(self.scope.contains)

    def recheck(self, interval: Interval | None = None) -> Recheck:
        """Return the tests of the lines in an interval, which lies inside what may be read."""
        return Recheck(self.scope, interval or self.interval, self.violations)

    def literals(self, query: LogQuery) -> tuple[bytes, ...]:
        """Return the texts of a query that the source is asked to look for, where the query has an end."""
        return pushed_literals(query, self.reader.capabilities, self.redactor.block_marks)

    def scan(self) -> Scan:
        """Return what the question may look at; one for all its reads."""
        return Scan(self.settings.scan_lines, self.settings.scan_bytes)


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
        check: raises what speaks against asking this under a scope, before anything is opened.
        refuses_outside: refuse a time that the event window has nothing of; else lines do not exist there.
        prepare: makes the answer ready; may raise the same for the scope that policy allows by then.
    """

    kind: SessionKind
    front: Front
    query: str
    interval: Interval
    limit: int | None
    check: Callable[[Scope], object]
    prepare: Callable[[Means], Prepared]
    refuses_outside: bool = False
