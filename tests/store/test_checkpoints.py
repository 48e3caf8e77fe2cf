"""Checkpoints make one chain: each has one successor, whoever asks and whatever they believe."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.audit.drafts import draft
from tests.store.fixtures import change, opened, raw

from loglease.audit.entry import sequenced
from loglease.model.instant import Instant
from loglease.store.checkpoints_interface import StoredCheckpoint
from loglease.store.sqlite import SqliteStore

ROOT = b"r" * 32


@pytest.fixture
async def store(tmp_path: Path) -> SqliteStore:
    found = opened(tmp_path)
    rows = [sequenced(draft(number), index=number, at=Instant(1)) for number in range(20)]
    await found.group(lambda group: group.append(rows, last_at=Instant(1)))
    return found


@pytest.fixture(autouse=True)
def _closed(store: SqliteStore) -> Iterator[None]:
    yield
    store.close()


async def inserted(store: SqliteStore, size: int, prev: int | None) -> bool:
    return await change(
        store, lambda tx: tx.checkpoints.insert(size=size, prev_size=prev, root=ROOT, note=b"note %d" % size)
    )


async def sizes(store: SqliteStore) -> list[int]:
    return await store.read(lambda tx: [one.size for one in tx.checkpoints.since(0)])


async def test_each_goes_on_from_the_newest(store: SqliteStore) -> None:
    assert await store.read(lambda tx: tx.checkpoints.last()) is None
    assert await inserted(store, 0, None)
    assert await inserted(store, 7, 0)
    assert await inserted(store, 20, 7)
    expected = StoredCheckpoint(size=20, prev_size=7, root=ROOT, note=b"note 20")
    assert await store.read(lambda tx: tx.checkpoints.last()) == expected
    assert await store.read(lambda tx: tx.checkpoints.at(20)) == expected
    assert await store.read(lambda tx: tx.checkpoints.at(19)) is None
    assert await sizes(store) == [0, 7, 20]
    assert await store.read(lambda tx: [one.size for one in tx.checkpoints.since(1, limit=1)]) == [7]


async def test_who_comes_second_loses(store: SqliteStore) -> None:
    assert await inserted(store, 0, None)
    assert await inserted(store, 5, 0)
    for late in (5, 6, 20):
        assert not await inserted(store, late, 0)
    assert not await inserted(store, 9, 4)
    assert not await inserted(store, 9, None)
    assert await sizes(store) == [0, 5]


@pytest.mark.parametrize(("index", "found"), [(0, 7), (6, 7), (7, 20), (19, 20), (20, None)], ids=str)
async def test_the_oldest_that_covers_an_entry(store: SqliteStore, index: int, found: int | None) -> None:
    for size, prev in ((0, None), (7, 0), (20, 7)):
        assert await inserted(store, size, prev)
    covering = await store.read(lambda tx: tx.checkpoints.covering(index))
    assert (None if covering is None else covering.size) == found


@pytest.mark.parametrize(
    ("statement", "why"),
    [
        ("UPDATE checkpoints SET root = zeroblob(32)", "never changes"),
        ("UPDATE checkpoints SET note = x'00'", "never changes"),
        ("DELETE FROM checkpoints", "are kept"),
        ("INSERT INTO checkpoints VALUES (21, 7, zeroblob(32), x'')", "covers entries that are there"),
        ("INSERT INTO checkpoints VALUES (9, 0, zeroblob(32), x'')", "never replaced"),
        ("INSERT OR REPLACE INTO checkpoints VALUES (7, 0, zeroblob(32), x'')", "never replaced"),
        ("INSERT INTO checkpoints VALUES (9, NULL, zeroblob(32), x'')", "chain"),
        ("INSERT INTO checkpoints VALUES (5, 7, zeroblob(32), x'')", "chain"),
        ("INSERT INTO checkpoints VALUES (9, 7, zeroblob(31), x'')", "chain"),
        ("PRAGMA foreign_keys = ON; INSERT INTO checkpoints VALUES (9, 8, zeroblob(32), x'')", "FOREIGN KEY"),
    ],
)
async def test_what_sql_itself_refuses(store: SqliteStore, statement: str, why: str) -> None:
    assert await inserted(store, 0, None)
    assert await inserted(store, 7, 0)
    with pytest.raises(store.library.module.IntegrityError, match=why):
        raw(store, *statement.split("; "))
    assert await sizes(store) == [0, 7]


async def test_entries_are_read_exactly_as_the_rows_have_them(store: SqliteStore) -> None:
    found = await store.read(lambda tx: tx.entries.stored(3, 2))
    expected = [sequenced(draft(number), index=number, at=Instant(1)) for number in (3, 4)]
    assert found == [(row.index, row.id, row.content, row.leaf) for row in expected]
    assert await store.read(lambda tx: tx.entries.stored(20, 5)) == []
