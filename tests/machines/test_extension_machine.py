"""Chains of grants on a real database: whatever people and the clock do, no two grants of a chain are valid at once.

Checked after every step, from what is stored: validity of the grants of a chain never overlaps, a chain has no more
grants and no more time than its policy says, what is over stays over, and nothing goes on from a grant that ended early.
"""

from __future__ import annotations

import itertools
import tempfile
from collections import Counter
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, multiple, precondition, rule
from hypothesis.stateful import run_state_machine_as_test as run_machine
from tests.fakes.world import POLICY, Runner, World, caller, principal, rules_of, wish
from tests.volume import WHOLE, volume

from loglease.access.activate_grant import activate_grant
from loglease.access.expire_due import expire_due
from loglease.access.extension_draft import ExtensionDraft
from loglease.access.journal import Journal
from loglease.access.permissions import is_held
from loglease.access.resume_grant import resume_grant
from loglease.access.return_grant import return_grant
from loglease.access.review_request import review_request
from loglease.access.revoke import revoke
from loglease.access.start_extensions import Starter
from loglease.access.submit_request import submit_request
from loglease.access.suspend_grant import suspend_grant
from loglease.access.watch import Watch
from loglease.model.access_request import AccessRequest, RequestState
from loglease.model.errors import LogLeaseError
from loglease.model.grant import EndWhy, Grant, GrantState
from loglease.model.hold import LockKind, LockOn
from loglease.model.ids import GrantId
from loglease.model.instant import MICROSECONDS, Instant
from loglease.model.review import Verdict
from loglease.store.interface import Transaction

TIMES, BY_S, FIRST_S = 2, 300, 600
RULES = POLICY.replace(
    b"activate_within: 1h\n  limits: {lines: 1000}\n  redaction: pii-default\napprove:\n  - otherwise: true\n"
    b"    stages: [{from: [group:approvers], need: 1}]",
    b"activate_within: 1h\n  limits: {lines: 1000}\n  redaction: pii-default\n"
    b"  extend: {times: 2, by: 5m}\napprove:\n  - otherwise: true\n    stages: [{from: [group:approvers], need: 1}]",
    1,
)
STEPS, EXAMPLES = 40, volume(20, 70)
ENDS = (GrantState.ENDED, GrantState.REVOKED)
ALICE = principal("alice")
BOB = principal("bob", groups=("engineering", "approvers"))
SEEN: Counter[str] = Counter()
NUMBERS = st.sampled_from([0, 0, 0, 1, 1, 2, 3])
RARELY = st.sampled_from([False, False, False, False, True])


class ExtensionMachine(RuleBasedStateMachine):
    requests = Bundle("requests")

    def __init__(self) -> None:
        super().__init__()
        self.run = Runner()
        self.folder = tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None)
        self.over: dict[GrantId, GrantState] = {}

    @initialize()
    def begin(self) -> None:
        self.world = self.run(World(Path(self.folder.name)).start())
        self.world.rules = rules_of(RULES)
        self.run(self.world.add(ALICE, BOB))
        self.journal = Journal.open(Path(self.folder.name) / "revocations.journal")
        world = self.world
        self.watch = Watch(world.store, world.clock, world.random)
        self.starter = Starter(
            log=world.log, store=world.store, watch=self.watch, clock=world.clock, new_id=world.new_id
        )

    def teardown(self) -> None:
        if hasattr(self, "world"):
            self.journal.close()
            self.run(self.world.stop())
        self.run.close()
        self.folder.cleanup()

    def attempt(self, what: str, act: Coroutine[Any, Any, Any]) -> Any:
        try:
            done = self.run(act)
        except LogLeaseError as refusal:
            SEEN[f"{what}: {refusal.code}"] += 1
            return None
        SEEN[what] += 1
        return done

    def who(self, one: Any) -> Any:
        return caller(one, self.world.clock.now())

    def stored(self, grant_id: GrantId) -> Grant:
        found = self.run(self.world.store.read(lambda tx: tx.grants.find(grant_id)))
        assert found is not None
        return found

    def all(self) -> list[Grant]:
        return list(self.run(self.world.store.read(lambda tx: tx.grants.page(limit=500))))

    def one(self, number: int, *states: GrantState) -> GrantId | None:
        """Return some grant that is stored in one of these states, or any; the newest ones first."""
        found = [one.id for one in self.all() if not states or one.state in states]
        return found[number % len(found)] if found else None

    def in_use(self) -> int:
        return sum(one.stored_state_at(self.world.clock.now()) is GrantState.ACTIVE for one in self.all())

    @precondition(lambda self: self.in_use() < 2)
    @rule()
    def have_one_in_use(self) -> None:
        done = self.attempt("ask", submit_request(wish(), caller=self.who(ALICE), offer=None, **self.world.ports))
        if done is not None:
            self.review(done, deny=False)
            self.use(0)

    @precondition(lambda self: self.in_use() > 0)
    @rule(target=requests, number=NUMBERS, duration=st.sampled_from([None, None, 60, 3_600]))
    def extend(self, number: int, duration: int | None) -> Any:
        grant = self.one(number, GrantState.ACTIVE) or self.one(number)
        if grant is None:
            return multiple()
        draft = ExtensionDraft(grant=grant, reason="longer", duration_s=duration)
        done = self.attempt("extend", submit_request(draft, caller=self.who(ALICE), offer=None, **self.world.ports))
        return multiple() if done is None else done

    @precondition(lambda self: self.in_use() > 0)
    @rule(number=NUMBERS, times=st.sampled_from([0, 1, 1, 3]))
    def go_on(self, number: int, times: int) -> None:
        for step in range(max(1, times)):
            asked = self.extend(number if step == 0 else 0, None)
            if not isinstance(asked, AccessRequest) or asked.wish.extends is None:
                return
            self.review(asked, deny=False)
            if times:
                self.wait_until(self.stored(asked.wish.extends.grant).due_at)
                self.start()

    @rule(request=requests, deny=RARELY)
    def review(self, request: AccessRequest, *, deny: bool) -> None:
        verdict = Verdict.DENY if deny else Verdict.APPROVE
        kind = "an extension" if request.wish.extends else "a request"
        self.attempt(
            f"{verdict} {kind}",
            review_request(
                request.id,
                verdict=verdict,
                digest=request.digest,
                comment="said so",
                caller=self.who(BOB),
                **self.world.ports,
            ),
        )

    @rule(number=NUMBERS)
    def use(self, number: int) -> None:
        grant = self.one(number, GrantState.SCHEDULED) or self.one(number)
        if grant is None:
            return
        world = self.world
        self.attempt(
            "use an extension" if self.stored(grant).extends else "use a grant",
            activate_grant(
                grant, caller=self.who(ALICE), log=world.log, watch=self.watch, rules=world.rules, new_id=world.new_id
            ),
        )

    @rule(seconds=st.sampled_from([0, 1, 59, 240, 300, 601]))
    def wait(self, seconds: int) -> None:
        self.world.clock.advance(seconds)

    @rule(number=NUMBERS, offset_us=st.sampled_from([-1_000_000, -1, 0, 1, 1_000_000]))
    def wait_for_an_end(self, number: int, offset_us: int) -> None:
        grant = self.one(number, GrantState.ACTIVE, GrantState.SCHEDULED)
        if grant is not None:
            self.wait_until(Instant(self.stored(grant).due_at + offset_us))

    def wait_until(self, instant: Instant) -> None:
        ahead = instant - self.world.clock.now()
        if ahead > 0:
            self.world.clock.advance(ahead / MICROSECONDS)

    @rule()
    def sweep(self) -> None:
        self.run(expire_due(log=self.world.log, new_id=self.world.new_id))

    @rule()
    def start(self) -> None:
        SEEN["begin"] += self.run(self.starter.step(self.world.rules))

    @rule(number=NUMBERS, act=st.sampled_from(["return", "revoke", "suspend", "suspend what goes on", "resume"]))
    def interfere(self, number: int, act: str) -> None:
        grant = self.one(number, GrantState.ACTIVE) or self.one(number)
        if grant is None:
            return
        world, journalled = self.world, {"store": self.world.store, "watch": self.watch, "journal": self.journal}
        ports: dict[str, Any] = {"log": world.log, "new_id": world.new_id}
        random = {"random": world.random}
        bob = {"caller": self.who(BOB)}
        match act:
            case "return":
                self.attempt(act, return_grant(grant, caller=self.who(ALICE), **ports))
            case "resume":
                self.attempt(act, resume_grant(grant, reason="fine", **bob, **ports, **random))
            case "suspend" | "suspend what goes on":
                if act != "suspend":
                    self.go_on(number, 0)
                acts: dict[str, Any] = {**bob, **ports, **random, **journalled, "clock": world.clock}
                self.attempt("suspend", suspend_grant(grant, reason="look", **acts))
            case _:
                acts = {**bob, **ports, **random, **journalled, "clock": world.clock}
                done = self.attempt(act, revoke(LockOn(LockKind.GRANT, grant), reason="over", **acts))
                if done is not None:
                    now = world.clock.now()
                    chain = [one for one in self.all() if grant in (one.id, *one.extends)]
                    assert all(one.stored_state_at(now) in ENDS for one in chain)

    # What holds after every step.

    @invariant()
    def no_two_grants_of_a_chain_are_valid_at_once(self) -> None:
        if not hasattr(self, "world"):
            return
        now = self.world.clock.now()
        for chain in chains(self.all()):
            spans = sorted(
                (one.valid_from, min(one.valid_until, one.ended_at or one.valid_until))
                for one in chain
                if one.valid_from is not None and one.valid_until is not None
            )
            for (_, end), (start, _) in itertools.pairwise(spans):
                assert start >= end
            assert len([one for one in chain if one.stored_state_at(now) is GrantState.ACTIVE]) <= 1
            SEEN["chains of more than one"] += len(spans) > 1

    @invariant()
    def a_chain_is_bounded(self) -> None:
        if not hasattr(self, "world"):
            return
        for chain in chains(self.all()):
            valid = [one for one in chain if one.valid_from is not None and one.valid_until is not None]
            assert len(valid) <= 1 + TIMES
            total = sum((one.valid_until or 0) - (one.valid_from or 0) for one in valid)
            assert total <= (FIRST_S + TIMES * BY_S) * MICROSECONDS
            assert max(len(one.extends) for one in chain) <= TIMES

    @invariant()
    def what_is_over_stays_over(self) -> None:
        if not hasattr(self, "world"):
            return
        for one in self.all():
            assert self.over.get(one.id, one.state) is one.state
            if one.state in ENDS:
                self.over[one.id] = one.state

    @invariant()
    def nothing_goes_on_from_what_ended_early(self) -> None:
        if not hasattr(self, "world"):
            return
        found = {one.id: one for one in self.all()}
        for one in found.values():
            if one.before is None:
                continue
            before = found[one.before]
            if before.state in ENDS and before.ended_why is not EndWhy.EXPIRED:
                assert one.state in ENDS
            if one.valid_from is not None:
                assert before.valid_until is not None
                assert one.valid_from >= before.valid_until

        def query(tx: Transaction) -> list[Any]:
            return [(one, tx.requests.extending(one.id)) for one in found.values() if one.state in ENDS]

        for over, pending in self.run(self.world.store.read(query)):
            if pending is not None and over.ended_why is not EndWhy.EXPIRED:
                assert pending.state_at(self.world.clock.now()) is not RequestState.PENDING

    @invariant()
    def a_suspended_grant_is_not_slipped_out_of(self) -> None:
        if not hasattr(self, "world"):
            return
        now = self.world.clock.now()

        def query(tx: Transaction) -> list[GrantState]:
            return [
                one.state_at(now, held=is_held(tx, one, now))
                for one in tx.grants.live()
                if one.before is not None and tx.holds.suspensions(one.before)
            ]

        states = self.run(self.world.store.read(query))
        SEEN["held with the one before"] += len(states)
        assert GrantState.ACTIVE not in states


def chains(grants: list[Grant]) -> list[list[Grant]]:
    """Return the grants by the first of their chain."""
    found: dict[GrantId, list[Grant]] = {}
    for one in grants:
        found.setdefault(one.extends[0] if one.extends else one.id, []).append(one)
    return list(found.values())


def one_too_many() -> None:
    """Go on twice, use that, and ask for more than the policy allows: chance does not get there in every run."""
    machine = ExtensionMachine()
    try:
        machine.begin()
        machine.have_one_in_use()
        machine.go_on(0, 1)
        machine.use(0)
        machine.go_on(0, 1)
        machine.extend(0, None)
    finally:
        machine.teardown()


@pytest.mark.volume
def test_chains_of_grants() -> None:
    SEEN.clear()
    one_too_many()
    run_machine(
        ExtensionMachine,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=STEPS,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
    usual = ("extend", "approve an extension", "begin", "chains of more than one")
    rare = (
        "extend: extension_exists",
        "extend: extension_not_allowed",
        "extend: grant_ended",
        "use an extension",
        "return",
        "revoke",
        "suspend",
    )
    for what in (*usual, *(rare if WHOLE else ())):
        assert SEEN[what], f"{what} was never tried: {SEEN}"
