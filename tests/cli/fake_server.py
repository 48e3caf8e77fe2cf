"""A server on a real socket that answers what a test wrote down, and remembers what it was asked."""

from __future__ import annotations

import json
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit


@dataclass(frozen=True)
class Call:
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: Any


@dataclass
class Reply:
    """An answer; with `pieces` a body without length, after which the connection is reset if `reset` says so."""

    body: Any = None
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    pieces: Callable[[], Iterator[bytes]] | None = None
    reset: bool = False
    media_type: str = "application/json"


Answer = Reply | dict[str, Any] | Callable[[Call], "Reply | dict[str, Any]"]


def problem(status: int, code: str, detail: str, **members: Any) -> Reply:
    body = {"type": f"/problems/{code}", "title": code, "status": status, "code": code, "detail": detail, **members}
    return Reply({"trace_id": "4bf9", **body}, status, media_type="application/problem+json")


class FakeServer:
    def __init__(self) -> None:
        self.calls: list[Call] = []
        self._answers: dict[tuple[str, str], list[Answer]] = {}
        self._http = _Listener(self)
        self.address = f"http://127.0.0.1:{self._http.server_port}"
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    def on(self, method: str, path: str, *answers: Answer) -> None:
        """Answer in this order; the last answer stays."""
        self._answers[method, path] = list(answers)

    def answer(self, call: Call) -> Reply:
        self.calls.append(call)
        answers = self._answers.get((call.method, call.path))
        if not answers:
            return problem(404, "not_found", f"The test knows no {call.method} {call.path}.")
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        found = answer(call) if callable(answer) else answer
        return found if isinstance(found, Reply) else Reply(found)

    def sent(self, method: str, path: str) -> list[Call]:
        return [call for call in self.calls if (call.method, call.path) == (method, path)]

    def stop(self) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()


class _Listener(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, fake: FakeServer) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.fake = fake

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that go away are part of the tests."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def _answer(self) -> None:
        parts = urlsplit(self.path)
        raw = self.rfile.read(int(self.headers.get("content-length", 0)))
        call = Call(
            self.command,
            parts.path.removeprefix("/api/v1"),
            {name: values[-1] for name, values in parse_qs(parts.query).items()},
            {name.lower(): value for name, value in self.headers.items()},
            json.loads(raw) if raw else None,
        )
        listener = self.server
        assert isinstance(listener, _Listener)
        reply = listener.fake.answer(call)
        self.send_response_only(reply.status)
        if "Date" not in reply.headers:
            self.send_header("Date", self.date_time_string())
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.send_header("content-type", reply.media_type)
        if reply.pieces is not None:
            self._stream(reply)
            return
        body = b"" if reply.status == 204 else _bytes(reply.body)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _stream(self, reply: Reply) -> None:
        assert reply.pieces is not None
        self.send_header("connection", "close")
        self.end_headers()
        self.close_connection = True
        for piece in reply.pieces():
            self.wfile.write(piece)
            self.wfile.flush()
        if reply.reset:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()

    do_GET = do_POST = do_PATCH = do_DELETE = _answer  # noqa: N815 - the names that the base class calls

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name that the base class has
        """Say nothing."""


def _bytes(body: Any) -> bytes:
    if isinstance(body, bytes):
        return body
    return body.encode() if isinstance(body, str) else json.dumps(body).encode()
