"""What only PostgreSQL is asked: its settings, its triggers, its restarts, and who may use it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psycopg
import pytest
from tests.fakes.clock import FakeClock
from tests.fakes.postgres import ClockedStore, clocked, database_at
from tests.store import values
from tests.store.test_guards import STATEMENTS, one_of_each

from loglease.audit.entry import sequenced
from loglease.audit.interface import SYSTEM, Draft
from loglease.model.ids import ENTRY, EntryId
from loglease.server.clock import SystemNewId
from loglease.store import postgres
from loglease.store.database_clock import DatabaseClock
from loglease.store.erasures import WIPE_DUE
from loglease.store.errors import StoreMoved, StorePlaceRefused
from loglease.store.interface import StoreUnavailable
from loglease.store.postgres import open_postgres, version_at
from loglease.store.postgres_group import PostgresGroup

PORTABLE = [(statement, why) for statement, why in STATEMENTS if "INSERT OR" not in statement]
NOW = "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint"
CUT = "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
SAID = {"CHECK": "check constraint", "UNIQUE": "unique constraint"}


@pytest.fixture
def url(tmp_path: Path) -> str:
    return database_at(tmp_path)


@pytest.fixture
def store(url: str) -> Iterator[ClockedStore]:
    found = clocked(url)
    yield found
    found.close()


def raw(url: str, *statements: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement)


def one(url: str, query: str) -> int:
    with psycopg.connect(url) as connection:
        (found,) = connection.execute(query).fetchone() or (0,)
    return int(found)


async def recorded(store: ClockedStore, kind: str, data: dict[str, Any]) -> None:
    def work(group: PostgresGroup) -> None:
        draft = Draft(id=EntryId(SystemNewId()(ENTRY)), type=kind, actor=SYSTEM, data=data)
        row = sequenced(draft, index=group.head.next, at=group.now())
        group.append([row], last_at=row.at)

    await store.group(work)


async def filled(store: ClockedStore) -> None:
    await store.group(lambda group: one_of_each(group.transaction))


@pytest.mark.attack("AD-08")
@pytest.mark.parametrize(("statement", "why"), PORTABLE)
async def test_raw_sql_is_refused(store: ClockedStore, url: str, statement: str, why: str) -> None:
    await filled(store)
    statement = statement.replace("= x''", "= ''::bytea").replace("= x'00'", "= '\\x00'::bytea")
    with pytest.raises(psycopg.IntegrityError, match=SAID.get(why, why)):
        raw(url, statement)


@pytest.mark.parametrize("table", ["requests", "reviews", "grants", "sessions", "entries", "checkpoints", "seq_head"])
async def test_a_table_that_is_kept_is_not_emptied_either(store: ClockedStore, url: str, table: str) -> None:
    await filled(store)
    with pytest.raises(psycopg.IntegrityError, match="kept"):
        raw(url, f"TRUNCATE {table} CASCADE")


async def test_triggers_that_somebody_dropped_switched_off_or_changed_come_back(store: ClockedStore, url: str) -> None:
    await filled(store)
    store.close()
    raw(
        url,
        "DROP TRIGGER guard_reviews_kept ON reviews",
        "ALTER TABLE requests DISABLE TRIGGER guard_requests_kept",
        "CREATE OR REPLACE FUNCTION guard_grants_kept() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN OLD; END'",
    )
    clocked(url).close()
    for table in ("reviews", "requests", "grants"):
        with pytest.raises(psycopg.IntegrityError, match="kept"):
            raw(url, f"DELETE FROM {table}")  # noqa: S608 - three constants


@pytest.mark.parametrize(
    ("setting", "why"),
    [
        ("synchronous_commit = off", "synchronous_commit is off"),
        ("synchronous_commit = local", "synchronous_commit is local"),
        ("default_transaction_read_only = on", "session is read-only"),
    ],
)
def test_a_server_that_promises_less_is_refused(url: str, setting: str, why: str) -> None:
    name = url.partition("?")[0].rpartition("/")[2]
    raw(url, f"ALTER DATABASE {name} SET {setting}")
    try:
        with pytest.raises(StoreUnavailable, match=why):
            open_postgres(url, clock=FakeClock())
    finally:
        with psycopg.connect(url.replace(f"/{name}?", "/postgres?"), autocommit=True) as admin:
            admin.execute(f"ALTER DATABASE {name} RESET ALL")


def test_a_database_that_sorts_in_its_own_way_is_refused(url: str) -> None:
    admin, name = url.replace(url.partition("?")[0].rpartition("/")[2], "postgres"), "sorts_itself"
    raw(admin, f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C'")
    try:
        with pytest.raises(StorePlaceRefused, match="encoding LATIN1") as refused:
            version_at(admin.replace("/postgres?", f"/{name}?"))
    finally:
        raw(admin, f"DROP DATABASE {name}")
    assert "createdb" in (refused.value.next_step or "")


def test_the_version_is_told_without_opening_anything(store: ClockedStore, url: str) -> None:
    assert version_at(url).split(".")[0].isdecimal()
    with pytest.raises(StoreUnavailable, match="does not exist"):
        version_at(url.replace("/test_", "/nobody_"))


def test_an_old_server_is_refused(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres, "OLDEST", 990_000)
    with pytest.raises(StorePlaceRefused, match="This is PostgreSQL"):
        open_postgres(url, clock=FakeClock())


async def test_connections_that_were_cut_are_made_again(store: ClockedStore, url: str) -> None:
    failures: list[str] = []
    store.on_failure(failures.append)
    others = "datname = current_database() AND pid <> pg_backend_pid()"
    raw(url, f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {others}")  # noqa: S608 - two constants
    with pytest.raises(StoreUnavailable, match="PostgreSQL failed"):
        await store.touch(None)
    with pytest.raises(StoreUnavailable):
        await filled(store)
    assert len(failures) == 2
    await filled(store)
    await store.touch(None)
    assert await store.read(lambda tx: tx.requests.find(values.request().id)) == values.request()


async def test_a_transaction_is_found_again_by_its_mark(store: ClockedStore) -> None:
    def putting(group: PostgresGroup) -> int | None:
        group.transaction.values.put("a", "b")
        return group.mark()

    def failing(group: PostgresGroup) -> None:
        marks.append(putting(group))
        raise LookupError

    marks: list[int | None] = [await store.group(putting)]
    with pytest.raises(LookupError):
        await store.group(failing)
    kept, gone = marks
    assert kept is not None
    assert gone is not None
    assert await store.group(lambda group: (group.left(kept), group.left(gone))) == (True, False)


async def test_changes_of_two_processes_come_one_after_the_other(store: ClockedStore, url: str) -> None:
    """The second waits for the lock on the head, and then sees what the first one wrote."""
    other = ClockedStore(url, FakeClock())
    try:
        both = [store if number % 2 else other for number in range(40)]

        def count(group: PostgresGroup) -> None:
            values = group.transaction.values
            values.put("count", str(int(values.find("count") or 0) + 1))

        await asyncio.gather(*(one.group(count) for one in both))
        assert await store.read(lambda tx: tx.values.find("count")) == "40"
    finally:
        other.close()


async def test_nothing_is_written_by_a_reader(store: ClockedStore) -> None:
    with pytest.raises(StoreUnavailable, match="read-only transaction"):
        await store.read(lambda tx: tx.values.put("a", "b"))


async def test_the_time_is_that_of_the_database(url: str) -> None:
    machine = FakeClock()
    clock = DatabaseClock(machine)
    store = open_postgres(url, clock=clock, database_clock=clock)
    try:
        for read in (lambda: store.touch(None), lambda: store.group(lambda group: group.now())):
            before, found, after = one(url, NOW), await read(), one(url, NOW)
            assert before <= found + 1_000
            assert found <= after + 1_000
            assert abs(clock.now() - found) < 1_000_000
        machine.advance(60)
        assert 59_000_000 < clock.now() - found < 61_000_000
    finally:
        store.close()


async def test_another_server_hears_of_what_is_not_to_wait(store: ClockedStore, url: str) -> None:
    other, heard = clocked(url), threading.Event()
    listening = threading.Event()

    def wake() -> None:
        (heard if listening.is_set() else listening).set()

    store.is_shared = other.is_shared = True
    try:
        store.on_foreign(frozenset({"service.stopped"}), lambda: None)
        other.on_foreign(frozenset({"service.stopped"}), wake)
        assert listening.wait(30)
        await recorded(store, "clock.trusted", {"replica": "node-1", "skew_ms": 0})
        assert not heard.wait(0.5), "no entry of that type"
        await recorded(other, "service.stopped", {"replica": "node-1", "why": "signal"})
        assert not heard.wait(0.5), "its own"
        await recorded(store, "service.stopped", {"replica": "node-1", "why": "signal"})
        assert heard.wait(30)
    finally:
        other.close()


async def test_a_server_that_reaches_another_database_than_before_does_nothing(
    store: ClockedStore, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await store.keep_term()
    assert not await store.is_copy()
    raw(url, CUT)
    monkeypatch.setattr(store, "_term", "7/00000001")
    for _ in range(2):
        for call in (lambda: store.touch(None), lambda: store.group(lambda group: group.now())):
            with suppress(StoreUnavailable):
                await call()
    with pytest.raises(StoreMoved):
        await store.touch(None)
    with pytest.raises(StoreMoved):
        await store.group(lambda group: group.now())
    monkeypatch.undo()
    assert not await store.is_copy()
    raw(url, "UPDATE named_values SET value = '7/00000001' WHERE name = 'database_term'")
    assert await store.is_copy()


async def test_a_server_whose_log_has_become_shorter_does_nothing(store: ClockedStore, url: str) -> None:
    for _ in range(3):
        await recorded(store, "clock.trusted", {"replica": "node-1", "skew_ms": 0})
    await store.touch(None)
    raw(
        url,
        "SET session_replication_role = replica; DELETE FROM entry_index; DELETE FROM entries WHERE idx = 2;"
        " UPDATE seq_head SET next = 2",
    )
    for _ in range(2):
        with pytest.raises(StoreMoved, match="has 2 entries and had 3"):
            await store.touch(None)
        with pytest.raises(StoreMoved, match="has 2 entries and had 3"):
            await store.group(lambda group: group.now())


async def test_what_was_erased_is_not_left_in_the_files_of_the_tables(store: ClockedStore, url: str) -> None:
    text = "this-was-erased-for-good"
    await store.group(lambda group: group.transaction.values.put("a", text))
    await store.group(lambda group: group.transaction.values.put("a", "b"))
    raw(url, "CHECKPOINT")
    assert kept_in_tables(url, text)
    assert await store.wipe()
    raw(url, "CHECKPOINT")
    assert not kept_in_tables(url, text)


async def test_large_tables_are_left_to_the_next_start(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    store = clocked(url)
    await store.group(lambda group: group.transaction.values.put(WIPE_DUE, "1"))
    monkeypatch.setattr(postgres, "WIPED_AT_ONCE", 1)
    assert not await store.wipe()
    store.close()
    again = clocked(url)
    try:
        assert await again.read(lambda tx: tx.values.find(WIPE_DUE)) is None
    finally:
        again.close()


def kept_in_tables(url: str, text: str) -> bool:
    with psycopg.connect(url) as connection:
        query = "SELECT current_setting('data_directory'), oid FROM pg_database WHERE datname = current_database()"
        found = connection.execute(query).fetchone()
    assert found is not None
    folder = Path(found[0]) / "base" / str(found[1])
    return any(text.encode() in path.read_bytes() for path in folder.iterdir())
