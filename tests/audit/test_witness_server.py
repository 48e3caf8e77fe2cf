"""A witness behind real sockets: what is answered, and what bad or slow clients cannot do to others."""

from __future__ import annotations

import http.client
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from tests.audit.test_witness import LOG, Told, cosigned, witness_over
from tests.fakes.grown_log import ORIGIN
from tests.fakes.numbered import flush_failed

from loglease.audit.witness import Answer, Witness, WitnessState
from loglease.audit.witness_protocol import ADD, SIZE_TYPE, sha256_of_origin
from loglease.audit.witness_server import WitnessServer


@pytest.fixture
def witness(tmp_path: Path) -> Iterator[Witness]:
    WitnessState.make(tmp_path / "state", flush_failed=flush_failed)
    state = WitnessState(tmp_path / "state", flush_failed=flush_failed)
    yield witness_over(state)
    state.close()


@contextmanager
def serving(
    witness: Witness, told: Told | None = None, host: str = "127.0.0.1", **limits: float
) -> Iterator[WitnessServer]:
    server = WitnessServer(host, 0, witness, tell=told if told is not None else Told(), **limits)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        if not server.stopping:
            server.stop()
        thread.join()


def connected(server: WitnessServer) -> socket.socket:
    return socket.create_connection(server.server_address[:2], timeout=20)


def asked(server: WitnessServer, method: str, path: str, body: bytes | None = None) -> Answer:
    host, port = server.server_address[:2]
    connection = http.client.HTTPConnection(str(host), int(port), timeout=20)
    try:
        connection.request(method, path, body)
        got = connection.getresponse()
        return Answer(got.status, got.read(), got.getheader("Content-Type") or "")
    finally:
        connection.close()


def raw(server: WitnessServer, content: bytes) -> bytes:
    """Send bytes and return all that comes until the other side closes."""
    with connected(server) as there:
        there.sendall(content)
        there.shutdown(socket.SHUT_WR)
        return all_of(there)


def all_of(there: socket.socket) -> bytes:
    found = b""
    while piece := there.recv(65_536):
        found += piece
    return found


def posted(body: bytes, headers: bytes | None = None) -> bytes:
    head = b"Content-Length: %d\r\n" % len(body) if headers is None else headers
    return b"POST /add-checkpoint HTTP/1.1\r\nHost: w\r\n" + head + b"\r\n" + body


def test_the_whole_exchange(witness: Witness) -> None:
    path = f"/{sha256_of_origin(ORIGIN)}/checkpoint"
    with serving(witness) as server:
        assert asked(server, "GET", path).status == 404
        cosigned(asked(server, "POST", ADD, LOG.submission(0, 5)), LOG, 5)
        conflict = asked(server, "POST", ADD, LOG.submission(0, 9))
        assert (conflict.status, conflict.content_type, conflict.body) == (409, SIZE_TYPE, b"5\n")
        cosigned(asked(server, "POST", ADD, LOG.submission(5, 9)), LOG, 9)
        shown = asked(server, "GET", path)
        assert (shown.status, shown.content_type) == (200, "text/plain; charset=utf-8")
        assert shown.body.startswith(LOG.head(9).text().encode())
        assert asked(server, "POST", ADD, b"rubbish").status == 400


def test_one_connection_serves_many_requests(witness: Witness) -> None:
    with serving(witness) as server:
        host, port = server.server_address[:2]
        connection = http.client.HTTPConnection(str(host), int(port), timeout=20)
        known = 0
        connection.connect()
        kept = connection.sock
        for size in (3, 8, 200):
            connection.request("POST", ADD, LOG.submission(known, size))
            got = connection.getresponse()
            cosigned(Answer(got.status, got.read()), LOG, size)
            known = size
        assert connection.sock is kept
        connection.close()


def test_other_places_and_methods_have_nothing(witness: Witness) -> None:
    with serving(witness) as server:
        for method, path, status in (
            ("GET", "/", 404),
            ("GET", "/../state", 404),
            ("GET", f"/{'A' * 64}/checkpoint", 404),
            ("GET", ADD, 404),
            ("POST", "/", 404),
            ("PUT", ADD, 501),
            ("DELETE", "/", 501),
        ):
            answer = asked(server, method, path, b"x" if method == "POST" else None)
            assert answer.status == status, (method, path)
            assert answer.content_type == "text/plain; charset=utf-8"


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (posted(b"", b""), b"411"),
        (posted(b"", b"Content-Length: -1\r\n"), b"411"),
        (posted(b"x", b"Content-Length: 1\r\nContent-Length: 1\r\n"), b"411"),
        (posted(b"1\r\nx\r\n0\r\n\r\n", b"Transfer-Encoding: chunked\r\n"), b"411"),
        (posted(b"x", b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n"), b"411"),
        (posted(b"", b"Content-Length: 70000\r\n"), b"413"),
        (posted(b"", b"Content-Length: 99999999999\r\n"), b"411"),
        (b"POST " + b"a" * 70_000 + b" HTTP/1.1\r\n\r\n", b"414"),
        (b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 200 + b"\r\n", b"431"),
        (b"nonsense\r\n\r\n", b"400"),
        (b"GET /\r\n\r\n", b"400"),
        (b"GET / HTTP/9.9 x\r\n\r\n", b"400"),
    ],
)
def test_bodies_are_bounded_and_of_a_known_length(witness: Witness, sent: bytes, status: bytes) -> None:
    with serving(witness) as server:
        answers = raw(server, sent)
        assert status in answers.split(b"\r\n")[0]
        assert answers.count(b"HTTP/1.1") <= 1, "nothing behind it was taken for a request"
        cosigned(asked(server, "POST", ADD, LOG.submission(0, 5)), LOG, 5)


def test_half_a_body_is_no_request(witness: Witness) -> None:
    with serving(witness) as server:
        body = LOG.submission(0, 5)
        assert raw(server, posted(body)[:-10]) == b""
        cosigned(asked(server, "POST", ADD, LOG.submission(0, 4)), LOG, 4)


def test_who_is_slow_is_cut_off(witness: Witness) -> None:
    """Each of its bytes comes in time, and the request does not."""
    with serving(witness, request_s=0.3) as server, connected(server) as there:
        ended = threading.Event()

        def drip() -> None:
            for byte in posted(LOG.submission(0, 5)):
                if ended.wait(0.02):
                    return
                try:
                    there.sendall(bytes([byte]))
                except OSError:
                    return

        dripping = threading.Thread(target=drip)
        dripping.start()
        try:
            found = b""
            with suppress(ConnectionResetError):
                found = all_of(there)
            assert b"200" not in found
        finally:
            ended.set()
            dripping.join()


def test_who_only_connects_is_cut_off(witness: Witness) -> None:
    with serving(witness, idle_s=0.1) as server, connected(server) as there:
        assert all_of(there) == b""


def test_more_connections_than_places_are_closed(witness: Witness) -> None:
    with serving(witness, connections=2) as server:
        held = [connected(server) for _ in range(2)]
        for one in held:
            one.sendall(b"GET / HTTP/1.1\r\nHost: w\r\n\r\n")
            assert one.recv(65_536).startswith(b"HTTP/1.1 404")
        with connected(server) as third, suppress(ConnectionResetError):
            assert third.recv(1) == b""
        for one in held:
            one.close()
        wait_until(lambda: not server._open)
        cosigned(asked(server, "POST", ADD, LOG.submission(0, 5)), LOG, 5)


def wait_until(holds: Callable[[], bool]) -> None:
    pause = threading.Event()
    while not holds():
        pause.wait(0.01)


def test_a_stop_gives_what_was_asked_its_answer(witness: Witness) -> None:
    asked_for, go_on = threading.Event(), threading.Event()

    class Slow:
        def add_checkpoint(self, body: bytes) -> Answer:
            asked_for.set()
            go_on.wait(20)
            return witness.add_checkpoint(body)

    with serving(Slow()) as server:
        with connected(server) as idle, connected(server) as there:
            idle.sendall(b"GET /")
            there.sendall(posted(LOG.submission(0, 5)))
            assert asked_for.wait(20)
            stopping = threading.Thread(target=server.stop)
            stopping.start()
            assert all_of(idle) == b""
            go_on.set()
            answer = all_of(there)
            assert answer.startswith(b"HTTP/1.1 200")
            assert b"Connection: close" in answer
            stopping.join()
        with pytest.raises(ConnectionRefusedError):
            connected(server)


def test_many_clients_at_once(witness: Witness) -> None:
    with serving(witness) as server, ThreadPoolExecutor(12) as pool:
        known = 0
        for top in (20, 40, 60):
            bodies = [LOG.submission(known, size) for size in range(known + 1, top)]
            answers = list(pool.map(lambda body: asked(server, "POST", ADD, body), bodies))
            assert sorted(one.status for one in answers) == [200] + [409] * (len(bodies) - 1)
            known = int(asked(server, "POST", ADD, LOG.submission(300, 300)).body)


def test_a_fault_of_ours_is_told_and_stops_nothing() -> None:
    class Faulty:
        def add_checkpoint(self, body: bytes) -> Answer:
            raise ZeroDivisionError

        def newest(self, origin: str) -> Answer:
            return Answer(200, b"fine\n")

    told = Told()
    with serving(Faulty(), told) as server:
        assert raw(server, posted(b"x")) == b""
        assert told == [{"fault": "ZeroDivisionError"}]
        assert asked(server, "GET", f"/{'a' * 64}/checkpoint").status == 200


def test_it_listens_on_ipv6_too(witness: Witness) -> None:
    if not socket.has_ipv6:
        pytest.skip("no IPv6")
    try:
        with serving(witness, host="::1") as server:
            assert server.url.startswith("http://[::1]:")
            cosigned(asked(server, "POST", ADD, LOG.submission(0, 5)), LOG, 5)
    except OSError:
        pytest.skip("no IPv6 here")
