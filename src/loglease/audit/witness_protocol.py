"""What is said between a log and a witness: a checkpoint with a proof, and the cosignature that answers it.

Source: C2SP tlog-witness, `add-checkpoint`.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass
from typing import Final

from loglease.audit.checkpoint import Checkpoint
from loglease.audit.merkle import HASH_BYTES
from loglease.audit.note import NoteInvalid, Signature, SignedNote, VerifierKey, signers_of
from loglease.model.errors import LogLeaseError

ADD: Final = "/add-checkpoint"
SIZE_TYPE: Final = "text/x.tlog.size"
"""The content type of an answer that names the size that a witness knows."""
MAX_SUBMISSION_BYTES: Final = 64 << 10
MAX_PROOF: Final = 63

_OLD: Final = re.compile(rb"old (0|[1-9][0-9]{0,18})")
_SIZE: Final = re.compile(rb"(0|[1-9][0-9]{0,18})\n")


class SubmissionInvalid(LogLeaseError):
    """What was sent to a witness, or what it answered, does not have its form."""

    code = "log_invalid"


@dataclass(frozen=True, slots=True)
class Submission:
    """What is sent to a witness.

    Attributes:
        old: the size of the last checkpoint that the witness has cosigned, as far as the sender knows.
        proof: that the checkpoint's tree begins with the tree of that size.
        note: the checkpoint with its signatures, byte for byte.
    """

    old: int
    proof: tuple[bytes, ...]
    note: bytes

    @classmethod
    def parse(cls, body: bytes) -> Submission:
        """Read a body; neither proof nor signatures are checked.

        Raises:
            SubmissionInvalid: another form, or too long.
        """
        if len(body) > MAX_SUBMISSION_BYTES:
            raise SubmissionInvalid(f"A submission has at most {MAX_SUBMISSION_BYTES:,} bytes.")
        head, blank, note = body.partition(b"\n\n")
        first, *lines = head.split(b"\n")
        match = _OLD.fullmatch(first)
        if match is None or not blank:
            raise SubmissionInvalid("A submission is a line 'old SIZE', hashes, an empty line and a checkpoint.")
        if len(lines) > MAX_PROOF:
            raise SubmissionInvalid(f"A proof has at most {MAX_PROOF} hashes.")
        return cls(int(match[1]), tuple(map(_hash, lines)), note)

    def encode(self) -> bytes:
        """Return the body."""
        lines = [f"old {self.old}", *(base64.b64encode(one).decode() for one in self.proof), "", ""]
        return "\n".join(lines).encode() + self.note


def head_of(text: str) -> Checkpoint:
    """Read the text of a checkpoint of any log: it may have extension lines, which a cosignature covers, too.

    Raises:
        NoteInvalid: the first three lines are no checkpoint, or an extension line is empty.
    """
    *lines, rest = text.split("\n")
    if rest or not all(lines):
        raise NoteInvalid("A checkpoint has no empty lines, and its last line is ended.")
    return Checkpoint.parse("".join(f"{line}\n" for line in lines[:3]))


def sha256_of_origin(origin: str) -> str:
    """Return the name under which a witness shows a log's checkpoint: 64 hexadecimal digits."""
    return hashlib.sha256(origin.encode()).hexdigest()


def size_in(body: bytes) -> int:
    """Read the size that a witness knows.

    Raises:
        SubmissionInvalid: it is none.
    """
    match = _SIZE.fullmatch(body)
    if match is None:
        raise SubmissionInvalid("A witness answered with something that is no size.")
    return int(match[1])


def lines_of(signatures: tuple[Signature, ...]) -> bytes:
    """Return signature lines as a witness answers them."""
    return SignedNote("\n", signatures).encode()[2:]


def cosignature_in(body: bytes, text: str, key: VerifierKey) -> Signature:
    """Return the cosignature of a checkpoint that a witness answered, after it was found to hold.

    Raises:
        NoteInvalid: there is none by this key, or it does not hold.
    """
    note = SignedNote.parse(text.encode() + b"\n" + body)
    if note.text != text or key not in signers_of(note, [key]):
        raise NoteInvalid(f"The answer has no cosignature of {key.name} ({key.key_id.hex()}).")
    return next(one for one in note.signatures if (one.name, one.key_id) == (key.name, key.key_id))


def _hash(line: bytes) -> bytes:
    try:
        found = base64.b64decode(line, validate=True)
    except (binascii.Error, ValueError) as error:
        raise SubmissionInvalid("A line of the proof is no base64.") from error
    if len(found) != HASH_BYTES or base64.b64encode(found) != line:
        raise SubmissionInvalid("A line of the proof is no hash.")
    return found
