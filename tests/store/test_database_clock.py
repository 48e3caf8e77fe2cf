"""The database's time by answers that take long or short, while somebody may set the database's clock."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from tests.fakes.clock import FakeClock

from loglease.store.database_clock import DRIFTS, DatabaseClock

SECOND = 1_000_000


class Asking:
    """A database whose clock is ahead of the boot clock by an offset, and a server that asks it."""

    def __init__(self, ahead_us: int) -> None:
        self.machine = FakeClock()
        self.clock = DatabaseClock(self.machine)
        self.ahead_us = ahead_us

    def ask(self, before_us: int, after_us: int) -> None:
        """Ask; the database reads its clock so long after the question and so long before the answer."""
        asked_ns = self.machine.boot_ns()
        self.machine.advance(before_us / SECOND)
        now_us = self.true_us()
        self.machine.advance(after_us / SECOND)
        self.clock.told(now_us, asked_ns=asked_ns)

    def true_us(self) -> int:
        return self.machine.boot_ns() // 1_000 + self.ahead_us

    @property
    def wrong_us(self) -> int:
        return abs(int(self.clock.now()) - self.true_us())


def test_it_is_the_machines_until_it_was_told() -> None:
    asking = Asking(7 * SECOND)
    assert asking.clock.now() == asking.machine.now()
    asking.ask(0, 0)
    assert asking.wrong_us == 0


def test_an_answer_that_waited_for_a_lock_shifts_nothing() -> None:
    asking = Asking(7 * SECOND)
    asking.ask(100, 100)
    for _ in range(5):
        asking.ask(4 * SECOND, 100)
        assert asking.wrong_us <= 1


def test_a_clock_that_was_set_is_followed_at_once_and_then_more_exactly() -> None:
    asking = Asking(7 * SECOND)
    asking.ask(100, 100)
    for ahead_us in (3_600 * SECOND, -3_600 * SECOND):
        asking.ahead_us = ahead_us
        asking.ask(2 * SECOND, 0)
        assert asking.wrong_us <= SECOND
        asking.ask(100, 200)
        assert asking.wrong_us <= 51


@given(
    st.integers(-(10**12), 10**12),
    st.lists(
        st.tuples(st.integers(0, 3 * SECOND), st.integers(0, 3 * SECOND), st.integers(0, 60 * SECOND)), min_size=1
    ),
)
def test_it_is_never_more_wrong_than_the_best_answer_and_what_has_drifted_since(
    ahead_us: int, answers: list[tuple[int, int, int]]
) -> None:
    asking = Asking(ahead_us)
    bound_us = 10**15
    for before_us, after_us, pause_us in answers:
        asking.ask(before_us, after_us)
        bound_us = min(bound_us + (before_us + after_us) // DRIFTS + 1, (before_us + after_us) // 2 + 2)
        assert asking.wrong_us <= bound_us
        asking.machine.advance(pause_us / SECOND)
        bound_us += pause_us // DRIFTS + 1
