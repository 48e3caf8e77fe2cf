"""The pages of a managed policy: what is proposed, what it changes, and another person who decides."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.pages.world import World

from loglease.model.principal import Role
from loglease.model.proposal import Proposal
from loglease.server import simulating
from loglease.server.managed import propose

ADMIN = frozenset({Role.POLICY_ADMIN})


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    made = await World.start(tmp_path, policy={"trust": "managed"})
    for name in ("pam", "quinn", "ruth"):
        await made.add(f"{name}@example.com", roles=ADMIN)
    yield made
    await made.stop()


async def proposed(world: World, old: str = "lines: 200000", new: str = "lines: 100") -> Proposal:
    stored = await world.services.store.read(lambda tx: tx.proposals.bundle())
    assert stored is not None
    files = {path: text.replace(old, new) for path, text in stored.files.items()}
    comment = "fewer <b>lines</b> \u202e"
    return await propose(world.services, files, comment=comment, caller=world.caller("pam@example.com"))


async def test_another_person_looks_at_the_difference_and_approves(world: World) -> None:
    quinn = await world.signed_in("quinn@example.com")
    empty = await quinn.get("/proposals")
    assert "No proposal." in empty.text
    made = await proposed(world)
    assert "waits for you" in (await quinn.get("/proposals")).text
    page = (await quinn.get(f"/proposals/{made.id}")).text
    assert "grant.limits.lines 200,000 -&gt; 100" in page
    assert "NARROWS" in page
    assert "<b>lines</b>" not in page
    assert "\u202e" not in page
    done = await quinn.send(
        f"/proposals/{made.id}/decide", {"verdict": "approve", "digest": made.digest}, page=f"/proposals/{made.id}"
    )
    assert (done.status_code, done.headers["location"]) == (303, f"/proposals/{made.id}")
    assert "In force as revision 2" in (await quinn.get(f"/proposals/{made.id}")).text
    assert world.services.rules.current.revision == 2


async def test_its_author_may_withdraw_it_and_is_offered_nothing_else(world: World) -> None:
    made = await proposed(world)
    pam = await world.signed_in("pam@example.com")
    page = (await pam.get(f"/proposals/{made.id}")).text
    assert "Nobody approves their own change." in page
    assert "Approve exactly this" not in page
    fields = {"verdict": "approve", "digest": made.digest}
    own = await pam.send(f"/proposals/{made.id}/decide", fields, page=f"/proposals/{made.id}")
    assert (own.status_code, "self_review" in own.text) == (403, True)
    assert (await pam.send(f"/proposals/{made.id}/withdraw", {}, page=f"/proposals/{made.id}")).status_code == 303
    assert "withdrawn" in (await pam.get(f"/proposals/{made.id}")).text


async def test_a_denial_without_a_comment_is_asked_for_one(world: World) -> None:
    made = await proposed(world, new="lines: 900000")
    ruth = await world.signed_in("ruth@example.com")
    assert "That takes two people." in (await ruth.get(f"/proposals/{made.id}")).text
    again = await ruth.send(
        f"/proposals/{made.id}/decide", {"verdict": "deny", "digest": made.digest}, page=f"/proposals/{made.id}"
    )
    assert (again.status_code, "A denial needs a comment." in again.text) == (422, True)
    fields = {"verdict": "deny", "digest": made.digest, "comment": "too many"}
    assert (await ruth.send(f"/proposals/{made.id}/decide", fields, page=f"/proposals/{made.id}")).status_code == 303
    assert "too many" in (await ruth.get(f"/proposals/{made.id}")).text


async def test_without_a_role_there_is_no_such_page(world: World) -> None:
    made = await proposed(world)
    alice = await world.signed_in("alice@example.com")
    for path in ("/proposals", f"/proposals/{made.id}"):
        assert (await alice.get(path)).status_code == 403
    assert 'href="/proposals"' not in (await alice.get("/")).text
    sam = await world.signed_in("sam@example.com")
    assert "Approve exactly this" not in (await sam.get(f"/proposals/{made.id}")).text


async def test_reviewers_see_whom_a_proposal_would_affect(world: World) -> None:
    quinn = await world.signed_in("quinn@example.com")
    made = await proposed(world, "redaction: pii-default", "redaction: strict")
    page = (await quinn.get(f"/proposals/{made.id}")).text
    assert "No decision on a request was recorded since" in page
    request = await world.ask()
    page = (await quinn.get(f"/proposals/{made.id}")).text
    assert "1 decision on requests since" in page
    assert "0 come out the same, 1 differs." in page
    row = page[page.index('aria-label="Whom it would affect"') :]
    for part in (
        "more redaction",
        "group:<bdi>payments</bdi>",
        "alice@example.com",
        "default with 1 review for 30m, pii-default",
        "for 30m, strict",
    ):
        assert part in row
    assert request.id not in page


async def test_a_replay_that_takes_too_long_is_said_and_never_in_the_way(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    ruth = await world.signed_in("ruth@example.com")
    made = await proposed(world, new="lines: 900000")
    await world.ask()
    monkeypatch.setattr(simulating, "MOST", 0)
    page = await ruth.get(f"/proposals/{made.id}")
    assert page.status_code == 200
    assert "were replayed in 2 s, and there are more." in page.text
    assert f"/proposals/{made.id}?replay=1#effect" in page.text
    assert "Approve exactly this" in page.text
    patient = (await ruth.get(f"/proposals/{made.id}?replay=1")).text
    assert "were replayed in 20 s, and there are more." in patient
    assert "?replay=1" not in patient
    async with world.services.standing.simulating:
        assert "Another simulation is running" in (await ruth.get(f"/proposals/{made.id}")).text


async def test_what_is_decided_is_not_replayed(world: World) -> None:
    made = await proposed(world)
    pam = await world.signed_in("pam@example.com")
    assert "Whom it would affect" in (await pam.get(f"/proposals/{made.id}")).text
    await pam.send(f"/proposals/{made.id}/withdraw", {}, page=f"/proposals/{made.id}")
    assert "Whom it would affect" not in (await pam.get(f"/proposals/{made.id}")).text
