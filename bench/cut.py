"""How long a revocation takes to reach open tails, and what still arrives afterwards.

The server runs in a process of its own, the clients in this one, and both read the same monotonic clock. Healthy
clients measure milliseconds from the acknowledged revocation to their last byte, 0 if that came before; stalled ones,
with small receive buffers, read again two seconds after it and count what they still get. Each round is repeated at
once with an orderly close on sockets with default buffers, which is what a server does that just ends its handler. The
tails of two scenarios are chunked bodies, those of the third are Loki's WebSockets.

Run: ``python -m bench.cut [--tails 200] [--rate 1] [--rounds 3] [--stalled 20]``. The last line is one object of JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from array import array
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.gateway_stack import request_bytes, stack

from loglease.gateway import GatewaySettings, SessionProtocol
from loglease.gateway.connection import Connection
from loglease.model.hold import LockKind, LockOn
from loglease.model.instant import Interval
from loglease.model.labels import Labels, Selector
from loglease.model.limits import Limits
from loglease.sources.interface import Capabilities, Gap, Health, Page, ReadPlan

LINE = b"GET /checkout 200 12ms user=42 " + b"x" * 170
BURST = 3_000
STALLED_PAUSE_S = 2.0
SCENARIOS = ("one_grant", "many_grants", "websocket")
ASKS_WEBSOCKET = (
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version: 13",
)


def tail_request(grant: str, *, websocket: bool) -> bytes:
    """Return a call that follows the lines of a grant."""
    if websocket:
        return request_bytes(f"/g/{grant}/loki/api/v1/tail?query=%7B%7D&since=1s", *ASKS_WEBSOCKET)
    return request_bytes(f"/g/{grant}/logs?follow=true&since=1s")


class DefaultConnection(Connection):
    """What a server without a cut does: default buffers, orderly close."""

    def prepare(self) -> None:
        """Change nothing."""
        self.serves_session = True

    def reset(self) -> None:
        """Close in order."""
        self.close()


class DefaultProtocol(SessionProtocol):
    """Serves on `DefaultConnection`."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take over a new connection."""
        super().connection_made(transport)
        self.connection = DefaultConnection(transport, self)
        self.app_state = {**self.app_state, "loglease.connection": self.connection}


class Drip:
    """A source that gives each follower so many lines a second; to `service="flood"` all at once and more."""

    capabilities = Capabilities(follow=True)

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._number = 0

    async def read(self, plan: ReadPlan) -> AsyncIterator[Page]:
        """Give nothing."""
        del plan
        for page in list[Page]():
            yield page

    async def follow(self, plan: ReadPlan) -> AsyncIterator[Page | Gap]:
        """Give lines for ever."""
        self._number += 1
        flood = "flood" in str(plan.selector)
        labels = (("service", "flood" if flood else "a"),)
        if not flood:
            await asyncio.sleep((self._number % 100) / 100 / self._rate)
        while True:
            count = 200 if flood else 1
            now = time.clock_gettime_ns(time.CLOCK_REALTIME)
            yield Page([labels], array("I", [0] * count), array("q", [now] * count), [LINE] * count, [None] * count)
            await asyncio.sleep(0.01 if flood else 1 / self._rate)

    async def series(self, selector: Selector, interval: Interval) -> AsyncIterator[Labels]:
        """Give nothing."""
        del selector, interval
        for labels in list[Labels]():
            yield labels

    async def labels(self, selector: Selector, interval: Interval) -> set[str]:
        """Give nothing."""
        del selector, interval
        return set()

    async def label_values(self, name: str, selector: Selector, interval: Interval) -> set[str]:
        """Give nothing."""
        del name, selector, interval
        return set()

    async def check(self) -> Health:
        """Say that all is well."""
        return Health(ok=True, detail="")

    async def aclose(self) -> None:
        """Do nothing."""


async def serve(mode: str, grants: int, rate: float) -> None:
    """Run the server; standard input takes `revoke`, standard output answers."""
    protocol = SessionProtocol if mode == "cut" else DefaultProtocol
    settings = GatewaySettings(tails=4_000)
    with tempfile.TemporaryDirectory() as directory:
        async with stack(Path(directory), Drip(rate), settings=settings, protocol=protocol) as made:
            limits = Limits(tails=4_000, queries_per_min=4_000)
            found = [await made.grant('{service="a"}', profile="raw@1", limits=limits) for _ in range(grants)]
            flood = await made.grant('{service="flood"}', profile="raw@1", limits=limits)
            ids = [grant.id for grant in found]
            print(json.dumps({"port": made.port, "grants": ids, "flood": flood.id}), flush=True)
            loop = asyncio.get_running_loop()
            while (await loop.run_in_executor(None, sys.stdin.readline)).strip() == "revoke":
                await made.revoke(LockOn(LockKind.GRANT, flood.id))
                began_ns = time.monotonic_ns()
                on = LockOn(LockKind.GRANT, ids[0]) if grants == 1 else LockOn(LockKind.PRINCIPAL, made.person.id)
                await made.revoke(on)
                print(json.dumps({"began_ns": began_ns, "acknowledged_ns": time.monotonic_ns()}), flush=True)


class Client(asyncio.Protocol):
    """A healthy reader: when its last byte came, how many came after the act, and how the answer ended."""

    def __init__(self) -> None:
        self.received = 0
        self.last_ns = 0
        self.tail = b""
        self.error: Exception | None = None
        self.ended = asyncio.Event()
        self.marks: list[tuple[int, int]] = []

    def data_received(self, data: bytes) -> None:
        """Take bytes."""
        self.received += len(data)
        self.last_ns = time.monotonic_ns()
        self.marks.append((self.last_ns, len(data)))
        del self.marks[:-50]
        self.tail = (self.tail + data)[-400:]

    def connection_lost(self, exc: Exception | None) -> None:
        """Note the end."""
        self.error = exc
        self.ended.set()

    @property
    def reason(self) -> str:
        """How it ended, as the client sees it."""
        if (close := self.tail.rfind(b"\x88")) >= 0 and self.tail[close + 1] == len(self.tail) - close - 2:
            return self.tail[close + 4 :].decode()
        at = self.tail.rfind(b'"reason":"')
        if at >= 0:
            return self.tail[at + 10 :].split(b'"')[0].decode()
        return "reset" if self.error else "closed"


@dataclass
class Round:
    """Figures of one round."""

    cut_ms: list[float] = field(default_factory=list)
    act_ms: list[float] = field(default_factory=list)
    after_bytes: list[int] = field(default_factory=list)
    residue: list[int] = field(default_factory=list)
    reasons: Counter[str] = field(default_factory=Counter)
    not_ended: int = 0


async def one_round(mode: str, arguments: argparse.Namespace, scenario: str) -> Round:
    """Open the tails, revoke, measure."""
    grants = arguments.tails if scenario == "many_grants" else 1
    websocket = scenario == "websocket"
    command = [sys.executable, "-m", "bench.cut", "serve", mode, str(grants), str(arguments.rate)]
    server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert server.stdin is not None
    assert server.stdout is not None
    loop = asyncio.get_running_loop()
    try:
        ready: dict[str, Any] = json.loads(await loop.run_in_executor(None, server.stdout.readline))
        clients = await _opened(ready, arguments.tails, websocket=websocket)
        stalled = [_stalled(ready, websocket=websocket) for _ in range(arguments.stalled)]
        await asyncio.sleep(arguments.warm)
        began = sum(1 for client in clients if client.received)
        server.stdin.write("revoke\n")
        server.stdin.flush()
        act: dict[str, int] = json.loads(await loop.run_in_executor(None, server.stdout.readline))
        acknowledged = act["acknowledged_ns"]
        waits = [asyncio.ensure_future(client.ended.wait()) for client in clients]
        await asyncio.wait(waits, timeout=15)
        result = Round()
        assert began == len(clients), f"{len(clients) - began} tails had not begun"
        for client in clients:
            result.not_ended += not client.ended.is_set()
            result.cut_ms.append(max(0.0, (client.last_ns - acknowledged) / 1e6))
            result.act_ms.append((client.last_ns - act["began_ns"]) / 1e6)
            result.after_bytes.append(sum(size for at, size in client.marks if at > acknowledged))
            result.reasons[client.reason] += 1
        await asyncio.sleep(max(0.0, STALLED_PAUSE_S - (time.monotonic_ns() - acknowledged) / 1e9))
        result.residue = await loop.run_in_executor(None, lambda: [_rest_of(one) for one in stalled])
        return result
    finally:
        server.stdin.close()
        try:
            server.wait(20)
        except subprocess.TimeoutExpired:
            server.kill()


async def _opened(ready: dict[str, Any], count: int, *, websocket: bool) -> list[Client]:
    loop = asyncio.get_running_loop()
    clients = []
    for number in range(count):
        transport, client = await loop.create_connection(Client, "127.0.0.1", ready["port"])
        grant = ready["grants"][number % len(ready["grants"])]
        transport.write(tail_request(grant, websocket=websocket))
        clients.append(client)
        if number % 20 == 19:
            until = time.monotonic() + 30
            while any(not one.received for one in clients) and time.monotonic() < until:
                await asyncio.sleep(0.01)
    return clients


def _stalled(ready: dict[str, Any], *, websocket: bool) -> socket.socket:
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    client.connect(("127.0.0.1", ready["port"]))
    client.sendall(tail_request(ready["flood"], websocket=websocket))
    return client


def _rest_of(client: socket.socket) -> int:
    """Read what is still to come, its own receive buffer included."""
    client.settimeout(5)
    total = 0
    try:
        while chunk := client.recv(65_536):
            total += len(chunk)
    except (ConnectionError, TimeoutError):
        pass
    client.close()
    return total


def _summary(rounds: list[Round]) -> dict[str, Any]:
    times = sorted(value for one in rounds for value in one.cut_ms)
    acts = sorted(value for one in rounds for value in one.act_ms)
    residue = [value for one in rounds for value in one.residue]
    reasons: Counter[str] = Counter()
    for one in rounds:
        reasons.update(one.reasons)
    return {
        "p50_ms": round(statistics.median(times), 1),
        "p99_ms": round(times[min(len(times) - 1, int(len(times) * 0.99))], 1),
        "max_ms": round(times[-1], 1),
        "from_start_of_act_p99_ms": round(acts[min(len(acts) - 1, int(len(acts) * 0.99))], 1),
        "bytes_after_max": max(value for one in rounds for value in one.after_bytes),
        "residue_max_bytes": max(residue, default=0),
        "residue_median_bytes": round(statistics.median(residue)) if residue else 0,
        "not_ended": sum(one.not_ended for one in rounds),
        "reasons": dict(reasons),
    }


def main() -> None:
    """Measure and print."""
    if sys.argv[1:2] == ["serve"]:
        asyncio.run(serve(sys.argv[2], int(sys.argv[3]), float(sys.argv[4])))
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tails", type=int, default=200)
    parser.add_argument("--rate", type=float, default=1.0, help="lines a second and tail")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--stalled", type=int, default=20, help="readers that read nothing")
    parser.add_argument("--warm", type=float, default=3.0, help="seconds between the last tail and the act")
    arguments = parser.parse_args()
    rounds: dict[str, list[Round]] = {}
    for number in range(arguments.rounds):
        for scenario in SCENARIOS:
            for mode in ("cut", "close"):
                result = asyncio.run(one_round(mode, arguments, scenario))
                rounds.setdefault(f"{scenario}_{mode}", []).append(result)
                print(f"round {number + 1} {scenario:11} {mode:5} {_summary([result])}", flush=True)
    figures = {name: _summary(found) for name, found in rounds.items()}
    for name, figure in figures.items():
        print(f"{name:18} {figure}")
    ours = max(figures[f"{name}_cut"]["residue_max_bytes"] for name in SCENARIOS)
    theirs = max(figures[f"{name}_close"]["residue_max_bytes"] for name in SCENARIOS)
    print(
        json.dumps(
            {
                "bench": "cut",
                "tails": arguments.tails,
                "rate": arguments.rate,
                "rounds": arguments.rounds,
                "stalled": arguments.stalled,
                "residue_ratio": round(theirs / ours, 1) if ours else None,
                **figures,
            }
        )
    )


if __name__ == "__main__":
    main()
