"""A file that only grows: on another disk, on a mounted server, with an append-only attribute, or on paper tape.

Before each write it is looked at: the same file, under the one name it had, no shorter than it was left. What is found
otherwise was done by somebody, and is told instead of written over.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from loglease.audit.note import NoteInvalid
from loglease.audit.sinks.interface import SinkFailed, note_in, record_of
from loglease.model.instant import Instant

_FLAGS: Final = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
_MODE: Final = 0o640
_TAIL_BYTES: Final = 1 << 21
"""More than two of the longest records."""


class AppendOnlyFile:
    """`Sink` in one file, a line of JSON for each head.

    Args:
        path: its directory is there.
    """

    kind = "file"
    readable = True

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None
        self._size = 0

    def write(self, notes: Sequence[bytes], at: Instant) -> None:  # noqa: ARG002 - heads have no time of their own here
        """Append lines and flush them."""
        try:
            self._append(b"".join(record_of(note) + b"\n" for note in notes))
        except OSError as error:
            # What a failed flush left in memory may be lost and look written, so it is written anew.
            self.close()
            raise SinkFailed(f"The file {self._path} cannot be written: {error.strerror or error}.") from error

    def newest(self) -> bytes | None:
        """Return the head in the last whole line."""
        try:
            with self._path.open("rb") as file:
                length = file.seek(0, os.SEEK_END)
                file.seek(max(0, length - _TAIL_BYTES))
                tail = file.read()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise SinkFailed(f"The file {self._path} cannot be read: {error.strerror or error}.") from error
        for line in reversed(tail.split(b"\n")):
            try:
                return note_in(line)
            except NoteInvalid:
                continue  # the end of a write that a crash cut short
        if tail:
            raise SinkFailed(
                f"The file {self._path} holds no head of this log.", next_step="Name a file of its own for the sink."
            )
        return None

    def close(self) -> None:
        """Let go of the file."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _append(self, content: bytes) -> None:
        descriptor = self._opened()
        self._require_same(descriptor)
        if self._size and not self._ends_a_line():
            content = b"\n" + content
        while content:
            written = os.write(descriptor, content)
            self._size += written
            content = content[written:]
        os.fsync(descriptor)

    def _opened(self) -> int:
        if self._descriptor is None:
            self._descriptor = os.open(self._path, _FLAGS, _MODE)
            self._size = os.fstat(self._descriptor).st_size
            folder = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        return self._descriptor

    def _require_same(self, descriptor: int) -> None:
        held = os.fstat(descriptor)
        try:
            there = os.lstat(self._path)
        except FileNotFoundError:
            raise self._changed("was removed or renamed") from None
        if (there.st_dev, there.st_ino) != (held.st_dev, held.st_ino):
            raise self._changed("was replaced by another one")
        if not stat.S_ISREG(held.st_mode) or held.st_nlink != 1:
            raise self._changed("has more than one name, or is no ordinary file")
        if held.st_size < self._size:
            raise self._changed("was cut short")
        if held.st_size > self._size:
            raise self._changed("is written by somebody else")

    def _changed(self, what: str) -> SinkFailed:
        return SinkFailed(
            f"The file {self._path} {what}.",
            next_step="Find out by whom. Put it back, or name another file under another name of a sink.",
        )

    def _ends_a_line(self) -> bool:
        with self._path.open("rb") as file:
            file.seek(self._size - 1)
            return file.read(1) == b"\n"
