"""Proofs and leaves as tlog-scales makes and checks them, byte for byte; it is Python that others wrote."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
from tests.audit.logs import KEY, log_of, recorded, write_log
from tlog_scales import cli
from tlog_scales.backend import LocalBackend
from tlog_scales.reader import TilesReader
from tlog_scales.signing import Vkey
from tlog_scales.tlog import Checkpoint as TheirCheckpoint

from loglease.audit.log_directory import FileLog
from loglease.audit.log_reading import prove, read_head, tile_content
from loglease.audit.merkle import consistency_proof
from loglease.audit.tiles import CHECKPOINT, hashes_from

SIZES = (1, 2, 255, 256, 257, 700)


@pytest.fixture(scope="module", params=SIZES)
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, int]:
    size = request.param
    return write_log(tmp_path_factory.mktemp(f"log{size}"), log_of(recorded(size)).items()), size


def indices(size: int) -> list[int]:
    return sorted({0, 1, 127, 128, 254, 255, 256, 511, 512, size // 2, size - 2, size - 1} & set(range(size)))


def theirs(capsysbinary: pytest.CaptureFixture[bytes], *words: str) -> bytes:
    arguments = cli.build_parser().parse_args(words)
    arguments.func(arguments)
    return capsysbinary.readouterr().out


def test_a_proof_is_theirs_byte_for_byte(place: tuple[Path, int], capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    directory, size = place
    read = FileLog(directory)
    for index in indices(size):
        ours, _ = prove(read, index)
        assert ours.encode() == theirs(capsysbinary, "gen-proof", str(directory), str(index))
        ours.check(prove(read, index)[1], [KEY.verifier])


def test_a_leaf_that_they_check_is_ours(place: tuple[Path, int], capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    directory, size = place
    for index in indices(size):
        _, entry = prove(FileLog(directory), index)
        assert entry == theirs(capsysbinary, "get-leaf", "--check", str(directory), str(index))


def test_consistency_is_shown_by_the_same_hashes(place: tuple[Path, int]) -> None:
    directory, size = place
    read = FileLog(directory)
    head, _ = read_head(read, (KEY.verifier,))
    reader = TilesReader(LocalBackend(directory))
    reader.get_checkpoint()
    hashes = hashes_from(lambda tile: tile_content(read, tile), size)
    for old in indices(size)[1:]:
        shown = reader.get_consistency_proof(old, size)
        assert shown.node_hashes == consistency_proof(old, size, hashes)
        reader_root = reader.mth(0, old)
        shown.check(reader_root, head.root)


def test_the_root_and_the_signature_hold_there(place: tuple[Path, int]) -> None:
    directory, size = place
    head, _ = read_head(FileLog(directory), (KEY.verifier,))
    found = TheirCheckpoint.from_text((directory / CHECKPOINT).read_text())
    found.verify(Vkey.from_string(str(KEY.verifier)))
    assert (found.origin, found.size, found.root_hash) == (head.origin, head.size, head.root)
    reader = TilesReader(LocalBackend(directory))
    reader.set_size(size)
    assert reader.calculate_root_hash() == head.root
    assert base64.b64encode(head.root).decode() in (directory / CHECKPOINT).read_text()
