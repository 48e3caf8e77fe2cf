"""Files as they are met on disk: which there are, whether they may be read, what makes them the same file.

A path can be swapped at any time, so everything is decided on the opened descriptor.
"""

from __future__ import annotations

import glob
import gzip
import hashlib
import io
import os
import re
import stat
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

import re2
import zstandard

from loglease.model.labels import Labels, labels_of
from loglease.sources.files.configuration import Watch, quiet

HEAD_BYTES: Final = 1_024
PACKED_SUFFIXES: Final = (".gz", ".zst")
_DELETED: Final = re.compile(r" \(deleted\)$")


class PackedUnreadable(Exception):
    """A compressed file ends too early or is damaged."""


@dataclass(slots=True)
class Opened:
    """An open regular file under the root of its watch."""

    descriptor: int
    path: str
    device: int
    inode: int
    size: int
    changed_ns: int

    def close(self) -> None:
        """Close the descriptor."""
        os.close(self.descriptor)


def paths_of(watch: Watch) -> Iterator[str]:
    """Yield the paths that a watch names, in order of name."""
    for found in sorted(glob.iglob(watch.pattern, root_dir=watch.root, recursive=True)):  # noqa: PTH207 - Path.glob of 3.11 raises where a folder vanishes meanwhile
        yield str(watch.root / found)


def open_inside(path: str, root: Path) -> Opened | None:
    """Open a file for reading; None if it is gone, no regular file, or really lies outside `root`.

    SECURITY: links may point anywhere, so the descriptor is asked where it leads.
    Test: tests/sources/files/test_watch.py::test_a_link_that_leads_out_of_the_root_is_not_read.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError:
        return None
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode) or not _inside(descriptor, path, found, root):
        os.close(descriptor)
        return None
    return Opened(descriptor, path, found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)


def _inside(descriptor: int, path: str, found: os.stat_result, root: Path) -> bool:
    real_root = Path(os.path.realpath(root))
    try:
        real = str(Path(f"/proc/self/fd/{descriptor}").readlink())
    except OSError:  # no /proc: resolve the name, and see that it still leads to what is open
        real = os.path.realpath(path)
        try:
            there = Path(real).stat()
        except OSError:
            return False
        if (there.st_dev, there.st_ino) != (found.st_dev, found.st_ino):
            return False
    return Path(_DELETED.sub("", real)).is_relative_to(real_root)


def digest_of(head: bytes) -> str:
    """Return what a file's first bytes are recognised by."""
    return hashlib.blake2b(head[:HEAD_BYTES], digest_size=16).hexdigest()


class PathLabels:
    """The labels of a watch's files: configured ones, and named groups over the path below the root."""

    def __init__(self, watch: Watch) -> None:
        self._watch = watch
        self._pattern = re2.compile(watch.path_labels, quiet()) if watch.path_labels else None

    def labels(self, path: str) -> Labels | None:
        """Return the labels of a file, None if the pattern does not match its path or gives no label."""
        found = dict(self._watch.labels)
        if self._pattern is not None:
            match = self._pattern.fullmatch(os.path.relpath(path, self._watch.root))
            if match is None:
                return None
            found |= {name: value for name, value in match.groupdict().items() if value}
        return labels_of(found) or None


class Content(Protocol):
    """The bytes of a file from some offset on."""

    def read(self, size: int) -> bytes:
        """Return the next bytes, none at the end.

        Raises:
            PackedUnreadable: a compressed file cannot be unpacked further.
        """


class PlainContent:
    """A file as it is; it may grow."""

    def __init__(self, descriptor: int, offset: int) -> None:
        self._descriptor = descriptor
        self._offset = offset

    def read(self, size: int) -> bytes:
        """Return the next bytes, none at the present end."""
        data = os.pread(self._descriptor, size, self._offset)
        self._offset += len(data)
        return data


class PackedContent:
    """A gzip or zstd file, unpacked; `offset` counts unpacked bytes."""

    def __init__(self, descriptor: int, path: str, offset: int = 0) -> None:
        raw = os.fdopen(os.dup(descriptor), "rb")
        raw.seek(0)
        self._raw = raw
        self._stream: io.BufferedIOBase | zstandard.ZstdDecompressionReader
        if path.endswith(".gz"):
            self._stream = gzip.GzipFile(fileobj=raw, mode="rb")
        else:
            self._stream = zstandard.ZstdDecompressor().stream_reader(raw, read_across_frames=True)
        while offset > 0:
            skipped = len(self.read(min(offset, 1 << 20)))
            if not skipped:
                break
            offset -= skipped

    def read(self, size: int) -> bytes:
        """Return the next bytes, none at the end."""
        try:
            return self._stream.read(size)
        except (EOFError, OSError, zlib.error, zstandard.ZstdError) as error:
            raise PackedUnreadable from error

    def close(self) -> None:
        """Close the file."""
        self._stream.close()
        self._raw.close()


def is_packed(path: str) -> bool:
    """Say whether a file's name says that it is compressed."""
    return path.endswith(PACKED_SUFFIXES)


def head_of(opened: Opened) -> bytes:
    """Return a file's first 1 KiB, unpacked.

    Raises:
        PackedUnreadable: a compressed file cannot be unpacked that far.
    """
    if not is_packed(opened.path):
        return os.pread(opened.descriptor, HEAD_BYTES, 0)
    content = PackedContent(opened.descriptor, opened.path)
    try:
        head = b""
        while len(head) < HEAD_BYTES and (data := content.read(HEAD_BYTES - len(head))):
            head += data
        return head
    finally:
        content.close()
