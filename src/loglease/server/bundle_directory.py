"""Reading the directory of a signed bundle: all that is in it, within bounds, and nothing that lies elsewhere."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Final

from loglease.policy.loading import MAX_BUNDLE_BYTES, MAX_FILES
from loglease.policy.manifest import MAX_MANIFEST_BYTES, NOT_REGULAR
from loglease.policy.problems import At, Problem, shown

MAX_DEPTH: Final = 16
_MAX_ENTRIES: Final = 2 * MAX_FILES
_DIRECTORY: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_FILE: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def read_directory(directory: Path) -> dict[str, bytes] | Problem:
    """Return every file below a directory by its path there, or the first thing that does not belong there.

    The directory itself may be a link, which is followed once: what is read is of one directory, even if the link is
    moved meanwhile. Inside, links, devices and the like are refused.

    Raises:
        OSError: it cannot be read.
    """
    # SECURITY: by descriptors and without following links, so that no name leads out of the directory, not even one
    # that is replaced between two looks at it. tests/server/test_bundle_directory.py
    descriptor = os.open(directory, _DIRECTORY)
    reading = _Reading()
    try:
        reading.directory(descriptor, "", MAX_DEPTH)
    except _Stopped as stopped:
        return stopped.problem
    finally:
        os.close(descriptor)
    return reading.found


class _Stopped(Exception):
    """Reading ends here; the problem says why."""

    def __init__(self, path: str, code: str, message: str, remedy: str) -> None:
        super().__init__(message)
        self.problem = Problem(at=At(shown(path, 200)[1:-1], 1, 1), code=code, message=message, help=remedy)


class _Reading:
    """One walk through a directory, with what is left of its bounds."""

    def __init__(self) -> None:
        self.found: dict[str, bytes] = {}
        self._entries = _MAX_ENTRIES
        self._bytes = MAX_BUNDLE_BYTES + MAX_MANIFEST_BYTES

    def directory(self, descriptor: int, prefix: str, depth: int) -> None:
        if depth == 0:
            raise _Stopped(prefix, "P108", "the directory is nested too deeply", f"{MAX_DEPTH} levels at most")
        with os.scandir(descriptor) as entries:
            for entry in entries:
                self._entries -= 1
                if self._entries < 0 or self._bytes < 0:
                    size = f"{MAX_FILES:,} files and {MAX_BUNDLE_BYTES >> 20} MiB at most"
                    raise _Stopped("bundle", "P108", "the bundle is too large", size)
                path = prefix + entry.name
                if entry.is_dir(follow_symlinks=False):
                    inner = os.open(entry.name, _DIRECTORY | os.O_NOFOLLOW, dir_fd=descriptor)
                    try:
                        self.directory(inner, f"{path}/", depth - 1)
                    finally:
                        os.close(inner)
                elif entry.is_file(follow_symlinks=False):
                    self.found[path] = self._content(entry.name, path, descriptor)
                else:
                    raise _no_file(path)

    def _content(self, name: str, path: str, directory: int) -> bytes:
        with os.fdopen(os.open(name, _FILE, dir_fd=directory), "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise _no_file(path)
            content = file.read(MAX_MANIFEST_BYTES + 1)
        if len(content) > MAX_MANIFEST_BYTES:
            raise _Stopped(path, "P108", "the file is too large", "1 MiB at most")
        self._bytes -= len(content)
        return content


def _no_file(path: str) -> _Stopped:
    return _Stopped(path, NOT_REGULAR, "this is neither a file nor a directory", "put the file itself there")
