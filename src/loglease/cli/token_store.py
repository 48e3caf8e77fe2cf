"""Where the tokens of a sign-in are kept: the system's keyring where one works, else a file with mode 0600."""

from __future__ import annotations

import fcntl
import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from loglease.cli.secret_files import read_secret, write_secret

_SERVICE: Final = "loglease"
_WORKING_PRIORITY: Final = 1


@dataclass(frozen=True, slots=True)
class Tokens:
    """The two tokens of one sign-in; neither is ever printed."""

    access: str
    refresh: str

    def __repr__(self) -> str:
        return "Tokens(…)"


class TokenStore:
    """The tokens of one context on one server. A file that is there is looked at first: it costs no keyring."""

    def __init__(self, *, state_dir: Path, context: str, server: str) -> None:
        self._key = f"{context}@{server}"
        self._path = state_dir / f"{hashlib.sha256(self._key.encode()).hexdigest()[:16]}.tokens.json"

    def read(self) -> Tokens | None:
        """Return the stored tokens, or None.

        Raises:
            UnsafeFile: the file can be read by others.
        """
        text = read_secret(self._path)
        if text is None:
            text = _from_keyring(self._key)
        return None if text is None else _tokens_of(text)

    def write(self, tokens: Tokens) -> None:
        """Keep these tokens instead of any before."""
        text = json.dumps({"key": self._key, "access": tokens.access, "refresh": tokens.refresh})
        if _into_keyring(self._key, text):
            self._path.unlink(missing_ok=True)
        else:
            write_secret(self._path, text)

    def forget(self) -> None:
        """Delete the tokens wherever they are."""
        self._path.unlink(missing_ok=True)
        _out_of_keyring(self._key)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other commands from refreshing meanwhile: a refresh token that is used twice ends the sign-in."""
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self._path.with_suffix(".lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


def _tokens_of(text: str) -> Tokens | None:
    try:
        found = json.loads(text)
        return Tokens(str(found["access"]), str(found["refresh"]))
    except (ValueError, KeyError, TypeError):
        return None


def _keyring() -> Any | None:
    """Return a keyring that works, or None. Imported here: most calls never need it."""
    import keyring  # noqa: PLC0415 - slow to import
    from keyring.errors import KeyringError  # noqa: PLC0415 - slow to import

    try:
        backend = keyring.get_keyring()
        works = backend.priority >= _WORKING_PRIORITY
    except (KeyringError, RuntimeError):
        return None
    return backend if works else None


def _from_keyring(key: str) -> str | None:
    backend = _keyring()
    if backend is None:
        return None
    from keyring.errors import KeyringError  # noqa: PLC0415 - loaded above

    try:
        found: str | None = backend.get_password(_SERVICE, key)
    except KeyringError:
        return None
    return found


def _into_keyring(key: str, text: str) -> bool:
    backend = _keyring()
    if backend is None:
        return False
    from keyring.errors import KeyringError  # noqa: PLC0415 - loaded above

    try:
        backend.set_password(_SERVICE, key, text)
    except KeyringError:
        return False
    return True


def _out_of_keyring(key: str) -> None:
    backend = _keyring()
    if backend is None:
        return
    from keyring.errors import KeyringError  # noqa: PLC0415 - loaded above

    try:
        backend.delete_password(_SERVICE, key)
    except KeyringError:
        return
