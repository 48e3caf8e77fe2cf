from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loglease.model.instant import Instant
from loglease.model.pace import BACK_S, FOLLOWS, SETTLED_S, TOLERANCE_S, ClockCheck, Doubt, Pace, Sight

SECOND = 1_000_000
START = 1_800_000_000 * SECOND
BOOT = 77 * SECOND
STEPS = st.one_of(st.integers(-10 * SECOND, 10 * SECOND), st.integers(-(10**6) * SECOND, 10**6 * SECOND))
SPANS = st.one_of(st.integers(0, 2 * SECOND), st.integers(0, 1_000 * SECOND))


@dataclass
class Clocks:
    """A wall clock and a boot clock, somebody who looks at them, and the latest time that was recorded."""

    wall: int = START
    boot: int = BOOT
    pace: Pace = field(default_factory=Pace)
    mark: int = 0
    doubt: Doubt | None = None

    def look(self) -> Sight:
        sight = self.pace.look(self.wall, self.boot, mark=Instant(self.mark), doubted=self.doubt is not None)
        self.pace, self.doubt = sight.pace, sight.doubt
        self.mark = max(self.mark, self.now)
        return sight

    @property
    def now(self) -> int:
        return self.pace.time(self.wall, self.boot)

    def passes(self, us: int) -> None:
        self.wall += us
        self.boot += us

    def runs(self, seconds: float, every_s: float = 0.25) -> None:
        """Let time pass, and look all the while."""
        for _ in range(round(seconds / every_s)):
            self.passes(round(every_s * SECOND))
            self.look()


def looked() -> Clocks:
    clocks = Clocks()
    clocks.look()
    return clocks


def test_clocks_that_keep_step_are_trusted_however_long_nobody_looks() -> None:
    clocks = looked()
    for seconds in (0, 1, 600, 7 * 86_400):  # the boot clock counts the time in which a laptop sleeps
        clocks.passes(seconds * SECOND)
        assert clocks.look().doubt is None
        assert clocks.now == clocks.wall


@pytest.mark.parametrize("us", [TOLERANCE_S * SECOND, BACK_S * -SECOND])
def test_a_small_step_is_none(us: int) -> None:
    clocks = looked()
    clocks.wall += us
    assert clocks.look().doubt is None


@pytest.mark.parametrize("us", [TOLERANCE_S * SECOND + 1, 3_600 * SECOND, -TOLERANCE_S * SECOND - 1, -3_600 * SECOND])
def test_a_step_is_a_doubt_and_time_goes_on_evenly(us: int) -> None:
    clocks = looked()
    clocks.wall += us
    assert clocks.now == START
    assert clocks.look().doubt == Doubt(ClockCheck.BOOT, us)
    clocks.runs(100)
    assert clocks.doubt == Doubt(ClockCheck.BOOT, us)
    assert clocks.now == START + 100 * SECOND


def test_a_small_step_back_is_a_doubt_until_the_clock_is_where_it_was() -> None:
    clocks = looked()
    clocks.wall -= 3 * SECOND
    assert clocks.look().doubt == Doubt(ClockCheck.MARK, -3 * SECOND)
    clocks.runs(2.75)
    assert clocks.doubt is not None
    clocks.runs(0.25)
    assert clocks.doubt is None


def test_a_step_ahead_that_is_corrected_leaves_nothing_behind() -> None:
    clocks = looked()
    clocks.wall += 3_600 * SECOND
    clocks.look()
    clocks.runs(SETTLED_S - 1)
    clocks.wall -= 3_600 * SECOND
    assert clocks.look().doubt is None
    assert (clocks.now, clocks.mark) == (clocks.wall, clocks.wall)


def test_a_step_ahead_is_believed_once_the_clock_kept_step_and_ends_what_ends_by_then() -> None:
    clocks = looked()
    clocks.wall += 3_600 * SECOND
    clocks.look()
    clocks.runs(SETTLED_S - 0.25)
    assert clocks.doubt is not None
    clocks.passes(SECOND // 4)
    assert clocks.look() == Sight(clocks.pace, None, 3_600 * SECOND)
    assert clocks.now == clocks.wall


def test_another_step_ahead_begins_the_wait_anew_and_a_look_back_ends_it() -> None:
    clocks = looked()
    clocks.wall += 60 * SECOND
    clocks.look()
    clocks.runs(SETTLED_S - 1)
    clocks.wall += 60 * SECOND
    clocks.runs(SETTLED_S - 1)
    assert clocks.doubt is not None
    clocks.wall -= 3_600 * SECOND
    clocks.look()
    clocks.wall += 3_600 * SECOND
    clocks.runs(SETTLED_S - 1)
    assert clocks.doubt is not None
    clocks.runs(1.25)
    assert clocks.doubt is None


def test_after_a_start_the_clock_has_to_reach_what_was_recorded() -> None:
    clocks = Clocks(mark=START + 3_600 * SECOND)
    assert clocks.look().doubt == Doubt(ClockCheck.MARK, -3_600 * SECOND)
    assert clocks.pace.offset_us is None
    clocks.wall += 3_600 * SECOND - 1
    assert clocks.look().doubt == Doubt(ClockCheck.MARK, -1)
    clocks.wall += 1
    assert clocks.look().doubt is None  # whoever sets it right waits for nothing


def test_a_slow_drift_is_followed_and_a_fast_one_is_a_doubt() -> None:
    clocks = looked()
    for _ in range(24 * 3_600 // 10):  # ten seconds a day more than the boot clock has
        clocks.passes(10 * SECOND)
        clocks.wall += 1_100
        assert clocks.look().doubt is None
    for _ in range(100):
        clocks.passes(10 * SECOND)
        clocks.wall += SECOND
        clocks.look()
    assert clocks.doubt is not None


@given(moves=st.lists(st.tuples(STEPS, SPANS, st.booleans()), max_size=30))
def test_nobody_ever_goes_by_a_time_that_is_far_from_where_the_clock_was_trusted(
    moves: Sequence[tuple[int, int, bool]],
) -> None:
    clocks = looked()
    for step, span, looks in moves:
        clocks.wall += step
        clocks.passes(span)
        if looks:
            clocks.look()
        assert abs(clocks.now - clocks.boot - (clocks.pace.offset_us or 0)) <= TOLERANCE_S * SECOND
        assert clocks.doubt is not None or clocks.now == clocks.wall or not looks


@given(moves=st.lists(st.tuples(STEPS, SPANS), max_size=30))
def test_steps_back_lengthen_nothing_beyond_the_drift_that_is_followed(moves: Sequence[tuple[int, int]]) -> None:
    """Where the time is read that grants end by, it is never more than the tolerance behind the time that has passed."""
    clocks = looked()
    for step, span in moves:
        clocks.wall += step
        clocks.passes(span)
        clocks.look()
        passed = clocks.boot - BOOT
        assert clocks.now >= START + passed - passed // FOLLOWS - TOLERANCE_S * SECOND


@given(moves=st.lists(st.tuples(STEPS, SPANS), max_size=30))
def test_a_trusted_clock_is_near_the_boot_clock_and_not_behind_the_record(moves: Sequence[tuple[int, int]]) -> None:
    clocks = looked()
    for step, span in moves:
        clocks.wall += step
        clocks.passes(span)
        mark = clocks.mark
        if clocks.look().doubt is None:
            assert clocks.now == clocks.wall
            assert clocks.wall >= mark - BACK_S * SECOND


@given(back=st.integers(TOLERANCE_S * SECOND + 1, 10**7 * SECOND), spans=st.lists(SPANS, max_size=20))
def test_no_wait_makes_a_step_back_right(back: int, spans: Sequence[int]) -> None:
    clocks = looked()
    clocks.wall -= back
    for span in spans:
        clocks.passes(span)
        assert clocks.look().doubt is not None
    clocks.wall += back
    assert clocks.look().doubt is None


@given(before=st.lists(st.tuples(STEPS, SPANS), max_size=20))
def test_a_clock_that_is_set_where_it_should_be_and_runs_is_trusted_again(before: Sequence[tuple[int, int]]) -> None:
    clocks = looked()
    for step, span in before:
        clocks.wall += step
        clocks.passes(span)
        clocks.look()
    clocks.wall = clocks.boot + (clocks.pace.offset_us or 0)
    clocks.look()
    clocks.runs(2 * TOLERANCE_S)
    assert clocks.doubt is None
