from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.sql.compiler import SQLCompiler
from tests.fakes.clock import FakeClock
from tests.store import values
from tests.store.fixtures import change, opened
from tests.store.values import NOW

from loglease.store import grants, requests
from loglease.store.errors import StoreDamaged, StoreInUse
from loglease.store.interface import StoreUnavailable, Transaction
from loglease.store.readers import READERS
from loglease.store.sqlite import SqliteGroup, SqliteStore, open_store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    found = opened(tmp_path)
    yield found
    found.close()


def pragma(store: SqliteStore, name: str) -> object:
    return store._writer.run(lambda connection, _: connection.exec_driver_sql(f"PRAGMA {name}").scalar())


def test_the_writer_is_durable_and_strict(store: SqliteStore) -> None:
    settings = {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "trusted_schema": 0, "mmap_size": 0}
    assert {name: pragma(store, name) for name in settings} == settings


def test_nothing_is_open_to_others(store: SqliteStore) -> None:
    store._writer.run(lambda _, tx: tx.values.put("a", "b"))
    modes = {path.name: path.stat().st_mode & 0o777 for path in store.path.parent.iterdir()}
    assert set(modes) >= {"loglease.db", "loglease.db-wal", "loglease.db-shm", "loglease.db.lock"}
    assert set(modes.values()) == {0o600}
    assert store.path.parent.stat().st_mode & 0o777 == 0o700


async def test_readers_cannot_write(store: SqliteStore) -> None:
    with pytest.raises(StoreUnavailable, match="readonly"):
        await store.read(lambda tx: tx.values.put("a", "b"))
    assert await store.read(lambda tx: tx.values.find("a")) is None


async def test_a_reader_sees_one_moment_and_does_not_wait_for_the_writer(store: SqliteStore) -> None:
    inside, go_on = threading.Event(), threading.Event()

    def slow(tx: Transaction) -> None:
        tx.values.put("a", "new")
        inside.set()
        go_on.wait(10)

    await change(store, lambda tx: tx.values.put("a", "old"))
    writing = asyncio.ensure_future(change(store, slow))
    await asyncio.to_thread(inside.wait, 10)
    assert await store.read(lambda tx: tx.values.find("a")) == "old"
    go_on.set()
    await writing
    assert await store.read(lambda tx: tx.values.find("a")) == "new"


async def test_many_reads_at_once(store: SqliteStore) -> None:
    await change(store, lambda tx: tx.values.put("a", "b"))
    found = await asyncio.gather(*(store.read(lambda tx: tx.values.find("a")) for _ in range(50)))
    assert found == ["b"] * 50


async def test_a_statement_is_compiled_once_for_all_readers(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiled = []

    def compiler(*args: Any, **options: Any) -> None:
        compiled.append(args)
        make(*args, **options)

    make = SQLCompiler.__init__
    monkeypatch.setattr(SQLCompiler, "__init__", compiler)
    together = threading.Barrier(READERS)

    def look(tx: Transaction) -> None:
        together.wait(10)
        with one_at_a_time:
            tx.values.find("a")

    one_at_a_time = threading.Lock()
    await asyncio.gather(*(store.read(look) for _ in range(READERS)))
    assert len(compiled) == 1


async def test_a_full_disk_is_no_success_and_heals(store: SqliteStore) -> None:
    pages = pragma(store, "page_count")
    pragma(store, f"max_page_count = {pages}")
    big = values.request(terms_bytes=bytes(200_000))
    with pytest.raises(StoreUnavailable, match="full"):
        await change(store, lambda tx: tx.requests.insert(big))
    assert await store.read(lambda tx: tx.requests.find(big.id)) is None
    pragma(store, "max_page_count = 1000000")
    await change(store, lambda tx: tx.requests.insert(big))
    assert await store.read(lambda tx: tx.requests.find(big.id)) == big


FULL_AT_COMMIT = """
import asyncio, resource, signal, sys
from pathlib import Path
from loglease.store.interface import StoreUnavailable
from tests.store.fixtures import change, opened
from tests.store.values import NOW
from tests.store import values
from loglease.store.sqlite import SqliteStore

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

async def main() -> None:
    store = opened(Path(sys.argv[1]))
    await store.touch(None)
    size = store.path.with_name("loglease.db-wal").stat().st_size
    hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 5_000, hard))
    big = values.request(terms_bytes=bytes(200_000))
    for _ in range(3):
        try:
            await change(store, lambda tx: tx.requests.insert(big))
        except StoreUnavailable:
            print("refused")
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    assert await store.read(lambda tx: tx.requests.find(big.id)) is None
    await change(store, lambda tx: tx.requests.insert(big))
    store.close()
    store = opened(Path(sys.argv[1]))
    assert await store.read(lambda tx: tx.requests.find(big.id)) == big
    store.close()
    print("healed")

asyncio.run(main())
"""


def test_a_write_that_fails_at_commit_heals_without_a_restart(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FULL_AT_COMMIT, str(tmp_path)], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout.split() == ["refused"] * 3 + ["healed"], done.stderr


async def test_a_connection_that_broke_is_replaced(store: SqliteStore) -> None:
    def body(tx: Transaction) -> None:
        tx.values.put("a", "lost")
        store._writer._open[0].connection.dbapi_connection.close()  # type: ignore[index, union-attr]

    with pytest.raises(Exception, match="closed"):
        await change(store, body)
    await change(store, lambda tx: tx.values.put("b", "kept"))
    assert await store.read(lambda tx: (tx.values.find("a"), tx.values.find("b"))) == (None, "kept")


def test_a_second_process_is_refused(store: SqliteStore) -> None:
    program = f"""
from pathlib import Path
from tests.store.fixtures import opened
opened(Path({str(store.path.parent.parent)!r}))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert "StoreInUse" in done.stderr
    assert f"{store.path} is in use by process " in done.stderr


def test_a_store_that_did_not_open_gives_its_lock_up(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir(mode=0o700)
    (tmp_path / "data" / "loglease.db").write_bytes(b"no database at all" * 100)
    for _ in range(2):
        with pytest.raises(StoreDamaged, match="is not a database"):
            opened(tmp_path)
    (tmp_path / "data" / "loglease.db").unlink()
    opened(tmp_path).close()


async def test_damage_refuses_the_start(tmp_path: Path) -> None:
    store = opened(tmp_path)

    def fill(tx: Transaction) -> None:
        for number in range(1, 40):
            tx.requests.insert(values.request(number, terms_bytes=bytes(3_000)))

    await change(store, fill)
    store.close()
    content = bytearray(store.path.read_bytes())
    content[-40_000:-20_000] = b"\xff" * 20_000
    store.path.write_bytes(content)
    with pytest.raises((StoreDamaged, StoreUnavailable)) as caught:
        opened(tmp_path)
    assert not isinstance(caught.value, StoreInUse)


def test_a_place_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreUnavailable, match="cannot be used"):
        open_store(tmp_path / "file" / "a.db", clock=FakeClock())


async def test_a_closed_store_says_so(tmp_path: Path) -> None:
    store = opened(tmp_path)
    store.close()
    store.close()
    for call in (lambda: store.touch(None), lambda: store.read(lambda tx: tx.epoch)):
        with pytest.raises(StoreUnavailable, match="closed"):
            await call()


async def test_the_sweep_reads_what_is_due_through_an_index(store: SqliteStore) -> None:
    def plans(group: SqliteGroup) -> list[str]:
        connection = group.transaction.grants._connection  # type: ignore[attr-defined]
        found = []
        for statement in (grants._DUE, requests._DUE):
            # As it runs: what is a parameter is a parameter, for which SQLite cannot prove that a partial index applies.
            as_run = statement.compile(dialect=connection.dialect).construct_expanded_state({"now": NOW, "most": 9})
            rows = connection.exec_driver_sql(
                f"EXPLAIN QUERY PLAN {as_run.statement}", tuple(as_run.positional_parameters)
            )
            found.append("; ".join(row.detail for row in rows))
        return found

    due_grants, due_requests = await store.group(plans)
    assert "USING INDEX ix_grants_live (lapses_at<?)" in due_grants
    assert "USING INDEX ix_requests_due (expires_at<?)" in due_requests
