"""The clients of `bench.cut`, in a process of their own: one loop over raw sockets, so that reading costs little.

Standard input takes one line of JSON that says what to open, then commands; standard output answers each with one line.

`open`     opens everything; answers once each prompt reader has had its first line, or after a while without it
`read S`   reads for so many seconds
`stop`     has crawling readers stop
`wait S`   reads until all prompt readers were ended, and tells of each when its last bytes came and how it ended
`rest`     counts what readers that had stopped, or never read, still get
"""

from __future__ import annotations

import json
import select
import socket
import ssl
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

AT_ONCE = 25
"""So many tails wait for their first line at once while they are opened."""
PASSES = 4
KEPT_MARKS = 60
KEPT_TAIL = 400
CRAWL_S = 0.1
CRAWL_BYTES = 4_096
SMALL = 4_096
FIRST_WITHIN_S = 60.0
STALLED_FIRST_S = 2.0


@dataclass(eq=False)
class Client:
    """One connection, and what came over it."""

    sock: socket.socket
    kind: str
    port: int
    received: int = 0
    tail: bytes = b""
    had_line: bool = False
    ended: str | None = None
    marks: deque[tuple[int, int]] = field(default_factory=lambda: deque(maxlen=KEPT_MARKS))

    def take(self, data: bytes) -> None:
        """Note bytes that came."""
        self.received += len(data)
        self.marks.append((time.monotonic_ns(), len(data)))
        self.tail = (self.tail + data)[-KEPT_TAIL:]
        self.had_line = self.had_line or b'"type":"line"' in self.tail

    @property
    def reason(self) -> str:
        """How it ended, as the client sees it."""
        at = self.tail.rfind(b'"reason":"')
        if at >= 0:
            return self.tail[at + 10 :].split(b'"')[0].decode()
        return self.ended or "open"


class Clients:
    """All connections of this process."""

    def __init__(self, spec: dict[str, Any]) -> None:
        self._spec = spec
        self._tls: ssl.SSLContext | None = None
        if spec["tls"]:
            self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            self._tls.check_hostname = False
            self._tls.verify_mode = ssl.CERT_NONE
        self._epoll = select.epoll()
        self._by_fd: dict[int, Client] = {}
        self._crawls = True
        self._crawl_at = 0.0
        self._said = ""
        self.prompt: list[Client] = []
        self.slow: list[Client] = []

    def open(self) -> dict[str, Any]:
        """Open what was asked for, some at once; what a busy server ended before the first line is opened again."""
        waiting = self._spec["tails"]
        for _ in range(PASSES):
            again = []
            for number in range(0, len(waiting), AT_ONCE):
                some = [(one, self._opened(one)) for one in waiting[number : number + AT_ONCE]]
                self.until(lambda: all(self._is_settled(client) for _, client in some), FIRST_WITHIN_S)  # noqa: B023
                again += [one for one, client in some if client.ended and not client.had_line]
            if not (waiting := again):
                break
        self.prompt = [one for one in self.prompt if one.had_line]
        if self.slow:
            self.until(lambda: False, STALLED_FIRST_S)
        return {"begun": len(self.prompt), "said": self._said}

    def _is_settled(self, client: Client) -> bool:
        return client.had_line or client.ended is not None or client.kind != "prompt"

    def _opened(self, one: dict[str, Any]) -> Client:
        client = self._connect(one)
        if client.kind != "prompt":
            self.slow.append(client)
            return client
        self._by_fd[client.sock.fileno()] = client
        self.prompt.append(client)
        self._epoll.register(client.sock.fileno(), select.EPOLLIN)
        return client

    def _connect(self, one: dict[str, Any]) -> Client:
        sock = socket.socket()
        sock.settimeout(60)
        if one["kind"] in ("crawling", "still"):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL)
        sock.connect(("127.0.0.1", one["port"]))
        made: socket.socket = self._tls.wrap_socket(sock) if self._tls else sock
        made.sendall(one["request"].encode())
        made.setblocking(False)  # noqa: FBT003 - the standard library's own signature
        return Client(made, one["kind"], one["port"])

    def until(self, done: Callable[[], bool], within_s: float) -> bool:
        """Read until something holds, or the time is over; say which."""
        until = time.monotonic() + within_s
        while not done():
            if time.monotonic() > until:
                return False
            for fd, _ in self._epoll.poll(0.02):
                self._read(self._by_fd[fd])
            self._crawl()
        return True

    def _read(self, client: Client) -> None:
        try:
            while data := client.sock.recv(65_536):
                client.take(data)
                if not isinstance(client.sock, ssl.SSLSocket):
                    return  # what is left wakes the loop again; TLS may hold more than the kernel tells of
            self._end(client, "closed")
        except (BlockingIOError, ssl.SSLWantReadError):
            return
        except OSError:
            self._end(client, "reset")

    def _end(self, client: Client, how: str) -> None:
        client.ended = how
        if not client.had_line:
            self._said = client.tail.decode()
        self._epoll.unregister(client.sock.fileno())
        client.sock.close()

    def _crawl(self) -> None:
        if not self._crawls or time.monotonic() < self._crawl_at:
            return
        self._crawl_at = time.monotonic() + CRAWL_S
        for client in self.slow:
            if client.kind == "crawling":
                with suppress(OSError):
                    client.take(client.sock.recv(CRAWL_BYTES))

    def stop(self) -> dict[str, Any]:
        """Read no more from those that crawl."""
        self._crawls = False
        return {"crawled": sum(one.received for one in self.slow)}

    def wait(self, within_s: float) -> dict[str, Any]:
        """Read until all were ended."""
        self.until(lambda: all(one.ended for one in self.prompt), within_s)
        return {
            "clients": [
                {"port": one.port, "marks": list(one.marks), "reason": one.reason, "how": one.ended}
                for one in self.prompt
            ]
        }

    def rest(self) -> dict[str, Any]:
        """Count what still comes to the slow ones, as it is on the wire."""
        return {"rest": [{"kind": one.kind, "bytes": _rest_of(one.sock)} for one in self.slow]}


def _rest_of(sock: socket.socket) -> int:
    plain = socket.socket(fileno=sock.detach())
    plain.settimeout(5)
    total = 0
    with suppress(OSError):
        while data := plain.recv(65_536):
            total += len(data)
    plain.close()
    return total


def main(commands: Iterable[str]) -> None:
    """Obey until the input ends."""
    lines = iter(commands)
    clients = Clients(json.loads(next(lines)))
    for line in lines:
        name, _, argument = line.strip().partition(" ")
        match name:
            case "open":
                said = clients.open()
            case "read":
                clients.until(lambda: False, float(argument))
                said = {}
            case "stop":
                said = clients.stop()
            case "wait":
                said = clients.wait(float(argument))
            case _:
                said = clients.rest()
        print(json.dumps(said), flush=True)


if __name__ == "__main__":
    main(sys.stdin)
