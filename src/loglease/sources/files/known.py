"""The files of a watch that were read before, found by what makes them the same.

Pure. The newest position comes first wherever several could be meant.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from loglease.sources.files.catalogue import FilePosition
from loglease.sources.files.watch import HEAD_BYTES, Opened, digest_of, is_packed


def begins_as(head: bytes, position: FilePosition) -> bool:
    """Say whether first bytes are those of a known file."""
    return len(head) >= position.head_size and digest_of(head[: position.head_size]) == position.head


class KnownFiles:
    """Positions by inode, by path, and by the digest of a whole first 1 KiB."""

    def __init__(self, positions: Iterable[FilePosition]) -> None:
        self._by_inode: dict[tuple[int, int], FilePosition] = {}
        self._by_path: dict[str, list[FilePosition]] = {}
        self._by_head: dict[str, FilePosition] = {}
        for position in sorted(positions, key=lambda position: position.id):
            self.add(position)

    def add(self, position: FilePosition) -> None:
        """Take in a position newer than all others."""
        self._by_inode[position.device, position.inode] = position
        self._by_path.setdefault(position.path, []).insert(0, position)
        if position.head_size == HEAD_BYTES:
            self._by_head[position.head] = position

    def same_file(self, opened: Opened, head: bytes) -> FilePosition | None:
        """Return the position of this very file, if its first bytes are still the same and it was not cut."""
        position = self._by_inode.get((opened.device, opened.inode))
        if position is None or not begins_as(head, position):
            return None
        shrunk = opened.size < position.offset and not is_packed(opened.path)
        return None if shrunk else position

    def original(self, opened: Opened, head: bytes) -> FilePosition | None:
        """Return the file of which this one is a copy, as far as names and first bytes can tell."""
        if not head:
            return None
        for position in self._named_before(opened.path):
            if position.head_size and begins_as(head, position):
                return position
        return self._by_head.get(digest_of(head)) if is_packed(opened.path) and len(head) == HEAD_BYTES else None

    def undecided(self, opened: Opened, head: bytes) -> bool:
        """Say whether too little of a possible copy is there to tell what it is a copy of."""
        if is_packed(opened.path):
            return len(head) < HEAD_BYTES
        return any(position.head_size > len(head) for position in self._named_before(opened.path))

    def _named_before(self, path: str) -> Iterator[FilePosition]:
        """Yield the positions of files in the same folder whose name begins this one's."""
        for end in range(len(path) - 1, path.rfind("/") + 1, -1):
            yield from self._by_path.get(path[:end], ())
