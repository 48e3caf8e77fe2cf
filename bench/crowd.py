"""Many at once: 64 queries and 500 tails on one gateway, and a revocation in the middle of it.

The server runs in a process of its own over a file source of made-up JSON logs, to which new lines are written all the
time, each service's for a tenth of the tails; the clients run in this one, and both read the same monotonic clock.
First a light query (the newest hundred lines) is asked alone. Then the tails are opened, then as many queries as a
gateway takes at once, of four kinds that all read the whole log; the light one is asked again and again beside them.
After a while one grant, with a tenth of the tails and some of the queries, is revoked. Told are peak memory of the
server at each stage, how evenly queries of one kind end, how much longer the light one takes, when the last byte of the
revoked grant came, and how many calls were refused or tails ended because they could not be recorded in time.

Run: ``python -m bench.crowd [--lines 100000] [--tails 500] [--queries 63] [--rate 0.5]``. The last line is one object
of JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

from bench.gateway_stack import request_bytes, stack
from bench.read import SERVICES, START_NS, UNLIMITED, write_logs

from loglease.model.hold import LockKind, LockOn
from loglease.model.limits import Limits
from loglease.server.clock import SystemClock
from loglease.sources.files import FileSource, FileSourceConfig, Watch

LINE_BYTES = 170
REVOKED_SHARE = 10
"""One tail and one query in so many belongs to the grant that is revoked."""
ALL = '{service=~"svc-.*"}'
KINDS = {
    "literal": f'{ALL} |= "lease-needle"',
    "regex": f'{ALL} |~ "lease-n[a-z]+"',
    "json": f"{ALL} | json | ms >= 899",
    "metric": f"sum by (level) (count_over_time({ALL} | json [5m]))",
}
GOAL_CUT_MS = 1_000
AT_ONCE = 25
"""So many tails are opened at once."""
SETTLED_S = 3.0
"""How long the tails are left alone before the queries come."""


async def serve(lines: int, rate: float) -> None:
    """Run the server; standard input takes `revoke`, standard output answers."""
    with tempfile.TemporaryDirectory() as directory:
        work = Path(directory)
        (work / "logs").mkdir()
        counts = write_logs(work / "logs", lines * LINE_BYTES, 1)
        watch = Watch(root=work / "logs", pattern="*.log", path_labels=r"(?P<service>[^/]+)\.log")
        source = FileSource(FileSourceConfig(name="src", directory=work / "source", watches=(watch,)), SystemClock())
        await source.start(poll=False)
        await source.refresh()
        writing = asyncio.create_task(_write(work / "logs", source, rate))
        async with stack(work, source, settings=UNLIMITED) as made:
            limits = Limits(tails=4_000, queries_per_min=100_000)
            kept, revoked = [await made.grant(ALL, profile="pii-default@1", limits=limits) for _ in range(2)]
            said = {"port": made.port, "kept": kept.id, "revoked": revoked.id, "lines": counts["lines"]}
            print(json.dumps(said), flush=True)
            loop = asyncio.get_running_loop()
            while (await loop.run_in_executor(None, sys.stdin.readline)).strip() == "revoke":
                began_ns = time.monotonic_ns()
                await made.revoke(LockOn(LockKind.GRANT, revoked.id))
                print(json.dumps({"began_ns": began_ns, "acknowledged_ns": time.monotonic_ns()}), flush=True)
        writing.cancel()
        await source.aclose()


async def _write(logs: Path, source: FileSource, rate: float) -> None:
    """Write so many lines a second to each service, one service after another."""
    number = 0
    while True:
        number += 1
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime()) + f".{number % 10**6:06d}Z"
        with (logs / f"{SERVICES[number % len(SERVICES)]}.log").open("a") as log:
            log.write(f'{{"ts":"{stamp}","level":"info","msg":"fresh {number}","ms":1}}\n')
        await source.refresh()
        await asyncio.sleep(1 / rate / len(SERVICES))


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
        at = self.tail.rfind(b'"reason":"')
        if at >= 0:
            return self.tail[at + 10 :].split(b'"')[0].decode()
        return "reset" if self.error else "closed"


@dataclass
class Server:
    """The server's process and what it said of itself."""

    process: subprocess.Popen[str]
    port: int
    kept: str
    revoked: str
    lines: int

    def peak_mib(self) -> float:
        """Return the most memory that it has had resident so far."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")) / 1024

    async def revoke(self) -> dict[str, int]:
        """Have the grant revoked; return when the act began and was acknowledged."""
        assert self.process.stdin is not None
        self.process.stdin.write("revoke\n")
        self.process.stdin.flush()
        return await _said(self.process)


async def _said(process: subprocess.Popen[str]) -> dict[str, Any]:
    assert process.stdout is not None
    loop = asyncio.get_running_loop()
    found: dict[str, Any] = json.loads(await loop.run_in_executor(None, process.stdout.readline))
    return found


@asynccontextmanager
async def server(lines: int, rate: float) -> AsyncIterator[Server]:
    """Start the server; it has stored its lines when this yields."""
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.crowd", "serve", str(lines), str(rate)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        said = await _said(process)
        yield Server(process, said["port"], said["kept"], said["revoked"], said["lines"])
    finally:
        assert process.stdin is not None
        process.stdin.close()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()


async def opened(port: int, path: str) -> Client:
    """Send a call and return its client."""
    transport, client = await asyncio.get_running_loop().create_connection(Client, "127.0.0.1", port)
    transport.write(request_bytes(path, "Connection: close"))
    return client


def path_of(grant: str, kind: str, lines: int) -> str:
    """Return the address of a query of a kind over the whole log."""
    query = quote(KINDS[kind])
    if kind != "metric":
        return f"/g/{grant}/logs?start=0&direction=forward&query={query}"
    end = START_NS + lines * 1_000_000
    return f"/g/{grant}/loki/api/v1/query_range?start={START_NS}&end={end}&step=60&query={query}"


async def light(made: Server) -> float | None:
    """Ask for the newest hundred lines; return milliseconds, None if that was refused."""
    began = time.perf_counter()
    client = await opened(made.port, f"/g/{made.kept}/logs?start=0&limit=100&query=%7B%7D")
    await client.ended.wait()
    return None if client.reason != "complete" else (time.perf_counter() - began) * 1_000


@dataclass
class Crowd:
    """The clients of one run, by grant, and how long each kept query took."""

    tails: dict[str, list[Client]] = field(default_factory=dict)
    queries: dict[str, list[Client]] = field(default_factory=dict)
    seconds: dict[str, list[float]] = field(default_factory=dict)
    refused: int = 0

    async def open_tails(self, made: Server, count: int) -> None:
        """Open the tails; each has had a line when this returns."""
        for number in range(count):
            grant = made.kept if number // len(SERVICES) % REVOKED_SHARE else made.revoked
            query = quote(f'{{service="{SERVICES[number % len(SERVICES)]}"}}')
            client = await opened(made.port, f"/g/{grant}/logs?follow=true&since=5s&query={query}")
            self.tails.setdefault(grant, []).append(client)
            while number % AT_ONCE == AT_ONCE - 1 and not (client.ended.is_set() or b'"type":"line"' in client.tail):
                await asyncio.sleep(0.02)
        await asyncio.sleep(SETTLED_S)
        self.refused = sum(client.ended.is_set() for clients in self.tails.values() for client in clients)

    async def open_queries(self, made: Server, count: int) -> list[asyncio.Task[None]]:
        """Open the queries, the kinds in turn; the tasks end with them."""
        tasks = []
        for number in range(count):
            grant = made.kept if number % REVOKED_SHARE else made.revoked
            kind = list(KINDS)[number % len(KINDS)]
            client = await opened(made.port, path_of(grant, kind, made.lines))
            self.queries.setdefault(grant, []).append(client)
            tasks.append(asyncio.create_task(self._timed(kind if grant == made.kept else "", client)))
        return tasks

    async def _timed(self, kind: str, client: Client) -> None:
        began = time.perf_counter()
        await client.ended.wait()
        if b"audit_unavailable" in client.tail:
            self.refused += 1
        elif kind:
            self.seconds.setdefault(kind, []).append(time.perf_counter() - began)


async def measure(arguments: argparse.Namespace) -> dict[str, object]:
    """Run the whole scene and return its figures."""
    crowd = Crowd()
    async with server(arguments.lines, arguments.rate) as made:
        alone = [await light(made) for _ in range(10)]
        peaks = {"alone": made.peak_mib()}
        await crowd.open_tails(made, arguments.tails)
        peaks["tails"] = made.peak_mib()
        print(f"{arguments.tails} tails open", flush=True)
        tasks = await crowd.open_queries(made, arguments.queries)
        beside: list[float | None] = []
        started = time.monotonic()
        act: dict[str, int] = {}
        while not all(task.done() for task in tasks):
            beside.append(await light(made))
            if not act and time.monotonic() - started > arguments.warm:
                running = sum(not client.ended.is_set() for client in crowd.queries[made.revoked])
                act = await made.revoke()
                print(f"revoked with {running} of its queries running", flush=True)
        peaks["all"] = made.peak_mib()
        gone = [*crowd.tails[made.revoked], *crowd.queries[made.revoked]]
        assert act, "every query was over before the revocation: give more lines"
        assert all(client.ended.is_set() for client in gone), "a client of the revoked grant still reads"
        return _report(arguments, crowd, made, (peaks, alone, beside, act))


def _report(
    arguments: argparse.Namespace,
    crowd: Crowd,
    made: Server,
    seen: tuple[dict[str, float], list[float | None], list[float | None], dict[str, int]],
) -> dict[str, object]:
    peaks, alone, beside, act = seen
    broken = sum(client.ended.is_set() for client in crowd.tails[made.kept])
    cut = max(client.last_ns for client in crowd.tails[made.revoked])
    cut_ms = round((cut - act["began_ns"]) / 1e6, 1)
    return {
        "bench": "crowd",
        "lines": made.lines,
        "tails": arguments.tails,
        "tail_lines_per_s": arguments.rate * arguments.tails,
        "queries": arguments.queries,
        "peak_mib": {name: round(one, 1) for name, one in peaks.items()},
        "query_median_s": {kind: round(statistics.median(all_of), 2) for kind, all_of in crowd.seconds.items()},
        "slowest_over_median": {
            kind: round(max(all_of) / statistics.median(all_of), 2) for kind, all_of in crowd.seconds.items()
        },
        "light_alone_ms": _spread(alone),
        "light_beside_ms": _spread(beside),
        "cut_from_start_of_act_ms": cut_ms,
        "goals": {
            "cut_ms": {"figure": cut_ms, "at_most": GOAL_CUT_MS, "met": cut_ms <= GOAL_CUT_MS},
            "refused": {"figure": crowd.refused, "at_most": 0, "met": not crowd.refused},
            "tails_ended": {"figure": broken, "at_most": 0, "met": not broken},
        },
    }


def _spread(times: list[float | None]) -> dict[str, float]:
    found = [one for one in times if one is not None]
    return {
        "median": round(statistics.median(found), 1),
        "max": round(max(found), 1),
        "refused": len(times) - len(found),
    }


def main() -> None:
    """Measure and print."""
    if sys.argv[1:2] == ["serve"]:
        asyncio.run(serve(int(sys.argv[2]), float(sys.argv[3])))
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lines", type=int, default=100_000)
    parser.add_argument("--tails", type=int, default=500)
    parser.add_argument("--queries", type=int, default=63)
    parser.add_argument("--rate", type=float, default=0.5, help="lines a second and tail")
    parser.add_argument("--warm", type=float, default=5.0, help="seconds between the last query's start and the act")
    figures = asyncio.run(measure(parser.parse_args()))
    for name, value in figures.items():
        print(f"{name:26} {value}")
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
