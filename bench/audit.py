"""How fast the audit log records: many callers that share commits, and one caller alone, beside bare SQLite.

Rounds are interleaved, figures are medians. The rivals insert the same bytes into one plain table, one commit a row,
the second after it has read the hash of the row before. Every ratio depends on what a flush costs on this disk: a group
of hundred pays it once, so the slower the disk, the larger the ratio.

The same callers are measured again while what they record is read back, signed and published beside them, and once more
where each waits for the signature. Last comes how long a signature takes at a thousand entries a second.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from loglease.audit.entry import sequenced
from loglease.audit.files import LogFiles
from loglease.audit.integrator import Integrator, SignedHead
from loglease.audit.interface import Draft, Recorded
from loglease.audit.note import SigningKey
from loglease.audit.privacy import Vault
from loglease.audit.publisher import Publisher
from loglease.audit.sequencer import Sequencer
from loglease.model.ids import ENTRY, EntryId, id_of
from loglease.model.instant import Instant
from loglease.store.durability import end_process
from loglease.store.interface import Transaction
from loglease.store.sqlite import SqliteStore, open_store
from loglease.store.sqlite_library import running_library

WRITERS = 100
EACH = 60
LONE = 300
PLAIN = 1_500
ROUNDS = 3
PACE = 1_000
PACE_S = 5


@dataclass(frozen=True)
class Stack:
    """A log, its database, and who signs and publishes it."""

    store: SqliteStore
    log: Sequencer[Transaction]
    integrator: Integrator
    publisher: Publisher


class BenchClock:
    """The machine's clocks; a benchmark is an edge of its own."""

    def now(self) -> Instant:
        """Return wall time."""
        return Instant(time.clock_gettime_ns(time.CLOCK_REALTIME) // 1_000)

    def boot_ns(self) -> int:
        """Return time that never steps."""
        return time.monotonic_ns()


def draft(number: int) -> Draft:
    """Return a batch record of usual size."""
    return Draft(
        id=EntryId(
            id_of(ENTRY, unix_ms=1_780_000_000_000 + number, randomness=hashlib.sha256(b"%d" % number).digest()[:10])
        ),
        type="batch.served",
        actor="sub_abcdefghijklmnopqrstuvwxyz",
        ref={"grant": "grt_01JD8R0000000000000000000A", "session": "ses_01JD8R0000000000000000000B"},
        data={
            "query": 1,
            "seq": number + 1,
            "total": {"lines": number, "bytes": number * 100},
            "reserved": {"lines": 256, "bytes": 65_536},
        },
    )


def appending(entry: Draft) -> Callable[[Transaction, Instant], Recorded[None]]:
    return lambda _tx, _now: Recorded(None, (entry,))


async def many(log: Sequencer[Transaction], first: int) -> float:
    async def writer(number: int) -> None:
        for turn in range(EACH):
            await log.commit(appending(draft(first + number * EACH + turn)), limit_s=60)

    began = time.perf_counter()
    await asyncio.gather(*(writer(number) for number in range(WRITERS)))
    return WRITERS * EACH / (time.perf_counter() - began)


async def lone(log: Sequencer[Transaction], first: int) -> list[float]:
    waits = []
    for number in range(LONE):
        work = appending(draft(first + number))
        began = time.perf_counter()
        await log.commit(work)
        waits.append((time.perf_counter() - began) * 1_000)
    return waits


def plain(path: Path, *, chained: bool, count: int = PLAIN) -> list[float]:
    """Return milliseconds per commit of one row."""
    rows = [sequenced(draft(number), index=number, at=Instant(0)).content for number in range(count)]
    connection = running_library().module.connect(path, isolation_level=None)
    for setting in ("PRAGMA journal_mode = WAL", "PRAGMA synchronous = FULL"):
        connection.execute(setting).fetchall()
    connection.execute("CREATE TABLE entries (idx INTEGER PRIMARY KEY, bytes BLOB, hash BLOB)")
    waits = []
    for number, row in enumerate(rows):
        began = time.perf_counter()
        connection.execute("BEGIN IMMEDIATE")
        before = b""
        if chained and number:
            before = connection.execute("SELECT hash FROM entries ORDER BY idx DESC LIMIT 1").fetchone()[0]
        digest = hashlib.sha256(before + row).digest()
        connection.execute("INSERT INTO entries VALUES (?, ?, ?)", (number, row, digest))
        connection.execute("COMMIT")
        waits.append((time.perf_counter() - began) * 1_000)
    connection.close()
    return waits


@asynccontextmanager
async def opened(path: Path, *, waits: bool = False) -> AsyncIterator[Stack]:
    """Return a log in a database of its own, and who signs and publishes it."""
    clock = BenchClock()
    store = await asyncio.to_thread(open_store, path / "log.db", clock=clock)
    integrator = Integrator(store, [SigningKey("bench.example/1", os.urandom(32))])
    publisher = Publisher(store, LogFiles(path / "log", flush_failed=end_process), clock)
    integrator.on_signed(publisher.want)
    covered = integrator.covered if waits else None
    log: Sequencer[Transaction] = Sequencer(store, clock, Vault(os.urandom(32), os.urandom), covered=covered)
    try:
        yield Stack(store, log, integrator, publisher)
    finally:
        await log.aclose()
        await integrator.aclose()
        await publisher.aclose()
        await asyncio.to_thread(store.close)


@asynccontextmanager
async def signing(stack: Stack) -> AsyncIterator[None]:
    """Sign and publish inside the block, as a server does."""
    tasks = [asyncio.create_task(stack.integrator.run()), asyncio.create_task(stack.publisher.run())]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def lags(stack: Stack, first: int) -> list[float]:
    """Return how many milliseconds pass until a signed head covers entries that come at `PACE` a second."""
    recorded: list[float] = []
    found: list[float] = []
    base = await stack.store.read(lambda tx: tx.entries.size())

    def signed(head: SignedHead) -> None:
        now = time.perf_counter()
        found.extend((now - at) * 1_000 for at in recorded[len(found) : head.checkpoint.size - base])

    await stack.integrator.finish()
    stack.integrator.on_signed(signed)
    async with signing(stack):
        began = time.perf_counter()
        for number in range(PACE * PACE_S):
            await asyncio.sleep(max(0.0, began + number / PACE - time.perf_counter()))
            await stack.log.commit(appending(draft(first + number)), limit_s=60)
            recorded.append(time.perf_counter())
        while len(found) < len(recorded):
            await asyncio.sleep(0.05)
    return found


async def measured(directory: Path) -> dict[str, float]:
    figures: dict[str, list[float]] = {}

    def note(name: str, value: float) -> None:
        figures.setdefault(name, []).append(value)

    async with (
        opened(directory / "alone") as alone,
        opened(directory / "signed") as signed,
        opened(directory / "waits", waits=True) as waiting,
    ):
        for number in range(ROUNDS):
            first = number * 1_000_000
            note("appends_per_s", await many(alone.log, first))
            note("lone_ms", statistics.median(await lone(alone.log, first + 500_000)))
            async with signing(signed):
                note("signed_per_s", await many(signed.log, first))
                note("signed_lone_ms", statistics.median(await lone(signed.log, first + 500_000)))
            async with signing(waiting):
                note("published_per_s", await many(waiting.log, first))
                note("published_lone_ms", statistics.median(await lone(waiting.log, first + 500_000)))
            for name, chained in (("plain", False), ("chain", True)):
                waits = await asyncio.to_thread(plain, directory / f"{name}{number}.db", chained=chained)
                note(f"{name}_ms", statistics.median(waits))
                note(f"{name}_per_s", 1_000 / statistics.fmean(waits))
        found = sorted(await lags(signed, 900_000_000))
        note("lag_p50_ms", found[len(found) // 2])
        note("lag_p99_ms", found[len(found) * 99 // 100])
    size = await asyncio.to_thread(entry_overhead, alone.store)
    return {name: statistics.median(values) for name, values in figures.items()} | {"bytes_per_entry": size}


def entry_overhead(store: SqliteStore) -> float:
    """Return bytes of the database file per entry."""
    return store.path.stat().st_size / (ROUNDS * (WRITERS * EACH + LONE))


def main() -> None:
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as directory:
        found = asyncio.run(measured(Path(directory)))
    content = len(sequenced(draft(1), index=1, at=Instant(0)).content)
    ratios = {
        "over_plain": found["appends_per_s"] / found["plain_per_s"],
        "over_chain": found["appends_per_s"] / found["chain_per_s"],
        "lone_over_plain": found["lone_ms"] / found["plain_ms"],
        "signed_over_chain": found["signed_per_s"] / found["chain_per_s"],
        "signed_over_durable": found["signed_per_s"] / found["appends_per_s"],
        "published_over_durable": found["published_per_s"] / found["appends_per_s"],
    }
    print(f"{WRITERS} callers        {found['appends_per_s']:10,.0f} durable entries/s")
    print(f"plain rows         {found['plain_per_s']:10,.0f} commits/s  ({ratios['over_plain']:.1f}x)")
    print(f"naive hash chain   {found['chain_per_s']:10,.0f} commits/s  ({ratios['over_chain']:.1f}x)")
    print(f"one caller alone   {found['lone_ms']:10.2f} ms p50, plain row {found['plain_ms']:.2f} ms")
    print(
        f"signed beside it   {found['signed_per_s']:10,.0f} entries/s"
        f"  ({ratios['signed_over_durable']:.2f}x, {ratios['signed_over_chain']:.1f}x the chain),"
        f" one alone {found['signed_lone_ms']:.2f} ms"
    )
    print(
        f"published first    {found['published_per_s']:10,.0f} entries/s  ({ratios['published_over_durable']:.2f}x),"
        f" one alone {found['published_lone_ms']:.2f} ms"
    )
    print(
        f"signature          {found['lag_p50_ms']:10,.0f} ms p50, {found['lag_p99_ms']:,.0f} ms p99 at {PACE} entries/s"
    )
    print(f"database           {found['bytes_per_entry']:10,.0f} bytes per entry of {content} bytes, indices included")
    print(json.dumps({"bench": "audit"} | {name: round(value, 3) for name, value in (found | ratios).items()}))


if __name__ == "__main__":
    main()
