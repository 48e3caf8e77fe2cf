"""What uvicorn's half-public protocol has to do for us, with TLS ended here: chunked bodies and WebSockets, read or not."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import socket
import ssl
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from tests.gateway.test_tail import GOOD, all_buffers_are_full, path
from tests.gateway.world import T0, TOKEN, eventually, line, listening, request_bytes, world

LONG = "x" * 900


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> ssl.SSLContext:
    directory: Path = tmp_path_factory.mktemp("tls")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(dt.datetime(2020, 1, 1, tzinfo=dt.UTC))
        .not_valid_after(dt.datetime(2100, 1, 1, tzinfo=dt.UTC))
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    form, none = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    (directory / "key.pem").write_bytes(key.private_bytes(pem, form, none))
    (directory / "certificate.pem").write_bytes(certificate.public_bytes(pem))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(directory / "certificate.pem", directory / "key.pem")
    return context


def trusting() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def request_of(grant, *, websocket: bool) -> bytes:
    if websocket:
        return request_bytes(path(grant, limit=500), TOKEN, *GOOD)
    return request_bytes(f"/g/{grant.id}/logs?start=0&follow=true")


@pytest.mark.parametrize("websocket", [False, True], ids=["body", "websocket"])
async def test_a_revocation_reaches_a_tail_over_tls_with_its_reason(tmp_path, tls, websocket):
    async with world(tmp_path, lines=[line(T0, "old", service="a")]) as w, listening(w.gateway, tls=tls) as port:
        grant = await w.grant()
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=trusting())
        writer.write(request_of(grant, websocket=websocket))
        await asyncio.wait_for(reader.readuntil(b"old"), 10)
        await w.revoke(grant)
        rest = await asyncio.wait_for(reader.read(), 10)
        writer.close()
        assert (b"\x03\xf0grant revoked" if websocket else b'"reason":"revoked"') in rest


@pytest.mark.attack("RV-02")
@pytest.mark.parametrize("websocket", [False, True], ids=["body", "websocket"])
async def test_a_stalled_reader_over_tls_gets_little_after_the_cut(tmp_path, tls, websocket):
    lines = [line(T0 + n, LONG, service="a") for n in range(500)]
    async with world(tmp_path, lines=lines) as w, listening(w.gateway, tls=tls) as port:
        grant = await w.grant()
        loop = asyncio.get_running_loop()
        plain = socket.socket()
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        await loop.run_in_executor(None, plain.connect, ("127.0.0.1", port))
        client = await loop.run_in_executor(None, trusting().wrap_socket, plain)
        await loop.run_in_executor(None, client.sendall, request_of(grant, websocket=websocket))
        await all_buffers_are_full(client)
        await w.revoke(grant)
        await eventually(lambda: w.gateway.open_sessions == 0)
        got = await loop.run_in_executor(None, _rest_of, client)
        client.close()
        assert got <= 32 * 1024
        assert (await w.entries("session.closed"))[0]["data"]["why"] == "revoked"


def _rest_of(client: ssl.SSLSocket) -> int:
    got = 0
    with contextlib.suppress(ConnectionError, ssl.SSLError):
        while chunk := client.recv(65_536):
            got += len(chunk)
    return got
