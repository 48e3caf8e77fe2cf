"""Files with secrets: written with mode 0600 in one step, refused if others can read them."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from loglease.cli.errors import UnsafeFile

_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def read_secret(path: Path) -> str | None:
    """Return the content of a file that only its owner may touch; None if there is none.

    Raises:
        UnsafeFile: group or others may do something with it, or it cannot be read.
    """
    try:
        with path.open(encoding="utf-8") as file:
            mode = os.fstat(file.fileno()).st_mode
            if mode & _OTHERS:
                raise UnsafeFile(
                    f"{path} has mode {stat.S_IMODE(mode):04o}; others could read the secret in it.",
                    next_step=f"chmod 600 {path}",
                )
            return file.read()
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise UnsafeFile(f"{path} cannot be read.", next_step="Check that it is yours.") from error


def write_secret(path: Path, text: str) -> None:
    """Write a file with mode 0600 so that a reader sees the old content or the new one, never a part."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh = path.with_name(f"{path.name}.{os.getpid()}.new")
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    fresh.replace(path)
