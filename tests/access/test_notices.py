"""Who is told of what, in the transaction of the fact."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from tests.access.journey import active_grant, reviewed, revoke_grant, submitted
from tests.fakes.world import World, caller, principal

from loglease.access.cancel_request import cancel_request
from loglease.access.expire_due import expire_due
from loglease.access.notices import News, TellingLog, Ways, tell
from loglease.access.return_grant import return_grant
from loglease.audit.interface import SYSTEM, Draft, Recorded
from loglease.model.ids import ENTRY, EntryId
from loglease.model.instant import Instant
from loglease.model.notice import Notice
from loglease.model.principal import Kind
from loglease.model.review import Verdict
from loglease.store.interface import StoreUnavailable, Transaction

MAIL = Ways(email=True)


class Woken:
    count = 0

    def __call__(self) -> None:
        self.count += 1


def telling(world: World, ways: Ways = MAIL, woken: Woken | None = None) -> World:
    """Have all that the world commits told from now on."""
    inner = world.log
    world.log = TellingLog(
        inner, rules=lambda: world.rules, ways=ways, new_id=world.new_id, wake=woken or (lambda: None)
    )
    world.log.aclose = inner.aclose
    return world


async def notices(world: World) -> list[Notice]:
    return list(reversed(await world.store.read(lambda tx: tx.outbox.page(limit=1_000))))


async def told(world: World) -> list[tuple[str, str]]:
    return [(one.event, one.recipient) for one in await notices(world)]


async def test_who_may_review_is_told_of_a_request(world: World) -> None:
    request = await submitted(telling(world))
    assert await told(world) == [("request.submitted", "prn_bob"), ("request.submitted", "prn_carol")]
    found = (await notices(world))[0]
    assert found.about == request.id
    assert found.channel == "email"
    assert found.data["digest_sha256"] == request.digest
    assert "checkout fails" not in str(found)


@pytest.mark.answers_lost("cancel_request.cancel_request")
async def test_whoever_asked_is_told_of_the_verdict_and_who_did_it_is_not(world: World) -> None:
    request = await submitted(telling(world))
    done = await reviewed(world, request)
    assert done.grant is not None
    assert ("request.approved", "prn_alice") in await told(world)
    assert not [one for one in await told(world) if one[0] in ("review.given", "grant.scheduled")]
    again = await submitted(world)
    await reviewed(world, again, verdict=Verdict.DENY)
    assert ("request.denied", "prn_alice") in await told(world)
    third = await submitted(world)
    await cancel_request(
        third.id, caller=caller(principal("alice"), world.clock.now()), log=world.log, new_id=world.new_id
    )
    assert "request.cancelled" not in {event for event, _ in await told(world)}


@pytest.mark.answers_lost("expire_due.expire_due")
async def test_one_of_two_approvals_is_told_and_the_clock_is_too(world: World) -> None:
    request = await submitted(telling(world), app="pay")
    await reviewed(world, request)
    assert (await told(world))[-1] == ("review.given", "prn_alice")
    world.clock.advance(7_200)
    await expire_due(log=world.log, new_id=world.new_id)
    assert (await told(world))[-1] == ("request.expired", "prn_alice")


async def test_the_end_of_a_grant_is_told_to_its_holder_unless_they_ended_it(world: World) -> None:
    grant = await active_grant(telling(world))
    assert "grant.activated" not in {event for event, _ in await told(world)}
    await revoke_grant(world, grant.id)
    assert (await told(world))[-1] == ("grant.revoked", "prn_alice")
    other = await active_grant(world)
    before = len(await told(world))
    await return_grant(
        other.id, caller=caller(principal("alice"), world.clock.now()), log=world.log, new_id=world.new_id
    )
    assert len(await told(world)) == before


async def test_programs_hear_of_what_they_want_to_hear_of(world: World) -> None:
    ways = Ways(subscribers={"all": frozenset({"*"}), "ends": frozenset({"grant.revoked"})})
    grant = await active_grant(telling(world, ways))
    await revoke_grant(world, grant.id)
    counted = Counter(recipient for _, recipient in await told(world))
    assert counted["channel:ends"] == 1
    events = [event for event, recipient in await told(world) if recipient == "channel:all"]
    assert events == [
        "request.submitted", "offer.made", "review.given", "request.approved", "grant.scheduled", "grant.activated",
        "grant.revoked",
    ]  # fmt: skip


async def test_operators_hear_of_the_policy(world: World) -> None:
    telling(world, Ways(email=True, operators=("channel:security", "user:erin", "user:nobody")))
    entry = Draft(
        id=EntryId(world.new_id(ENTRY)), type="policy.refused", actor=SYSTEM, data={"error": "policy_invalid"}
    )
    await world.log.commit(lambda _tx, _now: Recorded(None, (entry,)))
    assert await told(world) == [("policy.refused", "channel:security"), ("policy.refused", "prn_erin")]
    assert (await notices(world))[0].data == {"error": "policy_invalid"}


async def test_without_a_mail_server_or_an_address_nobody_is_written_to(world: World) -> None:
    await submitted(telling(world, Ways()))
    assert await told(world) == []


@pytest.mark.answers_lost("submit_request._keep_denial")
async def test_a_refused_work_tells_nothing_and_an_undone_one_neither(world: World) -> None:
    woken = Woken()
    telling(world, woken=woken)
    with pytest.raises(Exception, match=r"PAY|no policy|offer|allow"):
        await submitted(world, app="unknown")
    assert (await told(world), woken.count) == ([], 0)

    def fails(tx: Transaction, now: Instant) -> Recorded[None]:
        tell(tx, news(), ways=MAIL, rules=world.rules, now=now, new_id=world.new_id)
        raise StoreUnavailable("the disk is full")

    with pytest.raises(Exception, match="record"):
        await world.log.commit(fails)
    assert (await told(world), woken.count) == ([], 0)
    await submitted(world)
    assert woken.count == 1


def news(**changes: Any) -> News:
    return News(**{"event": "breakglass.review_due", "fact": "req_1/review", "names": ("group:approvers",), **changes})


async def written(world: World, one: News, ways: Ways = MAIL) -> int:
    def work(tx: Transaction, now: Instant) -> Recorded[int]:
        return Recorded(tell(tx, one, ways=ways, rules=world.rules, now=now, new_id=world.new_id))

    return await world.log.commit(work)


async def test_one_fact_is_told_once_to_each_on_each_channel(world: World) -> None:
    assert await written(world, news()) == 2
    assert await written(world, news()) == 0
    assert await written(world, news(fact="req_1/review/2")) == 2
    assert await written(world, news(names=("channel:security", "group:approvers"))) == 1
    assert await written(world, news(fact="f", people=frozenset({"prn_bob"}))) == 2, "named twice is told once"


async def test_only_people_who_are_enabled_and_did_not_do_it_are_told(world: World) -> None:
    await world.add(principal("bot", kind=Kind.AGENT, groups=("approvers",)))
    await world.change(replace(principal("carol", groups=("approvers",)), enabled=False))
    assert await written(world, news(people=frozenset({"prn_bot", "prn_carol", "prn_none"}))) == 1
    assert await written(world, news(fact="g", left_out=frozenset({"prn_bob"}))) == 0
    await world.change(replace(principal("bob", groups=("approvers",)), email=None))
    assert await written(world, news(fact="h")) == 0
