from __future__ import annotations

import asyncio
import datetime as dt
import ipaddress
import socket
import ssl
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from tests.fakes.http import Answer, serving
from tests.fakes.http import Call as Received

from loglease.server.outgoing import MAX_ANSWER_BYTES, Call, NoAnswer, Outgoing, may_call


def near(**more: Any) -> Outgoing:
    return Outgoing(private=True, **{"within_s": 20, **more})


async def says_hello(_call: Received, answer: Answer) -> None:
    await answer.whole(b"hello", "text/plain", more="Set-Cookie: a=1\r\n")


@pytest.mark.attack("IN-01")
@pytest.mark.parametrize(
    ("address", "public", "private"),
    [
        ("93.184.216.34", True, True),
        ("2606:2800:220:1::1", True, True),
        ("10.1.2.3", False, True),
        ("127.0.0.1", False, True),
        ("100.64.0.1", False, True),
        ("::1", False, True),
        ("fd00::5", False, True),
        ("::ffff:10.1.2.3", False, True),
        ("64:ff9b::10.1.2.3", False, True),
        ("2002:0a01:0203::1", False, True),
        ("169.254.169.254", False, False),
        ("::ffff:169.254.169.254", False, False),
        ("64:ff9b::169.254.169.254", False, False),
        ("fe80::1", False, False),
        ("0.0.0.0", False, False),  # noqa: S104 - to be refused
        ("::", False, False),
        ("224.0.0.1", False, False),
        ("ff02::1", False, False),
        ("255.255.255.255", False, False),
        ("240.0.0.1", False, False),
    ],
)
def test_which_addresses_may_be_called(address: str, public: bool, private: bool) -> None:
    found = ipaddress.ip_address(address)
    assert (may_call(found, private=False), may_call(found, private=True)) == (public, private)


async def test_a_call_is_answered_and_its_connection_used_again() -> None:
    async with serving(says_hello) as server:
        client = near()
        for _ in range(3):
            answer = await client.answer(Call(url=f"{server.address}/a%2Fb?c=%26", headers=(("x-key", "k"),)))
            assert (answer.status, answer.body) == (200, b"hello")
        assert server.open == 1
        call = server.calls[-1]
        assert (call.method, call.path, call.query) == ("GET", "/a%2Fb", [("c", "&")])
        assert call.headers["host"] == f"127.0.0.1:{server.port}"
        assert call.headers["x-key"] == "k"
        assert call.headers["accept-encoding"] == "identity"
        assert "cookie" not in call.headers
        await client.aclose()


async def test_a_name_is_resolved_and_kept_as_the_host() -> None:
    async with serving(says_hello) as server:
        client = near()
        answer = await client.answer(Call(url=f"http://localhost:{server.port}/", body=b'{"a": 1}'))
        assert answer.status == 200
        assert server.calls[0].headers["host"] == f"localhost:{server.port}"
        assert (server.calls[0].method, server.calls[0].headers["content-type"]) == ("POST", "application/json")
        await client.aclose()


@pytest.mark.attack("IN-01")
async def test_a_name_that_means_another_address_is_refused_when_it_is_called(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(says_hello) as server:
        client = Outgoing(private=False, within_s=20)

        async def resolved(*_: Any, **__: Any) -> list[Any]:
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, server.port)) for address in answers]

        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", resolved)
        for answers in (["127.0.0.1"], ["169.254.169.254"], ["10.0.0.1", "::1"], ["93.184.216.34", "10.0.0.1"], []):  # noqa: B007 - read above
            with pytest.raises(NoAnswer, match="may not be called"):
                await client.answer(Call(url="http://incidents.example/"))
        assert server.calls == []
        await client.aclose()


@pytest.mark.attack("IN-01")
async def test_the_address_that_was_looked_at_is_the_one_that_is_connected_to(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(says_hello) as server:
        client = near()
        asked = []

        async def resolved(name: str, *_: Any, **__: Any) -> list[Any]:
            asked.append(name)
            address = "127.0.0.1" if len(asked) == 1 else "169.254.169.254"
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, server.port))]

        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", resolved)
        answer = await client.answer(Call(url=f"http://incidents.example:{server.port}/"))
        assert answer.body == b"hello"
        assert asked == ["incidents.example"]
        await client.aclose()


async def test_the_next_address_is_tried_where_one_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(says_hello) as server:
        client = near()

        async def resolved(*_: Any, **__: Any) -> list[Any]:
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, 0)) for one in ("127.0.0.99", "127.0.0.1")]

        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", resolved)
        assert (await client.answer(Call(url=f"http://incidents.example:{server.port}/"))).body == b"hello"
        await client.aclose()


@pytest.mark.attack("IN-01")
async def test_redirects_are_answers_and_are_not_followed() -> None:
    async def elsewhere(call: Received, answer: Answer) -> None:
        await answer.whole(b"", "text/plain", status="302 Found", more="Location: /there\r\n")

    async with serving(elsewhere) as server:
        client = near()
        assert (await client.answer(Call(url=server.address))).status == 302
        assert len(server.calls) == 1
        await client.aclose()


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        ("long", "more than 64 KiB"),
        ("endless", "more than 64 KiB"),
        ("gzip", "encoding"),
        ("short", "broke off"),
        ("garbage", "broke off"),
        ("silent", "in time"),
        ("dripping", "in time"),
    ],
)
async def test_bad_answers_are_none(kind: str, told: str) -> None:
    async def badly(_call: Received, answer: Answer) -> None:
        match kind:
            case "long":
                await answer.whole(bytes(MAX_ANSWER_BYTES + 1), "text/plain")
            case "endless":
                await answer.head("text/plain")
                while True:
                    await answer.piece(bytes(8_192))
            case "gzip":
                await answer.whole(b"x", "text/plain", more="Content-Encoding: gzip\r\n")
            case "short":
                await answer.head("text/plain", length=10)
                await answer.piece(b"x")
                answer.writer.close()
            case "garbage":
                await answer.raw(b"s3cret\r\n\r\n")
            case "silent":
                await answer.gone.wait()
            case _:
                await answer.head("text/plain")
                await answer.piece(b"x")
                await answer.gone.wait()

    async with serving(badly) as server:
        client = near(within_s=0.3 if told == "in time" else 20)
        with pytest.raises(NoAnswer, match=told):
            await client.answer(Call(url=server.address))
        await client.aclose()


async def test_nobody_there() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        client = near()
        with pytest.raises(NoAnswer, match="cannot be connected to"):
            await client.answer(Call(url=f"http://127.0.0.1:{free.getsockname()[1]}/"))
        with pytest.raises(NoAnswer, match="cannot be resolved"):
            await client.answer(Call(url="http://nothing.invalid/"))
        await client.aclose()


async def test_as_many_bytes_as_allowed_are_taken() -> None:
    async def exactly(_call: Received, answer: Answer) -> None:
        await answer.whole(bytes(MAX_ANSWER_BYTES), "text/plain")

    async with serving(exactly) as server:
        client = near()
        assert len((await client.answer(Call(url=server.address))).body) == MAX_ANSWER_BYTES
        await client.aclose()


def certificate(folder: Path, name: str) -> tuple[Path, ssl.SSLContext]:
    """Return a certificate of its own for a name, and a server's context with it."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    begin = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(begin + dt.timedelta(days=36_500))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    public, private = folder / f"{name}.pem", folder / f"{name}.key"
    public.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(public, private)
    return public, context


async def test_a_certificate_has_to_be_for_the_name_and_not_for_the_address(tmp_path: Path) -> None:
    ours, context = certificate(tmp_path, "localhost")
    other, _ = certificate(tmp_path, "other.example")

    async def hello(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(hello, "127.0.0.1", 0, ssl=context)
    port = server.sockets[0].getsockname()[1]
    async with server:
        trusting = near(ca_file=str(ours))
        assert (await trusting.answer(Call(url=f"https://localhost:{port}/"))).body == b"hello"
        for client, host in ((trusting, "127.0.0.1"), (near(ca_file=str(other)), "localhost"), (near(), "localhost")):
            with pytest.raises(NoAnswer, match="certificate that is not trusted"):
                await client.answer(Call(url=f"https://{host}:{port}/"))
            await client.aclose()
