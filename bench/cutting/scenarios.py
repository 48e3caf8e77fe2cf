"""What `bench.cut` does to open tails, and what it measures at their clients."""

from __future__ import annotations

import datetime as dt
import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from bench.cutting.site import Api, Site, service_of

WITHIN_S = 20.0
RESUMED_S = 5.0
BURNERS = 2
BURN = "while True: pass"


@dataclass
class Setting:
    """How much is opened, and how long it is left alone before the act."""

    tails: int
    warm_s: float
    slow: int
    rate: float

    @property
    def since(self) -> str:
        """From when a tail reads, so that it has its first line at once."""
        return f"{max(1, round(3 / self.rate))}s"


@dataclass
class Found:
    """What the clients of one run saw."""

    cut_ms: list[float] = field(default_factory=list)
    act_ms: list[float] = field(default_factory=list)
    after_bytes: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    residue: dict[str, list[int]] = field(default_factory=dict)
    not_begun: int = 0
    not_ended: int = 0


class ClientProcess:
    """The process with the clients, which reads while this one acts."""

    def __init__(self, site: Site, tails: list[dict[str, Any]]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bench.cutting.clients"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._send(json.dumps({"tls": site.tls, "tails": tails}))

    def _send(self, text: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{text}\n")
        self._process.stdin.flush()

    def begin(self, command: str) -> None:
        """Give a command; `answer` is what it says."""
        self._send(command)

    def answer(self) -> dict[str, Any]:
        """Wait for what the last command says."""
        assert self._process.stdout is not None
        found: dict[str, Any] = json.loads(self._process.stdout.readline())
        return found

    def ask(self, command: str) -> dict[str, Any]:
        """Give a command and wait for its answer."""
        self.begin(command)
        return self.answer()

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(30)


def tail_of(port: int, api: Api, grant: str, service: str, *, since: str, kind: str = "prompt") -> dict[str, Any]:
    """Return a tail as the client process opens it."""
    query = quote(f'{{service="{service}"}}')
    head = [
        f"GET /g/{grant}/logs?follow=true&since={since}&query={query} HTTP/1.1",
        "Host: bench",
        "Accept: application/x-ndjson",
        f"Authorization: Bearer {api.token}",
    ]
    return {"port": port, "kind": kind, "request": "\r\n".join([*head, "", ""])}


@contextmanager
def followed(
    site: Site, setting: Setting, grants: list[str], ports: list[int]
) -> Iterator[tuple[ClientProcess, Found]]:
    """Open tails, over grants and servers in turn, and have them read."""
    alice = site.alices[0]
    tails = [
        tail_of(
            ports[number % len(ports)], alice, grants[number % len(grants)], service_of(number), since=setting.since
        )
        for number in range(setting.tails)
    ]
    clients = ClientProcess(site, tails)
    found = Found()
    try:
        began = clients.ask("open")
        found.not_begun = setting.tails - began["begun"]
        if found.not_begun:
            print(f"{found.not_begun} tails did not begin: {began['said']}", flush=True)
        clients.ask(f"read {setting.warm_s}")
        clients.begin(f"wait {WITHIN_S}")
        yield clients, found
    finally:
        clients.close()


def measured(clients: ClientProcess, found: Found, began_ns: int, acknowledged_ns: int) -> Found:
    """Add what the clients saw of an act."""
    for one in clients.answer()["clients"]:
        if not one["marks"]:
            continue
        last = one["marks"][-1][0]
        found.not_ended += one["how"] is None
        found.cut_ms.append(max(0.0, (last - acknowledged_ns) / 1e6))
        found.act_ms.append(max(0.0, (last - began_ns) / 1e6))
        found.after_bytes = max(found.after_bytes, sum(size for at, size in one["marks"] if at > acknowledged_ns))
        found.reasons[one["reason"]] += 1
    return found


def acted(act: Callable[[], Any]) -> tuple[int, int]:
    """Act; return when that began and when it was acknowledged."""
    began_ns = time.monotonic_ns()
    act()
    return began_ns, time.monotonic_ns()


def one_grant(site: Site, setting: Setting) -> Found:
    """All tails read by one grant, which is revoked."""
    grant = site.alices[0].grant()
    with followed(site, setting, [grant], site.ports[-1:]) as (clients, found):
        return measured(clients, found, *acted(lambda: _revoke(site, f"grant:{grant}")))


def one_person(site: Site, setting: Setting) -> Found:
    """Each tail has a grant of its own, all of one person, from whom everything is taken away."""
    grants = [site.alices[0].grant() for _ in range(setting.tails)]
    with followed(site, setting, grants, site.ports[-1:]) as (clients, found):
        return measured(clients, found, *acted(lambda: _revoke(site, "person:alice")))


def source_lock(site: Site, setting: Setting) -> Found:
    """All tails read one source, which is locked."""
    grant = site.alices[0].grant()
    with followed(site, setting, [grant], site.ports[-1:]) as (clients, found):
        made: dict[str, Any] = {}
        times = acted(lambda: made.update(_lock(site)))
        measured(clients, found, *times)
    site.erin.call("POST", f"/locks/{made['id']}/lift", {"reason": "measured"})
    return found


def expiry(site: Site, setting: Setting) -> Found:
    """All tails read by one grant, whose time runs out; measured from that moment."""
    alice = site.alices[0]
    grant = alice.grant(duration_s=round(30 + setting.warm_s + setting.tails / 8))
    with followed(site, setting, [grant], site.ports[-1:]) as (clients, found):
        until = dt.datetime.fromisoformat(alice.call("GET", f"/grants/{grant}")["valid_until"])
        left_s = (until - dt.datetime.now(tz=dt.UTC)).total_seconds()
        ends_ns = time.monotonic_ns() + round(left_s * 1e9)
        clients.answer()  # a first wait that may end before the grant does
        while time.monotonic_ns() < ends_ns:
            clients.ask(f"wait {WITHIN_S}")
        clients.begin(f"wait {WITHIN_S}")
        return measured(clients, found, ends_ns, ends_ns)


def saturated(site: Site, setting: Setting) -> Found:
    """All processors are busy with something else when the one grant is revoked."""
    with ExitStack() as stack:
        grant = site.alices[0].grant()
        clients, found = stack.enter_context(followed(site, setting, [grant], site.ports[-1:]))
        for _ in range(BURNERS):
            burner = subprocess.Popen([sys.executable, "-c", BURN])
            stack.callback(burner.wait)
            stack.callback(burner.kill)
        time.sleep(2)
        return measured(clients, found, *acted(lambda: _revoke(site, f"grant:{grant}")))


def database_lost(site: Site, setting: Setting) -> Found:
    """The database stops answering; measured from that moment."""
    assert site.database is not None
    grant = site.alices[0].grant()
    with followed(site, setting, [grant], site.ports[-1:]) as (clients, found):
        began_ns = time.monotonic_ns()
        with site.database.frozen():
            measured(clients, found, began_ns, time.monotonic_ns())
    _until_answered(site)
    return found


def other_servers(site: Site, setting: Setting) -> Found:
    """The first server is told to revoke; the tails are on the others."""
    grant = site.alices[0].grant()
    with followed(site, setting, [grant], site.ports[1:]) as (clients, found):
        return measured(clients, found, *acted(lambda: _revoke(site, f"grant:{grant}")))


def residue(site: Site, setting: Setting) -> Found:
    """Readers with 4 KiB buffers crawl, or never read; what they still get five seconds after the revocation."""
    grant = site.alices[0].grant('service="flood"')
    kinds = ("crawling", "still")
    tails = [
        tail_of(site.ports[0], site.alices[0], grant, "flood", kind=kinds[number % 2], since="1h")
        for number in range(setting.slow)
    ]
    clients = ClientProcess(site, tails)
    found = Found()
    try:
        clients.ask("open")
        clients.ask(f"read {setting.warm_s}")
        clients.ask("stop")
        _revoke(site, f"grant:{grant}")
        time.sleep(RESUMED_S)
        for one in clients.ask("rest")["rest"]:
            found.residue.setdefault(one["kind"], []).append(one["bytes"])
    finally:
        clients.close()
    return found


def _revoke(site: Site, on: str) -> Any:
    return site.admins[0].call("POST", "/revocations", {"on": on, "reason": "measured"})


def _lock(site: Site) -> Any:
    return site.admins[0].call("POST", "/locks", {"on": "source:files", "reason": "measured"})


def _until_answered(site: Site) -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        try:
            site.alices[0].signed_in("alice", "of this measurement only")
        except (OSError, RuntimeError):
            time.sleep(0.2)
        else:
            return
