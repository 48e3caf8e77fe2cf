"""Promises 3, 5, 6 and 8 on a PostgreSQL that fails: killed, stopped, frozen, cut off, and used by somebody else.

The whole product runs in a process of its own over a PostgreSQL of its own, with open tails and people who act. After
each fault it goes on by itself: nothing acknowledged is missing or doubled, of each tail the record is never short of
what its client has and never more than a batch beyond it, and the log holds for our verifier and for the one in Go.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2
import pytest
from tests.fakes.own_postgres import OwnPostgres, own_postgres
from tests.fakes.stack import Person, Refused, Stack
from tests.promises.shared import LINE, granted, populated
from tests.races.test_killed_server import Ledger, attempted, checked, is_no_answer, journey, repeated
from tests.real.foreign import Foreign
from tests.real.test_killed_log import Judges, Reader, accounts, clean, killed_again_and_again

pytestmark = pytest.mark.real_foreign

DEATHS = int(os.environ.get("LOG_CRASH_ROUNDS", "5"))
CUTS = 20
TAILS = 10
WRITERS = ("alice", "mallory", "erin")
BATCH_LINES = 256
FOR_S = 5
_UNAVAILABLE = frozenset({"audit_unavailable", "store_unavailable", "audit_busy", "index_stale"})


@pytest.fixture
def database() -> Iterator[OwnPostgres]:
    with own_postgres() as server:
        yield server


@pytest.fixture
def stack(database: OwnPostgres, tmp_path: Path) -> Iterator[Stack]:
    found = populated(tmp_path / "server", more=on(database))
    yield found
    found.stop()


@pytest.fixture
def judges(foreign: Foreign, stack: Stack, tmp_path: Path) -> Judges:
    return Judges(foreign, stack, tmp_path / "kept")


def on(database: OwnPostgres) -> str:
    return f'\n[database]\nurl = "{database.url}"\n'


class Traffic:
    """Tails that stay open, lines for them, and people who go on acting whatever is refused."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.ledgers = {name: Ledger() for name in WRITERS}
        self.people = {name: attempted(lambda: stack.sign_in(name)) for name in (*WRITERS, "bob")}  # noqa: B023
        grants = [granted(self.people["alice"], self.people["bob"], '{service="web"}') for _ in range(TAILS)]
        self.readers = [Reader(grant) for grant in grants]
        self.reasons: list[str] = []
        self._stop = threading.Event()
        self.tails = [threading.Thread(target=self._tail, args=(reader,), daemon=True) for reader in self.readers]
        acting = [threading.Thread(target=self._act, args=(name,)) for name in WRITERS]
        self._others = [threading.Thread(target=self._append), *acting]
        for thread in (*self.tails, *self._others):
            thread.start()
        wait_until(lambda: all(reader.lines for reader in self.readers))
        wait_until(lambda: all(ledger.grants for ledger in self.ledgers.values()))

    def _append(self) -> None:
        with (self.stack.logs / "web.log").open("a") as file:
            while not self._stop.wait(0.05):
                file.write(LINE * 2)
                file.flush()

    def _tail(self, reader: Reader) -> None:
        """Read until the tail ends; one that was refused, as a busy server may do, is asked for again."""
        while not reader.lines and not self._stop.is_set():
            with contextlib.suppress(httpx2.TransportError, Refused):
                for record in self.people["alice"].lines(reader.grant, '{service="web"}', follow="true", since="5s"):
                    reader.lines += record["type"] == "line"
                    if record["type"] == "end":
                        self.reasons.append(record["reason"])

    def _act(self, name: str) -> None:
        ledger = self.ledgers[name]
        while not self._stop.is_set():
            try:
                journey(self.people[name], self.people["bob"], ledger, self._stop)
            except (httpx2.TransportError, Refused) as error:
                if not is_no_answer(error) and not is_unavailable(error):
                    ledger.refused.append(str(error))
            self._stop.wait(0.1)

    def more_is_done(self) -> None:
        """Wait until each of the people has got a grant again."""
        before = {name: len(ledger.grants) for name, ledger in self.ledgers.items()}
        wait_until(lambda: all(len(self.ledgers[name].grants) > count for name, count in before.items()))

    def end(self) -> None:
        self._stop.set()
        for thread in (*self._others, *self.tails):
            thread.join()


def is_unavailable(error: httpx2.TransportError | Refused) -> bool:
    return isinstance(error, Refused) and error.problem.get("code") in _UNAVAILABLE


def wait_until(holds: Callable[[], object], within_s: float = 60) -> None:
    until = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < until, "it did not happen"
        time.sleep(0.05)


def ended(threads: list[threading.Thread]) -> bool:
    return not any(thread.is_alive() for thread in threads)


def held(stack: Stack, traffic: Traffic, judges: Judges) -> None:
    """Hold what clients have and were told against the record."""
    sam = attempted(lambda: stack.sign_in("sam"))
    for name, ledger in traffic.ledgers.items():
        assert not ledger.refused
        repeated(traffic.people[name], ledger)
        checked(sam, traffic.people[name], ledger)
    for reader in traffic.readers:
        wait_until(lambda: accounts(sam, reader))  # noqa: B023
        settled, uncertain = accounts(sam, reader) or (0, 0)
        assert 0 <= settled + uncertain - reader.lines <= BATCH_LINES, reader
    clean(stack)
    stack.stop()
    judges.judge()


def killed(database: OwnPostgres, traffic: Traffic) -> None:
    for _ in range(3):
        database.kill()
        database.start()
        traffic.more_is_done()


def stopped(database: OwnPostgres, traffic: Traffic) -> None:
    database.stop()
    wait_until(lambda: ended(traffic.tails))
    time.sleep(FOR_S)
    database.start()
    traffic.more_is_done()


def frozen(database: OwnPostgres, traffic: Traffic) -> None:
    with database.frozen():
        wait_until(lambda: ended(traffic.tails))
        time.sleep(FOR_S)
    traffic.more_is_done()


def cut_off(database: OwnPostgres, traffic: Traffic) -> None:
    """Answers to commits are lost, whatever they were about."""
    cut = 0
    for number in range(CUTS):
        cut += database.cut_connections()
        time.sleep(0.05 * (number % 7))
    assert cut >= CUTS
    traffic.more_is_done()


@pytest.mark.attack("FT-03")
@pytest.mark.parametrize("fault", [killed, stopped, frozen, cut_off])
def test_a_database_that_fails_under_traffic(
    stack: Stack, database: OwnPostgres, judges: Judges, fault: Callable[[OwnPostgres, Traffic], None]
) -> None:
    traffic = Traffic(stack)
    try:
        fault(database, traffic)
    finally:
        traffic.end()
    held(stack, traffic, judges)
    assert set(traffic.reasons) <= {"database", "audit"}, traffic.reasons


def test_a_killed_server_leaves_a_log_that_holds(stack: Stack, judges: Judges) -> None:
    killed_again_and_again(stack, judges, DEATHS)


def test_a_revocation_in_a_freeze_takes_effect_and_is_recorded(stack: Stack, database: OwnPostgres) -> None:
    alice, bob, sam = (stack.sign_in(name) for name in ("alice", "bob", "sam"))
    grant = granted(alice, bob, '{service="web"}')
    list(alice.lines(grant, '{service="web"}', since="1h", limit="5"))
    revoking = threading.Thread(target=lambda: attempted(lambda: revoked(bob, grant)))
    with database.frozen():
        revoking.start()
        time.sleep(FOR_S)
    revoking.join()
    with pytest.raises(Refused) as refused:
        list(alice.lines(grant, '{service="web"}', since="1h"))
    assert refused.value.problem["code"] == "grant_ended"
    wait_until(lambda: sam.call("GET", f"/audit/entries?grant={grant}&type=grant.revoked")["items"])


def revoked(person: Person, grant: str) -> None:
    person.call("POST", f"/grants/{grant}/revoke", {"reason": "over"})


def test_a_server_stops_while_its_database_does_nothing(stack: Stack, database: OwnPostgres) -> None:
    with database.frozen():
        time.sleep(1)
        stack.stop()
    stack.start()
    assert attempted(lambda: stack.sign_in("alice"))


def test_a_server_whose_place_was_taken_ends_everything(
    stack: Stack, database: OwnPostgres, foreign: Foreign, tmp_path: Path
) -> None:
    """The first is frozen, and meanwhile another one starts under its name."""
    traffic = Traffic(stack)
    other = Stack(tmp_path / "other", config=stack.config, passwords=stack.passwords)
    assert stack.process is not None
    try:
        stack.process.send_signal(signal.SIGSTOP)
        database.cut_connections()
        shutil.copytree(stack.folder / "data", other.folder / "data", ignore=shutil.ignore_patterns("*.sock"))
        other.start()
        stack.process.send_signal(signal.SIGCONT)
        wait_until(lambda: ended(traffic.tails))
        wait_until(lambda: refuses(stack))
        grant = granted(other.sign_in("alice"), other.sign_in("bob"))
        assert other.sign_in("sam").call("GET", f"/audit/entries?grant={grant}")["items"]
        assert refuses(stack)
    finally:
        stack.process.send_signal(signal.SIGCONT)
        traffic.end()
        other.stop()
    stack.stop()
    Judges(foreign, other, tmp_path / "kept").judge()


def refuses(stack: Stack) -> bool:
    """Say whether nobody can sign in any more, because nothing is recorded, or nobody answers at all."""
    try:
        stack.sign_in("alice")
    except httpx2.TransportError:
        return True
    except Refused as error:
        return is_unavailable(error)
    return False
