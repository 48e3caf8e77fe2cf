"""A body of HTTP/1.1 that is compressed on its way, so that a cut finds as little of it under way as of any other.

What is handed over is charged, recorded and allowed as text, slice by slice, before it comes here. Each slice is
compressed and flushed by itself in the same step: nothing of it waits here for the next one, and none of the last one
leaves later than it was allowed to.
"""

from __future__ import annotations

import zlib
from collections import deque
from typing import Final

from loglease.gateway.channel import BEAT_NS, HttpChannel, Send
from loglease.gateway.connection import Connection
from loglease.gateway.settings import SLICE_BYTES
from loglease.model.session import CloseWhy

TEXT_UNDER_WAY: Final = 64 * 1024
"""Bytes of text that a client may not have acknowledged yet, however few they are compressed: one reservation."""

LOOK_NS: Final = 2_000_000
"""How often it is looked whether some of that has arrived; nothing tells when it has."""

_GZIP: Final = 16 + zlib.MAX_WBITS
_LEVEL: Final = 1
"""The fastest: it runs in the event loop."""


class GzipChannel(HttpChannel):
    """A chunked body of HTTP/1.1 in gzip. One that is cut has no end, as a chunked body has none then."""

    headers = (*HttpChannel.headers, (b"content-encoding", b"gzip"))

    def __init__(self, send: Send, connection: Connection, media_type: str) -> None:
        super().__init__(send, connection, media_type)
        self._gzip = zlib.compressobj(_LEVEL, zlib.DEFLATED, _GZIP)
        self._written = 0
        self._text = 0
        self._under_way: deque[tuple[int, int]] = deque()

    @property
    def is_writable(self) -> bool:
        """Whether bytes that are written now go on, and not too much text is under way."""
        # SECURITY: buffers hold compressed bytes, many times as much of text; tested in test_compressed.py.
        return super().is_writable and self._has_room

    @property
    def _has_room(self) -> bool:
        arrived = self._written - self.connection.queued_bytes
        while self._under_way and self._under_way[0][0] <= arrived:
            self._text -= self._under_way.popleft()[1]
        return self._text <= TEXT_UNDER_WAY - SLICE_BYTES

    def beat(self, boot_ns: int, *, between_records: bool) -> int:  # noqa: ARG002 - a body needs nothing
        """Do nothing, but look again soon if there is too much under way."""
        return boot_ns + (BEAT_NS if self._has_room else LOOK_NS)

    async def write(self, content: bytes) -> None:
        """Write a chunk from which all of the content can be read."""
        compressed = self._gzip.compress(content) + self._gzip.flush(zlib.Z_SYNC_FLUSH)
        self._written += len(compressed)
        self._text += len(content)
        self._under_way.append((self._written, len(content)))
        await super().write(compressed)

    async def end(self, content: bytes, why: CloseWhy, text: str) -> None:
        """Write the last chunk, with the end of what was compressed, and the empty one behind it."""
        await super().end(self._gzip.compress(content) + self._gzip.flush(zlib.Z_FINISH), why, text)
