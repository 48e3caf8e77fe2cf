"""The files of a server's log, one by one; a server that is away or asks to be called more slowly is waited for."""

from __future__ import annotations

import time
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

import httpx2

from loglease.audit.log_directory import most_bytes
from loglease.audit.merkle import HASH_BYTES
from loglease.audit.note import MAX_NOTE_BYTES
from loglease.audit.tiles import ENTRIES, WIDTH, Tile, TileInvalid, bundle_of, entries_of
from loglease.cli.client import API, Client
from loglease.cli.errors import LogForged, Refused, Unreachable
from loglease.cli.waiting import Patience

MIN_INDEX: Final = "loglease-min-index"
SILENCE_S: Final = 60.0
_PAUSE_S: Final = 0.5
_MAX_SERVED: Final = 64 << 20


class LogServer:
    """The log of one server."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def begin(self, since: int | None) -> tuple[bytes, int]:
        """Have the server record that its log is copied from this size on; return its signed head, and its first index.

        Raises:
            Refused: the server refused; also SignedOut, Unreachable.
        """
        query = {"format": "tlog-tiles", "since": since}
        note, headers = self._fetched("/audit/export", query, MAX_NOTE_BYTES)
        return note, int(headers.get(MIN_INDEX, "0"))

    def tile(self, tile: Tile, size: int) -> bytes:
        """Return a tile or a bundle of the log at `size`; one that is full by now is cut.

        Raises:
            LogForged: the log has none, although it has that size.
        """
        content = self.file(tile.path)
        if content is not None:
            return content
        whole = None if tile.is_full else self.file(tile._replace(width=WIDTH).path)
        if whole is None:
            raise LogForged(
                f"{tile.path} is missing in a log of {size:,} entries.", next_step="Export again, or tell an operator."
            )
        return _cut(whole, tile)

    def file(self, path: str) -> bytes | None:
        """Return a file of the log; None if it has none at this path.

        Raises:
            Refused: the server refused; also SignedOut, Unreachable.
        """
        most = _MAX_SERVED if path.startswith("served/") else most_bytes(path)
        try:
            return self._fetched(f"/audit/log/{path}", {}, most)[0]
        except Refused as error:
            if error.status == HTTPStatus.NOT_FOUND:
                return None
            raise

    def _fetched(self, path: str, query: Mapping[str, Any], most: int) -> tuple[bytes, Mapping[str, str]]:
        patience = Patience()
        while (found := patience.ask(lambda: self._once(path, query, most))) is None:
            time.sleep(_PAUSE_S)
        return found

    def _once(self, path: str, query: Mapping[str, Any], most: int) -> tuple[bytes, Mapping[str, str]]:
        content = b""
        try:
            with self._client.stream(
                API + path, query=query, headers={"Accept": "*/*"}, silence_s=SILENCE_S
            ) as response:
                for piece in response.iter_bytes():
                    content += piece
                    if len(content) > most:
                        raise LogForged(f"{path} is longer than such a file can be.")
                return content, response.headers
        except httpx2.TransportError as error:
            raise Unreachable(f"{path} cannot be fetched: {error or type(error).__name__}.") from error


def _cut(whole: bytes, tile: Tile) -> bytes:
    if tile.level != ENTRIES:
        return whole[: tile.width * HASH_BYTES]
    try:
        return bundle_of(entries_of(whole, WIDTH)[: tile.width])
    except TileInvalid as error:
        raise LogForged(f"{tile.path} has another form: {error.message}") from error
