"""Promise 6: whichever bit of the stored log flips, in a row, in a signed head or in a file, a start finds it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
from tests.audit.signing import KEY, contents
from tests.fakes.clock import FakeClock
from tests.fakes.ledger import MemoryLedger
from tests.fakes.numbered import NumberedSystem, flush_failed

from loglease.audit.checking import LogDamaged
from loglease.audit.files import LogFiles
from loglease.audit.integrator import Integrator
from loglease.audit.publisher import Publisher
from loglease.audit.walk import opened_log

ROUNDS = 60
SIZES = (40, 256, 270)


def files_in(place: Path) -> LogFiles:
    return LogFiles(place / "log", flush_failed=flush_failed, system=NumberedSystem())


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[MemoryLedger, Path]:
    ledger, place = MemoryLedger(), tmp_path_factory.mktemp("whole")

    async def publish() -> None:
        integrator = Integrator(ledger, [KEY])
        publisher = Publisher(ledger, files_in(place), FakeClock())
        integrator.on_signed(publisher.want)
        for size in SIZES:
            ledger.add(size - len(ledger.rows))
            await integrator.finish()
            await publisher.publish()
        await integrator.aclose()
        await publisher.aclose()

    asyncio.run(publish())
    return ledger, place


def started(ledger: MemoryLedger, place: Path) -> None:
    asyncio.run(opened_log(ledger, files_in(place), [KEY.verifier]))


def flipped(content: bytes, chance: Random) -> bytes:
    other = bytearray(content)
    other[chance.randrange(len(other))] ^= 1 << chance.randrange(8)
    return bytes(other)


def number_flipped(value: int, chance: Random) -> int:
    return value ^ (1 << chance.randrange(10))


def row_changes(ledger: MemoryLedger, chance: Random) -> MemoryLedger:
    changed = MemoryLedger()
    changed.rows, changed.signed = list(ledger.rows), list(ledger.signed)
    place = chance.randrange(len(changed.rows))
    index, entry_id, content, leaf = changed.rows[place]
    changed.rows[place] = chance.choice(
        [
            (number_flipped(index, chance), entry_id, content, leaf),
            (index, flipped(entry_id.encode(), chance).decode("latin-1"), content, leaf),
            (index, entry_id, flipped(content, chance), leaf),
            (index, entry_id, content, flipped(leaf, chance)),
        ]
    )
    return changed


def head_changes(ledger: MemoryLedger, chance: Random) -> MemoryLedger:
    changed = MemoryLedger()
    changed.rows, changed.signed = list(ledger.rows), list(ledger.signed)
    place = chance.randrange(len(changed.signed))
    one = changed.signed[place]
    changed.signed[place] = chance.choice(
        [
            replace(one, size=number_flipped(one.size, chance)),
            replace(one, prev_size=number_flipped(one.prev_size or 0, chance)),
            replace(one, root=flipped(one.root, chance)),
            replace(one, note=flipped(one.note, chance)),
        ]
    )
    return changed


@pytest.fixture
def chances(request: pytest.FixtureRequest) -> Iterator[Random]:
    def generate() -> Iterator[Random]:
        for number in range(ROUNDS):
            yield Random(number)  # noqa: S311 - the same rounds in every run

    return generate()


def test_the_whole_log_passes(whole: tuple[MemoryLedger, Path]) -> None:
    started(*whole)


@pytest.mark.parametrize("change", [row_changes, head_changes])
def test_a_bit_in_the_database(
    whole: tuple[MemoryLedger, Path],
    chances: Iterator[Random],
    change: Callable[[MemoryLedger, Random], MemoryLedger],
) -> None:
    ledger, place = whole
    for chance in chances:
        with pytest.raises(LogDamaged):
            started(change(ledger, chance), place)


def test_a_bit_in_a_file(whole: tuple[MemoryLedger, Path], chances: Iterator[Random]) -> None:
    ledger, place = whole
    names = sorted(contents(place))
    for chance in chances:
        path = place / "log" / chance.choice(names)
        content = path.read_bytes()
        path.write_bytes(flipped(content, chance))
        with pytest.raises(LogDamaged):
            started(ledger, place)
        path.write_bytes(content)
    started(ledger, place)
