from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loglease.audit.merkle import Edge, Node, inclusion_proof, leaf_hash, root_nodes, subtree_root
from loglease.audit.tiles import (
    ENTRIES,
    Tile,
    TileInvalid,
    bundle_of,
    entries_of,
    entry_in,
    hashes_from,
    hashes_of,
    place_of,
    tile_of,
    tiles_of,
)

tiles = st.builds(Tile, st.integers(ENTRIES, 63), st.integers(0, 10**9), st.integers(1, 256))
CONTENTS = [b"entry %d" % number for number in range(70_000)]
LEAVES = [leaf_hash(content) for content in CONTENTS]


def tree_of(size: int) -> dict[Tile, bytes]:
    """Return every tile of a log, made level by level."""
    made: dict[Tile, bytes] = {}
    hashes, level = LEAVES[:size], 0
    while hashes:
        for begin in range(0, len(hashes), 256):
            part = hashes[begin : begin + 256]
            made[Tile(level, begin // 256, len(part))] = b"".join(part)
        full = len(hashes) // 256
        hashes = [subtree_root(hashes[place * 256 : (place + 1) * 256]) for place in range(full)]
        level += 1
    return made


@given(tiles)
def test_a_path_names_one_tile(tile: Tile) -> None:
    assert tile_of(tile.path) == tile


@pytest.mark.parametrize(
    ("tile", "path"),
    [
        (Tile(0, 0), "tile/0/000"),
        (Tile(0, 1_234_067), "tile/0/x001/x234/067"),
        (Tile(3, 999, 7), "tile/3/999.p/7"),
        (Tile(63, 0), "tile/63/000"),
        (Tile(ENTRIES, 1_000, 255), "tile/entries/x001/000.p/255"),
    ],
)
def test_paths_are_those_of_the_standard(tile: Tile, path: str) -> None:
    assert tile.path == path
    assert tile_of(path) == tile


@pytest.mark.parametrize(
    "path",
    [
        "",
        "checkpoint",
        "tile/0/0",
        "tile/00/000",
        "tile/64/000",
        "tile/-1/000",
        "tile/0/x000/001",
        "tile/0/1000",
        "tile/0/001/x000",
        "tile/0/000.p/0",
        "tile/0/000.p/256",
        "tile/0/000.p/07",
        "tile/0/../000",
        "tile/0/000/",
        "/tile/0/000",
        "tile/0/000\n",
        "tile/0/٠٠٠",
        "tile/data/000",
    ],
)
def test_another_spelling_is_no_path(path: str) -> None:
    with pytest.raises(TileInvalid, match="is not the path of a tile"):
        tile_of(path)


def test_a_log_of_70000_has_the_tiles_of_the_standards_example() -> None:
    found = list(tiles_of(70_000))
    by_level = {level: [tile for tile in found if tile.level == level] for level in (ENTRIES, 0, 1, 2, 3)}
    assert [len(by_level[level]) for level in (ENTRIES, 0, 1, 2, 3)] == [274, 274, 2, 1, 0]
    assert by_level[0][-1] == Tile(0, 273, 112)
    assert by_level[1] == [Tile(1, 0), Tile(1, 1, 17)]
    assert by_level[2] == [Tile(2, 0, 1)]
    assert list(tiles_of(256))[-1] == Tile(1, 0, 1)
    assert list(tiles_of(0)) == []


@given(st.integers(0, 200_000), st.integers(0, 70_000))
def test_what_a_growing_log_adds_is_what_the_older_one_had_not(since: int, more: int) -> None:
    size = since + more
    assert set(tiles_of(size, since)) == set(tiles_of(size)) - set(tiles_of(since))


@given(st.sampled_from([1, 2, 255, 256, 257, 65_535, 65_536, 65_537, 70_000]), st.data())
def test_a_subtree_stands_where_its_leaves_are(size: int, data: st.DataObject) -> None:
    level = data.draw(st.integers(0, size.bit_length() - 1))
    index = data.draw(st.integers(0, (size >> level) - 1))
    tile, part = place_of(Node(level, index), size)
    assert tile in set(tiles_of(size))
    assert 0 <= part.start < part.stop <= tile.width
    covered = 256**tile.level
    first = (tile.number * 256 + part.start) * covered
    assert (first, len(part) * covered) == (index << level, 1 << level)


@pytest.mark.parametrize("node", [Node(0, 5), Node(3, 0), Node(-1, 0), Node(0, -1)])
def test_a_subtree_that_is_not_there_has_no_place(node: Node) -> None:
    with pytest.raises(TileInvalid, match="A log of size 5 has no complete subtree"):
        place_of(node, 5)


@pytest.mark.parametrize("size", [1, 2, 255, 256, 257, 65_535, 65_536, 65_537, 70_000])
def test_hashes_are_read_from_tiles(size: int) -> None:
    made, asked = tree_of(size), []

    def read(tile: Tile) -> bytes:
        asked.append(tile)
        return made[tile]

    edge = Edge()
    edge.extend(LEAVES[:size])
    assert tuple(hashes_from(read, size)(root_nodes(size))) == edge.hashes
    asked.clear()
    inclusion_proof(size // 2, size, hashes_from(read, size))
    assert len(asked) == len(set(asked)) <= 6
    assert set(made) | {Tile(ENTRIES, tile.number, tile.width) for tile in made if tile.level == 0} == set(
        tiles_of(size)
    )


def test_a_tile_has_the_length_of_its_width() -> None:
    assert hashes_of(LEAVES[0] + LEAVES[1], 2) == LEAVES[:2]
    with pytest.raises(TileInvalid, match="A tile of 2 hashes has 64 bytes, not 63"):
        hashes_of(bytes(63), 2)


@given(st.lists(st.binary(max_size=40), min_size=1, max_size=256))
def test_a_bundle_holds_its_entries(entries: list[bytes]) -> None:
    bundle = bundle_of(entries)
    assert entries_of(bundle, len(entries)) == entries
    for offset, entry in enumerate(entries):
        assert entry_in(bundle, offset) == entry_in(
            bundle[: offset * 2 + 2 + sum(map(len, entries[: offset + 1]))], offset
        )
        assert entry_in(bundle, offset) == entry
    for count in range(len(bundle)):
        assert entry_in(bundle[:count], len(entries) - 1) is None
    assert entry_in(bundle, len(entries)) is None
    for broken, width in ((bundle[:-1], len(entries)), (bundle + b"\0", len(entries)), (bundle, len(entries) + 1)):
        with pytest.raises(TileInvalid, match=r"inside entry|goes on"):
            entries_of(broken, width)


def test_a_bundle_takes_1_to_256_entries_of_16_bits_length() -> None:
    assert entries_of(bundle_of([bytes(65_535)]), 1) == [bytes(65_535)]
    for entries in ([], [b""] * 257, [bytes(65_536)]):
        with pytest.raises(TileInvalid, match="A bundle holds 1 to 256 entries"):
            bundle_of(entries)
