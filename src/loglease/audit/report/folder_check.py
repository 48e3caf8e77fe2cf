"""Checking a folder that somebody handed over, from its files and a public key alone."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson

from loglease.audit.checkpoint import Checkpoint, open_checkpoint
from loglease.audit.entry import entry_of
from loglease.audit.interface import EntryInvalid
from loglease.audit.merkle import ProofInvalid
from loglease.audit.note import ED25519, SignedNote, VerifierKey, signers_of
from loglease.audit.proof import InclusionProof
from loglease.audit.report.folder import CHECKPOINT, NOTE, REPORT, SUMS, entry_path, note_text, proof_path, sums_in
from loglease.model.digest import sha256_hex
from loglease.model.errors import LogLeaseError

_ENTRY: Final = re.compile(r"entries/(0|[1-9][0-9]{0,18})\.json")


class FolderInvalid(LogLeaseError):
    """A folder is not what a log signed: a file is another one, missing or too much, or a proof does not hold."""

    code = "log_invalid"


class FolderUnknown(LogLeaseError):
    """There is no signature of a key that was given, so nothing can be said of the folder."""

    code = "log_invalid"


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedFolder:
    """What a folder proved to be.

    Attributes:
        report: name of the report.
        id: its entry in the log, `report.made`.
        sha256: digest of the report's JSON, which that entry names.
        files: how many there are, `entries` how many of them are evidence.
        checkpoint: the signed head that the proofs lead to.
    """

    report: str
    id: str
    sha256: str
    files: int
    entries: int
    checkpoint: Checkpoint


def check_folder(files: Mapping[str, bytes], keys: Collection[VerifierKey]) -> CheckedFolder:
    """Check everything that the files of a folder can show.

    Args:
        files: content by path, all that lies in the folder.
        keys: those of the log, from a place that is trusted.

    Raises:
        FolderInvalid, NoteInvalid, ProofInvalid: something does not hold; the message says what.
        FolderUnknown: it cannot be told, since nobody signed it whose key was given.
    """
    signed = _signed(files, keys)
    digests = sums_in(files[SUMS])
    for path, digest in digests.items():
        if path not in files:
            raise FolderInvalid(f"{path} is missing.")
        if sha256_hex(files[path]) != digest:
            raise FolderInvalid(f"{path} is not the file that was signed.")
    extra = files.keys() - digests.keys() - {SUMS, NOTE}
    if extra:
        raise FolderInvalid(f"{min(extra)} is not part of what was signed.")
    document = _document(files)
    if signed != note_text(_origin(signed), str(document["id"]), files[SUMS]):
        raise FolderInvalid(f"{NOTE} speaks of another report or another list.")
    checkpoint = open_checkpoint(_file(files, CHECKPOINT), keys)
    if checkpoint.origin != _origin(signed):
        raise FolderInvalid(f"{CHECKPOINT} is of another log.")
    evidence = _evidence(files, document)
    for index in evidence:
        _check_entry(files, index, checkpoint, keys)
    return CheckedFolder(
        report=str(document["report"]),
        id=str(document["id"]),
        sha256=sha256_hex(files[REPORT]),
        files=len(files),
        entries=len(evidence),
        checkpoint=checkpoint,
    )


def _signed(files: Mapping[str, bytes], keys: Collection[VerifierKey]) -> str:
    """Return the text that the log's key signed."""
    if NOTE not in files:
        raise FolderUnknown(f"There is no {NOTE}, so this is no report's folder, or not all of it.")
    note = SignedNote.parse(files[NOTE])
    _file(files, SUMS)
    trusted = [key for key in keys if key.name == _origin(note.text) and key.kind == ED25519]
    if not signers_of(note, trusted):
        raise FolderUnknown(
            "None of the keys that were given has signed this folder.",
            next_step="Give the log's public key, as its operator published it: --key NAME+ID+KEY.",
        )
    return note.text


def _origin(text: str) -> str:
    lines = text.split("\n")
    return lines[1] if len(lines) > 1 else ""


def _document(files: Mapping[str, bytes]) -> dict[str, Any]:
    try:
        found = orjson.loads(_file(files, REPORT))
    except orjson.JSONDecodeError as error:
        raise FolderInvalid(f"{REPORT} is no JSON.") from error
    if not isinstance(found, dict) or not {"id", "report", "evidence"} <= found.keys():
        raise FolderInvalid(f"{REPORT} is no report.")
    return found


def _evidence(files: Mapping[str, bytes], document: Mapping[str, Any]) -> Sequence[int]:
    """Return the indices that a report names, if exactly their entries are here."""
    named = list(document["evidence"])
    here = sorted(int(match[1]) for match in map(_ENTRY.fullmatch, files) if match is not None)
    if named != here:
        raise FolderInvalid(f"{REPORT} names {len(named)} entries, and entries/ holds others: {len(here)} of them.")
    return here


def _check_entry(files: Mapping[str, bytes], index: int, checkpoint: Checkpoint, keys: Collection[VerifierKey]) -> None:
    content = files[entry_path(index)]
    proof = InclusionProof.parse(_file(files, proof_path(index)))
    if proof.index != index or proof.check(content, keys) != checkpoint:
        raise ProofInvalid(f"{proof_path(index)} is the proof of another entry, or leads to another head.")
    try:
        entry_of(content)
    except EntryInvalid as error:
        raise FolderInvalid(f"{entry_path(index)} is no entry: {error.message}") from error


def _file(files: Mapping[str, bytes], path: str) -> bytes:
    content = files.get(path)
    if content is None:
        raise FolderInvalid(f"{path} is missing.")
    return content
