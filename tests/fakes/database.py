"""A database as its first opening leaves it, without the time that this takes."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path

from tests.fakes.clock import FakeClock

from loglease.store.sqlite import open_store


def put_new_database(path: Path) -> None:
    """Put a new database where there is none yet."""
    if not path.exists():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.touch(mode=0o600)
        path.write_bytes(_new_database())


@cache
def _new_database() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "data" / "loglease.db"
        open_store(path, clock=FakeClock()).close()
        return path.read_bytes()
