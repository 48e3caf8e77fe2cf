"""Break-glass and after-reviews on a real database against a reference that shares no code with them.

Drawn: who breaks the glass, who says what, how time goes on, who changes groups. Compared after each act: whether it was
allowed, where each after-review stands, and to whom emergencies and automatic routes are closed.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)
from tests.access.glass import ALICE, BOB, BOT, CAROL, DAVE, EVERYONE, GLASS, PRIYA, TWIN, broken, looked_at, quick
from tests.fakes.world import Runner, World
from tests.volume import WHOLE, volume

from loglease.access.standing import closed_to
from loglease.model.after_review import AfterVerdict
from loglease.model.errors import LogLeaseError
from loglease.model.offer import Outcome
from loglease.model.principal import Kind

STEPS = 30
EXAMPLES = volume(15, 40)
LEAST = {
    "broken",
    "broken refused",
    "justified",
    "not_justified",
    "follow_up",
    "refused verdict",
    "quick auto",
    "quick review",
}
USUAL = {"broken", "justified"}
PEOPLE = {one.account: one for one in EVERYONE}
WITHIN, WINDOW, PER_PERSON = 24 * 3_600, 7 * 24 * 3_600, 2
SEEN: Counter[str] = Counter()


@dataclass
class Said:
    person: str
    verdict: str
    at: int


@dataclass
class Held:
    """What the reference knows of one after-review."""

    person: str
    emergency: bool
    at: int
    said: list[Said] = field(default_factory=list)

    @property
    def state(self) -> str:
        return self.said[-1].verdict if self.said else "open"

    def closes(self, now: int) -> bool:
        """Read aloud: not done in time, or done late by anything but justified, or called not justified last."""
        if self.state == "justified":
            return False
        if self.state == "not_justified":
            return True
        return (self.said[-1].at if self.said else now) >= self.at + WITHIN

    def takes(self, who: str, verdict: str, now: int) -> bool:
        person = PEOPLE[who].person
        late = not self.said and now >= self.at + WITHIN
        groups = {"leads", "privacy"} if late and self.emergency else {"leads"}
        if PEOPLE[who].kind is not Kind.HUMAN or person == self.person or not groups & PEOPLE[who].groups:
            return False
        if self.said and self.said[-1].verdict == verdict and self.said[-1].person == person:
            return True  # the same act again
        if self.state == "not_justified":
            objectors = {one.person for one in self.said if one.verdict == "not_justified"}
            return verdict == "justified" and person not in objectors
        return self.state == "open" or (self.state == "follow_up" and verdict != "follow_up")

    def say(self, who: str, verdict: str, now: int) -> None:
        person = PEOPLE[who].person
        if not (self.said and self.said[-1].verdict == verdict and self.said[-1].person == person):
            self.said.append(Said(person, verdict, now))


class AfterReviewMachine(RuleBasedStateMachine):
    reviews = Bundle("reviews")

    def __init__(self) -> None:
        super().__init__()
        self.run = Runner()
        self.folder = tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None)
        self.held: dict[str, Held] = {}
        self.now = 0

    @initialize()
    def begin(self) -> None:
        self.world = self.run(World(Path(self.folder.name), policy=GLASS).start())
        self.run(self.world.add(*EVERYONE))

    def teardown(self) -> None:
        if hasattr(self, "world"):
            self.run(self.world.stop())
        self.run.close()
        self.folder.cleanup()

    def attempt(self, act: Coroutine[Any, Any, Any]) -> Any:
        try:
            return self.run(act)
        except LogLeaseError:
            return None

    def is_closed(self, person: str) -> bool:
        mine = [one for one in self.held.values() if one.person == person]
        uses = sum(one.emergency and one.at > self.now - WINDOW for one in mine)
        return uses >= PER_PERSON or any(one.closes(self.now) for one in mine)

    @rule(target=reviews, who=st.sampled_from([ALICE, TWIN, BOB, DAVE, CAROL, BOT]))
    def break_glass(self, who: Any) -> Any:
        allowed = who.kind is Kind.HUMAN and "sre" in who.groups and not self.is_closed(who.person)
        request = self.attempt(broken(self.world, who))
        assert (request is not None) == allowed, f"{who.account}: {allowed}"
        SEEN["broken" if allowed else "broken refused"] += 1
        if request is None:
            return multiple()
        self.held[request.id] = Held(who.person, emergency=True, at=self.now)
        return request.id

    @rule(target=reviews, who=st.sampled_from([ALICE, TWIN, DAVE]))
    def ask_for_what_is_automatic(self, who: Any) -> Any:
        closed = self.is_closed(who.person)
        request = self.attempt(quick(self.world, who))
        if request is None:  # ten of theirs wait already
            assert closed
            return multiple()
        assert (request.offer.outcome is Outcome.AUTO) == (not closed)
        SEEN["quick review" if closed else "quick auto"] += 1
        if closed:
            return multiple()
        self.held[request.id] = Held(who.person, emergency=False, at=self.now)
        return request.id

    @rule(
        request=reviews,
        who=st.sampled_from([BOB, CAROL, BOB, CAROL, PRIYA, ALICE, TWIN, BOT, DAVE]),
        verdict=st.sampled_from(AfterVerdict),
    )
    def look(self, request: Any, who: Any, verdict: AfterVerdict) -> None:
        held = self.held[request]
        allowed = held.takes(who.account, str(verdict), self.now)
        done = self.attempt(looked_at(self.world, request, who, verdict))
        assert (done is not None) == allowed, f"{who.account} {verdict} on {held}"
        SEEN[str(verdict) if allowed else "refused verdict"] += 1
        if allowed:
            held.say(who.account, str(verdict), self.now)

    @rule(seconds=st.sampled_from([1, 3_600, 12 * 3_600, WITHIN - 1, WITHIN, WINDOW]))
    def time_goes_on(self, seconds: int) -> None:
        self.world.clock.advance(seconds)
        self.now += seconds

    @invariant()
    def both_agree(self) -> None:
        if not hasattr(self, "world"):
            return
        instant = self.world.clock.now()
        found = self.run(
            self.world.store.read(
                lambda tx: (
                    {one.request: one for one in tx.after_reviews.page(limit=1_000)},
                    {
                        name: closed_to(tx, one, tx.principals.directory(), self.world.rules, instant)
                        for name, one in PEOPLE.items()
                    },
                    [orjson.loads(row.content) for row in tx.entries.since(0, limit=10_000)],
                )
            )
        )
        stored, closed, entries = found
        assert {request: str(one.state) for request, one in stored.items()} == {
            request: held.state for request, held in self.held.items()
        }
        assert {name: why is not None for name, why in closed.items()} == {
            name: self.is_closed(one.person) for name, one in PEOPLE.items()
        }
        said = sum(len(held.said) for held in self.held.values())
        assert sum(one["type"] == "breakglass.reviewed" for one in entries) == said
        assert all(opinion.person not in one.persons for one in stored.values() for opinion in one.opinions)


@pytest.mark.volume
def test_after_reviews_are_as_the_reference_says() -> None:
    run_state_machine_as_test(
        AfterReviewMachine,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=STEPS,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
    least = LEAST if WHOLE else USUAL
    assert set(SEEN) >= least, f"never tried: {sorted(least - set(SEEN))}"
