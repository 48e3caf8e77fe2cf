"""`elevations`: debug levels that were raised, and whether each went back to what it was."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from loglease.audit.report.asking import Asked, Beside, Logged
from loglease.audit.report.folds import instant_of
from loglease.audit.report.tables import Fact, Found, Rows, layout, require_room
from loglease.model.instant import Instant

ELEVATIONS: Final = layout(
    "elevations",
    "Elevations that began",
    "elevation, grant, by:subject, target, logger, driver, baseline, raised_to, began_at:time, raised_at:time, "
    "until_at:time, ended_at:time, state, overdue:truth, back_to_baseline:truth, ambiguous:truth, lines:number, error",
)
FINDINGS: Final = layout(
    "findings", "Levels that differ from what they should be", "finding, at:time, act, target, logger, kind, level"
)
TARGETS: Final = layout("targets", "Targets and agents", "at:time, type, name, by:subject, approved_by:subject, error")
EXPOSED: Final = layout(
    "exposed", "Lines written while a level was raised", "target, logger, lines:number, counts:number"
)
_LAST: Final = frozenset({"reverted", "failed"})


@dataclass(slots=True)
class _Raised:
    """One elevation as it was told last."""

    id: str
    grant: str
    by: str
    began_at: Instant
    first: Mapping[str, Any]
    last: Mapping[str, Any]
    state: str = "pending"
    raised_at: Instant | None = None
    raised_to: str | None = None
    ended_at: Instant | None = None
    overdue: bool = False
    entries: list[int] = field(default_factory=list)


class Elevations:
    """Keeps one record for each elevation."""

    def __init__(self, asked: Asked, _beside: Beside) -> None:
        self._asked = asked
        self._raised: dict[str, _Raised] = {}
        self._findings = Rows(FINDINGS)
        self._targets = Rows(TARGETS)
        self._exposed: dict[tuple[str, str], list[int]] = {}
        self._exposed_in: dict[tuple[str, str], list[int]] = {}

    def add(self, logged: Logged) -> None:
        """Take in an entry."""
        draft, at = logged.entry.draft, logged.entry.at
        if at >= self._asked.to_at:
            return
        area, _, act = draft.type.partition(".")
        data: Mapping[str, Any] = draft.data
        if area == "elevation":
            self._follow(logged, act)
        if not self._asked.holds(at):
            return
        if area == "finding":
            self._findings.add(
                data["finding"],
                at,
                act,
                data["target"],
                data["logger"],
                data["kind"],
                data["level"],
                entries=(logged.index,),
            )
        elif area in ("target", "elevation_agent"):
            name = data.get("target", data.get("agent"))
            self._targets.add(
                at, draft.type, name, draft.actor, data.get("approved_by"), data.get("error"), entries=(logged.index,)
            )
        elif draft.type == "exposure.counted":
            place = (str(data["target"]), str(data["logger"]))
            self._exposed.setdefault(place, []).append(int(data["lines"]))
            self._exposed_in.setdefault(place, []).append(logged.index)

    def _follow(self, logged: Logged, act: str) -> None:
        draft, at = logged.entry.draft, logged.entry.at
        data: Mapping[str, Any] = draft.data
        name = draft.ref["elevation"]
        kept = self._raised.get(name)
        if kept is None:
            require_room(len(self._raised))
            kept = self._raised[name] = _Raised(name, draft.ref["grant"], draft.actor, at, data, data)
        kept.entries.append(logged.index)
        kept.last = data
        if act == "overdue":
            kept.overdue = True
            return
        kept.state = act
        if act == "raised":
            kept.raised_at = kept.raised_at or at
            kept.raised_to = data.get("after")
        if act in _LAST:
            kept.ended_at = at

    def found(self) -> Found:
        """Return what was raised, and how it ended."""
        rows, exposed = Rows(ELEVATIONS), Rows(EXPOSED)
        for one in self._raised.values():
            if self._asked.holds(one.began_at):
                rows.add(*self._cells(one), entries=one.entries)
        for place, counts in sorted(self._exposed.items()):
            exposed.add(*place, sum(counts), len(counts), entries=self._exposed_in[place])
        states = [row.cells[12] for row in rows.kept]
        summary = (
            Fact("elevations", len(rows.kept), "elevations that began"),
            Fact("raised", sum(row.cells[9] is not None for row in rows.kept), "of these raised a level"),
            Fact("reverted", states.count("reverted"), "went back by the end of the time"),
            Fact("failed", states.count("failed"), "failed"),
            Fact("unfinished", sum(state not in _LAST for state in states), "neither, by the end of the time"),
            Fact("overdue", sum(row.cells[13] is True for row in rows.kept), "were raised longer than they should"),
            Fact("findings", len(self._findings.kept), "entries about levels that differed"),
        )
        unknown = ("Levels that somebody changed outside of LogLease, on targets that were not looked at since.",)
        return Found(summary, (rows.table(), self._findings.table(), self._targets.table(), exposed.table()), unknown)

    def _cells(self, one: _Raised) -> tuple[Any, ...]:
        first, last = one.first, one.last
        until = instant_of(last, "until_at")
        still = one.ended_at is None and one.raised_at is not None and until is not None and until < self._asked.to_at
        late = one.ended_at is not None and one.raised_at is not None and until is not None and until < one.ended_at
        back = None if one.state != "reverted" else last.get("after") == first["baseline"]
        return (
            one.id,
            one.grant,
            one.by,
            first["target"],
            first["logger"],
            first["driver"],
            first["baseline"],
            one.raised_to,
            one.began_at,
            one.raised_at,
            until,
            one.ended_at,
            one.state,
            one.overdue or still or late,
            back,
            bool(last["ambiguous"]),
            last.get("lines"),
            last.get("error"),
        )
