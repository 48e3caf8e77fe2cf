"""E-mail: text and HTML with one link that acts on nothing, through a mail server."""

from __future__ import annotations

import asyncio
import html
import smtplib
import ssl
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from typing import Final

from loglease.model.instant import MICROSECONDS
from loglease.server.notifications.channel import Message, Undelivered

WITHIN_S: Final = 10.0
_REFUSED_FOR_GOOD: Final = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class MailServer:
    """A mail server and who writes.

    Attributes:
        security: ``tls`` from the first byte, ``starttls`` before anything is said, or ``none``.
        sender: the address in From.
    """

    host: str
    port: int
    security: str
    sender: str
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    ca_file: str | None = None


def mail_of(message: Message, *, sender: str, to: tuple[str, ...]) -> EmailMessage:
    """Return a message as an e-mail. Its headers hold words of ours, ids and addresses, nothing that people wrote.

    Raises:
        Undelivered: the address is none.
    """
    mail = EmailMessage(policy=SMTP)
    try:
        mail["From"] = Address(display_name="LogLease", addr_spec=sender)
        mail["To"] = tuple(Address(addr_spec=one) for one in to)
    except (MessageError, ValueError, IndexError):
        raise Undelivered("The address is no e-mail address.", final=True) from None
    mail["Subject"] = message.subject
    mail["Date"] = datetime.fromtimestamp(message.at / MICROSECONDS, UTC)
    mail["Message-ID"] = f"<{message.id}@{sender.rpartition('@')[2]}>"
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(_text(message))
    mail.add_alternative(_html(message), subtype="html")
    return mail


def _text(message: Message) -> str:
    lines = [message.subject, "", *(f"{name}: {text}" for name, text in message.facts), "", message.link]
    lines += ["", message.head] if message.head else []
    return "\n".join(lines).rstrip() + "\n"


def _html(message: Message) -> str:
    rows = "".join(
        f'<tr><th align="left" valign="top">{html.escape(name)}</th><td>{html.escape(text)}</td></tr>'
        for name, text in message.facts
    )
    link = html.escape(message.link)
    head = f"<p><small>{html.escape(message.head)}</small></p>" if message.head else ""
    return (
        f"<!doctype html><html><body><p>{html.escape(message.subject)}</p><table>{rows}</table>"
        f'<p><a href="{link}">{link}</a></p>{head}</body></html>'
    )


class Mail:
    """`Channel` to people by mail.

    Args:
        to: the addresses of a channel; None writes to the person whom a message names.
    """

    kind = "email"

    def __init__(self, server: MailServer, *, to: tuple[str, ...] | None = None, within_s: float = WITHIN_S) -> None:
        self._server = server
        self._to = to
        self._within_s = within_s

    async def send(self, message: Message) -> None:
        """Hand a message to the mail server.

        Raises:
            Undelivered: it was not taken; for good if no address is accepted or the text is not.
        """
        to = self._to or ((message.to,) if message.to is not None else ())
        mail = mail_of(message, sender=self._server.sender, to=to)
        await asyncio.to_thread(self._hand_over, mail, to)

    def _hand_over(self, mail: EmailMessage, to: tuple[str, ...]) -> None:
        try:
            with self._connected() as connection:
                connection.send_message(mail, self._server.sender, to)
        except smtplib.SMTPRecipientsRefused as error:
            final = all(code >= _REFUSED_FOR_GOOD for code, _ in error.recipients.values())
            raise Undelivered("The mail server does not accept the address.", final=final) from None
        except smtplib.SMTPDataError as error:
            raise Undelivered(
                "The mail server does not accept the message.", final=error.smtp_code >= _REFUSED_FOR_GOOD
            ) from None
        except smtplib.SMTPAuthenticationError:
            raise Undelivered("The mail server does not accept our credentials.") from None
        except smtplib.SMTPException:
            raise Undelivered("The mail server does not do what was asked of it.") from None
        except ssl.SSLError:
            raise Undelivered("The mail server's certificate is not accepted.") from None
        except TimeoutError:
            raise Undelivered("The mail server did not answer in time.") from None
        except OSError:
            raise Undelivered("The mail server cannot be reached.") from None

    def _connected(self) -> smtplib.SMTP:
        server = self._server
        if server.security == "none":
            connection = smtplib.SMTP(server.host, server.port, timeout=self._within_s)
        elif server.security == "tls":
            context = ssl.create_default_context(cafile=server.ca_file)
            connection = smtplib.SMTP_SSL(server.host, server.port, timeout=self._within_s, context=context)
        else:
            connection = smtplib.SMTP(server.host, server.port, timeout=self._within_s)
            try:
                connection.starttls(context=ssl.create_default_context(cafile=server.ca_file))
            except BaseException:
                connection.close()
                raise
        try:
            if server.user is not None:
                connection.login(server.user, server.password or "")
        except BaseException:
            connection.close()
            raise
        return connection
