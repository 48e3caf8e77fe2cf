"""A process that records, signs and publishes, and to which something happens at one numbered call.

Run as a program it loads everything once and forks a writer for each line that it reads, ``DIRECTORY KIND NUMBER``: the
call of that number, of the log directory's files or of the database, does not happen, and the writer is gone.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, event
from tests.audit.drafts import draft
from tests.audit.signing import signed_log
from tests.fakes.numbered import NumberedSystem, broken, killed

from loglease.audit.files import LogUnwritable
from loglease.audit.interface import AuditUnavailable, Recorded
from loglease.store.interface import StoreUnavailable
from loglease.store.sqlite_library import running_library

BEFORE = 254
"""Entries that are published before anything goes wrong; the writer fills a tile and begins another."""
ADDED = 8

Told = Callable[[str], None]
"""Called with each thing that the writer was promised: an entry, a signed head, a published size."""


class Statements:
    """The statements and commits of all databases, counted from 0; `fault` happens instead of number `at`."""

    def __init__(self, at: int | None, fault: Callable[[int], Any]) -> None:
        self.at = at
        self.fault = fault
        self.count = 0

    def call(self, *_: Any) -> None:
        self.count += 1
        if self.count - 1 == self.at:
            self.fault(self.at)

    @contextmanager
    def counting(self) -> Iterator[None]:
        events = ("before_cursor_execute", "commit")
        for name in events:
            event.listen(Engine, name, self.call)
        try:
            yield
        finally:
            for name in events:
                event.remove(Engine, name, self.call)


def unavailable(number: int) -> None:
    """Fail as a database does."""
    raise running_library().module.OperationalError(f"statement {number}: disk I/O error")


async def prepare(directory: Path) -> None:
    """Make the log that every writer begins with."""
    async with signed_log(directory, step=512) as log:
        await log.add(*range(BEFORE))
        await log.publish()


def recording(number: int):
    return lambda _tx, _now: Recorded(number, (draft(number),))


async def write(directory: Path, told: Told, *, files: int | None, statements: int | None, fault: str) -> int:
    """Go on from a prepared log, and say what is promised; return how many calls of the kind in question there were.

    Args:
        files, statements: the number of the call that something happens to.
        fault: ``fails`` or ``killed``.
    """
    system = NumberedSystem(files, killed if fault == "killed" else broken)
    counted = Statements(statements, killed if fault == "killed" else unavailable)
    async with signed_log(directory, step=512, system=system, begins=False) as log:
        with counted.counting():
            try:
                await log.begin()
            except (StoreUnavailable, LogUnwritable):
                return 0
            for number in range(BEFORE, BEFORE + ADDED):
                try:
                    told(f"entry {await log.sequencer.commit(recording(number), limit_s=60)}")
                except AuditUnavailable:
                    continue
                try:
                    head = await log.sign()
                    told(f"signed {head.checkpoint.size} {head.checkpoint.root.hex()}")
                    await log.publisher.publish()
                    told(f"published {head.checkpoint.size}")
                except (StoreUnavailable, LogUnwritable):
                    continue
    return counted.count if statements is not None else len(system.calls)


def main() -> None:
    def told(text: str) -> None:
        os.write(1, f"{text}\n".encode())

    for line in sys.stdin:
        directory, kind, number = line.split()
        child = os.fork()
        if child == 0:
            at = {"files": None, "statements": None, kind: int(number)}
            asyncio.run(write(Path(directory), told, fault="killed", **at))
            os._exit(0)
        os.waitpid(child, 0)
        os.write(1, b"gone\n")


if __name__ == "__main__":
    main()
