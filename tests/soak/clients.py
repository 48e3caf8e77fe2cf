"""Who reads and acts during a soak, and writes down what came: readers with raw sockets, and people who ask and decide."""

from __future__ import annotations

import contextlib
import itertools
import json
import random
import socket
import struct
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

import httpx2
from tests.fakes.stack import Person, Refused

KINDS = ("prompt", "prompt", "prompt", "crawling", "leaving", "still")
SERVICES = ("shop", "web")
SMALL = 4_096
LONGEST_CALL_S = 25.0
_RESET = struct.pack("ii", 1, 0)
_numbers = itertools.count(1)


@dataclass
class Notes:
    """Where clients write, and where the servers are."""

    folder: Path
    urls: list[str]
    stop: threading.Event = field(default_factory=threading.Event)
    surprises: list[str] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        (self.folder / "received").mkdir(parents=True)
        self._told = (self.folder / "told.ndjson").open("a")

    def told(self, what: str, **more: Any) -> None:
        """Note what a server has just acknowledged."""
        with self._lock:
            self._told.write(json.dumps({"at": time.monotonic(), "what": what, **more}) + "\n")
            self._told.flush()

    def surprised(self, error: Refused) -> None:
        """Note a refusal that no fault explains."""
        with self._lock:
            self.surprises.append(str(error))


PASSING = frozenset(
    {
        "audit_unavailable", "store_unavailable", "audit_busy", "index_stale", "clock_suspect", "draining", "overload",
        "in_progress", "locked", "grant_ended", "grant_not_active", "not_permitted", "token_expired", "not_authenticated",
        "not_found", "request_not_pending", "rate_limited", "budget_used", "policy_unavailable", "not_ready",
    }
)  # fmt: skip
"""Codes of refusals that faults, locks and other people's acts lead to."""


def trying(notes: Notes, act: Callable[[], Any]) -> Any:
    """Act; None where no answer came, or one that faults explain."""
    try:
        return act()
    except httpx2.TransportError:
        return None
    except Refused as error:
        if error.problem.get("code") not in PASSING:
            notes.surprised(error)
        return None


class Actor:
    """One person, who signs in again where that is needed."""

    def __init__(self, notes: Notes, name: str, password: str, chance: random.Random) -> None:
        self._notes = notes
        self.name = name
        self._password = password
        self._token = ""
        self.chance = chance

    def person(self) -> Person | None:
        """Return them as a server knows them that is drawn; None if no server signs them in now."""
        url = self.chance.choice(self._notes.urls)
        if not self._token:
            body = {"account": self.name, "password": self._password}
            answer = trying(self._notes, lambda: _signed_in(url, body))
            if answer is None:
                return None
            self._token = answer
        return Person(url, self.name, self._token)

    def does(self, act: Callable[[Person], Any]) -> Any:
        """Have them act at some server; None where it did not work out."""
        person = self.person()
        if person is None:
            self._notes.stop.wait(0.3)
            return None
        try:
            return act(person)
        except httpx2.TransportError:
            self._notes.stop.wait(0.2)
        except Refused as error:
            if error.status == 401:
                self._token = ""
            if error.problem.get("code") not in PASSING:
                self._notes.surprised(error)
            self._notes.stop.wait(0.2)
        return None


def _signed_in(url: str, body: dict[str, str]) -> str:
    response = httpx2.post(f"{url}/api/v1/sign-in", json=body, timeout=20)
    if response.status_code != 200:
        raise Refused(response)
    return str(response.json()["access_token"])


class Reader:
    """One reader, who gets one grant after another and reads by each a few times, each time in some manner."""

    def __init__(self, notes: Notes, me: Actor, approver: Actor) -> None:
        self._notes = notes
        self._me = me
        self._approver = approver
        self._chance = me.chance

    def run(self) -> None:
        """Read until told to stop."""
        while not self._notes.stop.is_set():
            if (found := self._granted()) is None:
                self._notes.stop.wait(0.3)
                continue
            grant, duration_s = found
            ends = [self._ends_after(grant)] if self._chance.random() < 0.5 else []
            for _ in range(self._chance.randint(1, 4)):
                if not self._notes.stop.is_set():
                    self._read(grant, duration_s)
            for one in ends:
                one.join()

    def _granted(self) -> tuple[str, int] | None:
        notes, chance = self._notes, self._chance
        service = chance.choice(SERVICES)
        duration_s = chance.choice((4, 10, 60, 600))
        body: dict[str, Any] = {
            "scopes": [
                {
                    "source": "files",
                    "selector": f'{{service="{service}"}}',
                    "window": {"lookback_s": 3_600, "live": True},
                }
            ],
            "reason": "a look at what goes on",
            "duration_s": duration_s,
        }
        if chance.random() < 0.4:
            body["limits"] = {"lines": chance.choice((7, 100, 700))}
        key = f"soak-{self._me.name}-{next(_numbers)}"
        request = self._repeated(lambda person: person.create("/requests", body, key=key))
        if request is None:
            return None
        notes.told("request", request=request["id"], digest=request["digest"])
        decided = self._approver.does(lambda person: person.decide(request))
        if decided is None:
            self._me.does(lambda person: person.call("POST", f"/requests/{request['id']}/cancel"))
            return None
        notes.told("review", review=decided["review"]["id"], request=request["id"])
        grant = str(decided["request"]["grant"])
        notes.told("grant", grant=grant, request=request["id"])
        if self._repeated(lambda person: person.call("POST", f"/grants/{grant}/activate")) is None:
            return None
        notes.told("activated", grant=grant, duration_s=duration_s)
        return grant, duration_s

    def _repeated(self, act: Callable[[Person], Any]) -> Any:
        """Try a call that may be repeated a few times, as clients do whose answer did not come."""
        for _ in range(8):
            if self._notes.stop.is_set() or (found := self._me.does(act)) is not None:
                return None if self._notes.stop.is_set() else found
        return None

    def _ends_after(self, grant: str) -> threading.Thread:
        wait_s = self._chance.uniform(0.2, 8)
        returns = self._chance.random() < 0.3
        thread = threading.Thread(target=self._end, args=(grant, wait_s, returns))
        thread.start()
        return thread

    def _end(self, grant: str, wait_s: float, returns: bool) -> None:
        self._notes.stop.wait(wait_s)
        if returns:
            shown = self._me.does(lambda person: person.call("POST", f"/grants/{grant}/return"))
        else:
            shown = self._approver.does(
                lambda person: person.call("POST", f"/grants/{grant}/revoke", {"reason": "over"})
            )
        if shown is not None:
            self._notes.told("returned" if returns else "revoked", grant=grant)

    def _read(self, grant: str, duration_s: int) -> None:
        person = self._me.person()
        if person is None:
            return
        kind = self._chance.choice(KINDS)
        start_ns = str(
            time.clock_gettime_ns(time.CLOCK_REALTIME) - self._chance.choice((2, 30, 300)) * 10**9 - next(_numbers)
        )
        follow = "&follow=true" if self._chance.random() < 0.75 else "&direction=forward"
        asked = (
            f"GET /g/{grant}/logs?start={start_ns}{follow} HTTP/1.1\r\nHost: soak\r\nAccept: application/x-ndjson\r\n"
            f"Authorization: Bearer {person.token}\r\n\r\n"
        )
        path = self._notes.folder / "received" / f"{self._me.name}-{next(_numbers):06d}-{kind}.ndjson"
        with path.open("w") as into:
            first = {"grant": grant, "start_ns": start_ns, "who": self._me.name, "source": "files", "url": person.url}
            wall_s = time.clock_gettime(time.CLOCK_REALTIME) - time.monotonic()
            into.write(json.dumps({**first, "prompt": kind in ("prompt", "leaving"), "wall_s": wall_s}) + "\n")
            until = time.monotonic() + min(LONGEST_CALL_S, duration_s + 5)
            how = receive(person.url, asked.encode(), kind, until, self._chance, self._notes.stop, into)
            into.write(json.dumps({"at": time.monotonic(), "end": how}) + "\n")
        self._notes.stop.wait(0.1)


def receive(
    url: str, asked: bytes, kind: str, until: float, chance: random.Random, stop: threading.Event, into: TextIO
) -> str:
    """Send a call and write down what comes until it ends, or the client has had enough; return how it ended."""
    sock = socket.socket()
    if kind in ("crawling", "still"):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL)
    sock.settimeout(0.5)
    leaves_at = time.monotonic() + chance.uniform(0.2, 5) if kind == "leaving" else until
    reads_from = time.monotonic() + chance.uniform(3, 12) if kind == "still" else 0.0
    try:
        sock.connect(("127.0.0.1", int(url.rpartition(":")[2])))
        sock.sendall(asked)
        while not stop.is_set() and time.monotonic() < min(until, leaves_at):
            if time.monotonic() < reads_from:
                time.sleep(0.1)
                continue
            if kind == "crawling":
                time.sleep(0.1)
            try:
                content = sock.recv(1_024 if kind == "crawling" else 65_536)
            except TimeoutError:
                continue
            if not content:
                return "closed"
            into.write(json.dumps({"at": time.monotonic(), "bytes": content.decode("latin-1")}) + "\n")
        if kind == "leaving":  # without a word: a reset, and whatever was under way is lost
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    except OSError:
        return "reset"
    else:
        return "left"
    finally:
        with contextlib.suppress(OSError):
            sock.close()


class Locker:
    """Locks a reader or the source now and then, and has somebody else lift it."""

    def __init__(self, notes: Notes, locks: Actor, lifts: Actor, names: list[str]) -> None:
        self._notes = notes
        self._locks = locks
        self._lifts = lifts
        self._names = names

    def run(self) -> None:
        """Lock and lift until told to stop; what is locked in the end is lifted."""
        chance = self._locks.chance
        while not self._notes.stop.wait(chance.uniform(4, 12)):
            on = "source:files" if chance.random() < 0.2 else f"person:{chance.choice(self._names)}"
            made = self._locks.does(lambda person: person.create("/locks", {"on": on, "reason": "stop"}))  # noqa: B023
            if made is None:
                continue
            self._notes.told("locked", lock=made["id"], on=on)
            self._notes.stop.wait(chance.choice((0.5, 2, 6)))
            self._lift(made["id"])

    def _lift(self, lock: str) -> None:
        began = time.monotonic()
        while time.monotonic() < began + 60:
            if self._lifts.does(lambda person: person.call("POST", f"/locks/{lock}/lift", {"reason": "over"})):
                self._notes.told("lifted", lock=lock, began=began)
                return
            time.sleep(0.2)
