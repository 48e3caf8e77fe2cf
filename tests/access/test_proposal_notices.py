"""Whoever may review a change of the policy is told that it waits, and its author what became of it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.access.test_notices import telling, told
from tests.fakes.world import POLICY, World, caller, principal, rules_of

from loglease.access.deliver_notices import Delivery, due
from loglease.access.notices import Ways
from loglease.access.policy_changes import POLICY as SHA256
from loglease.access.policy_changes import REVISION
from loglease.access.propose_policy import propose_policy
from loglease.access.review_policy import review_policy
from loglease.access.withdraw_policy import withdraw_policy
from loglease.audit.interface import SYSTEM, Draft, Recorded
from loglease.model.ids import ENTRY, EntryId, PersonId
from loglease.model.instant import Instant
from loglease.model.principal import Principal, Role
from loglease.model.proposal import Proposal, StoredBundle
from loglease.model.review import Verdict
from loglease.store.interface import Transaction

ADMIN = (Role.POLICY_ADMIN,)
PAM, QUINN, RUTH = (principal(name, roles=ADMIN) for name in ("pam", "quinn", "ruth"))
PEOPLE = (
    PAM,
    principal("pam-two", roles=ADMIN, person="per_pam"),
    replace(principal("perhaps-pam", roles=ADMIN), suspected=frozenset({PersonId("per_pam")})),
    QUINN,
    RUTH,
    principal("gone", roles=ADMIN, enabled=False),
    principal("erin", roles=(Role.ADMIN,)),
    principal("alice"),
)
WAYS = Ways(email=True, operators=("channel:ops",), subscribers={"hook": frozenset({"policy.proposed"})})


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    made = await World(tmp_path).start()
    await made.add(*PEOPLE)

    def work(tx: Transaction, now: Instant) -> Recorded[None]:
        tx.values.put(REVISION, "1")
        tx.values.put(SHA256, made.rules.bundle_sha256)
        files = {"policy.yaml": POLICY.decode()}
        tx.proposals.insert_bundle(
            StoredBundle(revision=1, bundle_sha256=made.rules.bundle_sha256, files=files, loaded_at=now)
        )
        return Recorded(None)

    await made.log.commit(work)
    yield telling(made, WAYS)
    await made.stop()


def text_of(lines: int) -> str:
    return POLICY.decode().replace("lines: 1000", f"lines: {lines}")


async def proposed(world: World, lines: int = 2_000) -> Proposal:
    return await propose_policy(
        {"policy.yaml": text_of(lines)},
        comment="the shop logs more",
        candidate=rules_of(text_of(lines).encode()),
        caller=caller(PAM, world.clock.now()),
        **world.ports,
    )


async def reviewed(world: World, proposal: Proposal, who: Principal, verdict: Verdict = Verdict.APPROVE) -> None:
    ports = {name: port for name, port in world.ports.items() if name != "rules"}
    await review_policy(
        proposal.id,
        verdict=verdict,
        digest=proposal.digest,
        comment="seen",
        loads_as=proposal.bundle_sha256,
        caller=caller(who, world.clock.now()),
        **ports,
    )


async def waiting(world: World) -> dict[str, bool]:
    """Return, by who would get mail now, whether what it says is true still."""
    found = await world.store.read(lambda tx: due(tx, "email", world.rules, world.clock.now(), 100))
    notices = [(one.notice if isinstance(one, Delivery) else one, isinstance(one, Delivery)) for one in found]
    return {notice.recipient: is_true for notice, is_true in notices if notice.event == "policy.proposed"}


@pytest.mark.answers_lost("propose_policy.propose_policy")
async def test_everybody_who_may_review_it_is_told_and_nobody_else(world: World) -> None:
    proposal = await proposed(world)
    assert await told(world) == [
        ("policy.proposed", "channel:hook"), ("policy.proposed", QUINN.id), ("policy.proposed", RUTH.id),
    ]  # fmt: skip
    found = await world.store.read(lambda tx: tx.outbox.page(limit=10))
    assert all(one.data == {"proposal": proposal.id} for one in found)


async def test_whoever_has_reviewed_it_or_may_not_any_more_is_not_asked_for_it(world: World) -> None:
    proposal = await proposed(world)
    assert await waiting(world) == {QUINN.id: True, RUTH.id: True}
    await reviewed(world, proposal, QUINN)
    assert await waiting(world) == {QUINN.id: False, RUTH.id: True}
    await world.change(replace(RUTH, roles=frozenset()))
    assert await waiting(world) == {QUINN.id: False, RUTH.id: False}


@pytest.mark.parametrize("end", ["denied", "withdrawn", "superseded"])
async def test_nobody_is_asked_for_what_is_decided(world: World, end: str) -> None:
    proposal = await proposed(world)
    if end == "denied":
        await reviewed(world, proposal, QUINN, Verdict.DENY)
    elif end == "withdrawn":
        await withdraw_policy(proposal.id, caller=caller(PAM, world.clock.now()), log=world.log, new_id=world.new_id)
    else:
        await world.log.commit(lambda tx, _now: Recorded(tx.values.put(REVISION, "2")))
    assert await waiting(world) == {QUINN.id: False, RUTH.id: False}


@pytest.mark.answers_lost("review_policy.review_policy")
async def test_its_author_is_told_of_reviews_and_of_what_became_of_it(world: World) -> None:
    other, proposal = await proposed(world, 3_000), await proposed(world)

    async def events() -> list[str]:
        return [event for event, recipient in await told(world) if recipient == PAM.id]

    await reviewed(world, proposal, QUINN)
    assert await events() == ["policy.reviewed"]
    await reviewed(world, proposal, RUTH)
    assert await events() == ["policy.reviewed", "policy.reviewed", "policy.loaded", "policy.withdrawn"]
    assert ("policy.loaded", "channel:ops") in await told(world)
    last = await world.store.read(lambda tx: tx.outbox.page(limit=1))
    assert last[0].data["proposal"] == other.id


@pytest.mark.answers_lost("withdraw_policy.withdraw_policy")
async def test_whoever_withdraws_their_own_is_told_nothing(world: World) -> None:
    proposal = await proposed(world)
    await withdraw_policy(proposal.id, caller=caller(PAM, world.clock.now()), log=world.log, new_id=world.new_id)
    assert PAM.id not in {recipient for _, recipient in await told(world)}


async def test_documents_that_nobody_proposed_are_told_to_operators_alone(world: World) -> None:
    data: dict[str, Any] = {
        "bundle_sha256": "0" * 64, "revision": 2, "trust": "local", "reviewers": [], "signers": [], "needed": 0,
        "widens": False,
    }  # fmt: skip
    entry = Draft(id=EntryId(world.new_id(ENTRY)), type="policy.loaded", actor=SYSTEM, data=data)
    await world.log.commit(lambda _tx, _now: Recorded(None, (entry,)))
    assert await told(world) == [("policy.loaded", "channel:ops")]
