"""Simulation over REST: who may, what is compared with what, and that it is bounded."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from tests.api.test_explaining import OPEN, put_in_force
from tests.api.world import WISH, World, world_in

from loglease.access.decisions import KEPT_S
from loglease.audit.interface import Recorded
from loglease.model.principal import Role
from loglease.policy.simulation import Simulation
from loglease.server import simulating


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with world_in(tmp_path, policy={"trust": "managed"}) as made:
        put_in_force(made, OPEN)
        yield made


@pytest.fixture
async def looker(world: World) -> dict[str, str]:
    alice = await world.add("alice@example.com", groups=("vault-team",))
    await world.add("bob@example.com", groups=("approvers",))
    assert (await world.created("/requests", {**WISH, "duration_s": 3_600}, alice)).status_code == 201
    vault = {**WISH, "scopes": [{**WISH["scopes"][0], "selector": '{service="vault"}'}]}
    assert (await world.created("/requests", vault, alice)).status_code == 403
    return await world.add("pat@example.com", roles=(Role.POLICY_ADMIN,))


async def simulated(world: World, who: dict[str, str], documents: str | None = None, **body: Any) -> httpx2.Response:
    files = {} if documents is None else {"files": {"policies.yaml": documents}}
    return await world.client.post("/policies/simulate", json={**files, **body}, headers=who)


async def test_the_documents_in_force_change_nothing(world: World, looker: dict[str, str]) -> None:
    found = (await simulated(world, looker, OPEN)).json()
    assert (found["replayed"], found["same"], found["changed"], found["kinds"]) == (2, 2, 0, [])
    assert found["in_force"]["hash"] == f"sha256:{found['bundle_sha256']}"


async def test_who_would_gain_and_lose_is_told_with_a_case(world: World, looker: dict[str, str]) -> None:
    other = OPEN.replace("[pay-api, pay-web]", "[vault]").replace("max: 1h", "max: 2h")
    found = (await simulated(world, looker, other)).json()
    assert [(one["kind"], one["group"], one["count"]) for one in found["kinds"]] == [
        ("newly-allowed", "vault-team", 1),
        ("newly-denied", "vault-team", 1),
    ]
    gain, loss = (one["examples"][0] for one in found["kinds"])
    assert gain["account"] == "alice@example.com"
    assert "request" not in gain
    assert (gain["before"], gain["after"]) == (
        "denied (policy_denied)",
        "everyday with 1 review for 30m, pii-default",
    )
    assert loss["request"].startswith("req_")
    assert loss["after"] == "denied"


async def test_what_changed_since_is_not_put_down_to_the_new_documents(world: World, looker: dict[str, str]) -> None:
    shorter = OPEN.replace("max: 1h", "max: 45m")
    put_in_force(world, shorter, revision=8)
    assert (await simulated(world, looker, shorter)).json()["changed"] == 0
    found = (await simulated(world, looker, OPEN)).json()
    assert [(one["kind"], one["count"]) for one in found["kinds"]] == [("longer", 1)]


async def test_a_proposal_is_named_by_its_id(world: World, looker: dict[str, str]) -> None:
    for name in ("quinn", "ruth"):
        await world.add(f"{name}@example.com", roles=(Role.POLICY_ADMIN,))
    bundle = (await world.client.get("/policies/bundles/1", headers=looker)).json()
    files = {path: text.replace("max: 1h", "max: 30m") for path, text in bundle["files"].items()}
    tests = {path: text.replace("duration: 1h", "duration: 30m") for path, text in files.items()}
    world.services.rules.current = await _rules(world, bundle["files"])
    made = (await world.created("/policies/bundles", {"files": tests, "comment": "shorter"}, looker)).json()
    found = (await simulated(world, looker, proposal=made["id"])).json()
    assert {(one["kind"], one["count"]) for one in found["kinds"]} == {("shorter", 1)}
    missing = await simulated(world, looker, proposal=f"prp_{'0' * 26}")
    assert (missing.status_code, missing.json()["code"]) == (404, "not_found")


async def _rules(world: World, files: dict[str, str]) -> Any:
    from loglease.server.policies import rules_of

    services = world.services
    encoded = {path: text.encode() for path, text in files.items()}
    return rules_of(encoded, services.sources, library=services.library.current, revision=1, settings=services.settings)


async def test_it_is_for_those_who_look_after_policy(world: World, looker: dict[str, str]) -> None:
    alice = await world.sign_in("alice@example.com")
    found = await simulated(world, alice, OPEN)
    assert (found.status_code, found.json()["code"]) == (403, "not_permitted")
    token = {"label": "x", "rights": ["requests.read"], "expires_in_s": 600}
    secret = (await world.created("/tokens", token, looker)).json()["secret"]
    found = await simulated(world, {"Authorization": f"Bearer {secret}"}, OPEN)
    assert (found.status_code, found.json()["code"]) == (403, "not_permitted")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, "invalid_field"),
        ({"files": {"a.yaml": "x"}, "proposal": f"prp_{'0' * 26}"}, "invalid_field"),
        ({"files": {}}, "invalid_field"),
        ({"files": {"../a.yaml": "x"}}, "invalid_field"),
        ({"files": {"a.yaml": "x: [" * 1_000}}, "policy_invalid"),
        ({"files": {"a.yaml": "a: &a [x]\nb: *a\n"}}, "policy_invalid"),
        ({"proposal": "req_1"}, "invalid_field"),
        ({"files": {"a.yaml": OPEN}, "since_s": KEPT_S + 1}, "invalid_field"),
        ({"files": {"a.yaml": OPEN}, "since_s": 0}, "invalid_field"),
        ({"files": {"a.yaml": OPEN}, "within_s": 3_600}, "unknown_field"),
    ],
)
async def test_what_makes_no_sense_is_refused(
    world: World, looker: dict[str, str], body: dict[str, Any], code: str
) -> None:
    found = await simulated(world, looker, **body)
    assert (found.status_code, found.json()["code"]) == (422, code), found.text


async def test_too_much_of_it_is_refused_and_no_half_answer_given(
    world: World, looker: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(simulating, "MOST", 1)
    found = await simulated(world, looker, OPEN)
    assert (found.status_code, found.json()["code"]) == (503, "simulation_too_large")
    assert "loglease policy simulate" in found.json()["next"][0]["text"]
    assert not world.services.standing.simulating.locked()


async def test_time_is_bounded_by_the_boot_clock(
    world: World, looker: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Simulation.replay

    def slow(self: Any, records: Any) -> Any:
        world.clock.later_s += 3_600
        return real(self, records)

    monkeypatch.setattr(Simulation, "replay", slow)
    found = await simulated(world, looker, OPEN)
    assert (found.status_code, found.json()["code"]) == (503, "simulation_too_large")
    assert "1 of the decisions of 30d" in found.json()["detail"]


async def test_there_is_one_at_a_time(world: World, looker: dict[str, str]) -> None:
    async with world.services.standing.simulating:
        found = await simulated(world, looker, OPEN)
    assert (found.status_code, found.json()["code"]) == (409, "simulation_running")
    answers = await asyncio.gather(*(simulated(world, looker, OPEN) for _ in range(3)))
    assert {one.status_code for one in answers} <= {200, 409}
    assert 200 in {one.status_code for one in answers}


async def test_a_decision_in_another_form_is_counted_as_undecided(world: World, looker: dict[str, str]) -> None:
    now = world.services.clock.now()

    def work(tx: Any, _now: Any) -> Recorded[None]:
        tx.decisions.insert(now, '{"format": 99}')
        return Recorded(None)

    await world.services.log.commit(work)
    found = (await simulated(world, looker, OPEN)).json()
    assert found["undecided"] == {"it was kept in a form that this version does not read": 1}
    assert (found["replayed"], found["same"]) == (3, 2)
