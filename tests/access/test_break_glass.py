"""Breaking the glass and looking at it afterwards, with the attacks on both."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest
from tests.access.glass import (
    ALICE,
    BOB,
    BOT,
    CAROL,
    DAVE,
    EVERYONE,
    GLASS,
    HOUR,
    MALLORY,
    PRIYA,
    TWIN,
    broken,
    fresh,
    looked_at,
    quick,
    stale,
    watch_of,
)
from tests.fakes.world import World, rules_of, wish

from loglease.access.activate_grant import activate_grant
from loglease.access.errors import (
    ClockSuspect,
    NotFound,
    PolicyDenied,
    ReasonRequired,
    ReviewerNotEligible,
    ReviewerNotHuman,
    SamePerson,
    SelfReview,
    StepUpRequired,
)
from loglease.access.expire_due import expire_due
from loglease.access.notices import TellingLog, Ways
from loglease.access.queries import after_reviews_page, exposure_of, inbox, request_view, timeline
from loglease.access.remind_afterwards import remind_afterwards
from loglease.access.standing import alarm, closed_to
from loglease.access.submit_request import submit_request
from loglease.audit.interface import AuditUnavailable
from loglease.model.access_request import RequestState
from loglease.model.after_review import AfterState, AfterVerdict
from loglease.model.errors import AlreadyReviewed, InvalidField, LogLeaseError
from loglease.model.grant import Grant, GrantState
from loglease.model.ids import PersonId
from loglease.model.offer import Outcome
from loglease.model.rights import Right
from loglease.policy.decision import Point
from loglease.store.interface import StoreUnavailable


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    made = await World(tmp_path, policy=GLASS).start()
    await made.add(*EVERYONE)
    yield made
    await made.stop()


async def entries(world: World) -> list[dict[str, Any]]:
    rows = await world.store.read(lambda tx: tx.entries.since(0))
    return [orjson.loads(row.content) for row in rows]


def telling(world: World) -> TellingLog:
    return TellingLog(world.log, rules=lambda: world.rules, ways=Ways(email=True), new_id=world.new_id)


async def grant_of(world: World, request: Any) -> Grant:
    found = await world.store.read(lambda tx: tx.grants.of_request(request.id))
    assert found is not None
    return found


async def reason_closed(world: World, who: Any = ALICE) -> str | None:
    now = world.clock.now()
    return await world.store.read(lambda tx: closed_to(tx, who, tx.principals.directory(), world.rules, now))


@pytest.mark.answers_lost("break_glass.break_glass")
async def test_the_grant_is_active_and_its_after_review_open_in_one_transaction(world: World) -> None:
    request = await broken(world)
    grant = await grant_of(world, request)
    assert (request.state, request.offer.outcome) == (RequestState.APPROVED, Outcome.BREAK_GLASS)
    assert (grant.state, grant.basis) == (GrantState.ACTIVE, Outcome.BREAK_GLASS)
    assert (grant.terms.duration_s, grant.terms.limits.lines) == (900, 500)
    review = await world.store.read(lambda tx: tx.after_reviews.find(request.id))
    assert review is not None
    assert (review.state, review.opened_at, review.due_at) == (
        AfterState.OPEN,
        world.clock.now(),
        world.clock.now() + 24 * HOUR,
    )
    recorded = {one["type"]: one for one in await entries(world)}
    assert list(recorded) == [
        "request.submitted", "offer.made", "request.approved", "grant.scheduled", "grant.activated",
    ]  # fmt: skip
    assert recorded["offer.made"]["data"]["outcome"] == "break_glass"
    scheduled = recorded["grant.scheduled"]["data"]
    assert (scheduled["basis"], scheduled["reviews"], "review_by_at" in scheduled) == ("break_glass", [], True)


async def test_who_is_told_is_written_down_in_the_same_transaction(world: World) -> None:
    request = await broken(world, log=telling(world))
    notices = await world.store.read(lambda tx: tx.outbox.page(about=request.id))
    told = {(one.event, one.recipient) for one in notices}
    assert {("breakglass.used", "channel:security"), ("breakglass.used", BOB.id), ("breakglass.used", CAROL.id)} <= told


@pytest.mark.answers_lost("remind_afterwards.remind_afterwards")
async def test_who_looks_at_it_is_told_at_once_and_every_day_that_it_is_late(world: World) -> None:
    ways, ports = (
        Ways(email=True),
        {"store": world.store, "log": world.log, "rules": world.rules, "new_id": world.new_id},
    )
    request = await broken(world, log=telling(world))

    async def told(event: str) -> list[str]:
        notices = await world.store.read(lambda tx: tx.outbox.page(about=request.id, limit=100))
        return sorted(one.recipient for one in notices if one.event == event)

    assert await told("breakglass.review_due") == [BOB.id, CAROL.id]
    assert await remind_afterwards(ways=ways, now=world.clock.now(), **ports) == 0
    world.clock.advance(24 * 3_600)
    late = sorted([BOB.id, CAROL.id, PRIYA.id, TWIN.id, "channel:security"])  # the twin is in a group to be told
    for _ in range(2):
        await remind_afterwards(ways=ways, now=world.clock.now(), **ports)
        assert await told("breakglass.review_overdue") == late
    world.clock.advance(24 * 3_600)
    await remind_afterwards(ways=ways, now=world.clock.now(), **ports)
    assert await told("breakglass.review_overdue") == sorted(late * 2)
    await expire_due(log=telling(world), new_id=world.new_id)
    assert "channel:security" in await told("breakglass.ended")
    await looked_at(world, request.id, log=telling(world))
    assert await told("breakglass.reviewed") == [ALICE.id]
    world.clock.advance(24 * 3_600)
    assert await remind_afterwards(ways=ways, now=world.clock.now(), **ports) == 0


async def test_nothing_is_given_that_cannot_be_recorded_or_told(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_space(*_: object) -> int:
        raise StoreUnavailable("The disk is full.")

    monkeypatch.setattr("loglease.store.outbox.SqlOutbox.insert", no_space)
    with pytest.raises((StoreUnavailable, AuditUnavailable)):
        await broken(world, log=telling(world))
    assert await world.store.read(lambda tx: (tx.requests.page(), tx.grants.page(), tx.after_reviews.page())) == (
        [],
        [],
        [],
    )
    assert await entries(world) == []


async def test_the_sign_in_has_to_be_as_fresh_as_the_document_says(world: World) -> None:
    await broken(world, by=stale(world, ALICE, 300))
    for by in (stale(world, ALICE, 301), replace(fresh(world, ALICE), signed_in_at=None, rights=frozenset(Right))):
        with pytest.raises(StepUpRequired):
            await broken(world, by=by)


@pytest.mark.parametrize("who", [MALLORY, BOT, CAROL])
async def test_it_is_for_nobody_else_and_for_no_agent(world: World, who: Any) -> None:
    with pytest.raises(PolicyDenied):
        await broken(world, who)


@pytest.mark.parametrize(
    "changes", [{"profile": "raw"}, {"app": "pay"}, {"reason": "x"}, {"duration_s": 10**9}], ids=str
)
async def test_scope_redaction_reason_and_length_stay(world: World, changes: dict[str, Any]) -> None:
    try:
        request = await broken(world, **changes)
    except (PolicyDenied, ReasonRequired):
        return
    assert request.terms.duration_s == 1_800


async def test_an_emergency_is_no_ordinary_request(world: World) -> None:
    with pytest.raises(InvalidField):
        await submit_request(wish(break_glass=True), caller=fresh(world, ALICE), offer=None, **world.ports)


async def test_nothing_begins_while_the_clock_is_suspect(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def suspect(_self: object) -> None:
        raise ClockSuspect

    monkeypatch.setattr("loglease.access.watch.Watch.require_ready", suspect)
    with pytest.raises(ClockSuspect):
        await broken(world)


# How often.


async def test_beyond_the_rate_both_ways_are_closed_and_ordinary_requests_are_not(world: World) -> None:
    for _ in range(2):
        request = await broken(world)
        await looked_at(world, request.id)
    assert "break the glass 2 times in 7d" in (await reason_closed(world) or "")
    with pytest.raises(PolicyDenied, match="2 times in 7d"):
        await broken(world)
    assert (await quick(world)).offer.outcome is Outcome.REVIEW
    asked = await submit_request(wish(), caller=fresh(world, ALICE), offer=None, **world.ports)
    assert asked.state is RequestState.PENDING
    world.clock.advance(7 * 24 * 3_600)
    assert await reason_closed(world) is None
    await broken(world)


async def test_another_login_of_the_same_person_has_no_rate_of_its_own(world: World) -> None:
    await broken(world)
    await broken(world, TWIN)
    with pytest.raises(PolicyDenied):
        await broken(world, TWIN)
    await world.change(replace(DAVE, suspected=frozenset({PersonId("per_alice")})))
    with pytest.raises(PolicyDenied):
        await broken(world, replace(DAVE, suspected=frozenset({PersonId("per_alice")})))


async def test_somebody_else_may_still_and_everybody_counts_for_the_alarm(world: World) -> None:
    now = world.clock.now()
    await broken(world)
    await broken(world)
    assert await world.store.read(lambda tx: alarm(tx, world.rules, "on-fire", now)) is None
    await broken(world, DAVE)
    found = await world.store.read(lambda tx: alarm(tx, world.rules, "on-fire", now))
    assert found is not None
    assert (found.count, found.at) == (3, 3)
    await broken(world, DAVE)
    assert await world.store.read(lambda tx: alarm(tx, world.rules, "gone", now)) is None


# What is late, and what was not justified.


async def test_an_own_late_after_review_closes_and_justified_by_somebody_else_opens(world: World) -> None:
    request = await broken(world)
    world.clock.advance(24 * 3_600 - 1)
    assert await reason_closed(world) is None
    world.clock.advance(1)
    assert request.id in (await reason_closed(world) or "")
    with pytest.raises(PolicyDenied, match="is late"):
        await broken(world)
    with pytest.raises(PolicyDenied):
        await broken(world, TWIN)
    assert (await quick(world)).offer.outcome is Outcome.REVIEW
    await broken(world, DAVE)
    await looked_at(world, request.id, verdict=AfterVerdict.FOLLOW_UP)
    with pytest.raises(PolicyDenied):
        await broken(world)
    await looked_at(world, request.id)
    await broken(world)


@pytest.mark.answers_lost("review_afterwards.review_afterwards")
async def test_not_justified_closes_until_somebody_else_reopens_it(world: World) -> None:
    request = await broken(world)
    await looked_at(world, request.id, verdict=AfterVerdict.NOT_JUSTIFIED)
    with pytest.raises(PolicyDenied, match="not to be justified"):
        await broken(world)
    with pytest.raises(SamePerson):
        await looked_at(world, request.id)
    for verdict in (AfterVerdict.FOLLOW_UP,):
        with pytest.raises(AlreadyReviewed):
            await looked_at(world, request.id, CAROL, verdict)
    done = await looked_at(world, request.id, CAROL)
    assert [one.verdict for one in done.opinions] == [AfterVerdict.NOT_JUSTIFIED, AfterVerdict.JUSTIFIED]
    await broken(world)


async def test_a_closed_automatic_grant_does_not_start_either(world: World) -> None:
    early = await quick(world)
    assert early.offer.outcome is Outcome.AUTO
    request = await broken(world)
    await looked_at(world, request.id, verdict=AfterVerdict.NOT_JUSTIFIED)
    ports = {key: value for key, value in world.ports.items() if key != "random"} | {"watch": watch_of(world)}
    grant = await grant_of(world, early)
    with pytest.raises(PolicyDenied, match="without a review"):
        await activate_grant(grant.id, caller=fresh(world, ALICE), **ports)
    await looked_at(world, request.id, CAROL)
    assert (await activate_grant(grant.id, caller=fresh(world, ALICE), **ports)).state is GrantState.ACTIVE


async def test_an_automatic_route_opens_an_after_review_too(world: World) -> None:
    request = await quick(world)
    review = await world.store.read(lambda tx: tx.after_reviews.find(request.id))
    assert review is not None
    assert (review.basis, review.state) == (Outcome.AUTO, AfterState.OPEN)
    world.clock.advance(24 * 3_600)
    assert (await quick(world)).offer.outcome is Outcome.REVIEW


# Who may.


@pytest.mark.parametrize(
    ("who", "error"),
    [
        (ALICE, SelfReview),
        (TWIN, SamePerson),
        (BOT, ReviewerNotHuman),
        (MALLORY, NotFound),
        (PRIYA, ReviewerNotEligible),
    ],
)
async def test_nobody_else_does_an_after_review(world: World, who: Any, error: type[LogLeaseError]) -> None:
    request = await broken(world)
    with pytest.raises(error):
        await looked_at(world, request.id, who)
    assert [one["type"] for one in await entries(world)][-1] == "grant.activated"


async def test_a_token_does_none_and_neither_does_an_old_sign_in(world: World) -> None:
    request = await broken(world)
    with pytest.raises(ReviewerNotHuman):
        await looked_at(
            world, request.id, caller=replace(fresh(world, BOB), signed_in_at=None, rights=frozenset(Right))
        )
    with pytest.raises(StepUpRequired):
        await looked_at(world, request.id, caller=stale(world, BOB, 901))
    await looked_at(world, request.id, caller=stale(world, BOB, 900))


async def test_somebody_suspected_to_be_the_same_person_does_none(world: World) -> None:
    request = await broken(world)
    suspect = replace(BOB, suspected=frozenset({PersonId("per_alice")}))
    await world.change(suspect)
    with pytest.raises(SamePerson):
        await looked_at(world, request.id, suspect)
    with pytest.raises(SamePerson):
        await looked_at(world, request.id, BOB)


async def test_who_joins_the_group_later_or_leaves_it_does_none(world: World) -> None:
    request = await broken(world)
    joined = replace(MALLORY, groups=frozenset({"leads"}))
    await world.change(joined)
    with pytest.raises(NotFound):
        await looked_at(world, request.id, joined)
    left = replace(BOB, groups=frozenset())
    await world.change(left)
    with pytest.raises(ReviewerNotEligible):
        await looked_at(world, request.id, left)


async def test_a_late_one_goes_to_those_it_is_escalated_to(world: World) -> None:
    request = await broken(world)
    world.clock.advance(24 * 3_600)
    assert (await looked_at(world, request.id, PRIYA)).state is AfterState.JUSTIFIED


async def test_the_same_verdict_again_writes_nothing_and_objections_need_words(world: World) -> None:
    request = await broken(world)
    for verdict in (AfterVerdict.NOT_JUSTIFIED, AfterVerdict.FOLLOW_UP):
        with pytest.raises(ReasonRequired):
            await looked_at(world, request.id, verdict=verdict, comment=" ")
    with pytest.raises(ReasonRequired):
        await looked_at(world, request.id, comment="x" * 2_001)
    first = await looked_at(world, request.id, comment="")
    assert await looked_at(world, request.id, comment="") == first
    assert [one["type"] for one in await entries(world)].count("breakglass.reviewed") == 1
    with pytest.raises(AlreadyReviewed):
        await looked_at(world, request.id, CAROL)


async def test_a_request_that_people_approved_has_none(world: World) -> None:
    asked = await submit_request(wish(), caller=fresh(world, ALICE), offer=None, **world.ports)
    with pytest.raises(NotFound, match="no after-review"):
        await looked_at(world, asked.id, replace(ALICE))
    with pytest.raises(NotFound, match="no after-review"):
        await world.store.read(lambda tx: exposure_of(tx, fresh(world, ALICE), asked.id, world.vault))


async def test_two_stages_need_two_people(tmp_path: Path) -> None:
    rail = b"""
---
api: loglease/v1
kind: Guardrail
id: asks-privacy
applies: {all_streams: true}
require: {stage: {from: [group:privacy], need: 1}}
"""
    world = await World(tmp_path, policy=GLASS + rail).start()
    await world.add(*EVERYONE)
    try:
        request = await broken(world)
        assert (await looked_at(world, request.id)).state is AfterState.OPEN
        assert (await looked_at(world, request.id, PRIYA)).state is AfterState.JUSTIFIED
    finally:
        await world.stop()


# What is shown.


async def test_it_waits_for_those_who_may_do_it(world: World) -> None:
    request = await broken(world)
    now = world.clock.now()

    def waiting(who: Any) -> Any:
        return lambda tx: [one.request.id for one in inbox(tx, fresh(world, who), now).to_review_afterwards]

    for who, found in ((BOB, [request.id]), (ALICE, []), (TWIN, []), (MALLORY, []), (PRIYA, [])):
        assert await world.store.read(waiting(who)) == found
    await looked_at(world, request.id)
    assert await world.store.read(waiting(CAROL)) == []
    assert await world.store.read(lambda tx: len(after_reviews_page(tx, fresh(world, CAROL), now))) == 1
    assert await world.store.read(lambda tx: after_reviews_page(tx, fresh(world, CAROL), now, undone=True)) == []
    assert await world.store.read(lambda tx: after_reviews_page(tx, fresh(world, MALLORY), now)) == []
    assert await world.store.read(lambda tx: after_reviews_page(tx, fresh(world, BOB), now, before=request.id)) == []


async def test_the_history_says_what_was_said(world: World) -> None:
    request = await broken(world)
    await looked_at(world, request.id)
    history = await world.store.read(lambda tx: timeline(tx, fresh(world, BOB), request.id))
    assert history[-1].data["verdict"] == "justified"
    view = await world.store.read(lambda tx: request_view(tx, fresh(world, CAROL), request.id, world.clock.now()))
    assert not view.may_review_afterwards


async def test_a_reader_of_nothing_exposed_nothing(world: World) -> None:
    request = await broken(world)
    found = await world.store.read(lambda tx: exposure_of(tx, fresh(world, BOB), request.id, world.vault))
    assert (found.sessions, found.lines, found.queries, found.streams, found.complete) == (0, 0, (), (), True)
    with pytest.raises(NotFound):
        await world.store.read(lambda tx: exposure_of(tx, fresh(world, MALLORY), request.id, world.vault))


async def test_a_grant_ends_with_the_document_that_gave_it(world: World) -> None:
    request = await broken(world)
    gone = rules_of()
    with pytest.raises(PolicyDenied):
        await world.store.read(
            lambda tx: gone.still_allowed(
                Point.SESSION_OPEN, request, request.terms, tx.principals.directory(), world.clock.now()
            )
        )
