"""The writing side of a file source: rounds over all watches, frames, group commits.

A round takes one chunk of every file at a time, so a file that grows fast holds up no other. Small pieces of many files
share a frame; large pieces get one each, so that a frame spans little time.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable
from typing import Final

from loglease.model.clock import Clock
from loglease.sources.files.catalogue import FilePosition
from loglease.sources.files.configuration import FileSourceConfig
from loglease.sources.files.segments import Lines
from loglease.sources.files.storage import Storage
from loglease.sources.files.tail import Entries
from loglease.sources.files.tailing import WatchTails

LARGE_BYTES: Final = 64 << 10
COMMIT_BYTES: Final = 8 << 20
CHUNKS_A_ROUND: Final = 64
RETAIN_EVERY_NS: Final = 60 * 10**9


class Intake:
    """Reads what is new in all watched files and stores it; used by one thread at a time."""

    def __init__(
        self,
        configuration: FileSourceConfig,
        storage: Storage,
        clock: Clock,
        committed: Callable[[frozenset[int]], None],
    ) -> None:
        self._configuration = configuration
        self._storage = storage
        self._clock = clock
        self._committed = committed
        self._small: list[Entries] = []
        self._small_bytes = 0
        self._uncommitted = 0
        self._retained_ns: int | None = None
        self._watches = self._fresh()

    def _fresh(self) -> list[WatchTails]:
        return [WatchTails(watch, self._configuration, self._storage) for watch in self._configuration.watches]

    def close(self) -> None:
        """Close all files."""
        for watch in self._watches:
            watch.close()

    def reset(self) -> None:
        """Forget everything that is not committed, and read on from the committed positions."""
        self.close()
        self._small, self._small_bytes, self._uncommitted = [], 0, 0
        self._watches = self._fresh()

    def round(self) -> bool:
        """Store what is new; say whether there is more to read at once.

        Raises:
            OSError: the disk refused; call `reset` before the next round.
        """
        now_ns, arrived_ns = self._clock.boot_ns(), self._clock.now() * 1_000
        for watch in self._watches:
            watch.scan(self._take, now_ns=now_ns, arrived_ns=arrived_ns)
        more = bool(self._watches)
        for _ in range(CHUNKS_A_ROUND):
            if not more:
                break
            more = False
            for watch in self._watches:
                more |= watch.advance(self._take, now_ns=now_ns, arrived_ns=arrived_ns)
            if self._uncommitted >= COMMIT_BYTES:
                self._commit()
        self._commit()
        for watch in self._watches:
            watch.park()
        if self._retained_ns is None or now_ns - self._retained_ns >= RETAIN_EVERY_NS:
            self._retained_ns = now_ns
            self._storage.retain()
        return more or any(watch.rescan for watch in self._watches)

    def _take(self, pieces: Iterable[Entries]) -> None:
        for piece in pieces:
            size = sum(map(len, piece.text)) + len(piece.text)
            if size >= LARGE_BYTES:
                self._flush()
                self._append(Lines(piece.stream, piece.times, piece.text), [piece.position], size)
            elif piece.text:
                self._small.append(piece)
                self._small_bytes += size
                if self._small_bytes >= self._configuration.block_bytes:
                    self._flush()
            else:
                self._flush()
                self._storage.note(piece.position)

    def _flush(self) -> None:
        pieces = self._small
        if not pieces:
            return
        positions: dict[int, FilePosition] = {piece.position.id: piece.position for piece in pieces}
        numbers = {piece.stream for piece in pieces}
        stream: int | array[int] = pieces[0].stream
        if len(numbers) > 1:
            stream = array("I")
            for piece in pieces:
                stream.extend(array("I", [piece.stream]) * len(piece.text))
        times = array("q")
        text: list[bytes] = []
        for piece in pieces:
            times.extend(piece.times)
            text.extend(piece.text)
        size = self._small_bytes
        self._small, self._small_bytes = [], 0
        self._append(Lines(stream, times, text), positions.values(), size)

    def _append(self, lines: Lines, positions: Iterable[FilePosition], size: int) -> None:
        self._storage.append(lines, positions)
        self._uncommitted += size

    def _commit(self) -> None:
        self._flush()
        self._uncommitted = 0
        if streams := self._storage.commit():
            self._committed(streams)
