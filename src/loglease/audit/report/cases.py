"""Requests with their reviews and grants, put together from entries: what most reports begin with.

One case takes a few kilobytes; batches and queries only add to its counts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from loglease.audit.report.asking import Logged
from loglease.audit.report.folds import instant_of
from loglease.audit.report.tables import require_room
from loglease.model.instant import Instant

RAW: Final = "raw"
"""The profile that masks nothing."""

SOURCES: Final = "sources"
PROFILES: Final = "profiles"
_KEPT: Final = (
    "auth",
    "basis",
    "beneficiary",
    "bundle_sha256",
    "channel",
    "digest_sha256",
    "duration_s",
    "holder",
    "offer",
    "policy",
    "reveal",
    "review_by_at",
    "reviews",
    "stands_for",
    "until_at",
    "verdict",
)

DECIDING: Final = frozenset(
    {
        "request.submitted",
        "offer.made",
        "review.given",
        "request.approved",
        "request.denied",
        "request.cancelled",
        "request.expired",
        "grant.scheduled",
        "grant.activated",
        "grant.suspended",
        "grant.resumed",
        "grant.ended",
        "grant.revoked",
        "breakglass.reviewed",
    }
)
READING: Final = frozenset({"session.opened", "query.recorded", "batch.served", "reveal.served", "session.closed"})


@dataclass(frozen=True, slots=True)
class GivenReview:
    """One review, or one verdict afterwards, by somebody."""

    id: str
    index: int
    at: Instant
    by: str
    data: Mapping[str, Any]

    @property
    def verdict(self) -> str:
        """What was decided."""
        return str(self.data["verdict"])


@dataclass(slots=True)
class Case:
    """One request and the grant that came of it.

    Attributes:
        entries: indices of all entries about it but batches and queries.
        lines: lines, samples and names that were handed over, exactly counted; `size` their bytes.
        uncertain: what was reserved when a process died: it may have left, or not.
    """

    request: str
    index: int
    at: Instant
    requester: str
    via: str | None
    submitted: Mapping[str, Any]
    offer: Mapping[str, Any] = field(default_factory=dict)
    reviews: list[GivenReview] = field(default_factory=list)
    outcome: str = "open"
    decided_at: Instant | None = None
    counted: tuple[str, ...] = ()
    grant: str | None = None
    scheduled_index: int | None = None
    scheduled_at: Instant | None = None
    terms: Mapping[str, Any] = field(default_factory=dict)
    from_at: Instant | None = None
    until_at: Instant | None = None
    state: str | None = None
    ended_index: int | None = None
    ended_at: Instant | None = None
    afterwards: list[GivenReview] = field(default_factory=list)
    sessions: int = 0
    queries: int = 0
    batches: int = 0
    lines: int = 0
    size: int = 0
    uncertain: int = 0
    entries: list[int] = field(default_factory=list)

    @property
    def sources(self) -> tuple[str, ...]:
        """The sources that were asked for."""
        found: tuple[str, ...] = self.submitted[SOURCES]
        return found

    @property
    def profiles(self) -> tuple[str, ...]:
        """The redaction profiles of what was offered, of the grant where there is one."""
        found: tuple[str, ...] = (self.terms or self.offer).get(PROFILES, ())
        return found

    @property
    def is_raw(self) -> bool:
        """Whether a profile of it masks nothing."""
        return any(name.partition("@")[0] == RAW for name in self.profiles)

    @property
    def policy(self) -> str | None:
        """The policy that made the offer."""
        name = self.offer.get("policy")
        return None if name is None else str(name)

    @property
    def basis(self) -> str | None:
        """On what the grant rests: reviews, auto or break_glass."""
        name = self.terms.get("basis")
        return None if name is None else str(name)

    @property
    def holder(self) -> str:
        """Who holds the grant, or would."""
        return str(self.terms.get("holder", self.requester))

    @property
    def approvers(self) -> tuple[str, ...]:
        """Who gave the reviews that the grant rests on."""
        counted = set(self.counted or self.terms.get("reviews", ()))
        return tuple(dict.fromkeys(one.by for one in self.reviews if one.id in counted))


class Cases:
    """All cases so far, by request and by grant."""

    def __init__(self) -> None:
        self._by_request: dict[str, Case] = {}
        self._by_grant: dict[str, Case] = {}

    def __iter__(self) -> Iterator[Case]:
        return iter(self._by_request.values())

    def of_grant(self, grant: str | None) -> Case | None:
        """Return the case of a grant; None where its request was pruned, or nobody knows it."""
        return None if grant is None else self._by_grant.get(grant)

    def add(self, logged: Logged) -> Case | None:
        """Take in an entry; return the case that it is about, or None."""
        draft = logged.entry.draft
        if draft.type == "request.submitted":
            return self._submitted(logged)
        case = self._by_request.get(draft.ref.get("request", "")) or self._by_grant.get(draft.ref.get("grant", ""))
        if case is None:
            return None
        if draft.type in DECIDING:
            case.entries.append(logged.index)
            _decided(case, logged)
            if draft.type == "grant.scheduled":
                self._by_grant[draft.ref["grant"]] = case
        elif draft.type in READING:
            _read(case, logged)
        return case

    def _submitted(self, logged: Logged) -> Case:
        require_room(len(self._by_request))
        draft = logged.entry.draft
        case = Case(
            request=draft.ref["request"],
            index=logged.index,
            at=logged.entry.at,
            requester=draft.actor,
            via=draft.via,
            submitted=_brief(draft.data),
            entries=[logged.index],
        )
        self._by_request[case.request] = case
        return case


def _brief(data: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what reports need of a fact: a scope with its labels and a plan with its names are most of an entry."""
    found: dict[str, Any] = {name: data[name] for name in _KEPT if name in data}
    if "narrowed" in data:
        found["narrowed"] = True
    scopes = data.get("scopes")
    if scopes is not None:
        found[SOURCES] = tuple(sorted({scope["source"] for scope in scopes}))
        found[PROFILES] = tuple(sorted({profile["name"] for scope in scopes for profile in scope["profiles"]}))
    return found


def _decided(case: Case, logged: Logged) -> None:
    draft, at = logged.entry.draft, logged.entry.at
    data: Mapping[str, Any] = draft.data
    match draft.type:
        case "offer.made":
            if not case.offer or data["offer"] == case.submitted["offer"]:
                case.offer = _brief(data)
        case "review.given":
            case.reviews.append(GivenReview(draft.ref["review"], logged.index, at, draft.actor, _brief(data)))
        case "breakglass.reviewed":
            case.afterwards.append(GivenReview(draft.id, logged.index, at, draft.actor, data))
        case "request.approved" | "request.denied" | "request.cancelled" | "request.expired":
            case.outcome, case.decided_at = draft.type.partition(".")[2], at
            case.counted = tuple(data.get("reviews", ()))
        case "grant.scheduled":
            case.grant, case.terms, case.state = draft.ref["grant"], _brief(data), "scheduled"
            case.scheduled_index, case.scheduled_at = logged.index, at
        case _:
            _moved(case, draft.type, data, at, logged.index)


def _moved(case: Case, kind: str, data: Mapping[str, Any], at: Instant, index: int) -> None:
    match kind:
        case "grant.activated":
            case.from_at, case.until_at = instant_of(data, "from_at"), instant_of(data, "until_at")
            case.state = "active"
        case "grant.suspended":
            case.state = "suspended"
        case "grant.resumed":
            case.state = "scheduled" if case.from_at is None else "active"
        case "grant.ended" | "grant.revoked":
            case.state = "revoked" if kind == "grant.revoked" else str(data["why"])
            case.ended_at, case.ended_index = at, index


def _read(case: Case, logged: Logged) -> None:
    draft = logged.entry.draft
    data: Mapping[str, Any] = draft.data
    match draft.type:
        case "session.opened":
            case.sessions += 1
        case "query.recorded":
            case.queries += 1
        case "batch.served":
            case.batches += 1
        case "session.closed":
            case.uncertain += data["uncertain"]["lines"]
    settled = data.get("settled")
    if settled is not None:
        case.lines += settled["lines"]
        case.size += settled["bytes"]
