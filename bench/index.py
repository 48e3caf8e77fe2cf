"""How long the gateway's grant index takes to answer, by the number of active grants, beside a call that does nothing.

Processor time of one thread, medians of rounds in which all variants take turns. *Warm* is what the read path asks for
each session and stream: the caller's grants at this moment, and whether a stream is covered. *Cold* is the first
question after a grant has ended, for which the view is made anew. *Add* and *revoke* are the news of a change
and the new view of that principal, without reading the database, which no number of other grants makes slower.

Then both ways to find a caller's grants side by side, with the database in them: read at each call, or kept. Absolute
figures depend on the machine; only the ratios are goals.

Run: ``python -m bench.index [--quick]``. The last line is one object of JSON; the exit code is 1 where a
goal is missed.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import pickle
import random
import tempfile
import time
import tracemalloc
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Final

from tests.fakes.clock import FakeClock
from tests.fakes.grants import Rows, at_once
from tests.gateway.world import TOKEN, world

from loglease.access.caller import Caller
from loglease.access.permissions import held_grant, is_held
from loglease.access.watch import News
from loglease.gateway.admission import active_grants, named_grant
from loglease.gateway.covered_streams import CoveredStreams
from loglease.gateway.grant_index import MAX_GRANTS, GrantIndex, Holding, holding_of, view_of
from loglease.model.grant import Grant, GrantState
from loglease.model.ids import PrincipalId
from loglease.model.instant import Instant
from loglease.model.labels import Labels, labels_of
from loglease.model.principal import Principal
from loglease.model.selector_text import parse_selector
from loglease.server.clock import SystemClock
from loglease.store.interface import Transaction

WARM, MANY, COLD, ADD, REVOKE, SIZE, FLAT = (
    "warm read of one stream ÷ a call that does nothing",
    "20 streams ÷ one",
    "cold view of 50 grants ÷ a warm read",
    "add at 100,000 grants ÷ at 1,000",
    "revoke at 100,000 grants ÷ at 1,000",
    "bytes per grant",
    "warm read at 100,000 grants ÷ at 100",
)
GOALS: Final = {WARM: 15.0, MANY: 14.0, COLD: 20.0, ADD: 2.0, REVOKE: 2.0, SIZE: 1_024.0, FLAT: 2.0}
COUNTS: Final = (100, 1_000, 10_000, 100_000)
OF_ONE: Final = 50
"""Grants of each principal."""
SELECTOR: Final = parse_selector('{env="prod",service=~"pay-.*",data_class=~"internal|pii"}')
CALLS: Final = 1_000
CALLERS: Final = 15
"""Principals who read at the same time, in random order."""
CHANGES: Final = 5
Step = Callable[[], object]
Test = Callable[[Labels], bool]


def labels(number: int) -> Labels:
    """Return the six labels of a stream that is covered."""
    names = {"env": "prod", "service": f"pay-{number}", "data_class": "pii", "zone": "eu", "app": "api", "pod": "p-1"}
    return labels_of(names)


STREAMS: Final = [labels(number) for number in range(20)]


class Standing(FakeClock):
    """A clock that costs what the system's does and stands still."""

    def __init__(self) -> None:
        super().__init__()
        self._real = SystemClock()

    def boot_ns(self) -> int:
        """Return the same time again."""
        self._real.boot_ns()
        return self.boot


class Kept:
    """An index with so many grants, and in which order who is asked about."""

    def __init__(self, count: int) -> None:
        self.rows = Rows(Standing())
        at_once(self.rows.watch.poll())
        self.index = self.rows.index
        self.holders = [self.rows.person(f"person-{number}") for number in range(count // OF_ONE)]
        self.changing = [(one, self.read(one)) for one in self.holders[-CHANGES:]]
        self.holdings = {one.id: self.read(one) for one in self.holders}
        for who, holding in self.holdings.items():
            self.index.keep(who, holding)
        tests = {one.id: self._test(one.id) for one in self.holders}
        self.asked = [(one.id, tests[one.id]) for one in random.Random(1).choices(self.holders[:CALLERS], k=CALLS)]
        self.anybody = [(one.id, tests[one.id]) for one in random.Random(1).choices(self.holders, k=CALLS)]

    def read(self, one: Principal) -> Holding:
        """Return what a database would give: no grant shares an object with another one."""
        for _ in range(OF_ONE):
            grant = self.rows.active(one, selector=SELECTOR, duration_s=8 * 3_600)
            self.rows.by_id[grant.id] = pickle.loads(pickle.dumps(grant))  # noqa: S301 - our own
        holding = holding_of(self.rows, one.id, self.rows.clock.now())  # type: ignore[arg-type]
        self.rows.by_id.clear()
        if holding is None:
            raise LookupError(one.id)
        return holding

    def _test(self, one: PrincipalId) -> Test:
        view = self.index.kept(one)
        covers = (CoveredStreams() if view is None else view.covered).of(SELECTOR)
        if view is None or not all(map(covers, STREAMS)):
            raise ValueError("a stream is not covered")
        return covers

    def not_asked(self) -> Step:
        """Return the step that does nothing for each of those who are asked about."""

        def nothing(_one: PrincipalId, _covers: Test) -> bool:
            return True

        return lambda: [nothing(one, covers) for one, covers in self.asked]

    def warm(self, streams: Sequence[Labels]) -> Step:
        """Return the step that asks for somebody's view and for streams, many times."""
        kept = self.index.kept
        if len(streams) > 1:
            return lambda: [[kept(one), *map(covers, streams)] for one, covers in self.asked]
        labels = streams[0]
        return lambda: [kept(one) is not None and covers(labels) for one, covers in self.asked]

    def warm_of_anybody(self) -> Step:
        """Return the same for principals that the processor has to fetch from memory first."""
        kept, labels = self.index.kept, STREAMS[0]
        return lambda: [kept(one) is not None and covers(labels) for one, covers in self.anybody]

    def cold(self) -> Step:
        """Return the step that asks after the end of a grant, many times."""
        index, ended = self.index, Instant(0)
        known = [(one, self.holdings[one]) for one, _ in self.asked]
        before = [(one, holding, replace(holding.view, until=ended)) for one, holding in known]

        def step() -> None:
            for one, holding, view in before:
                holding.view = view
                index.kept(one)

        return step

    def unknown(self) -> Step:
        """Return the step that tests a stream against a selector for the first time, many times."""
        return lambda: [CoveredStreams().of(SELECTOR)(STREAMS[0]) for _ in self.asked]

    def changed(self, *, revoked: bool) -> Step:
        """Return the step in which a grant of each of some people starts, or is revoked, many times."""

        def step() -> None:
            for one, holding in self.changing:
                live = holding.live[1:] if revoked else holding.live
                grants = holding.view.grants[1:] if revoked else holding.view.grants
                self.index.hear(News(grant=holding.live[0]) if revoked else News(subject=one.subject))
                view = view_of(grants)
                self.index.keep(one.id, Holding(one.subject, live, view))

        return step


def measured(steps: Mapping[str, tuple[Step, int]], rounds: int) -> dict[str, float]:
    """Run all steps in turn; return the median processor nanoseconds of each call in them."""
    times: dict[str, list[float]] = {name: [] for name in steps}
    for turn in range(rounds + 1):
        for name, (step, calls) in steps.items():
            begun = time.thread_time_ns()
            step()
            if turn:
                times[name].append((time.thread_time_ns() - begun) / calls)
    return {name: median(taken) for name, taken in times.items()}


def bytes_of_each(people: int) -> float:
    """Return how much memory a grant takes in an index."""
    kept = Kept(OF_ONE)
    more = [kept.rows.person(f"more-{number}") for number in range(people)]
    gc.collect()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for one in more:
        kept.index.keep(one.id, kept.read(one))
    gc.collect()
    taken = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    return taken / (people * OF_ONE)


def in_memory(rounds: int) -> tuple[dict[str, float], dict[str, float]]:
    """Measure all that needs no database; return nanoseconds and ratios."""
    steps: dict[str, tuple[Step, int]] = {}
    for count in COUNTS:
        kept = Kept(count)
        steps[f"warm, {count:,}"] = kept.warm(STREAMS[:1]), CALLS
        if count == COUNTS[-1]:
            steps[f"warm, {count:,}, of anybody"] = kept.warm_of_anybody(), CALLS
        if count in (1_000, 100_000):
            steps[f"add, {count:,}"] = kept.changed(revoked=False), len(kept.changing)
            steps[f"revoke, {count:,}"] = kept.changed(revoked=True), len(kept.changing)
        if count == 1_000:
            steps["a call that does nothing"] = kept.not_asked(), CALLS
            steps["20 streams"] = kept.warm(STREAMS), CALLS
            steps["cold"] = kept.cold(), CALLS
            steps["a stream that was not tested yet"] = kept.unknown(), CALLS
    gc.freeze()  # as a server does with what its start made
    taken = measured(steps, rounds)
    warm = taken["warm, 1,000"]
    most = max(taken[f"warm, {count:,}"] for count in COUNTS)
    return taken, {
        WARM: most / taken["a call that does nothing"],
        FLAT: taken["warm, 100,000"] / taken["warm, 100"],
        MANY: taken["20 streams"] / warm,
        COLD: taken["cold"] / warm,
        ADD: taken["add, 100,000"] / taken["add, 1,000"],
        REVOKE: taken["revoke, 100,000"] / taken["revoke, 1,000"],
    }


async def with_database(rounds: int) -> dict[str, float]:
    """Measure how a caller's grants are found, in processor microseconds of the process, with the database in it."""
    with tempfile.TemporaryDirectory() as directory:
        async with world(Path(directory)) as w:
            for _ in range(20):
                last = await w.grant('{service="a",env=~"x|y"}')
            caller = w.callers[TOKEN]
            index = GrantIndex(w.store, w.watch, w.clock)
            steps: dict[str, Callable[[], Awaitable[object]]] = {
                "20 grants, read at each call": lambda: w.store.read(lambda tx: read_anew(tx, caller, w.clock.now())),
                "20 grants, index": lambda: active_grants(caller=caller, index=index),
                "20 grants, index after news": lambda: index.reread(caller.principal.id),
                "a named grant, read at each call": lambda: w.store.read(
                    lambda tx: is_held(tx, held_grant(tx, caller, last.id), w.clock.now())
                ),
                "a named grant, index": lambda: named_grant(
                    last.id, caller=caller, index=index, store=w.store, now=w.clock.now()
                ),
            }
            times: dict[str, list[float]] = {name: [] for name in steps}
            for turn in range(rounds + 1):
                for name, step in steps.items():
                    await w.watch.poll()
                    begun = time.process_time_ns()
                    for _ in range(10):
                        await step()
                    if turn:
                        times[name].append((time.process_time_ns() - begun) / 10_000)
    return {f"{name}, µs": round(median(taken), 1) for name, taken in times.items()}


def read_anew(tx: Transaction, caller: Caller, now: Instant) -> list[Grant]:
    """Return the active grants of a caller as the database has them, one after the other."""
    found = tx.grants.page(holder=caller.principal.id, live_at=now, limit=MAX_GRANTS)
    return [one for one in found if one.state_at(now, held=is_held(tx, one, now)) is GrantState.ACTIVE]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer rounds")
    rounds = 7 if parser.parse_args().quick else 21
    taken, ratios = in_memory(rounds)
    ratios[SIZE] = bytes_of_each(100)
    figures = {f"{name}, ns": round(nanoseconds, 1) for name, nanoseconds in taken.items()}
    figures |= asyncio.run(with_database(rounds))
    for name, figure in figures.items():
        print(f"{name:52} {figure}")
    lost = [name for name, value in ratios.items() if value > GOALS[name]]
    for name, value in ratios.items():
        print(f"{name:52} {value:8.3f} ≤ {GOALS[name]:<7} {'MISSED' if name in lost else 'ok'}")
    rounded = {name: round(value, 4) for name, value in ratios.items()}
    print(json.dumps({"bench": "index", **figures, **rounded, "goals": GOALS}))
    if lost:
        raise SystemExit("missed: " + "; ".join(lost))


if __name__ == "__main__":
    main()
