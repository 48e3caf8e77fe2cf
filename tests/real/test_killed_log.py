"""Promises 5, 6 and 8 the hard way: a server with fifty open tails is killed at random moments, and after each death the
log that it leaves is judged by a program that shares no line with it.

`LOG_CRASH_ROUNDS` says how often (200 is the long run), `CRASH_SEED` draws the moments. After each start: the files hold for
both verifiers and go on from every head that was seen before, nothing acknowledged is missing or doubled, and of each tail
the record is never short of what its client has, and never more than a batch beyond it.
"""

from __future__ import annotations

import os
import random
import threading
import time
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import httpx2
import pytest
from tests.fakes.stack import Person, Refused, Stack
from tests.promises.shared import LINE, populated
from tests.races.test_killed_server import Ledger, attempted, checked, guarded, repeated
from tests.real.foreign import Foreign

from loglease.audit.log_directory import FileLog
from loglease.audit.log_reading import read_head
from loglease.audit.note import SigningKey
from loglease.audit.tiles import CHECKPOINT
from loglease.audit.verify import verify_log

pytestmark = pytest.mark.real_foreign

ROUNDS = int(os.environ.get("LOG_CRASH_ROUNDS", "25"))
SEED = int(os.environ.get("CRASH_SEED", "20261127"))
TAILS = 50
WRITERS = ("alice", "mallory", "erin")
LONGEST_S = 1.5
BATCH_LINES = 256
ROUNDS_A_GRANT = 5
"""A crash costs a grant up to a batch of its budget of 10,000 lines, and a slow machine lets its tail read on."""


@dataclass
class Reader:
    """The client of one tail, and how many lines it has."""

    grant: str
    lines: int = 0


@dataclass
class Traffic:
    """What goes on until the server dies."""

    stack: Stack
    stop: threading.Event = field(default_factory=threading.Event)
    threads: list[threading.Thread] = field(default_factory=list)

    def begin(self, readers: list[Reader], people: dict[str, Person], ledgers: dict[str, Ledger]) -> None:
        for reader in readers:
            self._start(tail, people["alice"], reader)
        for name in WRITERS:
            self._start(guarded, people[name], people["bob"], ledgers[name], self.stop)
        self._start(self._append)

    def _start(self, work: object, *arguments: object) -> None:
        thread = threading.Thread(target=work, args=arguments)
        thread.start()
        self.threads.append(thread)

    def _append(self) -> None:
        with (self.stack.logs / "web.log").open("a") as file:
            while not self.stop.wait(0.05):
                file.write(LINE * 2)
                file.flush()

    def wait_for(self, readers: list[Reader]) -> None:
        """Wait until most tails have lines: a death before that finds nothing open."""
        until = time.monotonic() + 60
        while sum(reader.lines > 0 for reader in readers) < TAILS * 4 // 5 and time.monotonic() < until:
            time.sleep(0.05)

    def end(self) -> None:
        self.stop.set()
        for thread in self.threads:
            thread.join()


def tail(person: Person, reader: Reader) -> None:
    """Count whole records until the connection breaks."""
    try:
        for record in person.lines(reader.grant, '{service="web"}', follow="true", since="5s"):
            reader.lines += record["type"] == "line"
    except (httpx2.TransportError, Refused):
        return


def fresh_readers(alice: Person, bob: Person, count: int = TAILS) -> list[Reader]:
    readers = []
    for number in range(count):
        request = alice.ask('{service="web"}', reason=f"tail number {number}")
        bob.decide(request)
        readers.append(Reader(alice.grant_of(request)))
    return readers


def accounts(auditor: Person, reader: Reader) -> tuple[int, int] | None:
    """Return lines that are settled, and those that a crash leaves uncertain, of the newest session of a tail's grant."""
    entries = auditor.call("GET", f"/audit/entries?grant={reader.grant}&type=session.closed&limit=1")["items"]
    if not entries:
        return None
    data = entries[0]["data"]
    return data["total"]["lines"], data["uncertain"]["lines"]


class Judges:
    """Both verifiers, and every head that they have seen."""

    def __init__(self, foreign: Foreign, stack: Stack, kept: Path) -> None:
        self.directory = stack.folder / "data" / "log"
        self.key = SigningKey.parse((stack.folder / "data" / "log.key").read_text().strip()).verifier
        self.foreign = Foreign(foreign.program, (str(self.key),))
        self.kept = kept
        self.size = 0

    def judge(self) -> None:
        head, _ = read_head(FileLog(self.directory), (self.key,))
        assert len(verify_log(FileLog(self.directory), head).entries) == head.size
        code, answer = self.foreign.ask("verify", self.directory)
        assert (code, answer["size"]) == (0, head.size), answer
        if self.kept.exists():
            code, answer = self.foreign.ask("consistency", self.kept, self.directory)
            assert code == 0, answer
        assert head.size >= self.size
        self.size = head.size
        self.kept.write_bytes((self.directory / CHECKPOINT).read_bytes())


@pytest.mark.attack("AD-03")
def test_a_killed_server_leaves_a_log_that_holds(foreign: Foreign, tmp_path: Path) -> None:
    stack = populated(tmp_path / "server")
    try:
        killed_again_and_again(stack, Judges(foreign, stack, tmp_path / "kept"))
    finally:
        stack.stop()


def killed_again_and_again(stack: Stack, judges: Judges, rounds: int = ROUNDS) -> None:
    """Kill a server under traffic and hold what it leaves against what was read and acknowledged; end it in order."""
    chance = random.Random(SEED)  # noqa: S311 - the same moments in every run
    ledgers = {name: Ledger() for name in WRITERS}
    readers: list[Reader] = []
    served = 0
    for number in range(rounds):
        people = {name: attempted(partial(stack.sign_in, name)) for name in (*WRITERS, "bob", "sam")}
        for name in WRITERS:
            repeated(people[name], ledgers[name])
        if number % ROUNDS_A_GRANT == 0:
            readers = fresh_readers(people["alice"], people["bob"])
        for reader in readers:
            reader.lines = 0
        traffic = Traffic(stack)
        traffic.begin(readers, people, ledgers)
        traffic.wait_for(readers)
        time.sleep(chance.uniform(0, LONGEST_S))
        stack.kill()
        traffic.end()
        assert not [ledger.refused for ledger in ledgers.values() if ledger.refused]
        judges.judge()
        stack.start()
        sam = attempted(lambda: stack.sign_in("sam"))
        served += sum(within_a_batch(sam, reader) for reader in readers if reader.lines)
    for name in WRITERS:
        checked(stack.sign_in("sam"), stack.sign_in(name), ledgers[name])
    clean(stack)
    stack.stop()
    judges.judge()
    print(f"{rounds} deaths, {served} lines read, log of {judges.size} entries")  # noqa: T201 - how much was tried
    assert served


def within_a_batch(auditor: Person, reader: Reader) -> int:
    """Hold what a client has against the record of its session; return how many lines that were."""
    found = accounts(auditor, reader)
    assert found is not None, "lines were read and no session is on the record"
    settled, uncertain = found
    assert 0 <= uncertain <= BATCH_LINES
    assert 0 <= settled + uncertain - reader.lines <= BATCH_LINES, (reader, found)
    return reader.lines


def clean(stack: Stack) -> None:
    """Where a session ends in order, its record is exact."""
    alice, bob, sam = (stack.sign_in(name) for name in ("alice", "bob", "sam"))
    for reader in fresh_readers(alice, bob, 5):
        got = sum(one["type"] == "line" for one in alice.lines(reader.grant, '{service="web"}', since="1h", limit="40"))
        assert got
        until = time.monotonic() + 30
        while (found := accounts(sam, reader)) is None or found[1] or found[0] != got:
            assert time.monotonic() < until, (got, found)
            time.sleep(0.1)
