"""After a failed flush nothing goes on: the process says which file it was, and ends."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from loglease.store.durability import EXIT_CODE

JOURNAL = """
import asyncio, os, sys
from pathlib import Path
from loglease.access.journal import Journal, JournalRecord

journal = Journal.open(Path(sys.argv[1]) / "revocations.journal")

def fsync(descriptor):
    raise OSError(5, "Input/output error")

os.fsync = fsync
record = JournalRecord(kind="revoke", id="rvk_1", on="everything", grants=(), at=1, reason="", by="prn_1")
try:
    asyncio.run(journal.append(record))
finally:
    print("it went on")
"""

DATABASE = """
import asyncio, sys
from pathlib import Path
from loglease.server.clock import SystemClock
from loglease.store.sqlite import open_store
from loglease.store.sqlite_library import running_library

module = running_library().module
connect, is_broken = module.connect, False

class Connection(module.Connection):
    def commit(self):
        if is_broken:
            error = module.OperationalError("disk I/O error")
            error.sqlite_errorcode = CODE
            raise error
        super().commit()

module.connect = lambda *given, **named: connect(*given, factory=Connection, **named)
store = open_store(Path(sys.argv[1]) / "data" / "loglease.db", clock=SystemClock())
is_broken = True
try:
    asyncio.run(store.touch(None))
finally:
    print("it went on")
"""


@pytest.mark.parametrize(
    ("script", "name"),
    [
        (JOURNAL, "The revocation journal"),
        (DATABASE.replace("CODE", "1034"), "loglease.db"),
        (DATABASE.replace("CODE", "1290"), "loglease.db"),
    ],
    ids=["journal", "database", "directory of the database"],
)
def test_a_failed_flush_ends_the_process(tmp_path: Path, script: str, name: str) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == EXIT_CODE, ended.stderr
    assert name in ended.stderr
    assert "could not be flushed" in ended.stderr
    assert ended.stdout == ""


def test_a_full_disk_does_not(tmp_path: Path) -> None:
    script = DATABASE.replace("CODE", "13")
    ended = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == 1
    assert "StoreUnavailable" in ended.stderr
