"""Rows, signed heads and files have to say the same: what differs is found, what is merely missing is written again."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.audit.signing import KEY, ORIGIN, SignedLog, contents, damaged, paths, signed_log

from loglease.audit import walk as walking
from loglease.audit.checking import Found, Tampered
from loglease.audit.checkpoint import Checkpoint, sign_checkpoint
from loglease.audit.merkle import leaf_hash
from loglease.audit.note import SigningKey
from loglease.audit.tiles import CHECKPOINT, ENTRIES, Tile, tiles_of
from loglease.audit.walk import TileMissing, Walk, opened_log, published_head

SIZE = 600
HEADS = (100, 256, 300, SIZE)


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a place with a log of `SIZE` entries, published at each of `HEADS`."""
    place = tmp_path_factory.mktemp("published") / "whole"

    async def publish() -> None:
        number = 0
        async with signed_log(place, step=512) as log:
            for size in HEADS:
                await log.add(*range(number, size))
                await log.publish()
                number = size

    asyncio.run(publish())
    return place


@pytest.fixture
async def log(published: Path, tmp_path: Path) -> AsyncIterator[SignedLog]:
    shutil.copytree(published, tmp_path / "log-of-this-test", copy_function=shutil.copy2)
    async with signed_log(tmp_path / "log-of-this-test", step=512) as found:
        yield found


async def checked(log: SignedLog) -> Walk:
    """Read everything, as the self-check does."""
    walk = Walk(log.store, log.files, [KEY.verifier], published=log.publisher.head.checkpoint.size)
    walk.begin(0)
    await walk.through(SIZE)
    return walk


def forge(log: SignedLog, index: int) -> str:
    """Return the SQL that puts another well-formed entry with its right hash into a place."""
    connection = log.store.library.module.connect(log.store.path)
    (content,) = connection.execute("SELECT bytes FROM entries WHERE idx = ?", (index,)).fetchone()
    connection.close()
    other = content.replace(b"rev_1", b"rev_2")
    assert other != content
    return f"UPDATE entries SET bytes = x'{other.hex()}', leaf = x'{leaf_hash(other).hex()}' WHERE idx = {index}"  # noqa: S608 - the test's own


async def test_a_whole_log_passes_and_a_start_goes_on_from_there(log: SignedLog) -> None:
    walk = await checked(log)
    assert walk.mended == 0
    assert walk.head == log.integrator.head
    found = await log.begin()
    assert (found.head, found.published, found.mended) == (walk.head, walk.head, 0)
    assert found.extent.edge.root() == walk.head.checkpoint.root == found.frontier.root()
    await log.add(SIZE)
    assert (await log.publish()).checkpoint.size == SIZE + 1


async def test_a_log_that_nobody_signed_yet(tmp_path: Path) -> None:
    async with signed_log(tmp_path) as log:
        await log.add(1, 2)
        found = await log.begin()
        assert (found.head, found.published, found.extent.edge.size) == (None, None, 0)


async def test_a_start_signs_nothing_twice_after_a_stop_between_signing_and_publishing(log: SignedLog) -> None:
    await log.add(SIZE)
    await log.sign()
    found = await log.begin()
    assert (found.head.checkpoint.size, found.published.checkpoint.size) == (SIZE + 1, SIZE)
    await log.publisher.publish()
    assert published_head(log.files, [KEY.verifier]) == found.head


@pytest.mark.parametrize(
    ("damage", "found", "first_bad"),
    [
        ("UPDATE entries SET leaf = zeroblob(32) WHERE idx = 3", Found.HASH, 3),
        ("UPDATE entries SET bytes = CAST(replace(bytes, 'rev', 'ver') AS BLOB) WHERE idx = 3", Found.HASH, 3),
        ("UPDATE entries SET id = 'ent_x' WHERE idx = 3", Found.ID, 3),
        ("DELETE FROM entries WHERE idx = 3", Found.GAP, 3),
        ("UPDATE checkpoints SET root = zeroblob(32) WHERE size = 256", Found.CHAIN, None),
        ("UPDATE checkpoints SET note = note || x'0a' WHERE size = 256", Found.SIGNATURE, None),
        ("UPDATE checkpoints SET note = 'text' WHERE size = 256", Found.SIGNATURE, None),
        ("UPDATE checkpoints SET prev_size = 50 WHERE size = 300", Found.CHAIN, None),
        ("DELETE FROM checkpoints WHERE size = 256", Found.CHAIN, None),
        ("DELETE FROM checkpoints WHERE size = 0", Found.CHAIN, None),
        (
            "UPDATE checkpoints SET note = (SELECT note FROM checkpoints WHERE size = 100) WHERE size = 256",
            Found.CHAIN,
            None,
        ),
    ],
)
@pytest.mark.parametrize("how", ["start", "self-check"])
async def test_what_was_changed_in_the_database_is_found(
    log: SignedLog, how: str, damage: str, found: Found, first_bad: int | None
) -> None:
    damaged(log, "PRAGMA foreign_keys = OFF", damage)
    with pytest.raises(Tampered) as caught:
        await (log.begin() if how == "start" else checked(log))
    assert (caught.value.found, caught.value.first_bad) == (found, first_bad)


@pytest.mark.parametrize("index", [0, 99, 255, 256, 599])
async def test_an_entry_that_was_forged_with_its_hash_is_found(log: SignedLog, index: int) -> None:
    damaged(log, forge(log, index))
    with pytest.raises(Tampered) as caught:
        await log.begin()
    assert caught.value.found is Found.ROOT
    with pytest.raises(Tampered) as caught:
        await checked(log)
    assert caught.value.found is Found.ROOT


@pytest.mark.parametrize(
    "path", ["tile/0/000", "tile/0/001", "tile/entries/000", "tile/entries/001", "tile/0/002.p/88", "tile/1/000.p/2"]
)
async def test_a_bit_that_flipped_in_a_file_is_found_by_the_start(log: SignedLog, path: str) -> None:
    place = log.directory / "log" / path
    content = bytearray(place.read_bytes())
    content[len(content) // 2] ^= 1
    place.write_bytes(content)
    with pytest.raises(Tampered) as caught:
        await log.begin()
    assert (caught.value.found, caught.value.place) == (Found.TILE, path)
    assert "written anew" in str(caught.value.next_step)
    if ".p/" not in path:
        with pytest.raises(Tampered):
            await checked(log)


@pytest.mark.parametrize("path", ["tile/0/000", "tile/entries/001", "tile/0/002.p/88", "tile/1/000.p/2"])
async def test_a_file_that_was_cut_or_goes_on_is_found(log: SignedLog, path: str) -> None:
    place = log.directory / "log" / path
    whole = place.read_bytes()
    for content in (whole[:-1], whole + b"x", b""):
        place.write_bytes(content)
        with pytest.raises(Tampered) as caught:
            await log.begin()
        assert caught.value.place == path


async def test_files_that_are_missing_are_written_again(log: SignedLog) -> None:
    before = contents(log.directory)
    for path in ("tile/0/000", "tile/entries/001", "tile/0/002.p/88", "tile/entries/002.p/88", "tile/1/000.p/2"):
        (log.directory / "log" / path).unlink()
    found = await log.begin()
    assert found.mended == 5
    assert contents(log.directory) == before


async def test_a_whole_directory_is_written_again(log: SignedLog) -> None:
    before = contents(log.directory)
    (log.directory / "log").rename(log.directory / "away")
    found = await log.begin()
    assert found.published is None
    await log.publish()
    after = contents(log.directory)
    assert after.keys() == paths(SIZE)
    assert after.items() <= before.items()


async def test_the_self_check_writes_what_went_missing(log: SignedLog) -> None:
    before = contents(log.directory)
    (log.directory / "log" / "tile/0/001").unlink()
    assert (await checked(log)).mended == 1
    assert contents(log.directory) == before


async def test_a_head_in_the_directory_that_the_database_does_not_have_is_found(log: SignedLog) -> None:
    other = sign_checkpoint(Checkpoint(ORIGIN, SIZE, b"x" * 32), [KEY])
    (log.directory / "log" / CHECKPOINT).write_bytes(other)
    with pytest.raises(Tampered) as caught:
        await log.begin()
    assert caught.value.place == CHECKPOINT


@pytest.mark.parametrize("how", ["another key", "nonsense", "cut"])
async def test_a_head_that_the_log_did_not_sign_is_found(log: SignedLog, how: str) -> None:
    place = log.directory / "log" / CHECKPOINT
    head = log.publisher.head
    forged = {
        "another key": sign_checkpoint(head.checkpoint, [SigningKey(ORIGIN, b"o" * 32)]),
        "nonsense": b"nonsense",
        "cut": head.note[:-5],
    }
    place.write_bytes(forged[how])
    with pytest.raises(Tampered) as caught:
        await opened_log(log.store, log.files, [KEY.verifier])
    assert (caught.value.found, caught.value.place) == (Found.TILE, CHECKPOINT)


async def test_parts_of_full_tiles_that_an_interruption_left_go(log: SignedLog) -> None:
    before = contents(log.directory)
    left = log.directory / "log" / "tile/0/000.p"
    left.mkdir()
    (left / "7").write_bytes(b"x")
    await log.begin()
    assert contents(log.directory) == before
    assert not left.exists()


async def test_a_long_walk_rests_between_its_steps(log: SignedLog) -> None:
    rests = 0

    async def pause() -> None:
        nonlocal rests
        rests += 1

    walk = Walk(log.store, log.files, [KEY.verifier], published=SIZE, pause=pause)
    walk.begin(0)
    await walk.through(SIZE)
    assert rests == 1


def pruned(log: SignedLog, *, tiles: bool) -> None:
    """Take the first 256 entries away, as pruning does in the end."""
    damaged(log, "UPDATE seq_head SET min_index = 256", "DELETE FROM entries WHERE idx < 256")
    if tiles:
        for path in ("tile/0/000", "tile/entries/000"):
            (log.directory / "log" / path).unlink()


@pytest.mark.parametrize("tiles", [False, True])
async def test_a_log_whose_first_entries_were_pruned_goes_on(log: SignedLog, tiles: bool) -> None:
    pruned(log, tiles=tiles)
    found = await log.begin()
    assert (found.head.checkpoint.size, found.mended) == (SIZE, 0)
    await log.add(*range(SIZE, 800))
    await log.publish()
    walk = Walk(log.store, log.files, [KEY.verifier], published=800)
    walk.begin(256)
    await walk.through(800)
    assert walk.head == log.integrator.head
    damaged(log, "UPDATE entries SET leaf = zeroblob(32) WHERE idx = 300")
    with pytest.raises(Tampered):
        await log.begin()


@pytest.fixture
def begun(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Have a start prove the newest 50 entries, and return where walks began."""
    begin, noted = Walk.begin, list[int]()

    def noting(walk: Walk, first: int) -> None:
        noted.append(first)
        begin(walk, first)

    monkeypatch.setattr(walking, "NEWEST", 50)
    monkeypatch.setattr(Walk, "begin", noting)
    return noted


async def test_a_start_proves_the_end_of_a_log_of_which_nothing_is_missing(log: SignedLog, begun: list[int]) -> None:
    assert (await log.begin()).mended == 0
    assert begun == [512]


@pytest.mark.parametrize("path", ["tile/0/000", "tile/entries/000", "tile/entries/001"])
async def test_a_start_goes_back_to_the_first_entry_for_a_file_that_is_missing(
    log: SignedLog, begun: list[int], path: str
) -> None:
    before = contents(log.directory)
    (log.directory / "log" / path).unlink()
    assert (await log.begin()).mended == 1
    assert contents(log.directory) == before
    assert begun == [0]


@pytest.mark.parametrize("content", [b"", b"x" * 8_191, b"x" * 8_193])
async def test_a_start_goes_back_for_a_tile_of_another_length(log: SignedLog, begun: list[int], content: bytes) -> None:
    (log.directory / "log" / "tile/0/000").write_bytes(content)
    with pytest.raises(Tampered) as caught:
        await log.begin()
    assert (caught.value.place, begun) == ("tile/0/000", [0])


async def test_a_start_does_not_go_back_for_what_was_pruned(log: SignedLog, begun: list[int]) -> None:
    pruned(log, tiles=True)
    assert (await log.begin()).mended == 0
    (log.directory / "log" / "tile/0/001").unlink()
    assert (await log.begin()).mended == 1
    assert begun == [512, 256]


async def test_a_tile_that_became_full_with_the_published_head_is_looked_at(log: SignedLog) -> None:
    for path in ("tile/0/001", "tile/entries/001"):
        (log.directory / "log" / path).unlink()
    for published, mended in ((511, 0), (512, 2)):
        walk = Walk(log.store, log.files, [KEY.verifier], published=published)
        walk.begin(0)
        await walk.through(SIZE)
        assert walk.mended == mended


@pytest.mark.parametrize("tile", [Tile(ENTRIES, 0), Tile(ENTRIES, 7), Tile(0, 7), Tile(1, 0), Tile(1, 3), Tile(2, 1)])
def test_a_tile_is_full_with_the_size_at_which_it_comes(tile: Tile) -> None:
    size = walking._end(tile)
    assert tile in tiles_of(size, size - 1)
    assert tile not in tiles_of(size - 1, size - 2)


async def test_a_pruned_log_needs_its_directory(log: SignedLog) -> None:
    pruned(log, tiles=True)
    (log.directory / "log" / "tile/1/000.p/2").unlink()
    with pytest.raises(TileMissing) as caught:
        await log.begin()
    assert "from a copy" in str(caught.value.next_step)
