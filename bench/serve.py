"""Small and large queries through the gateway, beside the same store asked directly and through a plain reverse proxy.

A real VictoriaLogs holds made-up JSON logs. The gateway reads it under a grant for one service, with redaction and
records; nginx hands calls on to the store and changes nothing. *Small* is the newest 100 lines of the service, asked
again and again on kept connections, by one client and by eight; each answer of ours has its own session, query and
record on the disk. *Large* is every line of the service in one answer. All three take turns in each round, clients are
in a process of their own, and only ratios are goals.

Run: ``python -m bench.serve [--lines 200000] [--calls 300] [--rounds 3]``. It needs ``make real-servers`` and nginx
(Debian: ``apt-get install nginx-light``). The last line is one object of JSON; the exit code is 1 where a goal is
missed.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from statistics import median
from typing import Any, Final
from urllib.parse import quote

import aiohttp
from bench.gateway_stack import TOKEN, stack
from bench.read import SERVICES, UNLIMITED, WORDS
from tests.real.stores import free_port, victorialogs

from loglease.model.limits import Limits
from loglease.server.clock import SystemClock
from loglease.sources.victorialogs import VictoriaLogsReader, victorialogs_config

PROFILE: Final = "pii-default@1"
SERVICE: Final = SERVICES[0]
AT_ONCE: Final = 8
HOUR_NS: Final = 3_600 * 10**9
BATCH: Final = 20_000
INSERT: Final = "/insert/jsonline?_stream_fields=service,env"
JSON_LINES: Final = {"Content-Type": "application/stream+json"}
NAMES: Final = ("direct", "nginx", "loglease")
GOALS: Final = {
    "small p50 ÷ nginx": 12.0,
    "large MB/s ÷ nginx": 0.05,
}
"""What may not get worse: below these an answer is noticeably slower for people than the store alone."""


def rows(count: int, first_ns: int) -> Iterator[dict[str, Any]]:
    """Yield log lines of ten services, a fiftieth of them with an address to mask."""
    chance = Random(11)
    for number in range(count):
        said = " ".join(chance.choices(WORDS, k=9))
        who = f" for user{number}@example.com" if number % 50 == 0 else ""
        at_ns = first_ns + number * (HOUR_NS // count)
        fields = {"level": "info", "msg": said + who, "request": f"{chance.getrandbits(64):016x}", "ms": number % 997}
        text = json.dumps(fields)
        yield {"_time": _time_text(at_ns), "_msg": text, "service": SERVICES[number % len(SERVICES)], "env": "prod"}


def _time_text(at_ns: int) -> str:
    seconds, rest = divmod(at_ns, 10**9)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:09d}Z"


def fill(server: Any, count: int, first_ns: int) -> None:
    """Put the lines into the store."""
    batch: list[bytes] = []
    for row in rows(count, first_ns):
        batch.append(json.dumps(row).encode() + b"\n")
        if len(batch) == BATCH:
            server.call(INSERT, b"".join(batch), **JSON_LINES)
            batch.clear()
    if batch:
        server.call(INSERT, b"".join(batch), **JSON_LINES)
    server.call("/internal/force_flush")


async def serve(store_port: int) -> None:
    """Run the gateway until standard input ends."""
    raw = {"address": f"http://127.0.0.1:{store_port}", "trusted_labels": ["service", "env"]}
    reader = VictoriaLogsReader(victorialogs_config("src", raw, base=Path()), SystemClock())
    with tempfile.TemporaryDirectory() as folder:
        async with stack(Path(folder), reader, settings=UNLIMITED) as made:
            grant = await made.grant(f'{{service="{SERVICE}"}}', profile=PROFILE, limits=Limits(queries_per_min=10**6))
            print(json.dumps({"port": made.port, "grant": grant.id}), flush=True)
            await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
        await reader.aclose()


@contextmanager
def gateway(store_port: int) -> Iterator[tuple[int, str]]:
    """Run the gateway in a process of its own."""
    command = [sys.executable, "-m", "bench.serve", "--serve", str(store_port)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdin is not None
    try:
        told = json.loads(process.stdout.readline())
        yield told["port"], told["grant"]
    finally:
        process.stdin.close()
        process.wait(30)


@contextmanager
def proxy(store_port: int, folder: Path) -> Iterator[int]:
    """Run nginx in front of the store, with kept connections behind it."""
    program = shutil.which("nginx") or "/usr/sbin/nginx"
    if not Path(program).exists():
        raise SystemExit("nginx is not here; on Debian: apt-get install nginx-light")
    port = free_port()
    (folder / "nginx.conf").write_text(
        f"""
daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{ worker_connections 256; }}
http {{
  access_log off; client_body_temp_path {folder}/b; proxy_temp_path {folder}/p;
  fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  upstream store {{ server 127.0.0.1:{store_port}; keepalive 16; }}
  server {{
    listen 127.0.0.1:{port}; keepalive_requests 100000;
    location / {{ proxy_pass http://store; proxy_http_version 1.1; proxy_set_header Connection ""; }}
  }}
}}
"""
    )
    process = subprocess.Popen(
        [program, "-c", str(folder / "nginx.conf"), "-p", str(folder)], stderr=subprocess.DEVNULL
    )
    try:
        yield port
    finally:
        process.terminate()
        process.wait(10)


class Target:
    """One of those that are asked."""

    def __init__(self, name: str, port: int, grant: str, window: tuple[int, int]) -> None:
        first, last = window
        selector = quote(f'{{service="{SERVICE}"}}')
        self.headers = {"authorization": f"Bearer {TOKEN}"} if name == "loglease" else {}
        base = f"http://127.0.0.1:{port}"
        if name == "loglease":
            between = f"query={selector}&start={first}&end={last}"
            self.small = f"{base}/g/{grant}/loki/api/v1/query_range?{between}&limit=100"
            self.large = f"{base}/g/{grant}/logs?{between}&direction=forward"
        else:
            asked = f"query={selector}&start={first}&end={last}"
            self.small = f"{base}/select/logsql/query?{asked}&limit=100"
            self.large = f"{base}/select/logsql/query?{asked}"

    async def answer(self, client: aiohttp.ClientSession, url: str) -> bytes:
        """Return the whole body of an answer."""
        async with client.get(url, headers=self.headers) as response:
            content = await response.read()
            if response.status != 200 or SERVICE.encode() not in content:
                raise SystemExit(f"{url}: {response.status} {content[:300]!r}")
            return content


async def asked(client: aiohttp.ClientSession, target: Target, calls: int, at_once: int) -> tuple[float, list[float]]:
    """Ask the small question so many times; return how long all took, and each."""
    spent: list[float] = []
    left = iter(range(calls))

    async def one() -> None:
        for _ in left:
            began = time.perf_counter()
            await target.answer(client, target.small)
            spent.append(time.perf_counter() - began)

    began = time.perf_counter()
    await asyncio.gather(*(one() for _ in range(at_once)))
    return time.perf_counter() - began, spent


async def measured(targets: dict[str, Target], arguments: argparse.Namespace) -> dict[str, Any]:
    alone: dict[str, list[float]] = {name: [] for name in NAMES}
    rates: dict[str, list[float]] = {name: [] for name in NAMES}
    speeds: dict[str, list[float]] = {name: [] for name in NAMES}
    timeout = aiohttp.ClientTimeout(total=600)
    async with aiohttp.ClientSession(timeout=timeout, headers={"accept-encoding": "identity"}) as client:
        for target in targets.values():
            await asked(client, target, 20, 2)
        for _ in range(arguments.rounds):
            for name, target in targets.items():
                alone[name] += (await asked(client, target, arguments.calls, 1))[1]
            for name, target in targets.items():
                rates[name].append(arguments.calls / (await asked(client, target, arguments.calls, AT_ONCE))[0])
            for name, target in targets.items():
                began = time.perf_counter()
                size = len(await target.answer(client, target.large))
                speeds[name].append(size / 1e6 / (time.perf_counter() - began))
    figures: dict[str, Any] = {
        name: {
            "small_p50_ms": round(median(alone[name]) * 1_000, 2),
            "small_p99_ms": round(sorted(alone[name])[len(alone[name]) * 99 // 100] * 1_000, 2),
            f"small_per_s_{AT_ONCE}_clients": round(median(rates[name])),
            "large_mb_per_s": round(median(speeds[name]), 1),
        }
        for name in NAMES
    }
    ours, theirs = figures["loglease"], figures["nginx"]
    ratios = {
        "small p50 ÷ nginx": round(ours["small_p50_ms"] / theirs["small_p50_ms"], 2),
        "small per s ÷ nginx": round(
            ours[f"small_per_s_{AT_ONCE}_clients"] / theirs[f"small_per_s_{AT_ONCE}_clients"], 3
        ),
        "large MB/s ÷ nginx": round(ours["large_mb_per_s"] / theirs["large_mb_per_s"], 3),
    }
    return figures | {"ratios": ratios, "goals": GOALS}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lines", type=int, default=200_000)
    parser.add_argument("--calls", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--serve", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve is not None:
        asyncio.run(serve(arguments.serve))
        return
    last_ns = int(SystemClock().now()) * 1_000
    window = (last_ns - HOUR_NS, last_ns)
    with ExitStack() as open_things:
        folder = Path(open_things.enter_context(tempfile.TemporaryDirectory()))
        store = open_things.enter_context(victorialogs(folder))
        fill(store, arguments.lines, window[0])
        nginx_port = open_things.enter_context(proxy(store.port, folder))
        port, grant = open_things.enter_context(gateway(store.port))
        ports = {"direct": store.port, "nginx": nginx_port, "loglease": port}
        targets = {name: Target(name, ports[name], grant, window) for name in NAMES}
        figures = asyncio.run(measured(targets, arguments))
    for name in NAMES:
        print(f"{name:10} " + "   ".join(f"{key} {value}" for key, value in figures[name].items()))
    ratios = figures["ratios"]
    small, large = ("small p50 ÷ nginx", "large MB/s ÷ nginx")
    holds = ratios[small] <= GOALS[small] and ratios[large] >= GOALS[large]
    print(json.dumps({"bench": "serve", **figures}, ensure_ascii=False))
    sys.exit(0 if holds else 1)


if __name__ == "__main__":
    main()
