"""Logs as a program judges them in which nobody here wrote what counts: note and tlog of Go's checksum database.

`FOREIGN_SIZES` are those of logs that hold, in place of small ones and one of a million entries; `MUTATION_ROUNDS` says how
many changed logs are judged.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from shutil import rmtree

import pytest
from tests.audit.logs import KEY, ORIGIN, log_files, log_of, recorded, write_log
from tests.audit.merkle_vectors import ABSENT, folder, vectors
from tests.audit.mutations import OTHER_KEY, Log, drawn, log
from tests.audit.test_mutations import SEED, fault_of
from tests.pages.world import World
from tests.real.foreign import Foreign

from loglease.audit.checkpoint import Checkpoint, sign_checkpoint
from loglease.audit.log_directory import FileLog
from loglease.audit.log_reading import prove, read_head, tile_content
from loglease.audit.merkle import Edge, consistency_proof, leaf_hash
from loglease.audit.tiles import hashes_from
from loglease.audit.verify import verify_log

pytestmark = pytest.mark.real_foreign

ROUNDS = int(os.environ.get("MUTATION_ROUNDS", "220"))
SIZES = [
    int(size) for size in os.environ.get("FOREIGN_SIZES", "0 1 2 255 256 257 65535 65536 65537 70000 1000000").split()
]
HOLDS, BROKEN, UNCHECKED = 0, 1, 2


@pytest.fixture(scope="module", params=SIZES)
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, int]]:
    size = request.param
    directory = write_log(tmp_path_factory.mktemp(f"log{size}"), log_files(recorded(size)))
    yield directory, size
    rmtree(directory)  # a million entries are 700 MB


def heads_of(entries: Iterable[bytes], sizes: set[int]) -> Iterator[tuple[int, bytes]]:
    """Yield the checkpoints that a log had at these sizes."""
    edge = Edge()
    for entry in chain([None], entries):
        if entry is not None:
            edge.append(leaf_hash(entry))
        if edge.size in sizes:
            yield edge.size, sign_checkpoint(Checkpoint(ORIGIN, edge.size, edge.root()), [KEY])


def test_a_log_holds_for_both(foreign: Foreign, place: tuple[Path, int]) -> None:
    directory, size = place
    code, answer = foreign.ask("verify", directory)
    assert (code, answer["verdict"], answer["size"]) == (HOLDS, "holds", size), answer
    head, _ = read_head(FileLog(directory), (KEY.verifier,))
    ours = verify_log(FileLog(directory), head)
    assert answer.get("entries", 0) == len(ours.entries) == size
    assert answer.get("tiles", 0) == ours.tiles
    assert answer["root"] == base64.b64encode(head.root).decode()


def test_proofs_are_the_same_and_hold_for_both(foreign: Foreign, place: tuple[Path, int], tmp_path: Path) -> None:
    directory, size = place
    read = FileLog(directory)
    for index in sorted({0, 1, 255, 256, size // 3, 65_535, 65_536, size - 1} & set(range(size))):
        proof, entry = prove(read, index, extra=index % 2 == 1)
        code, answer = foreign.ask("prove", directory, index)
        assert code == HOLDS
        assert answer.get("hashes", []) == [base64.b64encode(one).decode() for one in proof.hashes]
        (tmp_path / "proof").write_bytes(proof.encode())
        (tmp_path / "entry").write_bytes(entry)
        assert foreign.ask("check", tmp_path / "proof", tmp_path / "entry")[0] == HOLDS
        (tmp_path / "entry").write_bytes(entry + b" ")
        assert foreign.ask("check", tmp_path / "proof", tmp_path / "entry")[0] == BROKEN


def test_older_heads_are_found_in_it(foreign: Foreign, place: tuple[Path, int], tmp_path: Path) -> None:
    directory, size = place
    hashes = hashes_from(lambda tile: tile_content(FileLog(directory), tile), size)
    sizes = {0, 1, 2, 255, 256, 257, size // 2, 65_536, size} & set(range(size + 1))
    for old, note in heads_of(recorded(size), sizes):
        (tmp_path / "old").write_bytes(note)
        code, answer = foreign.ask("consistency", tmp_path / "old", directory)
        assert code == HOLDS, answer
        shown = [base64.b64encode(one).decode() for one in (consistency_proof(old, size, hashes) if old else [])]
        assert answer.get("hashes", []) == shown


def test_what_is_no_older_head_of_it_is_refused(foreign: Foreign, place: tuple[Path, int], tmp_path: Path) -> None:
    directory, size = place
    one = next(recorded(1, size))
    longer = sign_checkpoint(Checkpoint(ORIGIN, size + 1, leaf_hash(one)), [KEY])
    others = [note for _, note in heads_of([*recorded(min(size, 700) // 2), one], {min(size, 700) // 2 + 1})]
    for note in (longer, *others):
        (tmp_path / "old").write_bytes(note)
        assert foreign.ask("consistency", tmp_path / "old", directory)[0] == BROKEN


def test_every_change_is_found_by_both(foreign: Foreign, tmp_path: Path) -> None:
    logs: list[Log] = [log(size) for size in (1, 2, 255, 256, 257, 600)]
    for case in drawn(logs, ROUNDS, SEED):
        directory = write_log(tmp_path / "log", case.files.items())
        code, answer = foreign.ask("verify", directory)
        if case.kept is not None:
            assert code == HOLDS, "only the head that was kept tells"
            (tmp_path / "kept").write_bytes(case.kept)
            code, answer = foreign.ask("consistency", tmp_path / "kept", directory)
        assert fault_of(case) is not None, (case.name, SEED)
        # Of entries Go knows no form: a twin in another spelling is for ours alone.
        assert (code == HOLDS) == case.form, (case.name, answer, SEED)
        if case.index is not None and "index" in answer and case.kept is None:
            assert answer["index"] <= case.index < answer["index"] + 16 * 256, (case.name, answer, SEED)
        rmtree(directory)


async def test_the_log_of_a_server_holds(foreign: Foreign, world: World) -> None:
    for _ in range(3):
        await world.approve(await world.ask())
    services = world.services
    size = (await services.store.read(lambda tx: tx.entries.head())).next
    await services.publishing.integrator.covered(size)
    await services.publishing.publisher.publish()
    asked = Foreign(foreign.program, (str(services.publishing.key),))
    code, answer = asked.ask("verify", services.publishing.files.root)
    assert (code, answer["entries"] >= size) == (HOLDS, True), answer


def test_another_key_is_not_taken(foreign: Foreign, tmp_path: Path) -> None:
    directory = write_log(tmp_path, log_of(recorded(3), key=OTHER_KEY).items())
    assert foreign.ask("verify", directory)[0] == BROKEN
    assert Foreign(foreign.program, (str(OTHER_KEY.verifier),)).ask("verify", directory)[0] == HOLDS


def test_what_is_missing_cannot_be_checked(foreign: Foreign, tmp_path: Path) -> None:
    directory = write_log(tmp_path, log_of(recorded(300)).items())
    (directory / "tile/entries/000").unlink()
    assert foreign.ask("verify", directory)[0] == UNCHECKED


@pytest.mark.skipif(folder() is None, reason=ABSENT)
@pytest.mark.parametrize("kind", ["inclusion", "consistency"])
def test_published_vectors_get_the_same_verdicts(foreign: Foreign, kind: str) -> None:
    named = list(vectors(kind))
    for (name, one), error in zip(named, foreign.verdicts(one for _, one in named), strict=True):
        assert (error is not None) == one["wantErr"], (name, error)
