"""A thousand tails whose clients never read while lines come: memory, stalls of the event loop, and time to a cut.

The server is the whole product in a process of its own, with its own limits but those for one address, since all
clients are on this machine. Each stalled client asks for lines that fill all buffers on the way to it and takes
nothing. The product and the kernel give up on such a client after half a minute; here both wait for an hour, so that
all of them are there at once and stay. Beside them healthy tails are opened a few at a time, each under a grant of
its own, and the grants are revoked: milliseconds count from the acknowledgement to the last byte at the client. At
last the grant of the stalled ones is revoked; that takes effect on one when its connection is reset.

Told are resident memory (its peak, and its slope in the second half), how late the event loop came to a timer every
twentieth of a second, and both latencies. How busy the server was is told as its share of one processor.

Run: ``python -m bench.stalled [--tails 990] [--rate 1] [--seconds 90]``. The last line is one object of JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import select
import socket
import statistics
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import httpx2
from tests.fakes.stack import Person, Stack
from tests.promises.shared import POLICY, granted, populated, quick
from tests.races.test_killed_server import attempted

from loglease.gateway import connection
from loglease.server import wiring
from loglease.server.metrics import gauges

GOALS: Final = {"peak_mib": 512.0, "slope_mib_per_min": 1.0, "loop_lag_p99.9_s": 0.1, "cut_max_ms": 1_000.0}
LAG_EVERY_S: Final = 0.05
PATIENCE_S: Final = 3_600
FILL: Final = 24
FILL_BYTES: Final = 2_000
PROBES: Final = 5
"""Healthy tails that are open at once; the server takes a thousand tails in all."""

ASKING: Final = 8
"""So many stalled clients wait for their answer to begin at once: more would be a storm of openings."""

LOOK_EVERY_S: Final = 0.04
SETTLED_S: Final = 6.0
"""After so long a stalled tail has begun to skip lines."""

_OPEN = re.compile(r'^loglease_sessions_open\{[^}]*kind="tail"[^}]*\} (\S+)$', re.MULTILINE)
_ENDED = re.compile(r'^loglease_sessions_ended_total\{reason="([^"]+)"\} (\S+)$', re.MULTILINE)
_LAG = re.compile(r'^loglease_event_loop_lag_seconds_bucket\{le="([^"]+)"\} (\S+)$', re.MULTILINE)


def prepared() -> None:
    """Have the server look more often at how late its event loop is, and wait long for who takes nothing."""
    gauges.LAG_EVERY_S = LAG_EVERY_S  # type: ignore[misc]
    connection.USER_TIMEOUT_MS = PATIENCE_S * 1_000  # type: ignore[misc]
    made = wiring._gateway_settings  # noqa: SLF001 - it is no setting of the product
    wiring._gateway_settings = lambda settings: replace(made(settings), slow_after_s=PATIENCE_S)  # noqa: SLF001


def tail_call(grant: str, token: str, since: str) -> bytes:
    """Return a call that follows the lines of a grant."""
    path = f"/g/{grant}/logs?query=%7Bservice%3D%22web%22%7D&follow=true&since={since}"
    return f"GET {path} HTTP/1.1\r\nHost: bench\r\nConnection: close\r\nAuthorization: Bearer {token}\r\n\r\n".encode()


class Stalled(threading.Thread):
    """Clients that take nothing. One that was refused or lost asks anew until `last` is set."""

    def __init__(self, port: int, call: bytes, count: int) -> None:
        super().__init__(daemon=True)
        self._port = port
        self._call = call
        self._count = count
        self._watched = select.epoll()
        self._open: dict[int, socket.socket] = {}
        self._asking: set[int] = set()
        self.last = threading.Event()
        self.over = threading.Event()
        self.made = 0
        self.ended_ns: list[int] = []
        """When each connection ended after `last`."""

    @property
    def open(self) -> int:
        """Connections that the server has not given up on."""
        return len(self._open)

    def run(self) -> None:
        """Keep so many connections."""
        while not self.over.is_set():
            while not self.last.is_set() and len(self._open) < self._count and len(self._asking) < ASKING:
                self._connect()
            for number, what in self._watched.poll(LOOK_EVERY_S):
                self._asking.discard(number)
                if what == select.EPOLLIN:
                    self._watched.modify(number, select.EPOLLRDHUP)  # errors are told, too; bytes are no more
                    continue
                self._watched.unregister(number)
                self._open.pop(number).close()
                if self.last.is_set():
                    self.ended_ns.append(time.monotonic_ns())

    def _connect(self) -> None:
        client = socket.socket()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        client.connect(("127.0.0.1", self._port))
        client.sendall(self._call)
        self._open[client.fileno()] = client
        self._asking.add(client.fileno())
        self._watched.register(client, select.EPOLLIN | select.EPOLLRDHUP)
        self.made += 1


class Probe(threading.Thread):
    """A healthy tail: when its last byte came."""

    def __init__(self, port: int, call: bytes) -> None:
        super().__init__(daemon=True)
        self._connection = socket.create_connection(("127.0.0.1", port))
        self._connection.sendall(call)
        self.begun = threading.Event()
        self.last_ns = 0
        self.content = b""

    def run(self) -> None:
        """Read to the end."""
        try:
            while chunk := self._connection.recv(65_536):
                self.last_ns = time.monotonic_ns()
                self.content = (self.content + chunk)[-2_000:]
                if b'"type":"line"' in self.content:
                    self.begun.set()
        except ConnectionError:
            self.last_ns = self.last_ns or time.monotonic_ns()
        self._connection.close()


@dataclass
class Seen:
    """What was measured while the clients were stalled."""

    memory: list[tuple[float, float]] = field(default_factory=list)
    cut_ms: list[float] = field(default_factory=list)
    act_ms: list[float] = field(default_factory=list)
    not_begun: int = 0


def writing(path: Path, rate: float, over: threading.Event) -> None:
    """Write so many lines a second."""
    number = 0
    with path.open("a") as log:
        while not over.wait(1 / rate):
            number += 1
            log.write(f'{{"level":"info","msg":"fresh {number} of ann{number}@example.com"}}\n')
            log.flush()


def resident_mib(pid: int, name: str) -> float:
    """Return what the kernel says of a process's memory: `VmRSS` now, `VmHWM` at most so far."""
    status = Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith(f"{name}:")) / 1024


def processor_s(pid: int) -> float:
    """Return the processor time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def open_tails(health: str) -> int:
    """Return how many tails the server has open."""
    return sum(int(float(count)) for count in _OPEN.findall(httpx2.get(health, timeout=60).text))


def lags(health: str) -> dict[float, float]:
    """Return how often the event loop was at most so late, in all."""
    text = httpx2.get(health, timeout=60).text
    return {float(bound.replace("+Inf", "inf")): float(count) for bound, count in _LAG.findall(text)}


def lag_quantile(before: dict[float, float], after: dict[float, float], share: float) -> float:
    """Return the bound below which this share of the looks between two readings lies."""
    counts = {bound: after[bound] - before.get(bound, 0) for bound in sorted(after)}
    return next(bound for bound, count in counts.items() if count >= share * counts[float("inf")])


def slope(points: list[tuple[float, float]]) -> float:
    """Return the growth a minute of points in seconds, by least squares."""
    return statistics.linear_regression([at for at, _ in points], [value for _, value in points]).slope * 60


def probed(stack: Stack, people: dict[str, Person], seen: Seen) -> None:
    """Open healthy tails and revoke their grants, one after another."""
    alice, bob = people["alice"], people["bob"]
    grants = [attempted(lambda: granted(alice, bob, '{service="web"}')) for _ in range(PROBES)]
    probes = [Probe(stack.port, tail_call(grant, alice.token, "1s")) for grant in grants]
    for probe in probes:
        probe.start()
    for grant, probe in zip(grants, probes, strict=True):
        seen.not_begun += not probe.begun.wait(30)
        began_ns = time.monotonic_ns()
        bob.call("POST", f"/grants/{grant}/revoke", {"reason": "bench"})
        acknowledged_ns = time.monotonic_ns()
        probe.join(30)
        seen.cut_ms.append(max(0.0, (probe.last_ns - acknowledged_ns) / 1e6))
        seen.act_ms.append((probe.last_ns - began_ns) / 1e6)


def measure(arguments: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Run the whole scene and return its figures."""
    policy = POLICY.replace("lines: 10000", "lines: 100000000").replace("tails: 20", "tails: 2000")
    stack = populated(
        folder, policy=policy.replace("queries_per_min: 1000", "queries_per_min: 100000"), prepare=prepared
    )
    log = stack.logs / "web.log"
    filler = '{"level":"info","msg":"' + "y" * FILL_BYTES + '"}\n'
    log.write_text(filler * FILL)
    over = threading.Event()
    threading.Thread(target=writing, args=(log, arguments.rate, over), daemon=True).start()
    try:
        people = {name: quick(stack.sign_in(name)) for name in ("alice", "bob")}
        assert stack.process is not None
        pid = stack.process.pid
        found = re.search(r"^Health +(http\S+)/\w+$", (stack.folder / "stdout.log").read_text(), re.MULTILINE)
        assert found is not None
        health = f"{found[1]}/metrics"
        alone = resident_mib(pid, "VmRSS")
        grant = granted(people["alice"], people["bob"], '{service="web"}')
        stalled = Stalled(stack.port, tail_call(grant, people["alice"].token, "1h"), arguments.tails)
        began = time.monotonic()
        stalled.start()
        while (count := open_tails(health)) < arguments.tails * 0.98 and time.monotonic() - began < 240:
            time.sleep(0.5)
        took_s = time.monotonic() - began
        print(f"{count} tails open after {took_s:.1f} s, {resident_mib(pid, 'VmRSS'):.0f} MiB", flush=True)
        time.sleep(SETTLED_S)
        figures = watched(arguments, stack, people, (stalled, health, pid))
        figures |= {"alone_mib": round(alone, 1), "peak_mib": round(resident_mib(pid, "VmHWM"), 1)}
        figures["all_cut_ms"] = cut_all(people["bob"], grant, stalled)
        return figures
    finally:
        over.set()
        stack.stop()


def watched(
    arguments: argparse.Namespace, stack: Stack, people: dict[str, Person], of: tuple[Stalled, str, int]
) -> dict[str, Any]:
    """Look at the server while its clients are stalled, and revoke grants of healthy ones."""
    stalled, health, pid = of
    seen = Seen()
    over = threading.Event()

    def remember() -> None:
        while not over.wait(0.5):
            seen.memory.append((time.monotonic(), resident_mib(pid, "VmRSS")))

    watching = threading.Thread(target=remember)
    watching.start()
    before, began, busy = lags(health), time.monotonic(), processor_s(pid)
    made = stalled.made
    try:
        while time.monotonic() - began < arguments.seconds:
            probed(stack, people, seen)
            print(
                f"{time.monotonic() - began:6.1f} s: {open_tails(health)} tails, {resident_mib(pid, 'VmRSS'):.0f} MiB, "
                f"cut max {max(seen.cut_ms):.0f} ms",
                flush=True,
            )
    finally:
        over.set()
        watching.join()
    took_s = time.monotonic() - began
    busy = processor_s(pid) - busy
    after = lags(health)
    ended = {reason: round(float(count)) for reason, count in _ENDED.findall(httpx2.get(health, timeout=60).text)}
    return {
        "tails": arguments.tails,
        "lines_per_s": arguments.rate,
        "seconds": round(took_s, 1),
        "processor_share": round(busy / took_s, 2),
        "reopened": stalled.made - made,
        "open_at_the_end": open_tails(health),
        "ended": ended,
        "slope_mib_per_min": round(slope(seen.memory[len(seen.memory) // 2 :]), 2),
        "loop_lag_p50_s": lag_quantile(before, after, 0.5),
        "loop_lag_p99_s": lag_quantile(before, after, 0.99),
        "loop_lag_p99.9_s": lag_quantile(before, after, 0.999),
        "loop_lag_above_100ms": round(after[float("inf")] - before[float("inf")] - after[0.1] + before[0.1]),
        "loop_looks": round(after[float("inf")] - before[float("inf")]),
        "revocations": len(seen.cut_ms),
        "not_begun": seen.not_begun,
        "cut_median_ms": round(statistics.median(seen.cut_ms), 1),
        "cut_max_ms": round(max(seen.cut_ms), 1),
        "act_to_last_byte_median_ms": round(statistics.median(seen.act_ms), 1),
        "act_to_last_byte_max_ms": round(max(seen.act_ms), 1),
    }


def cut_all(bob: Person, grant: str, stalled: Stalled) -> float:
    """Revoke the grant of all stalled clients; return milliseconds from the acknowledgement to the last reset."""
    stalled.last.set()
    time.sleep(0.1)
    bob.call("POST", f"/grants/{grant}/revoke", {"reason": "bench"})
    acknowledged_ns = time.monotonic_ns()
    while stalled.open and time.monotonic_ns() - acknowledged_ns < 30e9:
        time.sleep(0.02)
    stalled.over.set()
    stalled.join()
    return round(max(0.0, max(stalled.ended_ns, default=0) - acknowledged_ns) / 1e6, 1)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tails", type=int, default=990)
    parser.add_argument("--rate", type=float, default=1.0, help="lines a second that each tail could have")
    parser.add_argument("--seconds", type=float, default=90.0)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        figures = measure(arguments, Path(folder) / "server")
    goals = {
        name: {"figure": figures[name], "at_most": most, "met": figures[name] <= most} for name, most in GOALS.items()
    }
    for name, value in figures.items():
        print(f"{name:28} {value}")
    print(json.dumps({"bench": "stalled", **figures, "goals": goals}))
    sys.exit(0 if all(one["met"] for one in goals.values()) else 1)


if __name__ == "__main__":
    main()
