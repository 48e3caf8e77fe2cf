"""`refusals`: refused calls by code, by caller and by day, and sign-ins that failed."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from loglease.audit.report.asking import Asked, Beside, Logged
from loglease.audit.report.folds import instant_of
from loglease.audit.report.tables import Fact, Found, Rows, layout, require_room
from loglease.model.instant import Instant, instant_text

CODES: Final = layout(
    "codes",
    "Refused calls by code and operation",
    "code, operation, calls:number, callers:number, first_at:time, last_at:time",
)
CALLERS: Final = layout(
    "callers", "Refused calls by caller", "caller:subject, calls:number, codes:texts, first_at:time, last_at:time"
)
SIGN_INS: Final = layout(
    "sign_ins", "Sign-ins that failed", "method, error, attempts:number, first_at:time, last_at:time"
)
DAYS: Final = layout("days", "By day, in UTC", "day, refused:number, failed_sign_ins:number")


@dataclass(slots=True)
class _Sum:
    """Calls that are counted together."""

    calls: int = 0
    others: set[str] = field(default_factory=set)
    first_at: Instant | None = None
    last_at: Instant | None = None
    entries: list[int] = field(default_factory=list)

    def add(self, count: int, other: str, first_at: Instant, last_at: Instant, index: int) -> None:
        self.calls += count
        self.others.add(other)
        self.first_at = first_at if self.first_at is None else min(self.first_at, first_at)
        self.last_at = last_at if self.last_at is None else max(self.last_at, last_at)
        self.entries.append(index)


class Refusals:
    """Keeps sums, and the index of each entry that is in one."""

    def __init__(self, asked: Asked, _beside: Beside) -> None:
        self._asked = asked
        self._codes: defaultdict[tuple[str, str], _Sum] = defaultdict(_Sum)
        self._callers: defaultdict[str, _Sum] = defaultdict(_Sum)
        self._sign_ins: defaultdict[tuple[str, str], _Sum] = defaultdict(_Sum)
        self._refused: Counter[str] = Counter()
        self._failed: Counter[str] = Counter()

    def add(self, logged: Logged) -> None:
        """Take in an entry."""
        if not self._asked.holds(logged.entry.at):
            return
        draft = logged.entry.draft
        if draft.type not in ("access.refused", "signin.failed"):
            return
        data: Mapping[str, Any] = draft.data
        day = instant_text(logged.entry.at)[:10]
        count = int(data["count"])
        times = (_instant(data, "first_at", logged), _instant(data, "last_at", logged))
        if draft.type == "signin.failed":
            self._sign_ins[data["method"], data["error"]].add(count, draft.actor, *times, logged.index)
            self._failed[day] += count
            return
        require_room(len(self._callers))
        self._codes[data["code"], data["operation"]].add(count, draft.actor, *times, logged.index)
        self._callers[draft.actor].add(count, data["code"], *times, logged.index)
        self._refused[day] += count

    def found(self) -> Found:
        """Return the sums, most first."""
        codes, callers, sign_ins, days = Rows(CODES), Rows(CALLERS), Rows(SIGN_INS), Rows(DAYS)
        for key, one in sorted(self._codes.items(), key=lambda item: (-item[1].calls, item[0])):
            codes.add(*key, one.calls, len(one.others), one.first_at, one.last_at, entries=one.entries)
        for caller, one in sorted(self._callers.items(), key=lambda item: (-item[1].calls, item[0])):
            callers.add(caller, one.calls, tuple(sorted(one.others)), one.first_at, one.last_at, entries=one.entries)
        for key, one in sorted(self._sign_ins.items(), key=lambda item: (-item[1].calls, item[0])):
            sign_ins.add(*key, one.calls, one.first_at, one.last_at, entries=one.entries)
        for day in sorted(self._refused.keys() | self._failed.keys()):
            days.add(day, self._refused[day], self._failed[day])
        summary = (
            Fact("refused", sum(self._refused.values()), "refused calls"),
            Fact("codes", len({code for code, _ in self._codes}), "codes that they were refused with"),
            Fact("callers", len(self._callers), "callers, of whom `system` stands for everybody who was not signed in"),
            Fact("failed_sign_ins", sum(self._failed.values()), "sign-ins that failed"),
        )
        unknown = (
            "When each call was, beyond ten a minute of one caller with one code: one entry counts them, exactly.",
            "Who failed to sign in, and from where: there is a commitment to the address, and no name that was tried.",
            "Calls that did not reach this server.",
        )
        return Found(summary, (codes.table(), callers.table(), sign_ins.table(), days.table()), unknown)


def _instant(data: Mapping[str, Any], name: str, logged: Logged) -> Instant:
    return instant_of(data, name) or logged.entry.at
