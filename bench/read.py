"""Read a large JSON log through the gateway: scope, redaction, record, encoding, beside plain reading of the same file.

Made-up JSON logs, a fiftieth of the lines with something to mask, are stored by the file source. Then a grant for one
service (a tenth of the lines) reads through the gateway over a real socket, with a line filter and without, beside
`zstd -dc … | grep -c` and a bare read of the same bytes in the same run, interleaved. Stages are measured as CPU time
of one thread without a socket; what the whole run needed beyond them is recording, sending and the client.

Run: ``python -m bench.read [--mb 1000] [--rounds 3] [--profile pii-default@1]``. The last line is one object of JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from bench.gateway_stack import Stack, request_bytes, stack

from loglease.gateway import GatewaySettings
from loglease.gateway.frontends.plain.encoders import NdJson
from loglease.gateway.recheck import Recheck, Violations
from loglease.gateway.resume import Resumes
from loglease.gateway.served import Tally
from loglease.gateway.worker import worker_of
from loglease.logql import LogQuery
from loglease.model.grant import Grant
from loglease.model.ids import GrantId, PrincipalId
from loglease.model.instant import EventWindow, Interval
from loglease.model.limits import Limits
from loglease.model.scope import Scope
from loglease.model.selector_text import parse_selector
from loglease.redaction import Keys, redactor_for
from loglease.server.clock import SystemClock
from loglease.sources.files import FileSource, FileSourceConfig, Watch
from loglease.sources.interface import Direction, Page, ReadPlan

SERVICES = [f"svc-{number}" for number in range(10)]
START_NS = 1_793_000_000 * 10**9
NEEDLE = "lease-needle"
FULL = Interval(0, 1 << 62)
UNLIMITED = GatewaySettings(scan_lines=1 << 40, scan_bytes=1 << 50, scan_s=86_400)
"""A query may look at all of it, however much was asked for."""
LEVELS = ("debug", "info", "info", "info", "warn", "error")
WORDS = ("checkout", "cart", "payment", "retry", "upstream", "timeout", "cache", "queue", "render", "session", "lookup")


def write_logs(root: Path, size: int, seed: int) -> dict[str, int]:
    """Write one file per service, together of about that size; return lines, sensitive lines and needles."""
    chance = random.Random(seed)
    counts = {"lines": 0, "sensitive": 0, "needles": 0}
    files = [(root / f"{service}.log").open("w") for service in SERVICES]
    written = 0
    tick = 0
    try:
        while written < size:
            at = chance.randrange(len(SERVICES))
            tick += 1
            text = _line(chance, tick, counts, own=at == 0)
            files[at].write(text)
            written += len(text)
            counts["lines"] += 1
    finally:
        for file in files:
            file.close()
    counts["bytes"] = written
    return counts


def _line(chance: random.Random, tick: int, counts: dict[str, int], *, own: bool) -> str:
    seconds, micro = divmod(START_NS // 1_000 + tick * 1_000, 1_000_000)
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{micro:06d}Z"
    words = " ".join(chance.choices(WORDS, k=9))
    draw = chance.random()
    if draw < 0.02:
        counts["sensitive"] += 1
        who = f"user{chance.randrange(10**6)}@example.com"
        words += f" for {who}" if draw < 0.015 else f" password=hunter{chance.randrange(10**8)}"
    elif own and draw > 0.999:
        counts["needles"] += 1
        words += f" {NEEDLE}"
    return (
        f'{{"ts":"{stamp}","level":"{chance.choice(LEVELS)}","msg":"{words}","trace":"{chance.getrandbits(48):012x}",'
        f'"status":{chance.choice((200, 200, 200, 404, 500))},"ms":{chance.randrange(900)}}}\n'
    )


async def timed(work: Callable[[], Awaitable[object]]) -> tuple[float, object]:
    """Return seconds and result."""
    began = time.perf_counter()
    result = await work()
    return time.perf_counter() - began, result


async def through_gateway(made: Stack, grant: Grant, query: str) -> dict[str, int]:
    """Read an answer to its end over a socket; return what it held."""
    path = f"/g/{grant.id}/logs?start=0&direction=forward&query={query}"
    reader, writer = await asyncio.open_connection("127.0.0.1", made.port, limit=1 << 20)
    writer.write(request_bytes(path))
    received = 0
    end = b""
    while chunk := await reader.read(1 << 18):
        received += len(chunk)
        end = (end + chunk)[-600:]
    writer.close()
    record = json.loads(end[end.rindex(b'{"type":"end"') :].split(b"\n")[0])
    assert record["reason"] == "complete", record
    return {"lines": record["lines"], "bytes": received}


async def in_thread(work: Callable[[], object]) -> object:
    """Run blocking work beside the loop."""
    return await asyncio.get_running_loop().run_in_executor(None, work)


def grep(file: Path, needle: str) -> int:
    """Count lines as a person with shell access would."""
    command = f"zstd -dc {file} | grep -c {needle}"
    return int(subprocess.run(command, shell=True, capture_output=True, text=True, check=False).stdout or 0)  # noqa: S602


def plain_read(file: Path) -> int:
    """Read the unpacked file line by line."""
    count = 0
    with file.open("rb") as lines:
        for _ in lines:
            count += 1
    return count


async def stages(source: FileSource, profile: str) -> dict[str, float]:
    """Return seconds by stage for the scoped read without a socket, each stage alone."""
    scope = Scope(
        source="src", selector=parse_selector('{service="svc-0"}'), window=EventWindow(0, None), profile=profile
    )
    read = ReadPlan(selector=scope.selector, interval=FULL, page_lines=1_000, page_bytes=256 * 1024)
    began = time.process_time()
    pages: list[Page] = [page async for page in source.read(read)]
    figures = {"read": time.process_time() - began}
    recheck = Recheck(scope, FULL, Violations())
    began = time.thread_time()
    for page in pages:
        recheck.admitted(page)
    figures["scope"] = time.thread_time() - began
    keys = Keys.derived(b"k" * 32, salt=b"s" * 32, grant_id="bench")
    redactor = redactor_for([profile], keys=keys, marker=b"m" * 32)
    stream = redactor.open()
    began = time.thread_time()
    for page in pages:
        stream.feed(b"\n".join(page.lines) + b"\n")
    figures["redact"] = time.thread_time() - began
    resumes = Resumes(b"r" * 32, grants=[(GrantId("g"), 0)], principal=PrincipalId("p"), query="")
    worker = worker_of(
        LogQuery(),
        redactor=redactor,
        recheck=recheck,
        encoder=NdJson(resumes),
        direction=Direction.FORWARD,
        follow=False,
        now_ns=0,
    )
    began = time.thread_time()
    items = [item for page in pages for item in worker.page(page)]
    figures["encode"] = time.thread_time() - began - figures["scope"] - figures["redact"]
    began = time.thread_time()
    for at in range(0, len(items), 200):
        batch = items[at : at + 200]
        tally = Tally()
        tally.add(batch)
        tally.settled(size=sum(len(item.record) for item in batch))
    figures["account"] = time.thread_time() - began
    return figures


async def measure(arguments: argparse.Namespace, work: Path) -> dict[str, object]:
    """Store the logs, read them in every way, return the figures."""
    logs = work / "logs"
    logs.mkdir()
    counts = write_logs(logs, arguments.mb * 1_000_000, arguments.seed)
    whole = work / "all.log"
    with whole.open("wb") as target:
        for service in SERVICES:
            target.write((logs / f"{service}.log").read_bytes())
    packed = work / "all.log.zst"
    subprocess.run(["zstd", "-q", "-3", str(whole), "-o", str(packed)], check=True)
    print(f"{counts['lines']:,} lines, {counts['bytes'] / 1e6:.0f} MB, {counts['sensitive']:,} sensitive", flush=True)
    watch = Watch(root=logs, pattern="*.log", path_labels=r"(?P<service>[^/]+)\.log")
    source = FileSource(FileSourceConfig(name="src", directory=work / "source", watches=(watch,)), SystemClock())
    await source.start(poll=False)
    store_s, _ = await timed(source.refresh)
    print(f"stored in {store_s:.1f} s", flush=True)
    figures: dict[str, list[float]] = {}
    seen: dict[str, object] = {}
    async with stack(work, source, settings=UNLIMITED) as made:
        limits = Limits(queries_per_min=1_000)
        grant = await made.grant('{service="svc-0"}', profile=arguments.profile, limits=limits)
        ways: dict[str, Callable[[], Awaitable[object]]] = {
            "filtered": lambda: through_gateway(made, grant, f"%7C%3D%20%22{NEEDLE}%22"),
            "scoped": lambda: through_gateway(made, grant, "%7B%7D"),
            "zstd_grep": lambda: in_thread(lambda: grep(packed, NEEDLE)),
            "plain_read": lambda: in_thread(lambda: plain_read(whole)),
        }
        for number in range(arguments.rounds):
            for name, way in ways.items():
                cpu = time.process_time()
                seconds, result = await timed(way)
                figures.setdefault(name, []).append(seconds)
                figures.setdefault(f"{name}_cpu", []).append(time.process_time() - cpu)
                seen[name] = result
                print(f"round {number + 1} {name:10} {seconds:7.2f} s  {result}", flush=True)
    shares = await stages(source, arguments.profile)
    await source.aclose()
    return _report(arguments, counts, figures, seen, shares, store_s)


def _report(
    arguments: argparse.Namespace,
    counts: dict[str, int],
    figures: dict[str, list[float]],
    seen: dict[str, object],
    shares: dict[str, float],
    store_s: float,
) -> dict[str, object]:
    medians = {name: statistics.median(values) for name, values in figures.items()}
    cpu_s = medians["scoped_cpu"]
    filtered, scoped = seen["filtered"], seen["scoped"]
    assert isinstance(filtered, dict)
    assert isinstance(scoped, dict)
    assert filtered["lines"] == counts["needles"], (filtered, counts)
    assert seen["zstd_grep"] == counts["needles"], (seen["zstd_grep"], counts)
    shares["record_and_send"] = max(0.0, cpu_s - sum(shares.values()))
    return {
        "bench": "read",
        "mb": round(counts["bytes"] / 1e6),
        "lines": counts["lines"],
        "sensitive": counts["sensitive"],
        "profile": arguments.profile,
        "rounds": arguments.rounds,
        "store_s": round(store_s, 2),
        "median_s": {name: round(value, 3) for name, value in medians.items() if not name.endswith("_cpu")},
        "cpu_s": {name: round(medians[f"{name}_cpu"], 3) for name in ("filtered", "scoped")},
        "scoped_lines": scoped["lines"],
        "scoped_lines_per_s": round(scoped["lines"] / medians["scoped"]),
        "filtered_over_zstd_grep": round(medians["filtered"] / medians["zstd_grep"], 2),
        "filtered_over_plain_read": round(medians["filtered"] / medians["plain_read"], 2),
        "scoped_over_plain_read": round(medians["scoped"] / medians["plain_read"], 2),
        "stage_cpu_s": {name: round(value, 2) for name, value in shares.items()},
        "stage_cpu_share": {name: round(value / sum(shares.values()), 2) for name, value in shares.items()},
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mb", type=int, default=1_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--profile", default="pii-default@1")
    parser.add_argument("--directory", type=Path, default=None, help="where to work; a temporary one by default")
    arguments = parser.parse_args()
    work = Path(tempfile.mkdtemp(dir=arguments.directory))
    try:
        figures = asyncio.run(measure(arguments, work))
    finally:
        shutil.rmtree(work, ignore_errors=True)
    for name, value in figures.items():
        print(f"{name:26} {value}")
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
