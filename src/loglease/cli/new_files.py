"""Files that a command makes: never in the place of one that is there, and whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final

from loglease.cli.errors import Usage

_MODE: Final = 0o600
_NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """Give a file to write that takes its name only once it is whole and on the disk; else nothing is left of it.

    Raises:
        Usage: there is a file of that name, or none can be made.
    """
    require_new(path)
    fresh = path.with_name(f".{path.name}.{os.getpid()}.part")
    with _translated(path):
        fresh.unlink(missing_ok=True)
        descriptor = os.open(fresh, _NEW, _MODE)
    try:
        with _translated(path):
            with os.fdopen(descriptor, "wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            os.link(fresh, path)  # unlike a rename, this never takes the place of a file that came meanwhile
    finally:
        fresh.unlink(missing_ok=True)
    with _translated(path):
        _flush_folder(path.parent)


@contextmanager
def growing_file(path: Path) -> Iterator[BinaryIO]:
    """Give a file to write that others may read while it grows.

    Raises:
        Usage: there is a file of that name, or none can be made.
    """
    with _translated(path), os.fdopen(os.open(path, _NEW, _MODE), "wb") as file:
        yield file


def require_new(path: Path) -> None:
    """Refuse a place where something is already: nothing is overwritten.

    Raises:
        Usage: there is something of that name.
    """
    if path.exists() or path.is_symlink():
        raise _taken(path)


def _taken(path: Path) -> Usage:
    return Usage(f"{path} is there already, and nothing is written over it.", next_step="Name another file.")


@contextmanager
def _translated(path: Path) -> Iterator[None]:
    try:
        yield
    except FileExistsError as error:
        raise _taken(path) from error
    except OSError as error:
        raise Usage(f"{path} cannot be written: {error.strerror}.", next_step="Check path, mode and space.") from error


def _flush_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
