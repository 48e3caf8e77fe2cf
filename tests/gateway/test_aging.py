"""Live lines that wait until they are old enough."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.fakes.clock import FakeClock

from loglease.gateway import aging
from loglease.gateway.aging import aged
from loglease.gateway.resume import Position
from loglease.gateway.served import Item
from loglease.model.instant import NANOSECONDS
from loglease.sources.interface import Gap, SourceUnavailable

CLOCK = FakeClock()
NOW_NS = CLOCK.now() * 1_000
OLD, YOUNG = NOW_NS - 10 * NANOSECONDS, NOW_NS


def item(ns: int) -> Item:
    return Item(b"", ns, (), b"", Position(ns, 1))


async def arriving(*batches: Sequence[Item] | Gap) -> AsyncGenerator[Sequence[Item] | Gap, None]:
    for batch in batches:
        yield batch


async def out(*batches: Sequence[Item] | Gap) -> list[int | Gap]:
    found: list[int | Gap] = []
    async for batch in aged(arriving(*batches), NANOSECONDS, CLOCK):
        found += [batch] if isinstance(batch, Gap) else [one.event_ns for one in batch]
    return found


async def test_lines_that_had_to_wait_come_in_the_order_of_their_times():
    assert await out([item(YOUNG + 2), item(YOUNG)], [item(YOUNG + 1)]) == [YOUNG, YOUNG + 1, YOUNG + 2]


async def test_lines_that_are_old_enough_come_as_they_arrive():
    assert await out([item(YOUNG), item(OLD + 1), item(OLD)]) == [OLD + 1, OLD, YOUNG]


@given(st.lists(st.sampled_from((OLD, OLD + 1, YOUNG, YOUNG + 1)), max_size=8), st.sets(st.integers(0, 8)))
async def test_what_comes_together_does_not_show(times, cuts):
    """Hidden lines fill the pages of a source, so visible ones come apart instead of together."""
    lines = [item(ns) for ns in times]
    edges = [0, *sorted(cuts), len(lines)]
    parts = [lines[start:end] for start, end in pairwise(edges)]
    assert await out(*parts) == await out(lines)


async def test_a_gap_is_told_at_once():
    gap = Gap(OLD, YOUNG)
    assert await out([item(YOUNG)], gap, [item(YOUNG + 1)]) == [gap, YOUNG, YOUNG + 1]


async def test_only_so_many_wait(monkeypatch):
    monkeypatch.setattr(aging, "MAX_WAITING", 2)
    assert await out([item(YOUNG + ns) for ns in (3, 2, 1, 0)]) == [YOUNG + 1, YOUNG, YOUNG + 2, YOUNG + 3]


async def test_an_error_of_the_source_is_passed_on():
    async def failing() -> AsyncGenerator[Sequence[Item] | Gap, None]:
        yield [item(YOUNG)]
        raise SourceUnavailable("gone")

    with pytest.raises(SourceUnavailable):
        async for _ in aged(failing(), NANOSECONDS, CLOCK):
            pass


async def test_a_read_ends_with_the_tail():
    is_closed = []

    async def endless() -> AsyncGenerator[Sequence[Item] | Gap, None]:
        try:
            while True:
                yield [item(OLD)]
        finally:
            is_closed.append(True)

    lines = aged(endless(), NANOSECONDS, CLOCK)
    await anext(lines)
    await lines.aclose()
    assert is_closed
