"""`access-review`: who may ask, decide and administer now, what was never used, and who signed this off."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from loglease.audit.report.asking import Asked, Beside, Logged
from loglease.audit.report.cases import Case, Cases
from loglease.audit.report.tables import Fact, Form, Found, Rows, layout, require_room
from loglease.model.instant import Instant

NAME: Final = "access-review"
SIGNED_EVERY_MONTHS: Final = 6
PEOPLE: Final = layout(
    "people",
    "People, agents and services as they are now",
    "subject:subject, kind, enabled:truth, roles:texts, groups:texts, policies:number, review_policies:number, "
    "requests:number, reviews:number, last_sign_in_at:time",
)
MAY_REQUEST: Final = layout("may_request", "Who may ask for access now", "subject:subject, policy, by, requests:number")
MAY_REVIEW: Final = layout(
    "may_review", "Who may decide on requests now", "subject:subject, policy, by, reviews:number"
)
ADMINISTERS: Final = layout("administers", "Who has a role now", "subject:subject, role, enabled:truth")
UNUSED: Final = layout(
    "unused_grants",
    "Grants of this time under which nothing was read",
    "grant, holder:subject, policy, at:time, activated:truth, sessions:number, state",
)
CHANGES: Final = layout(
    "changes_of_rights",
    "Changes of accounts, roles, groups and tokens in this time",
    "at:time, type, subject:subject, change, names:texts, by:subject, approved_by:subject",
)
SIGNED: Final = layout(
    "signed",
    "Sign-offs of such reports",
    "report, made_at:time, signed_at:time, by:subject, verdict",
)
_RIGHTS: Final = frozenset(
    {
        "principal.added",
        "principal.changed",
        "principal.locked",
        "principal.unlocked",
        "stand_in.named",
        "stand_in.ended",
        "token.issued",
        "token.revoked",
    }
)


class AccessReview:
    """Keeps one case for each request, when each person signed in last, and sign-offs."""

    def __init__(self, asked: Asked, beside: Beside) -> None:
        self._asked = asked
        self._rights = beside.rights
        self._cases = Cases()
        self._reviews: Counter[str] = Counter()
        self._reviews_under: Counter[tuple[str, str | None]] = Counter()
        self._signed_in: dict[str, Instant] = {}
        self._changes = Rows(CHANGES)
        self._made: dict[str, Instant] = {}
        self._signed = Rows(SIGNED)
        self._accepted_at: Instant | None = None

    def add(self, logged: Logged) -> None:
        """Take in an entry."""
        draft, at = logged.entry.draft, logged.entry.at
        if at >= self._asked.to_at:
            return
        data: Mapping[str, Any] = draft.data
        case = self._cases.add(logged)
        if draft.type == "signin.succeeded":
            self._signed_in[draft.actor] = at
        elif draft.type == "report.made" and data["report"] == NAME:
            require_room(len(self._made))
            self._made[draft.id] = at
        elif draft.type == "report.signed" and draft.ref["entry"] in self._made:
            entry = draft.ref["entry"]
            self._signed.add(entry, self._made[entry], at, draft.actor, data["verdict"], entries=(logged.index,))
            if data["verdict"] == "accepted":
                self._accepted_at = at
        if not self._asked.holds(at):
            return
        if draft.type == "review.given":
            self._reviews[draft.actor] += 1
            self._reviews_under[draft.actor, None if case is None else case.policy] += 1
        if draft.type in _RIGHTS:
            self._changes.add(
                at,
                draft.type,
                data["subject"],
                data.get("change"),
                tuple(data.get("names", data.get("rights", ()))),
                draft.actor,
                data.get("approved_by"),
                entries=(logged.index,),
            )

    def found(self) -> Found:
        """Return present rights beside what was made of them."""
        asked: Counter[str] = Counter()
        asked_under: Counter[tuple[str, str | None]] = Counter()
        unused = Rows(UNUSED)
        for case in self._cases:
            if self._asked.holds(case.at):
                asked[case.requester] += 1
                asked_under[case.requester, case.policy] += 1
            if case.scheduled_at is not None and self._asked.holds(case.scheduled_at) and _is_unused(case):
                unused.add(
                    case.grant,
                    case.holder,
                    case.policy,
                    case.scheduled_at,
                    case.from_at is not None,
                    case.sessions,
                    case.state,
                    entries=case.entries,
                )
        people = self._people(asked)
        may_request, may_review, administers = Rows(MAY_REQUEST), Rows(MAY_REVIEW), Rows(ADMINISTERS)
        for may in self._rights.request:
            may_request.add(may.subject, may.policy, may.by, asked_under[may.subject, may.policy])
        for may in self._rights.review:
            may_review.add(may.subject, may.policy, may.by, self._reviews_under[may.subject, may.policy])
        for person in self._rights.people:
            for role in person.roles:
                administers.add(person.subject, role, person.enabled)
        due = None if self._accepted_at is None else months_after(self._accepted_at, SIGNED_EVERY_MONTHS)
        summary = (
            Fact("people", len(people.kept), "accounts of people, agents and services"),
            Fact("may_request", len({one.subject for one in self._rights.request}), "of them may ask for access"),
            Fact("may_review", len({one.subject for one in self._rights.review}), "may decide on requests"),
            Fact("administer", len({row.cells[0] for row in administers.kept}), "have a role"),
            Fact("unused_grants", len(unused.kept), "grants of this time under which nothing was read"),
            Fact(
                "never_asked",
                sum(not row.cells[3] for row in may_request.kept),
                "rights to ask that nobody used in this time",
            ),
            Fact("signed_at", self._accepted_at, "when such a report was accepted last", Form.TIME),
            Fact("sign_by_at", due, "when the next sign-off is due, six months later", Form.TIME),
            Fact("sign_off_overdue", due is None or due <= self._asked.to_at, "whether it is overdue", Form.TRUTH),
        )
        unknown = (
            "Rights are those of the moment when the report was made; what changed stands in `changes_of_rights`.",
            "A policy asks for more than a name, such as a ticket or an hour: who is listed may ask, and be refused.",
            "People who may decide as somebody's manager or while on call are listed as of this moment.",
            "Whoever has the server's machine or its database can do more than any role that is listed here.",
        )
        tables = (
            people.table(),
            may_request.table(),
            may_review.table(),
            administers.table(),
            unused.table(),
            self._changes.table(),
            self._signed.table(),
        )
        return Found(summary, tables, unknown)

    def _people(self, asked: Counter[str]) -> Rows:
        policies = Counter(subject for subject, _ in {(may.subject, may.policy) for may in self._rights.request})
        reviewing = Counter(subject for subject, _ in {(may.subject, may.policy) for may in self._rights.review})
        rows = Rows(PEOPLE)
        for one in self._rights.people:
            rows.add(
                one.subject,
                one.kind,
                one.enabled,
                one.roles,
                one.groups,
                policies[one.subject],
                reviewing[one.subject],
                asked[one.subject],
                self._reviews[one.subject],
                self._signed_in.get(one.subject),
            )
        return rows


def _is_unused(case: Case) -> bool:
    return case.lines == 0 and case.uncertain == 0


def months_after(at: Instant, months: int) -> Instant:
    """Return the instant so many calendar months later; on the last day of a month that is too short for the day."""
    moment = datetime.fromtimestamp(0, UTC) + timedelta(microseconds=at)
    year, month = divmod(moment.year * 12 + moment.month - 1 + months, 12)
    first = moment.replace(year=year, month=month + 1, day=1)
    following = (first + timedelta(days=31)).replace(day=1)
    day = min(moment.day, (following - timedelta(days=1)).day)
    return Instant((first.replace(day=day) - datetime.fromtimestamp(0, UTC)) // timedelta(microseconds=1))
