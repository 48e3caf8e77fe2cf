"""What a sink is, and the form in which it keeps heads."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Final, Protocol

from loglease.audit.checkpoint import Checkpoint, head_line
from loglease.audit.note import NoteInvalid, SignedNote
from loglease.model.errors import LogLeaseError
from loglease.model.instant import Instant

_HEAD: Final = "audit_head"
_NOTE: Final = "note"


class SinkFailed(LogLeaseError):
    """A sink did not take heads, or does not have those that it took before."""

    code = "audit_unavailable"


class Sink(Protocol):
    """Takes signed heads. Its methods block and are called from one thread at a time."""

    @property
    def kind(self) -> str:
        """What it is, for health."""

    @property
    def readable(self) -> bool:
        """Whether it can be asked for what it has."""

    def write(self, notes: Sequence[bytes], at: Instant) -> None:
        """Keep signed heads, in the order of their sizes, and return once they are kept.

        Raises:
            SinkFailed: perhaps none of them is kept, perhaps some; they are handed over again.
        """

    def newest(self) -> bytes | None:
        """Return the newest signed head that it has; None if it has none, or is not readable.

        Raises:
            SinkFailed: it cannot be read.
        """

    def close(self) -> None:
        """Let go of what is kept open."""


def checkpoint_of(note: bytes) -> Checkpoint:
    """Return what a signed head of this log says; its signatures are not checked.

    Raises:
        NoteInvalid: it is none.
    """
    return Checkpoint.parse(SignedNote.parse(note).text)


def record_of(note: bytes) -> bytes:
    """Return a signed head as one line of JSON, in ASCII, without its end.

    Raises:
        NoteInvalid: it is no head.
    """
    return json.dumps({_HEAD: head_line(checkpoint_of(note)), _NOTE: note.decode()}).encode()


def note_in(record: bytes) -> bytes:
    """Return the signed head in a line that `record_of` made.

    Raises:
        NoteInvalid: it is none.
    """
    try:
        note = str(json.loads(record)[_NOTE]).encode()
    except (ValueError, KeyError, TypeError) as error:
        raise NoteInvalid("This is no record of a head.") from error
    checkpoint_of(note)
    return note
