"""Mail: what is written, to whom, and what a server's answer means."""

from __future__ import annotations

from typing import Any

import pytest
from tests.fakes.clock import START
from tests.fakes.receivers import PostOffice, listening
from tests.server.notifications.conftest import Certified

from loglease.model.ids import NoticeId
from loglease.server.notifications.channel import Message, Undelivered
from loglease.server.notifications.mail import Mail, MailServer


def message(**changes: Any) -> Message:
    given = {
        "id": NoticeId("ntc_1"),
        "event": "request.submitted",
        "at": START,
        "subject": "Access request req_1 waits for your decision",
        "facts": (("Reason", "<b>checkout & cards</b> fail"), ("Digest", "ab" * 32)),
        "link": "https://logs.example.com/requests/req_1",
        "to": "bob@example.com",
    }
    return Message(**{**given, **changes})


def mail(office: PostOffice, *to: str, **changes: Any) -> Mail:
    given = {"host": "127.0.0.1", "port": office.port, "security": "none", "sender": "loglease@example.com"}
    return Mail(MailServer(**{**given, **changes}), to=to or None, within_s=5)


async def test_a_person_gets_text_and_html_with_one_link() -> None:
    async with listening(PostOffice()) as office:
        await mail(office).send(message())
    ((to, found),) = office.mails
    assert to == ["bob@example.com"]
    assert (found["From"], found["To"]) == ("LogLease <loglease@example.com>", "bob@example.com")
    assert found["Subject"] == "Access request req_1 waits for your decision"
    assert found["Message-ID"] == "<ntc_1@example.com>"
    assert found["Auto-Submitted"] == "auto-generated"
    text = found.get_body(("plain",)).get_content()
    assert "Reason: <b>checkout & cards</b> fail" in text
    assert text.count("https://") == 1
    html = found.get_body(("html",)).get_content()
    assert "&lt;b&gt;checkout &amp; cards&lt;/b&gt;" in html
    assert html.count("<a href=") == 1
    assert "audit head" not in text + html


async def test_a_mail_has_the_head_of_the_audit_log_below_all_else() -> None:
    head = "audit head: logs.example.com/1 5 " + "A" * 43 + "="
    async with listening(PostOffice()) as office:
        await mail(office).send(message(head=head))
    ((_, found),) = office.mails
    assert found.get_body(("plain",)).get_content().splitlines()[-2:] == ["", head]
    assert f"<p><small>{head}</small></p></body>" in found.get_body(("html",)).get_content()


async def test_a_channel_has_addresses_of_its_own() -> None:
    async with listening(PostOffice()) as office:
        await mail(office, "security@example.com", "leads@example.com").send(message(to=None))
    assert office.recipients == ["security@example.com", "leads@example.com"]


@pytest.mark.parametrize("to", ["bob", "bob@example.com\r\nBcc: eve@example.com", ""])
async def test_what_is_no_address_is_not_written_to(to: str) -> None:
    with pytest.raises(Undelivered, match="no e-mail address") as refused:
        await mail(PostOffice()).send(message(to=to))
    assert refused.value.final


@pytest.mark.parametrize(
    ("command", "answer", "why", "final"),
    [
        ("RCPT", "550 no such person", "the address", True),
        ("RCPT", "450 later", "the address", False),
        ("DATA", "554 spam", "the message", True),
        ("DATA", "451 later", "the message", False),
        ("MAIL", "550 not you", "asked of it", False),
        ("EHLO", "421 busy", "asked of it", False),
    ],
)
async def test_only_an_answer_about_this_message_is_final(command: str, answer: str, why: str, *, final: bool) -> None:
    async with listening(PostOffice(refuses={command: answer, "HELO": answer})) as office:
        with pytest.raises(Undelivered, match=why) as refused:
            await mail(office).send(message())
    assert refused.value.final is final
    assert "spam" not in refused.value.why


async def test_a_password_is_said_over_tls_alone(certified: Certified) -> None:
    office = PostOffice(tls=certified.context)
    async with listening(office):
        signed_in = {"user": "us", "password": "secret", "ca_file": certified.ca_file, "security": "starttls"}
        await mail(office, **signed_in).send(message())
        assert office.commands.index("STARTTLS") < office.commands.index("AUTH")
        office.refuses = {"AUTH": "535 no"}
        with pytest.raises(Undelivered, match="credentials") as refused:
            await mail(office, **signed_in).send(message())
        assert not refused.value.final
        with pytest.raises(Undelivered, match="certificate"):
            await mail(office, security="starttls").send(message())
        office.refuses = {"STARTTLS": "502 no"}
        with pytest.raises(Undelivered, match="asked of it"):
            await mail(office, security="starttls", ca_file=certified.ca_file).send(message())
    assert len(office.mails) == 1


async def test_tls_from_the_first_byte(certified: Certified) -> None:
    async with listening(PostOffice(), tls=certified.context) as office:
        await mail(office, security="tls", host="localhost", ca_file=certified.ca_file).send(message())
    assert office.recipients == ["bob@example.com"]


async def test_a_server_that_is_not_there() -> None:
    office = PostOffice()
    async with listening(office):
        pass
    with pytest.raises(Undelivered, match="cannot be reached"):
        await mail(office).send(message())
