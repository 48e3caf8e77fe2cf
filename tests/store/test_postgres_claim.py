"""Whose a PostgreSQL database is, and how long anybody waits for a server that does not answer."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest
from tests.fakes.postgres import ClockedStore, clocked, database_at
from tests.store.test_postgres import filled, raw

from loglease.store.answers_interface import Values
from loglease.store.errors import StoreInUse
from loglease.store.interface import StoreUnavailable
from loglease.store.postgres_claim import MARK
from loglease.store.postgres_connection import READ, WRITE, WRITER, PostgresConnection
from loglease.store.postgres_group import PostgresGroup
from loglease.store.rosters import Rosters

OURS = "datname = current_database() AND pid <> pg_backend_pid()"
CUT = f"SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE {OURS}"  # noqa: S608 - a constant
CUT_ALL_BUT_WRITERS = f"{CUT} AND application_name <> '{WRITER}'"
SLEEP = "SELECT pg_sleep(60)"


@pytest.fixture
def url(tmp_path: Path) -> str:
    return database_at(tmp_path)


@pytest.fixture
def store(url: str) -> Iterator[ClockedStore]:
    found = clocked(url)
    yield found
    found.close()


@pytest.mark.attack("FT-05")
async def test_servers_share_a_database_and_a_command_has_it_alone(store: ClockedStore, url: str) -> None:
    other = clocked(url)
    await other.group(lambda group: group.transaction.values.put("a", "b"))
    assert await store.read(lambda tx: tx.values.find("a")) == "b"
    other.close()
    with pytest.raises(StoreInUse, match="A LogLease server uses this database"):
        clocked(url, alone=True)
    store.close()
    command = clocked(url, alone=True)
    with pytest.raises(StoreInUse, match="A command has this database for itself"):
        clocked(url)
    command.close()
    again = clocked(url)
    await again.touch(None)
    again.close()


@pytest.mark.parametrize("lost", [CUT, CUT_ALL_BUT_WRITERS])
async def test_a_server_that_a_command_came_between_neither_renews_its_lease_nor_records(
    store: ClockedStore, url: str, lost: str
) -> None:
    """Also where only the connection of its claim was lost and the one that records was not."""
    await filled(store)
    raw(url, lost)
    command = clocked(url, alone=True)
    for _ in range(2):
        with pytest.raises(StoreUnavailable):
            await store.touch(None)
        with pytest.raises(StoreUnavailable):
            await store.group(lambda group: group.transaction.values.put("a", "b"))
    await command.group(lambda group: group.transaction.values.put("a", "c"))
    command.close()
    for _ in range(2):
        with pytest.raises(StoreInUse, match="for itself meanwhile"):
            await store.touch(None)
        with pytest.raises(StoreInUse, match="for itself meanwhile"):
            await store.group(lambda group: group.transaction.values.put("a", "b"))
    assert await store.read(lambda tx: tx.values.find("a")) == "c"


async def test_an_earlier_connection_of_the_same_command_is_ended(url: str) -> None:
    """It is what is left of a connection that was given up here and not there."""
    command = clocked(url, alone=True)
    raw(url, CUT_ALL_BUT_WRITERS)
    with psycopg.connect(url, autocommit=True) as left:
        left.execute("SELECT pg_advisory_lock(hashtext('loglease'), hashtext('server'))")
        with pytest.raises(StoreUnavailable):
            await command.touch(None)
        with pytest.raises(StoreUnavailable, match="has not ended yet"):
            await command.touch(None)
        with pytest.raises(psycopg.OperationalError):
            left.execute("SELECT 1")
    await command.touch(None)
    command.close()


async def test_each_command_leaves_a_mark_of_its_own_and_a_server_none(store: ClockedStore, url: str) -> None:
    async def mark(one: ClockedStore) -> str | None:
        return await one.read(lambda tx: tx.values.find(MARK))

    assert await mark(store) is None
    store.close()
    marks = []
    for _ in range(2):
        command = clocked(url, alone=True)
        marks.append(await mark(command))
        command.close()
    assert None not in marks
    assert marks[0] != marks[1]


def test_a_statement_without_an_answer_is_given_up(url: str) -> None:
    connection = PostgresConnection(url, Rosters(), begin=READ, limit_s=0.2)
    with pytest.raises(StoreUnavailable):
        connection.run(lambda found, _: found.exec_driver_sql(SLEEP))
    connection.limit(60)
    assert connection.run(lambda found, _: found.exec_driver_sql("SELECT 1").scalar_one()) == 1
    connection.limit(0.2)
    with pytest.raises(StoreUnavailable):
        connection.run(lambda found, _: found.exec_driver_sql(SLEEP))


def test_what_is_done_outside_of_transactions_may_take_as_long_as_it_likes(url: str) -> None:
    connection = PostgresConnection(url, Rosters(), begin=WRITE, limit_s=0.01)
    try:
        connection.outside(lambda driver: driver.execute("SELECT pg_sleep(0.3)"))
    finally:
        connection.close()


def test_nobody_waits_for_a_connection_that_is_abandoned(url: str) -> None:
    connection = PostgresConnection(url, Rosters(), begin=READ)
    connection.run(lambda _, transaction: transaction.values.find("a"))
    waits = threading.Event()
    failures: list[BaseException] = []

    def wait() -> None:
        try:
            connection.run(lambda found, _: (waits.set(), found.exec_driver_sql(SLEEP)))
        except StoreUnavailable as error:
            failures.append(error)

    thread = threading.Thread(target=wait)
    thread.start()
    waits.wait()
    connection.abandon()
    thread.join(50)
    assert len(failures) == 1
    with pytest.raises(StoreUnavailable, match="closed"):
        connection.run(lambda _, transaction: transaction.values.find("a"))


async def test_works_that_are_refused_undo_what_they_changed_and_nothing_else(store: ClockedStore) -> None:
    """Whether they changed something, only looked, or did not touch the database at all."""

    def change(values: Values, name: str, *, refused: bool) -> None:
        assert values.find(name) is None
        values.put(name, "1")
        if refused:
            raise LookupError

    def look(values: Values, name: str) -> None:
        values.find(name)
        raise LookupError

    def works(group: PostgresGroup) -> None:
        values = group.transaction.values
        for name, refused in (("a", False), ("b", True), ("c", False), ("d", True)):
            with suppress(LookupError), group.attempt():
                change(values, name, refused=refused)
            assert (values.find(name) is None) == refused
            with pytest.raises(LookupError), group.attempt():
                look(values, name)
            with pytest.raises(LookupError), group.attempt():
                raise LookupError

    await store.group(works)
    found = await store.read(lambda tx: [tx.values.find(name) for name in "abcd"])
    assert found == ["1", None, "1", None]


async def test_a_work_whose_statement_fails_takes_the_transaction_with_it(store: ClockedStore) -> None:
    def works(group: PostgresGroup) -> None:
        group.transaction.values.put("a", "1")
        with group.attempt():
            group.transaction.entries.since("no number", limit=1)  # type: ignore[arg-type]

    with pytest.raises(StoreUnavailable):
        await store.group(works)
    assert await store.read(lambda tx: tx.values.find("a")) is None
