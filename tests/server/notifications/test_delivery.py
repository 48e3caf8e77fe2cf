"""A whole server that tells people and programs, and one that dies before it could."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tests.fakes.receivers import SECRET, PostOffice, Receiver, listening, secret_file
from tests.fakes.stack import CONFIG, Person, Stack

WITHIN_S = 180


def stack_in(folder: Path, office: PostOffice, receiver: Receiver) -> Stack:
    notifications = f"""
[notifications]
operators = ["channel:hook"]
[notifications.email]
host = "127.0.0.1"
port = {office.port}
security = "none"
sender = "loglease@example.com"
[notifications.channels.hook]
kind = "webhook"
url = "{receiver.url}"
secret_file = "{secret_file(folder)}"
private_network = true
events = ["*"]
"""
    return Stack(folder, config=CONFIG + notifications)


async def people(stack: Stack) -> tuple[Person, Person]:
    alice = await asyncio.to_thread(stack.add, "alice", "engineering")
    return alice, await asyncio.to_thread(stack.add, "bob", "approvers")


async def test_everybody_whom_a_request_concerns_hears_of_it(tmp_path: Path) -> None:
    async with listening(PostOffice()) as office, listening(Receiver()) as receiver, asyncio.timeout(WITHIN_S):
        stack = await asyncio.to_thread(stack_in(tmp_path, office, receiver).start)
        try:
            alice, bob = await people(stack)
            request = await asyncio.to_thread(alice.ask)
            ((to, mail),) = await office.until(1)
            assert to == ["bob@example.com"]
            assert f"{stack.url}/requests/{request['id']}" in mail.get_body(("plain",)).get_content()
            await asyncio.to_thread(bob.decide, request)
            mails = await office.until(2)
            assert mails[1][0] == ["alice@example.com"]
            assert mails[1][1]["Subject"] == f"Access request {request['id']} is approved"
            await receiver.until("grant.scheduled")
            ours = [one.event for one in receiver.received if one.event["data"].get("request") == request["id"]]
            assert [one["type"] for one in ours] == [
                "request.submitted", "offer.made", "review.given", "request.approved", "grant.scheduled",
            ]  # fmt: skip
            assert all(one.verified == [SECRET] for one in receiver.received)
            assert not any(b"checkout fails" in one.body for one in receiver.received)
        finally:
            await asyncio.to_thread(stack.stop)


async def test_a_server_that_dies_before_it_could_tell_anybody_does_so_later(tmp_path: Path) -> None:
    async with asyncio.timeout(WITHIN_S):
        office, receiver = PostOffice(), Receiver()
        async with listening(office), listening(receiver):
            stack = stack_in(tmp_path, office, receiver)
        await asyncio.to_thread(stack.start)
        alice, bob = await people(stack)
        request = await asyncio.to_thread(alice.ask)
        await asyncio.to_thread(bob.decide, request)
        assert await asyncio.to_thread(alice.grant_of, request), "what is down holds no decision up"
        await asyncio.to_thread(stack.kill)
        assert (office.mails, receiver.received) == ([], [])
        async with listening(office), listening(receiver):
            await asyncio.to_thread(stack.start)
            try:
                ((to, mail),) = await office.until(1)
                assert (to, mail["Subject"]) == (
                    ["alice@example.com"],
                    f"Access request {request['id']} is approved",
                ), "nobody is asked to decide what is decided"
                events = await receiver.until("grant.scheduled")
                assert events.index("request.submitted") < events.index("request.approved")
            finally:
                await asyncio.to_thread(stack.stop)
