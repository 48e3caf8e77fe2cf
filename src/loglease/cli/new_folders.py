"""Folders that are there whole or not at all."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from loglease.cli.errors import Usage


def write_folder(path: Path, files: Mapping[str, bytes]) -> None:
    """Write files into a new folder; it gets its name once all of them are on the disk.

    Args:
        files: content by path inside of the folder, with ``/``; whoever calls has checked that none leads outside.

    Raises:
        Usage: there is something of that name, or it cannot be written.
    """
    require_free(path)
    parent = path.parent
    try:
        fresh = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=parent))
    except OSError as error:
        raise _unwritable(parent, error) from error
    try:
        for name in sorted(files):
            place = fresh / name
            place.parent.mkdir(parents=True, exist_ok=True)
            with place.open("xb") as file:
                file.write(files[name])
                file.flush()
                os.fsync(file.fileno())
        for folder in {(fresh / name).parent for name in files} | {fresh}:
            _flush(folder)
        fresh.chmod(0o755)
        # Onto a folder that came meanwhile this fails, unless that one is empty.
        fresh.rename(path)
        _flush(parent)
    except OSError as error:
        shutil.rmtree(fresh, ignore_errors=True)
        raise _unwritable(path, error) from error
    except BaseException:
        shutil.rmtree(fresh, ignore_errors=True)
        raise


def require_free(path: Path) -> None:
    """Refuse a place where something is already: nothing is overwritten.

    Raises:
        Usage: there is something of that name.
    """
    if os.path.lexists(path):
        raise Usage(f"{path} is there already.", next_step="Name a folder that is not.")


def read_folder(path: Path) -> dict[str, bytes]:
    """Return all files of a folder by path, with ``/``.

    Raises:
        Usage: it is no folder, or something in it cannot be read or is neither file nor folder.
    """
    found: dict[str, bytes] = {}
    try:
        if not path.is_dir():
            raise Usage(f"{path} is no folder.", next_step="Name the folder that the report was written into.")
        for place in sorted(path.rglob("*")):
            if place.is_symlink() or not (place.is_file() or place.is_dir()):
                raise Usage(f"{place} is neither a file nor a folder.", next_step="Look at it; no report has such.")
            if place.is_file():
                found[place.relative_to(path).as_posix()] = place.read_bytes()
    except OSError as error:
        raise Usage(f"{path}: {error.strerror}.", next_step="Check path and mode.") from error
    return found


def _flush(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _unwritable(path: Path, error: OSError) -> Usage:
    return Usage(f"{path} cannot be written: {error.strerror}.", next_step="Check path, mode and free space.")
