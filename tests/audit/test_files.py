"""The log directory changes whole or not at all, whatever call fails, and a failed flush ends the process."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from tests.fakes.numbered import FlushFailure, NumberedSystem, flush_failed

from loglease.audit.files import LogFiles, LogUnwritable

FILES = {"tile/0/x001/067": b"leaves", "tile/0/x001/068.p/3": b"three", "checkpoint": b"note"}


def files_in(directory: Path, system: NumberedSystem | None = None) -> LogFiles:
    return LogFiles(directory / "log", flush_failed=flush_failed, system=system)


def contents(directory: Path) -> dict[str, bytes]:
    root = directory / "log"
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_what_is_written_is_there_and_nothing_else(tmp_path: Path) -> None:
    files = files_in(tmp_path)
    files.write(FILES)
    assert contents(tmp_path) == FILES
    assert [files.read(path) for path in FILES] == list(FILES.values())
    assert files.read("tile/1/000") is None
    assert files.read("checkpoint/000") is None
    assert files.size_of("checkpoint") == 4
    assert files.size_of("tile") is None
    assert files.size_of("tile/1/000") is None


def test_only_the_owner_may_read_or_enter(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        files_in(tmp_path).write(FILES)
    finally:
        os.umask(before)
    for path in [tmp_path / "log", *(tmp_path / "log").rglob("*")]:
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    files = files_in(tmp_path)
    files.write({"checkpoint": b"a longer note"})
    files.write({"checkpoint": b"note"})
    assert contents(tmp_path) == {"checkpoint": b"note"}


def test_each_file_is_flushed_before_its_name_appears_and_its_directory_after(tmp_path: Path) -> None:
    files_in(tmp_path).write({"checkpoint": b"first"})
    system = NumberedSystem()
    files_in(tmp_path, system).write({"checkpoint": b"second"})
    assert system.calls == ["open_folder", "open_folder", "open_fresh", "write", "flush", "rename", "flush"]


def test_a_new_directory_is_flushed_into_the_one_around_it(tmp_path: Path) -> None:
    system = NumberedSystem()
    files_in(tmp_path, system).write({"checkpoint": b"note"})
    assert system.calls[:5] == ["open_folder", "open_folder", "make_folder", "open_folder", "flush"]


def test_a_short_write_goes_on(tmp_path: Path) -> None:
    class Slow(NumberedSystem):
        def write(self, descriptor: int, content: bytes) -> int:
            return super().write(descriptor, content[:3])

    files_in(tmp_path, Slow()).write({"checkpoint": b"0123456789"})
    assert contents(tmp_path) == {"checkpoint": b"0123456789"}


def calls_of_a_write(directory: Path) -> int:
    system = NumberedSystem()
    files_in(directory, system).write(FILES)
    return len(system.calls)


def test_whatever_call_fails_there_is_no_false_success_and_the_next_write_heals(tmp_path: Path) -> None:
    (tmp_path / "counted").mkdir()
    for number in range(calls_of_a_write(tmp_path / "counted")):
        place = tmp_path / str(number)
        place.mkdir()
        with pytest.raises((LogUnwritable, FlushFailure)):
            files_in(place, NumberedSystem(number)).write(FILES)
        whole = {path: content for path, content in contents(place).items() if ".new-" not in path}
        assert whole.items() <= FILES.items(), "no file is there in part"
        files = files_in(place)
        files.remove_fresh()
        files.write(FILES)
        assert contents(place) == FILES


def test_a_failed_flush_never_returns(tmp_path: Path) -> None:
    system = NumberedSystem()
    files_in(tmp_path, system).write(FILES)
    again = [number for number, name in enumerate(system.calls) if name == "flush"]
    assert len(again) > len(FILES)
    for number in again:
        place = tmp_path / str(number)
        place.mkdir()
        with pytest.raises(FlushFailure):
            files_in(place, NumberedSystem(number)).write(FILES)


def test_what_a_crash_left_is_removed(tmp_path: Path) -> None:
    files = files_in(tmp_path)
    files.write(FILES)
    for left in ("tile/0/x001/.new-069", ".new-checkpoint"):
        (tmp_path / "log" / left).write_bytes(b"half")
    assert files.remove_fresh() == 2
    assert files.remove_fresh() == 0
    assert contents(tmp_path) == FILES


def test_partial_tiles_go_as_one(tmp_path: Path) -> None:
    files = files_in(tmp_path)
    files.write(FILES | {"tile/0/x001/068.p/4": b"four"})
    files.remove("tile/0/x001/068.p")
    files.remove("tile/0/x001/068.p")
    assert not (tmp_path / "log" / "tile/0/x001/068.p").exists()
    assert contents(tmp_path).keys() == FILES.keys() - {"tile/0/x001/068.p/3"}


def test_a_link_in_the_place_of_a_directory_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "log").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(LogUnwritable):
        files_in(tmp_path).write(FILES)
    assert not any((tmp_path / "elsewhere").iterdir())


def test_a_file_that_cannot_be_read_is_an_error_and_not_absent(tmp_path: Path) -> None:
    files = files_in(tmp_path)
    files.write(FILES)
    with pytest.raises(LogUnwritable) as caught:
        files.read("tile")
    assert "disk" in str(caught.value.next_step)
