"""How fast the audit log records, beside a naive hash chain and plain rows in the same database.

Rounds are interleaved, figures are medians. One caller and hundred of them record the same bytes in all three. The
rivals (`audit_rivals`) commit each row; ours is the sequencer with all its tables, indices and guards, and hundred
callers are hundred sessions. Every ratio depends on what a flush costs on this disk, which is printed: a group of
hundred pays it once, so the slower the disk, the larger the ratio.

The same callers are measured again while what they record is read back, signed and published beside them, and once more
where each waits for the signature. One caller alone is measured with a guard, too: a session that reserves, which looks
at itself, its grant, holder, locks and budgets. Last comes how long a signature takes at a thousand entries a second.

Machines whose disk only says that it flushed measure computing, not durability. ``--flush-ms 3`` makes each flush of
every rival take that much longer, in the kernel, as on a disk that does flush; it takes Linux and `strace`.

``--database postgresql`` records in a PostgreSQL of its own, from a wheel, with its settings as they come.

Run: ``python -m bench.audit [--database postgresql] [--flush-ms MS]``. The last line is one object of JSON; the exit
code is 1 where a goal is missed.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar, Final

import psycopg
from bench.audit_rivals import PostgresRival, Rival, Span, SqliteRival, Waits, flush_ms
from tests.fakes.gateway import OpenRules, insert_grant, principal
from tests.fakes.own_postgres import OwnPostgres, own_postgres

from loglease.access.caller import Caller
from loglease.access.open_session import open_session
from loglease.access.reserve import reserve
from loglease.access.serving import MAX_RESERVED_BYTES, MAX_RESERVED_LINES, NOTHING
from loglease.audit.entry import sequenced
from loglease.audit.files import LogFiles
from loglease.audit.integrator import Integrator, SignedHead
from loglease.audit.interface import Draft, Recorded
from loglease.audit.note import SigningKey
from loglease.audit.privacy import Vault
from loglease.audit.publisher import Publisher
from loglease.audit.sequencer import Sequencer
from loglease.model.ids import ENTRY, EntryId, SessionId, id_of
from loglease.model.instant import EventWindow, Instant, Interval
from loglease.model.limits import Limits
from loglease.model.offer import Terms
from loglease.model.review import Channel
from loglease.model.scope import Scope
from loglease.model.selector_text import parse_selector
from loglease.model.session import Front, SessionKind
from loglease.server.clock import SystemClock, SystemNewId, system_random
from loglease.server.databases import Database
from loglease.store.durability import end_process
from loglease.store.interface import Transaction
from loglease.store.postgres import open_postgres
from loglease.store.sqlite import open_store
from loglease.store.sqlite_library import running_library

WRITERS = 100
EACH = 60
LONE = 300
PLAIN = 1_500
ROUNDS = 3
PACE = 1_000
PACE_S = 5
GOALS: Final = {
    "over_chain": (20.0, True),
    "over_plain": (20.0, True),
    "lone_over_plain": (1.5, False),
    "guarded_over_plain": (1.5, False),
    "published_over_durable": (0.4, True),
    "lag_p99_ms": (1_000.0, False),
    "row_over_entry": (1.35, False),
}
"""What figures have to be: at least so much, or at most."""
_SIZES: Final = "SELECT sum(8 + length(id) + length(bytes) + length(leaf)), sum(length(bytes)), count(*) FROM entries"
NAMES: Final = {
    "durable": "ours",
    "signed": "signed beside it",
    "published": "published first",
    "guarded": "with a guard",
    "plain": "plain rows",
    "chain": "naive chain",
}


@dataclass(frozen=True)
class Stack:
    """A log, its database, and who signs and publishes it."""

    store: Database
    log: Sequencer[Transaction]
    integrator: Integrator
    publisher: Publisher


def draft(number: int) -> Draft:
    """Return a batch record of usual size, of one of hundred sessions; ids rise, as ids with a time in them do."""
    writer = number % WRITERS
    return Draft(
        id=EntryId(
            id_of(ENTRY, unix_ms=1_780_000_000_000 + number, randomness=hashlib.sha256(b"%d" % number).digest()[:10])
        ),
        type="batch.served",
        actor=f"sub_{writer:026d}",
        ref={"grant": f"grt_01JD8R{writer:020d}", "session": f"ses_01JD8R{writer:020d}"},
        data={
            "query": 1,
            "seq": number + 1,
            "total": {"lines": number, "bytes": number * 100},
            "reserved": {"lines": 256, "bytes": 65_536},
        },
    )


def drafts(first: int, count: int) -> list[Draft]:
    """Return records; made before the clock runs, since it is not they that are measured."""
    return [draft(number) for number in range(first, first + count)]


def contents(first: int, count: int) -> list[bytes]:
    """Return the bytes of the same records."""
    at = SystemClock().now()
    return [sequenced(one, index=0, at=at).content for one in drafts(first, count)]


def appending(entry: Draft) -> Callable[[Transaction, Instant], Recorded[None]]:
    return lambda _tx, _now: Recorded(None, (entry,))


async def recorded_by(log: Sequencer[Transaction], entries: Sequence[Draft], callers: int) -> Waits:
    """Let callers record, each the next one once its last is durable."""
    spans: list[Span] = []

    async def caller(share: Sequence[Draft]) -> None:
        for entry in share:
            began = time.perf_counter()
            await log.commit(appending(entry), limit_s=60)
            spans.append((began, time.perf_counter()))

    shares = [entries[first::callers] for first in range(callers)]
    computed = time.process_time()
    await asyncio.gather(*map(caller, shares))
    return Waits.of(spans, computed=time.process_time() - computed)


class Place:
    """Where databases are made: files in a directory."""

    goals: ClassVar = GOALS
    over_plain: ClassVar = 20.0

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def open(self, name: str) -> Database:
        """Open a new database, or the one that was made under that name."""
        return open_store(self.directory / name / "log.db", clock=SystemClock())

    def rivals(self) -> dict[str, Rival]:
        """Return the plain table and the chain."""
        return {
            name: SqliteRival(self.directory / f"{name}.db", chained=name == "chain") for name in ("plain", "chain")
        }

    def sizes(self, name: str) -> dict[str, float]:
        """Return what an entry takes: its row as a share of its bytes, and the whole database, indices included."""
        path = self.directory / name / "log.db"
        connection = running_library().module.connect(f"file:{path}?mode=ro", uri=True)
        try:
            row, entry, count = connection.execute(_SIZES).fetchone()
        finally:
            connection.close()
        return sizes_of(row, entry, count, path.stat().st_size)


class PostgresPlace(Place):
    """A PostgreSQL of its own, as it comes, with a database for each log and one for the rivals."""

    goals: ClassVar = GOALS | {"over_plain": (2.5, True)}
    over_plain: ClassVar = 2.5

    def __init__(self, directory: Path, server: OwnPostgres) -> None:
        super().__init__(directory)
        self._server = server
        self._made: set[str] = set()

    def open(self, name: str) -> Database:
        """Open a new database, or the one that was made under that name."""
        return open_postgres(self._url(name), clock=SystemClock())

    def rivals(self) -> dict[str, Rival]:
        """Return the plain table and the chain."""
        return {name: PostgresRival(self._url("rivals"), chained=name == "chain") for name in ("plain", "chain")}

    def sizes(self, name: str) -> dict[str, float]:
        """Return what an entry takes: its row as a share of its bytes, and the whole database, indices included."""
        with psycopg.connect(self._url(name)) as connection:
            row, entry, count = map(int, connection.execute(_SIZES).fetchone() or ())
            size = connection.execute("SELECT pg_database_size(current_database())").fetchone()
        return sizes_of(row, entry, count, int((size or (0,))[0]))

    def _url(self, name: str) -> str:
        if name not in self._made:
            self._server.create(name)
            self._made.add(name)
        return self._server.url_of(name)


def sizes_of(row: int, entry: int, count: int, all_in_all: int) -> dict[str, float]:
    return {"entry_bytes": entry / count, "row_over_entry": row / entry, "database_bytes": all_in_all / count}


@contextmanager
def place(database: str, directory: Path) -> Iterator[Place]:
    """Return where databases are made inside the block."""
    if database == "sqlite":
        yield Place(directory)
        return
    with own_postgres(connections=2 * WRITERS) as server:
        yield PostgresPlace(directory, server)


@asynccontextmanager
async def opened(where: Place, name: str, *, waits: bool = False) -> AsyncIterator[Stack]:
    """Return a log in a database of its own, and who signs and publishes it."""
    clock = SystemClock()
    path = where.directory / name
    path.mkdir(mode=0o700)
    store = await asyncio.to_thread(where.open, name)
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
    """Return how many milliseconds pass until a signed head covers entries that come at `PACE` a second, sorted."""
    count = PACE * PACE_S
    recorded: list[float] = []
    signed: list[tuple[int, float]] = []
    base = await stack.store.read(lambda tx: tx.entries.size())

    def note(head: SignedHead) -> None:
        signed.append((head.checkpoint.size - base, time.perf_counter()))

    async def record(number: int) -> None:
        await stack.log.commit(appending(draft(first + number)), limit_s=60)
        recorded.append(time.perf_counter())

    await stack.integrator.finish()
    stack.integrator.on_signed(note)
    async with signing(stack), asyncio.TaskGroup() as callers:
        began = time.perf_counter()
        for number in range(count):
            await asyncio.sleep(max(0.0, began + number / PACE - time.perf_counter()))
            callers.create_task(record(number))
        while not signed or signed[-1][0] < count:
            await asyncio.sleep(0.05)
    # Callers are answered in the order of their entries.
    return sorted(
        next((at - known) * 1_000 for size, at in signed if size > index) for index, known in enumerate(recorded)
    )


class Guarded:
    """A session that does nothing but reserve."""

    def __init__(self, store: Database) -> None:
        self._clock = SystemClock()
        self._store = store
        self._log: Sequencer[Transaction] = Sequencer(self._store, self._clock, Vault(os.urandom(32), os.urandom))
        self._session: SessionId | None = None

    async def lone(self, count: int) -> Waits:
        """Reserve so often, one after the other."""
        session = self._session or await self._opened()
        self._session = session
        spans = []
        computed = time.process_time()
        for _ in range(count):
            began = time.perf_counter()
            await reserve(
                session,
                settled=NOTHING,
                want_lines=MAX_RESERVED_LINES,
                want_bytes=MAX_RESERVED_BYTES,
                limits=Limits(),
                replica="bench",
                log=self._log,
                new_id=SystemNewId(),
                random=system_random,
            )
            spans.append((began, time.perf_counter()))
        return Waits.of(spans, computed=time.process_time() - computed)

    async def aclose(self) -> None:
        """Close the log and its database."""
        await self._log.aclose()
        await asyncio.to_thread(self._store.close)

    async def _opened(self) -> SessionId:
        now, head = self._clock.now(), await self._store.read(lambda tx: tx.entries.head())
        person = principal("bench")

        def insert(tx: Transaction, _now: Instant) -> Recorded[None]:
            tx.principals.insert(person)
            return Recorded(None)

        await self._log.commit(insert)
        scope = Scope(
            source="src", selector=parse_selector('{app="pay"}'), window=EventWindow(0, None), profile="raw@1"
        )
        terms = Terms(scopes=(scope,), duration_s=3_600, limits=Limits())
        grant = await insert_grant(self._log, person, terms, now=now, epoch=head.epoch)
        rules: Any = OpenRules()
        opened = await open_session(
            grant.id,
            kind=SessionKind.TAIL,
            front=Front.PLAIN,
            query="{}",
            interval=Interval(now * 1_000, None),
            limit=None,
            caller=Caller(principal=person, channel=Channel.API, signed_in_at=now),
            replica="bench",
            log=self._log,
            rules=rules,
            new_id=SystemNewId(),
            random=system_random,
        )
        return opened.session.id


async def measured(where: Place) -> dict[str, float]:
    """Return the medians of all rounds."""
    figures: dict[str, list[float]] = {}

    def note(name: str, waits: Waits) -> None:
        for part, value in asdict(waits).items():
            figures.setdefault(f"{name}_{part}", []).append(value)

    rivals = where.rivals()
    guarded = Guarded(where.open("guarded"))
    async with (
        opened(where, "alone") as alone,
        opened(where, "signed") as signed,
        opened(where, "waits", waits=True) as waiting,
    ):
        for number in range(ROUNDS):
            first = number * 1_000_000
            figures.setdefault("flush_ms", []).append(await asyncio.to_thread(flush_ms, where.directory))
            for name, one in (("durable", alone), ("signed", signed), ("published", waiting)):
                async with signing(one) if one is not alone else nullcontext():
                    note(f"{name}_100", await recorded_by(one.log, drafts(first, WRITERS * EACH), WRITERS))
                    note(f"{name}_1", await recorded_by(one.log, drafts(first + 500_000, LONE), 1))
            note("guarded_1", await guarded.lone(LONE))
            for name, rival in rivals.items():
                note(f"{name}_100", await asyncio.to_thread(rival.many, contents(first, PLAIN), WRITERS))
                note(f"{name}_1", await asyncio.to_thread(rival.lone, contents(first + 500_000, LONE)))
        found = await lags(signed, 900_000_000)
        figures["lag_p50_ms"], figures["lag_p99_ms"] = ([found[len(found) * part // 100]] for part in (50, 99))
    await guarded.aclose()
    for rival in rivals.values():
        rival.close()
    medians = {name: statistics.median(values) for name, values in figures.items()}
    medians["goal_from_flush_ms"] = flush_wanted(medians, where.over_plain)
    return medians | ratios(figures) | await asyncio.to_thread(where.sizes, "alone")


def flush_wanted(medians: dict[str, float], times: float) -> float:
    """Return from which price of a flush on groups of all callers record so many times as fast as plain rows.

    A group computes for each of its entries and flushes once, a plain row computes and flushes each time. Where both
    compute as long as here, all that is left to depend on is the disk.
    """
    ours = medians[f"durable_{WRITERS}_cpu_us"]
    theirs = min(medians["plain_1_cpu_us"], medians[f"plain_{WRITERS}_cpu_us"])
    return (times * WRITERS * ours - WRITERS * theirs) / (WRITERS - times) / 1_000


def ratios(figures: dict[str, list[float]]) -> dict[str, float]:
    """Return medians over the rounds of what was measured in turn; of a rival its best rate in each."""
    best = {
        name: list(map(max, figures[f"{name}_100_per_s"], figures[f"{name}_1_per_s"])) for name in ("plain", "chain")
    }
    durable = figures["durable_100_per_s"]
    pairs = {
        "over_chain": (durable, best["chain"]),
        "over_plain": (durable, best["plain"]),
        "signed_over_chain": (figures["signed_100_per_s"], best["chain"]),
        "lone_over_plain": (figures["durable_1_p50_ms"], figures["plain_1_p50_ms"]),
        "guarded_over_plain": (figures["guarded_1_p50_ms"], figures["plain_1_p50_ms"]),
        "signed_over_durable": (figures["signed_100_per_s"], durable),
        "published_over_durable": (figures["published_100_per_s"], durable),
    }
    return {
        name: statistics.median(one / other for one, other in zip(*pair, strict=True)) for name, pair in pairs.items()
    }


def shown(found: dict[str, float], where: Place) -> None:
    """Print the figures."""
    print(f"a flush takes {found['flush_ms']:.2f} ms")
    print(f"{'':26}{'entries/s':>11}{'p50 ms':>9}{'p99 ms':>9}{'computing us':>14}")
    for name, text in NAMES.items():
        for callers in (1, WRITERS):
            if f"{name}_{callers}_per_s" in found:
                rate, p50, p99, cpu = (
                    found[f"{name}_{callers}_{part}"] for part in ("per_s", "p50_ms", "p99_ms", "cpu_us")
                )
                print(f"{text:17}{callers:4} at once{rate:11,.0f}{p50:9.2f}{p99:9.2f}{cpu:14.1f}")
    times, from_ms = where.over_plain, found["goal_from_flush_ms"]
    print(f"with so much computing, {times:g} times plain rows takes flushes of {from_ms:.2f} ms")
    print(f"signature after {found['lag_p50_ms']:,.0f} ms p50, {found['lag_p99_ms']:,.0f} ms p99 at {PACE} entries/s")
    print(
        f"an entry of {found['entry_bytes']:.0f} bytes takes {found['database_bytes']:,.0f} in the database, all in all"
    )
    for name, (goal, is_least) in where.goals.items():
        missed = found[name] < goal if is_least else found[name] > goal
        print(f"{name:24}{found[name]:10.2f}   {'at least' if is_least else 'at most'} {goal:g}{', missed' * missed}")


def slowed(flush_ms: float, database: str) -> None:
    """Begin again, with flushes that take longer.

    Raises:
        SystemExit: there is no strace here.
    """
    strace = shutil.which("strace")
    if strace is None:
        raise SystemExit("--flush-ms takes strace, which is not here. On Debian: apt-get install strace")
    flushes = "fsync,fdatasync"
    delayed = ("-e", f"trace={flushes}", "-e", f"inject={flushes}:delay_exit={round(flush_ms * 1_000)}")
    again = (sys.executable, "-m", "bench.audit", "--database", database)
    os.execv(strace, [strace, "-f", "--seccomp-bpf", *delayed, "-o", os.devnull, *again])  # noqa: S606 - our own words


def main() -> None:
    parser = argparse.ArgumentParser(description="How fast the audit log records.")
    parser.add_argument("--database", choices=("sqlite", "postgresql"), default="sqlite", help="what it is recorded in")
    parser.add_argument("--flush-ms", type=float, default=0.0, help="make each flush take so many milliseconds longer")
    options = parser.parse_args()
    if options.flush_ms > 0:
        slowed(options.flush_ms, options.database)
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as directory, place(options.database, Path(directory)) as where:
        found = asyncio.run(measured(where))
        shown(found, where)
    goals = {name: goal for name, (goal, _) in where.goals.items()}
    figures = {name: round(value, 3) for name, value in found.items()}
    print(json.dumps({"bench": "audit", "database": options.database, **figures, "goals": goals}))
    if any(found[name] < goal if is_least else found[name] > goal for name, (goal, is_least) in where.goals.items()):
        sys.exit(1)


if __name__ == "__main__":
    main()
