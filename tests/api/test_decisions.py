"""Kept decisions of a server: who may see them, what they hold, and that other documents decide them again."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import orjson
import pytest
from tests.api.world import WISH, World, world_in

from loglease.access.decisions import KEPT_S, forget_decisions
from loglease.model.principal import Role
from loglease.policy.decision_records import RecordedDecision, read_decision
from loglease.policy.loading import load
from loglease.policy.simulation import Change, Simulation
from loglease.server.policies import policy_files

SINCE = "2000-01-01T00:00:00Z"


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with world_in(tmp_path) as made:
        yield made


async def kept(world: World) -> list[RecordedDecision]:
    auditor = await world.sign_in("olga@example.com")
    answer = await world.client.get("/policies/decisions", params={"since": SINCE}, headers=auditor)
    assert answer.status_code == 200, answer.text
    lines = [orjson.dumps(item["decision"]) for item in answer.json()["items"]]
    return [read_decision(line, number) for number, line in enumerate(lines, 1)]


async def test_what_was_given_and_what_was_refused_is_kept_and_decided_again(world: World) -> None:
    alice = await world.add("alice@example.com")
    await world.add("bob@example.com", groups=("approvers",))
    await world.add("olga@example.com", roles=(Role.AUDITOR,))
    request = (await world.created("/requests", WISH, alice)).json()
    scope = WISH["scopes"][0]
    long = WISH | {"scopes": [scope | {"window": {"lookback_s": 30 * 86_400, "live": False}}]}
    assert (await world.created("/requests", long, alice)).status_code == 403
    found = await kept(world)
    assert [(one.request, one.answer.outcome) for one in found] == [(request["id"], "review"), (None, "deny")]
    files = policy_files(None, world.services.sources)
    bundle = load(files)
    assert not isinstance(bundle, list)
    assert [one.changes for one in Simulation(bundle).replay(found)] == [(), ()]
    wider = load({name: text.replace(b"lookback: 24h", b"lookback: 90d") for name, text in files.items()})
    assert not isinstance(wider, list)
    assert [one.changes for one in Simulation(wider).replay(found)] == [(), (Change.NEWLY_ALLOWED,)]


async def test_they_are_for_those_who_look_after_policy(world: World) -> None:
    alice = await world.add("alice@example.com")
    answer = await world.client.get("/policies/decisions", params={"since": SINCE}, headers=alice)
    assert (answer.status_code, answer.json()["code"]) == (403, "not_permitted")


async def test_the_reason_is_not_among_what_is_kept(world: World) -> None:
    alice = await world.add("alice@example.com")
    await world.add("bob@example.com", groups=("approvers",))
    await world.add("olga@example.com", roles=(Role.AUDITOR,))
    await world.created("/requests", WISH | {"reason": "customer Zaphod complains"}, alice)
    rows = await world.services.store.read(lambda tx: tx.decisions.since(0, after=0, limit=10))
    assert len(rows) == 1
    assert "Zaphod" not in rows[0][1]


@pytest.mark.answers_lost("decisions.forget_decisions")
async def test_they_are_forgotten_after_their_time(world: World) -> None:
    alice = await world.add("alice@example.com")
    await world.add("bob@example.com", groups=("approvers",))
    await world.created("/requests", WISH, alice)
    assert await forget_decisions(log=world.services.log) == 0
    world.clock.later_s = KEPT_S + 60
    assert await forget_decisions(log=world.services.log) == 1
