"""What a report is asked for, and what it knows beside the entries: all of it values that somebody else fetched."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from loglease.audit.entry import Entry
from loglease.model.errors import FieldFault, InvalidField, Malformed
from loglease.model.instant import Instant, parse_instant

MAX_SAMPLE: Final = 10_000
MAX_SEED: Final = 2**53 - 1
_DAY: Final = re.compile(r"\d{4}-\d\d-\d\d")


@dataclass(frozen=True, slots=True)
class Logged:
    """One entry with its place, its exact bytes, and the leaf hash that is stored beside it, where one is."""

    index: int
    entry: Entry
    content: bytes
    leaf: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """The question: which report, of which time.

    Attributes:
        from_at: the first instant that belongs to it; None is the beginning of the log.
        to_at: the first instant that does not belong to it any more; never later than when the report is made.
        sample: how many rows to draw from the report's main table; None takes all.
        seed: fixes which rows are drawn.
        grant: the grant of a dossier.
    """

    report: str
    from_at: Instant | None = None
    to_at: Instant
    sample: int | None = None
    seed: int | None = None
    grant: str | None = None

    def holds(self, at: Instant) -> bool:
        """Say whether an instant belongs to the time that is asked about."""
        return (self.from_at is None or self.from_at <= at) and at < self.to_at


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedHead:
    """The newest signed checkpoint: what it says, and the note itself."""

    origin: str
    size: int
    root: bytes
    note: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """A login as it is now, for reviews of rights."""

    subject: str
    kind: str
    enabled: bool
    roles: tuple[str, ...]
    groups: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class MayDo:
    """That a policy, by a name in it, lets somebody ask for access, or decide on it."""

    subject: str
    policy: str
    by: str


@dataclass(frozen=True, slots=True)
class Rights:
    """Who may do what at present."""

    people: tuple[Person, ...] = ()
    request: tuple[MayDo, ...] = ()
    review: tuple[MayDo, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Sink:
    """A place outside that keeps signed heads.

    Attributes:
        size: of the last one that it kept; -1 before the first.
        waits_since: since when a later one waits for it; None if none does.
    """

    name: str
    kind: str
    required: bool
    size: int
    waits_since: Instant | None


def no_changes(_proposal: str) -> Sequence[tuple[str, str]]:
    """Know of no change."""
    return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """What is known beside the entries.

    Attributes:
        first: the lowest index that was not pruned.
        size: how many entries the log had when the report began; those from `size` on are not read.
        origin: the log's name.
        head: the newest signed checkpoint; None where the log signs none.
        rights: current rights, for reviews of them.
        changes: returns verdict and text of each change that a proposal of policy makes, by its id.
        retain_s: for how long entries have to stay; None is for ever.
        sinks: where signed heads are kept besides.
    """

    first: int = 0
    size: int
    origin: str = ""
    head: SignedHead | None = None
    rights: Rights = field(default_factory=Rights)
    changes: Callable[[str], Sequence[tuple[str, str]]] = no_changes
    retain_s: int | None = None
    sinks: tuple[Sink, ...] = ()


def moment_of(text: str, *, field_name: str) -> Instant:
    """Read a bound of time: an instant of RFC 3339, or a date, which means its first instant in UTC.

    Raises:
        InvalidField: it is neither.
    """
    try:
        return parse_instant(f"{text}T00:00:00Z" if _DAY.fullmatch(text) else text)
    except Malformed as error:
        raise InvalidField(
            f"{text[:40]!r} is neither a date nor a time.",
            next_step="Write 2026-01-31, or 2026-01-31T09:30:00Z; a date is its first instant in UTC.",
            faults=(FieldFault(f"/{field_name}", "time", "Write a date, or a date with time and zone."),),
        ) from error
