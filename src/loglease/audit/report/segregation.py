"""`segregation`: approvals of one's own, pairs who approve each other, who approves most, and how fast."""

from __future__ import annotations

from collections import defaultdict
from typing import Final

from loglease.audit.report.asking import Asked, Beside, Logged
from loglease.audit.report.cases import Case, Cases, GivenReview
from loglease.audit.report.folds import per_mille, ranked
from loglease.audit.report.tables import Fact, Found, Rows, layout
from loglease.model.instant import MICROSECONDS

QUICK_S: Final = 10
APPROVALS: Final = layout(
    "approvals",
    "Approvals that were given",
    "review, request, at:time, requester:subject, reviewer:subject, stands_for:subject, after_s:seconds, counted:truth",
)
OWN: Final = layout(
    "own_approvals",
    "Approvals by somebody who is, or may be, the one who asked: there must be none",
    "review, request, at:time, requester:subject, reviewer:subject, relation",
)
PAIRS: Final = layout(
    "reciprocal_pairs",
    "Pairs who approved requests of each other",
    "one:subject, other:subject, one_approved:number, other_approved:number",
)
REVIEWERS: Final = layout(
    "reviewers",
    "Who decided how much",
    "reviewer:subject, approvals:number, denials:number, share_per_mille:number, requesters:number, "
    "most_for:subject, most_for_count:number, median_s:seconds, quick:number",
)
QUICK: Final = layout(
    "quick_approvals",
    "Approvals within 10 seconds of the request",
    "review, request, at:time, requester:subject, reviewer:subject, after_ms:milliseconds",
)


class Segregation:
    """Keeps one case for each request, and who is linked to whom."""

    def __init__(self, asked: Asked, _beside: Beside) -> None:
        self._asked = asked
        self._cases = Cases()
        self._given: list[tuple[Case, GivenReview, str | None]] = []
        self._owners: dict[str, str] = {}
        self._linked: defaultdict[str, set[str]] = defaultdict(set)

    def add(self, logged: Logged) -> None:
        """Take in an entry."""
        draft = logged.entry.draft
        if logged.entry.at >= self._asked.to_at:
            return
        if draft.type in ("principal.added", "principal.changed"):
            self._add_person(logged)
        case = self._cases.add(logged)
        if draft.type == "review.given" and case is not None and self._asked.holds(logged.entry.at):
            self._given.append((case, case.reviews[-1], self._relation(case, draft.actor)))

    def _add_person(self, logged: Logged) -> None:
        data = logged.entry.draft.data
        subject, other, owner = str(data["subject"]), data.get("other"), data.get("owner")
        change = data.get("change")
        if owner is not None:
            self._owners[subject] = str(owner)
        if other is None:
            return
        if change == "owner":
            self._owners[subject] = str(other)
        elif change in ("linked", "suspected"):
            self._linked[subject].add(str(other))
            self._linked[str(other)].add(subject)
        elif change == "unlinked":
            self._linked[subject].discard(str(other))
            self._linked[str(other)].discard(subject)

    def _relation(self, case: Case, reviewer: str) -> str | None:
        """Say what a reviewer is to who asked at that moment; None where that is somebody else."""
        beneficiary = case.submitted.get("beneficiary")
        for name, subject in (("requester", case.requester), ("via", case.via), ("beneficiary", beneficiary)):
            if subject is None:
                continue
            if reviewer == subject:
                return name
            if self._owners.get(subject) == reviewer:
                return f"owner of the {name}"
            if reviewer in self._linked[subject]:
                return f"linked to the {name}"
        return None

    def found(self) -> Found:
        """Return the tables, all approvals first."""
        approvals, own, quick = Rows(APPROVALS), Rows(OWN), Rows(QUICK)
        for case, review, relation in self._given:
            if review.verdict != "approve":
                continue
            after = review.at - case.at
            counted = review.id in (case.counted or case.terms.get("reviews", ()))
            entries = (case.index, review.index)
            who = (review.id, case.request, review.at, case.requester, review.by)
            approvals.add(*who, review.data.get("stands_for"), after // MICROSECONDS, counted, entries=entries)
            if relation is not None:
                own.add(*who, relation, entries=entries)
            if after < QUICK_S * MICROSECONDS:
                quick.add(*who, after // 1_000, entries=entries)
        pairs, reviewers = self._pairs(), self._reviewers(len(approvals.kept))
        summary = (
            Fact("approvals", len(approvals.kept), "approvals that were given"),
            Fact("own_approvals", len(own.kept), "of these by who asked, or somebody linked to them: has to be 0"),
            Fact("reciprocal_pairs", len(pairs.kept), "pairs who approved requests of each other"),
            Fact("quick_approvals", len(quick.kept), f"approvals within {QUICK_S} seconds"),
            Fact("reviewers", len(reviewers.kept), "people who decided anything"),
            Fact(
                "top_share_per_mille",
                max((int(str(row.cells[3])) for row in reviewers.kept), default=0),
                "approvals by whoever approved most, in thousandths of all",
            ),
        )
        unknown = (
            "Two logins of one human being that nobody linked, or suspected to be one, count as two people.",
            "Whether a quick decision was a careless one: it may have been talked over before it was asked.",
        )
        tables = (approvals.table(), own.table(), pairs.table(), reviewers.table(), quick.table())
        return Found(summary, tables, unknown)

    def _pairs(self) -> Rows:
        entries: defaultdict[tuple[str, str], list[int]] = defaultdict(list)
        for case, review, _ in self._given:
            if review.verdict == "approve":
                entries[review.by, case.requester].append(review.index)
        rows = Rows(PAIRS)
        for (one, other), given in sorted(entries.items()):
            back = entries.get((other, one))
            if back and one < other:
                rows.add(one, other, len(given), len(back), entries=(*given, *back))
        return rows

    def _reviewers(self, all_approvals: int) -> Rows:
        by_person: defaultdict[str, list[tuple[Case, GivenReview]]] = defaultdict(list)
        for case, review, _ in self._given:
            by_person[review.by].append((case, review))
        rows = Rows(REVIEWERS)
        for person, given in sorted(by_person.items()):
            approved = [(case, review) for case, review in given if review.verdict == "approve"]
            waits = [(review.at - case.at) // MICROSECONDS for case, review in given]
            askers: defaultdict[str, int] = defaultdict(int)
            for case, _ in approved:
                askers[case.requester] += 1
            most = min(askers.items(), key=lambda item: (-item[1], item[0]), default=(None, 0))
            rows.add(
                person,
                len(approved),
                len(given) - len(approved),
                per_mille(len(approved), all_approvals),
                len(askers),
                *most,
                ranked(waits, 50),
                sum(wait < QUICK_S for case, review in approved for wait in ((review.at - case.at) // MICROSECONDS,)),
                entries=[review.index for _, review in given],
            )
        return rows
