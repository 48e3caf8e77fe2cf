"""A proof that one entry is in the log, in a file of its own: its place, the hashes to the root, and the signed head.

Source: C2SP tlog-proof.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from loglease.audit.checkpoint import Checkpoint, open_checkpoint
from loglease.audit.merkle import HASH_BYTES, ProofInvalid, check_inclusion, leaf_hash
from loglease.audit.note import SignedNote, VerifierKey

SUFFIX: Final = ".tlog-proof"

_FIRST: Final = "c2sp.org/tlog-proof@v1"
_MAX_HASHES: Final = 63
_MAX_BYTES: Final = 1 << 20
_INDEX: Final = re.compile(r"index (0|[1-9][0-9]{0,18})")


@dataclass(frozen=True, slots=True)
class InclusionProof:
    """What shows that an entry is in a log.

    Attributes:
        hashes: from the entry's neighbour up.
        checkpoint: the signed note, byte for byte.
        extra: whatever its maker added; nothing vouches for it.
    """

    index: int
    hashes: tuple[bytes, ...]
    checkpoint: bytes
    extra: bytes | None = None

    @classmethod
    def parse(cls, content: bytes) -> InclusionProof:
        """Read a proof; nothing in it is checked.

        Raises:
            ProofInvalid: another form.
        """
        head, blank, checkpoint = content.partition(b"\n\n")
        if not blank or len(content) > _MAX_BYTES:
            raise ProofInvalid("A proof has a head, an empty line and a checkpoint.")
        try:
            lines = head.decode("ascii").split("\n")
        except UnicodeDecodeError as error:
            raise ProofInvalid("The head of a proof is ASCII.") from error
        if lines.pop(0) != _FIRST:
            raise ProofInvalid(f"A proof starts with the line {_FIRST}.")
        extra = _decoded(lines.pop(0).removeprefix("extra ")) if lines and lines[0].startswith("extra ") else None
        match = _INDEX.fullmatch(lines.pop(0)) if lines else None
        hashes = tuple(_decoded(line) for line in lines)
        if match is None or len(hashes) > _MAX_HASHES or any(len(one) != HASH_BYTES for one in hashes):
            raise ProofInvalid("A proof has a line with an index, and then at most 63 hashes.")
        return cls(int(match[1]), hashes, checkpoint, extra)

    def encode(self) -> bytes:
        """Return the proof's bytes."""
        lines = [_FIRST]
        if self.extra is not None:
            lines.append(f"extra {base64.b64encode(self.extra).decode()}")
        lines += [f"index {self.index}", *(base64.b64encode(one).decode() for one in self.hashes), ""]
        return "\n".join(lines).encode() + b"\n" + self.checkpoint

    def lead(self, content: bytes) -> Checkpoint:
        """Check that the proof leads from an entry with these bytes to the root in its own head; return that head.

        Who signed the head is not looked at.

        Raises:
            NoteInvalid: it has no head.
            ProofInvalid: the entry is another one, or not in the log.
        """
        checkpoint = Checkpoint.parse(SignedNote.parse(self.checkpoint).text)
        check_inclusion(leaf_hash(content), self.index, checkpoint.size, checkpoint.root, self.hashes)
        return checkpoint

    def check(self, content: bytes, keys: Iterable[VerifierKey]) -> Checkpoint:
        """Check that an entry with these bytes is in the log, and return the head that this was checked against.

        Raises:
            NoteInvalid: none of the keys has signed the head.
            ProofInvalid: the entry is another one, or not in the log.
        """
        checkpoint = open_checkpoint(self.checkpoint, keys)
        check_inclusion(leaf_hash(content), self.index, checkpoint.size, checkpoint.root, self.hashes)
        return checkpoint


def _decoded(text: str) -> bytes:
    try:
        content = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ProofInvalid(f"{text[:80]!r} in a proof is no base64.") from error
    if base64.b64encode(content).decode() != text:
        raise ProofInvalid(f"{text[:80]!r} in a proof is another spelling of its bytes.")
    return content
