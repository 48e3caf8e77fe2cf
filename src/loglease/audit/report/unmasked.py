"""`unmasked`: grants with the profile `raw`, and single values that were revealed."""

from __future__ import annotations

from typing import Any, Final

from loglease.audit.report.asking import Asked, Beside, Logged
from loglease.audit.report.cases import Case, Cases
from loglease.audit.report.tables import Fact, Found, Rows, layout, require_room
from loglease.model.instant import Instant

RAW_GRANTS: Final = layout(
    "raw_grants",
    "Grants with the profile raw",
    "grant, request, holder:subject, basis, approvers:subjects, policy, at:time, state, sources:texts, profiles:texts, "
    "sessions:number, lines:number, bytes:number, uncertain_lines:number",
)
REVEALS: Final = layout(
    "reveals",
    "Values that were revealed",
    "grant, at:time, holder:subject, approvers:subjects, class, rule, under_grant, policy",
)


class Unmasked:
    """Keeps one case for each request, and each reveal."""

    def __init__(self, asked: Asked, _beside: Beside) -> None:
        self._asked = asked
        self._cases = Cases()
        self._reveals: list[tuple[int, Instant, Case | None, dict[str, Any]]] = []

    def add(self, logged: Logged) -> None:
        """Take in an entry."""
        if logged.entry.at >= self._asked.to_at:
            return
        case = self._cases.add(logged)
        draft = logged.entry.draft
        if draft.type == "reveal.served" and self._asked.holds(logged.entry.at):
            require_room(len(self._reveals))
            said = {**draft.data, "grant": draft.ref["grant"], "actor": draft.actor}
            self._reveals.append((logged.index, logged.entry.at, case, said))

    def found(self) -> Found:
        """Return both tables."""
        raw, reveals = Rows(RAW_GRANTS), Rows(REVEALS)
        for case in self._cases:
            if case.scheduled_at is not None and case.is_raw and self._asked.holds(case.scheduled_at):
                raw.add(
                    case.grant,
                    case.request,
                    case.holder,
                    case.basis,
                    case.approvers,
                    case.policy,
                    case.scheduled_at,
                    case.state,
                    case.sources,
                    case.profiles,
                    case.sessions,
                    case.lines,
                    case.size,
                    case.uncertain,
                    entries=case.entries,
                )
        for index, at, of, said in self._reveals:
            under = None if of is None else of.terms.get("reveal", {}).get("grant")
            reveals.add(
                said["grant"],
                at,
                said["actor"],
                () if of is None else of.approvers,
                said["class"],
                said["rule"],
                under,
                None if of is None else of.policy,
                entries=(index, *(() if of is None else of.entries)),
            )
        lines = sum(int(str(row.cells[11])) for row in raw.kept)
        summary = (
            Fact("raw_grants", len(raw.kept), "grants with the profile raw"),
            Fact("raw_used", sum(bool(row.cells[11]) for row in raw.kept), "of these under which something was read"),
            Fact("raw_lines", lines, "lines, samples and names that were read under them"),
            Fact("reveals", len(reveals.kept), "single values that were revealed"),
        )
        unknown = (
            "Which values were revealed: an entry has their class and a commitment to the line, never the value.",
            "Personal data that no rule masked: it was readable under other profiles, too.",
        )
        return Found(summary, (raw.table(), reveals.table()), unknown)
