"""Heads to a syslog receiver with TLS, written without our code, behind a certificate authority of the test's own."""

from __future__ import annotations

import json
import re
import socket
import ssl
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st
from tests.fakes.clock import START
from tests.fakes.grown_log import GrownLog

from loglease.audit.checkpoint import head_line
from loglease.audit.sinks.interface import SinkFailed
from loglease.audit.sinks.syslog import SyslogReceiver, message_of

LOG = GrownLog()
NOTE = LOG.note(5)
HEADER = re.compile(rb"<109>1 (\S+) (\S+) loglease - audit-head - (.*)", re.DOTALL)


class Authority:
    """A certificate authority for one test run; `issue` writes a certificate with its key."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test authority")])
        certificate = self._builder(self.name, self.key.public_key())
        certificate = certificate.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        usage = x509.KeyUsage(
            digital_signature=True,
            content_commitment=False,
            key_encipherment=False,
            data_encipherment=False,
            key_agreement=False,
            key_cert_sign=True,
            crl_sign=True,
            encipher_only=False,
            decipher_only=False,
        )
        certificate = certificate.add_extension(usage, critical=True)
        self.file = folder / "authority.pem"
        self.file.write_bytes(certificate.sign(self.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))

    def issue(self, name: str) -> Path:
        """Return a file with a certificate for 127.0.0.1 and its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        builder = self._builder(subject, key.public_key()).add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False
        )
        builder = builder.add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False
        )
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        path = self.folder / f"{name}.pem"
        path.write_bytes(builder.sign(self.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM) + private)
        return path

    def _builder(self, subject: x509.Name, public: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
        now = datetime.now(UTC)  # noqa: TID251 - TLS looks at the real clock
        builder = x509.CertificateBuilder(issuer_name=self.name, subject_name=subject, public_key=public)
        builder = builder.serial_number(x509.random_serial_number()).not_valid_before(now - timedelta(days=1))
        builder = builder.not_valid_after(now + timedelta(days=1))
        return builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)


@dataclass
class Receiver:
    """Takes messages until the end of a connection; `end` says how it ends its own side."""

    port: int
    end: str = "orderly"
    content: list[bytes] = field(default_factory=list)
    peers: list[object] = field(default_factory=list)

    def take(self, plain: socket.socket, context: ssl.SSLContext) -> None:
        with suppress(OSError), context.wrap_socket(plain, server_side=True) as there:
            self.peers.append(there.getpeercert())
            found = b""
            while self.end != "reset" and (piece := there.recv(65_536)):
                found += piece
            self.content.append(found)
            if self.end == "orderly":
                there.unwrap().close()
            elif self.end == "rude":
                there.shutdown(socket.SHUT_RDWR)
            elif self.end == "reset":
                there.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                there.close()

    @property
    def messages(self) -> list[bytes]:
        found = []
        for content in self.content:
            rest = content
            while rest:
                length, _, rest = rest.partition(b" ")
                found.append(rest[: int(length)])
                rest = rest[int(length) :]
        return found


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@contextmanager
def receiving(authority: Authority, *, end: str = "orderly", asks: bool = False) -> Iterator[Receiver]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority.issue("receiver"))
    if asks:
        context.load_verify_locations(authority.file)
        context.verify_mode = ssl.CERT_REQUIRED
    with socket.create_server(("127.0.0.1", 0)) as listener:
        receiver = Receiver(listener.getsockname()[1], end)

        def serve() -> None:
            with suppress(OSError):
                while True:
                    plain, _ = listener.accept()
                    plain.settimeout(20)
                    receiver.take(plain, context)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield receiver
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


def sink_to(receiver: Receiver, authority: Authority, **more: object) -> SyslogReceiver:
    given = {"host": "127.0.0.1", "port": receiver.port, "ca_file": authority.file, "own_name": "host one", **more}
    return SyslogReceiver(**given)


def test_heads_arrive_as_counted_messages(authority: Authority) -> None:
    with receiving(authority) as receiver:
        sink = sink_to(receiver, authority)
        sink.write([LOG.note(5), LOG.note(9)], START)
        sink.write([LOG.note(10)], START)
    assert [len(one) > 0 for one in receiver.content] == [True, True]
    for message, size in zip(receiver.messages, (5, 9, 10), strict=True):
        match = HEADER.fullmatch(message)
        assert match is not None
        assert match[1] == b"2026-11-23T09:00:00.000000Z"
        assert match[2] == b"hostone"
        assert json.loads(match[3]) == {"audit_head": head_line(LOG.head(size)), "note": LOG.note(size).decode()}
    assert (sink.kind, sink.readable, sink.newest()) == ("syslog", False, None)


@pytest.mark.parametrize("end", ["reset", "rude"])
def test_a_receiver_that_breaks_off_has_taken_nothing(authority: Authority, end: str) -> None:
    with receiving(authority, end=end) as receiver, pytest.raises(SinkFailed, match="took no heads"):
        sink_to(receiver, authority).write([LOG.note(size) for size in range(200)], START)


def test_a_receiver_that_never_hears_the_end_has_taken_nothing(authority: Authority) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        sink = sink_to(Receiver(silent.getsockname()[1]), authority, within_s=0.05)
        with pytest.raises(SinkFailed, match="timed out"):
            sink.write([LOG.note(5)], START)


def test_a_receiver_of_another_authority_is_not_spoken_to(authority: Authority, tmp_path: Path) -> None:
    with receiving(authority) as receiver, pytest.raises(SinkFailed, match="is not trusted"):
        sink_to(receiver, authority, ca_file=Authority(tmp_path).file).write([LOG.note(5)], START)
    assert not receiver.messages


def test_a_receiver_of_another_name_is_not_spoken_to(authority: Authority) -> None:
    with receiving(authority) as receiver, pytest.raises(SinkFailed, match="is not trusted"):
        sink_to(receiver, authority, host="localhost").write([LOG.note(5)], START)
    assert not receiver.messages


def test_a_receiver_may_want_to_know_who_sends(authority: Authority) -> None:
    own = authority.issue("sender")
    with receiving(authority, asks=True) as receiver:
        with pytest.raises(SinkFailed):
            sink_to(receiver, authority).write([LOG.note(5)], START)
        assert not receiver.messages
        sink_to(receiver, authority, certificate=own, key=own).write([LOG.note(5)], START)
        assert len(receiver.messages) == 1
    assert "sender" in str(receiver.peers)


def test_nobody_there_is_told() -> None:
    with pytest.raises(SinkFailed, match="took no heads"):
        SyslogReceiver(host="127.0.0.1", port=1).write([LOG.note(5)], START)


@given(st.text(max_size=300))
def test_the_name_of_the_machine_breaks_no_message(name: str) -> None:
    length, _, message = message_of(NOTE, START, name).partition(b" ")
    assert int(length) == len(message)
    match = HEADER.fullmatch(message)
    assert match is not None
    assert 1 <= len(match[2]) <= 255
    assert message.isascii()
