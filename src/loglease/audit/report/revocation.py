"""`revocation`: how long it took until what was taken away was cut, and what became of people who left."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Final

from loglease.audit.report.asking import Asked, Beside, Logged
from loglease.audit.report.cases import Cases
from loglease.audit.report.folds import instant_of, ranked
from loglease.audit.report.tables import Fact, Form, Found, Rows, layout, require_room
from loglease.model.instant import Instant

PROMISED_MS: Final = 1_000
PARTITION_MS: Final = 3_000
CUTS: Final = layout(
    "cuts",
    "Revocations and suspensions, and how long their sessions went on",
    "grant, holder:subject, act, at:time, effective_at:time, by:subject, cause, late:truth, sessions:number, "
    "still_open:number, cut_ms:milliseconds",
)
LEAVERS: Final = layout(
    "leavers",
    "People who were disabled or locked, and what they still had",
    "subject:subject, at:time, act, by:subject, live_grants:number, grants_left:number, "
    "grants_ended_ms:milliseconds, sessions:number, cut_ms:milliseconds, sign_ins_ended:number, tokens_revoked:number, "
    "later_acts:number",
)
_LATER: Final = frozenset(
    {"request.submitted", "review.given", "session.opened", "signin.succeeded", "token.issued", "reveal.served"}
)
_OVER: Final = frozenset({"grant.ended", "grant.revoked"})


@dataclass(slots=True)
class _Cut:
    """One revocation or suspension with the sessions that were open at that moment."""

    cells: tuple[str | bool | int | None, ...]
    since: Instant
    waiting: set[str]
    sessions: int
    entries: list[int]
    worst_ms: int | None = None


@dataclass(slots=True)
class _Leaver:
    """Somebody who was disabled or locked, with what they had at that moment."""

    subject: str
    at: Instant
    act: str
    by: str
    waiting: set[str]
    grants: int
    open: set[str]
    sessions: int
    entries: list[int]
    ended_ms: int | None = None
    cut_ms: int | None = None
    sign_ins: int = 0
    tokens: int = 0
    later: int = 0
    back: bool = False


@dataclass(slots=True)
class Revocation:
    """Keeps open sessions, live grants, and one record for each act of the time."""

    asked: Asked
    beside: Beside
    _cases: Cases = field(default_factory=Cases)
    _open: dict[str, dict[str, str]] = field(default_factory=dict)
    _live: dict[str, str] = field(default_factory=dict)
    _cuts: list[_Cut] = field(default_factory=list)
    _leavers: list[_Leaver] = field(default_factory=list)
    _waiting: defaultdict[str, list[_Cut]] = field(default_factory=lambda: defaultdict(list))
    _concerned: defaultdict[str, list[_Leaver]] = field(default_factory=lambda: defaultdict(list))

    def add(self, logged: Logged) -> None:
        """Take in an entry."""
        draft, at = logged.entry.draft, logged.entry.at
        if at >= self.asked.to_at:
            return
        self._cases.add(logged)
        grant, session = draft.ref.get("grant", ""), draft.ref.get("session", "")
        for leaver in self._following(logged):
            _follow(leaver, logged)
        match draft.type:
            case "grant.scheduled":
                self._live[grant] = str(draft.data["holder"])
            case "session.opened":
                self._open.setdefault(grant, {})[session] = draft.actor
            case "session.closed":
                self._close(logged, grant, session)
            case "grant.revoked" | "grant.suspended":
                self._cut(logged, grant)
            case "principal.changed" if draft.data["change"] == "disabled":
                self._leave(logged, "disabled")
            case "principal.locked":
                self._leave(logged, "locked")
        if draft.type in _OVER:
            self._live.pop(grant, None)

    def _cut(self, logged: Logged, grant: str) -> None:
        if not self.asked.holds(logged.entry.at):
            return
        require_room(len(self._cuts))
        draft, at = logged.entry.draft, logged.entry.at
        since = instant_of(draft.data, "effective_at") or at
        sessions = set(self._open.get(grant, ()))
        cells = (
            grant,
            self._live.get(grant),
            draft.type.partition(".")[2],
            at,
            since,
            draft.actor,
            str(draft.data["cause"]),
            bool(draft.data.get("late", False)),
        )
        cut = _Cut(cells, since, sessions, len(sessions), [logged.index])
        self._cuts.append(cut)
        for session in sessions:
            self._waiting[session].append(cut)

    def _close(self, logged: Logged, grant: str, session: str) -> None:
        holders = self._open.get(grant, {})
        holders.pop(session, None)
        if not holders:
            self._open.pop(grant, None)
        for cut in self._waiting.pop(session, ()):
            cut.waiting.discard(session)
            cut.entries.append(logged.index)
            cut.worst_ms = _later(cut.worst_ms, cut.since, logged.entry.at)

    def _leave(self, logged: Logged, act: str) -> None:
        if not self.asked.holds(logged.entry.at):
            return
        require_room(len(self._leavers))
        subject = str(logged.entry.draft.data["subject"])
        grants = {grant for grant, holder in self._live.items() if holder == subject}
        sessions = {one for opened in self._open.values() for one, holder in opened.items() if holder == subject}
        leaver = _Leaver(
            subject,
            logged.entry.at,
            act,
            logged.entry.draft.actor,
            grants,
            len(grants),
            sessions,
            len(sessions),
            [logged.index],
        )
        self._leavers.append(leaver)
        for key in (subject, *grants, *sessions):
            self._concerned[key].append(leaver)

    def _following(self, logged: Logged) -> list[_Leaver]:
        """Return the leavers whom an entry may concern, each once: a search of all for each entry would not end."""
        draft = logged.entry.draft
        names = (draft.actor, draft.via, draft.data.get("subject"), draft.ref.get("grant"), draft.ref.get("session"))
        found = (one for name in names for one in self._concerned.get(str(name), ()) if not one.back)
        return list({id(one): one for one in found}.values())

    def found(self) -> Found:
        """Return how fast cuts were, and what leavers kept."""
        cuts, leavers = Rows(CUTS), Rows(LEAVERS)
        for cut in self._cuts:
            cuts.add(*cut.cells, cut.sessions, len(cut.waiting), cut.worst_ms, entries=cut.entries)
        for one in self._leavers:
            leavers.add(
                one.subject,
                one.at,
                one.act,
                one.by,
                one.grants,
                len(one.waiting),
                one.ended_ms,
                one.sessions,
                one.cut_ms,
                one.sign_ins,
                one.tokens,
                one.later,
                entries=one.entries,
            )
        times = [cut.worst_ms for cut in self._cuts if cut.worst_ms is not None]
        summary = (
            Fact("acts", len(cuts.kept), "revocations and suspensions"),
            Fact("acts_with_sessions", sum(1 for cut in self._cuts if cut.sessions), "of these with a session open"),
            *(
                Fact(f"p{percent}_ms", ranked(times, percent), f"time to cut, percentile {percent}", Form.MILLISECONDS)
                for percent in (50, 95, 99)
            ),
            Fact("worst_ms", max(times, default=None), "the longest time to cut", Form.MILLISECONDS),
            Fact("over_1_s", sum(time > PROMISED_MS for time in times), "cuts that took more than a second"),
            Fact("over_3_s", sum(time > PARTITION_MS for time in times), "cuts that took more than three seconds"),
            Fact(
                "still_open", sum(len(cut.waiting) for cut in self._cuts), "sessions not closed by the end of the time"
            ),
            Fact("leavers", len(leavers.kept), "times that somebody was disabled or locked"),
            Fact(
                "leavers_later_acts", sum(one.later for one in self._leavers), "acts of these afterwards: has to be 0"
            ),
        )
        unknown = (
            "When the last byte left: times are from when an act took effect to the record of the session's close.",
            "When somebody left the organisation: the log knows when their account was disabled or locked here.",
        )
        return Found(summary, (cuts.table(), leavers.table()), unknown)


def _later(before: int | None, since: Instant, at: Instant) -> int:
    """Return the longer of two times in milliseconds."""
    return max(before or 0, (at - since) // 1_000)


def _follow(leaver: _Leaver, logged: Logged) -> None:
    draft, at = logged.entry.draft, logged.entry.at
    about = draft.data.get("subject")
    taken = False
    if draft.type in _OVER and draft.ref["grant"] in leaver.waiting:
        leaver.waiting.discard(draft.ref["grant"])
        leaver.ended_ms, taken = _later(leaver.ended_ms, leaver.at, at), True
    elif draft.type == "session.closed" and draft.ref["session"] in leaver.open:
        leaver.open.discard(draft.ref["session"])
        leaver.cut_ms, taken = _later(leaver.cut_ms, leaver.at, at), True
    elif draft.type == "signin.ended" and draft.actor == leaver.subject:
        leaver.sign_ins, taken = leaver.sign_ins + 1, True
    elif draft.type == "token.revoked" and about == leaver.subject:
        leaver.tokens, taken = leaver.tokens + 1, True
    elif draft.type in _LATER and leaver.subject in (draft.actor, draft.via):
        leaver.later, taken = leaver.later + 1, True
    elif about == leaver.subject and (draft.type == "principal.unlocked" or draft.data.get("change") == "enabled"):
        leaver.back, taken = True, True
    if taken:
        leaver.entries.append(logged.index)
