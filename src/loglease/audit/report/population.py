"""`population`: all requests, reviews, grants and revocations of a time, with proof that none is missing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from loglease.audit.report.asking import Asked, Beside, Logged
from loglease.audit.report.cases import Case, Cases, GivenReview
from loglease.audit.report.completeness import Completeness
from loglease.audit.report.folds import instant_of
from loglease.audit.report.tables import Fact, Found, Rows, layout
from loglease.model.instant import MICROSECONDS, Instant

REQUESTS: Final = layout(
    "requests",
    "Access requests that were submitted",
    "request, at:time, requester:subject, via:subject, sources:texts, duration_s:seconds, policy, outcome, "
    "decided_at:time, reviews:number, grant",
)
REVIEWS: Final = layout(
    "reviews",
    "Reviews that were given",
    "review, request, at:time, reviewer:subject, verdict, after_s:seconds, channel, method, mfa:truth, narrowed:truth, "
    "digest_sha256",
)
GRANTS: Final = layout(
    "grants",
    "Grants that came about",
    "grant, request, at:time, holder:subject, basis, approvers:subjects, from_at:time, until_at:time, state, "
    "ended_at:time",
)
REVOCATIONS: Final = layout(
    "revocations",
    "Revocations",
    "grant, request, at:time, effective_at:time, by:subject, cause, object, late:truth",
)


class Population:
    """Keeps one case for each request of the log, and a row for each that belongs to the time."""

    def __init__(self, asked: Asked, beside: Beside) -> None:
        self._asked = asked
        self._proof = Completeness(asked, beside)
        self._cases = Cases()
        self._reviews: list[tuple[Case, GivenReview]] = []
        self._revocations = Rows(REVOCATIONS)
        self._strays = 0

    def add(self, logged: Logged) -> None:
        """Take in an entry; those after the time asked about count for the proof alone."""
        self._proof.add(logged)
        at = logged.entry.at
        if at >= self._asked.to_at:
            return
        draft = logged.entry.draft
        case = self._cases.add(logged)
        if not self._asked.holds(at):
            return
        if case is None and draft.type in ("review.given", "grant.scheduled"):
            self._strays += 1
        if draft.type == "review.given" and case is not None:
            self._reviews.append((case, case.reviews[-1]))
        if draft.type == "grant.revoked":
            data: Mapping[str, Any] = draft.data
            self._revocations.add(
                draft.ref["grant"],
                draft.ref["request"],
                at,
                instant_of(data, "effective_at"),
                draft.actor,
                data["cause"],
                data.get("object"),
                data["late"],
                entries=(logged.index,),
            )

    def count(self, index: int, content: bytes, leaf: bytes | None, *, kind: str, at: Instant) -> None:
        """Take in an entry that decides nothing: it counts for the proof alone."""
        self._proof.count(index, content, leaf, kind=kind, at=at)

    def found(self) -> Found:
        """Return the tables, requests first."""
        requests, reviews, grants = Rows(REQUESTS), Rows(REVIEWS), Rows(GRANTS)
        for case in self._cases:
            if self._asked.holds(case.at):
                requests.add(*_request(case), entries=case.entries)
            if case.scheduled_at is not None and self._asked.holds(case.scheduled_at):
                grants.add(*_grant(case), entries=case.entries)
        for case, review in self._reviews:
            reviews.add(*_review(case, review), entries=(review.index,))
        outcomes = [row.cells[7] for row in requests.kept]
        summary = (
            Fact("requests", len(requests.kept), "requests submitted"),
            *(
                Fact(f"requests_{name}", outcomes.count(name), f"of these {name} by the end of the time")
                for name in ("approved", "denied", "cancelled", "expired", "open")
            ),
            Fact("reviews", len(reviews.kept), "reviews given"),
            Fact("grants", len(grants.kept), "grants that came about"),
            Fact("revocations", len(self._revocations.kept), "revocations of grants"),
            Fact("strays", self._strays, "reviews and grants without their request, which are not listed: has to be 0"),
            *self._proof.facts(),
        )
        tables = (requests.table(), reviews.table(), grants.table(), self._revocations.table(), self._proof.table())
        unknown = (
            "Access that was given to logs outside of LogLease leaves no entry here.",
            "A request that policy refused at once is an `access.refused` entry; see the report `refusals`.",
            *self._proof.doubts(),
        )
        return Found(summary, tables, unknown)


def _request(case: Case) -> tuple[Any, ...]:
    return (
        case.request,
        case.at,
        case.requester,
        case.via,
        case.sources,
        case.submitted["duration_s"],
        case.policy,
        case.outcome,
        case.decided_at,
        len(case.reviews),
        case.grant,
    )


def _review(case: Case, review: GivenReview) -> tuple[Any, ...]:
    auth = review.data["auth"]
    return (
        review.id,
        case.request,
        review.at,
        review.by,
        review.verdict,
        (review.at - case.at) // MICROSECONDS,
        review.data["channel"],
        auth["method"],
        auth["mfa"],
        "narrowed" in review.data,
        review.data["digest_sha256"],
    )


def _grant(case: Case) -> tuple[Any, ...]:
    return (
        case.grant,
        case.request,
        case.scheduled_at,
        case.holder,
        case.basis,
        case.approvers,
        case.from_at,
        case.until_at,
        case.state,
        case.ended_at,
    )
