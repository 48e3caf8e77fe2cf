"""A witness behind HTTP: few connections, small bodies, a deadline for each request, an end that loses no answer.

The standard library's server is enough: what it answers is signed, what it is sent is signed, and nothing is secret.
TLS belongs to a reverse proxy in front of it.
"""

from __future__ import annotations

import io
import re
import socket
import socketserver
import sys
import threading
import time
from collections.abc import Callable, Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

from loglease.audit.witness import PLAIN, Answer, Witness
from loglease.audit.witness_protocol import ADD, MAX_SUBMISSION_BYTES

CONNECTIONS: Final = 64
REQUEST_S: Final = 10.0
"""How long a request may take to arrive, and its answer to be taken."""
IDLE_S: Final = 60.0
"""How long a connection may wait for its next request."""

_CHECKPOINT: Final = re.compile(r"/([0-9a-f]{64})/checkpoint")
_WORDS: Final = 3
"""Of a request line: method, path, version."""
_LENGTH: Final = re.compile(r"[0-9]{1,10}")


class WitnessServer(ThreadingHTTPServer):
    """Listens; `serve_forever` answers until `stop` is called from another thread.

    Args:
        host: a name or an address; one with a colon is IPv6.
        port: 0 takes a free one.
        tell: is told of faults of this program.
        connections: more are closed at once.
    """

    daemon_threads = False
    request_queue_size = 128

    def __init__(
        self,
        host: str,
        port: int,
        witness: Witness,
        *,
        tell: Callable[[Mapping[str, object]], None],
        connections: int = CONNECTIONS,
        request_s: float = REQUEST_S,
        idle_s: float = IDLE_S,
    ) -> None:
        self.witness = witness
        self.request_s = request_s
        self.idle_s = idle_s
        self.stopping = False
        self._tell = tell
        self._places = threading.BoundedSemaphore(connections)
        self._open: set[socket.socket] = set()
        self._guard = threading.Lock()
        if ":" in host:
            self.address_family = socket.AF_INET6
        super().__init__((host, port), _Handler)

    @property
    def url(self) -> str:
        """Where it listens."""
        host, port = self.server_address[:2]
        return f"http://[{host!s}]:{port}" if ":" in str(host) else f"http://{host!s}:{port}"

    def server_bind(self) -> None:
        """Bind, without asking for the name of this machine."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answer a connection in a thread of its own, if there is a place for it."""
        if not self._places.acquire(blocking=False):
            self.shutdown_request(request)
            return
        with self._guard:
            self._open.add(request)
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Answer a connection until it ends."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            with self._guard:
                self._open.discard(request)
            self._places.release()

    def stop(self) -> None:
        """Accept nothing more, give what was asked its answers, and return when all connections are closed."""
        self.stopping = True
        self.shutdown()
        with self._guard:
            for one in self._open:
                try:
                    one.shutdown(socket.SHUT_RD)
                except OSError:
                    continue  # it is gone already
        self.server_close()

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002 - the interface's names
        """Tell of a fault of ours; that a client is gone is none."""
        error = sys.exception()
        if not isinstance(error, OSError):
            self._tell({"fault": type(error).__name__})


class _Patient(io.RawIOBase):
    """The bytes of a connection, for as long as its deadline allows."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self.until = 0.0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        left = self.until - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self._connection.settimeout(left)
        return self._connection.recv_into(buffer)


class _Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    server_version = "loglease-witness"
    sys_version = ""
    error_message_format = "%(message)s\n"
    error_content_type = PLAIN
    server: WitnessServer
    raw_requestline: bytes

    def setup(self) -> None:
        super().setup()
        self._patient = _Patient(self.connection)
        self._reader = io.BufferedReader(self._patient)
        self.rfile = self._reader

    def handle_one_request(self) -> None:
        """Wait for a request, and then not for long."""
        self._patient.until = time.monotonic() + self.server.idle_s
        try:
            if not self._reader.peek(1):
                self.close_connection = True
                return
        except OSError:
            self.close_connection = True
            return
        self._patient.until = time.monotonic() + self.server.request_s
        super().handle_one_request()

    def parse_request(self) -> bool:
        """Read head lines; a request that does not name its version, or is cut off, is none."""
        if self.raw_requestline.endswith(b"\n") and len(self.raw_requestline.split()) == _WORDS:
            return super().parse_request()
        self.requestline, self.command, self.request_version = "", "", self.protocol_version
        self.close_connection = True
        if self.raw_requestline.endswith(b"\n"):
            self.send_error(HTTPStatus.BAD_REQUEST)
        return False

    def do_GET(self) -> None:
        match = _CHECKPOINT.fullmatch(self.path)
        self._send(_nothing() if match is None else self.server.witness.newest(match[1]))

    def do_POST(self) -> None:
        length = self._length()
        if length is None:
            self.close_connection = True  # where this request ends is not known
            self._send(Answer(HTTPStatus.LENGTH_REQUIRED, b"A submission says its length: Content-Length.\n"))
        elif length > MAX_SUBMISSION_BYTES:
            self.close_connection = True
            self._send(Answer(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, b"A submission is smaller.\n"))
        else:
            body = self.rfile.read(length)
            if len(body) < length:
                self.close_connection = True
            else:
                self._send(self.server.witness.add_checkpoint(body) if self.path == ADD else _nothing())

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the interface's name
        """Say nothing of single requests."""

    def _length(self) -> int | None:
        given = self.headers.get_all("Content-Length") or []
        if len(given) != 1 or "Transfer-Encoding" in self.headers or not _LENGTH.fullmatch(given[0]):
            return None
        return int(given[0])

    def _send(self, answer: Answer) -> None:
        self.connection.settimeout(self.server.request_s)
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.content_type)
        self.send_header("Content-Length", str(len(answer.body)))
        self.send_header("Cache-Control", "no-store")
        if self.server.stopping or self.close_connection:
            self.close_connection = True
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(answer.body)


def _nothing() -> Answer:
    return Answer(HTTPStatus.NOT_FOUND, b"There is nothing here.\n")
