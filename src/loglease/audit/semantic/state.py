"""What a pass knows at one entry, and how it tells what is wrong."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from loglease.audit.semantic.facts import Fact
from loglease.audit.semantic.ids import Ids
from loglease.audit.semantic.inputs import NOTHING, Inputs
from loglease.audit.semantic.objects import AfterReview, Cut, Elevation, Grant, Proposal, Request, Session
from loglease.audit.semantic.people import Lock, People
from loglease.audit.semantic.report import MOST_OF_A_RULE, Breach, BreachKind
from loglease.model.instant import Instant

_PERSON: Final = "person"
LOST: Final = "lost"
"""How a server is over that the others gave up."""
BEGINNING: Final = Instant(0)
NEVER: Final = Instant(2**62)

KINDS: Final = ("request", "grant", "session", "review", "lock", "elevation", "proposal", "token")
"""The kinds of things whose ids are introduced by one entry."""


@dataclass(slots=True)
class Key:
    """A verifier key of the log, valid from an index on, and after a rotation until a time."""

    vkey: str
    since: int
    until: Instant | None = None
    ended: int | None = None


@dataclass(slots=True)
class Bundle:
    """A policy bundle that was in force."""

    sha256: str
    revision: int
    index: int
    until: Instant | None = None


@dataclass(slots=True)
class Replica:
    """A server that started: by which entry last, when, and by which word it is over; None while it runs."""

    started: int
    at: Instant
    over: str | None = None


@dataclass(frozen=True, slots=True)
class LateClose:
    """A session that closed long after it had to, and the entries by which that can be seen."""

    replica: str
    index: int
    entries: tuple[int | None, ...]
    cut_at: Instant
    closed_at: Instant
    text: str


@dataclass(frozen=True, slots=True)
class Outage:
    """A time in which a server could not record anything, as it said afterwards."""

    replica: str
    begin: Instant
    end: Instant


@dataclass(slots=True)
class Machine:
    """What the log says of the processes that write it.

    Attributes:
        replicas: the servers that ever started, by name.
        started: the last start of any of them.
        origin: of the log; None until an entry names it.
        restored: the last restore: its index, and the epoch before it.
        heard: when each replica that may be alive was last heard of, by name.
        next_end: when the next key of the log that was rotated away is not valid any more.
        suspect: the replicas whose clock cannot be trusted, with the entry that says so.
        bundle_times: when the last entry of each bundle of entries was recorded, by its number.
        holds: the times that must not be pruned, by the id of the hold.
        forgotten: sessions that were open when the log was found to be longer than its database.
        carried: whether this is a later generation of a log, so that grants may be of the one before.
        affirmed: such grants that somebody resumed here.
        left: sessions that were open when their replica started, until it serves; by replica.
    """

    replicas: dict[str, Replica] = field(default_factory=dict)
    started: int = 0
    next_end: Instant = NEVER
    suspect: dict[str, int] = field(default_factory=dict)
    origin: str | None = None
    epoch: int | None = None
    restored: int | None = None
    min_index: int = 0
    keys: list[Key] = field(default_factory=list)
    heard: dict[str, Instant] = field(default_factory=dict)
    left: dict[str, frozenset[str]] = field(default_factory=dict)
    forgotten: frozenset[str] = frozenset()
    carried: bool = False
    affirmed: set[str] = field(default_factory=set)
    bundle_times: dict[int, Instant] = field(default_factory=dict)
    holds: dict[str, tuple[Instant, Instant]] = field(default_factory=dict)


@dataclass(slots=True)
class State:
    """Everything that a pass remembers.

    Attributes:
        partial: whether entries before the first one are missing, so that what is not known may be all right.
        first: index of the first entry that is there.
        orphans: open sessions of grants that are not known.
        late: sessions that closed late, until it is known what could not be recorded then; that is said later.
        lost: grants and raised levels that came of something that is not known; what was to be said of them is said.
        unlisted: how many served lists would have had to be looked at, and none were given.
        index: of the entry at hand, `at` its time.
    """

    inputs: Inputs = NOTHING
    partial: bool = False
    first: int = 0
    unlisted: int = 0
    index: int = 0
    at: Instant = BEGINNING
    people: People = field(default_factory=People)
    machine: Machine = field(default_factory=Machine)
    requests: dict[str, Request] = field(default_factory=dict)
    grants: dict[str, Grant] = field(default_factory=dict)
    sessions: dict[str, Session] = field(default_factory=dict)
    orphans: set[str] = field(default_factory=set)
    late: list[LateClose] = field(default_factory=list)
    outages: list[Outage] = field(default_factory=list)
    lost: set[str] = field(default_factory=set)
    elevations: dict[str, Elevation] = field(default_factory=dict)
    after_reviews: dict[str, AfterReview] = field(default_factory=dict)
    proposals: dict[str, Proposal] = field(default_factory=dict)
    things: dict[str, Lock] = field(default_factory=dict)
    bundles: list[Bundle] = field(default_factory=list)
    seen: Mapping[str, Ids] = field(default_factory=lambda: {kind: Ids() for kind in KINDS})
    entries: Ids = field(default_factory=Ids)
    breaches: list[Breach] = field(default_factory=list)
    not_kept: dict[tuple[str, BreachKind], int] = field(default_factory=dict)
    passed: dict[tuple[str, str], int] = field(default_factory=dict)
    counts: dict[tuple[str, BreachKind], int] = field(default_factory=dict)

    def breach(
        self,
        rule: str,
        text: str,
        *others: int | None,
        kind: BreachKind = BreachKind.VIOLATION,
        index: int | None = None,
    ) -> None:
        """Note that a rule does not hold at an entry, this one by default; by that and the others it can be seen."""
        index = self.index if index is None else index
        entries = tuple(sorted({index, *(one for one in others if one is not None)}))
        kept = self.counts.get((rule, kind), 0)
        if kept >= MOST_OF_A_RULE:
            self.not_kept[rule, kind] = self.not_kept.get((rule, kind), 0) + 1
            return
        self.counts[rule, kind] = kept + 1
        self.breaches.append(Breach(rule, kind, index, entries, text))

    def finding(self, rule: str, text: str, *others: int | None) -> None:
        """Note something that a person should look at."""
        self.breach(rule, text, *others, kind=BreachKind.FINDING)

    def unchecked(self, rule: str, text: str) -> None:
        """Note that a part of a rule could not be checked."""
        self.passed[rule, text] = self.passed.get((rule, text), 0) + 1

    def introduce(self, kind: str, one: str) -> bool:
        """Note a new id, and say whether it is new; S3."""
        if self.seen[kind].add(one):
            return True
        self.breach("S3", f"{one} is introduced a second time")
        return False

    def unknown(self, kind: str, one: str) -> None:
        """Note that an entry refers to something that is not open; S3."""
        if one in self.lost:
            self.unchecked("S3", "what came of something that is not known")
        elif one in self.seen[kind]:
            self.breach("S3", f"{one} is over, or its way does not lead here")
        elif self.partial:
            self.unchecked("S3", "what was introduced before the first entry that is there")
        else:
            self.breach("S3", f"{one} was never introduced")

    def request(self, entry: Fact) -> Request | None:
        """Return the open request that an entry is about; S3 if there is none."""
        one = entry.ref["request"]
        found = self.requests.get(one)
        if found is None:
            self.unknown("request", one)
        return found

    def grant(self, entry: Fact) -> Grant | None:
        """Return the live grant that an entry is about; S3 if there is none, or the entry names another request."""
        one = entry.ref["grant"]
        found = self.grants.get(one)
        if found is None or found.over is not None:
            self.unknown("grant", one)
            return None
        return found if self.is_of(entry, found) else None

    def session(self, entry: Fact) -> Session | None:
        """Return the open session that an entry is about; S3 if there is none, or the entry names another grant."""
        one = entry.ref["session"]
        found = self.sessions.get(one)
        if found is None:
            self.unknown("session", one)
            return None
        if entry.ref["grant"] != found.grant.id:
            self.breach("S14", f"{one} is of {found.grant.id}, not of {entry.ref['grant']}", found.index)
            return None
        return found if self.is_of(entry, found.grant) else None

    def is_of(self, entry: Fact, grant: Grant) -> bool:
        """Say whether an entry about a grant names its request; S3 if it names another."""
        named = entry.ref.get("request")
        if named is None or named == grant.request.id:
            return True
        self.breach("S3", f"{grant.id} came of {grant.request.id}, not of {named}", grant.index)
        return False

    def hold(self, grant: Grant) -> tuple[str, int | None] | None:
        """Say why a grant may not be used now, with the entry that says so; None if it may, time and people aside."""
        if grant.over is not None:
            return f"was {grant.over.word}", grant.over.index
        if grant.suspended:
            return "is suspended", max(grant.suspended.values())
        before = grant.before
        if before is not None and _PERSON in before.suspended:
            return f"goes on from {before.id}, which is suspended", before.suspended[_PERSON]
        lock = self.lock_on(grant)
        if lock is not None:
            return "is locked", lock.index
        parent = grant.parent
        if parent is not None and parent.over is not None:
            return f"is nothing without {parent.id}, which was {parent.over.word}", parent.over.index
        return None

    def lock_on(self, grant: Grant) -> Lock | None:
        """Return a lock in force on something that a grant depends on, its holder aside."""
        for lock in self.things.values():
            if lock.in_force(self.at) and is_on(lock, grant):
                return lock
        return None

    def cut(self, grant: Grant, word: str, index: int | None) -> None:
        """Note that the sessions of a grant have to end from now on."""
        for session in grant.sessions.values():
            if session.cut is None:
                session.cut = Cut(self.at, index, word)

    def end_keys(self) -> None:
        """Note the keys of the log that are not valid any more from this entry on."""
        machine = self.machine
        for key in machine.keys:
            if key.until is not None and key.ended is None and key.until <= self.at:
                key.ended = self.index
        left = [key.until for key in machine.keys if key.until is not None and key.ended is None]
        machine.next_end = min(left, default=NEVER)

    def forget(self, grant: Grant) -> None:
        """Drop a grant that is over once no session of it is open."""
        if grant.over is not None and not grant.sessions:
            self.grants.pop(grant.id, None)


def is_on(lock: Lock, grant: Grant) -> bool:
    """Say whether a lock is on something that a grant depends on, its holder aside."""
    match lock.on:
        case "everything":
            return True
        case "grant":
            parent = grant.parent
            return lock.thing in (grant.id, *grant.chain, "" if parent is None else parent.id)
        case "request":
            return lock.thing == grant.request.id
        case "policy":
            return lock.thing == grant.request.offer.get("policy")
        case "source":
            return lock.thing in grant.sources
        case _:
            return False
