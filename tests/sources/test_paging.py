from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from loglease.sources.paging import Pager, Row

ROWS = st.lists(
    st.builds(Row, st.integers(0, 5), st.sampled_from([(), (("a", "b"),)]), st.binary(max_size=9), st.just(()))
)


@given(st.lists(ROWS, max_size=4), st.integers(1, 5), st.integers(1, 20))
def test_pages_hold_every_row_once_in_order_within_their_bounds(runs: list[list[Row]], lines: int, size: int) -> None:
    pager = Pager(lines, size)
    pages = [page for rows in runs for page in pager.feed(rows)] + list(pager.flush())
    found = [
        Row(ts, page.streams[at], line, metadata or ())
        for page in pages
        for ts, at, line, metadata in zip(page.ts, page.stream, page.lines, page.metadata, strict=True)
    ]
    assert found == [row for rows in runs for row in rows]
    for page in pages:
        assert 1 <= len(page) <= lines
        assert len(page) == 1 or sum(map(len, page.lines)) <= size
        assert len(set(page.streams)) == len(page.streams)
