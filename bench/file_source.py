"""Follow a file while its writer rotates, truncates, compresses and leaves lines unfinished: is every line there once?

Run: ``python -m bench.file_source [lines]``. The last line printed is one object of JSON.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import random
import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

import zstandard

from loglease.model.instant import Instant, Interval
from loglease.model.labels import Selector
from loglease.sources.files import FileSource, FileSourceConfig, Watch
from loglease.sources.interface import Direction, Gap, Page, ReadPlan

START_NS = 1_793_000_000 * 10**9
FULL = Interval(0, 1 << 62)


class SystemClock:
    """The machine's clocks; a benchmark is an edge of its own."""

    def now(self) -> Instant:
        """Return wall time."""
        return Instant(int(time.clock_gettime_ns(time.CLOCK_REALTIME) // 1_000))

    def boot_ns(self) -> int:
        """Return time that never steps."""
        return time.clock_gettime_ns(time.CLOCK_MONOTONIC)


@dataclass
class Seen:
    """Which numbers have come, as counts: one byte a line, so that the check itself needs little memory."""

    counts: bytearray
    strange: int = 0
    total: int = 0
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    def take(self, page: Page) -> None:
        """Count the lines of a page."""
        for line in page.lines:
            number = line.rpartition(b" n=")[2]
            if number.isdigit() and int(number) < len(self.counts) and self.counts[int(number)] < 255:
                self.counts[int(number)] += 1
            else:
                self.strange += 1
        self.total += len(page)

    def verdict(self) -> dict[str, int]:
        """Return how many lines are wrong, and how."""
        return {
            "missing": self.counts.count(0),
            "repeated": len(self.counts) - self.counts.count(0) - self.counts.count(1),
            "strange": self.strange,
        }


class Writer:
    """A program and its logrotate: appends numbered lines, and now and then changes the file under the reader."""

    def __init__(self, folder: Path, lines: int, seed: int) -> None:
        self.path = folder / "app.log"
        self.lines = lines
        self.written = 0
        self.acts: dict[str, int] = {}
        self._random = random.Random(seed)
        self._rotated = 0
        self._file = self.path.open("ab", buffering=0)

    def line(self, number: int) -> bytes:
        """Return one numbered line with its end."""
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime((START_NS + number * 10**6) // 10**9))
        end = b"\r\n" if number % 97 == 0 else b"\n"
        order = number * 7919 % 100_003
        text = f"{stamp}.{number % 1_000:03d}Z INFO GET /api/v1/orders/{order} 200 {'.' * 100} n={number}"
        return text.encode() + end

    def append(self, count: int) -> None:
        """Write lines in pieces that do not respect the ends of lines."""
        stop = min(self.lines, self.written + count)
        data = b"".join(map(self.line, range(self.written, stop)))
        cut = self._random.randrange(len(data) + 1)
        self._file.write(data[:cut])
        self._file.write(data[cut:])
        self.written = stop

    def append_unfinished(self) -> None:
        """Write one line without its end: the last of this file."""
        if self.written < self.lines:
            self._file.write(self.line(self.written).rstrip())
            self.written += 1

    def rotate(self) -> Path:
        """Rename the file, go on in a new one."""
        self._rotated += 1
        old = self.path.with_name(f"app.log.{self._rotated}")
        self.path.rename(old)
        self._file.close()
        self._file = self.path.open("ab", buffering=0)
        return old

    def compress(self, old: Path, *, zstd: bool) -> None:
        """Pack a rotated file and remove the original, as logrotate does."""
        packed = old.with_name(old.name + (".zst" if zstd else ".gz"))
        data = old.read_bytes()
        packed.write_bytes(zstandard.compress(data) if zstd else gzip.compress(data, 1))
        old.unlink()

    def copy_and_truncate(self) -> None:
        """Copy the file and cut it to nothing."""
        self._rotated += 1
        shutil.copyfile(self.path, self.path.with_name(f"app.log.{self._rotated}"))
        os.truncate(self.path, 0)

    async def run(self, caught_up: Callable[[int], Awaitable[None]]) -> None:
        """Write everything, with an act after each stretch of lines."""
        acts = ("go_on", "rotate", "compress", "truncate", "unfinished", "compress_zstd", "delete")
        while self.written < self.lines:
            self.append(self._random.randrange(1, max(2, self.lines // 60)))
            act = self._random.choice(acts)
            self.acts[act] = self.acts.get(act, 0) + 1
            if act == "unfinished":
                self.append_unfinished()
                self.rotate()
            elif act == "truncate":
                await caught_up(self.written)  # what is written after the last read and cut away is nobody's
                self.copy_and_truncate()
            elif act != "go_on":
                old = self.rotate()
                await asyncio.sleep(0)
                if act == "delete":
                    await caught_up(self.written)
                    old.unlink()
                elif act.startswith("compress"):
                    self.compress(old, zstd=act == "compress_zstd")
            await asyncio.sleep(0)
        self._file.close()


async def follow(source: FileSource, seen: Seen, lines: int) -> None:
    """Take everything that a tail gives until all lines are there."""
    async for page in source.follow(ReadPlan(selector=Selector(), interval=Interval(0, None), page_bytes=64 << 10)):
        if isinstance(page, Gap):
            continue
        seen.take(page)
        async with seen.changed:
            seen.changed.notify_all()
        if seen.total >= lines:
            return


async def soak(folder: Path, lines: int, *, seed: int = 1, poll_s: float = 0.02) -> dict[str, object]:
    """Write, follow, and query afterwards; return the verdicts and figures."""
    logs = folder / "logs"
    logs.mkdir()
    watch = Watch(root=logs, pattern="app.log*", labels={"service": "shop"})
    configuration = FileSourceConfig(
        name="bench", directory=folder / "data", watches=(watch,), poll_interval_s=poll_s,
        unfinished_line_s=0.5, linger_s=2.0, unlinked_linger_s=0.6,
    )  # fmt: skip
    source = FileSource(configuration, SystemClock())
    await source.start()
    tailed, queried = Seen(bytearray(lines)), Seen(bytearray(lines))
    writer = Writer(logs, lines, seed)

    async def caught_up(count: int) -> None:
        async with seen_changed:
            await seen_changed.wait_for(lambda: tailed.total >= count)

    seen_changed = tailed.changed
    started = time.perf_counter()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(follow(source, tailed, lines))
        tasks.create_task(writer.run(caught_up))
    followed_s = time.perf_counter() - started
    await source.refresh()
    order_kept = True
    started = time.perf_counter()
    for direction in Direction:
        last = None
        async for page in source.read(ReadPlan(selector=Selector(), interval=FULL, direction=direction)):
            if direction is Direction.FORWARD:
                queried.take(page)
            times = page.ts if direction is Direction.FORWARD else [-time_ns for time_ns in page.ts]
            ordered = all(a <= b for a, b in zip([last if last is not None else times[0], *times], times, strict=False))
            order_kept, last = order_kept and ordered, times[-1]
    queried_s = time.perf_counter() - started
    await source.aclose()
    return {
        "lines": lines,
        "acts": writer.acts,
        "tail": tailed.verdict(),
        "query": queried.verdict(),
        "order_kept": order_kept,
        "follow_s": round(followed_s, 2),
        "two_queries_s": round(queried_s, 2),
    }


async def rates(folder: Path, lines: int) -> dict[str, object]:
    """Measure storing and reading on a plain file of lines of about 200 bytes."""
    logs = folder / "plain"
    logs.mkdir()
    with (logs / "app.log").open("w") as file:
        for number in range(lines):
            stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime((START_NS + number * 10**6) // 10**9))
            file.write(f"{stamp}.{number % 1_000:03d}Z INFO request={number} {'.' * 150}\n")
    watch = Watch(root=logs, pattern="*.log", labels={"service": "shop"})
    source = FileSource(FileSourceConfig(name="rates", directory=folder / "rates", watches=(watch,)), SystemClock())
    await source.start(poll=False)
    started = time.perf_counter()
    await source.refresh()
    stored_s = time.perf_counter() - started
    read: dict[str, object] = {}
    for direction in Direction:
        count, started = 0, time.perf_counter()
        async for page in source.read(ReadPlan(selector=Selector(), interval=FULL, direction=direction)):
            count += len(page)
        read[f"read_{direction}_lines_s"] = round(count / (time.perf_counter() - started))
    await source.aclose()
    return {"store_lines_s": round(lines / stored_s), **read}


def main() -> None:
    """Run it; the last line is JSON."""
    lines = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    with tempfile.TemporaryDirectory() as name:
        result = asyncio.run(soak(Path(name), lines))
        result["peak_memory_mib"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1_024, 1)
        result |= asyncio.run(rates(Path(name), min(lines, 1_000_000)))
    good = result["tail"] == result["query"] == {"missing": 0, "repeated": 0, "strange": 0} and result["order_kept"]
    print("every line once, to the tail and to the query" if good else "LINES ARE MISSING OR REPEATED")
    print(json.dumps({"bench": "file_source", "ok": good, **result}))
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
