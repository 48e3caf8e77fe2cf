from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loglease.audit.frontier import Frontier
from loglease.audit.merkle import Edge, leaf_hash, root_nodes
from loglease.audit.tiles import ENTRIES, Tile, TileInvalid, entries_of, hashes_from, hashes_of, tiles_of

EDGES = [0, 1, 2, 255, 256, 257, 511, 512, 513, 65_535, 65_536, 65_537]
CONTENTS = [b"%d" % number for number in range(66_000)]
LEAVES = [leaf_hash(content) for content in CONTENTS]


def grown(since: Frontier, size: int, tiles: dict[Tile, bytes]) -> None:
    for number in range(since.size, size):
        since.append(CONTENTS[number], LEAVES[number])
    tiles.update(since.taken())


def written(*sizes: int) -> tuple[Frontier, dict[Tile, bytes]]:
    """Return the frontier and all files of a log that was published at each of these sizes."""
    frontier, tiles = Frontier.empty(), dict[Tile, bytes]()
    for size in sizes:
        before = frontier.size
        grown(frontier, size, tiles)
        tiles.update(frontier.partial(before))
    return frontier, tiles


@pytest.mark.parametrize("size", EDGES)
def test_the_tiles_hold_the_entries_and_the_tree_over_them(size: int) -> None:
    frontier, tiles = written(size)
    assert tiles.keys() == set(tiles_of(size))
    bundles = [tile for tile in tiles_of(size) if tile.level == ENTRIES]
    assert [one for tile in bundles for one in entries_of(tiles[tile], tile.width)] == CONTENTS[:size]
    leaves = [tile for tile in tiles_of(size) if tile.level == 0]
    assert [one for tile in leaves for one in hashes_of(tiles[tile], tile.width)] == LEAVES[:size]
    edge = Edge()
    edge.extend(LEAVES[:size])
    assert frontier.edge() == list(edge.hashes)
    assert frontier.root() == edge.root()
    assert hashes_from(tiles.__getitem__, size)(root_nodes(size)) == list(edge.hashes)


@given(st.lists(st.integers(0, 1_500), min_size=1, max_size=6))
def test_how_it_grew_makes_no_difference(sizes: list[int]) -> None:
    sizes.sort()
    _, tiles = written(*sizes)
    for size in sizes:
        _, once = written(size)
        assert {tile: tiles[tile] for tile in once} == once


@given(st.integers(0, 70_000), st.integers(0, 600))
def test_it_goes_on_from_what_was_written(size: int, more: int) -> None:
    size = min(size, 65_400)
    frontier, tiles = written(size)
    again = Frontier.read(size, tiles.__getitem__)
    new, old = dict[Tile, bytes](), dict[Tile, bytes]()
    grown(frontier, size + more, old)
    grown(again, size + more, new)
    assert new == old
    assert again.partial(0) == frontier.partial(0)
    assert again.root() == frontier.root()


def test_a_copy_grows_on_its_own() -> None:
    frontier, _ = written(300)
    copy = frontier.copy()
    grown(copy, 700, {})
    assert frontier.root() == written(300)[0].root() != copy.root()


def test_a_tile_of_another_length_is_refused() -> None:
    _, tiles = written(300)
    tiles[Tile(0, 1, 44)] += hashlib.sha256(b"one more").digest()
    with pytest.raises(TileInvalid):
        Frontier.read(300, tiles.__getitem__)
