from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.audit.drafts import draft
from tests.fakes.clock import START, FakeClock
from tests.fakes.vault import fake_vault
from tests.store.fixtures import opened, raw

from loglease.audit import checking
from loglease.audit.checking import LogDamaged, check_log
from loglease.audit.entry import entry_bytes
from loglease.audit.interface import Recorded
from loglease.audit.merkle import leaf_hash
from loglease.audit.sequencer import Sequencer
from loglease.model.instant import Instant
from loglease.store.interface import Transaction
from loglease.store.sqlite import SqliteStore

UNGUARDED = tuple(f"DROP TRIGGER entries_{name}" for name in ("fixed", "kept", "dense"))


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    clock = FakeClock()
    found = opened(tmp_path, clock)
    log: Sequencer[Transaction] = Sequencer(found, clock, fake_vault())
    await log.commit(lambda _tx, _now: Recorded(None, tuple(draft(number) for number in range(10))))
    await log.aclose()
    yield found
    found.close()


def content(number: int, at: int = START) -> str:
    """Return the SQL that puts a well-formed entry into place 4."""
    made = entry_bytes(draft(number), Instant(at))
    return f"UPDATE entries SET bytes = x'{made.hex()}', leaf = x'{leaf_hash(made).hex()}' WHERE idx = 4"  # noqa: S608


async def test_a_whole_log_passes(store: SqliteStore, tmp_path: Path) -> None:
    assert await check_log(store) == 10
    empty = opened(tmp_path / "other")
    assert await check_log(empty) == 0
    empty.close()


@pytest.mark.parametrize(
    ("damage", "found"),
    [
        ("DELETE FROM entries WHERE idx = 9", "entries 0 to 9, and holds 9 from 0 to 8"),
        ("DELETE FROM entries WHERE idx = 0", "holds 9 from 1 to 9"),
        ("DELETE FROM entries WHERE idx = 5", "holds 9 from 0 to 9"),
        ("DELETE FROM entries", "holds 0"),
        ("UPDATE entries SET bytes = replace(bytes, 'rev_1', 'rev_2') WHERE idx = 4", "entry 4 does not hash"),
        ("UPDATE entries SET bytes = CAST(replace(bytes, 'v', 'w') AS BLOB) WHERE idx = 4", "entry 4 does not hash"),
        ("UPDATE entries SET leaf = zeroblob(32) WHERE idx = 4", "entry 4 does not hash"),
        ("INSERT INTO entries SELECT 10, 'ent_x', bytes, leaf FROM entries WHERE idx = 9", "holds 11"),
        (content(4, START - 5), "entry 4 is older"),
        (content(4, START + 5), "entry 5 is older"),
    ],
)
async def test_damage_is_found(store: SqliteStore, damage: str, found: str) -> None:
    raw(store, *UNGUARDED, damage)
    with pytest.raises(LogDamaged, match=found) as caught:
        await check_log(store)
    assert "restore" in str(caught.value.next_step)


async def test_an_entry_that_is_well_hashed_and_no_entry(store: SqliteStore) -> None:
    leaf = leaf_hash(b"{}").hex()
    raw(store, *UNGUARDED, f"UPDATE entries SET bytes = x'7b7d', leaf = x'{leaf}' WHERE idx = 4")  # noqa: S608
    with pytest.raises(LogDamaged, match="entry 4 is broken"):
        await check_log(store)


async def test_a_head_that_is_behind_its_entries(store: SqliteStore) -> None:
    raw(store, "DROP TRIGGER seq_head_forward", "UPDATE seq_head SET last_at = 5")
    with pytest.raises(LogDamaged, match="newer than the head"):
        await check_log(store)


async def test_only_the_newest_are_hashed_again(store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    raw(store, *UNGUARDED, "UPDATE entries SET leaf = zeroblob(32) WHERE idx = 4")
    monkeypatch.setattr(checking, "NEWEST", 5)
    assert await check_log(store) == 10
    monkeypatch.setattr(checking, "NEWEST", 6)
    with pytest.raises(LogDamaged):
        await check_log(store)
