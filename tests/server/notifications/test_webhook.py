"""Webhooks: the published scheme, one address, nothing followed."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from tests.fakes.clock import START, FakeClock
from tests.fakes.receivers import SECRET, Receiver, listening
from tests.server.notifications.conftest import Certified

from loglease.model.ids import NoticeId
from loglease.server.notifications.channel import Message, Undelivered
from loglease.server.notifications.webhook import Webhook, secret_of, signature

OTHER = "whsec_" + base64.b64encode(b"b" * 32).decode()


def message(**changes: Any) -> Message:
    given = {"id": NoticeId("ntc_1"), "event": "grant.revoked", "at": START, "subject": "Grant grt_1 was revoked"}
    return Message(**{**given, "data": {"grant": "grt_1", "cause": "grant"}, **changes})


def hook(url: str, *secrets: str, **changes: Any) -> Webhook:
    given = {"clock": FakeClock(), "private": True, "within_s": 5.0, **changes}
    return Webhook(url, [secret_of(one) for one in secrets or (SECRET,)], **given)


def test_the_signature_is_that_of_the_specifications_example() -> None:
    secret = secret_of("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    body = b'{"test": 2432232314}'
    found = signature([secret], message="msg_p5jXN8AQM9LWM0D4loKWxJek", timestamp=1_614_265_330, body=body)
    assert found == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.mark.parametrize("text", ["whsec_!", "whsec_" + base64.b64encode(b"short").decode(), ""])
def test_what_is_no_secret_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="a secret"):
        secret_of(text)


async def test_an_event_arrives_signed_with_ids_and_states() -> None:
    async with listening(Receiver()) as receiver:
        await hook(receiver.url).send(message())
    (found,) = receiver.received
    assert found.verified == [SECRET]
    assert found.headers["webhook-id"] == "ntc_1"
    assert found.headers["webhook-timestamp"] == str(START // 1_000_000)
    assert found.headers["host"] == f"127.0.0.1:{receiver.port}"
    assert found.event == {
        "type": "grant.revoked",
        "timestamp": "2026-11-23T09:00:00.000000Z",
        "data": {"grant": "grt_1", "cause": "grant"},
    }


async def test_an_event_has_the_head_of_the_audit_log() -> None:
    async with listening(Receiver()) as receiver:
        await hook(receiver.url).send(message(head="audit head: x 5 y"))
    assert receiver.received[0].event["data"] == {"grant": "grt_1", "cause": "grant", "audit_head": "audit head: x 5 y"}


async def test_while_the_secret_changes_both_sign() -> None:
    async with listening(Receiver(secrets=(SECRET, OTHER))) as receiver:
        await hook(receiver.url, SECRET, OTHER).send(message())
    assert receiver.received[0].verified == [SECRET, OTHER]


async def test_over_tls_the_name_is_checked_although_the_address_is_called(certified: Certified) -> None:
    async with listening(Receiver(), tls=certified.context) as receiver:
        url = receiver.url.replace("http://127.0.0.1", "https://localhost")
        await hook(url, ca_file=certified.ca_file).send(message())
        with pytest.raises(Undelivered, match="cannot be reached"):
            await hook(url).send(message())
    assert receiver.received[0].headers["host"] == f"localhost:{receiver.port}"
    assert len(receiver.received) == 1


@pytest.mark.attack("IN-01")
async def test_a_redirect_is_not_followed_and_other_answers_are_failures() -> None:
    async with listening(Receiver()) as elsewhere, listening(Receiver()) as receiver:
        receiver.answer, receiver.more = "302 Found", f"location: {elsewhere.url}\r\n"
        with pytest.raises(Undelivered, match="answered 302"):
            await hook(receiver.url).send(message())
        assert elsewhere.received == []
        receiver.answer = "500 Oh no"
        with pytest.raises(Undelivered, match="answered 500") as failed:
            await hook(receiver.url).send(message())
        assert not failed.value.final
        receiver.answer = "410 Gone"
        with pytest.raises(Undelivered, match="410") as gone:
            await hook(receiver.url).send(message())
        assert gone.value.gone
        assert gone.value.final


async def test_an_address_inside_is_not_called_unless_that_is_configured() -> None:
    async with listening(Receiver()) as receiver:
        with pytest.raises(Undelivered, match="inside"):
            await hook(receiver.url, private=False).send(message())
    assert receiver.received == []


async def test_nobody_there_and_no_answer_are_failures_that_may_pass() -> None:
    async with listening(Receiver(silent=True)) as receiver:
        with pytest.raises(Undelivered, match="in time"):
            await hook(receiver.url, within_s=0.2).send(message())
    with pytest.raises(Undelivered, match="cannot be reached"):
        await hook(receiver.url).send(message())


async def test_a_message_that_is_too_large_is_not_sent() -> None:
    with pytest.raises(Undelivered, match="20 KiB"):
        await hook("http://127.0.0.1:1").send(message(data={"x": "y" * 30_000}))
