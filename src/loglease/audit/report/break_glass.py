"""`break-glass`: the register of emergencies and of automatic grants, and who looked at them afterwards."""

from __future__ import annotations

from typing import Final

from loglease.audit.report.asking import Asked, Beside, Logged
from loglease.audit.report.cases import Case, Cases
from loglease.audit.report.folds import instant_of
from loglease.audit.report.tables import Fact, Found, Rows, layout

_OPEN: Final = "open"
REGISTER: Final = layout(
    "register",
    "Emergencies, and automatic grants that have a review afterwards",
    "grant, request, holder:subject, basis, policy, at:time, from_at:time, until_at:time, state, sources:texts, "
    "lines:number, uncertain_lines:number, review_by_at:time, afterwards, decided_at:time, reviewer:subject, "
    "late:truth",
)
VERDICTS: Final = layout(
    "verdicts", "What was said afterwards", "grant, at:time, reviewer:subject, verdict, state, by_holder:truth"
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
                verdicts.add(
                    case.grant,
                    one.at,
                    one.by,
                    one.verdict,
                    one.data["state"],
                    one.by == case.holder,
                    entries=(one.index,),
                )
        rows = register.kept
        undecided = [row for row in rows if row.cells[13] == _OPEN]
        summary = (
            Fact("emergencies", sum(row.cells[3] == "break_glass" for row in rows), "grants by break-glass"),
            Fact("automatic", sum(row.cells[3] == "auto" for row in rows), "automatic grants with a review afterwards"),
            Fact("decided", len(rows) - len(undecided), "of all these decided afterwards"),
            Fact("not_justified", sum(row.cells[13] == "not_justified" for row in rows), "found not to be justified"),
            Fact("overdue", sum(row.cells[16] is True for row in undecided), "not decided, and their time is over"),
            Fact("late", sum(row.cells[16] is True and row not in undecided for row in rows), "decided too late"),
        )
        unknown = ("What was said to justify an emergency: comments are in the log as commitments alone.",)
        return Found(summary, (register.table(), verdicts.table()), unknown)

    def _register(self, register: Rows, case: Case) -> None:
        due = instant_of(case.terms, "review_by_at")
        last = case.afterwards[-1] if case.afterwards else None
        # Several people may be needed: it is decided with the first opinion that leaves it open no more.
        decided_at = next((one.at for one in case.afterwards if one.data["state"] != _OPEN), None)
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
            _OPEN if last is None else last.data["state"],
            decided_at,
            None if last is None else last.by,
            None if due is None else (decided_at or self._asked.to_at) >= due,
            entries=case.entries,
        )


def _belongs(case: Case) -> bool:
    return case.basis == "break_glass" or "review_by_at" in case.terms
