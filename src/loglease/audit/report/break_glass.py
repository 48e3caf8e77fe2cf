"""`break-glass`: the register of emergencies and of automatic grants, and who looked at them afterwards."""

from __future__ import annotations

from typing import Final

from loglease.audit.report.asking import Asked, Beside, Logged
from loglease.audit.report.cases import Case, Cases
from loglease.audit.report.folds import instant_of
from loglease.audit.report.tables import Fact, Found, Rows, layout

REGISTER: Final = layout(
    "register",
    "Emergencies, and automatic grants that have a review afterwards",
    "grant, request, holder:subject, basis, policy, at:time, from_at:time, until_at:time, state, sources:texts, "
    "lines:number, uncertain_lines:number, review_by_at:time, verdict, reviewed_at:time, reviewer:subject, late:truth",
)
VERDICTS: Final = layout(
    "verdicts", "What was said afterwards", "grant, at:time, reviewer:subject, verdict, by_holder:truth"
)


class BreakGlassRegister:
    """Keeps one case for each request."""

    def __init__(self, asked: Asked, _beside: Beside) -> None:
        self._asked = asked
        self._cases = Cases()

    def add(self, logged: Logged) -> None:
        """Take in an entry."""
        if logged.entry.at < self._asked.to_at:
            self._cases.add(logged)

    def found(self) -> Found:
        """Return the register."""
        register, verdicts = Rows(REGISTER), Rows(VERDICTS)
        for case in self._cases:
            if case.scheduled_at is None or not self._asked.holds(case.scheduled_at) or not _belongs(case):
                continue
            self._register(register, case)
            for one in case.afterwards:
                verdicts.add(case.grant, one.at, one.by, one.verdict, one.by == case.holder, entries=(one.index,))
        rows = register.kept
        summary = (
            Fact("emergencies", sum(row.cells[3] == "break_glass" for row in rows), "grants by break-glass"),
            Fact("automatic", sum(row.cells[3] == "auto" for row in rows), "automatic grants with a review afterwards"),
            Fact("reviewed", sum(row.cells[13] is not None for row in rows), "of all these looked at afterwards"),
            Fact("not_justified", sum(row.cells[13] == "not_justified" for row in rows), "found not to be justified"),
            Fact(
                "overdue", sum(row.cells[16] is True and row.cells[13] is None for row in rows), "not looked at in time"
            ),
            Fact(
                "late", sum(row.cells[16] is True and row.cells[13] is not None for row in rows), "looked at too late"
            ),
        )
        unknown = ("What was said to justify an emergency: comments are in the log as commitments alone.",)
        return Found(summary, (register.table(), verdicts.table()), unknown)

    def _register(self, register: Rows, case: Case) -> None:
        due = instant_of(case.terms, "review_by_at")
        last = case.afterwards[-1] if case.afterwards else None
        looked_at = self._asked.to_at if not case.afterwards else case.afterwards[0].at
        register.add(
            case.grant,
            case.request,
            case.holder,
            case.basis,
            case.policy,
            case.scheduled_at,
            case.from_at,
            case.until_at,
            case.state,
            case.sources,
            case.lines,
            case.uncertain,
            due,
            None if last is None else last.verdict,
            None if last is None else last.at,
            None if last is None else last.by,
            None if due is None else looked_at > due,
            entries=case.entries,
        )


def _belongs(case: Case) -> bool:
    return case.basis == "break_glass" or "review_by_at" in case.terms
