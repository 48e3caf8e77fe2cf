"""Calls from this server to others that its operator configured: small, bounded, and only to where they may go.

SECURITY: the address is looked at after the name is resolved, and that very address is connected to, so that a name
cannot mean another machine the second time. Link-local addresses, where clouds hand out credentials, are never called;
private ones only where the operator said so. No redirect is followed. Tested in tests/server/test_outgoing.py.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
from dataclasses import dataclass, field
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Final

import httpx2

from loglease.server.proxies import Address, address_in

MAX_ANSWER_BYTES: Final = 64 << 10
CONNECTIONS: Final = 4
KEEP_S: Final = 15.0
_EMBEDDED: Final = ipaddress.IPv6Network("64:ff9b::/96")


class NoAnswer(Exception):
    """There is no answer; the text says why, without addresses, headers or bodies."""


class _Forbidden(Exception):
    """The name stands for an address that may not be called."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call.

    Attributes:
        url: whole, percent-encoded.
        body: makes it a POST.
        content_type: of the body.
    """

    url: str
    body: bytes | None = None
    content_type: str = "application/json"
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    body: bytes = field(repr=False)
    content_type: str = ""


def may_call(address: Address, *, private: bool) -> bool:
    """Say whether an address may be called at all.

    Args:
        private: whether the operator allowed addresses that are not of the public Internet.
    """
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if address in _EMBEDDED:
            inner = ipaddress.IPv4Address(address.packed[-4:])
        if inner is not None:
            return may_call(inner, private=private)
    if address.is_multicast or address.is_unspecified or address.is_link_local:
        return False
    if address.is_reserved and not address.is_loopback:
        return False
    return address.is_global or (private and (address.is_private or address.is_loopback or _is_shared(address)))


def _is_shared(address: Address) -> bool:
    """Say whether it is one of those that providers share among customers, which are neither global nor private."""
    return isinstance(address, ipaddress.IPv4Address) and address in ipaddress.IPv4Network("100.64.0.0/10")


class _Guarded(httpx2.AsyncBaseTransport):
    """Resolves names itself, and connects to what it has looked at."""

    def __init__(self, *, private: bool, ca_file: str | None) -> None:
        self._private = private
        self._inner = httpx2.AsyncHTTPTransport(
            verify=True if ca_file is None else ssl.create_default_context(cafile=ca_file),
            trust_env=False,
            limits=httpx2.Limits(
                max_connections=CONNECTIONS, max_keepalive_connections=CONNECTIONS, keepalive_expiry=KEEP_S
            ),
        )

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        name = request.url.host
        extensions = {**request.extensions, "sni_hostname": name}
        failed: httpx2.ConnectError | None = None
        for address in await self._addresses(name, request.url.port):
            there = httpx2.Request(
                request.method,
                request.url.copy_with(host=address),
                headers=request.headers,
                stream=request.stream,
                extensions=extensions,
            )
            try:
                return await self._inner.handle_async_request(there)
            except httpx2.ConnectError as error:
                failed = error
        raise failed or _Forbidden

    async def aclose(self) -> None:
        await self._inner.aclose()

    async def _addresses(self, name: str, port: int | None) -> list[str]:
        literal = address_in(f"[{name}]" if ":" in name else name)
        if literal is not None:
            found = [literal]
        else:
            loop = asyncio.get_running_loop()
            answers = await loop.getaddrinfo(name, port or 0, type=socket.SOCK_STREAM)
            found = [one for *_, place in answers if (one := address_in(f"[{place[0]}]")) is not None]
        if not all(may_call(one, private=self._private) for one in found):
            raise _Forbidden  # or the answer that suits the other side would be chosen
        return [str(one) for one in dict.fromkeys(found)]


class Outgoing:
    """Connections to one server. They are opened at the first call.

    Args:
        private: whether it may have an address that is not of the public Internet.
        ca_file: certificates to trust instead of the system's.
        within_s: how long a call may take, from resolving the name to the last byte.
        at_most: how many bytes an answer may have.
    """

    def __init__(
        self, *, private: bool, ca_file: str | None = None, within_s: float, at_most: int = MAX_ANSWER_BYTES
    ) -> None:
        self._within_s = within_s
        self._at_most = at_most
        self._client = httpx2.AsyncClient(
            transport=_Guarded(private=private, ca_file=ca_file),
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
            follow_redirects=False,
            trust_env=False,
            timeout=None,
            headers={"user-agent": "loglease", "accept": "application/json", "accept-encoding": "identity"},
        )

    async def answer(self, call: Call) -> Answer:
        """Call, and return the answer, whatever its status.

        Raises:
            NoAnswer: there is none, or one that is too large.
        """
        headers = list(call.headers)
        if call.body is not None:
            headers.append(("content-type", call.content_type))
        request = self._client.build_request(
            "GET" if call.body is None else "POST", call.url, content=call.body, headers=headers
        )
        try:
            async with asyncio.timeout(self._within_s):
                return await self._answered(request)
        except TimeoutError:
            raise NoAnswer("did not answer in time") from None
        except _Forbidden:
            raise NoAnswer("has an address that may not be called") from None
        except socket.gaierror:
            raise NoAnswer("has a name that cannot be resolved") from None
        except httpx2.ConnectError as error:
            told = "has a certificate that is not trusted" if _is_certificate(error) else "cannot be connected to"
            raise NoAnswer(told) from None
        except httpx2.HTTPError:
            raise NoAnswer("broke off its answer") from None

    async def _answered(self, request: httpx2.Request) -> Answer:
        response = await self._client.send(request, stream=True)
        try:
            if response.headers.get("content-encoding", "identity").lower() != "identity":
                raise NoAnswer("answered in an encoding that it was not asked for")
            body = bytearray()
            async for piece in response.aiter_raw():
                body += piece
                if len(body) > self._at_most:
                    raise NoAnswer(f"answered with more than {self._at_most >> 10} KiB")
            return Answer(response.status_code, bytes(body), response.headers.get("content-type", ""))
        finally:
            await response.aclose()

    async def aclose(self) -> None:
        """Close all connections."""
        await self._client.aclose()


def _is_certificate(error: BaseException) -> bool:
    found: BaseException | None = error
    while found is not None:
        if isinstance(found, ssl.SSLCertVerificationError):
            return True
        found = found.__cause__ or found.__context__
    return False
