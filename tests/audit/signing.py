"""A log on the real database that is signed and published step by step, as tests want it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.audit.drafts import draft
from tests.fakes.clock import FakeClock
from tests.fakes.database import put_new_database
from tests.fakes.numbered import flush_failed
from tests.fakes.vault import fake_vault
from tests.store.fixtures import opened, raw

from loglease.audit.files import LogFiles, System
from loglease.audit.integrator import Integrator, SignedHead
from loglease.audit.interface import Recorded
from loglease.audit.note import SigningKey
from loglease.audit.publisher import Publisher
from loglease.audit.sequencer import Sequencer
from loglease.audit.tiles import CHECKPOINT, ENTRIES, entries_of, tiles_of
from loglease.audit.walk import Opened, opened_log
from loglease.store.interface import Transaction
from loglease.store.sqlite import SqliteStore

ORIGIN = "loglease.local/abcdefghij/1"
KEY = SigningKey(ORIGIN, b"k" * 32)

UNGUARDED = tuple(
    f"DROP TRIGGER IF EXISTS {name}"
    for name in (
        "entries_fixed",
        "entries_kept",
        "entries_dense",
        "checkpoints_fixed",
        "checkpoints_kept",
        "checkpoints_once",
        "checkpoints_covered",
        "seq_head_forward",
    )
)
"""What a foreign hand does first."""


@dataclass
class SignedLog:
    """One process's view of a log."""

    directory: Path
    store: SqliteStore
    clock: FakeClock
    files: LogFiles
    integrator: Integrator
    publisher: Publisher
    sequencer: Sequencer[Transaction] = field(init=False)

    def __post_init__(self) -> None:
        self.sequencer = Sequencer(self.store, self.clock, fake_vault())
        self.integrator.on_signed(self.publisher.want)

    async def add(self, *numbers: int) -> None:
        entries = tuple(draft(number) for number in numbers)
        await self.sequencer.commit(lambda _tx, _now: Recorded(None, entries), limit_s=60)

    async def sign(self) -> SignedHead:
        await self.integrator.finish()
        assert self.integrator.head is not None
        return self.integrator.head

    async def publish(self) -> SignedHead:
        head = await self.sign()
        await self.publisher.publish()
        assert self.publisher.head == head
        return head

    async def begin(self) -> Opened:
        found = await opened_log(self.store, self.files, [KEY.verifier])
        self.integrator.begin(found.extent, found.head)
        self.publisher.begin(found.frontier, found.published)
        if found.head is not None:
            self.publisher.want(found.head)
        return found

    async def aclose(self) -> None:
        await self.sequencer.aclose()
        await self.integrator.aclose()
        await self.publisher.aclose()


def beside(
    directory: Path, store: SqliteStore, clock: FakeClock, *, step: int = 64, system: System | None = None
) -> SignedLog:
    """Return the publishing side of a log whose database is open already."""
    files = LogFiles(directory / "log", flush_failed=flush_failed, system=system)
    return SignedLog(
        directory,
        store,
        clock,
        files,
        Integrator(store, [KEY], step=step),
        Publisher(store, files, clock, step=step),
    )


@asynccontextmanager
async def signed_log(
    directory: Path, *, step: int = 64, system: System | None = None, begins: bool = True
) -> AsyncIterator[SignedLog]:
    clock = FakeClock()
    put_new_database(directory / "data" / "loglease.db")
    store = opened(directory, clock)
    log = beside(directory, store, clock, step=step, system=system)
    try:
        if begins:
            await log.begin()
        yield log
    finally:
        await log.aclose()
        store.close()


def damaged(log: SignedLog, *statements: str) -> None:
    raw(log.store, *UNGUARDED, *statements)


def contents(directory: Path) -> dict[str, bytes]:
    root = directory / "log"
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def entries_in(files: dict[str, bytes], size: int) -> Sequence[bytes]:
    """Return the entries that a log directory publishes up to a size."""
    bundles = [tile for tile in tiles_of(size) if tile.level == ENTRIES]
    return [entry for tile in bundles for entry in entries_of(files[tile.path], tile.width)]


def paths(size: int) -> set[str]:
    """Return all files that the directory of a log of so many entries has, and no others."""
    return {CHECKPOINT, *(tile.path for tile in tiles_of(size))}
