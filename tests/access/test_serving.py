"""What sessions report is added to their account once, however often it is reported."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loglease.access.errors import AccountMismatch
from loglease.access.serving import NOTHING, Settled, settle
from loglease.model.session import Account

FAR = 1_000_000
counts = st.tuples(st.integers(0, 256), st.integers(0, 65_536))


def report(after: tuple[int, int], handed: tuple[int, int], rest: Settled | None = None) -> Settled:
    return Settled(after_lines=after[0], after_bytes=after[1], lines=handed[0], size=handed[1], rest=rest)


@given(counts, counts)
def test_a_report_counts_once(before: tuple[int, int], handed: tuple[int, int]) -> None:
    account = Account(ceiling_lines=FAR, ceiling_bytes=FAR, settled_lines=before[0], settled_bytes=before[1])
    said = report(before, handed)
    once, fresh = settle(account, said)
    assert (once.settled_lines, once.settled_bytes) == (before[0] + handed[0], before[1] + handed[1])
    assert fresh == said
    twice, nothing = settle(once, said)
    assert twice == once
    assert (nothing.lines, nothing.size) == (0, 0)


@given(counts, counts, counts)
def test_the_last_report_is_right_whether_the_one_before_was_recorded_or_lost(
    before: tuple[int, int], lost: tuple[int, int], later: tuple[int, int]
) -> None:
    account = Account(ceiling_lines=FAR, ceiling_bytes=FAR, settled_lines=before[0], settled_bytes=before[1])
    middle = (before[0] + lost[0], before[1] + lost[1])
    whole = (lost[0] + later[0], lost[1] + later[1])
    last = report(before, whole, rest=report(middle, later))
    recorded, _ = settle(account, report(before, lost))
    assert settle(account, last)[0] == settle(recorded, last)[0]
    fresh = settle(recorded, last)[1]
    assert (fresh.lines, fresh.size) == later


def test_a_report_that_follows_no_record_is_refused() -> None:
    account = Account(ceiling_lines=10, ceiling_bytes=10, settled_lines=5, settled_bytes=5)
    with pytest.raises(AccountMismatch):
        settle(account, report((2, 2), (1, 1)))
    with pytest.raises(AccountMismatch):
        settle(account, NOTHING)


def test_nothing_above_the_ceiling_is_settled() -> None:
    account = Account(ceiling_lines=10, ceiling_bytes=10)
    assert settle(account, report((0, 0), (11, 12)))[0] == Account(
        ceiling_lines=10, ceiling_bytes=10, settled_lines=10, settled_bytes=10
    )
