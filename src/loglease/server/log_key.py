"""The key that signs the heads of the audit log, and the log's name, which is also the key's.

The key is in a file of its own, never in the database, its backups or an entry. Both are made at the first start; later
starts demand that they still belong together, since a log that goes on under another key is another log.
"""

from __future__ import annotations

import base64
import os
from pathlib import Path
from typing import Final

from loglease.access.commitments import Random
from loglease.audit.note import ED25519, NoteInvalid, SigningKey
from loglease.server.settings import SettingsInvalid
from loglease.store.durability import flush

LOG_KEY: Final = "log.key"

_SEED_BYTES: Final = 32
_DRAWN: Final = 10
_MODE: Final = 0o600
_OTHERS: Final = 0o077
_FRESH: Final = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW


def log_key(path: Path, *, wanted: str | None, known: str | None, random: Random) -> SigningKey:
    """Return the log's key; a new log gets one.

    Args:
        wanted: the origin of the settings, if they name one.
        known: the origin that the log in the database has; None for a new log.

    Raises:
        SettingsInvalid: the file is missing, open to others or no key, or the name of the log is another one.
    """
    if known is not None and wanted is not None and wanted != known:
        raise SettingsInvalid(
            f"The audit log in this database is {known}, and the settings call it {wanted}. Its name never changes.",
            next_step=f'Set audit.origin = "{known}", or leave it out.',
        )
    try:
        key = _read(path)
    except FileNotFoundError:
        if known is not None:
            raise SettingsInvalid(
                f"{path} is missing, the key of the audit log {known}.",
                next_step=f"Put {path.name} back from where you keep it. Nobody can sign for this log without it.",
            ) from None
        key = SigningKey(wanted or _drawn(random), random(_SEED_BYTES))
        _write(path, key)
        return key
    name = key.verifier.name
    expected = known or wanted or name
    if name != expected:
        raise SettingsInvalid(
            f"{path} is the key of {name}, and this audit log is {expected}.",
            next_step=f"Put the key of {expected} there, or start with the database that belongs to this key.",
        )
    return key


def _read(path: Path) -> SigningKey:
    mode = path.stat().st_mode
    if mode & _OTHERS:
        raise SettingsInvalid(f"{path} is open to others.", next_step=f"chmod 600 {path}")
    try:
        key = SigningKey.parse(path.read_text(encoding="ascii").strip())
    except (NoteInvalid, UnicodeDecodeError) as error:
        text = error.message if isinstance(error, NoteInvalid) else "It is not text."
        raise SettingsInvalid(f"{path} is no key. {text}", next_step="Put it back from where you keep it.") from None
    if key.verifier.kind != ED25519:
        raise SettingsInvalid(f"{path} is the key of a witness, not of a log.", next_step="Put the log's key there.")
    return key


def _drawn(random: Random) -> str:
    name = base64.b32encode(random(_DRAWN)).decode().lower()[:_DRAWN]
    return f"loglease.local/{name}/1"


def _write(path: Path, key: SigningKey) -> None:
    """Write a key where there is none, whole or not at all."""
    fresh = path.with_name(f"{path.name}.new")
    descriptor = os.open(fresh, _FRESH, _MODE)
    try:
        os.fchmod(descriptor, _MODE)
        os.write(descriptor, f"{key.text()}\n".encode())
        flush(descriptor, str(path))
    finally:
        os.close(descriptor)
    # Not a rename: a key that somebody else put there meanwhile stays.
    os.link(fresh, path)
    fresh.unlink()
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        flush(folder, str(path.parent))
    finally:
        os.close(folder)
