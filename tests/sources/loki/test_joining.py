from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loglease.sources.interface import SourceUnavailable
from loglease.sources.loki.joining import merged, together
from loglease.sources.paging import Row


async def given_in_runs(runs: list[list[Row]]) -> AsyncGenerator[list[Row], None]:
    for run in runs:
        yield run


@st.composite
def reads(draw: st.DrawFn) -> list[list[list[Row]]]:
    """Reads of streams of their own, each cut anywhere."""
    found = []
    for number in range(draw(st.integers(1, 4))):
        times = sorted(draw(st.lists(st.integers(0, 6), max_size=8)))
        rows = [Row(ts, (("read", str(number)),), b"%d" % place, ()) for place, ts in enumerate(times)]
        cuts = sorted(draw(st.lists(st.integers(0, len(rows)), max_size=3)))
        found.append([rows[a:b] for a, b in zip([0, *cuts], [*cuts, len(rows)], strict=True)])
    return found


@given(reads(), st.booleans())
def test_merged_reads_have_all_rows_in_order_and_each_stream_in_its_own(
    found: list[list[list[Row]]], backward: bool
) -> None:
    given_rows = [[row for run in runs for row in run] for runs in found]
    if backward:
        found = [[run[::-1] for run in runs[::-1]] for runs in found]

    async def run() -> list[Row]:
        return [
            row async for rows in merged([given_in_runs(runs) for runs in found], backward=backward) for row in rows
        ]

    rows = asyncio.run(run())
    times = [row.ts for row in rows]
    assert times == sorted(times, reverse=backward)
    if backward:
        rows.reverse()
    for number, wanted in enumerate(given_rows):
        assert [row for row in rows if row.labels == (("read", str(number)),)] == wanted


class Stream:
    """Gives numbers when it is told to."""

    def __init__(self) -> None:
        self.told: asyncio.Queue[int | Exception | None] = asyncio.Queue()
        self.closed = False

    async def items(self) -> AsyncGenerator[int, None]:
        try:
            while (item := await self.told.get()) is not None:
                if isinstance(item, Exception):
                    raise item
                yield item
        finally:
            self.closed = True


@pytest.mark.parametrize("end", [None, SourceUnavailable("gone")], ids=["ends", "fails"])
async def test_what_any_stream_gives_comes_until_one_ends_and_all_are_closed(end: Exception | None) -> None:
    one, two = Stream(), Stream()
    joined = together([one.items(), two.items()])
    for stream, item in ((one, 1), (one, 2), (two, 3), (one, 4)):
        stream.told.put_nowait(item)
        assert await anext(joined) == item
    two.told.put_nowait(end)
    if end is None:
        assert await anext(joined, "over") == "over"
    else:
        with pytest.raises(SourceUnavailable):
            await anext(joined)
    assert (one.closed, two.closed) == (True, True)


async def test_leaving_closes_all_streams() -> None:
    streams = [Stream(), Stream()]
    joined = together([stream.items() for stream in streams])
    streams[0].told.put_nowait(1)
    assert await anext(joined) == 1
    await joined.aclose()
    assert [stream.closed for stream in streams] == [True, True]
