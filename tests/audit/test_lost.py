"""A database that lost entries gets those back that were signed, and no others; nothing is signed that forks the log."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.audit.drafts import draft
from tests.audit.signing import KEY, SignedLog, contents, damaged, signed_log

from loglease.audit.checking import LogDamaged
from loglease.audit.interface import Recorded
from loglease.audit.lost import LogBehind, put_back_lost
from loglease.audit.walk import published_head
from loglease.store.interface import StoreUnavailable

KEPT = 300
SIZE = 700


def nothing() -> None:
    pass


@pytest.fixture
async def whole(tmp_path: Path) -> list[bytes]:
    """Leave a directory of 700 entries beside a database of 300, and return what was recorded."""
    database = tmp_path / "data" / "loglease.db"
    async with signed_log(tmp_path, step=512) as log:
        await log.add(*range(KEPT))
        await log.publish()
        damaged(log, f"VACUUM INTO '{tmp_path / 'backup.db'}'")
        await log.add(*range(KEPT, SIZE))
        await log.publish()
        rows = await log.store.read(lambda tx: tx.entries.since(0, limit=SIZE))
    for path in database.parent.glob("loglease.db-*"):
        path.unlink()
    shutil.copyfile(tmp_path / "backup.db", database)
    return [row.content for row in rows]


@pytest.fixture
async def log(tmp_path: Path, whole: list[bytes]) -> AsyncIterator[SignedLog]:
    async with unopened(tmp_path) as found:
        yield found


def unopened(directory: Path):
    """Return a log whose start was not checked yet."""
    return signed_log(directory, step=512, begins=False)


async def put_back(log: SignedLog, begins=nothing) -> int:
    published = published_head(log.files, [KEY.verifier])
    assert published is not None
    return await put_back_lost(log.store, log.files, KEY, published, begins=begins)


async def rows(log: SignedLog) -> list[bytes]:
    return [row.content for row in await log.store.read(lambda tx: tx.entries.since(0, limit=2 * SIZE))]


async def test_they_come_back_byte_for_byte_and_the_log_goes_on(log: SignedLog, whole: list[bytes]) -> None:
    began: list[bool] = []
    assert len(await rows(log)) == KEPT
    assert await put_back(log, lambda: began.append(True)) == SIZE - KEPT
    assert began == [True]
    assert await rows(log) == whole
    found = await log.begin()
    assert (found.head, found.published, found.mended) == (found.published, found.head, 0)
    await log.add(SIZE)
    assert (await log.publish()).checkpoint.size == SIZE + 1
    assert await log.store.read(lambda tx: [one.size for one in tx.checkpoints.since(0)]) == [0, KEPT, SIZE, SIZE + 1]


async def test_they_are_found_again_by_what_they_are_about(log: SignedLog) -> None:
    await put_back(log)
    about = await log.store.read(lambda tx: tx.entries.page(request="req_1", limit=2 * SIZE))
    assert len(about) == SIZE


async def test_doing_it_again_does_nothing(log: SignedLog, whole: list[bytes]) -> None:
    await put_back(log)
    began: list[bool] = []
    assert await put_back(log, lambda: began.append(True)) == 0
    assert not began
    assert await rows(log) == whole


async def test_an_interruption_at_any_place_is_gone_on_from(log: SignedLog, whole: list[bytes]) -> None:
    storing, left = log.store.group, 0

    async def failing(body):
        nonlocal left
        if left == 0:
            raise StoreUnavailable("The disk is full.")
        left -= 1
        return await storing(body)

    log.store.group = failing
    for left in range(1, 10):  # noqa: B007 - counted down by the database
        try:
            await put_back(log)
        except StoreUnavailable:
            assert await rows(log) == whole[: len(await rows(log))]
        else:
            break
    assert await rows(log) == whole


async def test_a_database_that_went_on_differently_is_refused(log: SignedLog, whole: list[bytes]) -> None:
    other = draft(9_999)
    await log.sequencer.commit(lambda _tx, _now: Recorded(None, (other,)), limit_s=60)
    with pytest.raises(LogBehind, match="other entries") as caught:
        await put_back(log)
    assert caught.value.next_step
    assert len(await rows(log)) == KEPT + 1


@pytest.mark.parametrize("path", ["tile/entries/001", "tile/entries/002.p/188", "tile/0/000", "tile/1/000.p/2"])
async def test_a_directory_that_lacks_some_is_refused(log: SignedLog, path: str) -> None:
    place = log.directory / "log" / path
    needed = path != "tile/0/000"
    place.unlink()
    if needed:
        with pytest.raises(LogDamaged, match=r"missing|has no"):
            await put_back(log)
        assert len(await rows(log)) == KEPT
    else:
        assert await put_back(log) == SIZE - KEPT


@pytest.mark.parametrize("path", ["tile/entries/001", "tile/entries/002.p/188", "tile/1/000.p/2"])
async def test_a_bit_that_flipped_there_is_refused(log: SignedLog, path: str) -> None:
    place = log.directory / "log" / path
    content = bytearray(place.read_bytes())
    content[5 if path.startswith("tile/1/") else -3] ^= 1
    place.write_bytes(content)
    with pytest.raises(LogBehind):
        await put_back(log)
    assert len(await rows(log)) == KEPT
    assert contents(log.directory)[path] == bytes(content)


async def test_an_empty_database_gets_all_of_them(log: SignedLog, tmp_path: Path, whole: list[bytes]) -> None:
    shutil.copytree(tmp_path / "log", tmp_path / "fresh" / "log")
    async with unopened(tmp_path / "fresh") as fresh:
        assert await put_back(fresh) == SIZE
        assert await rows(fresh) == whole
        assert (await fresh.begin()).head.checkpoint.size == SIZE


async def test_a_database_without_a_signed_head_needs_the_key(tmp_path: Path, whole: list[bytes]) -> None:
    shutil.copytree(tmp_path / "log", tmp_path / "fresh" / "log")
    async with unopened(tmp_path / "fresh") as fresh:
        published = published_head(fresh.files, [KEY.verifier])
        with pytest.raises(LogBehind, match="the log's key is missing"):
            await put_back_lost(fresh.store, fresh.files, None, published, begins=nothing)
        assert await rows(fresh) == []
    async with unopened(tmp_path) as log:
        assert await put_back_lost(log.store, log.files, None, published, begins=nothing) == SIZE - KEPT


@pytest.mark.parametrize("size", [0, 255, 256])
async def test_a_directory_that_ends_with_a_bundle_or_before_the_first_is_put_back(tmp_path: Path, size: int) -> None:
    async with signed_log(tmp_path / "old") as old:
        if size:
            await old.add(*range(size))
        await old.publish()
    shutil.copytree(tmp_path / "old" / "log", tmp_path / "new" / "log")
    async with unopened(tmp_path / "new") as new:
        assert await put_back(new) == size
        assert len(await rows(new)) == size
        heads = await new.store.read(lambda tx: [one.size for one in tx.checkpoints.since(0)])
        assert heads == ([0, size] if size else [0])
        assert (await new.begin()).head.checkpoint.size == size
