from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.fakes.clock import START
from tests.fakes.grown_log import GrownLog

from loglease.audit.checkpoint import head_line
from loglease.audit.note import NoteInvalid
from loglease.audit.sinks.append_only import AppendOnlyFile
from loglease.audit.sinks.interface import SinkFailed, note_in, record_of

LOG = GrownLog()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "heads.jsonl"


@pytest.fixture
def sink(path: Path):
    found = AppendOnlyFile(path)
    yield found
    found.close()


def lines(path: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def test_each_head_is_a_line(sink: AppendOnlyFile, path: Path) -> None:
    assert sink.newest() is None
    sink.write([LOG.note(0), LOG.note(5)], START)
    sink.write([LOG.note(9)], START)
    assert [one["audit_head"] for one in lines(path)] == [head_line(LOG.head(size)) for size in (0, 5, 9)]
    assert [one["note"].encode() for one in lines(path)] == [LOG.note(size) for size in (0, 5, 9)]
    assert sink.newest() == LOG.note(9)
    assert path.stat().st_mode & 0o137 == 0


def test_another_process_goes_on_behind_the_last_line(sink: AppendOnlyFile, path: Path) -> None:
    sink.write([LOG.note(5)], START)
    sink.close()
    again = AppendOnlyFile(path)
    again.write([LOG.note(9)], START)
    again.close()
    assert len(lines(path)) == 2


def test_a_line_that_a_crash_cut_short_is_ended_and_passed_over(path: Path) -> None:
    first, second = record_of(LOG.note(5)), record_of(LOG.note(9))
    whole, kept = first + b"\n" + second, LOG.note(5)
    for cut in range(len(first) + 1, len(whole)):
        path.write_bytes(whole[:cut])
        assert AppendOnlyFile(path).newest() == kept
    sink = AppendOnlyFile(path)
    sink.write([LOG.note(9)], START)
    sink.close()
    assert sink.newest() == LOG.note(9)
    assert path.read_bytes().startswith(whole[:cut] + b"\n{")


def removed(path: Path) -> None:
    path.unlink()


def renamed(path: Path) -> None:
    path.rename(path.with_name("old"))


def replaced(path: Path) -> None:
    copy = path.read_bytes()
    path.unlink()
    path.write_bytes(copy)


def linked(path: Path) -> None:
    os.link(path, path.with_name("other"))


def cut(path: Path) -> None:
    os.truncate(path, 3)


def grown(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"x\n")


def pointed(path: Path) -> None:
    path.rename(path.with_name("old"))
    path.symlink_to("old")


@pytest.mark.parametrize(
    ("done", "told"),
    [
        (removed, "was removed"),
        (renamed, "was removed or renamed"),
        (replaced, "was replaced"),
        (pointed, "was replaced"),
        (linked, "more than one name"),
        (cut, "was cut short"),
        (grown, "somebody else"),
    ],
)
def test_what_was_done_to_the_file_is_noticed_before_the_next_write(
    sink: AppendOnlyFile, path: Path, done: Callable[[Path], None], told: str
) -> None:
    sink.write([LOG.note(5)], START)
    done(path)
    before = path.read_bytes() if path.exists() else None
    for _ in range(2):
        with pytest.raises(SinkFailed, match=told):
            sink.write([LOG.note(9)], START)
    assert (path.read_bytes() if path.exists() else None) == before


def test_a_file_that_is_put_back_is_written_to_again(sink: AppendOnlyFile, path: Path) -> None:
    sink.write([LOG.note(5)], START)
    path.rename(path.with_name("old"))
    with pytest.raises(SinkFailed):
        sink.write([LOG.note(9)], START)
    path.with_name("old").rename(path)
    sink.write([LOG.note(9)], START)
    assert sink.newest() == LOG.note(9)


def test_after_a_failed_flush_everything_is_written_anew(
    sink: AppendOnlyFile, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sink.write([LOG.note(5)], START)

    def broken(_descriptor: int) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr("loglease.audit.sinks.append_only.os.fsync", broken)
        for _ in range(2):
            with pytest.raises(SinkFailed, match="Input/output error"):
                sink.write([LOG.note(9)], START)
    sink.write([LOG.note(9)], START)
    assert [one["audit_head"].split()[3] for one in lines(path)] == ["5", "9", "9"]


def test_no_room_is_told_and_healed(sink: AppendOnlyFile, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, left = os.write, [40]

    def small(descriptor: int, content: bytes) -> int:
        if left[0] == 0:
            raise OSError(28, "No space left on device")
        written = real(descriptor, content[: left[0]])
        left[0] -= written
        return written

    with monkeypatch.context() as patch:
        patch.setattr("loglease.audit.sinks.append_only.os.write", small)
        with pytest.raises(SinkFailed, match="No space left"):
            sink.write([LOG.note(5)], START)
    sink.write([LOG.note(5)], START)
    assert path.read_bytes() == record_of(LOG.note(5))[:40] + b"\n" + record_of(LOG.note(5)) + b"\n"


def test_a_file_of_something_else_is_no_sink(sink: AppendOnlyFile, path: Path) -> None:
    path.write_bytes(b"shopping list\n")
    with pytest.raises(SinkFailed, match="holds no head"):
        sink.newest()


def test_places_that_cannot_be_written_are_told(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("target")
    for name in ("none/heads", "link", "."):
        with pytest.raises(SinkFailed, match="cannot be written"):
            AppendOnlyFile(tmp_path / name).write([LOG.note(5)], START)
    with pytest.raises(SinkFailed, match="cannot be read"):
        AppendOnlyFile(tmp_path).newest()


@given(st.integers(0, 300))
def test_a_record_is_read_as_it_is_written(size: int) -> None:
    record = record_of(LOG.note(size))
    assert record.isascii()
    assert b"\n" not in record
    assert note_in(record) == LOG.note(size)


@given(st.binary(max_size=200) | st.just(b"null") | st.just(b'{"note":5}') | st.just(b'{"note":"x"}'))
def test_no_bytes_upset_the_reader(content: bytes) -> None:
    with pytest.raises(NoteInvalid):
        note_in(content)
