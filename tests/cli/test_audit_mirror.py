from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

import pytest
from tests.audit.drafts import draft
from tests.audit.logs import KEY, ORIGIN, log_of, recorded
from tests.cli.conftest import Cli, Result
from tests.cli.fake_server import FakeServer, Reply, problem

from loglease.audit.checkpoint import Checkpoint, sign_checkpoint
from loglease.audit.entry import entry_bytes
from loglease.audit.log_directory import FileLog
from loglease.audit.log_reading import read_head
from loglease.audit.note import SigningKey
from loglease.audit.tiles import ENTRIES, Tile, tiles_of
from loglease.audit.verify import verify_log
from loglease.model.ids import EntryId
from loglease.model.instant import Instant

EXPORT = "/audit/export"
VKEY = str(KEY.verifier)


def serving(server: FakeServer, files: Mapping[str, bytes], *, min_index: int = 0) -> None:
    """Serve a log; what is served before and is not in it is gone."""
    server._answers.clear()
    headers = {"LogLease-Min-Index": str(min_index)}
    server.on("GET", EXPORT, Reply(files["checkpoint"], headers=headers, media_type="text/plain"))
    for path, content in files.items():
        server.on("GET", f"/audit/log/{path}", Reply(content, media_type="application/octet-stream"))


def copied(cli: Cli, place: Path, *more: str) -> Result:
    return cli("audit", "export", "--format", "tlog-tiles", "--to", str(place), *more)


def contents(place: Path) -> dict[str, bytes]:
    return {str(path.relative_to(place)): path.read_bytes() for path in place.rglob("*") if path.is_file()}


def present(place: Path) -> dict[str, bytes]:
    """Return what a log directory holds, without the smaller partial tiles that stay until they are full."""
    widest: dict[str, str] = {}
    for path in sorted(contents(place), key=lambda path: int(path.partition(".p/")[2] or 0)):
        widest[path.partition(".p/")[0]] = path
    return {path: content for path, content in contents(place).items() if path in widest.values()}


@pytest.fixture(autouse=True)
def _no_sleep(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("loglease.cli.log_fetching.time.sleep", lambda _: None)


@pytest.mark.parametrize("size", [0, 1, 255, 256, 257, 700])
def test_a_copy_is_the_log_file_by_file(cli: Cli, server: FakeServer, tmp_path: Path, size: int) -> None:
    files = log_of(recorded(size))
    serving(server, files)
    found = copied(cli, tmp_path / "log", "--key", VKEY)
    assert (found.code, found.out) == (0, ""), found.err
    assert contents(tmp_path / "log") == files
    assert f"{size:,} entries, {size:,} of them new" in found.err
    assert f"audit head: {ORIGIN} {size} " in found.err
    assert "was not checked" not in found.err
    assert server.sent("GET", EXPORT)[0].query == {"format": "tlog-tiles"}


@pytest.mark.parametrize(("before", "after"), [(0, 300), (1, 2), (250, 256), (256, 257), (300, 300), (300, 900)])
def test_a_copy_goes_on_where_it_ended(cli: Cli, server: FakeServer, tmp_path: Path, before: int, after: int) -> None:
    for size in (before, after):
        serving(server, log_of(recorded(size)))
        server.calls.clear()
        assert copied(cli, tmp_path / "log").code == 0
    assert present(tmp_path / "log") == log_of(recorded(after))
    assert server.sent("GET", EXPORT)[0].query == {"format": "tlog-tiles", "since": str(before)}
    fetched = [call.path for call in server.calls if call.path.startswith("/audit/log/")]
    assert len(fetched) == len([tile for tile in tiles_of(after, before) if tile.level == ENTRIES])


def test_a_copy_can_be_verified_by_itself(cli: Cli, server: FakeServer, tmp_path: Path) -> None:
    serving(server, log_of(recorded(700)))
    found = copied(cli, tmp_path / "log")
    assert "signature was not checked" in found.err
    read = FileLog(tmp_path / "log")
    head, _ = read_head(read, (KEY.verifier,))
    assert verify_log(read, head).entries == range(700)


def forged(files: dict[str, bytes]) -> dict[str, bytes]:
    path = Tile(ENTRIES, 2, 188).path
    return {**files, path: files[path].replace(b"sub_a", b"sub_b", 1)}


def test_entries_that_were_not_signed_get_no_head(cli: Cli, server: FakeServer, tmp_path: Path) -> None:
    serving(server, log_of(recorded(300)))
    copied(cli, tmp_path / "log")
    before = (tmp_path / "log" / "checkpoint").read_bytes()
    serving(server, forged(log_of(recorded(700))))
    found = copied(cli, tmp_path / "log")
    assert found.code == 1
    assert "do not have the root" in found.err
    assert (tmp_path / "log" / "checkpoint").read_bytes() == before
    serving(server, log_of(recorded(700)))
    assert copied(cli, tmp_path / "log").code == 0
    assert present(tmp_path / "log") == log_of(recorded(700))


@pytest.mark.parametrize("damage", [b"", b"\xff\xff", b"\x00\x00" * 300])
def test_a_bundle_of_another_form_is_refused(cli: Cli, server: FakeServer, tmp_path: Path, damage: bytes) -> None:
    files = log_of(recorded(300))
    serving(server, {**files, "tile/entries/000": damage})
    found = copied(cli, tmp_path / "log")
    assert found.code == 1
    assert "another form" in found.err


def test_a_head_that_others_signed_is_refused(cli: Cli, server: FakeServer, tmp_path: Path) -> None:
    serving(server, log_of(recorded(3)))
    other = SigningKey(ORIGIN, b"\x08" * 32)
    unknown = copied(cli, tmp_path / "log", "--key", str(other.verifier))
    assert unknown.code == 2
    assert "None of the keys" in unknown.err
    files = log_of(recorded(3))
    broken = files["checkpoint"].replace(b"\n3\n", b"\n2\n")
    serving(server, {**files, "checkpoint": broken})
    found = copied(cli, tmp_path / "log", "--key", VKEY)
    assert found.code == 1
    assert not (tmp_path / "log" / "checkpoint").exists()
    serving(server, {**files, "checkpoint": b"<html>"})
    assert copied(cli, tmp_path / "log").code == 1


def test_another_log_or_an_older_one_is_not_taken_for_the_copied_one(
    cli: Cli, server: FakeServer, tmp_path: Path
) -> None:
    place = tmp_path / "log"
    serving(server, log_of(recorded(300)))
    copied(cli, place)
    before = contents(place)
    other = SigningKey("logs.example.com/loglease/2", b"\x07" * 32)
    for files, said in (
        (log_of(recorded(300), key=other), "the server has logs.example.com/loglease/2"),
        (log_of(recorded(299)), "is not one of the log that was copied"),
        ({"checkpoint": sign_checkpoint(Checkpoint(ORIGIN, 300, b"\x01" * 32), [KEY])}, "is not one of the log"),
    ):
        serving(server, files)
        found = copied(cli, place)
        assert found.code == 1
        assert said in found.err
        assert contents(place) == before


def test_a_fork_behind_the_copy_is_noticed(cli: Cli, server: FakeServer, tmp_path: Path) -> None:
    place = tmp_path / "log"
    serving(server, log_of(recorded(300)))
    copied(cli, place)
    entries = list(recorded(600))
    entries[5] = entries[5].replace(b"sub_a", b"sub_b", 1)
    serving(server, log_of(entries))
    found = copied(cli, place)
    assert found.code == 1
    assert "do not have the root" in found.err


def test_a_copy_that_was_changed_does_not_go_on(cli: Cli, server: FakeServer, tmp_path: Path) -> None:
    place = tmp_path / "log"
    serving(server, log_of(recorded(300)))
    copied(cli, place)
    path = place / Tile(0, 1, 44).path
    content = path.read_bytes()
    for bad in (b"\x00" * len(content), content[:-1]):
        path.write_bytes(bad)
        assert copied(cli, place).code == 1
    path.unlink()
    found = copied(cli, place)
    assert found.code == 1
    assert "lacks tile/0/001.p/44" in found.err


def test_a_bundle_that_is_full_by_now_is_cut(cli: Cli, server: FakeServer, tmp_path: Path) -> None:
    files = log_of(recorded(300))
    grown = log_of(recorded(512))
    served = {path: content for path, content in grown.items() if path != "checkpoint"}
    serving(server, {**served, "checkpoint": files["checkpoint"]})
    assert copied(cli, tmp_path / "log").code == 0
    assert contents(tmp_path / "log") == files


def test_a_bundle_that_is_nowhere_is_said(cli: Cli, server: FakeServer, tmp_path: Path) -> None:
    files = log_of(recorded(300))
    serving(server, {path: content for path, content in files.items() if "entries" not in path})
    found = copied(cli, tmp_path / "log")
    assert found.code == 1
    assert "tile/entries/000 is missing" in found.err


def test_a_file_that_does_not_end_is_not_read_to_its_end(cli: Cli, server: FakeServer, tmp_path: Path) -> None:
    serving(server, {**log_of(recorded(3)), "tile/entries/000.p/3": b"x" * (20 << 20)})
    found = copied(cli, tmp_path / "log")
    assert found.code == 1
    assert "longer than such a file can be" in found.err


def test_a_pruned_log_is_copied_from_where_it_begins(cli: Cli, server: FakeServer, tmp_path: Path) -> None:
    place = tmp_path / "log"
    files = log_of(recorded(1_100))
    kept = {
        path: content
        for path, content in files.items()
        if path not in ("tile/entries/000", "tile/entries/001", "tile/0/000", "tile/0/001")
    }
    serving(server, kept, min_index=512)
    found = copied(cli, place, "--key", VKEY)
    assert found.code == 0, found.err
    assert contents(place) == kept
    more = log_of(recorded(1_300))
    serving(
        server, {path: content for path, content in more.items() if path in kept or path not in files}, min_index=512
    )
    assert copied(cli, place).code == 0
    assert contents(place)["checkpoint"] == more["checkpoint"]


def test_a_server_that_asks_for_patience_gets_it(cli: Cli, server: FakeServer, tmp_path: Path) -> None:
    files = log_of(recorded(3))
    serving(server, files)
    content = Reply(files["tile/entries/000.p/3"], media_type="application/octet-stream")
    server.on(
        "GET",
        "/audit/log/tile/entries/000.p/3",
        problem(429, "rate_limited", "Too many calls."),
        problem(503, "draining", "The server stops."),
        Reply(pieces=lambda: iter([b"x"]), reset=True),
        content,
    )
    assert copied(cli, tmp_path / "log").code == 0
    assert contents(tmp_path / "log") == files


def batch(entry: str, served: bytes) -> bytes:
    count = {"lines": 1, "bytes": 9}
    settled = {"unit": "line", **count, "masked": [], "served_c": hashlib.sha256(served).hexdigest(), "overflow": False}
    data = {"query": 1, "seq": 1, "settled": settled, "total": count, "reserved": count}
    ref = {"grant": "grt_1", "session": "ses_1"}
    return entry_bytes(draft(1, id=EntryId(entry), type="batch.served", ref=ref, data=data), Instant(1))


def test_served_lists_come_along_if_they_are_asked_for(cli: Cli, server: FakeServer, tmp_path: Path) -> None:
    first, second = (f"ent_01K5M80000000000000000000{number}" for number in (1, 2))
    files = log_of([batch(first, b"salt and list"), batch(second, b"erased")])
    serving(server, {**files, f"served/{first}": b"salt and list"})
    found = copied(cli, tmp_path / "log", "--served")
    assert found.code == 0
    assert "1 served lists" in found.err
    assert contents(tmp_path / "log") == {**files, f"served/{first}": b"salt and list"}
    assert copied(cli, tmp_path / "without").code == 0
    assert contents(tmp_path / "without") == files
    serving(server, {**files, f"served/{first}": b"another list"})
    bad = copied(cli, tmp_path / "bad", "--served")
    assert bad.code == 1
    assert "is not the served list" in bad.err


def test_a_server_cannot_have_files_written_elsewhere(cli: Cli, server: FakeServer, tmp_path: Path) -> None:
    entry = "ent_../../../escaped"
    serving(server, {**log_of([batch(entry, b"list")]), f"served/{entry}": b"list", "escaped": b"list"})
    found = copied(cli, tmp_path / "log", "--served")
    assert found.code == 1
    assert "id of another form" in found.err
    assert not list(tmp_path.rglob("*escaped*"))


def test_directories_of_others_are_left_alone(cli: Cli, server: FakeServer, tmp_path: Path) -> None:
    serving(server, log_of(recorded(3)))
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("mine")
    found = copied(cli, tmp_path / "mine")
    assert found.code == 2
    assert "holds letter.txt and no log" in found.err
    (tmp_path / "file").write_text("mine")
    assert copied(cli, tmp_path / "file").code == 2
    assert copied(cli, tmp_path / "none" / "log").code == 2
    assert server.sent("GET", EXPORT) == []


def test_two_exports_do_not_write_one_directory(cli: Cli, server: FakeServer, tmp_path: Path) -> None:
    place = tmp_path / "log"
    place.mkdir()
    held = os.open(place, os.O_RDONLY)
    try:
        fcntl.flock(held, fcntl.LOCK_EX)
        found = copied(cli, place)
    finally:
        os.close(held)
    assert found.code == 2
    assert "Another export is at work" in found.err


def test_what_a_crash_left_behind_is_removed(cli: Cli, server: FakeServer, tmp_path: Path) -> None:
    files = log_of(recorded(300))
    serving(server, files)
    folder = tmp_path / "log" / "tile" / "0"
    folder.mkdir(parents=True)
    (folder / ".new-000").write_bytes(b"half")
    (folder / "000").write_bytes(b"of an export that was broken off")
    assert copied(cli, tmp_path / "log").code == 0
    assert contents(tmp_path / "log") == files


@pytest.mark.parametrize(
    "arguments",
    [
        ("tlog-tiles",),
        ("tlog-tiles", "--to", "log", "--since", "1"),
        ("tlog-tiles", "--to", "log", "--until", "1"),
        ("tlog-tiles", "--to", "log", "--follow"),
        ("tlog-tiles", "--to", "log", "-o", "file"),
        ("tlog-tiles", "--to", "log", "--key", "nonsense"),
        ("ndjson", "--to", "log"),
        ("ocsf", "--key", VKEY),
        ("ocsf", "--served"),
    ],
)
def test_flags_that_do_not_fit_are_usage(
    cli: Cli, server: FakeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli("audit", "export", "--format", *arguments).code == 2
    assert server.calls == []
    assert not (tmp_path / "log").exists()
