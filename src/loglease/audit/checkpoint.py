"""Checkpoints: which log, how many entries, and the root over them; signed by the log's key.

Source: C2SP tlog-checkpoint, without extension lines.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from loglease.audit.merkle import EMPTY_ROOT, HASH_BYTES
from loglease.audit.note import ED25519, NoteInvalid, SignedNote, Signer, VerifierKey, is_name, sign_note, signers_of

_HEAD: Final = "audit head: "
_SIZE: Final = re.compile(r"0|[1-9][0-9]{0,18}")
_GENERATION: Final = re.compile(r"[1-9][0-9]{0,8}")
MAX_SIZE: Final = 2**63 - 1
"""More entries than this no log has; C2SP tlog-checkpoint."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The head of a log.

    Attributes:
        origin: the log's name; also the name of its key.
        root: 32 bytes.
    """

    origin: str
    size: int
    root: bytes

    @classmethod
    def parse(cls, text: str) -> Checkpoint:
        """Read the text of a checkpoint.

        Raises:
            NoteInvalid: it is not three lines of origin, size and root.
        """
        parts = text.split("\n")
        if len(parts) != 4 or parts[3]:  # noqa: PLR2004 - three lines, and nothing behind the last
            raise NoteInvalid("A checkpoint is three lines: origin, size and root.")
        return _checkpoint(*parts[:3])

    def text(self) -> str:
        """Return what is signed."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"


def sign_checkpoint(checkpoint: Checkpoint, signers: Iterable[Signer]) -> bytes:
    """Return a checkpoint as a signed note."""
    return sign_note(checkpoint.text(), tuple(signers)).encode()


def open_checkpoint(content: bytes, keys: Iterable[VerifierKey]) -> Checkpoint:
    """Read a checkpoint that one of the log's keys vouches for.

    Args:
        keys: those of the log; a key that has another name than the checkpoint's origin counts for nothing.

    Raises:
        NoteInvalid: it is none, a signature does not hold, or none of the keys has signed it.
    """
    note = SignedNote.parse(content)
    checkpoint = Checkpoint.parse(note.text)
    trusted = [key for key in keys if key.name == checkpoint.origin and key.kind == ED25519]
    if not signers_of(note, trusted):
        raise NoteInvalid(
            f"No key that was given has signed this checkpoint of {checkpoint.origin}.",
            next_step="Give the log's public key, as its operator published it: --key NAME+ID+KEY.",
        )
    return checkpoint


def head_line(checkpoint: Checkpoint) -> str:
    """Return a head as one line that people can keep."""
    return f"{_HEAD}{checkpoint.origin} {checkpoint.size} {base64.b64encode(checkpoint.root).decode()}"


def head_of_line(line: str) -> Checkpoint:
    """Read a head that somebody kept.

    Raises:
        NoteInvalid: another form.
    """
    parts = line.strip().removeprefix(_HEAD).split(" ")
    if len(parts) != 3:  # noqa: PLR2004 - origin, size and root
        raise NoteInvalid(f"A kept head is '{_HEAD}ORIGIN SIZE ROOT', not {line[:80]!r}.")
    return _checkpoint(*parts)


def generation_of(origin: str) -> tuple[str, int] | None:
    """Return what all generations of a log are called, and which of them this is; None for a name without a number."""
    stem, _, number = origin.rpartition("/")
    return (stem, int(number)) if stem and _GENERATION.fullmatch(number) else None


def next_origin(origin: str) -> str | None:
    """Return the name of the generation behind this one; None for a name without a number."""
    found = generation_of(origin)
    return None if found is None else f"{found[0]}/{found[1] + 1}"


def is_later(origin: str, older: str) -> bool:
    """Say whether one name is that of a later generation of the same log than another."""
    found, before = generation_of(origin), generation_of(older)
    return found is not None and before is not None and found[0] == before[0] and found[1] > before[1]


def _checkpoint(origin: str, size: str, encoded: str) -> Checkpoint:
    try:
        root = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError) as error:
        raise NoteInvalid("The root of a checkpoint is no base64.") from error
    if not is_name(origin) or not _SIZE.fullmatch(size) or len(root) != HASH_BYTES:
        raise NoteInvalid("A checkpoint names an origin, a size and a root of 32 bytes.")
    if int(size) > MAX_SIZE:
        raise NoteInvalid(f"A log has at most {MAX_SIZE} entries, not {size}.")
    if base64.b64encode(root).decode() != encoded or (size == "0" and root != EMPTY_ROOT):
        raise NoteInvalid("The root of a checkpoint has another spelling, or is not that of an empty log.")
    return Checkpoint(origin, int(size), root)
