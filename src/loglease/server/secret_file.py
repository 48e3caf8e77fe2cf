"""Keys of this deployment in files of their own, outside of the database: made at the first start, closed to others."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from loglease.access.commitments import Random
from loglease.redaction import KEY_BYTES
from loglease.server.settings import SettingsInvalid

PSEUDONYM_KEY: Final = "pseudonym.key"
PRIVATE_KEY: Final = "private.key"
_OTHERS: Final = 0o077


def secret_file(path: Path, random: Random) -> bytes:
    """Return the key in a file of ours, made at the first start.

    Raises:
        SettingsInvalid: others may read it, or it is no key.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(random(KEY_BYTES))
            file.flush()
            os.fsync(file.fileno())
    except FileExistsError:
        pass
    if path.stat().st_mode & _OTHERS:
        raise SettingsInvalid(f"{path} is open to others.", next_step=f"chmod 600 {path}")
    key = path.read_bytes()
    if len(key) < KEY_BYTES:
        raise SettingsInvalid(f"{path} is no key.", next_step="Restore it from a backup.")
    return key
