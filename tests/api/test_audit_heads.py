"""Heads of the audit log in many hands: with each change that was made, and with nothing else."""

from __future__ import annotations

import json
from pathlib import Path

from tests.api.world import WISH, World

from loglease.audit.checkpoint import Checkpoint, head_of_line
from loglease.server.audit_heads import HEADER, changes

NAME = HEADER.decode()
OPENAPI = Path(__file__).parents[2] / "docs" / "reference" / "openapi.json"
ASKING = {
    "/audit/disclosures",
    "/audit/reports/{report}",
    "/audit/who-saw",
    "/offers",
    "/policies/check",
    "/policies/diff",
    "/policies/explain",
    "/policies/simulate",
    "/policies/who-can",
    "/refresh",
}
"""Calls with a body that change nothing that is shown, or are made by clients on their own."""


async def signed(world: World) -> Checkpoint:
    await world.services.publishing.integrator.finish()
    head = world.services.publishing.head
    assert head is not None
    return head.checkpoint


async def test_the_answer_to_a_change_has_the_last_signed_head(world: World) -> None:
    alice = await world.add("alice")
    await world.add("bob", groups=("approvers",))
    before = await signed(world)
    answer = await world.created("/requests", WISH, alice)
    assert answer.status_code == 201
    assert answer.headers[NAME].startswith("audit head: ")
    assert head_of_line(answer.headers[NAME]) == before
    after = await signed(world)
    assert after.size > before.size
    cancelled = await world.client.post(f"/requests/{answer.json()['id']}/cancel", headers=alice)
    assert head_of_line(cancelled.headers[NAME]) == after


async def test_what_only_reads_or_was_refused_has_none(world: World) -> None:
    alice = await world.add("alice")
    await signed(world)
    offers = await world.client.post("/offers", json=WISH, headers=alice)
    listed = await world.client.get("/requests", headers=alice)
    refused = await world.client.post("/locks", json={}, headers=alice)
    assert [offers.status_code, listed.status_code, refused.status_code >= 400] == [200, 200, True]
    assert not [one for one in (offers, listed, refused) if NAME in one.headers]


async def test_before_the_first_signature_there_is_none(world: World) -> None:
    assert world.services.publishing.head is None
    answer = await world.client.post("/sign-in", json={"account": "admin", "password": world.admin_password})
    assert answer.status_code == 200
    assert NAME not in answer.headers


def test_each_operation_is_one_or_the_other() -> None:
    """A new operation with a body is taken for a change; whoever adds one that is none names it, there and here."""
    operations = [
        (method.upper(), path.removeprefix("/api/v1"))
        for path, methods in json.loads(OPENAPI.read_text())["paths"].items()
        for method in methods
    ]
    asking = {path for method, path in operations if method != "GET" and not changes(method, path)}
    assert asking == ASKING
    assert not [path for method, path in operations if method == "GET" and changes(method, path)]


def test_signing_a_report_is_a_change_and_making_one_is_none() -> None:
    assert changes("POST", "/audit/reports/ent_1/sign")
    assert not changes("POST", "/audit/reports/population")
    assert changes("POST", "/audit/holds/hld_1/release")
