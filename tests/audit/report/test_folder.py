"""A folder is checked by our program and by tools that know nothing of us; whatever is changed in it is found."""

from __future__ import annotations

import hashlib
import io
import re
import shutil
import subprocess
import zipfile
from collections.abc import Sequence
from pathlib import Path

import orjson
import pytest
from tests.audit.report.logs import ORIGIN, Log

from loglease.audit.checkpoint import Checkpoint, sign_checkpoint
from loglease.audit.merkle import Node, inclusion_proof, subtree_root
from loglease.audit.note import NoteInvalid, SigningKey
from loglease.audit.proof import InclusionProof
from loglease.audit.report import folder as folder_module
from loglease.audit.report.documents import document_bytes, document_of
from loglease.audit.report.folder import NOTE, SUMS, archive_of, files_in, folder_of, is_path, sums_of
from loglease.audit.report.folder_check import FolderInvalid, FolderUnknown, check_folder
from loglease.model.errors import LogLeaseError

KEY = SigningKey(ORIGIN, b"\x07" * 32)
OTHER = SigningKey(ORIGIN, b"\x08" * 32)


def made(*signers: SigningKey) -> dict[str, bytes]:
    log = Log()
    log.started()
    log.granted("one")
    log.revoked("one")
    log.submitted("two")
    report = log.report("population")
    head = log.head()
    leaves = [leaf or b"" for _, _, leaf in log.rows]

    def hashes(nodes: Sequence[Node]) -> list[bytes]:
        return [subtree_root(leaves[node.number << node.level : (node.number + 1) << node.level]) for node in nodes]

    note = sign_checkpoint(Checkpoint(ORIGIN, head.size, head.root), [KEY, *signers])
    proofs = {
        index: InclusionProof(index, tuple(inclusion_proof(index, head.size, hashes)), note).encode()
        for index in report.result.evidence
    }
    return folder_of(
        report,
        document_bytes(document_of(report)),
        entries={index: log.rows[index][1] for index in report.result.evidence},
        proofs=proofs,
        checkpoint=note,
        signers=signers or (KEY,),
    )


def test_a_folder_holds_what_its_guide_says_and_is_what_was_signed() -> None:
    files = made()
    checked = check_folder(files, [KEY.verifier])
    assert (checked.report, checked.id, checked.entries, checked.files) == ("population", "ent_report", 8, len(files))
    assert checked.sha256 == hashlib.sha256(files["report.json"]).hexdigest()
    guide = files["README.md"].decode()
    for name in re.findall(r"^\| (`[^|]*`) \|", guide, re.MULTILINE):
        for path in re.findall(r"`([^`]*)`", name):
            assert any(one == path or one.startswith(path) for one in files), path
    assert checked.sha256 in guide
    assert "who was erased is called erased" in guide
    assert "No report claims that anybody complies" in guide
    assert str(KEY.verifier) in guide
    assert made() == files


@pytest.mark.parametrize("path", sorted(made()))
def test_every_changed_or_missing_file_is_found(path: str) -> None:
    files = made()
    files[path] = files[path][:-2] + bytes([files[path][-2] ^ 1]) + files[path][-1:]
    with pytest.raises(LogLeaseError):
        check_folder(files, [KEY.verifier])
    del files[path]
    with pytest.raises(LogLeaseError, match=r"missing|There is no"):
        check_folder(files, [KEY.verifier])


def test_a_file_too_much_and_another_key_are_found() -> None:
    with pytest.raises(FolderInvalid, match=r"extra\.txt"):
        check_folder({**made(), "extra.txt": b""}, [KEY.verifier])
    with pytest.raises(FolderUnknown, match="None of the keys"):
        check_folder(made(), [OTHER.verifier])
    with pytest.raises(FolderUnknown):
        check_folder(made(OTHER), [KEY.verifier])
    named = SigningKey("another.example/1", b"\x07" * 32)
    with pytest.raises(FolderUnknown):
        check_folder(made(), [named.verifier])


def test_for_a_time_a_folder_can_be_checked_with_the_key_before_as_well() -> None:
    files = made(KEY, OTHER)
    assert check_folder(files, [KEY.verifier]) == check_folder(files, [OTHER.verifier])
    assert files["log.vkey"].decode().strip() == str(KEY.verifier)


def resealed(files: dict[str, bytes]) -> dict[str, bytes]:
    """Sign a folder anew as the log's own key would: what is wrong inside has to show without the signature."""
    from loglease.audit.note import sign_note
    from loglease.audit.report.folder import note_text

    rest = {path: content for path, content in files.items() if path not in (SUMS, NOTE)}
    sums = sums_of(rest)
    return rest | {SUMS: sums, NOTE: sign_note(note_text(ORIGIN, "ent_report", sums), [KEY]).encode()}


def test_a_folder_that_the_key_signed_wrongly_is_found_all_the_same() -> None:
    files = made()
    assert check_folder(resealed(files), [KEY.verifier])
    swapped = {**files, "entries/1.json": files["entries/2.json"]}
    moved = {**files, "proofs/1.tlog-proof": files["proofs/2.tlog-proof"]}
    fewer = {path: content for path, content in files.items() if path != "entries/1.json"}
    unproven = {path: content for path, content in files.items() if path != "proofs/1.tlog-proof"}
    renamed = {**files, "report.json": files["report.json"].replace(b"ent_report", b"ent_reporT")}
    shrunk = {**files, "checkpoint": sign_checkpoint(Checkpoint(ORIGIN, 1, b"\1" * 32), [KEY])}
    pairs = {f"{folder}/{{}}.{end}": None for folder, end in (("entries", "json"), ("proofs", "tlog-proof"))}
    exchanged = (
        files
        | {one.format(1): files[one.format(2)] for one in pairs}
        | {one.format(2): files[one.format(1)] for one in pairs}
    )
    misnamed = {
        path.replace("entries/1.", "entries/99.").replace("proofs/1.", "proofs/99."): one for path, one in files.items()
    }
    document = orjson.loads(files["report.json"])
    document["evidence"][0] = 0
    unnamed = {**files, "report.json": document_bytes(document)}
    for broken in (swapped, moved, fewer, unproven, renamed, shrunk, exchanged, misnamed, unnamed):
        with pytest.raises(LogLeaseError):
            check_folder(resealed(broken), [KEY.verifier])


def test_a_folder_without_evidence_names_the_head_of_its_own_log() -> None:
    log = Log()
    log.started()
    report, head = log.report("segregation"), log.head()
    named = SigningKey("another.example/1", b"\x09" * 32)

    def folder(signer: SigningKey) -> dict[str, bytes]:
        name = signer.verifier.name
        note = sign_checkpoint(Checkpoint(name, head.size, head.root), [signer])
        content = document_bytes(document_of(report))
        return folder_of(report, content, entries={}, proofs={}, checkpoint=note, signers=[KEY])

    keys = [KEY.verifier, named.verifier]
    assert check_folder(folder(KEY), keys).entries == 0
    with pytest.raises(FolderInvalid, match="another log"):
        check_folder(folder(named), keys)


def written(files: dict[str, bytes], directory: Path) -> Path:
    for path, content in files.items():
        place = directory / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
    return directory


@pytest.mark.skipif(shutil.which("openssl") is None or shutil.which("sha256sum") is None, reason="standard tools")
def test_the_commands_of_the_guide_verify_it_without_us(tmp_path: Path) -> None:
    directory = written(made(), tmp_path)
    blocks = re.findall(r"```\n(.*?)```", (directory / "README.md").read_text(), re.DOTALL)
    commands = [block for block in blocks if "sha256sum" in block or "openssl" in block]
    assert len(commands) == 3

    def run(block: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(["sh", "-ec", block], cwd=directory, capture_output=True, text=True, check=False)

    sums, signature, key = map(run, commands)
    assert sums.returncode == 0, sums.stderr
    assert signature.returncode == 0, signature.stderr
    assert signature.stdout.strip().endswith("Signature Verified Successfully")
    one, other = key.stdout.splitlines()
    assert one == other
    (directory / "report.csv").write_bytes(b"=1+1")
    assert run(commands[0]).returncode != 0
    text = (directory / NOTE).read_text()
    (directory / NOTE).write_text(text.replace("ent_report", "ent_other"))
    assert run(commands[1]).returncode != 0


def test_an_archive_is_the_folder_and_equal_for_equal_folders() -> None:
    files = made()
    packed = archive_of(files)
    assert files_in(packed) == files
    assert archive_of(dict(reversed(list(files.items())))) == packed


@pytest.mark.parametrize(
    "path", ["../x", "/etc/passwd", "a/../b", "a/b/c", ".hidden", "a\\b", "", "tables/", "C:x", "entries/..", "x\ny"]
)
def test_an_archive_leads_nowhere_else(path: str) -> None:
    assert not is_path(path)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr(zipfile.ZipInfo(path), b"x")
    with pytest.raises(NoteInvalid):
        files_in(out.getvalue())


@pytest.mark.parametrize("content", [b"", b"PK", b"hello", archive_of({"a": b"x"})[:-5]])
def test_anything_else_is_no_archive(content: bytes) -> None:
    with pytest.raises(NoteInvalid):
        files_in(content)


def test_an_archive_that_would_fill_the_memory_is_not_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    packed = archive_of({"a": b"x" * 100_000})
    assert len(packed) < 1_000
    assert files_in(packed)
    monkeypatch.setattr(folder_module, "MAX_BYTES", 99_999)
    with pytest.raises(NoteInvalid, match="too large"):
        files_in(packed)


@pytest.mark.parametrize("line", ["", "0  a", f"{'0' * 64} a", f"{'0' * 64}  ../a", f"{'0' * 64}  a\n{'0' * 64}  a"])
def test_a_list_of_digests_has_one_form(line: str) -> None:
    from loglease.audit.report.folder import sums_in

    with pytest.raises(NoteInvalid):
        sums_in(f"{line}\n".encode())
    assert sums_in(sums_of({"a": b"1", "b": b"2"})).keys() == {"a", "b"}
