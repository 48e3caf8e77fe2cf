"""Promises 3, 5 and 8 with three servers on one PostgreSQL: what one is told the others do, and what one has they give up.

Each server is a process of its own, and so is the database. Nothing of it is timed here but what the log itself says:
its rules hold that sessions end soon after whatever ended their grant, on whichever server they were.
"""

from __future__ import annotations

import json
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2
import psycopg
import pytest
from tests.fakes.own_postgres import own_postgres
from tests.fakes.replicas import Cluster, cluster, copied
from tests.fakes.stack import CONFIG, Person, Refused, Stack
from tests.promises.shared import LINE, granted
from tests.races.test_killed_server import attempted
from tests.real.test_postgres_faults import wait_until

from loglease.audit.log_directory import FileLog
from loglease.audit.log_reading import read_head
from loglease.audit.note import SigningKey
from loglease.audit.semantic import BreachKind, check
from loglease.audit.verify import verify_log

pytestmark = pytest.mark.real_foreign

CONTENTS = "SELECT idx, bytes FROM entries ORDER BY idx"
WEB = '{service="web"}'


@pytest.fixture
def three(tmp_path: Path) -> Iterator[Cluster]:
    with cluster(tmp_path) as found:
        yield found


class Tail:
    """A client that follows one grant on one server, and why that ended."""

    def __init__(self, person: Person, grant: str) -> None:
        self.grant = grant
        self.lines = 0
        self.why: str | None = None
        self._person = person
        self.thread = threading.Thread(target=self._follow, daemon=True)
        self.thread.start()

    def _follow(self) -> None:
        try:
            for record in self._person.lines(self.grant, WEB, follow="true", since="1h"):
                self.lines += record["type"] == "line"
                if record["type"] == "end":
                    self.why = record["reason"]
        except httpx2.TransportError:
            self.why = "reset"
        except Refused as error:
            self.why = str(error.problem["code"])


def tails(servers: Cluster, grant: str, each: int = 2) -> list[Tail]:
    found = [Tail(person, grant) for person in servers.people("alice") for _ in range(each)]
    wait_until(lambda: all(one.lines for one in found))
    return found


def judged(servers: Cluster) -> None:
    """Hold the log against all rules, and what each server has published of it against the one in the database."""
    assert [code for code in servers.stop() if code not in (0, -1)] == []
    key = SigningKey.parse((servers[0].folder.parent / "keys" / "log.key").read_text().strip()).verifier
    with psycopg.connect(servers.database.url) as connection:
        contents = [(index, bytes(content)) for index, content in connection.execute(CONTENTS)]
        roots = {size: bytes(root) for size, root in connection.execute("SELECT size, root FROM checkpoints")}
    for one in servers.servers:
        directory = FileLog(one.folder / "data" / "log")
        head, _ = read_head(directory, (key,))
        assert len(verify_log(directory, head).entries) == head.size
        assert roots[head.size] == head.root
    broken = [str(one) for one in check(contents).of(BreachKind.VIOLATION)]
    assert not broken, broken


def entries(person: Person, *, of_type: str) -> list[dict[str, Any]]:
    return list(person.call("GET", f"/audit/entries?type={of_type}&limit=200")["items"])


@pytest.mark.attack("RV-04")
def test_a_revocation_on_one_server_ends_tails_on_all(three: Cluster) -> None:
    alice, bob = (three[0].sign_in(name) for name in ("alice", "bob"))
    mine, other = granted(alice, bob, WEB), granted(alice, bob, WEB)
    ended, going_on = tails(three, mine), tails(three, other)
    three.on(2, bob).call("POST", f"/grants/{mine}/revoke", {"reason": "over"})
    wait_until(lambda: all(one.why for one in ended))
    assert {one.why for one in ended} == {"revoked"}
    assert not any(one.why for one in going_on)
    for number in range(3):
        with pytest.raises(Refused) as refused:
            list(three.on(number, alice).lines(mine, WEB, since="1h"))
        assert refused.value.problem["code"] == "grant_ended"
    three.on(1, bob).call("POST", f"/grants/{other}/revoke", {"reason": "over"})
    wait_until(lambda: all(one.why for one in going_on))
    judged(three)


@pytest.mark.attack("RV-04", "RV-09")
@pytest.mark.parametrize("on", ["grant", "principal", "source", "everything"])
def test_a_lock_on_one_server_holds_on_all(three: Cluster, on: str) -> None:
    alice, bob, erin = (three[0].sign_in(name) for name in ("alice", "bob", "erin"))
    grant = granted(alice, bob, WEB)
    ended = tails(three, grant)
    me = alice.call("GET", "/me")["principal"]["id"]
    thing = {"grant": f"grant:{grant}", "principal": f"principal:{me}", "source": "source:files"}.get(on, on)
    three.on(1, erin).create("/locks", {"on": thing, "reason": "an incident"})
    wait_until(lambda: all(one.why for one in ended))
    assert {one.why for one in ended} <= {"locked", "reset"}
    for number in (0, 2):
        with pytest.raises(Refused):
            list(three.on(number, alice).lines(grant, WEB, since="1h"))
    judged(three)


@pytest.mark.attack("AD-07")
def test_budgets_hold_over_all_servers(three: Cluster) -> None:
    """Fifty sessions on three servers want ten times what there is, and get what there is."""
    (three[0].logs / "web.log").write_text(LINE * 2_000)
    alice, bob = (three[0].sign_in(name) for name in ("alice", "bob"))
    grant = granted(alice, bob, WEB)
    people = three.people("alice")

    def read(number: int) -> int:
        try:
            return sum(one["type"] == "line" for one in people[number % 3].lines(grant, WEB, since="1h", limit="2000"))
        except (Refused, httpx2.TransportError):
            return 0

    with ThreadPoolExecutor(50) as threads:
        received = sum(threads.map(read, range(50)))
    assert 9_000 < received <= 10_000
    sam = three[0].sign_in("sam")
    wait_until(lambda: entries(sam, of_type="grant.ended"))
    (ended,) = entries(sam, of_type="grant.ended")
    assert ended["data"]["why"] == "used"
    assert ended["data"]["total"]["lines"] == received
    judged(three)


@pytest.mark.attack("AP-06", "AP-07")
def test_of_many_verdicts_on_three_servers_one_counts(three: Cluster) -> None:
    alice = three[0].sign_in("alice")
    bobs, carols = three.people("bob"), three.people("carol")
    for _ in range(20):
        request = alice.ask(WEB)

        def decide(number: int, request: dict[str, Any] = request) -> str:
            try:
                if number == 0:
                    three.on(1, alice).call("POST", f"/requests/{request['id']}/cancel")
                else:
                    person = (bobs if number % 2 else carols)[number % 3]
                    person.decide(request, "approve" if number % 2 else "deny")
            except Refused as error:
                assert error.status in (403, 409), error
                return "refused"
            return "done"

        with ThreadPoolExecutor(7) as threads:
            list(threads.map(decide, range(7)))
        states = {three.on(number, alice).call("GET", f"/requests/{request['id']}")["state"] for number in range(3)}
        assert len(states) == 1
        assert states <= {"approved", "denied", "cancelled"}
    judged(three)


def test_a_killed_server_is_given_up_and_comes_back(three: Cluster) -> None:
    alice, bob, sam = (three[0].sign_in(name) for name in ("alice", "bob", "sam"))
    grant = granted(alice, bob, WEB)
    opened = tails(three, grant)
    three[2].kill()
    on_the_dead = opened[4:]
    wait_until(lambda: all(one.why for one in on_the_dead))
    assert not any(one.why for one in opened[:4])
    wait_until(lambda: len(entries(sam, of_type="session.closed")) == len(on_the_dead), within_s=240)
    assert {one["data"]["why"] for one in entries(sam, of_type="session.closed")} == {"crash"}
    assert [one["data"]["why"] for one in entries(sam, of_type="service.stopped")] == ["lost"]
    assert not any(one.why for one in opened[:4])
    three[2].start()
    assert entries(sam, of_type="service.started")[0]["data"]["after"] == "lost"
    assert Tail(three.on(2, alice), grant)
    three[2].kill()
    three[2].start()
    assert entries(sam, of_type="service.started")[0]["data"]["after"] == "crash"
    three.on(0, bob).call("POST", f"/grants/{grant}/revoke", {"reason": "over"})
    judged(three)


def test_a_frozen_server_begins_anew(three: Cluster) -> None:
    alice, bob, sam = (three[0].sign_in(name) for name in ("alice", "bob", "sam"))
    grant = granted(alice, bob, WEB)
    opened = tails(three, grant)
    process = three[1].process
    assert process is not None
    process.send_signal(signal.SIGSTOP)
    try:
        wait_until(lambda: entries(sam, of_type="service.stopped"), within_s=240)
        three.on(0, bob).call("POST", f"/grants/{grant}/revoke", {"reason": "over"})
        time.sleep(3)
    finally:
        process.send_signal(signal.SIGCONT)
    wait_until(lambda: all(one.why for one in opened))
    wait_until(lambda: entries(sam, of_type="service.started")[0]["data"]["after"] == "lost")
    again = granted(alice, bob, WEB)
    assert attempted(lambda: list(three.on(1, alice).lines(again, WEB, since="1h")))
    assert process.poll() is None, "it is the same process"
    judged(three)


def test_a_server_on_a_copied_data_directory_is_refused(three: Cluster, tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="calls itself"):
        copied(three[0], tmp_path / "copy").start()
    three[0].kill()
    again = copied(three[0], tmp_path / "again").start()
    assert again.sign_in("alice")
    with pytest.raises(AssertionError, match="calls itself"):
        three[0].start()
    again.stop()
    judged(three)


@pytest.mark.attack("DP-03")
def test_servers_that_start_at_once_make_one_administrator(tmp_path: Path) -> None:
    with own_postgres() as database:
        keys = tmp_path / "keys"
        keys.mkdir(mode=0o700)
        config = f'{CONFIG}\n[database]\nurl = "{database.url}"\nkeys_dir = "{keys}"\n'
        servers = [Stack(tmp_path / f"node-{number}", config=config) for number in range(3)]
        with ThreadPoolExecutor(3) as threads:
            list(threads.map(Stack.start, servers))
        shown = [json.dumps(one.passwords) for one in servers if "admin" in one.passwords]
        assert len(shown) == 1
        password = json.loads(shown[0])["admin"]
        for one in servers:
            one.passwords["admin"] = password
            assert one.sign_in("admin")
        for one in servers:
            assert one.stop() == 0
