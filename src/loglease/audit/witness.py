"""A witness: it remembers the last checkpoint of each log it knows, and cosigns only what continues that one.

What it compares with and what it writes are one step under a lock, and the answer leaves after the flush. So of two
heads that do not continue each other it has cosigned one at most, however requests overlap and wherever it is killed.
Source: C2SP tlog-witness.
"""

from __future__ import annotations

import fcntl
import io
import json
import os
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

from loglease.audit.checkpoint import Checkpoint
from loglease.audit.files import FlushFailed, LogFiles, LogUnwritable, System
from loglease.audit.merkle import ProofInvalid, check_consistency
from loglease.audit.note import (
    COSIGNATURE,
    ED25519,
    NoteInvalid,
    SignedNote,
    Signer,
    VerifierKey,
    cosign,
    signers_of,
)
from loglease.audit.witness_protocol import (
    SIZE_TYPE,
    Submission,
    SubmissionInvalid,
    head_of,
    lines_of,
    sha256_of_origin,
)
from loglease.model.errors import LogLeaseError

PLAIN: Final = "text/plain; charset=utf-8"
_VERSION: Final = 1


class WitnessStateInvalid(LogLeaseError):
    """What a witness remembers is not there, is not its own, or is in use by another process."""

    code = "log_invalid"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a witness answers over HTTP."""

    status: HTTPStatus
    body: bytes
    content_type: str = PLAIN


@dataclass(frozen=True, slots=True)
class Seen:
    """What a witness remembers of one log.

    Attributes:
        note: the checkpoint with the log's signatures and the cosignature.
        conflict: another checkpoint of the same size, signed by the log: its proof of a split view. The first one.
    """

    head: Checkpoint
    note: bytes
    conflict: bytes | None = None


class WitnessState:
    """The file of a witness. One process has it open at a time.

    Args:
        path: the file; beside it stands a lock, whose name has ``.lock`` added.
        flush_failed: what ends the process when it is not known what the disk holds.
        system: the calls of the machine; tests give another one.

    Raises:
        WitnessStateInvalid: there is no file, it is none of ours, or another process has it.
    """

    def __init__(self, path: Path, *, flush_failed: FlushFailed, system: System | None = None) -> None:
        self.path = path = path.absolute()
        self._files = LogFiles(path.parent.resolve(), flush_failed=flush_failed, system=system)
        self._lock = _locked(path)
        try:
            self._seen = self._read()
        except BaseException:
            self.close()
            raise

    @classmethod
    def make(cls, path: Path, *, flush_failed: FlushFailed) -> None:
        """Make the file of a witness that knows nothing yet.

        Raises:
            LogUnwritable: it cannot be written.
        """
        path = path.absolute()
        LogFiles(path.parent.resolve(), flush_failed=flush_failed).write({path.name: _encoded({})})

    def of(self, origin: str) -> Seen | None:
        """Return what is remembered of a log."""
        return self._seen.get(origin)

    def all(self) -> Mapping[str, Seen]:
        """Return all that is remembered, by origin."""
        return self._seen

    def keep(self, origin: str, seen: Seen) -> None:
        """Remember, and return once it is on the disk.

        Raises:
            LogUnwritable: it was not written, and nothing has changed.
        """
        after = {**self._seen, origin: seen}
        self._files.write({self.path.name: _encoded(after)})
        self._seen = after

    def close(self) -> None:
        """Let another process have the file."""
        self._lock.close()

    def _read(self) -> dict[str, Seen]:
        content = self._files.read(self.path.name)
        if content is None:
            raise WitnessStateInvalid(
                f"There is no file {self.path}.",
                next_step="Bring it back: a witness that has forgotten would cosign what contradicts it. To begin "
                "anew, make a new key, too: --new NAME.",
            )
        try:
            found = json.loads(content)
            if found["v"] != _VERSION:
                raise WitnessStateInvalid(f"{self.path} is of another version of this program.")
            return {origin: _seen(origin, one) for origin, one in found["logs"].items()}
        except (ValueError, KeyError, TypeError, AttributeError, NoteInvalid) as error:
            raise WitnessStateInvalid(
                f"{self.path} is not what a witness wrote.", next_step="Bring back the file as it was."
            ) from error


class Witness:
    """Answers what is asked of a witness. Its methods may be called from several threads.

    Args:
        key: of the kind `COSIGNATURE`.
        logs: the keys of the logs that it knows; a log may have several, all named by its origin.
        now_s: seconds since 1970.
        tell: is told what was refused and why, and what was cosigned, as fields for a log line.

    Raises:
        WitnessStateInvalid: the state has a checkpoint that neither this witness nor the log has signed.
    """

    def __init__(
        self,
        *,
        key: Signer,
        logs: Iterable[VerifierKey],
        state: WitnessState,
        now_s: Callable[[], int],
        tell: Callable[[Mapping[str, object]], None],
    ) -> None:
        if key.verifier.kind != COSIGNATURE:
            raise NoteInvalid(f"The key of {key.verifier.name} is not one of a witness, which has the type 0x04.")
        self._key = key
        self._logs: dict[str, list[VerifierKey]] = {}
        for log in logs:
            if log.kind != ED25519:
                raise NoteInvalid(f"The key of {log.name} is not one of a log, which has the type 0x01.")
            self._logs.setdefault(log.name, []).append(log)
        self._state = state
        self._now_s = now_s
        self._tell = tell
        self._step = threading.Lock()
        self._require_signed()

    @property
    def origins(self) -> list[str]:
        """The logs that it knows."""
        return list(self._logs)

    def newest(self, origin_sha256: str) -> Answer:
        """Return the last checkpoint that was cosigned of a log, by the hexadecimal SHA-256 of its origin."""
        for origin in self._logs:
            if sha256_of_origin(origin) == origin_sha256:
                seen = self._state.of(origin)
                if seen is not None:
                    return Answer(HTTPStatus.OK, seen.note)
        return _told(HTTPStatus.NOT_FOUND, "No checkpoint of this log is known here.")

    def add_checkpoint(self, body: bytes) -> Answer:
        """Cosign a checkpoint if it continues the one before it."""
        try:
            submission = Submission.parse(body)
            note = SignedNote.parse(submission.note)
            head = head_of(note.text)
        except (SubmissionInvalid, NoteInvalid) as error:
            return _told(HTTPStatus.BAD_REQUEST, error.message)
        keys = self._logs.get(head.origin)
        if keys is None:
            return _told(HTTPStatus.NOT_FOUND, "This witness does not know the log.")
        try:
            signed = signers_of(note, keys)
        except NoteInvalid:
            signed = []
        if not signed:
            return _told(HTTPStatus.FORBIDDEN, "No key of the log that is known here has signed this.")
        if submission.old > head.size:
            return _told(HTTPStatus.BAD_REQUEST, "The old size is above the size of the checkpoint.")
        lines = tuple(
            one for one in note.signatures if any((one.name, one.key_id) == (k.name, k.key_id) for k in signed)
        )
        with self._step:
            return self._continued(submission, head, SignedNote(note.text, lines))

    def _continued(self, submission: Submission, head: Checkpoint, note: SignedNote) -> Answer:
        """Compare with what is remembered, remember, and answer; the lock is held."""
        seen = self._state.of(head.origin)
        known = 0 if seen is None else seen.head.size
        if submission.old != known:
            return Answer(HTTPStatus.CONFLICT, f"{known}\n".encode(), SIZE_TYPE)
        if seen is not None and head.size == known and head.root != seen.head.root:
            return self._split(head, seen, note)
        try:
            _require_proof(seen, head, submission.proof)
        except ProofInvalid as error:
            self._tell({"refused": head.origin, "size": head.size, "known": known, "note": note.encode().decode()})
            return _told(HTTPStatus.UNPROCESSABLE_ENTITY, error.message)
        signature = cosign(note.text, self._key, at_s=self._now_s())
        if seen is None or head != seen.head:
            fresh = Seen(head, replace(note, signatures=(*note.signatures, signature)).encode())
            if seen is not None:
                fresh = replace(fresh, conflict=seen.conflict)
            unwritten = self._kept(head.origin, fresh)
            if unwritten is not None:
                return unwritten
        self._tell({"cosigned": head.origin, "size": head.size})
        return Answer(HTTPStatus.OK, lines_of((signature,)))

    def _split(self, head: Checkpoint, seen: Seen, note: SignedNote) -> Answer:
        """Refuse a second checkpoint of one size, and keep it: both together prove what the log did."""
        self._tell({"split_view": head.origin, "size": head.size, "note": note.encode().decode()})
        if seen.conflict is None:
            unwritten = self._kept(head.origin, replace(seen, conflict=note.encode()))
            if unwritten is not None:
                return unwritten
        return _told(HTTPStatus.CONFLICT, "Another checkpoint of this size was cosigned before: a split view.")

    def _kept(self, origin: str, seen: Seen) -> Answer | None:
        try:
            self._state.keep(origin, seen)
        except LogUnwritable as error:
            self._tell({"unwritten": origin, "why": error.message})
            return _told(HTTPStatus.SERVICE_UNAVAILABLE, "The witness cannot write what it has to remember.")
        return None

    def _require_signed(self) -> None:
        """Look whether what is remembered of the known logs was signed by them, or by this witness."""
        for origin, keys in self._logs.items():
            seen = self._state.of(origin)
            if seen is None:
                continue
            note = SignedNote.parse(seen.note)
            try:
                signed = signers_of(note, [*keys, self._key.verifier])
            except NoteInvalid:
                signed = []
            if not signed:
                raise WitnessStateInvalid(
                    f"{self._state.path} holds a head of {origin} that neither the log nor this witness has signed.",
                    next_step="Bring back the file as it was, or the key that belongs to it.",
                )


def _require_proof(seen: Seen | None, head: Checkpoint, proof: tuple[bytes, ...]) -> None:
    if seen is not None and seen.head.size > 0:
        check_consistency(seen.head.size, seen.head.root, head.size, head.root, proof)
    elif proof:
        raise ProofInvalid("Every log begins with the empty one: the proof has to be empty.")


def _told(status: HTTPStatus, text: str) -> Answer:
    return Answer(status, f"{text}\n".encode())


def _encoded(seen: Mapping[str, Seen]) -> bytes:
    logs: dict[str, dict[str, str]] = {}
    for origin, one in seen.items():
        logs[origin] = {"note": one.note.decode()}
        if one.conflict is not None:
            logs[origin]["conflict"] = one.conflict.decode()
    return json.dumps({"v": _VERSION, "logs": logs}, ensure_ascii=False, indent=1).encode() + b"\n"


def _seen(origin: str, found: Mapping[str, Any]) -> Seen:
    note = str(found["note"]).encode()
    head = head_of(SignedNote.parse(note).text)
    if head.origin != origin:
        raise NoteInvalid(f"The checkpoint of {origin} is one of {head.origin}.")
    conflict = found.get("conflict")
    return Seen(head, note, None if conflict is None else str(conflict).encode())


def _locked(path: Path) -> io.FileIO:
    """Return an open file that keeps other processes away from another one for as long as it is open."""
    place = path.with_name(f"{path.name}.lock")
    try:
        descriptor = os.open(place, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise WitnessStateInvalid(
            f"{place} cannot be opened: {error.strerror}.", next_step="Check that its directory is there and yours."
        ) from error
    held = io.FileIO(descriptor)
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        held.close()
        raise WitnessStateInvalid(
            f"Another process has {path} open.", next_step="Stop it first: two witnesses cannot share what they know."
        ) from error
    return held
