"""The one room in which the log directory is written: every write, flush and rename of it happens here.

A file is written under another name, flushed, renamed, and then its directory is flushed, so that a reader sees the old
content or the new one, never a part. A directory is opened before anything in it changes and stays open until it is
flushed: a failure to write reaches only those descriptors that were open when it happened.

A flush that fails ends the process. The system may throw the unwritten pages away and call the next flush a success.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Final, NoReturn, Protocol

from loglease.model.errors import LogLeaseError

FlushFailed = Callable[[str, OSError], NoReturn]
"""What happens when a flush of the named file or directory failed: it ends the process and never returns."""

_FILE_MODE: Final = 0o600
_FOLDER_MODE: Final = 0o700
_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW
_FRESH: Final = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
_FRESH_PREFIX: Final = ".new-"


class LogUnwritable(LogLeaseError):
    """The log directory cannot be written; what was published before is whole."""

    code = "audit_unavailable"


class System(Protocol):
    """The calls that change the directory. Names are without a path, inside of a directory that is open."""

    def open_folder(self, name: str, folder: int | None) -> int:
        """Return a descriptor of a directory; with no `folder`, `name` is a path."""

    def make_folder(self, name: str, folder: int) -> None:
        """Make a directory."""

    def open_fresh(self, name: str, folder: int) -> int:
        """Return a descriptor of an empty file for writing, made if it is not there."""

    def write(self, descriptor: int, content: bytes) -> int:
        """Write as much as is taken at once, and return how much that was."""

    def flush(self, descriptor: int) -> None:
        """Return once what was written is on the disk, as far as the disk keeps its word."""

    def rename(self, name: str, to: str, folder: int) -> None:
        """Give a file another name, in place of the file that had it."""

    def remove_file(self, name: str, folder: int) -> None:
        """Remove a file."""

    def remove_folder(self, name: str, folder: int) -> None:
        """Remove an empty directory."""

    def close(self, descriptor: int) -> None:
        """Give a descriptor back."""


class OperatingSystem:
    """The calls of the machine."""

    def open_folder(self, name: str, folder: int | None) -> int:
        """Return a descriptor of a directory."""
        return os.open(name, _FOLDER, dir_fd=folder)

    def make_folder(self, name: str, folder: int) -> None:
        """Make a directory that only its owner may enter."""
        os.mkdir(name, _FOLDER_MODE, dir_fd=folder)

    def open_fresh(self, name: str, folder: int) -> int:
        """Return a descriptor of an empty file that only its owner may read or write."""
        return os.open(name, _FRESH, _FILE_MODE, dir_fd=folder)

    def write(self, descriptor: int, content: bytes) -> int:
        """Write as much as is taken at once."""
        return os.write(descriptor, content)

    def flush(self, descriptor: int) -> None:
        """Flush a file or a directory."""
        os.fsync(descriptor)

    def rename(self, name: str, to: str, folder: int) -> None:
        """Give a file another name."""
        os.rename(name, to, src_dir_fd=folder, dst_dir_fd=folder)

    def remove_file(self, name: str, folder: int) -> None:
        """Remove a file."""
        os.unlink(name, dir_fd=folder)

    def remove_folder(self, name: str, folder: int) -> None:
        """Remove an empty directory."""
        os.rmdir(name, dir_fd=folder)

    def close(self, descriptor: int) -> None:
        """Give a descriptor back."""
        os.close(descriptor)


class LogFiles:
    """A log directory that is written by one thread at a time; paths are relative to it, with ``/``.

    Args:
        root: the directory; its parent is there.
        flush_failed: see `FlushFailed`.
        system: the calls of the machine; tests give another one.
    """

    def __init__(self, root: Path, *, flush_failed: FlushFailed, system: System | None = None) -> None:
        self.root = root
        self._flush_failed = flush_failed
        self._system = system or OperatingSystem()

    def read(self, path: str) -> bytes | None:
        """Return the content of a file; None if it is not there.

        Raises:
            LogUnwritable: it cannot be read.
        """
        try:
            return (self.root / path).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise _unwritable(self.root / path, error) from error

    def size_of(self, path: str) -> int | None:
        """Return the number of bytes of a file; None if there is no file of that name."""
        try:
            found = (self.root / path).lstat()
        except OSError:
            return None
        return found.st_size if stat.S_ISREG(found.st_mode) else None

    def write(self, files: Mapping[str, bytes]) -> None:
        """Put files in their places and return once all of them are on the disk.

        Each is there whole or not at all; if this fails, some may be there.

        Raises:
            LogUnwritable: no room, no permission, a fault of the disk.
        """
        folders: dict[PurePosixPath, dict[str, bytes]] = {}
        for path, content in files.items():
            place = PurePosixPath(path)
            folders.setdefault(place.parent, {})[place.name] = content
        with self._translated(), self._root() as root:
            for folder, inside in folders.items():
                with self._folder(root, folder) as opened:
                    self._fill(opened, folder, inside)

    def remove(self, folder: str) -> None:
        """Remove a directory with the files in it; one that is not there is fine.

        Nothing is flushed: what a crash brings back is removed again at the next start.

        Raises:
            LogUnwritable: it cannot be removed.
        """
        place = PurePosixPath(folder)
        try:
            names = os.listdir(self.root / folder)  # noqa: PTH208 - names are all that is asked for
        except (FileNotFoundError, NotADirectoryError):
            return
        with self._translated(), self._opened(str(self.root / place.parent), None) as outside:
            with self._opened(place.name, outside) as inside:
                for name in names:
                    self._system.remove_file(name, inside)
            self._system.remove_folder(place.name, outside)

    def remove_files(self, paths: Iterable[str]) -> int:
        """Remove files, as far as they are there, and return how many were. Nothing is flushed, as in `remove`.

        Raises:
            LogUnwritable: one cannot be removed.
        """
        count = 0
        with self._translated():
            for place in map(PurePosixPath, paths):
                if self.size_of(str(place)) is None:
                    continue
                with self._opened(str(self.root / place.parent), None) as folder:
                    self._system.remove_file(place.name, folder)
                count += 1
        return count

    def folders(self, ending: str) -> list[str]:
        """Return the directories whose names end like this."""
        found = [
            PurePosixPath(folder, name).relative_to(self.root)
            for folder, names, _ in os.walk(self.root)
            for name in names
            if name.endswith(ending)
        ]
        return sorted(map(str, found))

    def remove_fresh(self) -> int:
        """Remove what a crash left behind in the middle of a write, and return how many files that were.

        Raises:
            LogUnwritable: they cannot be removed.
        """
        count = 0
        with self._translated():
            for folder, _, names in os.walk(self.root):
                left = [name for name in names if name.startswith(_FRESH_PREFIX)]
                if not left:
                    continue
                with self._opened(folder, None) as opened:
                    for name in left:
                        self._system.remove_file(name, opened)
                count += len(left)
        return count

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise _unwritable(self.root, error) from error

    @contextmanager
    def _opened(self, name: str, folder: int | None) -> Iterator[int]:
        descriptor = self._system.open_folder(name, folder)
        try:
            yield descriptor
        finally:
            self._system.close(descriptor)

    @contextmanager
    def _root(self) -> Iterator[int]:
        with self._opened(str(self.root.parent), None) as parent, self._inside(parent, self.root.name, ".") as root:
            yield root

    @contextmanager
    def _folder(self, root: int, path: PurePosixPath) -> Iterator[int]:
        """Open a directory step by step, and make what is missing of it durable on the way."""
        if not path.parts:
            yield root
            return
        with (
            self._folder(root, path.parent) as outside,
            self._inside(outside, path.name, str(path.parent)) as found,
        ):
            yield found

    @contextmanager
    def _inside(self, outside: int, name: str, shown: str) -> Iterator[int]:
        try:
            descriptor = self._system.open_folder(name, outside)
        except FileNotFoundError:
            self._system.make_folder(name, outside)
            descriptor = self._system.open_folder(name, outside)
            self._flush(outside, shown)
        try:
            yield descriptor
        finally:
            self._system.close(descriptor)

    def _fill(self, folder: int, path: PurePosixPath, files: Mapping[str, bytes]) -> None:
        for name, content in files.items():
            fresh = self._system.open_fresh(_FRESH_PREFIX + name, folder)
            try:
                self._write_all(fresh, content)
                self._flush(fresh, str(path / name))
            finally:
                self._system.close(fresh)
        for name in files:
            self._system.rename(_FRESH_PREFIX + name, name, folder)
        self._flush(folder, str(path))

    def _write_all(self, descriptor: int, content: bytes) -> None:
        while content:
            content = content[self._system.write(descriptor, content) :]

    def _flush(self, descriptor: int, shown: str) -> None:
        try:
            self._system.flush(descriptor)
        except OSError as error:
            self._flush_failed(str(self.root / shown), error)


def _unwritable(path: Path, error: OSError) -> LogUnwritable:
    return LogUnwritable(
        f"The log directory {path} cannot be used: {error.strerror or error}.",
        next_step="Look at its disk: free space, permissions, errors. A running server goes on by itself.",
    )
