"""The grant index against a naive list of grants, over anything that can happen to them, in any order."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from tests.fakes.grants import Rows, at_once
from tests.volume import volume

from loglease.model.grant import Grant, GrantState
from loglease.model.hold import LockKind, LockOn
from loglease.model.ids import GrantId
from loglease.model.instant import Instant, after
from loglease.model.principal import Principal

ANY = st.integers(0, 1_000)


class Machine(RuleBasedStateMachine):
    """Two people, their grants, and questions in between."""

    @initialize()
    def begin(self) -> None:
        self.rows = Rows()
        self.people = [self.rows.person("alice", frozenset({"oncall"})), self.rows.person("bob")]
        self._poll()

    def _poll(self) -> None:
        at_once(self.rows.watch.poll())

    def _one(self, number: int) -> Grant | None:
        found = [one for one in self.rows.by_id.values() if one.state in (GrantState.SCHEDULED, GrantState.ACTIVE)]
        return found[number % len(found)] if found else None

    # What happens to grants.

    @rule(who=ANY, duration_s=st.sampled_from([1, 2, 5, 60]), idle_s=st.sampled_from([None, None, 1, 3]))
    def schedule(self, who: int, duration_s: int, idle_s: int | None) -> None:
        self.rows.scheduled(self.people[who % 2], duration_s=duration_s, idle_s=idle_s)

    @rule(who=ANY, duration_s=st.sampled_from([1, 2, 5, 60]))
    def start(self, who: int, duration_s: int) -> None:
        self.rows.active(self.people[who % 2], duration_s=duration_s)

    @rule(number=ANY)
    def activate(self, number: int) -> None:
        grant = self._one(number)
        if grant is not None and grant.state is GrantState.SCHEDULED:
            self.rows.activated(grant)

    @rule(number=ANY, state=st.sampled_from([GrantState.REVOKED, GrantState.ENDED]))
    def end(self, number: int, state: GrantState) -> None:
        if (grant := self._one(number)) is not None:
            self.rows.over(grant, state)

    @rule(number=ANY)
    def suspend_or_resume(self, number: int) -> None:
        if (grant := self._one(number)) is not None:
            (self.rows.resume if grant.id in self.rows.suspended else self.rows.suspend)(grant)

    @rule(number=ANY)
    def a_session_opens_or_closes(self, number: int) -> None:
        """Nobody tells of it, as `access` does not either."""
        grant = self._one(number)
        if grant is not None and grant.state is GrantState.ACTIVE and self._lasts(grant):
            now = self.rows.clock.now()
            self.rows.by_id[grant.id] = grant.resting(now) if grant.idle_at is None else grant.in_use()

    @rule(number=ANY, kind=st.sampled_from(list(LockKind)), for_s=st.sampled_from([None, 1, 3]))
    def lock(self, number: int, kind: LockKind, for_s: int | None) -> None:
        grant = self._one(number)
        if grant is None or kind in (LockKind.TOKEN, LockKind.TARGET):
            return
        names = {
            LockKind.GRANT: grant.id,
            LockKind.REQUEST: grant.request,
            LockKind.PRINCIPAL: grant.holder,
            LockKind.PERSON: self.rows.people[grant.holder].person,
            LockKind.GROUP: "oncall",
            LockKind.POLICY: grant.policy,
            LockKind.SOURCE: "src",
            LockKind.EVERYTHING: "",
        }
        self.rows.lock(LockOn(kind, names[kind]), None if for_s is None else after(self.rows.clock.now(), for_s))

    @rule()
    def lift_all(self) -> None:
        for lock in list(self.rows.locks.values()):
            self.rows.lift(lock)

    @rule(who=ANY)
    def disable_or_enable(self, who: int) -> None:
        one = self.people[who % 2]
        self.people[who % 2] = self.rows.changed(one, enabled=not one.enabled)

    @rule()
    def lose_history(self) -> None:
        self.rows.epoch += 1
        self._poll()
        for grant in list(self.rows.by_id.values())[:2]:
            self.rows.by_id[grant.id] = replace(grant, epoch=self.rows.epoch)
            self.rows.of_grant(grant, "grant.resumed")

    # What the clocks do.

    @rule(seconds=st.sampled_from([0.5, 1.0, 2.0]))
    def time_passes(self, seconds: float) -> None:
        self.rows.clock.advance(seconds)
        self._poll()

    @rule(seconds=st.sampled_from([0.000001, 0.999999, 1.0, 5.0]))
    def time_passes_without_a_poll(self, seconds: float) -> None:
        self.rows.clock.advance(seconds)

    @rule(seconds=st.sampled_from([-3_600, -1, -0.000001, 0.5, 2]))
    def the_clock_steps(self, seconds: float) -> None:
        self.rows.clock.wall += round(seconds * 1_000_000)
        self._poll()

    # What is asked.

    @rule(number=ANY)
    def ask_while_one_is_revoked(self, number: int) -> None:
        """What is read may be what was before; what is asked next is what is."""
        grant = self._one(number)
        if grant is not None:
            self.rows.meanwhile = lambda: self.rows.over(grant)
            at_once(self.rows.index.reread(grant.holder))

    @invariant()
    def everybody_has_what_a_naive_list_says(self) -> None:
        for who in self.people:
            view = at_once(self.rows.index.view(who.id))
            assert view is not None
            assert [one.id for one in view.grants] == self._naive(who)
            assert self._now() < view.until

    def _now(self) -> Instant:
        """The later of two clocks: one that never goes back, and the database's, which is asked where need be."""
        return self.rows.watch.now

    def _lasts(self, grant: Grant) -> bool:
        ends = [one for one in (grant.valid_until, grant.idle_at) if one is not None]
        return grant.state is GrantState.ACTIVE and all(self._now() < one for one in ends)

    def _naive(self, who: Principal) -> list[GrantId]:
        return sorted(
            grant.id for grant in self.rows.by_id.values() if grant.holder == who.id and self._is_usable(grant)
        )

    def _is_usable(self, grant: Grant) -> bool:
        rows, holder = self.rows, self.rows.people[grant.holder]
        locked = {f"{lock.on.kind}:{lock.on.name}" for lock in rows.locks.values() if self._is_in_force(lock.until)}
        names = {
            f"grant:{grant.id}",
            f"request:{grant.request}",
            f"principal:{holder.id}",
            f"person:{holder.person}",
            *(f"group:{name}" for name in holder.groups),
            f"policy:{grant.policy}",
            "source:src",
            "everything:",
        }
        return (
            self._lasts(grant)
            and holder.enabled
            and grant.epoch == rows.epoch
            and grant.id not in rows.suspended
            and not locked & names
        )

    def _is_in_force(self, until: Instant | None) -> bool:
        return until is None or self._now() < until


@pytest.mark.volume
def test_what_is_remembered_is_what_a_naive_list_says() -> None:
    run_state_machine_as_test(
        Machine, settings=settings(max_examples=volume(25, 100), stateful_step_count=40, deadline=None)
    )
