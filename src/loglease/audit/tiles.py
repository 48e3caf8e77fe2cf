"""How the tree and its entries stand in files: tiles of 256 hashes, and bundles of the entries below them.

Source: C2SP tlog-tiles. A tile never changes once it is full; a partial one holds what a checkpoint of its size needs.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import Final, NamedTuple

from loglease.audit.merkle import HASH_BYTES, Hashes, Node, subtree_root
from loglease.model.errors import LogLeaseError

HEIGHT: Final = 8
WIDTH: Final = 1 << HEIGHT
"""Hashes of a full tile, and entries of a full bundle."""
ENTRIES: Final = -1
"""The level of entry bundles, which stand below the leaves' hashes."""
CHECKPOINT: Final = "checkpoint"
"""The path of the newest signed head."""
MAX_LEVEL: Final = 63

_LENGTH_BYTES: Final = 2
_MAX_ENTRY: Final = (1 << 16) - 1
_PATH: Final = re.compile(
    r"tile/(?P<level>entries|0|[1-9][0-9]?)/(?P<number>(?:x[0-9]{3}/){0,4}[0-9]{3})(?:\.p/(?P<width>[1-9][0-9]{0,2}))?"
)


class TileInvalid(LogLeaseError):
    """A tile, a bundle or a path of one does not have its form."""

    code = "log_invalid"


class Tile(NamedTuple):
    """A tile or, at level `ENTRIES`, a bundle.

    Attributes:
        number: its place in its level, from the left.
        width: how many hashes or entries it holds, 1 to 256.
    """

    level: int
    number: int
    width: int = WIDTH

    @property
    def is_full(self) -> bool:
        """Whether it never changes any more."""
        return self.width == WIDTH

    @property
    def path(self) -> str:
        """Where it is below the log's prefix."""
        level = "entries" if self.level == ENTRIES else str(self.level)
        rest, last = divmod(self.number, 1_000)
        number = f"{last:03}"
        while rest:
            rest, part = divmod(rest, 1_000)
            number = f"x{part:03}/{number}"
        return f"tile/{level}/{number}" if self.is_full else f"tile/{level}/{number}.p/{self.width}"


def tile_of(path: str) -> Tile:
    """Read the path of a tile.

    Raises:
        TileInvalid: it is none, or another spelling of one.
    """
    match = _PATH.fullmatch(path)
    if match is not None:
        level = ENTRIES if match["level"] == "entries" else int(match["level"])
        number = int(match["number"].replace("/", "").replace("x", ""))
        tile = Tile(level, number, int(match["width"] or WIDTH))
        if level <= MAX_LEVEL and tile.path == path:
            return tile
    raise TileInvalid(f"{path[:80]!r} is not the path of a tile, such as tile/0/x001/234 or tile/entries/000.p/7.")


def tiles_of(size: int, since: int = 0) -> Iterator[Tile]:
    """Return the tiles and bundles that a log of `size` has and the same log at `since` had not, level by level."""
    for level in (ENTRIES, *range(MAX_LEVEL + 1)):
        shift = max(level, 0) * HEIGHT
        count, known = size >> shift, since >> shift
        if count == 0:
            return
        if count == known:
            continue
        for number in range(known // WIDTH, (count + WIDTH - 1) // WIDTH):
            yield Tile(level, number, min(WIDTH, count - number * WIDTH))


def place_of(node: Node, size: int) -> tuple[Tile, range]:
    """Return the tile of a log of `size` that a subtree's hash follows from, and the hashes of it that it is over.

    Raises:
        TileInvalid: a log of this size does not have the subtree.
    """
    if node.number < 0 or node.level < 0 or (node.number + 1) << node.level > size:
        raise TileInvalid(f"A log of size {size} has no complete subtree {node.number} at level {node.level}.")
    level, height = divmod(node.level, HEIGHT)
    number, begin = divmod(node.number << height, WIDTH)
    width = min(WIDTH, (size >> level * HEIGHT) - number * WIDTH)
    return Tile(level, number, width), range(begin, begin + (1 << height))


def hashes_from(read: Callable[[Tile], bytes], size: int) -> Hashes:
    """Return how hashes of a log of `size` are read from its tiles, each tile once a call.

    The hashes are those that the tiles hold: nothing here checks them against a root.

    Raises:
        TileInvalid: a tile has another length than its width demands; also whatever `read` raises.
    """

    def hashes(nodes: Sequence[Node]) -> list[bytes]:
        @cache
        def content(tile: Tile) -> list[bytes]:
            return hashes_of(read(tile), tile.width)

        found = []
        for node in nodes:
            tile, part = place_of(node, size)
            found.append(subtree_root(content(tile)[part.start : part.stop]))
        return found

    return hashes


def hashes_of(content: bytes, width: int) -> list[bytes]:
    """Return the hashes of a tile.

    Raises:
        TileInvalid: it does not hold `width` of them.
    """
    if len(content) != width * HASH_BYTES:
        raise TileInvalid(f"A tile of {width} hashes has {width * HASH_BYTES} bytes, not {len(content)}.")
    return [content[place : place + HASH_BYTES] for place in range(0, len(content), HASH_BYTES)]


def bundle_of(entries: Sequence[bytes]) -> bytes:
    """Return entries as a bundle, each behind its length.

    Raises:
        TileInvalid: there are none, more than a bundle holds, or one is longer than its length can say.
    """
    if not 1 <= len(entries) <= WIDTH or any(len(entry) > _MAX_ENTRY for entry in entries):
        raise TileInvalid(f"A bundle holds 1 to {WIDTH} entries of at most {_MAX_ENTRY} bytes.")
    return b"".join(part for entry in entries for part in (len(entry).to_bytes(_LENGTH_BYTES), entry))


def entry_in(bundle: bytes, offset: int) -> bytes | None:
    """Return the entry at an offset; None if the bundle ends before its end. What stands behind it is not looked at."""
    place, end = 0, len(bundle)
    for _ in range(offset + 1):
        begin = place + _LENGTH_BYTES
        if begin > end:
            return None
        place = begin + (bundle[place] << 8 | bundle[place + 1])
    return bundle[begin:place] if place <= end else None


def entries_of(bundle: bytes, width: int) -> list[bytes]:
    """Return the entries of a bundle.

    Raises:
        TileInvalid: it does not hold exactly `width` of them.
    """
    entries: list[bytes] = []
    place, end = 0, len(bundle)
    for _ in range(width):
        begin = place + _LENGTH_BYTES
        if begin <= end:
            place = begin + (bundle[place] << 8 | bundle[place + 1])
        if begin > end or place > end:
            raise TileInvalid(f"The bundle ends inside entry {len(entries)} of {width}.")
        entries.append(bundle[begin:place])
    if place != end:
        raise TileInvalid(f"The bundle goes on behind its {width} entries.")
    return entries
