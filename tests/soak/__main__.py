"""A soak: whole servers on a PostgreSQL of their own, people who ask, read and revoke, and faults by seed; then a judge.

Run: ``python -m tests.soak [--minutes 30] [--seed N] [--servers 1] [--readers 12] [--folder FOLDER]``. The judge is
`tests/soak/checker.py`, a program of its own. Exit code 1 if it finds anything, or if a server does not go on when faults
are over. The seed draws faults, people and their moments; how long each call takes is the machine's.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from tests.fakes.own_postgres import OwnPostgres, own_postgres
from tests.fakes.stack import Stack
from tests.promises.shared import POLICY, populated
from tests.soak.clients import Actor, Locker, Notes, Reader
from tests.soak.faults import FAULTS, Place, restarted, revived
from tests.soak.proxy import Proxy
from tests.soak.rules import broken

from loglease.audit.note import SigningKey

READERS = 12
QUIET_S = (2.0, 8.0)
HERE = Path(__file__).parent
LINE = '{"level":"info","msg":"paid by ann@example.com with 4111111111111111","n":%d}\n'


def now() -> float:
    """Return the time in seconds since 1970."""
    return time.clock_gettime(time.CLOCK_REALTIME)


class Soak:
    """One run of it."""

    def __init__(self, folder: Path, seed: int, servers: int, readers: int) -> None:
        self.folder = folder
        self._chance = random.Random(seed)  # noqa: S311 - the same faults for the same seed
        self._count = servers
        self._readers = [f"reader{number}" for number in range(1, readers + 1)]
        self._threads: list[threading.Thread] = []
        self._over = threading.Event()
        self._faults: list[dict[str, Any]] = []

    def run(self, length_s: float) -> list[str]:
        """Run for so long; return what was wrong beside what the judge finds."""
        with ExitStack() as stack:
            database = stack.enter_context(own_postgres())
            self._servers, self._roads = self._started(stack, database)
            self._passwords = self._servers[0].passwords
            notes = Notes(self.folder / "evidence", [one.url for one in self._servers])
            self._begin(notes)
            place = Place(self._servers, self._roads, database, self._chance)
            try:
                self._suffer(place, time.monotonic() + length_s)
                self._calm(place)
                wrong = self._goes_on()
            finally:
                notes.stop.set()
                self._over.set()
                for one in self._threads:
                    one.join()
            time.sleep(3)
            wrong += self._stopped()
            self._keep_log()
            return wrong + notes.surprises

    def _started(self, stack: ExitStack, database: OwnPostgres) -> tuple[list[Stack], list[Proxy]]:
        """Start servers, each with a road of its own to the database."""
        socket_file = next(database.socket_folder.glob(".s.PGSQL.*[0-9]"))
        keys = self.folder / "keys"
        keys.mkdir(mode=0o700)
        servers: list[Stack] = []
        roads = []
        for number in range(1, self._count + 1):
            short = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="road")))
            roads.append(Proxy(short / "r", socket_file))
            stack.callback(roads[-1].close)
            url = database.url.replace(str(database.socket_folder), str(short / "r"))
            more = f'\n[database]\nurl = "{url}"\n'
            if self._count > 1:
                more += f'keys_dir = "{keys}"\n'
            home = self.folder / f"server-{number}"
            if not servers:
                servers.append(populated(home, stepped_clock=True, policy=POLICY, more=more))
                for name in self._readers:
                    servers[0].add(name)
            else:
                servers.append(self._beside(servers[0], home, more))
            stack.callback(servers[-1].stop)
        return servers, roads

    def _beside(self, first: Stack, home: Path, more: str) -> Stack:
        home.mkdir()
        (home / "logs").symlink_to(first.logs)
        config = first.config.partition("\n[database]")[0] + more
        return Stack(home, config=config, passwords=first.passwords, stepped_clock=True).start()

    def _begin(self, notes: Notes) -> None:
        """Start everybody who reads, acts and writes."""

        def actor(name: str) -> Actor:
            return Actor(notes, name, self._passwords[name], random.Random(self._chance.random()))  # noqa: S311

        works = [Reader(notes, actor(name), actor("bob" if number % 2 else "carol")).run
                 for number, name in enumerate(self._readers)]  # fmt: skip
        works.append(Locker(notes, actor("admin"), actor("erin"), self._readers).run)
        works.append(self._write)
        for work in works:
            self._threads.append(threading.Thread(target=work))
            self._threads[-1].start()

    def _write(self) -> None:
        number = 0
        while not self._over.wait(0.1):
            for service in ("shop", "web", "pay"):
                number += 1
                with (self._servers[0].logs / f"{service}.log").open("a") as log:
                    log.write(LINE % number)

    def _suffer(self, place: Place, until: float) -> None:
        """Let one thing after another go wrong."""
        while time.monotonic() < until:
            time.sleep(self._chance.uniform(*QUIET_S))
            fault = self._chance.choice(FAULTS)
            began = now()
            print(f"{time.strftime('%H:%M:%S')} {fault.__name__}", flush=True)
            fault(place)
            self._faults.append({"what": fault.__name__, "from": began, "until": now()})
            self._revive(place)

    def _revive(self, place: Place) -> None:
        """Start what ended by itself, as a service manager does."""
        for one in place.servers:
            if one.process is not None and (code := one.process.poll()) is not None:
                print(f"         a server ended with {code}", flush=True)
                self._faults.append({"what": "ended", "code": code, "from": now(), "until": now()})
                restarted(one)

    def _calm(self, place: Place) -> None:
        for one in place.roads:
            one.say("open")
        revived(place.database)
        self._revive(place)
        (self.folder / "evidence" / "faults.json").write_text(json.dumps(self._faults, indent=1))
        clocks = "".join(f"{json.dumps(one)}\n" for one in place.clocks)
        (self.folder / "evidence" / "clocks.ndjson").write_text(clocks)

    def _goes_on(self) -> list[str]:
        """Say which server does not serve again within a minute after the last fault."""
        wrong = []
        for one in self._servers:
            until = time.monotonic() + 60
            shown = "nothing"
            while time.monotonic() < until:
                try:
                    alice, bob = one.sign_in("alice"), one.sign_in("bob")
                    request = alice.ask('{service="shop"}')
                    bob.decide(request)
                    found = list(alice.lines(alice.grant_of(request), since="1h", limit="5"))
                    shown = str(found[-1])
                    if found[-1].get("reason") == "complete" and len(found) > 1:
                        break
                except Exception as error:  # noqa: BLE001 - whatever it is, it is tried again until the time is over
                    shown = repr(error)[:500]
                time.sleep(0.5)
            else:
                wrong.append(f"{one.url} does not serve a minute after the last fault: {shown}")
        return wrong

    def _stopped(self) -> list[str]:
        codes = [one.stop() for one in self._servers]
        return [f"the servers ended with {codes}"] if any(codes) else []

    def _keep_log(self) -> None:
        """Keep the newest of the published logs, and the key that it is signed with."""
        logs = [one.folder / "data" / "log" for one in self._servers]
        newest = max(logs, key=lambda log: int((log / "checkpoint").read_text().split("\n")[1]))
        shutil.copytree(newest, self.folder / "evidence" / "log")
        homes = [self.folder / "keys", *(one.folder / "data" for one in self._servers)]
        key = next(home / "log.key" for home in homes if (home / "log.key").exists())
        text = str(SigningKey.parse(key.read_text().strip()).verifier)
        (self.folder / "evidence" / "log.vkey").write_text(text)


def judged(evidence: Path) -> list[str]:
    """Have the evidence judged, by the program that shares nothing with the product, and by the product's own rules."""
    command = [sys.executable, str(HERE / "checker.py"), str(evidence), "--covers", str(evidence / "covers.ndjson")]
    code = subprocess.run(command, check=False).returncode
    wrong = broken(evidence) + ([f"the judge ended with {code}"] if code else [])
    return wrong if (evidence / "covers.ndjson").read_text() else [*wrong, "nobody read a line"]


def main() -> int:
    """Run, judge and say."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    parser.add_argument("--servers", type=int, default=1)
    parser.add_argument("--readers", type=int, default=READERS)
    parser.add_argument("--folder", type=Path, help="where everything is kept; else it is gone when nothing was found")
    arguments = parser.parse_args()
    folder = arguments.folder or Path(tempfile.mkdtemp(prefix="soak"))
    print(f"seed {arguments.seed}, {arguments.minutes} minutes, {arguments.servers} servers, in {folder}", flush=True)
    folder.mkdir(parents=True, exist_ok=True)
    wrong = Soak(folder, arguments.seed, arguments.servers, arguments.readers).run(arguments.minutes * 60)
    wrong += judged(folder / "evidence")
    for one in wrong:
        print(f"wrong: {one}", flush=True)
    if not wrong and arguments.folder is None:
        shutil.rmtree(folder)
    print("holds" if not wrong else f"does not hold; seed {arguments.seed}, all of it is in {folder}", flush=True)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
