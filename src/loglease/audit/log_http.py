"""A log behind a prefix of HTTP, as C2SP tlog-tiles serves one: its files by their path, each of a bounded size."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Final

import httpx2

from loglease.audit.log_directory import LogUnreadable, most_bytes

TIMEOUT_S: Final = 30
_ATTEMPTS: Final = 3


class HttpLog:
    """A log behind HTTP. It can be handed to another process, which then has connections of its own.

    Args:
        prefix: without the slash at its end; with what leads to it, such as a token, it is in no message.
        verify: as httpx2 takes it: True, or the path of a file with certificates.
    """

    def __init__(self, prefix: str, *, verify: bool | str = True, timeout_s: float = TIMEOUT_S) -> None:
        self._prefix = prefix.rstrip("/")
        self._verify = verify
        self._timeout_s = timeout_s
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
                with self._opened().stream("GET", f"{self._prefix}/{path}") as response:
                    if response.status_code in (HTTPStatus.NOT_FOUND, HTTPStatus.GONE):
                        return None
                    if response.status_code != HTTPStatus.OK:
                        raise LogUnreadable(
                            f"{self._prefix}/{path} was answered with status {response.status_code}.",
                            next_step="Check the address, and that you may read it.",
                        )
                    content = b""
                    for piece in response.iter_bytes():
                        content += piece
                        if len(content) > most:
                            break
                    return content[: most + 1]
            except httpx2.HTTPError as error:
                if attempt + 1 == _ATTEMPTS:
                    raise LogUnreadable(
                        f"{self._prefix}/{path} cannot be fetched: {error or type(error).__name__}.",
                        next_step="Check the address and the network, and try again.",
                    ) from error
        raise LogUnreadable(f"{self._prefix}/{path} cannot be fetched.")

    def close(self) -> None:
        """Close all connections."""
        if self._client is not None:
            self._client.close()
            self._client = None

    def _opened(self) -> httpx2.Client:
        if self._client is None:
            self._client = httpx2.Client(timeout=self._timeout_s, verify=self._verify, follow_redirects=False)
        return self._client
