"""`integrity`: whether the log is whole, and what was done to it: gaps, clocks, keys, sinks, retention, holds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any, Final

from loglease.audit.entry import Entry
from loglease.audit.report.asking import Asked, Beside, Logged
from loglease.audit.report.completeness import Completeness
from loglease.audit.report.folds import instant_of
from loglease.audit.report.tables import Fact, Form, Found, Rows, layout
from loglease.audit.semantic import RULES, BreachKind, Inputs, Report, Verifier
from loglease.model.instant import MICROSECONDS, Instant

CHECKS: Final = layout("checks", "What was checked of the whole log", "check, result, detail")
RULES_KEPT: Final = layout(
    "rules", "The semantic rules, over the whole log", "rule, result, violations:number, findings:number, holds"
)
BREACHES: Final = layout("breaches", "Where a rule does not hold, or somebody should look", "rule, kind, what")
GAPS: Final = layout(
    "gaps",
    "Starts, and the time before them in which nothing was recorded",
    "at:time, replica, version, after, silent_s:seconds, epoch:number",
)
OUTAGES: Final = layout(
    "outages",
    "Times in which nothing could be recorded",
    "at:time, replica, from_at:time, until_at:time, refused:number, late:number",
)
CLOCKS: Final = layout("clocks", "Clocks that were in doubt", "at:time, act, replica, skew_ms:milliseconds, check")
KEYS: Final = layout("keys", "Keys", "at:time, use, old_id, new_id, by:subject, overlap_until_at:time")
ACTS: Final = layout(
    "acts", "What was done to the log, or with it", "at:time, type, by:subject, approved_by:subject, detail"
)
HOLDS: Final = layout(
    "holds", "Holds, by the end of the time", "hold, state, from_at:time, to_at:time, at:time, by:subject"
)
SINKS: Final = layout(
    "sinks",
    "Who keeps signed heads outside, as of when the report was made",
    "sink, kind, required:truth, size:number, behind:number, waits_since_at:time",
)
_ACTS: Final = frozenset(
    {
        "log.exported",
        "log.disclosed",
        "log.pruned",
        "log.restored",
        "subject.erased",
        "tamper.found",
        "report.made",
        "report.signed",
    }
)
_MOST_NAMED: Final = 5


class Integrity:
    """Reads every entry of the log, and keeps what belongs to the time."""

    def __init__(self, asked: Asked, beside: Beside) -> None:
        self._asked = asked
        self._beside = beside
        self._proof = Completeness(asked, beside)
        self._broken: list[tuple[int, str]] = []
        self._earlier: list[int] = []
        self._tampered = 0
        self._last_at: Instant | None = None
        self._rows = {one.name: Rows(one) for one in (GAPS, OUTAGES, CLOCKS, KEYS, ACTS)}
        self._rules = Verifier(Inputs(origin=beside.origin or None, retain_s=beside.retain_s))
        self._rules_end: tuple[int, int] | None = None
        self._holds: dict[str, tuple[Any, ...]] = {}
        self._held: dict[str, list[int]] = {}

    def add(self, logged: Logged) -> None:
        """Take in an entry."""
        self._proof.add(logged)
        self._rules_take(logged.index, logged.entry)
        draft, at = logged.entry.draft, logged.entry.at
        if self._last_at is not None and at < self._last_at:
            self._earlier.append(logged.index)
        before, self._last_at = self._last_at, at
        if draft.type == "hold.changed" and at < self._asked.to_at:
            data: Mapping[str, Any] = draft.data
            kept = (data["state"], instant_of(data, "from_at"), instant_of(data, "to_at"), at, draft.actor)
            self._holds[str(data["hold"])] = kept
            self._held.setdefault(str(data["hold"]), []).append(logged.index)
        if self._asked.holds(at):
            self._note(logged, before)

    def add_broken(self, index: int, content: bytes, leaf: bytes | None, why: str) -> None:
        """Take in an entry that cannot be read."""
        self._proof.take(index, content, leaf)
        self._rules_take(index, content)
        self._broken.append((index, why))

    def _rules_take(self, index: int, entry: Entry | bytes) -> None:
        """Hold an entry against the rules; behind a gap they could not tell what is missing from what is wrong."""
        if self._proof.gaps:
            self._rules_end = self._rules_end or self._proof.gaps[0]
            return
        self._rules.take(index, entry)

    def _note(self, logged: Logged, before: Instant | None) -> None:
        draft, at = logged.entry.draft, logged.entry.at
        data: Mapping[str, Any] = draft.data
        entries = (logged.index,)
        match draft.type:
            case "service.started":
                silent = 0 if before is None else (at - before) // MICROSECONDS
                started = (at, data["replica"], data["version"], data["after"], silent, data["epoch"])
                self._rows["gaps"].add(*started, entries=entries)
            case "audit.resumed":
                times = (instant_of(data, "from_at"), instant_of(data, "until_at"))
                self._rows["outages"].add(at, data["replica"], *times, data["refused"], data["late"], entries=entries)
            case "clock.suspect" | "clock.trusted":
                act = draft.type.partition(".")[2]
                self._rows["clocks"].add(at, act, data["replica"], data["skew_ms"], data.get("check"), entries=entries)
            case "key.rotated":
                until = instant_of(data, "overlap_until_at")
                rotated = (at, data["use"], data["old_id"], data["new_id"], draft.actor, until)
                self._rows["keys"].add(*rotated, entries=entries)
            case name if name in _ACTS:
                words = _words(data, draft.ref)
                self._rows["acts"].add(at, name, draft.actor, data.get("approved_by"), words, entries=entries)
                self._tampered += name == "tamper.found"

    def found(self) -> Found:
        """Return the checks first."""
        checks, holds, sinks = Rows(CHECKS), Rows(HOLDS), Rows(SINKS)
        for name, bad, detail in self._checks():
            checks.add(name, "not checked" if bad is None else "fails" if bad else "holds", detail)
        for name, hold in sorted(self._holds.items()):
            holds.add(name, *hold, entries=self._held[name])
        for sink in self._beside.sinks:
            kept_size = max(0, sink.size)
            behind = max(0, self._beside.size - kept_size)
            sinks.add(sink.name, sink.kind, sink.required, kept_size, behind, sink.waits_since)
        retain = self._beside.retain_s
        kept = self._rules.finish()
        rules, breaches = _kept(kept)
        summary = (
            Fact("failing", sum(row.cells[1] == "fails" for row in checks.kept), "checks that fail: has to be 0"),
            Fact("rules", len(rules.kept), "semantic rules that were held against every entry"),
            Fact("rules_broken", len(kept.broken), "of these broken: has to be 0"),
            Fact("findings", kept.count(BreachKind.FINDING), "places where somebody should look"),
            *self._proof.facts(),
            Fact("min_index", self._beside.first, "the lowest index that was not pruned"),
            Fact("retain_s", retain, "how long entries have to stay; nothing here means for ever", Form.SECONDS),
            Fact("crashes", sum(row.cells[3] == "crash" for row in self._rows["gaps"].kept), "starts after a crash"),
            Fact("outages", len(self._rows["outages"].kept), "times in which nothing could be recorded"),
            Fact("tamper_found", self._tampered, "times that tampering was found: has to be 0"),
            Fact("holds", sum(hold[0] == "set" for hold in self._holds.values()), "holds that are set"),
        )
        tables = (
            checks.table(),
            rules.table(),
            breaches.table(),
            *(rows.table() for rows in self._rows.values()),
            holds.table(),
            sinks.table(),
        )
        return Found(summary, (*tables, self._proof.table()), self._unknown())

    def _checks(self) -> tuple[tuple[str, bool | None, str], ...]:
        """Return each check with whether it fails; None where it was not made."""
        proof, head = self._proof, self._beside.head
        holds = proof.root_holds
        read = f"{proof.read} entries from index {self._beside.first} on"
        return (
            (
                "every index is there",
                not proof.is_dense,
                _named("missing before", [after for _, after in proof.gaps]) or read,
            ),
            (
                "every entry has its form",
                bool(self._broken),
                _named("broken", [one for one, _ in self._broken]) or read,
            ),
            ("every entry hashes to its leaf", bool(proof.unlike), _named("other hash", proof.unlike) or read),
            ("time never goes back", bool(self._earlier), _named("earlier than the one before", self._earlier) or read),
            (
                "the entries have the root of the signed checkpoint",
                None if holds is None else not holds,
                "no checkpoint, or entries were pruned" if head is None or holds is None else f"size {head.size}",
            ),
        )

    def _unknown(self) -> tuple[str, ...]:
        found = [
            "Whether history was rewritten as a whole: `loglease audit verify` tells, with a head kept elsewhere.",
            *self._proof.doubts(),
        ]
        if self._rules_end is not None:
            found.append(f"Whether rules hold from entry {self._rules_end[0]} on, which is not there.")
        if not self._beside.sinks:
            found.append("Whether somebody outside keeps signed heads: no sink is configured here.")
        return tuple(found)


def _kept(report: Report) -> tuple[Rows, Rows]:
    """Return each rule with how it stands, and each place where one does not hold."""
    rules, breaches = Rows(RULES_KEPT), Rows(BREACHES)
    counts = Counter((one.rule, one.kind) for one in report.breaches)
    counts.update(report.not_kept)
    partly = {one.rule: one.text for one in report.unchecked}
    for rule in RULES:
        broken = counts[rule.name, BreachKind.VIOLATION]
        held = f"holds but for {partly[rule.name]}" if rule.name in partly else "holds"
        result = "broken" if broken else held
        rules.add(rule.name, result, broken, counts[rule.name, BreachKind.FINDING], rule.holds)
    for one in report.breaches:
        breaches.add(one.rule, str(one.kind), one.text, entries=one.entries)
    return rules, breaches


def _named(what: str, indices: list[int]) -> str:
    """Name the first few indices; empty where there are none."""
    if not indices:
        return ""
    more = f" and {len(indices) - _MOST_NAMED} more" if len(indices) > _MOST_NAMED else ""
    return f"{what}: {', '.join(map(str, indices[:_MOST_NAMED]))}{more}"


def _words(data: Mapping[str, Any], ref: Mapping[str, str]) -> str:
    """Return the plain facts of an entry in one line; commitments say nothing to anybody."""
    shown = [f"{name} {value}" for name, value in ref.items()]
    shown += [f"{name} {value}" for name, value in data.items() if not name.endswith("_c") and name != "approved_by"]
    return ", ".join(shown)
