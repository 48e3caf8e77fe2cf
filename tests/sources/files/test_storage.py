"""What a crash leaves behind: whole frames count, with their positions; everything else is as if it had never been."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.sources.files.world import Tailing, World, rows, texts

from loglease.sources.files import Retention


async def fill(world: World, laps: int, start: int = 0) -> int:
    """Store some lines in several commits; return the next number."""
    async with world.running() as source:
        for _ in range(laps):
            for name in ("app.log", "app.log-b"):
                world.write(name, b"".join(b"%s %d\n" % (name.encode(), start + n) for n in range(4)))
                start += 4
            await source.refresh()
    return start


def written(world: World) -> list[bytes]:
    return sorted(line for path in world.logs.iterdir() for line in path.read_bytes().splitlines())


def last_segment(world: World) -> Path:
    return max(world.data.glob("segments/*/*"), key=lambda path: path.name)


def drop_catalogue(world: World) -> None:
    for path in world.data.glob("catalogue*"):
        path.unlink()


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(share=st.floats(0, 1), garbage=st.binary(max_size=60), catalogue=st.sampled_from(["old", "none"]))
async def test_a_crash_at_any_byte_neither_loses_nor_repeats_a_line(tmp_path_factory, share, garbage, catalogue):
    world = World(tmp_path_factory.mktemp("crash"))
    start = await fill(world, 2)
    shutil.copyfile(world.data / "catalogue.sqlite3", world.folder / "old")
    await fill(world, 3, start)
    segment = last_segment(world)
    data = segment.read_bytes()
    segment.write_bytes(data[: round(share * len(data))] + garbage)
    drop_catalogue(world)
    if catalogue == "old":
        shutil.copyfile(world.folder / "old", world.data / "catalogue.sqlite3")
    assert sorted(await world.stored()) == written(world)
    await fill(world, 1, 1_000)
    assert sorted(await world.stored()) == written(world)


async def test_a_catalogue_is_rebuilt_from_segments_alone(tmp_path):
    world = World(tmp_path, {"segment_bytes": 300, "block_bytes": 200})
    await fill(world, 6)
    async with world.running() as source:
        before, streams = await rows(source), source._ready().streams
    drop_catalogue(world)
    async with world.running() as source:
        assert await rows(source) == before
        assert source._ready().streams == streams
        await source.refresh()
        assert await rows(source) == before
        assert all(block.lines for segment in source._ready().catalogue.segments()
                   for block in source._ready().catalogue.blocks_of(segment.id))  # fmt: skip


@pytest.mark.parametrize("content", [b"this is no database, only text that stands in its place", b""])
async def test_a_broken_catalogue_is_rebuilt(tmp_path, content):
    world = World(tmp_path)
    await fill(world, 2)
    drop_catalogue(world)
    (world.data / "catalogue.sqlite3").write_bytes(content)
    assert sorted(await world.stored()) == written(world)


async def test_positions_outlive_the_segments_in_which_they_were_written(tmp_path):
    world = World(tmp_path, {"segment_bytes": 300, "retention": Retention(age_s=100)})
    await fill(world, 3)
    world.clock.pass_s(200)
    async with world.running() as source:
        world.write("app.log", b"new\n")
        await source.refresh()
        source._ready().retain()
        assert await texts(source) == [b"new"]
    drop_catalogue(world)
    assert await world.stored() == [b"new"]


async def test_a_segment_whose_removal_was_interrupted_does_not_come_back(tmp_path):
    world = World(tmp_path, {"segment_bytes": 300, "retention": Retention(age_s=100)})
    await fill(world, 3)
    kept = {path: path.read_bytes() for path in world.data.glob("segments/*/*")}
    world.clock.pass_s(200)
    async with world.running() as source:
        await source.refresh()
        source._ready().retain()
        assert await texts(source) == []
    for path, data in kept.items():
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)
    assert await world.stored() == []


async def test_a_segment_that_is_gone_takes_only_its_own_lines(tmp_path):
    world = World(tmp_path, {"segment_bytes": 300})
    await fill(world, 3)
    min(world.data.glob("segments/*/*"), key=lambda path: path.name).unlink()
    found = await world.stored()
    assert 0 < len(found) < len(written(world))


async def test_a_new_day_begins_a_new_segment_in_a_folder_of_its_own(tmp_path):
    world = World(tmp_path)
    async with world.running() as source:
        for number in range(3):
            world.write("app.log", b"%d\n" % number)
            await source.refresh()
            world.clock.pass_s(86_400)
        assert await texts(source) == [b"0", b"1", b"2"]
    assert sorted(path.name for path in (world.data / "segments").iterdir()) == [
        "2026-11-18",
        "2026-11-19",
        "2026-11-20",
    ]


@pytest.mark.parametrize("compress", [True, False])
async def test_compressed_frames_read_the_same(tmp_path, compress):
    world = World(tmp_path, {"compress": compress})
    lines = [b"a line that compresses well %d" % number for number in range(20_000)]
    world.write("app.log", b"\n".join(lines) + b"\n")
    async with world.running() as source:
        await source.refresh()
        assert await texts(source) == lines
    size = last_segment(world).stat().st_size
    assert (size < 400_000) is compress


async def test_a_follower_goes_on_in_a_block_that_grows(tmp_path):
    world = World(tmp_path)
    async with world.running() as source:
        tailing = Tailing(source)
        for number in range(50):
            world.write("app.log", b"%d\n" % number)
            await source.refresh()
            await tailing.count(number + 1)
        assert tailing.texts == [b"%d" % number for number in range(50)]
        assert source._ready().catalogue.last_block() == 1
        await tailing.aclose()


async def test_nothing_of_another_user_s_can_be_read_by_others(tmp_path):
    world = World(tmp_path)
    await fill(world, 1)
    assert last_segment(world).stat().st_mode & 0o077 == 0
    assert world.data.stat().st_mode & 0o077 == 0
