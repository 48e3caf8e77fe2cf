"""The lease, the record, the budgets and the ends of grants and sessions, under simulated time and faults.

A simulation is one thread, one seed, two or three servers that run the product's own watch, sessions, pump and use cases
on a simulated database. `SIMULATION_SEEDS` says how many there are, `SIMULATION_EVENTS` how many events at least.
"""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from tests.simulation.faults import FAULTS, Fault, fade
from tests.simulation.gateway import SimGateway
from tests.simulation.judge import Broken
from tests.simulation.run import simulate
from tests.volume import volume

from loglease.access.serving import Reservation
from loglease.access.watch import Watch
from loglease.gateway import session
from loglease.gateway.session import ServedSession
from loglease.model.instant import Instant
from loglease.model.serving import Standing
from loglease.model.session import CloseWhy

SEEDS = int(os.environ.get("SIMULATION_SEEDS", volume(2, 6)))
EVENTS = int(os.environ.get("SIMULATION_EVENTS", "0"))
TRIES = 30
"""So many seeds may go by until a planted fault is found."""


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Keep the many warnings of servers that lose their database to themselves."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.volume
def test_nothing_that_was_promised_breaks_and_nothing_sticks() -> None:
    counts: Counter[str] = Counter()
    number = events = steps = 0
    while number < SEEDS or events < EVENTS:
        try:
            ran = simulate(f"seed-{number}")
        except BaseException as error:
            error.add_note(f"seed-{number}")
            raise
        number, events, steps = number + 1, events + ran.events, steps + ran.steps
        counts.update(ran.counts)
    print(f"{number} seeds, {events} events, {steps} steps of the scheduler: {dict(counts)}")  # noqa: T201
    assert min(counts[name] for name in ("handed", "acknowledged", "fault")) > 0


def test_the_same_seed_is_the_same_run() -> None:
    assert simulate("again", seconds=4) == simulate("again", seconds=4)
    assert simulate("again", seconds=4).trace != simulate("another", seconds=4).trace


def found(make: type[SimGateway] = SimGateway, kinds: Mapping[Fault, int] = FAULTS) -> str:
    """Return what is wrong as the first seed that finds it says."""
    for number in range(TRIES):
        try:
            simulate(f"planted-{number}", make=make, kinds=kinds)
        except Broken as broken:
            return str(broken)
    pytest.fail(f"nothing was found by {TRIES} seeds")


class FromTheEnd(Watch):
    """Counts its lease from the end of a renewal."""

    async def poll(self) -> None:
        await super().poll()
        self.lease_until_ns = self._clock.boot_ns() + 2_000_000_000


class ForEver(Watch):
    """Knows no end of its lease."""

    async def poll(self) -> None:
        await super().poll()
        self.lease_until_ns = 1 << 62


class Generous(Watch):
    """Takes the end of a grant for a second later than it is."""

    def deadline_ns(self, until: Instant) -> int:
        return super().deadline_ns(until) + 1_000_000_000


def with_watch(watch: type[Watch]) -> type[SimGateway]:
    class Planted(SimGateway):
        def make_watch(self) -> Watch:
            return watch(self.store, self.steady, self.chance.randbytes)

    return Planted


@pytest.mark.parametrize(
    ("watch", "says"),
    [
        (FromTheEnd, "lines without a lease"),
        (ForEver, "lines without a lease"),
        (Generous, "lines at or after the end of a grant"),
    ],
)
def test_a_weak_lease_or_deadline_is_found(watch: type[Watch], says: str) -> None:
    assert says in found(with_watch(watch), {fade: 1})


def test_lines_that_nobody_asked_about_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def anything(standing: Standing, **_: Any) -> CloseWhy | None:
        return standing.ending

    monkeypatch.setattr(session, "may_serve", anything)
    assert "lines that are not on the record" in found()


def test_an_account_that_does_not_follow_its_record_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    reserved = ServedSession.reserved

    def short(machine: ServedSession, reservation: Reservation, acknowledged_ns: int, share: int = 0) -> None:
        reserved(machine, reservation, acknowledged_ns, share)
        if machine.shares[share]._unsettled.lines:
            machine.shares[share]._unsettled.lines -= 1

    monkeypatch.setattr(ServedSession, "reserved", short)
    assert "sessions are open that nobody serves" in found()
