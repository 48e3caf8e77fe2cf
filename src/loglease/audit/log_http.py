"""A log behind a prefix of HTTP, as C2SP tlog-tiles serves one: its files by their path, each of a bounded size."""

from __future__ import annotations

import time
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any, Final

import httpx2

from loglease.audit.log_directory import LogUnreadable, most_bytes

TIMEOUT_S: Final = 30
MOST_S: Final = 600
_ATTEMPTS: Final = 3
_PLAIN: Final = "identity"
_AS_IT_IS: Final = {"Accept-Encoding": _PLAIN}


class HttpLog:
    """A log behind HTTP. It can be handed to another process, which then has connections of its own.

    Args:
        prefix: without the slash at its end; with what leads to it, such as a token, it is in no message.
        verify: as httpx2 takes it: True, or the path of a file with certificates.
        timeout_s: how long an answer, or its next piece, is waited for.
        most_s: how long one file may take as a whole, so that nobody is kept by a drop now and then.
    """

    def __init__(
        self, prefix: str, *, verify: bool | str = True, timeout_s: float = TIMEOUT_S, most_s: float = MOST_S
    ) -> None:
        self._prefix = prefix.rstrip("/")
        self._verify = verify
        self._timeout_s = timeout_s
        self._most_s = most_s
        self._client: httpx2.Client | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Leave the connections here."""
        return {**self.__dict__, "_client": None}

    def __call__(self, path: str) -> bytes | None:
        """Fetch a file; None if the server says that there is none.

        One that is too long is cut behind its first byte too many.

        Raises:
            LogUnreadable: there is no answer, or one that is no file.
        """
        most = most_bytes(path)
        for attempt in range(_ATTEMPTS):
            try:
                with self._opened().stream("GET", f"{self._prefix}/{path}", headers=_AS_IT_IS) as response:
                    if response.status_code in (HTTPStatus.NOT_FOUND, HTTPStatus.GONE):
                        return None
                    if response.status_code != HTTPStatus.OK:
                        raise LogUnreadable(
                            f"{self._prefix}/{path} was answered with status {response.status_code}.",
                            next_step="Check the address, and that you may read it.",
                        )
                    # Unpacking could make gigabytes of a few kilobytes before anybody has counted them.
                    packed = response.headers.get("Content-Encoding", _PLAIN)
                    if packed.lower() != _PLAIN:
                        raise LogUnreadable(
                            f"{self._prefix}/{path} was answered packed as {packed[:80]!r}, which was not asked for.",
                            next_step="Have the server send files as they are, or check a copy in a directory.",
                        )
                    return self._content(path, response.iter_raw(), most)
            except httpx2.HTTPError as error:
                if attempt + 1 == _ATTEMPTS:
                    raise LogUnreadable(
                        f"{self._prefix}/{path} cannot be fetched: {error or type(error).__name__}.",
                        next_step="Check the address and the network, and try again.",
                    ) from error
        raise LogUnreadable(f"{self._prefix}/{path} cannot be fetched.")

    def _content(self, path: str, pieces: Iterator[bytes], most: int) -> bytes:
        """Return what is sent, at most one byte more than there may be.

        Raises:
            LogUnreadable: it takes too long.
        """
        content, ends = b"", time.monotonic() + self._most_s
        for piece in pieces:
            content += piece
            if len(content) > most:
                break
            if time.monotonic() > ends:
                raise LogUnreadable(
                    f"{self._prefix}/{path} is not there after {self._most_s} seconds.",
                    next_step="Check the network, or check a copy in a directory.",
                )
        return content[: most + 1]

    def close(self) -> None:
        """Close all connections."""
        if self._client is not None:
            self._client.close()
            self._client = None

    def _opened(self) -> httpx2.Client:
        if self._client is None:
            self._client = httpx2.Client(timeout=self._timeout_s, verify=self._verify, follow_redirects=False)
        return self._client
