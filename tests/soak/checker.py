"""Judges a soak: holds what clients received and were told against the published audit log, and shares no code with it.

Run: ``python tests/soak/checker.py FOLDER [--covers FILE]``. It prints each violation on a line of its own and ends with
what it looked at; exit code 1 if there is any. With `--covers` it writes, for each run of lines, which grant and which
entries cover it. What must hold:

- **log**: the entries have the root that the head says, no id twice, and time does not go back;
- **covered**: each line belongs to a session on the record, of a grant that was active before and is not over yet where the
  line was recorded; that grant's labels are the line's, and it had its approval by somebody else;
- **recorded**: a batch on the record has a place for each line, before it came and before the grant's end;
- **cut**: no line comes later than the bound after an acknowledged end, or after the grant's time, and a reader that was
  slow gets no more than is under way;
- **settled**: what a session that ended well was charged is what its client has, batch by batch; of any other it is never
  less, and never more than a batch, and what was under way to a slow reader;
- **budget**: no grant was charged, or gave out, more than its limits;
- **lost**: what was acknowledged is on the record, once.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.soak.evidence import Call, Entry, read_calls, read_clocks, read_entries, read_told

BATCH_LINES = 256
BATCH_BYTES = 64 * 1024
CUT_S = 3.0
"""The bound under a partition; servers are cut off from their database all the time here."""
RESIDUE = 32 * 1024
"""16 KiB under way, and what the reader's own kernel held."""
RECORDED = {
    "request": (("request.submitted",), "request"),
    "review": (("review.given",), "review"),
    "grant": (("grant.scheduled",), "grant"),
    "activated": (("grant.activated",), "grant"),
    "revoked": (("grant.revoked",), "grant"),
    "returned": (("grant.ended",), "grant"),
    "locked": (("lock.added", "principal.locked"), "lock"),
    "lifted": (("lock.lifted", "principal.unlocked"), "lock"),
}
"""With which entry what was acknowledged is on the record, and by whose id."""
ONCE = {
    "request.submitted": "req_",
    "grant.scheduled": "grt_",
    "grant.activated": "grt_",
    "grant.revoked": "grt_",
    "grant.ended": "grt_",
    "session.opened": "ses_",
    "session.closed": "ses_",
}
"""Entries that an object has once at most, by how the name of that object begins."""


@dataclass
class Session:
    """One session as the log has it."""

    grant: str
    opened: Entry
    start_ns: str = ""
    batches: list[Entry] = field(default_factory=list)
    closed: Entry | None = None

    def charged(self, unit: str) -> int:
        """Return what was charged for it: settled for good, or uncertain for ever, or as reserved so far."""
        if self.closed is not None:
            return int(self.closed.data["total"][unit]) + int(self.closed.data["uncertain"][unit])
        return max((one.data["total"][unit] + one.data["reserved"][unit] for one in self.batches), default=0)

    def slots(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """Yield what each batch settled, with the number of lines before it."""
        before = 0
        for one in (*self.batches, *filter(None, [self.closed])):
            if (settled := one.data.get("settled")) is not None:
                yield before, settled
                before += settled["lines"]


@dataclass
class Grant:
    """One grant as the log has it."""

    request: str
    scheduled: Entry
    activated: Entry | None = None
    end: Entry | None = None
    sessions: list[Session] = field(default_factory=list)

    @property
    def labels(self) -> dict[str, str]:
        """The values that its scopes name."""
        tests = [test for scope in self.scheduled.data["scopes"] for test in scope["selector"]]
        return {test["label"]: test["value"] for test in tests if test["op"] == "eq" and "value" in test}


class Log:
    """The log, by what the judge asks of it."""

    def __init__(self, entries: list[Entry]) -> None:
        self.entries = entries
        self.grants: dict[str, Grant] = {}
        self.sessions: dict[str, Session] = {}
        self.counted: Counter[tuple[str, str]] = Counter()
        self.reviews: dict[str, list[Entry]] = defaultdict(list)
        self.submitted: dict[str, Entry] = {}
        for one in entries:
            for name in ("request", "grant", "review", "lock", "session"):
                if name in one.ref:
                    self.counted[one.type, one.ref[name]] += 1
            self._take(one)
        self.by_start = {(one.grant, one.start_ns): one for one in self.sessions.values() if one.start_ns}

    def _take(self, one: Entry) -> None:
        match one.type:
            case "request.submitted":
                self.submitted[one.ref["request"]] = one
            case "review.given":
                self.reviews[one.ref["request"]].append(one)
            case "grant.scheduled":
                self.grants[one.ref["grant"]] = Grant(one.ref["request"], one)
            case "session.opened":
                session = self.sessions[one.ref["session"]] = Session(one.ref["grant"], one)
                if one.ref["grant"] in self.grants:
                    self.grants[one.ref["grant"]].sessions.append(session)
            case _ if (grant := self.grants.get(one.ref.get("grant", ""))) is not None:
                self._take_of_grant(one, grant, self.sessions.get(one.ref.get("session", "")))

    @staticmethod
    def _take_of_grant(one: Entry, grant: Grant, session: Session | None) -> None:
        if one.type == "grant.activated":
            grant.activated = one
        elif one.type in ("grant.revoked", "grant.ended"):
            grant.end = one
        elif session is not None and one.type == "query.recorded":
            session.start_ns = one.data.get("start_ns", "")
        elif session is not None and one.type == "batch.served":
            session.batches.append(one)
        elif session is not None and one.type == "session.closed":
            session.closed = one


class Judge:
    """Finds what must not be."""

    def __init__(
        self,
        entries: list[Entry],
        told: list[dict[str, Any]],
        calls: list[Call],
        clocks: list[dict[str, float]],
    ) -> None:
        self.clocks = clocks
        self.log = Log(entries)
        self.told = told
        self.calls = calls
        self.violations: list[str] = []
        self.covers: list[dict[str, Any]] = []
        self.lines = 0
        self.slots = 0

    def _say(self, rule: str, text: str) -> None:
        self.violations.append(f"{rule}: {text}")

    def judge(self) -> list[str]:
        """Return all violations."""
        self._entries()
        for call in self.calls:
            if call.lines:
                self._call(call)
        self._budgets()
        self._effects()
        return self.violations

    def _entries(self) -> None:
        seen: set[str] = set()
        before = ""
        for number, one in enumerate(self.log.entries):
            if one.id in seen:
                self._say("log", f"entry {number} has the id {one.id} a second time")
            if one.at < before:
                self._say("log", f"entry {number} is of {one.at}, after {before}")
            seen.add(one.id)
            before = one.at

    def _call(self, call: Call) -> None:
        self.lines += len(call.lines)
        grant = self.log.grants.get(call.grant)
        session = self.log.by_start.get((call.grant, call.start_ns))
        if grant is None or session is None:
            self._say("covered", f"{call.name}: {len(call.lines)} lines of {call.grant}, and no session on the record")
            return
        self._approved(call, grant)
        self._scope(call, grant)
        self._recorded(call, grant, session)
        self._cut(call)
        self._settled(call, session)

    def _approved(self, call: Call, grant: Grant) -> None:
        scheduled, submitted = grant.scheduled, self.log.submitted.get(grant.request)
        if submitted is None:
            self._say("covered", f"{call.name}: {call.grant} has no request on the record")
            return
        given = [
            one
            for one in self.log.reviews[grant.request]
            if one.data["verdict"] == "approve"
            and submitted.index < one.index < scheduled.index
            and one.actor not in (submitted.actor, scheduled.data["holder"])
            and one.data["digest_sha256"] == submitted.data["digest_sha256"] == scheduled.data["digest_sha256"]
        ]
        if not given:
            self._say("covered", f"{call.name}: {call.grant} has no approval by somebody else of what was asked for")

    def _scope(self, call: Call, grant: Grant) -> None:
        wanted = grant.labels
        for number, line in enumerate(call.lines):
            if line.whole and any(line.labels.get(label) != value for label, value in wanted.items()):
                self._say("covered", f"{call.name}: line {number + 1} is of {line.labels}, the grant of {wanted}")
                return

    def _recorded(self, call: Call, grant: Grant, session: Session) -> None:
        if grant.activated is None or grant.activated.index > session.opened.index:
            self._say("covered", f"{call.name}: {call.grant} was not active when the session was opened")
            return
        if grant.end is not None and session.opened.index > grant.end.index:
            self._say("covered", f"{call.name}: the session was opened after the end of {call.grant}")
        covered = 0
        if (numbers := [one.data["seq"] for one in session.batches]) != list(range(1, len(numbers) + 1)):
            self._say("recorded", f"{call.name}: its batches on the record have the numbers {numbers}")
        for batch in session.batches:
            ceiling = batch.data["total"]["lines"] + batch.data["reserved"]["lines"]
            if grant.end is not None and batch.index > grant.end.index and batch.data["reserved"]["lines"]:
                self._say("recorded", f"{call.name}: entry {batch.index} reserves after the end of {call.grant}")
                continue
            reserved = batch.data["reserved"]
            if reserved["lines"] > BATCH_LINES or (reserved["bytes"] > BATCH_BYTES and reserved["lines"] > 1):
                self._say("recorded", f"{call.name}: entry {batch.index} reserves {reserved}")
            if ceiling > covered and covered < len(call.lines):
                last = min(ceiling, len(call.lines))
                if call.true_time(call.lines[covered].at) + self._ahead(call.lines[covered].at) < batch.seconds:
                    self._say(
                        "recorded", f"{call.name}: line {covered + 1} came before entry {batch.index} was recorded"
                    )
                cover = {"call": call.name, "from": covered + 1, "to": last, "grant": call.grant}
                entries = {"session": session.opened.index, "activated": grant.activated.index, "batch": batch.index}
                self.covers.append({**cover, **entries})
            covered = max(covered, ceiling)
        if len(call.lines) > covered:
            self._say("recorded", f"{call.name}: {len(call.lines)} lines came, {covered} were recorded")

    def _ahead(self, at: float) -> float:
        """Return by how much the log's time may be ahead, since a clock was; it never goes back."""
        return max((one["ahead_s"] for one in self.clocks if one["at"] <= at), default=0.0)

    def _cut(self, call: Call) -> None:
        for began, over in self._locked(call):
            late = [size for at, size in call.arrivals if began < at < over]
            if late and call.prompt:
                self._say("cut", f"{call.name}: {sum(late)} bytes came up to {over - began:.3f} s after a lock's bound")
        latest = self._latest(call.grant)
        if latest is None:
            return
        late = [size for at, size in call.arrivals if at > latest]
        if late and call.prompt:
            self._say("cut", f"{call.name}: {sum(late)} bytes came up to {call.last_at - latest:.3f} s after the bound")
        elif sum(late) > RESIDUE:
            self._say("cut", f"{call.name}: its slow reader got {sum(late)} bytes after the bound")

    def _latest(self, grant: str) -> float | None:
        """Return when the last byte of a grant may come: the bound after its acknowledged end, or after its time."""
        ends = []
        for one in self.told:
            if one.get("grant") != grant:
                continue
            if one["what"] in ("revoked", "returned"):
                ends.append(float(one["at"]))
            elif one["what"] == "activated":
                ends.append(float(one["at"]) + float(one["duration_s"]))
        return min(ends) + CUT_S if ends else None

    def _locked(self, call: Call) -> Iterator[tuple[float, float]]:
        """Yield from when until when nothing may come, since its reader or the source is locked."""
        lifted = {one["lock"]: float(one["began"]) for one in self.told if one["what"] == "lifted"}
        for one in self.told:
            if one["what"] == "locked" and one["on"] in (f"person:{call.who}", f"source:{call.source}"):
                yield float(one["at"]) + CUT_S, lifted.get(one["lock"], float("inf"))

    def _settled(self, call: Call, session: Session) -> None:
        closed, got = session.closed, len(call.lines)
        if closed is None:
            self._say("settled", f"{call.name}: its session was never closed")
            return
        charged = session.charged("lines")
        if call.whole and closed.data["why"] != "crash":
            exact = (closed.data["total"]["lines"], closed.data["uncertain"]["lines"])
            if exact != (got, 0):
                self._say("settled", f"{call.name}: {got} lines came in a whole answer, {exact} were charged")
            if call.told_lines is not None and call.told_lines != got:
                self._say("settled", f"{call.name}: {got} lines came, its end record says {call.told_lines}")
        elif not 0 <= charged - got <= BATCH_LINES + self._under_way(call):
            self._say("settled", f"{call.name}: {got} lines came, {charged} were charged")
        self._slots(call, session)

    @staticmethod
    def _under_way(call: Call) -> int:
        """Return how many lines that were handed over a slow reader may not have got before it left."""
        sizes = [one.size for one in call.lines if one.whole]
        return 0 if call.prompt or not sizes else RESIDUE * len(sizes) // sum(sizes)

    def _slots(self, call: Call, session: Session) -> None:
        """Hold what each batch says of its lines against those that came, where all of them came whole."""
        for before, settled in session.slots():
            lines = call.lines[before : before + settled["lines"]]
            if settled["unit"] != "line" or len(lines) < settled["lines"] or not all(one.whole for one in lines):
                continue
            if lines:
                self.slots += 1
                times = [one.ts_ns for one in lines]
                said = (int(settled["first_ns"]), int(settled["last_ns"]), settled["bytes"])
                if said != (found := (min(times), max(times), sum(one.size for one in lines))):
                    self._say("settled", f"{call.name}: the batch behind line {before} says {said}, came {found}")

    def _budgets(self) -> None:
        received: Counter[str] = Counter()
        for call in self.calls:
            received[call.grant] += len(call.lines)
        for name, grant in self.log.grants.items():
            limits = grant.scheduled.data["limits"]
            for unit in ("lines", "bytes"):
                charged = sum(one.charged(unit) for one in grant.sessions)
                if unit in limits and charged > limits[unit]:
                    self._say("budget", f"{name}: {charged} {unit} were charged, {limits[unit]} were granted")
            if received[name] > limits.get("lines", received[name]):
                self._say("budget", f"{name}: {received[name]} lines came, {limits['lines']} were granted")
            if len(grant.sessions) > limits.get("queries", len(grant.sessions)):
                self._say("budget", f"{name}: {len(grant.sessions)} sessions, {limits['queries']} were granted")

    def _effects(self) -> None:
        for one in self.told:
            types, key = RECORDED[one["what"]]
            count = sum(self.log.counted[name, one[key]] for name in types)
            if count != 1:
                self._say("lost", f"{one['what']} {one[key]} was acknowledged and is {count} times on the record")
            elif one["what"] == "request" and self.log.submitted[one["request"]].data["digest_sha256"] != one["digest"]:
                self._say("lost", f"{one['request']} is not on the record with the digest that was acknowledged")
        for (entry_type, name), count in self.log.counted.items():
            if count > 1 and ONCE.get(entry_type) == name[:4]:
                self._say("lost", f"{entry_type} of {name} is {count} times on the record")


def judged(folder: Path) -> Judge:
    """Judge the evidence of a folder."""
    entries, wrong = read_entries(folder / "log")
    clocks = read_clocks(folder / "clocks.ndjson")
    judge = Judge(entries, read_told(folder / "told.ndjson"), read_calls(folder / "received"), clocks)
    judge.judge()
    judge.violations[:0] = wrong
    return judge


def main() -> int:
    """Judge and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--covers", type=Path, help="where to write what covers each line")
    arguments = parser.parse_args()
    judge = judged(arguments.folder)
    if arguments.covers is not None:
        arguments.covers.write_text("".join(f"{json.dumps(one)}\n" for one in judge.covers))
    for one in judge.violations:
        print(one)
    found = Counter(one.partition(":")[0] for one in judge.violations)
    told = dict(Counter(one["what"] for one in judge.told))
    print(
        f"{len(judge.log.entries)} entries, {len(judge.calls)} calls, {judge.lines} lines, {judge.slots} batches line by line, told {told}; "
        f"{len(judge.violations)} violations {dict(found) if found else ''}"
    )
    return 1 if judge.violations else 0


if __name__ == "__main__":
    sys.exit(main())
