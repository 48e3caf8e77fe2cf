from __future__ import annotations

from tests.fakes.clock import FakeClock

from loglease.access.steady_clock import SteadyClock, steady
from loglease.model.instant import Instant


class Sleepy(FakeClock):
    """A machine that falls asleep between two readings as often as it is told."""

    naps = 0

    def now(self) -> Instant:
        found = super().now()
        if self.naps:
            self.naps -= 1
            self.advance(3_600)
        return found


def test_a_machine_that_sleeps_between_two_readings_is_read_again() -> None:
    machine = Sleepy()
    clock = SteadyClock(machine)
    assert clock.look(Instant(0), doubted=False).doubt is None
    machine.naps = 2
    assert clock.look(Instant(0), doubted=False).doubt is None
    assert clock.now() == machine.wall


def test_before_the_first_look_it_is_the_machine_s_clock() -> None:
    machine = FakeClock()
    clock = SteadyClock(machine)
    machine.wall += 3_600_000_000
    assert (clock.now(), clock.boot_ns()) == (machine.wall, machine.boot)


def test_a_steady_clock_is_the_same_for_everybody() -> None:
    clock = SteadyClock(FakeClock())
    assert steady(clock) is clock
