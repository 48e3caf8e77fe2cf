"""The log directory holds what was signed: all of it, nothing else, and whoever reads it while it grows finds everything."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.audit.signing import KEY, SignedLog, contents, damaged, entries_in, paths, signed_log
from tests.fakes.clock import FakeClock
from tests.fakes.ledger import MemoryLedger
from tests.fakes.numbered import FlushFailure, NumberedSystem, flush_failed
from tests.volume import volume

from loglease.audit.checking import Found, Tampered
from loglease.audit.checkpoint import open_checkpoint
from loglease.audit.files import LogFiles, LogUnwritable
from loglease.audit.integrator import Integrator, SignedHead
from loglease.audit.merkle import leaf_hash, root_nodes, root_of
from loglease.audit.publisher import AGAIN_S, Publisher
from loglease.audit.tiles import CHECKPOINT, hashes_from, hashes_of, tiles_of
from loglease.audit.walk import opened_log


@pytest.fixture
async def log(tmp_path: Path) -> AsyncIterator[SignedLog]:
    async with signed_log(tmp_path) as found:
        yield found


def require_whole(files: dict[str, bytes]) -> int:
    """Check a log directory as a stranger would, and return its size."""
    head = open_checkpoint(files[CHECKPOINT], [KEY.verifier])
    size = head.size
    assert root_of(hashes_from(lambda tile: files[tile.path], size)(root_nodes(size))) == head.root
    leaves = [one for tile in tiles_of(size) if tile.level == 0 for one in hashes_of(files[tile.path], tile.width)]
    assert [leaf_hash(entry) for entry in entries_in(files, size)] == leaves
    return size


async def rows(log: SignedLog, size: int) -> list[bytes]:
    return [row.content for row in await log.store.read(lambda tx: tx.entries.since(0, limit=size))]


@pytest.mark.parametrize("size", [0, 1, 2, 255, 256, 257, 600])
async def test_the_directory_of_a_log_of_any_size(log: SignedLog, size: int) -> None:
    for first in range(0, size, 300):
        await log.add(*range(first, min(size, first + 300)))
    head = await log.publish()
    files = contents(log.directory)
    assert files.keys() == paths(size)
    assert files[CHECKPOINT] == head.note
    assert require_whole(files) == size
    assert entries_in(files, size) == await rows(log, size)


async def test_it_grows_and_what_is_full_replaces_its_parts(log: SignedLog) -> None:
    number = 0
    for count in (1, 1, 200, 53, 1, 1, 300):
        await log.add(*range(number, number + count))
        number += count
        await log.publish()
        files = contents(log.directory)
        assert require_whole(files) == number
        full = {tile.path for tile in tiles_of(number) if tile.is_full}
        assert not [path for path in files if path.partition(".p/")[0] in full and ".p/" in path]


async def test_parts_stay_until_they_are_full_for_those_who_read_an_older_head(log: SignedLog) -> None:
    for number in range(4):
        await log.add(number)
        await log.publish()
    assert {f"tile/0/000.p/{width}" for width in (1, 2, 3, 4)} <= contents(log.directory).keys()


async def test_the_head_comes_last(log: SignedLog) -> None:
    await log.add(*range(300))
    head = await log.sign()
    order: list[str] = []
    write = log.files.write

    def noted(files):
        order.extend(files)
        write(files)

    log.files.write = noted
    await log.publisher.publish()
    assert order[-1] == CHECKPOINT
    assert set(order[:-1]) == {tile.path for tile in tiles_of(head.checkpoint.size)}


async def test_heads_that_were_overtaken_are_left_out(log: SignedLog) -> None:
    heard: list[SignedHead] = []
    log.publisher.on_published(heard.append)
    await log.add(1)
    await log.sign()
    await log.add(2)
    await log.publish()
    assert [one.checkpoint.size for one in heard] == [2]


async def test_an_idle_log_is_published_again_every_ten_minutes(log: SignedLog) -> None:
    heard: list[SignedHead] = []
    log.publisher.on_published(heard.append)
    await log.add(1)
    await log.publish()
    await log.publisher.publish()
    assert len(heard) == 1
    log.clock.advance(AGAIN_S)
    (log.directory / "log" / CHECKPOINT).write_bytes(b"lost")
    await log.publisher.publish()
    assert len(heard) == 2
    assert heard[0] == heard[1]
    assert require_whole(contents(log.directory)) == 1


async def test_nothing_is_published_that_was_not_signed(log: SignedLog) -> None:
    await log.add(*range(10))
    await log.publish()
    await log.add(*range(10, 20))
    await log.sign()
    before = contents(log.directory)
    content = (await rows(log, 20))[15].replace(b"rev_1", b"rev_2")
    damaged(
        log,
        f"UPDATE entries SET bytes = x'{content.hex()}', leaf = x'{leaf_hash(content).hex()}' WHERE idx = 15",  # noqa: S608 - the test's own
    )
    with pytest.raises(Tampered) as caught:
        await log.publisher.publish()
    assert caught.value.found is Found.ROOT
    assert contents(log.directory)[CHECKPOINT] == before[CHECKPOINT]


class Published:
    """One process's view of a log in memory, and of its directory on the disk."""

    def __init__(self, directory: Path, ledger: MemoryLedger, system: NumberedSystem | None = None) -> None:
        self.ledger = ledger
        self.files = LogFiles(directory / "log", flush_failed=flush_failed, system=system)
        self.integrator = Integrator(ledger, [KEY], step=128)
        self.publisher = Publisher(ledger, self.files, FakeClock(), step=128)
        self.integrator.on_signed(self.publisher.want)

    async def __aenter__(self) -> Published:
        self.files.remove_fresh()
        found = await opened_log(self.ledger, self.files, [KEY.verifier])
        self.integrator.begin(found.extent, found.head)
        self.publisher.begin(found.frontier, found.published)
        if found.head is not None:
            self.publisher.want(found.head)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.integrator.aclose()
        await self.publisher.aclose()

    async def publish(self) -> None:
        await self.integrator.finish()
        await self.publisher.publish()


SIZES = (200, 260, 520)
STRIDE = int(os.environ.get("FAULT_STRIDE", volume(15, 5)))
"""Every so manieth call; with FAULT_STRIDE=1, each."""


async def grown(directory: Path, ledger: MemoryLedger, system: NumberedSystem) -> None:
    """Publish a log several times, across the borders of tiles."""
    await asyncio.to_thread(directory.mkdir)
    async with Published(directory, ledger, system) as log:
        for size in SIZES:
            ledger.add(size - len(ledger.rows))
            await log.publish()


async def calls(directory: Path) -> int:
    counted = NumberedSystem()
    await grown(directory, MemoryLedger(), counted)
    return len(counted.calls)


@pytest.mark.volume
async def test_whatever_call_fails_the_same_process_goes_on(tmp_path: Path) -> None:
    failed = 0
    numbers = range(0, await calls(tmp_path / "counted"), STRIDE)
    for number in numbers:
        place, ledger = tmp_path / str(number), MemoryLedger()
        await asyncio.to_thread(place.mkdir)
        async with Published(place, ledger, NumberedSystem(number)) as log:
            for size in SIZES:
                ledger.add(size - len(ledger.rows))
                try:
                    await log.publish()
                except (LogUnwritable, FlushFailure):
                    failed += 1
                    known, files = log.publisher.head, contents(place)
                    if known is not None:
                        assert require_whole(files) >= known.checkpoint.size, "no head is called published that is not"
                    await log.publish()
                assert require_whole(contents(place)) == size
    assert failed == len(numbers), "each of the calls has failed once"


@pytest.mark.volume
async def test_whatever_call_fails_the_next_start_heals(tmp_path: Path) -> None:
    for number in range(0, await calls(tmp_path / "counted"), STRIDE):
        place, ledger = tmp_path / str(number), MemoryLedger()
        with pytest.raises((LogUnwritable, FlushFailure)):
            await grown(place, ledger, NumberedSystem(number))
        async with Published(place, ledger) as log:
            await log.publish()
        size, files = len(ledger.rows), contents(place)
        assert require_whole(files) == size
        assert {path for path in files if ".p/" not in path} == {path for path in paths(size) if ".p/" not in path}
        assert entries_in(files, size) == [content for _, _, content, _ in ledger.rows]
        full = {tile.path for tile in tiles_of(size) if tile.is_full}
        assert not [path for path in files if path.partition(".p/")[0] in full and ".p/" in path]
