"""Proposals on a real database against a reference model that shares no code with them: same verdicts, same states.

Checked after every step: each revision in force rose by one and was agreed to by enough different people, none of them
its author; what is decided stays decided; the record says the same.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Coroutine
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, multiple, rule
from tests.fakes.world import POLICY, Runner, World, caller, principal, rules_of
from tests.volume import volume

from loglease.access.policy_changes import POLICY as SHA256
from loglease.access.policy_changes import REVISION
from loglease.access.propose_policy import propose_policy
from loglease.access.review_policy import review_policy
from loglease.access.rules import Rules
from loglease.access.withdraw_policy import withdraw_policy
from loglease.audit.interface import Recorded
from loglease.model.errors import LogLeaseError
from loglease.model.ids import PersonId, ProposalId
from loglease.model.instant import Instant
from loglease.model.principal import Kind, Principal, Role
from loglease.model.proposal import StoredBundle
from loglease.model.review import Verdict
from loglease.store.interface import Transaction

pytestmark = pytest.mark.volume

ADMIN = (Role.POLICY_ADMIN,)
PEOPLE = {
    "pam": principal("pam", roles=ADMIN),
    "pam-two": principal("pam-two", roles=ADMIN, person="per_pam"),
    "pam-bot": principal("pam-bot", roles=ADMIN, person="per_pam", kind=Kind.SERVICE),
    "quinn": principal("quinn", roles=ADMIN),
    "quinn-maybe": replace(principal("quinn-maybe", roles=ADMIN), suspected=frozenset({PersonId("per_quinn")})),
    "ruth": principal("ruth", roles=ADMIN),
    "tom": principal("tom", roles=ADMIN),
    "erin": principal("erin", roles=(Role.ADMIN,)),
}
HUMAN_BEINGS = {name: name.partition("-")[0] for name in PEOPLE}
LINES = st.integers(1, 6)
TERMINAL = {"accepted", "denied", "withdrawn"}
SEEN: Counter[str] = Counter()


def text_of(lines: int) -> str:
    return POLICY.decode().replace("lines: 1000", f"lines: {lines}")


@cache
def candidate(lines: int) -> Rules:
    return rules_of(text_of(lines).encode())


def under(rules: Rules, revision: int) -> Rules:
    return replace(rules, bundle=replace(rules.bundle, revision=revision))


@dataclass
class Expected:
    """What the reference model knows of one proposal."""

    author: str
    lines: int
    base: int
    needed: int
    digest: str
    state: str = "pending"
    said: dict[str, Verdict] = field(default_factory=dict)


class ProposalMachine(RuleBasedStateMachine):
    proposals = Bundle("proposals")
    authors = st.sampled_from(["tom", "tom", "tom", "pam", "pam-bot", "erin"])
    reviewers = st.sampled_from(
        ["quinn", "quinn", "quinn-maybe", "quinn-maybe", "pam", "pam-two", "ruth", "tom", "erin", "pam-bot"]
    )

    def __init__(self) -> None:
        super().__init__()
        self.run = Runner()
        self.folder = tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None)
        self.people_now = dict(PEOPLE)
        self.known: dict[str, Expected] = {}
        self.revision, self.lines = 1, 3
        self.history: list[str | None] = [None]

    @initialize()
    def begin(self) -> None:
        self.world = self.run(World(Path(self.folder.name)).start())
        self.run(self.world.add(*PEOPLE.values()))
        first = candidate(self.lines)

        def work(tx: Transaction, now: Instant) -> Recorded[None]:
            tx.values.put(REVISION, "1")
            tx.values.put(SHA256, first.bundle_sha256)
            files = {"policy.yaml": text_of(self.lines)}
            tx.proposals.insert_bundle(
                StoredBundle(revision=1, bundle_sha256=first.bundle_sha256, files=files, loaded_at=now)
            )
            return Recorded(None)

        self.run(self.world.log.commit(work))

    def teardown(self) -> None:
        if hasattr(self, "world"):
            self.run(self.world.stop())
        self.run.close()
        self.folder.cleanup()

    def attempt(self, what: str, act: Coroutine[Any, Any, Any], *, expected: bool) -> Any:
        try:
            result = self.run(act)
        except LogLeaseError as refusal:
            assert not expected, f"{what} was refused, though it should not be: [{refusal.code}] {refusal}"
            SEEN[f"{what}: {refusal.code}"] += 1
            return None
        assert expected, f"{what} went through, though it should not"
        SEEN[what] += 1
        return result

    def who(self, name: str) -> Principal:
        return self.people_now[name]

    def has_role(self, name: str) -> bool:
        return Role.POLICY_ADMIN in self.who(name).roles

    def able(self, author: str) -> set[str]:
        """Return the human beings who could approve what somebody proposes."""
        found = {HUMAN_BEINGS[one] for one in PEOPLE if self.has_role(one) and self.who(one).kind is Kind.HUMAN}
        return found - {HUMAN_BEINGS[author]}

    def approved_by(self, one: Expected) -> set[str]:
        agreed = {HUMAN_BEINGS[n] for n, v in one.said.items() if v is Verdict.APPROVE and self.has_role(n)}
        return agreed - {HUMAN_BEINGS[one.author]}

    # Acts.

    @rule(target=proposals, name=authors, lines=LINES)
    def propose(self, name: str, lines: int) -> Any:
        needed = 2 if lines > self.lines else 1
        pending = sum(one.author == name and one.state == "pending" for one in self.known.values())
        may = self.has_role(name) and lines != self.lines and pending < 10 and len(self.able(name)) >= needed
        made = self.attempt(
            "propose",
            propose_policy(
                {"policy.yaml": text_of(lines)},
                comment="because",
                candidate=candidate(lines),
                caller=caller(self.who(name), self.world.clock.now()),
                **(self.world.ports | {"rules": under(candidate(self.lines), self.revision)}),
            ),
            expected=may,
        )
        if made is None:
            return multiple()
        assert made.needed == needed
        self.known[made.id] = Expected(name, lines, self.revision, needed, made.digest)
        return made.id

    @rule(proposal=proposals, names=st.lists(reviewers, min_size=2, max_size=3))
    def some_approve(self, proposal: str, names: list[str]) -> None:
        for name in names:
            self.review(proposal, name, "approve")

    @rule(proposal=proposals, name=reviewers, verdict=st.sampled_from(["approve", "deny"]))
    def review(self, proposal: str, name: str, verdict: str) -> None:
        one, said = self.known[proposal], Verdict(verdict)
        mine = self.who(name).persons
        earlier = {v for n, v in one.said.items() if PEOPLE[n].person in mine}
        denied = Verdict.DENY in earlier
        other = self.has_role(name) and self.who(name).kind is Kind.HUMAN
        other = other and HUMAN_BEINGS[name] != HUMAN_BEINGS[one.author]
        ports = {key: value for key, value in self.world.ports.items() if key != "rules"}
        done = self.attempt(
            verdict,
            review_policy(
                ProposalId(proposal),
                verdict=said,
                digest=one.digest,
                comment="seen",
                loads_as=candidate(one.lines).bundle_sha256,
                caller=caller(self.who(name), self.world.clock.now()),
                **ports,
            ),
            expected=other
            and (said in earlier or one.state == "pending")
            and not (denied and said is not Verdict.DENY),
        )
        if done is None or said in earlier:
            return
        one.said[name] = said
        if said is Verdict.DENY:
            one.state = "denied"
        elif len(self.approved_by(one)) >= one.needed:
            one.state = "accepted"
            self.revision, self.lines = self.revision + 1, one.lines
            self.history.append(proposal)
            for rest in self.known.values():
                rest.state = "superseded" if rest.state == "pending" else rest.state
        assert str(done.proposal.state) == one.state

    @rule(proposal=proposals, name=st.sampled_from(["tom", "pam", "ruth"]))
    def withdraw(self, proposal: str, name: str) -> None:
        one = self.known[proposal]
        done = self.attempt(
            "withdraw",
            withdraw_policy(
                ProposalId(proposal),
                caller=caller(self.who(name), self.world.clock.now()),
                log=self.world.log,
                new_id=self.world.new_id,
            ),
            expected=one.author == name and one.state in ("pending", "withdrawn") and bool(self.who(name).roles),
        )
        if done is not None:
            one.state = "withdrawn"

    @rule(name=st.sampled_from(["quinn", "ruth", "tom"]))
    def role_given_or_taken(self, name: str) -> None:
        roles = frozenset() if self.has_role(name) else frozenset(ADMIN)
        self.people_now[name] = replace(self.who(name), roles=roles)
        self.run(self.world.change(self.people_now[name]))

    # Laws.

    @invariant()
    def the_database_says_what_the_model_says(self) -> None:
        if not hasattr(self, "world"):
            return

        def query(tx: Transaction) -> None:
            stored = {one.id: str(one.state) for one in tx.proposals.page(limit=200)}
            assert stored == {name: one.state for name, one in self.known.items()}
            revisions = [(one.revision, one.proposal) for one in reversed(tx.proposals.bundles(limit=200))]
            assert revisions == list(enumerate(self.history, 1))
            assert tx.values.find(REVISION) == str(self.revision)
            assert tx.values.find(SHA256) == candidate(self.lines).bundle_sha256

        self.run(self.world.store.read(query))

    @invariant()
    def each_revision_was_agreed_to_by_enough_others(self) -> None:
        if not hasattr(self, "world"):
            return
        rows = self.run(
            self.world.store.read(lambda tx: tx.entries.page(types=frozenset({"policy.loaded"}), limit=200))
        )
        loaded = [orjson.loads(one.content) for one in reversed(rows)]
        assert [one["ref"]["proposal"] for one in loaded] == self.history[1:]
        for entry in loaded:
            data, one = entry["data"], self.known[entry["ref"]["proposal"]]
            people = {HUMAN_BEINGS[name.removeprefix("sub_")] for name in data["reviewers"]}
            assert len(people) == len(data["reviewers"]) >= data["needed"] == one.needed
            assert HUMAN_BEINGS[data["author"].removeprefix("sub_")] not in people
            assert data["revision"] == one.base + 1


ProposalMachine.TestCase.settings = settings(
    max_examples=volume(10, 60),
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
TestProposals = ProposalMachine.TestCase
