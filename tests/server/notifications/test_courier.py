"""The worker: order, another try, giving up, what stops being true, and what a message says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from tests.access.journey import active_grant, reviewed, revoke_grant, submitted
from tests.access.test_notices import news, notices, telling, written
from tests.fakes.world import World, principal
from tests.store import values

from loglease.access.deliver_notices import Delivery
from loglease.access.errors import NotFound
from loglease.access.notices import Ways
from loglease.model.ids import NoticeId
from loglease.model.notice import Notice, NoticeState
from loglease.model.principal import Role
from loglease.model.review import Verdict
from loglease.server.notifications.channel import Message, Undelivered
from loglease.server.notifications.courier import Courier
from loglease.server.notifications.messages import message_of

WAYS = Ways(email=True, subscribers={"hook": frozenset({"grant.revoked", "request.submitted"})})


class Taking:
    """A channel that takes what it is given, or fails as a test says."""

    kind = "webhook"

    def __init__(self) -> None:
        self.taken: list[Message] = []
        self.failure: Exception | None = None
        self.tried = 0
        self.changed = asyncio.Condition()

    def has(self, count: int) -> bool:
        return len(self.taken) == count

    async def send(self, message: Message) -> None:
        self.tried += 1
        if self.failure is not None:
            raise self.failure
        async with self.changed:
            self.taken.append(message)
            self.changed.notify_all()


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    made = await World(tmp_path).start()
    await made.add(
        principal("alice"),
        principal("bob", groups=("engineering", "approvers")),
        principal("carol", groups=("engineering", "approvers")),
        principal("erin", roles=(Role.ADMIN,)),
    )
    yield telling(made, WAYS)
    await made.stop()


def courier(world: World, **channels: Taking) -> Courier:
    return Courier(
        channels,
        store=world.store,
        log=world.log,
        rules=lambda: world.rules,
        clock=world.clock,
        message=lambda one: message_of(one, origin="https://logs.example.com", scrub=lambda text: text.replace("s3cret", "▮")),
    )  # fmt: skip


async def everything(sender: Courier, name: str) -> None:
    while await sender.step(name):
        pass


def facts(message: Message) -> dict[str, str]:
    return dict(message.facts)


async def states(world: World) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for one in await notices(world):
        found.setdefault(one.channel, []).append(one.state)
    return found


async def test_a_change_of_the_policy_says_who_wants_it_and_why_and_where_to_look(world: World) -> None:
    now, alice = world.clock.now(), principal("alice")
    proposal = values.proposal(comment="more lines, the key is s3cret \u202e", changes=(), verdict="WIDENS", needed=2)
    notice = Notice(
        id=NoticeId("ntc_1"), event="policy.proposed", fact="ent_1", about="", recipient="prn_bob", channel="email",
        at=now, next_at=now, data={"proposal": proposal.id},
    )  # fmt: skip
    delivery = Delivery(notice=notice, now=now, person=principal("bob"), proposal=proposal, author=alice)
    message = message_of(delivery, origin="https://logs.example.com", scrub=lambda text: text.replace("s3cret", "▮"))
    assert message.subject == f"The change of the policy {proposal.id} waits for your review"
    assert message.link == f"https://logs.example.com/proposals/{proposal.id}"
    said = facts(message)
    assert said["Who"] == "Alice (alice, human)"
    assert said["Why"].startswith("more lines, the key is ▮ \\u{202e}")
    assert said["What"] == f"WIDENS: 0 changes of revision {proposal.base_revision}"
    assert said["Approvals"].startswith("2 of people beside the author")
    assert said["How"].endswith(f"loglease proposals show {proposal.id}")
    assert said["Digest"] == proposal.digest
    later = message_of(
        replace(delivery, notice=replace(notice, event="policy.reviewed", data={**notice.data, "verdict": "deny"})),
        origin="https://logs.example.com",
        scrub=str,
    )
    assert (facts(later)["Verdict"], "How" in facts(later)) == ("deny", False)


async def test_an_approver_reads_all_that_a_decision_needs(world: World) -> None:
    request = await submitted(world, reason="checkout fails, the key is s3cret \u202e " + "x" * 400)
    mail = Taking()
    assert await courier(world, email=mail).step("email")
    assert [one.to for one in mail.taken] == ["bob@example.com", "carol@example.com"]
    message = mail.taken[0]
    assert message.subject == f"Access request {request.id} waits for your decision"
    assert message.link == f"https://logs.example.com/requests/{request.id}"
    said = facts(message)
    assert said["Who"] == "Alice (alice, human)"
    assert said["What"].startswith("all lines of app web from files")
    assert said["Reason"].startswith("checkout fails, the key is ▮ \\u{202e}")
    assert len(said["Reason"]) == 300
    assert said["Digest"] == request.digest
    assert said["Decide by"].startswith("2026-11-23T11:00:00Z")
    assert "10m from its first use" in said["How long"]
    assert said["How"].endswith(f"loglease approve {request.id}")
    assert "Live tail" in said["Risk"]
    assert said["Audit log"].startswith("2 entries, the last one ")


async def test_programs_get_ids_and_states_and_no_text(world: World) -> None:
    request = await submitted(world, reason="checkout fails and so on")
    hook = Taking()
    await courier(world, hook=hook).step("hook")
    assert hook.taken[0].data == {
        "request": request.id, "state": "pending", "digest_sha256": request.digest, "policy": "one-approval",
    }  # fmt: skip


async def test_a_denial_says_why(world: World) -> None:
    request = await submitted(world)
    await reviewed(world, request, verdict=Verdict.DENY, comment="ask for less, not for s3cret")
    mail = Taking()
    await courier(world, email=mail).step("email")
    (message,) = mail.taken
    assert message.to == "alice@example.com"
    assert facts(message)["Comment"] == "ask for less, not for ▮"
    assert (await states(world))["email"] == ["dropped", "dropped", "sent"], "nobody is asked to decide what is decided"


async def test_whoever_cannot_decide_any_more_is_not_asked(world: World) -> None:
    await submitted(world)
    await world.change(replace(principal("bob"), groups=frozenset({"engineering"})))
    await world.change(replace(principal("carol", groups=("approvers",)), enabled=False))
    mail = Taking()
    await courier(world, email=mail).step("email")
    assert mail.taken == []
    assert (await states(world))["email"] == ["dropped", "dropped"]


async def test_the_end_of_a_grant_links_to_it(world: World) -> None:
    grant = await active_grant(world)
    await revoke_grant(world, grant.id)
    mail = Taking()
    await everything(courier(world, email=mail), "email")
    assert mail.taken[-1].link.endswith(f"/grants/{grant.id}")
    assert mail.taken[-1].subject == f"Grant {grant.id} was revoked"


async def test_a_channel_that_is_down_is_tried_again_later_and_holds_up_no_other(world: World) -> None:
    first = await submitted(world)
    second = await submitted(world)
    mail, hook = Taking(), Taking()
    mail.failure = Undelivered("The mail server cannot be reached.")
    sender = courier(world, email=mail, hook=hook)
    assert not await sender.step("email")
    assert mail.tried == 1, "after a failure the channel rests"
    assert await sender.step("hook")
    assert [one.data["request"] for one in hook.taken] == [first.id, second.id]
    waiting = [one for one in await notices(world) if one.channel == "email"]
    assert waiting[0].error == "The mail server cannot be reached."
    assert waiting[0].next_at == world.clock.now() + 1_000_000
    mail.failure = None
    await sender.step("email")
    assert (await states(world))["email"] == ["waiting", "sent", "sent", "sent"]
    world.clock.advance(1)
    await sender.step("email")
    assert (await states(world))["email"] == ["sent"] * 4


async def test_a_fault_of_ours_stops_no_other_message(world: World) -> None:
    await written(world, news(names=("channel:hook",)))
    hook = Taking()
    hook.failure = RuntimeError("a line of a log")
    assert not await courier(world, hook=hook).step("hook")
    (found,) = await notices(world)
    assert (found.state, found.error) == (NoticeState.WAITING, "The server could not write or send it.")


@pytest.mark.answers_lost("deliver_notices.retry_notices")
async def test_after_a_day_it_is_a_dead_letter_that_can_be_tried_again(world: World) -> None:
    await written(world, news(names=("channel:hook",)))
    hook = Taking()
    hook.failure = Undelivered("It cannot be reached.")
    sender = courier(world, hook=hook)
    world.clock.advance(86_400)
    await sender.step("hook")
    (dead,) = await notices(world)
    assert dead.state is NoticeState.DEAD
    with pytest.raises(NotFound):
        await sender.retry("ntc_none")
    hook.failure = None
    assert await sender.retry(dead.id) == 1
    await sender.step("hook")
    assert (await notices(world))[0].state is NoticeState.SENT
    assert await sender.retry(None) == 0


async def test_what_is_gone_is_not_called_again_until_somebody_says_so(world: World) -> None:
    hook = Taking()
    hook.failure = Undelivered("It answered 410: it takes no more messages.", final=True, gone=True)
    sender = courier(world, hook=hook)
    for fact in ("one", "two"):
        await written(world, news(fact=fact, about="req_1", names=("channel:hook",)))
        await sender.step("hook")
    assert hook.tried == 1
    assert [one.state for one in await notices(world)] == ["dead", "dead"]
    hook.failure = None
    assert await sender.retry(None) == 2
    await everything(sender, "hook")
    assert len(hook.taken) == 2


async def test_a_channel_that_does_not_exist_is_seen(world: World) -> None:
    await written(world, news(names=("channel:nowhere",)))
    sender = courier(world, hook=Taking())
    assert await sender.bury_unknown() == 1
    assert await sender.bury_unknown() == 0
    (found,) = await notices(world)
    assert (found.state, found.error) == (NoticeState.DEAD, "The server has no such channel.")


@pytest.mark.answers_lost("deliver_notices.claim", "deliver_notices.forget_notices", "deliver_notices.settle")
async def test_what_was_sent_is_forgotten_after_a_month(world: World) -> None:
    await written(world, news(names=("channel:hook",)))
    sender = courier(world, hook=Taking())
    await sender.step("hook")
    await sender.forget()
    assert len(await notices(world)) == 1
    world.clock.advance(31 * 86_400)
    await sender.forget()
    assert await notices(world) == []


async def test_the_loop_sends_as_soon_as_something_is_written(world: World) -> None:
    hook = Taking()
    sender = courier(world, hook=hook)
    running = asyncio.create_task(sender.run("hook"))
    try:
        for count in (1, 2):
            await written(world, news(fact=str(count), names=("channel:hook",)))
            sender.wake()
            async with hook.changed:
                await hook.changed.wait_for(partial(hook.has, count))
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


@pytest.mark.parametrize("event", ["breakglass.review_due", "something.new"])
async def test_an_event_about_nothing_else_has_a_message_too(world: World, event: str) -> None:
    await written(world, news(event=event, names=("channel:hook",), data={"why": "idle"}))
    hook = Taking()
    await courier(world, hook=hook).step("hook")
    (message,) = hook.taken
    assert facts(message)["Why"] == "idle"
    assert message.link == "https://logs.example.com/"
