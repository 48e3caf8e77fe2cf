from __future__ import annotations

import copy
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.audit.logs import KEY, ORIGIN, NotedReader, log_of, recorded, write_log
from tests.audit.mutations import OTHER_KEY, Log, log, put, whole
from tests.volume import volume

from loglease.audit.checkpoint import Checkpoint
from loglease.audit.interface import EntryInvalid
from loglease.audit.log_directory import FileLog, LogUnreadable, most_bytes
from loglease.audit.log_http import HttpLog
from loglease.audit.log_reading import (
    KeyUnknown,
    LogIncomplete,
    LogTampered,
    Read,
    entry_at,
    index_of,
    prove,
    read_head,
)
from loglease.audit.merkle import Edge, ProofInvalid, leaf_hash
from loglease.audit.note import SigningKey
from loglease.audit.tiles import TileInvalid, tiles_of
from loglease.audit.verify import (
    Checked,
    Trust,
    Verified,
    check_extends,
    check_stretch,
    stretches,
    tile_root,
    tiles_over,
    verify_log,
)
from loglease.audit.verify_jobs import _in_order, verify_with_jobs

KEYS = (KEY.verifier,)


def verified(read: Read, entries: range | None = None) -> Verified:
    head, _ = read_head(read, KEYS)
    return verify_log(read, head, entries=entries)


def joined(entries: Sequence[bytes]) -> bytes:
    """An extract that is the entries themselves."""
    return b"\n".join(entries)


@pytest.fixture(scope="module")
def one() -> Log:
    return log(600)


@pytest.fixture(scope="module")
def large() -> Log:
    """A log with a full tile above the leaves, and partial ones at three levels."""
    return log(66_000)


@pytest.mark.parametrize("size", [0, 1, 2, 3, 255, 256, 257, 511, 512, 513])
def test_a_whole_log_holds(size: int) -> None:
    files = log_of(recorded(size))
    found = verified(files.get)
    assert found.entries == range(size)
    assert found.tiles == sum(1 for tile in tiles_of(size) if tile.level >= 0)
    head, signers = read_head(files.get, KEYS)
    edge = Edge()
    edge.extend(leaf_hash(entry) for entry in recorded(size))
    assert (head, signers) == (Checkpoint(ORIGIN, size, edge.root()), [KEY.verifier])


@given(st.integers(0, 1 << 40))
def test_tiles_are_counted_as_they_stand_in_files(size: int) -> None:
    counted = tiles_over(size, range(size))
    if size < 1 << 20:
        assert counted == sum(1 for tile in tiles_of(size) if tile.level >= 0)
    assert counted >= size // 256


@given(st.integers(1, 200_000), st.data())
def test_the_tiles_over_a_part_are_those_that_cover_it(size: int, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, size - 1))
    stop = data.draw(st.integers(start + 1, size))
    over = [
        tile
        for tile in tiles_of(size)
        if tile.level >= 0
        and tile.number * 256 ** (tile.level + 1) < stop
        and (tile.number + 1) * 256 ** (tile.level + 1) > start
    ]
    assert tiles_over(size, range(start, stop)) == len(over)


def test_a_large_log_holds_and_is_followed_to_the_end(large: Log) -> None:
    done: list[tuple[int, int]] = []
    head, _ = read_head(large.files.get, KEYS)
    found = verify_log(large.files.get, head, progress=lambda now, all_: done.append((now, all_)))
    assert found.tiles == 258 + 2 + 1
    assert done[-1] == (66_000, 66_000)
    assert done == sorted(done)


@pytest.mark.parametrize(
    ("path", "index"),
    [("tile/1/000", 19 * 256), ("tile/2/000.p/1", 0), ("tile/1/001.p/1", 65_536), ("tile/0/019", 19 * 256 + 77)],
)
def test_a_wrong_hash_in_a_tile_is_named_by_its_place(large: Log, path: str, index: int) -> None:
    place = 77 if path.startswith("tile/0") else 19 if path == "tile/1/000" else 0
    content = bytearray(large.files[path])
    content[place * 32] ^= 1
    files = {**large.files, path: bytes(content)}
    with pytest.raises(LogTampered) as found:
        verified(files.get)
    assert (found.value.place, found.value.index) == (path, index)
    assert f"hash {place} of {path}" in found.value.message
    assert found.value.holds == (range(index) or None)


def test_the_first_of_several_wrong_things_is_told(one: Log) -> None:
    files = dict(one.files)
    for index in (300, 77):
        path, content = put(Log(one.entries, files), index, one.entries[0])
        files[path] = content
    with pytest.raises(LogTampered) as found:
        verified(files.get)
    assert found.value.message == (
        "entry 77 in tile/entries/000 does not hash to its leaf in tile/0/000; #0 to #76 hold"
    )
    with pytest.raises(LogTampered, match=r"entry 300 in tile/entries/001 .*; #256 to #299 hold"):
        verified(files.get, range(256, 600))


def bent(files: dict[str, bytes], path: str, place: int) -> dict[str, bytes]:
    content = bytearray(files[path])
    content[place * 32] ^= 1
    return {**files, path: bytes(content)}


def test_of_wrong_tiles_and_entries_the_first_is_told(large: Log) -> None:
    path, content = put(large, 7_000, large.entries[0])
    for changes, told in (
        ((("tile/1/000", 19), ("tile/1/001.p/1", 0)), 19 * 256),
        ((("tile/1/001.p/1", 0), ("tile/0/019", 3)), 19 * 256 + 3),
        ((("tile/1/001.p/1", 0), ("tile/2/000.p/1", 0)), 0),
        ((("tile/1/000", 30),), 7_000),
        ((("tile/2/000.p/1", 0), ("tile/0/000", 0)), 0),
    ):
        files = large.files
        for changed, place in changes:
            files = bent(files, changed, place)
        if told == 7_000:
            files = {**files, path: content}
        with pytest.raises(LogTampered) as found:
            verified(files.get)
        assert found.value.index == told
        assert found.value.holds == (range(told) or None)


def _without(files: dict[str, bytes], path: str) -> dict[str, bytes]:
    return {one: content for one, content in files.items() if one != path}


def test_a_tile_that_nothing_mends_is_wrong_from_its_first_entry(large: Log) -> None:
    broken = bent(large.files, "tile/1/000", 19)
    for files in (_without(broken, "tile/0/005"), bent(broken, "tile/0/005", 0)):
        with pytest.raises(LogTampered) as found:
            verified(files.get)
        assert (found.value.place, found.value.index, found.value.holds) == ("tile/1/000", 0, None)
        assert found.value.message == "tile/1/000 does not hash to its place in tile/2/000.p/1"


def test_a_wrong_tile_is_wrong_from_the_first_of_the_entries_below_it() -> None:
    # Tiles of a log of 131,072 entries, of which nobody needs those below the second level.
    lower = [b"".join(leaf_hash(b"%d" % (number * 256 + place)) for place in range(256)) for number in range(2)]
    upper = b"".join(tile_root(packed) for packed in lower)
    files = {"tile/1/000": lower[0], "tile/1/001": lower[1], "tile/2/000.p/2": upper}
    head = Checkpoint(ORIGIN, 1 << 17, tile_root(upper))
    assert Trust(files.get, head).root(0, 300) == lower[1][44 * 32 : 45 * 32]
    with pytest.raises(LogTampered, match=r"tile/1/001 does not hash to its place in tile/2/000\.p/2") as found:
        Trust(bent(files, "tile/1/001", 7).get, head).root(0, 300)
    assert found.value.index == 1 << 16
    with pytest.raises(LogTampered, match="tile/1/001 has 8,191 bytes, not 8,192") as found:
        Trust({**files, "tile/1/001": lower[1][:-1]}.get, head).root(0, 300)
    assert (found.value.place, found.value.index) == ("tile/1/001", 1 << 16)
    with pytest.raises(LogTampered, match="the signed root in checkpoint is not that of the tiles") as unmended:
        Trust({**bent(files, "tile/2/000.p/2", 1), "tile/1/000": b""}.get, head)
    assert unmended.value.index is None


def test_a_tile_of_leaves_and_its_bundle_may_both_be_wrong(one: Log) -> None:
    """Neither is vouched for then: not the entries in a bundle that goes on behind them, either."""
    bundle = one.files["tile/entries/001"]
    for content in (bundle + b"\0\0", put(one, 300, one.entries[0])[1]):
        with pytest.raises(LogTampered) as found:
            verified(bent({**one.files, "tile/entries/001": content}, "tile/0/001", 9).get)
        assert (found.value.place, found.value.index, found.value.holds) == ("tile/0/001", 256, range(256))
        assert "does not hash to what the tiles above it say" in found.value.message


def test_of_two_wrong_things_at_one_entry_the_one_nearest_to_it_is_told(large: Log) -> None:
    with pytest.raises(LogTampered, match=r"hash 0 of tile/0/000 is not that of entry 0, which holds"):
        verified(bent(bent(large.files, "tile/2/000.p/1", 0), "tile/0/000", 0).get)


def test_a_tile_and_its_bundle_that_were_changed_together_are_not_what_was_signed(one: Log) -> None:
    path, bundle = put(one, 300, one.entries[0])
    tile = bytearray(one.files["tile/0/001"])
    tile[44 * 32 : 45 * 32] = leaf_hash(one.entries[0])
    with pytest.raises(LogTampered, match="tile/0/001 does not hash to what the tiles above it say") as found:
        verified({**one.files, path: bundle, "tile/0/001": bytes(tile)}.get)
    assert found.value.holds == range(256)


@pytest.mark.parametrize(("path", "whole", "index"), [("tile/0/002.p/88", 2_816, 512), ("tile/1/000.p/2", 64, 0)])
def test_a_damaged_tile_at_the_edge_is_told_by_its_length(one: Log, path: str, whole: int, index: int) -> None:
    for content in (one.files[path][:-1], one.files[path] + b"x"):
        with pytest.raises(LogTampered, match=rf"{path} has {len(content):,} bytes, not {whole:,}") as found:
            verified({**one.files, path: content}.get)
        assert (found.value.place, found.value.index) == (path, index)


def test_a_bundle_that_goes_on_behind_its_entries_mends_no_tile(one: Log) -> None:
    path, bundle = "tile/0/002.p/88", "tile/entries/002.p/88"
    wrong = bent(one.files, path, 3)
    with pytest.raises(LogTampered, match=rf"hash 3 of {path} is not that of entry 515, which holds"):
        verified(wrong.get)
    for content in (one.files[bundle] + b"\0\0", one.files[bundle] + b"x"):
        with pytest.raises(LogTampered, match="the signed root in checkpoint is not that of the tiles"):
            verified({**wrong, bundle: content}.get)


def test_a_bundle_that_goes_on_behind_its_entries_is_damaged(one: Log) -> None:
    files = {**one.files, "tile/entries/001": one.files["tile/entries/001"] + b"\0\0"}
    with pytest.raises(LogTampered, match=r"tile/entries/001 is damaged: .*; #0 to #511 hold") as found:
        verified(files.get)
    assert (found.value.place, found.value.index) == ("tile/entries/001", 512)


def test_a_bundle_that_ends_too_soon_is_called_damaged(one: Log) -> None:
    bundle = one.files["tile/entries/000"]
    kept = sum(2 + len(entry) for entry in one.entries[:200])
    for cut in (kept, kept + 1, kept + 2, kept + 50):
        with pytest.raises(LogTampered, match=r"tile/entries/000 is damaged: .*; #0 to #199 hold") as found:
            verified({**one.files, "tile/entries/000": bundle[:cut]}.get)
        assert found.value.index == 200


def test_a_missing_tile_above_leaves_what_is_below_it_unknown(large: Log) -> None:
    files = {path: content for path, content in large.files.items() if path != "tile/1/000"}
    head, _ = read_head(files.get, KEYS)
    done: list[tuple[int, int]] = []
    with pytest.raises(LogIncomplete, match="tile/1/000 is missing"):
        verify_log(files.get, head, progress=lambda now, all_: done.append((now, all_)))
    assert done[0] == (8_192, 66_000)
    assert done[-1] == (66_000, 66_000)
    path, content = put(large, 65_900, large.entries[0])
    with pytest.raises(LogTampered, match="entry 65900") as found:
        verified({**files, path: content}.get)
    assert found.value.holds is None


def test_missing_is_not_wrong_and_does_not_hide_it(one: Log) -> None:
    files = {path: content for path, content in one.files.items() if path != "tile/entries/000"}
    with pytest.raises(LogIncomplete, match="tile/entries/000 is missing") as missing:
        verified(files.get)
    assert missing.value.next_step is not None
    assert verified(files.get, range(256, 600)).entries == range(256, 600)
    path, content = put(one, 599, one.entries[0])
    with pytest.raises(LogTampered, match="entry 599") as found:
        verified({**files, path: content}.get)
    assert found.value.holds is None
    files = {**_without(one.files, "tile/entries/001"), path: content}
    with pytest.raises(LogTampered, match=r"entry 599 .*; #0 to #255 hold"):
        verified(files.get)
    with pytest.raises(LogIncomplete, match="tile/entries/001 is missing"):
        verified(_without(_without(one.files, "tile/entries/001"), "tile/entries/002.p/88").get)
    with pytest.raises(LogIncomplete, match="checkpoint is missing"):
        verified({}.get)


def test_full_tiles_stand_in_for_partial_ones_that_were_removed(one: Log) -> None:
    longer = log_of([*one.entries, *recorded(400, 600)])
    files = {**longer, **{path: one.files[path] for path in ("checkpoint", "tile/1/000.p/2")}}
    assert "tile/0/002.p/88" not in files
    assert verified(files.get).entries == range(600)
    proof, entry = prove(files.get, 599)
    assert entry == one.entries[599]
    assert proof.check(entry, KEYS).size == 600


def test_an_entry_of_no_form_is_told_though_it_was_signed(one: Log) -> None:
    files = whole(one, 300, b'{"v":1}')
    with pytest.raises(LogTampered, match=r"entry 300 in tile/entries/001 has not the form of one") as found:
        verified(files.get)
    assert found.value.holds == range(300)


def test_a_head_is_taken_of_known_keys_alone(one: Log) -> None:
    theirs = log_of(one.entries, key=OTHER_KEY)
    with pytest.raises(KeyUnknown, match=r"None of the keys .* signed by logs.example.com/loglease/1\+") as found:
        read_head(theirs.get, KEYS)
    assert "Give the log's public key" in (found.value.next_step or "")
    later = SigningKey("logs.example.com/loglease/2", b"\x09" * 32)
    foreign = SigningKey("logs.example.com/other/1", b"\x0a" * 32)
    with pytest.raises(KeyUnknown) as found:
        read_head(log_of(one.entries, key=later).get, (foreign.verifier, *KEYS))
    assert f"a later generation of {ORIGIN}," in (found.value.next_step or "")
    assert read_head(theirs.get, (OTHER_KEY.verifier, KEY.verifier))[1] == [OTHER_KEY.verifier]


def test_both_keys_of_a_rotation_are_named(one: Log) -> None:
    from loglease.audit.checkpoint import sign_checkpoint

    head, _ = read_head(one.files.get, KEYS)
    files = {**one.files, "checkpoint": sign_checkpoint(head, [KEY, OTHER_KEY])}
    for keys in ((KEY,), (OTHER_KEY,), (KEY, OTHER_KEY)):
        assert read_head(files.get, tuple(key.verifier for key in keys))[1] == [key.verifier for key in keys]


@settings(max_examples=volume(20, 40), deadline=None)
@given(st.integers(0, 600), st.integers(0, 600))
def test_a_log_begins_with_every_earlier_one_and_no_other(old: int, changed: int) -> None:
    entries = list(recorded(600))
    files = LOGS.setdefault(600, log_of(entries))
    head, _ = read_head(files.get, KEYS)
    earlier, _ = read_head(log_of(entries[:old]).get, KEYS)
    hashes = Trust(files.get, head).hashes
    check_extends(hashes, head, earlier, "last")
    if changed < old:
        other, _ = read_head(
            log_of([*entries[:changed], entries[0][:-1] + b" }", *entries[changed + 1 : old]]).get, KEYS
        )
        with pytest.raises(LogTampered, match="two histories"):
            check_extends(hashes, head, other, "last")
    if old < 600:
        with pytest.raises(LogTampered, match=f"the log has {old} entries, and had 600"):
            check_extends(hashes, earlier, head, "last")


LOGS: dict[int, dict[str, bytes]] = {}


def test_what_is_extracted_is_of_entries_that_hold(one: Log) -> None:
    head, _ = read_head(one.files.get, KEYS)
    seen: list[Checked] = []
    verify_log(one.files.get, head, extract=joined, take=seen.append)
    assert [part.extracts for part in seen] == [
        tuple(joined(one.entries[begin : begin + 256]) for begin in range(0, 600, 256))
    ]
    seen.clear()
    verify_log(one.files.get, head, take=seen.append)
    assert [part.extracts for part in seen] == [()]
    path, content = put(one, 3, one.entries[4])
    with pytest.raises(LogTampered):
        verify_log({**one.files, path: content}.get, head, extract=joined, take=seen.append)
    assert len(seen) == 1


def test_who_extracts_may_find_that_something_is_no_entry(one: Log) -> None:
    head, _ = read_head(one.files.get, KEYS)

    def extract(entries: Sequence[bytes]) -> tuple[int, EntryInvalid]:
        return len(entries) - 1, EntryInvalid("It is none.")

    with pytest.raises(LogTampered, match="entry 255 in tile/entries/000 has not the form of one: It is none"):
        verify_log(one.files.get, head, extract=extract)


def test_entries_are_found_by_index_and_id(one: Log) -> None:
    assert entry_at(one.files.get, 599, 600) == one.entries[599]
    assert index_of(one.files.get, "ent_01K5M8" + "0" * 17 + "300", 600) == 300
    assert index_of(one.files.get, "ent_01K5M8", 600) is None
    with pytest.raises(ProofInvalid, match="has no entry 600"):
        prove(one.files.get, 600)
    for index in (300, 599):
        path, content = put(one, index, one.entries[0])
        with pytest.raises(LogTampered, match="do not lead to the root") as found:
            prove({**one.files, path: content}.get, index)
        assert (found.value.place, found.value.index) == (path, index)


@pytest.mark.parametrize("size", [1, 2, 256, 257, 513])
def test_the_newest_entry_is_found_by_its_id(size: int) -> None:
    files, newest = log_of(recorded(size)), list(recorded(size))[-1]
    entry_id = newest.split(b'"id":"')[1].split(b'"')[0].decode()
    assert index_of(files.get, entry_id, size) == size - 1
    proof, content = prove(files.get, size - 1)
    assert (proof.extra, content) == (None, newest)
    assert prove(files.get, size - 1, extra=True)[0].extra == newest


@pytest.mark.parametrize(("path", "first"), [("tile/entries/001", 256), ("tile/entries/002.p/88", 512)])
def test_of_a_damaged_bundle_there_is_what_stands_before_the_damage(one: Log, path: str, first: int) -> None:
    kept = sum(2 + len(entry) for entry in one.entries[first : first + 10])
    files = {**one.files, path: one.files[path][: kept + 1]}
    assert entry_at(files.get, first + 9, 600) == one.entries[first + 9]
    with pytest.raises(LogTampered, match=f"{path} is damaged") as found:
        entry_at(files.get, first + 20, 600)
    assert (found.value.place, found.value.index) == (path, first + 10)


def test_nothing_is_proved_without_a_head_or_a_tile(one: Log) -> None:
    with pytest.raises(LogIncomplete, match="checkpoint is missing"):
        prove({}.get, 0)
    with pytest.raises(LogTampered, match="checkpoint is not a signed head"):
        prove({**one.files, "checkpoint": b"nothing"}.get, 0)
    with pytest.raises(LogIncomplete, match="tile/0/001 is missing"):
        prove(_without(one.files, "tile/0/001").get, 300)


def test_a_fault_comes_whole_from_another_process() -> None:
    sent = LogTampered("tile/0/000", "a hash is wrong", index=7, holds=range(7))
    got = copy.copy(sent)  # by what it is pickled with, too
    assert isinstance(got, LogTampered)
    assert (got.place, got.detail, got.index, got.holds) == ("tile/0/000", "a hash is wrong", 7, range(7))
    assert got.message == sent.message == "a hash is wrong; #0 to #6 hold"


def test_files_are_bounded_and_those_of_a_log(tmp_path: Path, one: Log) -> None:
    read = FileLog(write_log(tmp_path / "log", one.files.items()))
    assert verified(read).entries == range(600)
    assert read("tile/0/007") is None
    (tmp_path / "log/tile/0/000").write_bytes(b"\0" * 100_000)
    assert len(read("tile/0/000") or b"") == most_bytes("tile/0/000") + 1
    with pytest.raises(LogTampered, match="tile/0/000 has 8,193 bytes, not 8,192"):
        verified(read)
    for path in ("../secret", "/etc/passwd", "tile/0/../../x", "served/ent_1"):
        with pytest.raises(TileInvalid):
            read(path)
    with pytest.raises(LogUnreadable):
        FileLog(tmp_path / "nowhere")
    (tmp_path / "log/tile/0/001").unlink()
    (tmp_path / "log/tile/0/001").mkdir()
    with pytest.raises(LogUnreadable):
        read("tile/0/001")


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its own name for it
        pass


@pytest.fixture
def served(tmp_path: Path, one: Log) -> Iterator[tuple[str, Path]]:
    place = write_log(tmp_path / "log", one.files.items())
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(place)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", place
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_log_behind_http_is_read_like_files(served: tuple[str, Path]) -> None:
    address, place = served
    read = HttpLog(address + "/")
    assert verified(read).entries == range(600)
    (place / "tile/0/000").write_bytes(b"\0" * 100_000)
    with pytest.raises(LogTampered, match="tile/0/000 has 8,193 bytes"):
        verified(read)
    (place / "tile/0/000").unlink()
    with pytest.raises(LogIncomplete):
        verified(read)
    read.close()


def test_a_server_that_is_not_there_cannot_be_checked() -> None:
    read = HttpLog("http://127.0.0.1:1", timeout_s=1)
    with pytest.raises(LogUnreadable, match="cannot be fetched"):
        read("checkpoint")
    read.close()


@pytest.mark.parametrize("jobs", [1, 2])
def test_what_holds_is_told_in_the_order_of_the_log(tmp_path: Path, jobs: int) -> None:
    made = log(20_000)
    read = FileLog(write_log(tmp_path, made.files.items()))
    head, _ = read_head(read, KEYS)
    seen: list[tuple[int, bytes]] = []

    def take(part: Checked) -> None:
        assert len(part.extracts) == len(part.entries[::256])
        seen.extend(zip(part.entries, b"\n".join(part.extracts).split(b"\n"), strict=True))

    verify_with_jobs(read, head, jobs=jobs, extract=joined, take=take)
    assert seen == list(enumerate(made.entries))
    path, content = put(made, 19_000, made.entries[0])
    (tmp_path / path).write_bytes(content)
    seen.clear()
    with pytest.raises(LogTampered, match="entry 19000"):
        verify_with_jobs(read, head, jobs=jobs, extract=joined, take=take)
    assert seen == list(enumerate(made.entries[:16_384]))
    (tmp_path / "tile/0/040").unlink()
    seen.clear()
    with pytest.raises(LogTampered, match="entry 19000"):
        verify_with_jobs(read, head, jobs=jobs, extract=joined, take=take)
    assert seen == list(enumerate(made.entries[:8_192]))


def test_several_processes_find_what_one_finds(tmp_path: Path) -> None:
    made = log(9_000)
    (tmp_path / "notes").mkdir()
    read = NotedReader(write_log(tmp_path / "log", made.files.items()), tmp_path / "notes")
    head, _ = read_head(read, KEYS)
    whole = verify_log(read, head)
    assert whole == verify_with_jobs(read, head, jobs=1)
    assert read.processes() == {os.getpid()}
    assert verify_with_jobs(read, head, jobs=2) == whole
    assert read.processes() > {os.getpid()}
    path, content = put(made, 8_500, made.entries[0])
    (tmp_path / "log" / path).write_bytes(content)
    with pytest.raises(LogTampered, match=r"entry 8500 .*; #0 to #8499 hold"):
        verify_with_jobs(read, head, jobs=2)
    done: list[tuple[int, int]] = []
    part = range(512, 8_448)
    found = verify_with_jobs(read, head, jobs=2, entries=part, progress=lambda now, all_: done.append((now, all_)))
    assert (found.entries, done) == (part, [(7_936, 7_936)])


class _Waiting(Executor):
    """A pool whose work is done when its result is asked for, and that counts what is under way."""

    def __init__(self) -> None:
        self.under_way = self.most = 0

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        self.under_way += 1
        self.most = max(self.most, self.under_way)

        class Later(Future[Any]):
            def result(_self, timeout: float | None = None) -> Any:  # noqa: N805 - beside the pool itself
                self.under_way -= 1
                return fn(*args, **kwargs)

        return Later()


def test_of_a_long_log_only_so_much_is_under_way(large: Log) -> None:
    head, _ = read_head(large.files.get, KEYS)
    trust = Trust(large.files.get, head)
    pool = _Waiting()
    parts = [*stretches(trust, range(30_000)), Checked(range(30_208, 66_000), missing=("tile/1/000", 30_208))]
    found = list(_in_order(pool, partial(check_stretch, large.files.get), parts, 2))
    assert pool.most == 2
    assert [one.entries.start for one in found] == [0, 8_192, 16_384, 24_576, 30_208]
    assert found[-1] is parts[-1]
