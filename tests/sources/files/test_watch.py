"""Files on disk: names, links, rotation, truncation, compression, lines that are not finished."""

from __future__ import annotations

import gzip
import os
import shutil
from pathlib import Path

import pytest
import zstandard
from bench.file_source import soak
from tests.sources.files.world import NOW_S, World, rows, texts

from loglease.sources.files import Watch


def numbered(start: int, stop: int) -> bytes:
    return b"".join(
        b"line %d of a file that is long enough to be told from others %s\n" % (n, b"." * 60)
        for n in range(start, stop)
    )


def numbers(lines: list[bytes]) -> list[int]:
    return [int(line.split()[1]) for line in lines]


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


async def test_crlf_invalid_utf_8_and_empty_lines_are_kept(world):
    world.write("app.log", b"one\r\n\n\xff\xfe\x00\nsame\nsame\n")
    assert await world.stored() == [b"one", b"", b"\xff\xfe\x00", b"same", b"same"]


async def test_an_unfinished_line_waits_five_seconds(world):
    async with world.running() as source:
        world.write("app.log", b"whole\nhalf")
        await source.refresh()
        world.clock.pass_s(4.9)
        await source.refresh()
        assert await texts(source) == [b"whole"]
        world.write("app.log", b" and half\nrest")
        await source.refresh()
        assert await texts(source) == [b"whole", b"half and half"]
        world.clock.pass_s(5)
        await source.refresh()
        assert await texts(source) == [b"whole", b"half and half", b"rest"]
        world.write("app.log", b"\nnext\n")
        await source.refresh()
        assert await texts(source) == [b"whole", b"half and half", b"rest", b"next"]


async def test_the_late_end_of_a_line_is_no_empty_line_after_a_restart_either(world):
    async with world.running() as source:
        world.write("app.log", b"half")
        await source.refresh()
        world.clock.pass_s(5)
        await source.refresh()
    world.write("app.log", b"\nnext\n")
    assert await world.stored() == [b"half", b"next"]


async def test_a_line_longer_than_the_limit_is_stored_as_one_byte_more(world):
    world.write("app.log", b"before\n" + b"x" * (10 << 20) + b"\r\nafter\n")
    found = await world.stored()
    assert [len(line) for line in found] == [6, (1 << 20) + 1, 5]


async def test_renaming_reads_the_old_file_to_its_end_and_then_the_new_one(world):
    async with world.running() as source:
        path = world.write("app.log", numbered(0, 10))
        await source.refresh()
        old = path.open("ab")
        path.rename(world.logs / "app.log.1")
        world.write("app.log", numbered(12, 14))
        old.write(numbered(10, 12))
        old.close()
        await source.refresh()
        assert sorted(numbers(await texts(source))) == list(range(14))


@pytest.mark.parametrize("pattern", ["app.log", "app.log*"])
async def test_renaming_while_nobody_reads(world, pattern):
    world.watching(pattern=pattern)
    path = world.write("app.log", numbered(0, 10))
    assert numbers(await world.stored()) == list(range(10))
    world.write("app.log", numbered(10, 12))
    path.rename(world.logs / "app.log.1")
    world.write("app.log", numbered(12, 14))
    assert sorted(numbers(await world.stored())) == list(range(14))


async def test_a_file_renamed_out_of_the_pattern_is_read_until_it_rests(world):
    world.watching(pattern="app.log")
    async with world.running() as source:
        path = world.write("app.log", numbered(0, 2))
        await source.refresh()
        path.rename(world.logs / "old")
        for number in range(2, 6):
            world.clock.pass_s(50)
            world.write("old", numbered(number, number + 1))
            await source.refresh()
        assert numbers(await texts(source)) == list(range(6))
        world.clock.pass_s(61)
        await source.refresh()
        world.write("old", numbered(6, 7))
        await source.refresh()
        assert numbers(await texts(source)) == list(range(6))


async def test_a_vanished_file_is_read_to_its_end(world):
    async with world.running() as source:
        path = world.write("app.log", numbered(0, 5))
        await source.refresh()
        with path.open("ab") as file:
            path.unlink()
            file.write(numbered(5, 7) + b"line 7 without an end")
        await source.refresh()
        world.clock.pass_s(7)
        await source.refresh()
        assert numbers(await texts(source)) == list(range(8))
        world.write("app.log", b"line 8 of another file\n")
        await source.refresh()
        assert numbers(await texts(source)) == list(range(9))


@pytest.mark.parametrize("more", [0, 1, 3])
async def test_truncation_restarts_at_the_beginning(world, more):
    async with world.running() as source:
        path = world.write("app.log", numbered(0, 3))
        await source.refresh()
        os.truncate(path, 0)
        world.write("app.log", numbered(3, 4 + more))
        await source.refresh()
        await source.refresh()
        assert numbers(await texts(source)) == list(range(4 + more))


async def test_truncation_while_nobody_reads(world):
    path = world.write("app.log", numbered(0, 3))
    await world.stored()
    os.truncate(path, 0)
    world.write("app.log", numbered(3, 9))
    assert numbers(await world.stored()) == list(range(9))


async def test_an_unfinished_line_before_a_truncation_is_taken_as_it_is(world):
    async with world.running() as source:
        path = world.write("app.log", numbered(0, 1) + b"line 1 half")
        await source.refresh()
        os.truncate(path, 0)
        world.write("app.log", b"line 2\n")
        await source.refresh()
        await source.refresh()
        assert numbers(await texts(source)) == [0, 1, 2]


@pytest.mark.parametrize("unread", [b"", numbered(10, 12), numbered(10, 11) + b"line 11 without an end"])
async def test_copy_and_truncate_reads_the_copy_only_for_what_was_not_read(world, unread):
    async with world.running() as source:
        path = world.write("app.log", numbered(0, 10) + unread[:30])
        await source.refresh()
        world.write("app.log", unread[30:])
        shutil.copyfile(path, world.logs / "app.log.1")
        os.truncate(path, 0)
        world.write("app.log", numbered(12, 14))
        await source.refresh()
        world.clock.pass_s(6)
        await source.refresh()
        expected = [*range(10 + (2 if unread else 0)), 12, 13]
        assert sorted(numbers(await texts(source))) == expected


async def test_a_copy_is_not_read_while_the_original_lives(world):
    async with world.running() as source:
        path = world.write("app.log", numbered(0, 10))
        await source.refresh()
        shutil.copyfile(path, world.logs / "app.log.1")
        await source.refresh()
        world.write("app.log", numbered(10, 12))
        await source.refresh()
        assert numbers(await texts(source)) == list(range(12))


async def test_files_that_only_begin_alike_are_all_read(world):
    world.watching(pattern="*.log")
    banner = b"# the same banner in every file of this program " + b"-" * 2_000 + b"\n"
    world.write("a.log", banner + b"line 1\n")
    world.write("b.log", banner + b"line 2\n")
    assert sorted(await world.stored()) == sorted([banner.rstrip(), b"line 1", banner.rstrip(), b"line 2"])


def pack(path: Path, kind: str) -> Path:
    data = path.read_bytes()
    packed = path.with_name(f"{path.name}.{kind}")
    packed.write_bytes(gzip.compress(data) if kind == "gz" else zstandard.compress(data))
    path.unlink()
    return packed


@pytest.mark.parametrize("kind", ["gz", "zst"])
async def test_a_compressed_file_is_read_once(world, kind):
    pack(world.write("app.log.1", numbered(0, 5_000) + b"line 5000 without an end"), kind)
    async with world.running() as source:
        await source.refresh()
        world.clock.pass_s(5)
        await source.refresh()
        await source.refresh()
        assert numbers(await texts(source)) == list(range(5_001))
    assert len(await world.stored()) == 5_001


@pytest.mark.parametrize("kind", ["gz", "zst"])
@pytest.mark.parametrize("running", [True, False])
async def test_rotate_then_compress_is_not_read_again_but_for_what_was_not_read(world, kind, running):
    path = world.write("app.log", numbered(0, 20))
    async with world.running() as source:
        await source.refresh()
        if running:
            path.rename(world.logs / "app.log.1")
            pack(world.logs / "app.log.1", kind)
            world.write("app.log", numbered(20, 22))
            await source.refresh()
            world.clock.pass_s(7)
            await source.refresh()
            await source.refresh()
            assert numbers(await texts(source)) == list(range(22))
    if not running:
        world.write("app.log", numbered(20, 30))
        path.rename(world.logs / "app.log.1")
        pack(world.logs / "app.log.1", kind)
        assert numbers(await world.stored()) == list(range(30))


@pytest.mark.parametrize("kind", ["gz", "zst"])
async def test_a_compressed_file_that_is_still_being_written(world, kind):
    data = numbered(0, 3_000)
    packed = gzip.compress(data) if kind == "gz" else zstandard.compress(data)
    path = world.logs / f"app.log.{kind}"
    async with world.running() as source:
        for part in (0, 5, len(packed) // 3, len(packed) // 2, len(packed)):
            path.write_bytes(packed[:part])
            await source.refresh()
        assert numbers(await texts(source)) == list(range(3_000))


async def test_a_damaged_compressed_file_stops_nothing(world):
    world.write("app.log.1.gz", b"\x1f\x8b\x08 no gzip")
    world.write("app.log.2.zst", b"no zstd")
    world.write("app.log", b"fine\n")
    assert await world.stored() == [b"fine"]


async def test_a_link_that_leads_out_of_the_root_is_not_read(world, tmp_path):
    outside = tmp_path / "secret"
    outside.write_bytes(b"secret\n")
    (world.logs / "app.log.1").symlink_to(outside)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "app.log").write_bytes(b"secret\n")
    (world.logs / "folder").symlink_to(tmp_path / "elsewhere")
    world.watching(pattern="**/app.log*")
    world.write("real.log", b"inside\n")
    (world.logs / "app.log.2").symlink_to(world.logs / "real.log")
    assert await world.stored() == [b"inside"]


async def test_pipes_and_folders_are_not_read(world):
    os.mkfifo(world.logs / "app.log.1")
    (world.logs / "app.log.2").mkdir()
    world.write("app.log", b"fine\n")
    assert await world.stored() == [b"fine"]


async def test_a_new_file_with_a_reused_inode_is_new(world):
    path = world.write("app.log", b"line 0 of a short file\n")
    assert len(await world.stored()) == 1
    path.write_bytes(b"line 1 of a file that took its place\n")
    assert numbers(await world.stored()) == [0, 1]


async def test_a_root_that_does_not_exist_yet(world):
    world.logs.rmdir()
    async with world.running() as source:
        await source.refresh()
        world.write("app.log", b"fine\n")
        await source.refresh()
        assert await texts(source) == [b"fine"]


async def test_two_watches_on_one_file_are_two_streams(world):
    world.watches = tuple(
        Watch(root=world.logs, pattern=pattern, labels={"as": pattern}) for pattern in ("app.log", "app*")
    )
    world.write("app.log", b"x\n")
    assert await world.stored() == [b"x", b"x"]


async def test_groups_are_stored_as_one_entry_with_the_time_of_their_first_line(world):
    world.watching(multiline="trace")
    async with world.running() as source:
        world.write("app.log", b"2026-11-01T00:00:01Z ERROR a\n\tat b\n\tat c\n2026-11-01T00:00:02Z INFO d\n")
        await source.refresh()
        assert await texts(source) == [b"2026-11-01T00:00:01Z ERROR a\n\tat b\n\tat c"]
        world.clock.pass_s(1)
        await source.refresh()
        found = await rows(source)
        assert [line for _, _, line in found][1] == b"2026-11-01T00:00:02Z INFO d"
        assert found[1][0] - found[0][0] == 10**9


async def test_an_open_group_is_read_again_after_a_restart(world):
    world.watching(multiline="trace")
    async with world.running() as source:
        world.write("app.log", b"first\nERROR a\n\tat b\n")
        await source.refresh()
        assert await texts(source) == [b"first"]
    world.write("app.log", b"\tat c\nnext\n")
    async with world.running() as source:
        await source.refresh()
        world.clock.pass_s(2)
        await source.refresh()
        assert await texts(source) == [b"first", b"ERROR a\n\tat b\n\tat c", b"next"]


async def test_the_format_of_a_file_outlives_a_restart(world):
    world.write("app.log", b"".join(b"%d x\n" % (NOW_S - 500 + n) for n in range(100)))
    await world.stored()
    world.write("app.log", b"no time here\n%d x\n" % (NOW_S - 10))
    async with world.running() as source:
        await source.refresh()
        assert [time // 10**9 - NOW_S for time, _, _ in await rows(source)][-3:] == [-401, -401, -10]


async def test_every_line_once_to_a_tail_and_to_a_query_while_the_writer_does_its_worst(tmp_path):
    result = await soak(tmp_path, 50_000, seed=7)
    assert result["tail"] == {"missing": 0, "repeated": 0, "strange": 0}
    assert result["query"] == {"missing": 0, "repeated": 0, "strange": 0}
    assert result["order_kept"]


async def test_a_copy_that_is_seen_half_made_is_not_taken_for_a_new_file(world):
    async with world.running() as source:
        path = world.write("app.log", numbered(0, 30))
        await source.refresh()
        data = path.read_bytes()
        copy = world.logs / "app.log.1"
        for part in (0, 100, 2_000):
            copy.write_bytes(data[:part])
            await source.refresh()
        os.truncate(path, 0)
        await source.refresh()
        world.clock.pass_s(6)
        await source.refresh()
        assert numbers(await texts(source)) == list(range(30))


async def test_lines_between_a_copy_and_its_truncation_are_read_once(world):
    async with world.running() as source:
        path = world.write("app.log", numbered(0, 30))
        await source.refresh()
        shutil.copyfile(path, world.logs / "app.log.1")
        world.write("app.log", numbered(30, 35))
        await source.refresh()
        os.truncate(path, 0)
        world.write("app.log", numbered(35, 36))
        for _ in range(3):
            await source.refresh()
        assert numbers(await texts(source)) == list(range(36))


async def test_a_short_file_beside_one_whose_name_begins_its_own_is_read_after_a_while(world):
    world.write("app.log", numbered(0, 30))
    async with world.running() as source:
        await source.refresh()
        world.write("app.log-other", b"line 30\n")
        await source.refresh()
        world.clock.pass_s(5)
        await source.refresh()
        assert numbers(await texts(source)) == list(range(31))


async def test_many_new_files_are_met_in_one_scan(world):
    for number in range(600):
        world.write(f"app.log.{number}", b"line %d\n" % number)
    world.watching(path_labels=r"app\.log\.(?P<number>\d+)", labels={})
    async with world.running() as source:
        await source.refresh()
        assert open_logs(world) <= 200
        world.clock.pass_s(5)
        await source.refresh()
        assert sorted(numbers(await texts(source))) == list(range(600))


def open_logs(world: World) -> int:
    count = 0
    for entry in os.scandir("/proc/self/fd"):
        try:
            count += Path(entry.path).readlink().is_relative_to(world.logs)
        except OSError:
            continue
    return count


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="descriptors are counted in /proc")
async def test_files_that_rest_are_closed_and_lose_nothing(tmp_path):
    world = World(tmp_path, {"open_files": 5})
    world.watching(pattern="*.log")
    async with world.running() as source:
        for number in range(100):
            world.write(
                f"{number}.log",
                b"line %d of a file that can be told from all the others by its length %d\n" % (number, number),
            )
        for _ in range(2):
            await source.refresh()
        assert open_logs(world) <= 5
        for number in range(100):
            world.write(f"{number}.log", b"line %d\n" % (100 + number))
        (world.logs / "7.log").rename(world.logs / "70.old")
        world.write("7.log", b"line 200\n")
        os.truncate(world.logs / "8.log", 0)
        world.write("8.log", b"line 201 in a file that was truncated while nobody had it open\n")
        (world.logs / "9.log").unlink()
        for _ in range(3):
            world.clock.pass_s(1)
            await source.refresh()
        cut_away = {108, 109}
        assert sorted(numbers(await texts(source))) == [n for n in range(202) if n not in cut_away]
        world.clock.pass_s(100)
        await source.refresh()
        await source.refresh()
        assert open_logs(world) <= 5
    assert len(await world.stored()) == 200


def reused(path: Path, new: Path, content: bytes) -> None:
    """Put another file in the place of an inode: the same inode, another name, other content."""
    path.rename(new)
    new.write_bytes(content)


async def test_a_parked_inode_that_was_reused_is_new(tmp_path):
    world = World(tmp_path, {"open_files": 0})
    world.watching(pattern="*.log", labels={}, path_labels=r"(?P<service>\w+)\.log")
    first = b"line 0 is the same in both files, so that only names can tell them apart %s\n" % (b"." * 80)
    async with world.running() as source:
        path = world.write("pay.log", first)
        await source.refresh()
        await source.refresh()
        reused(path, world.logs / "shop.log", first + b"line 1\n")
        await source.refresh()
        found = await rows(source)
        assert [line for _, labels, line in found if labels == (("service", "shop"),)] == [b"line 1"]
        reused(world.logs / "shop.log", world.logs / "other.log", b"line 2 of quite another file\n" * 9)
        await source.refresh()
        found = await rows(source)
        assert len([line for _, labels, line in found if labels == (("service", "other"),)]) == 9
        assert len(found) == 11


@pytest.mark.parametrize("open_files", [0, 100])
async def test_an_inode_that_was_reused_gets_no_labels_of_the_old_name(tmp_path, open_files):
    world = World(tmp_path, {"open_files": open_files})
    world.watching(pattern="app.log")
    path = world.write("app.log", numbered(0, 5))
    assert len(await world.stored()) == 5
    reused(path, world.logs / "private", b"a secret of somebody else\n" * 50)
    assert len(await world.stored()) == 5
    async with world.running() as source:
        path = world.write("app.log", numbered(5, 6))
        await source.refresh()
        await source.refresh()
        if open_files == 0:
            reused(path, world.logs / "private", b"a secret of somebody else\n" * 50)
            await source.refresh()
        assert numbers(await texts(source)) == list(range(6))
