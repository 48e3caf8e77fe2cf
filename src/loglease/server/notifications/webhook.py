"""Webhooks as Standard Webhooks has them: an id that stays the same, a time, and a signature over both and the body."""

from __future__ import annotations

import asyncio
import base64
import binascii
import hmac
import ssl
from collections.abc import Sequence
from http import HTTPStatus
from typing import Final

import httpx2
import orjson

from loglease.model.clock import Clock
from loglease.model.instant import MICROSECONDS, instant_text
from loglease.server.notifications.channel import Message, Undelivered
from loglease.server.notifications.outgoing import permitted_address

WITHIN_S: Final = 10.0
MAX_BODY_BYTES: Final = 20 << 10
SECRET_PREFIX: Final = "whsec_"  # noqa: S105 - a prefix, not a secret
SECRET_BYTES: Final = range(24, 65)
_PORTS: Final = {"http": 80, "https": 443}


def secret_of(text: str) -> bytes:
    """Return the bytes of a secret such as ``whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw``.

    Raises:
        ValueError: it is no base64 of 24 to 64 bytes.
    """
    try:
        secret = base64.b64decode(text.removeprefix(SECRET_PREFIX), validate=True)
    except binascii.Error:
        raise ValueError("a secret is whsec_ and base64") from None
    if len(secret) not in SECRET_BYTES:
        raise ValueError("a secret has 24 to 64 bytes")
    return secret


def signature(secrets: Sequence[bytes], *, message: str, timestamp: int, body: bytes) -> str:
    """Return the value of ``webhook-signature``: one signature for each secret, so that a receiver may change its own.

    Source: Standard Webhooks, the symmetric scheme ``v1``: HMAC-SHA256 over ``id.timestamp.body``.
    """
    signed = f"{message}.{timestamp}.".encode() + body
    return " ".join(f"v1,{base64.b64encode(hmac.digest(one, signed, 'sha256')).decode()}" for one in secrets)


def body_of(message: Message) -> bytes:
    """Return what is sent: ids and states, no text that somebody wrote."""
    data = {**message.data, **({} if message.head is None else {"audit_head": message.head})}
    body = orjson.dumps({"type": message.event, "timestamp": instant_text(message.at), "data": data})
    if len(body) > MAX_BODY_BYTES:
        raise Undelivered("The message is larger than 20 KiB.", final=True)
    return body


class Webhook:
    """`Channel` to an address that takes events. Nothing is followed, kept or read but the status."""

    kind = "webhook"

    def __init__(
        self,
        url: str,
        secrets: Sequence[bytes],
        *,
        clock: Clock,
        private: bool = False,
        ca_file: str | None = None,
        within_s: float = WITHIN_S,
    ) -> None:
        self._url = httpx2.URL(url)
        self._secrets = tuple(secrets)
        self._clock = clock
        self._private = private
        self._ca_file = ca_file
        self._within_s = within_s
        self._trusted: ssl.SSLContext | None = None

    async def send(self, message: Message) -> None:
        """Post an event.

        Raises:
            Undelivered: it was not answered with 2xx in time; ``gone`` for 410.
        """
        body = body_of(message)
        try:
            async with asyncio.timeout(self._within_s):
                status = await self._post(message, body)
        except (TimeoutError, httpx2.TimeoutException):
            raise Undelivered("It did not answer in time.") from None
        except (httpx2.HTTPError, OSError):
            raise Undelivered("It cannot be reached.") from None
        if status == HTTPStatus.GONE:
            raise Undelivered("It answered 410: it takes no more messages.", final=True, gone=True)
        if not HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
            raise Undelivered(f"It answered {status}.")

    async def _post(self, message: Message, body: bytes) -> int:
        host, port = self._url.host, self._url.port or _PORTS[self._url.scheme]
        address = await permitted_address(host, port, private=self._private)
        timestamp = self._clock.now() // MICROSECONDS
        headers = {
            "host": self._url.netloc.decode(),
            "content-type": "application/json",
            "user-agent": "loglease",
            "accept-encoding": "identity",
            "webhook-id": message.id,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": signature(self._secrets, message=message.id, timestamp=timestamp, body=body),
        }
        # The address that was looked at is the one that is called: its name is not asked for a second time.
        url = self._url.copy_with(host=address)
        async with (
            httpx2.AsyncClient(verify=await self._context(), trust_env=False, timeout=self._within_s) as client,
            client.stream("POST", url, content=body, headers=headers, extensions={"sni_hostname": host}) as response,
        ):
            return response.status_code

    async def _context(self) -> ssl.SSLContext:
        """Return what is trusted; without TLS nobody is, since reading the system's authorities takes its time."""
        if self._trusted is None:
            if self._url.scheme == "http":
                self._trusted = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            else:
                self._trusted = await asyncio.to_thread(ssl.create_default_context, cafile=self._ca_file)
        return self._trusted
