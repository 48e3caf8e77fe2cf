"""`access` on a real database against a reference model that shares no code with it: same verdicts, same states.

Checked after every step: no grant without its approvals from different people, at most one terminal state that is never
left, no reservation outside an active grant, budgets never negative, and one entry for every change.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Coroutine
from dataclasses import replace
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
from tests.fakes.world import Runner, World, principal, wish
from tests.machines.reference import DURATION, MINUTE, Reference, Session, Who
from tests.volume import WHOLE, volume

from loglease.access.activate_grant import activate_grant
from loglease.access.add_lock import add_lock
from loglease.access.caller import Caller
from loglease.access.cancel_request import cancel_request
from loglease.access.close_session import close_session
from loglease.access.expire_due import expire_due
from loglease.access.journal import Journal
from loglease.access.lift_lock import lift_lock
from loglease.access.open_session import open_session
from loglease.access.permissions import is_held
from loglease.access.reserve import reserve
from loglease.access.resume_grant import resume_grant
from loglease.access.return_grant import return_grant
from loglease.access.review_request import review_request
from loglease.access.revoke import revoke
from loglease.access.serving import Settled
from loglease.access.submit_request import submit_request
from loglease.access.suspend_grant import suspend_grant
from loglease.access.watch import Watch
from loglease.model.errors import LogLeaseError
from loglease.model.grant import Grant, GrantState
from loglease.model.hold import LockKind, LockOn
from loglease.model.instant import Interval
from loglease.model.limits import Limits
from loglease.model.principal import Kind, Role
from loglease.model.review import Channel, Verdict
from loglease.model.session import CloseWhy, Front, SessionKind
from loglease.store.interface import Transaction

STEPS = 50
EXAMPLES = volume(30, 260)  # in each of two halves
LEAST_STEPS = volume(1_000, 10_000)  # in each of two halves
TERMINAL = {"ended", "revoked", "denied", "cancelled", "approved", "expired"}

PEOPLE = {
    "alice": principal("alice"),
    "alice-two": principal("alice-two", person="per_alice", groups=("engineering", "approvers")),
    "alice-bot": principal("alice-bot", kind=Kind.AGENT, person="per_alice", groups=("approvers",)),
    "bob": principal("bob", groups=("engineering", "approvers")),
    "carol": principal("carol", groups=("engineering", "approvers")),
    "erin": principal("erin", roles=(Role.ADMIN,)),
    "mallory": principal("mallory", groups=()),
}
SEEN: Counter[str] = Counter()


def approving(tx: Transaction, grant: Grant) -> set[str]:
    reviews = tx.reviews.of_request(grant.request)
    return {review.person for review in reviews if review.verdict is Verdict.APPROVE}


def reference() -> Reference:
    return Reference(
        [
            Who(
                name,
                one.person,
                kind=str(one.kind),
                approver="approvers" in one.groups,
                admin=bool(one.roles),
            )
            for name, one in PEOPLE.items()
        ]
    )


class AccessMachine(RuleBasedStateMachine):
    requests = Bundle("requests")
    grants = Bundle("grants")
    sessions = Bundle("sessions")
    people = st.sampled_from(sorted(PEOPLE))
    reviewers = st.sampled_from(["bob", "carol", "alice-two", "bob", "carol", "alice", "alice-bot", "mallory", "erin"])

    def __init__(self) -> None:
        super().__init__()
        self.run = Runner()
        self.folder = tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None)
        self.model = reference()
        self.final: dict[str, str] = {}
        self.seen = (0, 0)
        self.locks: dict[str, str] = {}
        self.newest: dict[str, int] = {}
        """Event time of the newest line that a session may read."""
        self.accepted = 0

    @initialize()
    def begin(self) -> None:
        self.world = self.run(World(Path(self.folder.name)).start())
        self.run(self.world.add(*PEOPLE.values()))
        self.journal = Journal.open(Path(self.folder.name) / "revocations.journal")

    def teardown(self) -> None:
        if hasattr(self, "world"):
            self.every_change_has_one_entry()
            self.journal.close()
            self.run(self.world.stop())
        self.run.close()
        self.folder.cleanup()

    # Acts.

    def caller(self, name: str) -> Caller:
        who = PEOPLE[name]
        return Caller(principal=who, channel=Channel.API, signed_in_at=self.world.clock.now())

    def attempt(self, what: str, act: Coroutine[Any, Any, Any], *, expected: bool) -> Any:
        """Run an act and compare its verdict with the model's."""
        try:
            result = self.run(act)
        except LogLeaseError as refusal:
            assert not expected, f"{what} was refused, though it should not be: [{refusal.code}] {refusal}"
            SEEN[f"{what}: {refusal.code}"] += 1
            return None
        assert expected, f"{what} was accepted, though it should not be"
        SEEN[f"{what}: accepted"] += 1
        return result

    @rule(target=requests, who=people, app=st.sampled_from(["web-shop", "web-api", "pay"]))
    def submit(self, who: str, app: str) -> Any:
        need = 2 if app == "pay" else 1
        expected = who != "mallory" and self.model.may_submit(self.model.people[who], need)
        request = self.attempt(
            "submit",
            submit_request(wish(app), caller=self.caller(who), offer=None, **self.world.ports),
            expected=expected,
        )
        if request is None:
            return multiple()
        self.model.submit(self.model.people[who], need, request.id)
        return request.id

    @rule(
        target=grants,
        who=reviewers,
        request=requests,
        verdict=st.sampled_from(["approve", "approve", "approve", "deny"]),
        digest=st.sampled_from(["right", "right", "right", "wrong", "none"]),
    )
    def review(self, who: str, request: str, verdict: str, digest: str) -> Any:
        stored = self.read(lambda tx: tx.requests.find(request))
        sent = {"right": stored.digest, "wrong": "0" * 64, "none": None}[digest]
        expected, complete = self.model.review(self.model.people[who], request, verdict, right_digest=digest == "right")
        result = self.attempt(
            "review",
            review_request(
                stored.id,
                verdict=Verdict(verdict),
                digest=sent,
                comment="because",
                caller=self.caller(who),
                **self.world.ports,
            ),
            expected=expected,
        )
        if not complete:
            return multiple()
        assert result.grant is not None
        self.model.grant(result.grant.id, request)
        return result.grant.id

    @rule(target=grants, who=st.sampled_from(["alice", "bob"]), use=st.booleans())
    def straight_to_a_grant(self, who: str, use: bool) -> Any:
        """Get further than chance would: the ordinary journey in one step."""
        request = self.submit(who, "web-shop")
        if not isinstance(request, str):
            return multiple()
        grant = self.review("carol", request, "approve", "right")
        if use and isinstance(grant, str):
            self.activate(grant, "holder")
        return grant

    @rule(who=people, request=requests)
    def cancel(self, who: str, request: Any) -> None:
        expected = self.model.cancel(self.model.people[who], request)
        act = cancel_request(request, caller=self.caller(who), log=self.world.log, new_id=self.world.new_id)
        self.attempt("cancel", act, expected=expected)

    @rule(grant=grants, who=st.sampled_from(["holder", "holder", "holder", "bob", "mallory"]))
    def activate(self, grant: Any, who: str) -> None:
        name = self.holder_or(grant, who)
        expected = self.model.activate(self.model.people[name], grant)
        ports = {key: value for key, value in self.world.ports.items() if key != "random"}
        ports["watch"] = Watch(self.world.store, self.world.clock, self.world.random)
        result = self.attempt("activate", activate_grant(grant, caller=self.caller(name), **ports), expected=expected)
        if result is not None:
            assert result.valid_until - result.valid_from == DURATION * 1_000_000

    @rule(grant=grants, who=st.sampled_from(["holder", "bob", "mallory"]))
    def give_back(self, grant: Any, who: str) -> None:
        name = self.holder_or(grant, who)
        expected = self.model.give_back(self.model.people[name], grant)
        act = return_grant(grant, caller=self.caller(name), log=self.world.log, new_id=self.world.new_id)
        self.attempt("return", act, expected=expected)

    @rule(grant=grants, who=people)
    def take_away(self, grant: Any, who: str) -> None:
        expected = self.model.revoke(self.model.people[who], grant)
        act = revoke(
            LockOn(LockKind.GRANT, grant),
            reason="incident over",
            caller=self.caller(who),
            log=self.world.log,
            store=self.world.store,
            watch=Watch(self.world.store, self.world.clock, self.world.random),
            journal=self.journal,
            clock=self.world.clock,
            new_id=self.world.new_id,
            random=self.world.random,
        )
        self.attempt("revoke", act, expected=expected)

    @rule(grant=grants, who=people)
    def suspend(self, grant: Any, who: str) -> None:
        expected = self.model.suspend(self.model.people[who], grant)
        ports = {key: value for key, value in self.world.ports.items() if key != "rules"}
        act = suspend_grant(
            grant,
            reason="",
            caller=self.caller(who),
            store=self.world.store,
            watch=Watch(self.world.store, self.world.clock, self.world.random),
            journal=self.journal,
            clock=self.world.clock,
            **ports,
        )
        self.attempt("suspend", act, expected=expected)

    @rule(grant=grants, who=people)
    def resume(self, grant: Any, who: str) -> None:
        expected = self.model.resume(self.model.people[who], grant)
        ports = {key: value for key, value in self.world.ports.items() if key != "rules"}
        act = resume_grant(grant, reason="it was right", caller=self.caller(who), **ports)
        self.attempt("resume", act, expected=expected)

    @rule(who=st.sampled_from(["alice", "bob", "carol"]), by=st.sampled_from(["erin", "erin", "bob"]))
    def lock(self, who: str, by: str) -> None:
        ports = {key: value for key, value in self.world.ports.items() if key != "rules"}
        act = add_lock(
            LockOn(LockKind.PERSON, who),
            reason="left",
            caller=self.caller(by),
            store=self.world.store,
            watch=Watch(self.world.store, self.world.clock, self.world.random),
            journal=self.journal,
            clock=self.world.clock,
            **ports,
        )
        locked = self.attempt("lock", act, expected=by == "erin")
        if locked is not None:
            self.locks[PEOPLE[who].person] = locked.lock.id
            self.model.lock(PEOPLE[who].person)

    @rule(who=st.sampled_from(["alice", "bob", "carol"]), by=st.sampled_from(["erin", "erin", "bob"]))
    def lift(self, who: str, by: str) -> None:
        lock = self.locks.get(PEOPLE[who].person)
        if lock is None:
            return
        ports = {key: value for key, value in self.world.ports.items() if key != "rules"}
        done = self.attempt("lift", lift_lock(lock, caller=self.caller(by), **ports), expected=by == "erin")
        if done is not None:
            self.model.locked.discard(PEOPLE[who].person)

    @rule(who=st.sampled_from(["alice", "carol", "alice-two"]), enabled=st.sampled_from([True, True, False]))
    def enable(self, who: str, enabled: bool) -> None:
        self.model.people[who].enabled = enabled
        self.run(self.world.change(replace(PEOPLE[who], enabled=enabled)))

    @rule(seconds=st.sampled_from([0, 1, 1, MINUTE, MINUTE, 9 * MINUTE + 59, 61 * MINUTE]))
    def wait(self, seconds: int) -> None:
        self.model.now += seconds
        self.world.clock.advance(seconds)

    @rule()
    def sweep(self) -> None:
        self.run(expire_due(log=self.world.log, new_id=self.world.new_id))

    @rule()
    def restart(self) -> None:
        self.run(self.world.stop())
        self.run(self.world.start())

    @rule(target=sessions, grant=grants, who=st.sampled_from(["holder", "holder", "holder", "mallory"]))
    def open(self, grant: Any, who: str) -> Any:
        name = self.holder_or(grant, who)
        now_ns = self.world.clock.now() * 1_000
        expected = self.model.may_open(self.model.people[name], grant)
        opened = self.attempt(
            "open",
            open_session(
                grant,
                kind=SessionKind.QUERY,
                front=Front.PLAIN,
                query="{}",
                interval=Interval(now_ns - 10**12, now_ns),
                limit=None,
                caller=self.caller(name),
                replica="one",
                **self.world.ports,
            ),
            expected=expected,
        )
        if opened is None:
            return multiple()
        self.model.sessions[opened.session.id] = Session(grant)
        self.newest[opened.session.id] = now_ns - 1
        return opened.session.id

    @rule(target=sessions, who=st.sampled_from(["alice", "bob"]), lines=st.integers(1, 400))
    def straight_to_a_session(self, who: str, lines: int) -> Any:
        """Get further than chance would: up to the first lines in one step."""
        grant = self.straight_to_a_grant(who, use=True)
        if not isinstance(grant, str):
            return multiple()
        session = self.open(grant, "holder")
        if isinstance(session, str):
            self.hand_over(session, lines, 0)
        return session

    @rule(session=sessions, lines=st.integers(1, 400), settled=st.integers(0, 300))
    def hand_over(self, session: Any, lines: int, settled: int) -> None:
        report = self.report(session, settled)
        reserved = self.model.reserve(session, lines, settled)
        ports = {key: value for key, value in self.world.ports.items() if key != "rules"}
        result = self.attempt(
            "reserve",
            reserve(
                session,
                settled=report,
                want_lines=lines,
                want_bytes=65_536,
                limits=Limits(),
                replica="one",
                **ports,
            ),
            expected=reserved is not None,
        )
        if result is None:
            return
        grant = self.model.sessions[session].grant
        assert self.model.grant_state(grant) == "active"  # no line is served outside an active grant
        assert result.exhausted == (reserved == 0)
        assert result.ceiling_lines == self.model.sessions[session].ceiling

    @rule(session=sessions, settled=st.integers(0, 300))
    def close(self, session: Any, settled: int) -> None:
        report = self.report(session, settled)
        self.model.close(session, settled)
        ports = {key: value for key, value in self.world.ports.items() if key != "rules"}
        act = close_session(
            session,
            why=CloseWhy.CLIENT,
            settled=report,
            cut_ms=None,
            replica="one",
            **ports,
        )
        self.attempt("close", act, expected=True)

    def report(self, session: str, settled: int) -> Settled:
        """Return what a gateway reports that hands over lines of one byte, below the ceiling."""
        known = self.model.sessions[session]
        handed = min(settled, known.ceiling - known.settled)
        newest = self.newest[session] if handed else None
        before = known.settled
        return Settled(
            after_lines=before, after_bytes=before, lines=handed, size=handed, first_ns=newest, last_ns=newest
        )

    def holder_or(self, grant: str, who: str) -> str:
        return self.model.grants[grant].holder.name if who == "holder" else who

    def read(self, query: Any) -> Any:
        # In this thread: what only looks is not what is tested, and changing threads takes longer than looking.
        return self.world.store._readers.run(query)

    # What must hold after every step.

    @invariant()
    def states_agree(self) -> None:
        if not hasattr(self, "world"):
            return
        now = self.world.clock.now()
        SEEN["step"] += 1
        # Without an entry and without time passing nothing has changed; a change without an entry shows at the next one.
        seen = (now, self.read(lambda tx: tx.entries.size()))
        if seen == self.seen:
            SEEN["step that changed nothing"] += 1
            return
        self.seen = seen

        def query(tx: Transaction) -> Any:
            requests = {one.id: str(one.state_at(now)) for one in tx.requests.page(limit=200)}
            grants = tx.grants.page(limit=200)
            states = {one.id: str(one.state_at(now, held=is_held(tx, one, now))) for one in grants}
            for one in grants:
                if one.state in (GrantState.ENDED, GrantState.REVOKED):
                    states[one.id] = str(one.state)
            approvals = {one.id: approving(tx, one) for one in grants}
            return requests, states, {one.id: one.usage.lines for one in grants}, approvals

        requests, grants, lines, approvals = self.read(query)
        assert requests == {name: self.model.request_state(name) for name in self.model.requests}
        assert grants == {name: self.model.grant_state(name) for name in self.model.grants}
        assert lines == {name: one.lines for name, one in self.model.grants.items()}
        assert all(count >= 0 for count in lines.values())
        for name, people in approvals.items():
            request = self.model.requests[self.model.grants[name].request]
            assert len(people) >= request.need
            assert request.requester.person not in people
        for name, state in (requests | grants).items():
            assert self.final.get(name, state) == state, f"{name} left its terminal state"
            if state in TERMINAL:
                self.final[name] = state

    def every_change_has_one_entry(self) -> None:
        rows = self.read(lambda tx: tx.entries.since(0, limit=10_000))
        entries = [orjson.loads(row.content) for row in rows]
        kinds = Counter(entry["type"] for entry in entries)
        assert kinds["request.submitted"] == len(self.model.requests)
        assert kinds["grant.scheduled"] == kinds["request.approved"] == len(self.model.grants)
        assert kinds["session.opened"] == len(self.model.sessions)
        assert kinds["session.closed"] == sum(not one.open for one in self.model.sessions.values())
        revoked = Counter(
            entry["ref"]["grant"] for entry in entries if entry["type"] in ("grant.revoked", "grant.ended")
        )
        assert all(count == 1 for count in revoked.values())


@pytest.mark.volume
@pytest.mark.attack("AP-07")
@pytest.mark.parametrize("half", ["first", "second"])
def test_access_agrees_with_the_reference(half: str) -> None:
    del half  # two halves, so that two processes share the work
    SEEN.clear()
    run_state_machine_as_test(
        AccessMachine,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=STEPS,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
    acts = ("review", "activate", "open", "reserve", "revoke", *(("resume",) if WHOLE else ()))
    seen = {what: SEEN[f"{what}: accepted"] for what in acts}
    assert all(seen.values()), f"the machine never got to some acts: {seen}"
    assert SEEN["step"] >= LEAST_STEPS, f"only {SEEN['step']} steps"
