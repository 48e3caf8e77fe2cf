"""The files of the log's key: read, made and replaced, each whole or not at all, and closed to others."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Final

from loglease.audit.note import ED25519, NoteInvalid, SigningKey
from loglease.server.settings import SettingsInvalid
from loglease.store.durability import flush

_MODE: Final = 0o600
_OTHERS: Final = 0o077
_FRESH: Final = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
_UNFINISHED: Final = ".new"


def old_path(path: Path) -> Path:
    """Return where the key is put that another one shall take the place of."""
    return path.with_name(f"{path.name}.old")


def read_key(path: Path) -> SigningKey | None:
    """Return the key in a file; None if there is no file.

    Raises:
        SettingsInvalid: others may read it, it cannot be read, or it is no key of a log.
    """
    try:
        mode = path.stat().st_mode
        if mode & _OTHERS:
            raise SettingsInvalid(f"{path} is open to others.", next_step=f"chmod 600 {path}")
        key = SigningKey.parse(path.read_text(encoding="ascii").strip())
    except FileNotFoundError:
        return None
    except OSError as error:
        raise SettingsInvalid(
            f"{path} cannot be read: {error.strerror}.", next_step="Run this as the account of the server."
        ) from error
    except (NoteInvalid, UnicodeDecodeError) as error:
        text = error.message if isinstance(error, NoteInvalid) else "It is not text."
        raise SettingsInvalid(f"{path} is no key. {text}", next_step="Put it back from where you keep it.") from None
    if key.verifier.kind != ED25519:
        raise SettingsInvalid(f"{path} is the key of a witness, not of a log.", next_step="Put the log's key there.")
    return key


def write_first(path: Path, key: SigningKey) -> None:
    """Write a key where there is none."""
    fresh = _written(path, key)
    # Not a rename: a key that somebody else put there meanwhile stays.
    os.link(fresh, path)
    fresh.unlink()
    _flush_folder(path)


def replace_key(path: Path, key: SigningKey, old: SigningKey) -> None:
    """Put another key into place, and the present one aside; after each step a server can start.

    Raises:
        SettingsInvalid: the files cannot be written; the present key is where it was.
    """
    if path.is_symlink():
        raise SettingsInvalid(
            f"{path} is a link, so the key is kept by somebody else.",
            next_step=f"Replace it there: the new key as {path.name}, the present one beside it as {path.name}.old.",
        )
    try:
        fresh = _written(path, key)
        _written(old_path(path), old).replace(old_path(path))
        _flush_folder(path)
        fresh.replace(path)
        _flush_folder(path)
    except OSError as error:
        raise SettingsInvalid(
            f"{path} cannot be replaced: {error.strerror}.",
            next_step=f"Let the account of the server write to {path.parent}, then repeat the command.",
        ) from error


def remove_old(path: Path) -> None:
    """Remove the key that was put aside, if there is one."""
    old_path(path).unlink(missing_ok=True)
    _flush_folder(path)


def move_aside(path: Path, to: Path) -> None:
    """Give a key another name, which no file has yet.

    Raises:
        OSError: it cannot be moved, or there is such a file.
    """
    if to.exists():
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(to))
    path.rename(to)
    _flush_folder(path)


def _written(path: Path, key: SigningKey) -> Path:
    """Write a key beside its place, durably, and return where."""
    fresh = path.with_name(f"{path.name}{_UNFINISHED}")
    descriptor = os.open(fresh, _FRESH, _MODE)
    try:
        os.fchmod(descriptor, _MODE)
        os.write(descriptor, f"{key.text()}\n".encode())
        flush(descriptor, str(path))
    finally:
        os.close(descriptor)
    return fresh


def _flush_folder(path: Path) -> None:
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        flush(folder, str(path.parent))
    finally:
        os.close(folder)
