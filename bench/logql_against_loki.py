"""The same five queries over the same lines, asked of the gateway and of a real Loki, each on one core.

Made-up JSON logs of ten services, a fiftieth of the lines with something to mask, are stored by the file source and
pushed to Loki 2.2.1 (`make real-servers` builds it). Both have to answer alike: the gateway with redaction, recording
and limits, over its own store; Loki over its own, with its default encoding of chunks. Both processes and the client
are bound to one and the same core, Go to one thread. Wall time, interleaved, medians.

Run: ``python -m bench.logql_against_loki [--lines 1000000] [--rounds 5] [--profile pii-default@1]``. The last line is
one object of JSON: seconds of both and how often Loki's time the gateway takes; the goal is at most 3.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from bench.gateway_stack import Stack, request_bytes, stack
from bench.read import SERVICES, START_NS, UNLIMITED, write_logs
from tests.real.loki import Loki, loki, loki_path

from loglease.model.grant import Grant
from loglease.model.limits import Limits
from loglease.server.clock import SystemClock
from loglease.sources.files import FileSource, FileSourceConfig, Watch

GOAL = 3.0
LINE_BYTES = 170
PAGE = 5_000
PAGES = 20
"""Pages of the newest lines that are read one after another where a query has no filter."""
BATCH = 20_000
TENANT = "bench"
QUERIES = {
    "selector": '{service=~"svc-.*"}',
    "literal": '{service=~"svc-.*"} |= "lease-needle"',
    "regex": '{service=~"svc-.*"} |~ "lease-n[a-z]+"',
    "json": '{service=~"svc-.*"} | json | ms >= 899',
    "metric": 'sum by (service) (count_over_time({service=~"svc-.*"}[5m]))',
}

Ask = Callable[[str, dict[str, str | int]], Awaitable[dict[str, Any]]]
"""Asks one route with parameters and gives what is under ``data``."""


@dataclass(frozen=True)
class Answered:
    """What an answer held: lines, or the sum of its numbers."""

    lines: int
    total: float


async def page_of(ask: Ask, query: str, start: int, end: int) -> tuple[int, int]:
    """Return how many lines the newest page before `end` has, and the time of its oldest."""
    parameters: dict[str, str | int] = {
        "query": query,
        "start": start,
        "end": end,
        "limit": PAGE,
        "direction": "backward",
    }
    data = await ask("query_range", parameters)
    times = [int(value[0]) for one in data["result"] for value in one["values"]]
    return len(times), min(times, default=start)


async def answered(ask: Ask, name: str, start: int, end: int) -> Answered:
    """Ask one of the queries to its end."""
    query = QUERIES[name]
    if name == "metric":
        data = await ask("query_range", {"query": query, "start": start, "end": end, "step": 60})
        return Answered(0, sum(float(value[1]) for one in data["result"] for value in one["values"]))
    lines = 0
    for _ in range(PAGES if name == "selector" else 1):
        found, end = await page_of(ask, query, start, end)
        lines += found
    return Answered(lines, 0)


def asker(port: int, base: str, *headers: str) -> Ask:
    """Return a client of a Loki API; gateway and Loki are asked by the same one."""

    async def ask(route: str, parameters: dict[str, str | int]) -> dict[str, Any]:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 22)
        writer.write(
            request_bytes(f"{base}/loki/api/v1/{route}?{urlencode(parameters)}", "Connection: close", *headers)
        )
        raw = await reader.read()
        writer.close()
        head, _, body = raw.partition(b"\r\n\r\n")
        assert b" 200 " in head.split(b"\r\n")[0], raw[:500]
        if b"chunked" in head.lower():
            body = _dechunked(body)
        found: dict[str, Any] = json.loads(body)["data"]
        return found

    return ask


def _dechunked(raw: bytes) -> bytes:
    parts: list[bytes] = []
    at = 0
    while True:
        line = raw.index(b"\r\n", at)
        size = int(raw[at:line], 16)
        if size == 0:
            return b"".join(parts)
        parts.append(raw[line + 2 : line + 2 + size])
        at = line + 4 + size


def push(server: Loki, logs: Path) -> None:
    """Write the lines of the files, each file a stream, the oldest line first."""
    for service in SERVICES:
        batch: list[tuple[int, str]] = []
        with (logs / f"{service}.log").open() as file:
            for text in file:
                stamp = text[7:34]
                seconds = int(time.mktime(time.strptime(stamp[:19], "%Y-%m-%dT%H:%M:%S")) - time.timezone)
                batch.append((seconds * 10**9 + int(stamp[20:26]) * 1_000, text[:-1]))
                if len(batch) == BATCH:
                    server.push(TENANT, [({"service": service}, batch)])
                    batch = []
        server.push(TENANT, [({"service": service}, batch)])


async def measure(arguments: argparse.Namespace, work: Path, server: Loki) -> dict[str, object]:
    """Store the lines on both sides, ask in turns, return the figures."""
    logs = work / "logs"
    logs.mkdir()
    counts = write_logs(logs, arguments.lines * LINE_BYTES, arguments.seed)
    push(server, logs)
    watch = Watch(root=logs, pattern="*.log", path_labels=r"(?P<service>[^/]+)\.log")
    source = FileSource(FileSourceConfig(name="src", directory=work / "source", watches=(watch,)), SystemClock())
    await source.start(poll=False)
    await source.refresh()
    print(f"{counts['lines']:,} lines, {counts['bytes'] / 1e6:.0f} MB on both sides", flush=True)
    async with stack(work, source, settings=UNLIMITED) as made:
        grant = await made.grant('{service=~"svc-.*"}', profile=arguments.profile, limits=Limits(queries_per_min=10**6))
        seconds, seen = await _rounds(arguments, made, grant, server, counts["lines"])
    await source.aclose()
    return _report(arguments, counts, seconds, seen)


async def _rounds(
    arguments: argparse.Namespace, made: Stack, grant: Grant, server: Loki, lines: int
) -> tuple[dict[str, dict[str, list[float]]], dict[str, dict[str, Answered]]]:
    sides = {
        "gateway": asker(made.port, f"/g/{grant.id}"),
        "loki": asker(server.port, "", f"X-Scope-OrgID: {TENANT}"),
    }
    start = START_NS // (60 * 10**9) * 60 * 10**9
    end = START_NS + lines * 1_000_000 + 60 * 10**9
    seconds: dict[str, dict[str, list[float]]] = {name: {} for name in QUERIES}
    seen: dict[str, dict[str, Answered]] = {name: {} for name in QUERIES}
    for number in range(arguments.rounds):
        for name in QUERIES:
            for side, ask in sides.items():
                began = time.perf_counter()
                seen[name][side] = await answered(ask, name, start, end // (60 * 10**9) * 60 * 10**9)
                seconds[name].setdefault(side, []).append(time.perf_counter() - began)
            took = "  ".join(f"{side} {values[-1]:.2f} s" for side, values in seconds[name].items())
            print(f"round {number + 1} {name:9} {took}  {seen[name]['gateway']}", flush=True)
    return seconds, seen


def _report(
    arguments: argparse.Namespace,
    counts: dict[str, int],
    seconds: dict[str, dict[str, list[float]]],
    seen: dict[str, dict[str, Answered]],
) -> dict[str, object]:
    for name, sides in seen.items():
        assert sides["gateway"] == sides["loki"], (name, sides)
        assert sides["gateway"] != Answered(0, 0), name
    medians = {
        name: {side: statistics.median(values) for side, values in sides.items()} for name, sides in seconds.items()
    }
    over = {name: round(sides["gateway"] / sides["loki"], 2) for name, sides in medians.items()}
    return {
        "bench": "logql_against_loki",
        "lines": counts["lines"],
        "profile": arguments.profile,
        "rounds": arguments.rounds,
        "median_s": {name: {side: round(one, 3) for side, one in sides.items()} for name, sides in medians.items()},
        "gateway_over_loki": over,
        "goals": {name: {"figure": one, "at_most": GOAL, "met": one <= GOAL} for name, one in over.items()},
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lines", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--profile", default="pii-default@1")
    parser.add_argument("--directory", type=Path, default=None, help="where to work; a temporary one by default")
    arguments = parser.parse_args()
    if loki_path() is None:
        print("There is no Loki here: run `make real-servers`, which takes Go.", file=sys.stderr)
        print(json.dumps({"bench": "logql_against_loki", "absent": "loki"}))
        return
    os.environ["GOMAXPROCS"] = "1"
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    work = Path(tempfile.mkdtemp(dir=arguments.directory))
    (work / "loki").mkdir()
    try:
        with loki(work / "loki") as server:
            figures = asyncio.run(measure(arguments, work, server))
    finally:
        shutil.rmtree(work, ignore_errors=True)
    for name, value in figures.items():
        print(f"{name:26} {value}")
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
