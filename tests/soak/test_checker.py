"""The judge of soaks finds each kind of violation where it is planted once, and nothing in what is right."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from tests.soak.checker import judged

DIGEST = "d" * 64
SCOPE = {"source": "files", "selector": [{"label": "service", "op": "eq", "value": "shop"}], "live": True}


def record(number: int, service: str = "shop") -> dict[str, Any]:
    return {"type": "line", "ts": str(1_000 + number), "labels": {"service": service}, "line": f"line {number}"}


def encoded(found: dict[str, Any]) -> bytes:
    return json.dumps(found).encode() + b"\n"


@dataclass
class Evidence:
    """What an honest server would leave: one grant of 50 lines, read by one call of three lines in two batches."""

    entries: list[dict[str, Any]] = field(default_factory=list)
    told: list[dict[str, Any]] = field(default_factory=list)
    records: list[dict[str, Any]] = field(default_factory=lambda: [record(number) for number in range(3)])
    asked: dict[str, Any] = field(default_factory=dict)
    ends_well: bool = True
    at: list[float] = field(default_factory=lambda: [10.0, 11.0, 12.0, 13.0])
    told_lines: int = 3
    damaged: bool = False

    def __post_init__(self) -> None:
        sizes = [len(encoded(one)) for one in self.records]
        first, second = (self._settled(0, 2, sum(sizes[:2])), self._settled(2, 1, sizes[2]))
        of = {"request": "req_1", "grant": "grt_1"}
        session = {**of, "session": "ses_1"}
        self.add("request.submitted", {"request": "req_1"}, digest_sha256=DIGEST)
        self.add(
            "review.given", {"request": "req_1", "review": "rev_1"}, "bob", verdict="approve", digest_sha256=DIGEST
        )
        terms = {"scopes": [SCOPE], "limits": {"lines": 50}, "holder": "alice", "digest_sha256": DIGEST}
        self.add("grant.scheduled", of, "system", **terms)
        self.add("grant.activated", of)
        self.add("session.opened", session)
        self.add("query.recorded", session, start_ns="77")
        self.add("batch.served", session, seq=1, total=count(0), reserved=count(2))
        counted = count(2, sum(sizes[:2]))
        self.add("batch.served", session, seq=2, total=counted, reserved=count(1), settled=first)
        self.add(
            "session.closed", session, why="complete", total=count(3, sum(sizes)), uncertain=count(0), settled=second
        )
        self.add("grant.revoked", of, "bob")
        self.add("principal.locked", {"lock": "lck_1"}, "bob")
        self.add("principal.unlocked", {"lock": "lck_1"}, "bob")
        self.told = [
            {"at": 1.0, "what": "request", "request": "req_1", "digest": DIGEST},
            {"at": 2.0, "what": "review", "review": "rev_1", "request": "req_1"},
            {"at": 3.0, "what": "grant", "grant": "grt_1", "request": "req_1"},
            {"at": 4.0, "what": "activated", "grant": "grt_1", "duration_s": 60},
            {"at": 13.0, "what": "revoked", "grant": "grt_1"},
            {"at": 20.0, "what": "locked", "lock": "lck_1", "on": "person:alice"},
            {"at": 30.0, "what": "lifted", "lock": "lck_1", "began": 29.0},
        ]
        self.asked = {"grant": "grt_1", "start_ns": "77", "who": "alice", "source": "files", "prompt": True}
        self.asked["wall_s"] = dt.datetime(2026, 11, 28, tzinfo=dt.UTC).timestamp()

    def _settled(self, first: int, lines: int, size: int) -> dict[str, Any]:
        ends = {"first_ns": str(1_000 + first), "last_ns": str(1_000 + first + lines - 1)}
        return {"unit": "line", "lines": lines, "bytes": size, **ends}

    def add(self, kind: str, ref: dict[str, str], actor: str = "alice", **data: Any) -> None:
        number = len(self.entries)
        at = f"2026-11-28T00:00:{number:02d}.000000Z"
        entry = {"id": f"ent_{number}", "at": at, "type": kind, "actor": actor, "ref": ref, "data": data}
        self.entries.append(entry)

    def of(self, kind: str, number: int = 0) -> dict[str, Any]:
        return [one for one in self.entries if one["type"] == kind][number]

    def drop(self, kind: str, number: int = 0) -> None:
        self.entries.remove(self.of(kind, number))

    def move_behind(self, kind: str, other: str) -> None:
        moved = self.of(kind)
        self.entries.remove(moved)
        self.entries.insert(self.entries.index(self.of(other)) + 1, moved)
        times = sorted(one["at"] for one in self.entries)
        for one, at in zip(self.entries, times, strict=True):
            one["at"] = at

    def write(self, folder: Path) -> Path:
        (folder / "received").mkdir(parents=True)
        (folder / "log" / "tile" / "entries" / "000.p").mkdir(parents=True)
        contents = [json.dumps(one).encode() for one in self.entries]
        bundle = b"".join(len(one).to_bytes(2, "big") + one for one in contents)
        (folder / "log" / "tile" / "entries" / "000.p" / str(len(contents))).write_bytes(bundle)
        root = merkle(contents if not self.damaged else contents[::-1])
        (folder / "log" / "checkpoint").write_text(
            f"log\n{len(contents)}\n{base64.b64encode(root).decode()}\n\n- sig\n"
        )
        (folder / "told.ndjson").write_text("".join(json.dumps(one) + "\n" for one in self.told))
        (folder / "received" / "one.ndjson").write_text("".join(json.dumps(one) + "\n" for one in self._received()))
        return folder

    def _received(self) -> list[dict[str, Any]]:
        end = {"type": "end", "reason": "complete", "lines": self.told_lines}
        bodies = [encoded(one) for one in self.records] + ([encoded(end)] if self.ends_well else [])
        parts = [b"%x\r\n%b\r\n" % (len(one), one) for one in bodies]
        parts[0] = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + parts[0]
        if self.ends_well:
            parts[-1] += b"0\r\n\r\n"
        # A piece that the network cut in two is put together again.
        pieces = [(at, part) for at, part in zip(self.at, parts, strict=False) for part in (part[:40], part[40:])]
        got = [{"at": at, "bytes": part.decode("latin-1")} for at, part in pieces]
        return [self.asked, *got, {"at": 99.0, "end": "closed"}]


def count(lines: int, size: int = 100) -> dict[str, int]:
    return {"lines": lines, "bytes": size}


def merkle(contents: list[bytes]) -> bytes:
    """RFC 6962, as it defines the hash: by the largest power of two below the size."""
    if len(contents) == 1:
        return hashlib.sha256(b"\0" + contents[0]).digest()
    half = 1 << (len(contents) - 1).bit_length() - 1
    return hashlib.sha256(b"\1" + merkle(contents[:half]) + merkle(contents[half:])).digest()


def another_approver(found: Evidence) -> None:
    found.of("review.given")["actor"] = "alice"


def another_digest(found: Evidence) -> None:
    found.of("review.given")["data"]["digest_sha256"] = "e" * 64


def more_lines_than_recorded(found: Evidence) -> None:
    found.records += [record(3)]
    found.at.append(14.0)
    found.told_lines = 4
    found.ends_well = False


def cut_short(found: Evidence) -> None:
    found.ends_well = False
    found.of("session.closed")["data"].update(total=count(3), uncertain=count(300))
    found.of("grant.scheduled")["data"]["limits"] = {}


def over_budget(found: Evidence) -> None:
    found.of("grant.scheduled")["data"]["limits"] = {"lines": 2}


def bytes_over_budget(found: Evidence) -> None:
    found.of("grant.scheduled")["data"]["limits"] = {"bytes": 20}


def late(found: Evidence) -> None:
    found.told[4]["at"] = 8.9  # the last bytes came at 13


def after_its_time(found: Evidence) -> None:
    found.told[3]["duration_s"] = 4


def after_a_lock(found: Evidence) -> None:
    found.told[5]["at"] = 8.0


def slow_reader_gets_much(found: Evidence) -> None:
    found.asked["prompt"] = False
    found.told[4]["at"] = 6.0
    found.records[2]["line"] = "x" * 40_000
    found.ends_well = False
    found.of("session.closed")["data"]["settled"]["bytes"] = len(encoded(found.records[2]))


def twice(kind: str) -> Callable[[Evidence], None]:
    def plant(found: Evidence) -> None:
        found.entries.append({**found.of(kind), "id": "ent_other", "at": "2026-11-28T00:01:00.000000Z"})

    return plant


def gone(kind: str) -> Callable[[Evidence], None]:
    return lambda found: found.drop(kind)


def changed(kind: str, number: int = 0, **data: Any) -> Callable[[Evidence], None]:
    return lambda found: found.of(kind, number)["data"].update(data)


def settled(number: int, **data: Any) -> Callable[[Evidence], None]:
    return lambda found: found.of("batch.served", number)["data"]["settled"].update(data)


def set_on(name: str, value: Any) -> Callable[[Evidence], None]:
    return lambda found: setattr(found, name, value)


PLANTS: dict[str, tuple[str, Callable[[Evidence], None]]] = {
    "another root": ("log", set_on("damaged", True)),
    "an id twice": ("log", lambda found: found.entries[-1].update(id="ent_0")),
    "time goes back": ("log", lambda found: found.entries[-1].update(at="2020-11-28T00:00:00.000000Z")),
    "no session": ("covered", gone("session.opened")),
    "a session of other lines": ("covered", changed("query.recorded", start_ns="78")),
    "no approval": ("covered", gone("review.given")),
    "an approval by oneself": ("covered", another_approver),
    "an approval of something else": ("covered", another_digest),
    "a denial": ("covered", changed("review.given", verdict="deny")),
    "another service": ("covered", lambda found: found.records[1]["labels"].update(service="web")),
    "never activated": ("covered", gone("grant.activated")),
    "activated later": ("covered", lambda found: found.move_behind("grant.activated", "session.opened")),
    "opened after the end": ("covered", lambda found: found.move_behind("session.opened", "grant.revoked")),
    "more lines than recorded": ("recorded", more_lines_than_recorded),
    "a batch that is not recorded": ("recorded", gone("batch.served")),
    "a batch after the end": ("recorded", lambda found: found.move_behind("batch.served", "grant.revoked")),
    "a line before its batch": ("recorded", lambda found: found.asked.update(wall_s=found.asked["wall_s"] - 5)),
    "a batch that is too large": ("recorded", changed("batch.served", reserved=count(257))),
    "bytes after the revocation": ("cut", late),
    "bytes after the time is over": ("cut", after_its_time),
    "bytes while locked": ("cut", after_a_lock),
    "much for a slow reader": ("cut", slow_reader_gets_much),
    "never closed": ("settled", gone("session.closed")),
    "less charged than read": ("settled", changed("session.closed", total=count(2))),
    "more charged than read": ("settled", changed("session.closed", total=count(4))),
    "uncertain, though all is whole": ("settled", changed("session.closed", uncertain=count(1))),
    "more uncertain than a batch": ("settled", cut_short),
    "an end record that counts otherwise": ("settled", set_on("told_lines", 2)),
    "other times": ("settled", settled(1, last_ns="1002")),
    "other sizes": ("settled", settled(1, bytes=1)),
    "more lines than granted": ("budget", over_budget),
    "more bytes than granted": ("budget", bytes_over_budget),
    "more sessions than granted": ("budget", lambda found: found.of("grant.scheduled")["data"]["limits"].update(queries=0)),
    "a request with another digest": ("lost", lambda found: found.told[0].update(digest="e" * 64)),
    "no request": ("lost", gone("request.submitted")),
    "no review": ("lost", gone("review.given")),
    "no grant": ("lost", gone("grant.scheduled")),
    "no revocation": ("lost", gone("grant.revoked")),
    "no lock": ("lost", gone("principal.locked")),
    "a lock that was not lifted": ("lost", gone("principal.unlocked")),
    "two revocations": ("lost", twice("grant.revoked")),
    "two requests": ("lost", twice("request.submitted")),
    "closed twice": ("lost", twice("session.closed")),
}  # fmt: skip


def test_what_is_right_is_found_right(tmp_path: Path) -> None:
    judge = judged(Evidence().write(tmp_path))
    assert judge.violations == []
    assert (judge.lines, judge.slots) == (3, 2)
    covers = [(one["from"], one["to"], one["batch"], one["activated"]) for one in judge.covers]
    assert covers == [(1, 2, 6, 3), (3, 3, 7, 3)]


def test_a_crash_right_after_the_end_charges_what_was_reserved(tmp_path: Path) -> None:
    evidence = Evidence()
    evidence.of("session.closed")["data"].update(why="crash", total=count(2), uncertain=count(1))
    del evidence.of("session.closed")["data"]["settled"]
    assert judged(evidence.write(tmp_path)).violations == []


@pytest.mark.parametrize("name", PLANTS)
def test_each_planted_violation_is_found(tmp_path: Path, name: str) -> None:
    rule, plant = PLANTS[name]
    evidence = Evidence()
    plant(evidence)
    found = judged(evidence.write(tmp_path)).violations
    assert rule in {one.partition(":")[0] for one in found}, found


def test_it_is_a_program_without_the_product(tmp_path: Path) -> None:
    evidence = Evidence()
    late(evidence)
    evidence.write(tmp_path)
    command = [sys.executable, "-S", str(Path(__file__).with_name("checker.py")), str(tmp_path)]
    said = subprocess.run(command, capture_output=True, text=True, check=False)
    assert said.returncode == 1, said.stderr
    assert said.stdout.startswith("cut: one: ")
