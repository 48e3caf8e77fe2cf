"""Reminders, escalations and who is told of a grant: what a policy says, by the clock."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.access.journey import reviewed, submitted
from tests.access.test_notices import MAIL, notices, telling, told
from tests.fakes.world import POLICY, World, caller, principal

from loglease.access.deliver_notices import Delivery, due
from loglease.access.errors import NotFound, ReviewerNotEligible
from loglease.access.notices import Ways
from loglease.access.permissions import require_may_revoke
from loglease.access.queries import grant_view, inbox, request_view
from loglease.access.remind_due import remind_due
from loglease.audit.interface import Recorded
from loglease.model.access_request import AccessRequest
from loglease.model.notice import NoticeState, settled
from loglease.model.review import Verdict
from loglease.store.interface import Transaction

STAGED = (
    POLICY.replace(b"groups: [engineering, approvers]", b"groups: [engineering, approvers, bosses, privacy]")
    .replace(b"sources: [files]}\nlabels", b"sources: [files], channels: [incident, security]}\nlabels")
    .replace(
        b"    stages: [{from: [group:approvers], need: 1}]",
        b"    notify: [channel:incident, user:erin]\n    stages:\n"
        b"      - {from: [group:approvers], need: 1, remind: 10m, escalate: {after: 30m, to: [group:bosses]}}\n"
        b"      - {from: [group:privacy], need: 1, remind: 1h}",
    )
    + b"""---
api: loglease/v1
kind: Guardrail
id: watched
applies: {all_streams: true}
add: {notify: [channel:security]}
"""
)
BOSS, PRIVACY = ("engineering", "bosses"), ("engineering", "privacy")


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    made = await World(tmp_path, policy=STAGED).start()
    await made.add(
        principal("alice"),
        principal("bob", groups=("engineering", "approvers")),
        principal("gina", groups=BOSS),
        principal("pia", groups=PRIVACY),
        principal("erin"),
    )
    yield telling(made)
    await made.stop()


async def passed(world: World, seconds: int, ways: Ways = MAIL) -> int:
    """Let time pass, then do what is due."""
    world.clock.advance(seconds)
    return await remind_due(
        store=world.store, log=world.log, rules=lambda: world.rules, ways=ways, new_id=world.new_id,
        now=world.clock.now(),
    )  # fmt: skip


async def approved(world: World, request: AccessRequest, by: str, *groups: str) -> None:
    await reviewed(world, request, caller=caller(principal(by, groups=groups), world.clock.now()))


@pytest.mark.answers_lost("remind_due.remind_due")
async def test_who_can_still_act_is_reminded_and_nobody_else(world: World) -> None:
    await submitted(world)
    assert await passed(world, 599) == 0
    before = len(await told(world))
    assert await passed(world, 1) == 1
    assert (await told(world))[before:] == [("request.reminder", "prn_bob")]
    assert await passed(world, 60) == 0, "once is enough"
    await passed(world, 540)
    assert (await told(world))[before:] == [("request.reminder", "prn_bob")] * 2


async def test_after_a_review_the_clock_of_reminders_starts_again_for_the_next_stage(world: World) -> None:
    request = await submitted(world)
    world.clock.advance(500)
    await approved(world, request, "bob", "engineering", "approvers")
    assert ("request.stage_opened", "prn_pia") in await told(world)
    before = len(await told(world))
    await passed(world, 3_599)
    assert "request.reminder" not in {event for event, _ in (await told(world))[before:]}
    await passed(world, 1)
    assert (await told(world))[-1] == ("request.reminder", "prn_pia")


async def test_a_decided_request_reminds_nobody(world: World) -> None:
    request = await submitted(world)
    await reviewed(world, request, verdict=Verdict.DENY)
    assert await passed(world, 7_000) == 0
    await submitted(world)
    assert await passed(world, 7_200) == 0, "nor one whose time is over"


async def test_an_old_reminder_is_not_sent_beside_a_newer_one(world: World) -> None:
    await submitted(world)
    await passed(world, 600)
    await passed(world, 600)
    now = world.clock.now()
    found = await world.store.read(lambda tx: due(tx, "email", world.rules, now, 10))
    first = found[0]
    assert isinstance(first, Delivery)
    assert first.notice.event == "request.submitted"
    waiting = {one.fact: one for one in await notices(world) if one.event == "request.reminder"}
    assert len(waiting) == 2
    await world.log.commit(lambda tx, _now: _sent(tx, first))
    dropped, *_ = await world.store.read(lambda tx: due(tx, "email", world.rules, now, 10))
    assert dropped == min(waiting.values(), key=lambda one: one.at)


def _sent(tx: Transaction, delivery: Delivery) -> Recorded[None]:
    return Recorded(tx.outbox.update(settled(delivery.notice, NoticeState.SENT)))


async def test_an_escalation_calls_people_who_then_see_and_decide(world: World) -> None:
    request = await submitted(world)
    gina = caller(principal("gina", groups=BOSS), world.clock.now())
    await passed(world, 1_799)
    with pytest.raises(NotFound):
        await reviewed(world, request, caller=replace(gina, signed_in_at=world.clock.now()))
    await passed(world, 1)
    assert ("request.escalated", "prn_gina") in await told(world)
    assert ("request.escalated", "prn_bob") not in await told(world), "who could act before is only reminded"
    now = world.clock.now()
    view = await world.store.read(lambda tx: request_view(tx, gina, request.id, now))
    assert view.may_review
    assert "prn_gina" in view.reviewers
    waiting = await world.store.read(lambda tx: inbox(tx, gina, now))
    assert [one.request.id for one in waiting.to_review] == [request.id]
    assert await passed(world, 1) == 0, "called once"
    await reviewed(world, request, caller=replace(gina, signed_in_at=world.clock.now()))
    pia = caller(principal("pia", groups=PRIVACY), world.clock.now())
    done = await reviewed(world, request, caller=pia)
    assert done.grant is not None
    granted, asked = done.grant.id, done.request
    await world.store.read(lambda tx: require_may_revoke(tx, gina, asked))
    view_of_grant = await world.store.read(lambda tx: grant_view(tx, gina, granted, now))
    assert view_of_grant.grant.id == granted


async def test_an_escalation_is_due_by_the_clock_and_not_by_a_sweep(world: World) -> None:
    """Who sees the request anyway may review it from that instant, whether anybody was called or not."""
    world.clock.advance(0)
    await world.change(principal("pia", groups=("engineering", "privacy", "bosses")))
    request = await submitted(world)
    pia = caller(principal("pia", groups=("engineering", "privacy", "bosses")), world.clock.now())
    with pytest.raises(Exception, match=r"earlier stages|before it"):
        await reviewed(world, request, caller=pia)
    world.clock.advance(1_800)
    done = await reviewed(world, request, caller=replace(pia, signed_in_at=world.clock.now()))
    assert done.grant is None, "she is one person, and fills one slot"


async def test_whom_an_escalation_means_is_found_out_when_they_review(world: World) -> None:
    request = await submitted(world)
    await passed(world, 1_800)
    await world.change(principal("gina", groups=("engineering",)))
    with pytest.raises(ReviewerNotEligible):
        await reviewed(world, request, caller=caller(principal("gina"), world.clock.now()))
    await world.add(principal("nina", groups=BOSS))
    await passed(world, 5)
    nina = caller(principal("nina", groups=BOSS), world.clock.now())
    await reviewed(world, request, caller=nina)


async def test_without_mail_nobody_is_reminded_but_escalations_still_call(world: World) -> None:
    request = await submitted(world)
    assert await passed(world, 600, Ways()) == 0
    assert await passed(world, 1_200, Ways()) == 1
    assert await passed(world, 60, Ways()) == 0
    assert await world.store.read(lambda tx: tx.requests.called(request.id)) == {"prn_gina"}


async def test_route_and_guardrail_say_who_is_told_of_the_grant(world: World) -> None:
    request = await submitted(world)
    assert request.offer.notify == ("channel:incident", "channel:security", "user:erin")
    await approved(world, request, "bob", "engineering", "approvers")
    await approved(world, request, "pia", *PRIVACY)
    found = [recipient for event, recipient in await told(world) if event == "grant.scheduled"]
    assert found == ["channel:incident", "channel:security", "prn_erin"]


async def test_the_record_names_all_who_may_ever_count(world: World) -> None:
    request = await submitted(world)
    assert b'"from":["group:approvers","group:bosses"]' in request.terms_bytes
