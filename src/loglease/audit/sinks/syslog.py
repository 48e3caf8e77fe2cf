"""A syslog receiver: RFC 5424 messages over TLS, with octet counting (RFC 5425).

Syslog knows no acknowledgement. So each batch has a connection of its own that is closed in order: once the other side
has answered the end with its own, its TLS has taken everything before. What the receiver does with it is beyond
what can be known here.
"""

from __future__ import annotations

import re
import socket
import ssl
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

from loglease.audit.sinks.interface import SinkFailed, record_of
from loglease.model.instant import Instant, instant_text

Result = TypeVar("Result")

WITHIN_S: Final = 10.0
PORT: Final = 6514

_PRIORITY: Final = 13 * 8 + 5
"""Facility 13, log audit; severity 5, notice."""
_APP: Final = "loglease"
_MESSAGE_ID: Final = "audit-head"
_PRINTABLE: Final = re.compile(r"[^!-~]")
_MOST_HOST: Final = 255
_PIECE: Final = 65_536


def message_of(note: bytes, at: Instant, host: str) -> bytes:
    """Return a signed head as one message with its length in front.

    Args:
        host: the name of this machine.

    Raises:
        NoteInvalid: it is no head.
    """
    name = _PRINTABLE.sub("", host)[:_MOST_HOST] or "-"
    head = f"<{_PRIORITY}>1 {instant_text(at)} {name} {_APP} - {_MESSAGE_ID} - ".encode("ascii")
    message = head + record_of(note)
    return b"%d %s" % (len(message), message)


@dataclass(frozen=True, slots=True, kw_only=True)
class SyslogReceiver:
    """`Sink` that cannot be read back.

    Attributes:
        ca_file: certificates to trust instead of the system's.
        certificate, key: what this side shows, if the receiver wants to know who sends.
        own_name: the name of this machine.
    """

    host: str
    port: int = PORT
    ca_file: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    own_name: str = "-"
    within_s: float = WITHIN_S

    @property
    def kind(self) -> str:
        """What it is."""
        return "syslog"

    @property
    def readable(self) -> bool:
        """It is not."""
        return False

    def write(self, notes: Sequence[bytes], at: Instant) -> None:
        """Send messages, and return once the other side has taken the end of the connection."""
        content = b"".join(message_of(note, at, self.own_name) for note in notes)
        try:
            with socket.create_connection((self.host, self.port), timeout=self.within_s) as plain:
                _Conversation(plain, self._context(), self.host).say(content)
        except ssl.SSLCertVerificationError as error:
            raise SinkFailed(
                f"The certificate of the syslog receiver {self.host} is not trusted: {error.verify_message}.",
                next_step="Name the authority that signed it: ca_file.",
            ) from error
        except OSError as error:
            raise SinkFailed(
                f"The syslog receiver {self.host}:{self.port} took no heads: {error.strerror or error}."
            ) from error

    def newest(self) -> bytes | None:
        """Return nothing."""
        return None

    def close(self) -> None:
        """Nothing is kept open."""

    def _context(self) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=None if self.ca_file is None else str(self.ca_file))
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if self.certificate is not None:
            context.load_cert_chain(self.certificate, self.key)
        return context


class _Conversation:
    """TLS over a socket, by hand for the sake of its end.

    Under TLS 1.3 a receiver that refuses the sender says so after the sender takes the connection for made, and the
    shutdown of the library reports that refusal as an orderly end. Here the end is said first, and then read.
    """

    def __init__(self, plain: socket.socket, context: ssl.SSLContext, host: str) -> None:
        self._plain = plain
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=host)

    def say(self, content: bytes) -> None:
        """Send all of it, say that this is the end, and return once the other side has said so, too.

        Raises:
            OSError: the other side is not trusted, refuses, breaks off, or closes without a word of TLS.
        """
        self._until(self._tls.do_handshake)
        rest = memoryview(content)
        while rest:
            rest = rest[self._tls.write(rest) :]
            self._send()
        # What came in was read already, so this only writes.
        with suppress(ssl.SSLWantReadError):
            self._tls.unwrap()
        with suppress(ssl.SSLZeroReturnError):
            while self._until(lambda: self._tls.read(_PIECE)):
                pass

    def _until(self, step: Callable[[], Result]) -> Result:
        """Take a step, fetching what it needs of the other side."""
        while True:
            try:
                done = step()
            except ssl.SSLWantReadError:
                self._send()
                piece = self._plain.recv(_PIECE)
                if piece:
                    self._incoming.write(piece)
                else:
                    self._incoming.write_eof()
            else:
                self._send()
                return done

    def _send(self) -> None:
        self._plain.sendall(self._outgoing.read())
