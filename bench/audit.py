"""How fast the audit log records: many callers that share commits, and one caller alone, beside bare SQLite.

Rounds are interleaved, figures are medians. The rivals insert the same bytes into one plain table, one commit a row,
the second after it has read the hash of the row before. Every ratio depends on what a flush costs on this disk: a group
of hundred pays it once, so the slower the disk, the larger the ratio.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from loglease.audit.entry import sequenced
from loglease.audit.interface import Draft, Recorded
from loglease.audit.privacy import Vault
from loglease.audit.sequencer import Sequencer
from loglease.model.ids import ENTRY, EntryId, id_of
from loglease.model.instant import Instant
from loglease.store.interface import Transaction
from loglease.store.sqlite import SqliteStore, open_store
from loglease.store.sqlite_library import running_library

WRITERS = 100
EACH = 60
LONE = 300
PLAIN = 1_500
ROUNDS = 3


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


async def measured(directory: Path) -> dict[str, float]:
    figures: dict[str, list[float]] = {}

    def note(name: str, value: float) -> None:
        figures.setdefault(name, []).append(value)

    store = await asyncio.to_thread(open_store, directory / "log.db", clock=BenchClock())
    log: Sequencer[Transaction] = Sequencer(store, BenchClock(), Vault(os.urandom(32), os.urandom))
    try:
        for number in range(ROUNDS):
            first = number * 1_000_000
            note("appends_per_s", await many(log, first))
            note("lone_ms", statistics.median(await lone(log, first + 500_000)))
            for name, chained in (("plain", False), ("chain", True)):
                waits = await asyncio.to_thread(plain, directory / f"{name}{number}.db", chained=chained)
                note(f"{name}_ms", statistics.median(waits))
                note(f"{name}_per_s", 1_000 / statistics.fmean(waits))
    finally:
        await log.aclose()
        await asyncio.to_thread(store.close)
    size = await asyncio.to_thread(entry_overhead, store)
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
    }
    print(f"{WRITERS} callers        {found['appends_per_s']:10,.0f} durable entries/s")
    print(f"plain rows         {found['plain_per_s']:10,.0f} commits/s  ({ratios['over_plain']:.1f}x)")
    print(f"naive hash chain   {found['chain_per_s']:10,.0f} commits/s  ({ratios['over_chain']:.1f}x)")
    print(f"one caller alone   {found['lone_ms']:10.2f} ms p50, plain row {found['plain_ms']:.2f} ms")
    print(f"database           {found['bytes_per_entry']:10,.0f} bytes per entry of {content} bytes, indices included")
    print(json.dumps({"bench": "audit"} | {name: round(value, 3) for name, value in (found | ratios).items()}))


if __name__ == "__main__":
    main()
