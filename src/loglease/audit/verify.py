"""Whether a log is what was signed: every tile, every entry, and the form of each; without any trust in who stores it.

The root in the checkpoint vouches for the tiles at the right edge, each tile for those below it, and the tiles of
leaves for the entries. So what is wrong is known by its exact place, and all entries before it hold. Work is cut into
stretches that know nothing of each other, so that several processes can share it; their results are taken in the order
of the log.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from typing import Final

from loglease.audit.checkpoint import Checkpoint
from loglease.audit.forms import first_without_form
from loglease.audit.interface import EntryInvalid
from loglease.audit.log_reading import (
    LogIncomplete,
    LogTampered,
    Read,
    bundle_content,
    tile_content,
    width_of,
)
from loglease.audit.merkle import (
    HASH_BYTES,
    Hashes,
    Node,
    ProofInvalid,
    check_consistency,
    consistency_proof,
    root_nodes,
    root_of,
)
from loglease.audit.tiles import CHECKPOINT, ENTRIES, HEIGHT, WIDTH, Tile, place_of

STRETCH_TILES: Final = 32
"""Tiles of leaves, hence bundles, that are checked at a time: about 8,000 entries."""

Progress = Callable[[int, int], None]
"""Called with how many entries are done, and of how many."""
Extract = Callable[[Sequence[bytes]], bytes | tuple[int, EntryInvalid]]
"""Checks the forms of a bundle's entries, in place of `first_without_form`, and returns something about them.

It is called where the hashes are checked, so it has to be one that can be pickled.
"""
Take = Callable[["Checked"], None]
"""Called with each stretch that holds, in the order of the log, while others are still being checked."""

_LEAF: Final = b"\x00"
_NODE: Final = b"\x01"
_PAIR: Final = 2 * HASH_BYTES
_KEPT_TILES: Final = 64


@dataclass(frozen=True, slots=True)
class Stretch:
    """Neighbouring tiles of leaves, and what they have to hash to; the signed root vouches for that.

    Attributes:
        size: of the log.
        first: number of the first tile.
        roots: what each tile has to hash to.
    """

    size: int
    first: int
    roots: tuple[bytes, ...]

    @property
    def entries(self) -> range:
        """The indices of its entries."""
        return range(self.first * WIDTH, min(self.size, (self.first + len(self.roots)) * WIDTH))


@dataclass(frozen=True, slots=True)
class Checked:
    """What was found in a stretch.

    Attributes:
        entries: those that it is about.
        fault: the first thing that is wrong.
        missing: the first file that is not there, and the first entry that it concerns.
        extracts: of each bundle; none unless it was asked for.
    """

    entries: range
    fault: LogTampered | None = None
    missing: tuple[str, int] | None = None
    extracts: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class Verified:
    """A log, or a part of it, that holds.

    Attributes:
        tiles: how many tiles of hashes were compared; each of leaves has a bundle beside it.
        entries: the indices of the entries that were.
    """

    tiles: int
    entries: range


class Trust:
    """The hashes of a log for which its signed root vouches.

    Raises:
        LogIncomplete: a tile of the right edge is not there.
        LogTampered: the tiles are those of another log than the signed one.
    """

    def __init__(self, read: Read, checkpoint: Checkpoint) -> None:
        self._read = read
        self.size = checkpoint.size
        self._root = checkpoint.root
        self.fault: LogTampered | None = None
        self._edge = self._opened_edge()
        # Not on the method: that would keep every instance.
        self._tile = lru_cache(maxsize=_KEPT_TILES)(self._read_tile)

    def root(self, level: int, number: int) -> bytes:
        """Return what a tile has to hash to.

        Raises:
            LogIncomplete: a tile above is not there.
            LogTampered: a tile above is wrong.
        """
        if width_of(self.size, level, number) < WIDTH:
            return tile_root(self._edge[level])
        above = self.packed(level + 1, number // WIDTH)
        begin = number % WIDTH * HASH_BYTES
        return above[begin : begin + HASH_BYTES]

    def packed(self, level: int, number: int) -> bytes:
        """Return the hashes of a tile, joined.

        Raises:
            LogIncomplete: it, or a tile above, is not there.
            LogTampered: it, or a tile above, is wrong.
        """
        if width_of(self.size, level, number) < WIDTH:
            return self._edge[level]
        return self._tile(level, number)

    def hashes(self, nodes: Sequence[Node]) -> list[bytes]:
        """Return the hashes of complete subtrees; a `merkle.Hashes`."""
        found = []
        for node in nodes:
            tile, part = place_of(node, self.size)
            packed = self.packed(tile.level, tile.number)
            found.append(tile_root(packed[part.start * HASH_BYTES : part.stop * HASH_BYTES]))
        return found

    def _read_tile(self, level: int, number: int) -> bytes:
        tile = Tile(level, number)
        root = self.root(level, number)
        packed = tile_content(self._read, tile)
        if tile_root(packed) == root:
            return packed
        below = self._from_below(tile)
        if below is None or tile_root(below) != root:
            above = Tile(level + 1, number // WIDTH, width_of(self.size, level + 1, number // WIDTH)).path
            raise LogTampered(
                tile.path,
                f"{tile.path} does not hash to its place in {above}",
                index=number << (level + 1) * HEIGHT,
            )
        self._note(_wrong_hash(tile, packed, below))
        return below

    def _opened_edge(self) -> dict[int, bytes]:
        """Return the partial tiles, which together have the root; those that are wrong made from what is below them."""
        found: dict[Tile, bytes] = {}
        damaged: dict[Tile, LogTampered] = {}
        for tile in _partial_tiles(self.size):
            try:
                found[tile] = tile_content(self._read, tile)
            except LogTampered as error:
                found[tile], damaged[tile] = b"", error
        if not damaged and _root_over(found.values()) == self._root:
            return {tile.level: packed for tile, packed in found.items()}
        right = self._mended(found)
        if right is None:
            for fault in damaged.values():
                raise fault
            raise LogTampered(CHECKPOINT, f"the signed root in {CHECKPOINT} is not that of the tiles")
        for tile, packed in found.items():
            if packed != right[tile]:
                self._note(damaged.get(tile) or _wrong_hash(tile, packed, right[tile]))
        return {tile.level: packed for tile, packed in right.items()}

    def _mended(self, found: Mapping[Tile, bytes]) -> dict[Tile, bytes] | None:
        """Return the partial tiles, some of them made from what is below them; None if nothing has the root."""
        choices = [(packed, self._from_below(tile) or packed) for tile, packed in found.items()]
        for tried in product(*choices):
            if _root_over(tried) == self._root:
                return dict(zip(found, tried, strict=True))
        return None

    def _from_below(self, tile: Tile) -> bytes | None:
        """Return a tile as what is below it says; None if that is not there or damaged."""
        try:
            if tile.level == 0:
                _, entries, fault = bundle_content(self._read, tile.number, tile.width)
                return None if fault else b"".join(_leaves(entries))
            children = (Tile(tile.level - 1, tile.number * WIDTH + place) for place in range(tile.width))
            return b"".join(tile_root(tile_content(self._read, child)) for child in children)
        except (LogIncomplete, LogTampered):
            return None

    def _note(self, fault: LogTampered) -> None:
        """Keep what is wrong with a tile that could be made from what is below it: the first of all such."""
        if self.fault is None or (fault.index or 0) < (self.fault.index or 0):
            self.fault = fault


def stretches(trust: Trust, entries: range) -> Iterator[Stretch | Checked]:
    """Yield the work that checking entries takes; where a tile above is missing or wrong, that instead."""
    size = trust.size
    first, last = entries.start // WIDTH, (entries.stop + WIDTH - 1) // WIDTH
    for begin in range(first, last, STRETCH_TILES):
        numbers = range(begin, min(last, begin + STRETCH_TILES))
        covered = range(begin * WIDTH, min(size, numbers.stop * WIDTH))
        try:
            yield Stretch(size, begin, tuple(trust.root(0, number) for number in numbers))
        except LogTampered as fault:
            yield Checked(covered, fault=fault)
        except LogIncomplete as error:
            yield Checked(covered, missing=(error.path, covered.start))


def check_stretch(read: Read, stretch: Stretch, extract: Extract | None = None) -> Checked:
    """Check tiles of leaves and the entries below them."""
    missing: tuple[str, int] | None = None
    extracts = []
    for number, root in enumerate(stretch.roots, stretch.first):
        try:
            found = _check_tile(read, number, width_of(stretch.size, 0, number), root, extract)
            if found is not None:
                extracts.append(found)
        except LogTampered as fault:
            return Checked(stretch.entries, fault, missing)
        except LogIncomplete as error:
            missing = missing or (error.path, number * WIDTH)
    return Checked(stretch.entries, None, missing, tuple(extracts))


def judged(
    results: Iterable[Checked],
    trust: Trust,
    *,
    entries: range,
    take: Take | None = None,
    progress: Progress | None = None,
) -> Verified:
    """Return what holds, from the results of all stretches in their order.

    Args:
        results: in the order of the log; no more are taken after one with a fault.
        trust: what it noted counts, too.
        entries: those that were asked for.
        take: told of what holds, up to the first file that is missing; what comes later may be wrong.
        progress: told how many entries are done, of how many.

    Raises:
        LogTampered: something is wrong; says where, and which entries before it hold.
        LogIncomplete: a file is not there, and nothing that is there is wrong.
    """
    missing: tuple[str, int] | None = None
    fault: LogTampered | None = None
    begin = entries.start // WIDTH * WIDTH
    for result in results:
        missing = missing or result.missing
        fault = result.fault
        if fault is not None:
            break
        if take is not None and missing is None:
            take(result)
        if progress is not None:
            progress(result.entries.stop - begin, entries.stop - begin)
    noted = trust.fault
    if noted is not None and (fault is None or (noted.index or 0) < (fault.index or 0)):
        fault = noted
    if fault is not None:
        bad = fault.index or 0
        if missing is not None:
            bad = min(bad, missing[1])
        raise LogTampered(fault.place, fault.detail, index=fault.index, holds=range(begin, bad) or None) from fault
    if missing is not None:
        raise LogIncomplete(missing[0])
    return Verified(tiles_over(trust.size, entries), entries)


def verify_log(
    read: Read,
    checkpoint: Checkpoint,
    *,
    entries: range | None = None,
    extract: Extract | None = None,
    take: Take | None = None,
    progress: Progress | None = None,
) -> Verified:
    """Check a log, or the entries of a range and all that vouches for them, in this process.

    Args:
        entries: those to check; None is all.
        extract: what it returns of bundles comes with what `take` is told.
        take: as `judged`.
        progress: as `judged`.

    Raises:
        LogTampered: something is wrong; says where, and which entries before it hold.
        LogIncomplete: a file is not there.
    """
    trust = Trust(read, checkpoint)
    wanted = range(checkpoint.size) if entries is None else entries
    work = stretches(trust, wanted)
    results = (one if isinstance(one, Checked) else check_stretch(read, one, extract) for one in work)
    return judged(results, trust, entries=wanted, take=take, progress=progress)


def check_extends(hashes: Hashes, checkpoint: Checkpoint, older: Checkpoint, name: str) -> None:
    """Check that a log begins with the log that somebody saw earlier.

    Args:
        hashes: of the log; a `Trust` has those that are vouched for.
        checkpoint: the log's signed head.
        older: the head that was seen, of the same origin.
        name: of the older head in messages.

    Raises:
        LogTampered: it does not.
    """
    if older.size > checkpoint.size:
        raise LogTampered(
            CHECKPOINT,
            f"the log has {checkpoint.size} entries, and had {older.size} when {name} was kept: its end was dropped, "
            "or an old head is shown again",
            index=checkpoint.size,
        )
    if older.size == 0:
        return
    try:
        proof = consistency_proof(older.size, checkpoint.size, hashes)
        check_consistency(older.size, older.root, checkpoint.size, checkpoint.root, proof)
    except ProofInvalid as error:
        raise LogTampered(
            CHECKPOINT,
            f"the log of size {checkpoint.size} does not begin with the log of size {older.size} of {name}: "
            "these are two histories",
        ) from error


def tiles_over(size: int, entries: range) -> int:
    """Return how many tiles of hashes, of all levels, stand over a range of entries."""
    count = 0
    for level in range(size.bit_length() // HEIGHT + 1):
        shift = (level + 1) * HEIGHT
        whole = ((size >> level * HEIGHT) + WIDTH - 1) // WIDTH
        count += min(whole, (entries.stop + (1 << shift) - 1) >> shift) - (entries.start >> shift)
    return count


def tile_root(packed: bytes) -> bytes:
    """Return the root over joined hashes."""
    width = len(packed) // HASH_BYTES
    if width == WIDTH:
        return _folded(packed)
    return root_of([_folded(packed[begin:end]) for begin, end in _parts(width)])


def first_difference(one: bytes, other: bytes) -> int:
    """Return the place of the first hash in which two joined lists differ."""
    places = range(0, max(len(one), len(other)), HASH_BYTES)
    return next(
        place // HASH_BYTES for place in places if one[place : place + HASH_BYTES] != other[place : place + HASH_BYTES]
    )


def _check_tile(read: Read, number: int, width: int, root: bytes, extract: Extract | None) -> bytes | None:
    """Check one tile of leaves and its bundle, and return what is extracted of its entries."""
    tile, bundle = Tile(0, number, width), Tile(ENTRIES, number, width)
    packed = tile_content(read, tile)
    _, entries, damage = bundle_content(read, number, width)
    leaves = b"".join(_leaves(entries))
    begin = number * WIDTH
    if leaves != packed or damage is not None or tile_root(packed) != root:
        raise _difference(tile, bundle, packed, leaves, root, damage)
    found = first_without_form(entries) if extract is None else extract(entries)
    if isinstance(found, tuple):
        index, error = begin + found[0], found[1]
        raise LogTampered(
            bundle.path, f"entry {index} in {bundle.path} has not the form of one: {error.message}", index=index
        ) from error
    return found


def _difference(tile: Tile, bundle: Tile, packed: bytes, leaves: bytes, root: bytes, damage: str | None) -> LogTampered:
    """Return what is wrong where a tile of leaves, its entries and what vouches for both are not the same."""
    begin = tile.number * WIDTH
    if tile_root(packed) == root:
        # The tile is what was signed, so the entries are not.
        place = first_difference(packed, leaves) if packed != leaves else tile.width
        index = begin + place
        if damage is not None and place * HASH_BYTES >= len(leaves):
            return LogTampered(bundle.path, damage, index=index)
        return LogTampered(
            bundle.path, f"entry {index} in {bundle.path} does not hash to its leaf in {tile.path}", index=index
        )
    if damage is None and tile_root(leaves) == root:
        place = first_difference(packed, leaves)
        return LogTampered(
            tile.path,
            f"hash {place} of {tile.path} is not that of entry {begin + place}, which holds",
            index=begin + place,
        )
    return LogTampered(tile.path, f"{tile.path} does not hash to what the tiles above it say", index=begin)


def _wrong_hash(tile: Tile, packed: bytes, right: bytes) -> LogTampered:
    place = first_difference(packed, right)
    index = (tile.number * WIDTH + place) << tile.level * HEIGHT
    return LogTampered(
        tile.path, f"hash {place} of {tile.path} is not that of what is below it, which holds", index=index
    )


def _leaves(entries: Sequence[bytes]) -> list[bytes]:
    sha256 = hashlib.sha256
    return [sha256(_LEAF + entry).digest() for entry in entries]


def _folded(packed: bytes) -> bytes:
    """Return the root over a power of two of joined hashes."""
    sha256 = hashlib.sha256
    while len(packed) > HASH_BYTES:
        packed = b"".join(
            [sha256(_NODE + packed[place : place + _PAIR]).digest() for place in range(0, len(packed), _PAIR)]
        )
    return packed


def _parts(width: int) -> list[tuple[int, int]]:
    """Return where the complete subtrees over `width` hashes begin and end, in bytes."""
    nodes = root_nodes(width)
    return [((node.number << node.level) * HASH_BYTES, (node.number + 1 << node.level) * HASH_BYTES) for node in nodes]


def _partial_tiles(size: int) -> list[Tile]:
    """Return the partial tiles of a log, the topmost first: what they hold is its right edge."""
    tiles = []
    for level in range(size.bit_length() // HEIGHT + 1):
        count = size >> level * HEIGHT
        if count % WIDTH:
            tiles.append(Tile(level, count // WIDTH, count % WIDTH))
    return tiles[::-1]


def _root_over(edge: Iterable[bytes]) -> bytes:
    """Return the root over partial tiles, the topmost first."""
    parts = [(packed, begin, end) for packed in edge for begin, end in _parts(len(packed) // HASH_BYTES)]
    return root_of([_folded(packed[begin:end]) for packed, begin, end in parts])
