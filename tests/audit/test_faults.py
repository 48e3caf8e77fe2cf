"""Whatever call fails, or whenever the process is killed: nothing is promised that does not hold, and a start heals."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.audit import faulty
from tests.audit.signing import KEY, contents, entries_in, paths, signed_log
from tests.fakes.numbered import FlushFailure
from tests.volume import volume

from loglease.audit.checkpoint import open_checkpoint
from loglease.audit.entry import entry_of
from loglease.audit.merkle import root_nodes, root_of
from loglease.audit.tiles import CHECKPOINT, hashes_from

STRIDE = int(os.environ.get("FAULT_STRIDE", volume(27, 9)))
"""Every so manieth call; with FAULT_STRIDE=1, each."""
NEVER = 10**9


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("prepared") / "log"
    asyncio.run(faulty.prepare(place))
    return place


@pytest.fixture(scope="module")
def writers() -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-m", "tests.audit.faulty"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield process
        assert process.stdin is not None
        process.stdin.close()


def killed(writers: subprocess.Popen[str], place: Path, kind: str, number: int) -> list[str]:
    """Let a writer be killed at a call, and return what it was promised before."""
    assert writers.stdin is not None
    assert writers.stdout is not None
    writers.stdin.write(f"{place} {kind} {number}\n")
    writers.stdin.flush()
    told = []
    while (line := writers.stdout.readline().strip()) != "gone":
        assert line, "the program ended"
        told.append(line)
    return told


def failed(place: Path, kind: str, number: int) -> list[str]:
    """Let a call fail, and return what was promised."""
    told: list[str] = []
    at = {"files": None, "statements": None, kind: number}
    with contextlib.suppress(FlushFailure):  # the end of the process
        asyncio.run(faulty.write(place, told.append, fault="fails", **at))
    return told


async def healed(place: Path, told: list[str]) -> None:
    """Start again, and check that every promise holds and that the directory is that of the database."""
    async with signed_log(place, step=512, begins=False) as log:
        await asyncio.to_thread(log.files.remove_fresh)
        published = open_checkpoint((place / "log" / CHECKPOINT).read_bytes(), [KEY.verifier]).size
        await log.begin()
        head = await log.publish()
        rows = await log.store.read(lambda tx: tx.entries.since(0, limit=1_000))
        signed = {one.size: one.root for one in await log.store.read(lambda tx: tx.checkpoints.since(0))}
    recorded = {int(entry_of(row.content).draft.id[4:]) for row in rows}
    size = len(rows)
    assert head.checkpoint.size == size
    for promise in told:
        what, *words = promise.split()
        if what == "entry":
            assert int(words[0]) in recorded
        elif what == "signed":
            assert signed[int(words[0])].hex() == words[1]
        else:
            assert published >= int(words[0])
    files = contents(place)
    assert paths(size) <= files.keys()
    assert list(entries_in(files, size)) == [row.content for row in rows]
    assert root_of(hashes_from(lambda tile: files[tile.path], size)(root_nodes(size))) == head.checkpoint.root


def calls(prepared: Path, place: Path, kind: str) -> int:
    shutil.copytree(prepared, place)
    told: list[str] = []
    at = {"files": None, "statements": None, kind: NEVER}
    count = asyncio.run(faulty.write(place, told.append, fault="fails", **at))
    assert len(told) == 3 * faulty.ADDED, "without a fault everything is promised"
    return count


@pytest.mark.volume
@pytest.mark.parametrize("kind", ["files", "statements"])
@pytest.mark.parametrize("how", ["fails", "killed"])
def test_no_false_success_and_the_next_start_heals(
    prepared: Path, tmp_path: Path, writers: subprocess.Popen[str], kind: str, how: str
) -> None:
    promises = set[int]()
    for number in range(0, calls(prepared, tmp_path / "counted", kind), STRIDE):
        place = tmp_path / str(number)
        shutil.copytree(prepared, place)
        told = failed(place, kind, number) if how == "fails" else killed(writers, place, kind, number)
        asyncio.run(healed(place, told))
        promises.add(len(told))
        shutil.rmtree(place)
    assert len(promises) > 1, "the faults happened at different places"
