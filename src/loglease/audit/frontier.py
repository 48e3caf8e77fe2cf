"""The tiles of a log that are not full yet: what a writer of tiles has to know of all that is written already."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final

from loglease.audit.merkle import root_of, subtree_root
from loglease.audit.tiles import ENTRIES, HEIGHT, WIDTH, Tile, bundle_of, entries_of, hashes_of

_MASK: Final = WIDTH - 1


class Frontier:
    """The open bundle and, of each level, the open tile; nothing of it depends on how the log grew.

    Attributes:
        size: how many entries the log has.
        full: content of the tiles and bundles that became full since they were last taken away.
    """

    def __init__(self, size: int, entries: Iterable[bytes], levels: Iterable[Iterable[bytes]]) -> None:
        self.size = size
        self.full: dict[Tile, bytes] = {}
        self._entries = list(entries)
        self._levels = [list(level) for level in levels]

    @classmethod
    def empty(cls) -> Frontier:
        """Return that of an empty log."""
        return cls(0, (), ())

    @classmethod
    def read(cls, size: int, read: Callable[[Tile], bytes]) -> Frontier:
        """Return that of a log of `size` from its partial tiles.

        Raises:
            TileInvalid: one has another length than its width demands; also whatever `read` raises.
        """
        entries = entries_of(read(_open_tile(ENTRIES, size)), size & _MASK) if size & _MASK else []
        levels: list[list[bytes]] = []
        while count := size >> HEIGHT * len(levels):
            tile = _open_tile(len(levels), size)
            levels.append(hashes_of(read(tile), tile.width) if count & _MASK else [])
        return cls(size, entries, levels)

    def copy(self) -> Frontier:
        """Return one that grows on its own, with nothing that became full."""
        return Frontier(self.size, self._entries, self._levels)

    def append(self, content: bytes, leaf: bytes) -> None:
        """Add an entry and its hash."""
        self._entries.append(content)
        self.size += 1
        if len(self._entries) == WIDTH:
            self.full[Tile(ENTRIES, self.size // WIDTH - 1)] = bundle_of(self._entries)
            self._entries = []
        level, carried = 0, leaf
        while True:
            if level == len(self._levels):
                self._levels.append([])
            tile = self._levels[level]
            tile.append(carried)
            if len(tile) < WIDTH:
                return
            self.full[Tile(level, (self.size >> HEIGHT * (level + 1)) - 1)] = b"".join(tile)
            carried = subtree_root(tile)
            self._levels[level] = []
            level += 1

    def taken(self) -> Mapping[Tile, bytes]:
        """Return what became full, and forget it."""
        full, self.full = self.full, {}
        return full

    def partial(self, since: int) -> dict[Tile, bytes]:
        """Return content of the open bundle and tiles, as far as the log at size `since` had other ones."""
        found = {}
        for level, tile in ((ENTRIES, self._entries), *enumerate(self._levels)):
            shift = HEIGHT * max(level, 0)
            if tile and self.size >> shift != since >> shift:
                content = bundle_of(tile) if level == ENTRIES else b"".join(tile)
                found[_open_tile(level, self.size)] = content
        return found

    def edge(self) -> list[bytes]:
        """Return the hashes of the complete subtrees that the log consists of, the largest first."""
        hashes = []
        for level in range(len(self._levels) - 1, -1, -1):
            tile, place = self._levels[level], 0
            for bit in range(HEIGHT - 1, -1, -1):
                if len(tile) >> bit & 1:
                    hashes.append(subtree_root(tile[place : place + (1 << bit)]))
                    place += 1 << bit
        return hashes

    def root(self) -> bytes:
        """Return the root over all entries."""
        return root_of(self.edge())


def _open_tile(level: int, size: int) -> Tile:
    number, width = divmod(size >> HEIGHT * max(level, 0), WIDTH)
    return Tile(level, number, width)
