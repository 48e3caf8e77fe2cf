"""A report as a folder that can be handed over: its forms, its evidence with proofs, a guide, and a signature.

`SHA256SUMS` names every file with its digest, in the form that `sha256sum --check` reads. `SHA256SUMS.note` is a signed
note over the digest of that list, made by the key of the log. Its first line holds spaces, and the name of a log never
does, so nobody can take it for a checkpoint.
"""

from __future__ import annotations

import base64
import io
import re
import zipfile
from collections.abc import Mapping, Sequence
from typing import Final

from loglease.audit.note import NoteInvalid, Signer, VerifierKey, sign_note
from loglease.audit.proof import SUFFIX
from loglease.audit.report.documents import Report
from loglease.audit.report.guide import guide_of
from loglease.audit.report.pages import page_of
from loglease.audit.report.sheets import sheet_of, sheets_of
from loglease.model.digest import sha256_hex

MAX_ENTRIES: Final = 10_000
"""Most entries of evidence in a folder; who needs more takes an export of the log."""
MAX_BYTES: Final = 1 << 30

REPORT: Final = "report.json"
CHECKPOINT: Final = "checkpoint"
SUMS: Final = "SHA256SUMS"
NOTE: Final = "SHA256SUMS.note"
FIRST_LINE: Final = "LogLease report folder 1"

_PATH: Final = re.compile(r"(?:[a-z]+/)?[A-Za-z0-9][A-Za-z0-9_.-]{0,120}")
_SUM: Final = re.compile(r"(?P<digest>[0-9a-f]{64})  (?P<path>[^\n]+)\n")
# The head of a SubjectPublicKeyInfo with an Ed25519 key. Source: RFC 8410, section 4.
_SPKI: Final = bytes.fromhex("302a300506032b6570032100")
_WHEN: Final = (1980, 1, 1, 0, 0, 0)
_MODE: Final = 0o644 << 16


def entry_path(index: int) -> str:
    """Return where the exact bytes of an entry are."""
    return f"entries/{index}.json"


def proof_path(index: int) -> str:
    """Return where the proof of an entry is."""
    return f"proofs/{index}{SUFFIX}"


def folder_of(
    report: Report,
    content: bytes,
    *,
    entries: Mapping[int, bytes],
    proofs: Mapping[int, bytes],
    checkpoint: bytes,
    signers: Sequence[Signer],
) -> dict[str, bytes]:
    """Return the files of a folder by path.

    Args:
        content: the report's JSON, byte for byte as `report.made` names it.
        entries: the evidence; each has its proof.
        checkpoint: the signed note that the proofs lead to.
        signers: the log's key, then others of its name that sign as well.
    """
    key = signers[0].verifier
    files = {
        REPORT: content,
        "report.csv": sheets_of(report),
        "report.html": page_of(report),
        "log.vkey": f"{key}\n".encode(),
        "log.pem": pem_of(key),
        CHECKPOINT: checkpoint,
        **{f"tables/{one.layout.name}.csv": sheet_of(report, one) for one in report.result.found.tables},
        **{entry_path(index): one for index, one in entries.items()},
        **{proof_path(index): one for index, one in proofs.items()},
    }
    files["README.md"] = guide_of(report, content, key, list(entries)).encode()
    files[SUMS] = sums_of(files)
    files[NOTE] = sign_note(note_text(key.name, report.id, files[SUMS]), signers).encode()
    return files


def note_text(origin: str, report_id: str, sums: bytes) -> str:
    """Return what the log's key signs: whose log, which report, and the digest of the list of digests."""
    return f"{FIRST_LINE}\n{origin}\n{report_id}\n{SUMS} {sha256_hex(sums)}\n"


def sums_of(files: Mapping[str, bytes]) -> bytes:
    """Return digests by path, as `sha256sum` writes them."""
    return "".join(f"{sha256_hex(files[path])}  {path}\n" for path in sorted(files)).encode()


def sums_in(content: bytes) -> dict[str, str]:
    """Return digests by path.

    Raises:
        NoteInvalid: it is not such a list, or names a file outside of the folder, or one twice.
    """
    found: dict[str, str] = {}
    text = content.decode("ascii", errors="replace")
    for line in text.splitlines(keepends=True):
        match = _SUM.fullmatch(line)
        if match is None or not is_path(match["path"]) or match["path"] in found:
            raise NoteInvalid(f"{SUMS} has a line of another form: {line[:100]!r}.")
        found[match["path"]] = match["digest"]
    return found


def is_path(path: str) -> bool:
    """Say whether a path is one that a folder may have: a file, or one in a folder of the first level."""
    return _PATH.fullmatch(path) is not None


def pem_of(key: VerifierKey) -> bytes:
    """Return a public key in the form that other programs read."""
    encoded = base64.b64encode(_SPKI + key.public).decode()
    return f"-----BEGIN PUBLIC KEY-----\n{encoded}\n-----END PUBLIC KEY-----\n".encode()


def archive_of(files: Mapping[str, bytes]) -> bytes:
    """Return a folder as one ZIP file; equal files make equal bytes."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(files):
            info = zipfile.ZipInfo(path, _WHEN)
            info.external_attr = _MODE
            archive.writestr(info, files[path], zipfile.ZIP_DEFLATED)
    return out.getvalue()


def files_in(content: bytes) -> dict[str, bytes]:
    """Return the files of an archive.

    Raises:
        NoteInvalid: it is none of ours, holds a path that leads elsewhere, or would be too large.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            infos = archive.infolist()
            strange = [info.filename for info in infos if not is_path(info.filename)]
            if strange or sum(info.file_size for info in infos) > MAX_BYTES:
                raise NoteInvalid(f"The archive holds {strange[0][:80]!r}." if strange else "The archive is too large.")
            return {info.filename: archive.read(info) for info in infos}
    except (zipfile.BadZipFile, EOFError, ValueError, RuntimeError) as error:
        raise NoteInvalid("This is no archive of a report.") from error
