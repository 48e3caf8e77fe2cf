from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loglease.model.ids import PrincipalId
from loglease.server.cursors import Cursors
from loglease.server.problems import InvalidCursor

ALICE, BOB = PrincipalId("prn_a"), PrincipalId("prn_b")


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=40), st.text(max_size=20))
def test_a_cursor_reads_back_for_whom_and_what_it_was_made(last: str, query: str) -> None:
    cursors = Cursors(b"k" * 32)
    cursor = cursors.made(last, principal=ALICE, query=query.encode(errors="ignore").decode())
    assert cursors.read(cursor, principal=ALICE, query=query.encode(errors="ignore").decode()) == last
    for principal, other, key in ((BOB, "", b"k" * 32), (ALICE, "x", b"k" * 32), (ALICE, "", b"j" * 32)):
        with pytest.raises(InvalidCursor):
            Cursors(key).read(cursor, principal=principal, query=query.encode(errors="ignore").decode() + other)


@given(st.text(max_size=60))
def test_what_is_no_cursor_is_refused(text: str) -> None:
    with pytest.raises(InvalidCursor):
        Cursors(b"k" * 32).read(text, principal=ALICE, query="")
