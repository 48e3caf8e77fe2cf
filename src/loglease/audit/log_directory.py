"""A log in a directory: its files by their path, each of a bounded size; `log_http` has those behind HTTP."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import Final

from loglease.audit.note import MAX_NOTE_BYTES
from loglease.audit.tiles import CHECKPOINT, ENTRIES, WIDTH, tile_of
from loglease.model.errors import LogLeaseError

MAX_TILE_BYTES: Final = WIDTH * 32
MAX_BUNDLE_BYTES: Final = WIDTH * (2 + 0xFFFF)
_MORE: Final = 1 << 16
_NOT_WAITING: Final = getattr(os, "O_NONBLOCK", 0)


class LogUnreadable(LogLeaseError):
    """A file of a log is there, or may be, and cannot be read."""

    code = "log_unreadable"


class FileLog:
    """A log in a directory.

    Args:
        place: the directory.

    Raises:
        LogUnreadable: there is none.
    """

    def __init__(self, place: Path) -> None:
        if not place.is_dir():
            raise LogUnreadable(
                f"There is no directory {place}.", next_step="Name a directory with a checkpoint and tiles."
            )
        self._place = place

    def __call__(self, path: str) -> bytes | None:
        """Return a file; None if there is none. One that is too long is cut behind its first byte too many.

        Raises:
            LogUnreadable: the system refuses it.
        """
        most = most_bytes(path)
        try:
            descriptor = os.open(f"{self._place}/{path}", os.O_RDONLY | _NOT_WAITING)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise self._refused(path, error.strerror) from error
        try:
            return _content(descriptor, most)
        except OSError as error:
            raise self._refused(path, error.strerror) from error
        finally:
            os.close(descriptor)

    def _refused(self, path: str, why: str | None) -> LogUnreadable:
        return LogUnreadable(f"{self._place / path} cannot be read: {why}.")


def _content(descriptor: int, most: int) -> bytes:
    """Return what a file holds; a pipe, which nobody may ever write into, is none and is not waited for."""
    about = os.fstat(descriptor)
    if not stat.S_ISREG(about.st_mode):
        raise OSError(errno.EINVAL, "it is no file")
    # As much as there is and a byte more: room for the most that there may be would cost more than reading.
    content = os.read(descriptor, min(about.st_size, most) + 1)
    while content and len(content) <= most and (more := os.read(descriptor, min(_MORE, most + 1 - len(content)))):
        content += more
    return content


def most_bytes(path: str) -> int:
    """Return how large a file of a log can be.

    Raises:
        TileInvalid: a log has no such file.
    """
    if path == CHECKPOINT:
        return MAX_NOTE_BYTES
    return MAX_BUNDLE_BYTES if tile_of(path).level == ENTRIES else MAX_TILE_BYTES
