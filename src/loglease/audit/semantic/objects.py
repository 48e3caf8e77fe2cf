"""What a pass remembers of things that are open: requests, reviews, grants, sessions, levels, proposals."""

from __future__ import annotations

from dataclasses import dataclass, field

from loglease.audit.semantic.facts import Data, Fact
from loglease.model.instant import Instant


@dataclass(slots=True)
class Review:
    """A review that was given on an open request."""

    id: str
    index: int
    reviewer: str
    approves: bool
    digest: str
    names: frozenset[str]
    stands_for: str | None
    narrowed: Data | None
    was_pending: bool


@dataclass(slots=True)
class Request:
    """A request, until its grant is there or it is over without one.

    Attributes:
        until: it is pending before that.
        made: the entry of the offer that was taken.
        denied: the review that denies it.
        approved: index of the approval, and the reviews that it counts.
        looked_at: the version of people at the approval.
        extends: the grant that it goes on from.
        reveals: the grant under whose line it shows a value.
    """

    id: str
    index: int
    submitted: Fact
    until: Instant
    made: Fact | None = None
    reviews: dict[str, Review] = field(default_factory=dict)
    denied: Review | None = None
    approved: int | None = None
    counted: tuple[str, ...] = ()
    looked_at: int = -1
    extends: Grant | None = None
    reveals: Grant | None = None

    @property
    def wish(self) -> Data:
        """The data of `request.submitted`."""
        return self.submitted.data

    @property
    def offer(self) -> Data:
        """The data of `offer.made`; empty before that."""
        return {} if self.made is None else self.made.data

    @property
    def subject(self) -> str:
        """Who asks."""
        return self.submitted.actor


@dataclass(slots=True)
class Cut:
    """What ends sessions, when, and by which entry; None for the clock."""

    at: Instant
    index: int | None
    word: str


@dataclass(slots=True)
class Grant:
    """A grant, until it is over and no session of it is open.

    Attributes:
        data: of `grant.scheduled`.
        until: its end, once it is active; before that the end of the time to activate it.
        suspended: the causes that hold it, with the entry of each; one that comes twice is lifted once.
        over: what ended it.
        resumed: whether it may serve although a restore came after it was made.
        lines: settled and reserved by all its sessions; `bytes` likewise.
        reserved: index and time of its last use: a session that opened, or a reservation.
    """

    id: str
    index: int
    request: Request
    data: Data
    holder: str
    not_before: Instant
    until: Instant
    chain: tuple[str, ...] = ()
    activated: int | None = None
    suspended: dict[str, int] = field(default_factory=dict)
    over: Cut | None = None
    restored: int | None = None
    lines: int = 0
    bytes: int = 0
    sessions: dict[str, Session] = field(default_factory=dict)
    reserved: tuple[int, Instant] | None = None
    revealed: int | None = None

    @property
    def before(self) -> Grant | None:
        """The grant that it goes on from."""
        return self.request.extends

    @property
    def parent(self) -> Grant | None:
        """The grant under whose line it shows a value."""
        return self.request.reveals

    @property
    def sources(self) -> set[str]:
        """What it reads from."""
        return {scope["source"] for scope in self.data["scopes"]}


@dataclass(slots=True)
class Session:
    """A session that is open.

    Attributes:
        start_ns: begin of the event times that its queries may read, up to before `end_ns`; None is open.
        queries: how many queries were recorded.
        ceiling_lines: settled and reserved; `ceiling_bytes` likewise.
        cut: what ends it, if something does.
    """

    id: str
    index: int
    grant: Grant
    actor: str
    replica: str
    queries: int = 0
    start_ns: int | None = None
    end_ns: int | None = None
    seq: int = 0
    total_lines: int = 0
    total_bytes: int = 0
    ceiling_lines: int = 0
    ceiling_bytes: int = 0
    cut: Cut | None = None


@dataclass(slots=True)
class AfterReview:
    """An after-review that nobody has called justified."""

    request: str
    grant: str
    index: int
    subjects: frozenset[str]
    due: Instant
    state: str = "open"
    objected: str | None = None


@dataclass(slots=True)
class Elevation:
    """A raised level that has not ended.

    Attributes:
        at: when it was to be raised.
        baseline: the level to go back to, as it was seen when the level was raised; until then, as it was expected.
    """

    id: str
    index: int
    at: Instant
    grant: Grant
    data: Data
    baseline: str
    raised: int | None = None


@dataclass(slots=True)
class Proposal:
    """A proposal of policy documents that is pending."""

    id: str
    index: int
    author: str
    data: Data
    approvals: dict[str, tuple[int, str]] = field(default_factory=dict)
    denied: int | None = None
