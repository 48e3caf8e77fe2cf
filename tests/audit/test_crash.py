"""Promise 8, durable: "Nothing acknowledged is lost by a crash of any process.\""""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pytest
from tests.store.fixtures import opened

from loglease.audit.checking import check_log
from loglease.audit.entry import entry_of

ROUNDS = 20

# Loads everything once, then forks a writer for each line it reads: a round costs no interpreter start.
PROGRAM = """
import asyncio, os, sys
from pathlib import Path
from loglease.audit.interface import Recorded
from loglease.audit.sequencer import Sequencer
from loglease.store.interface import LostRace
from tests.audit.drafts import draft
from tests.fakes.clock import FakeClock
from tests.fakes.vault import fake_vault
from tests.store.fixtures import opened

async def write(first):
    clock = FakeClock()
    store = opened(Path(sys.argv[1]), clock)
    log = Sequencer(store, clock, fake_vault())
    numbers = iter(range(first, first + 10**6))

    def recorded(tx, number):
        tx.values.put("last", str(number))
        if number % 7 == 0:
            raise LostRace("a refusal among them")
        return Recorded(number, (draft(number),))

    async def writer():
        for number in numbers:
            try:
                done = await log.commit(lambda tx, _now: recorded(tx, number))
            except LostRace:
                continue
            os.write(1, b"%d\\n" % done)

    await asyncio.gather(*(writer() for _ in range(8)))

for line in sys.stdin:
    child = os.fork()
    if child == 0:
        asyncio.run(write(int(line)))
        os._exit(1)
    os.write(1, b"pid %d\\n" % child)
    os.waitpid(child, 0)
    os.write(1, b"gone\\n")
"""


@pytest.fixture
def writers(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield process
        assert process.stdin is not None
        process.stdin.close()


async def test_what_was_acknowledged_survives_kill_9(writers: subprocess.Popen[str], tmp_path: Path) -> None:
    chance = random.Random(8)  # noqa: S311 - the same rounds in every run
    acknowledged: set[int] = set()
    for turn in range(ROUNDS):
        acknowledged |= killed(writers, first=turn * 10**7, after=chance.choice([1, 2, 3, 10, 50, 200]))
        store = opened(tmp_path)
        try:
            assert await check_log(store) >= len(acknowledged)
            entries = await store.read(lambda tx: tx.entries.since(0, limit=10**6))
        finally:
            store.close()
        assert [entry.index for entry in entries] == list(range(len(entries)))
        recorded = {int(entry_of(entry.content).draft.id[4:]) for entry in entries}
        assert acknowledged <= recorded
        assert not any(number % 7 == 0 for number in recorded), "a refusal leaves no entry"
    assert len(acknowledged) > ROUNDS


def killed(writers: subprocess.Popen[str], *, first: int, after: int) -> set[int]:
    """Let a process write, kill it after so many acknowledgements, and return those that arrived."""
    assert writers.stdin is not None
    assert writers.stdout is not None
    writers.stdin.write(f"{first}\n")
    writers.stdin.flush()
    child, seen = 0, set[int]()
    for line in lines(writers.stdout):
        if line.startswith("pid "):
            child = int(line[4:])
        elif line == "gone":
            break
        else:
            seen.add(int(line))
        if child and len(seen) >= after:
            os.kill(child, signal.SIGKILL)
            child = 0
            after = 10**9
    return seen


def lines(stream: IO[str]) -> Iterator[str]:
    while line := stream.readline():
        yield line.strip()
