"""Promise 2, blind: the head of the audit log tells how much other people do, so no answer with log data has it.

Looked for in every byte that comes over the socket, by the name of the log, which only such a head has.
"""

from __future__ import annotations

import json
import socket
from urllib.parse import quote, urlsplit

import httpx2
from tests.fakes.stack import Person, Stack

MARKS = (b"audit head", b"audit-head", b"audit_head")


def raw(stack: Stack, who: Person, method: str, path: str) -> bytes:
    """Return all bytes of an answer."""
    parts = urlsplit(stack.url)
    with socket.create_connection((parts.hostname, parts.port), timeout=60) as there:
        head = f"{method} {path} HTTP/1.1\r\nHost: {parts.netloc}\r\nAuthorization: Bearer {who.token}\r\n"
        there.sendall(f"{head}Content-Length: 0\r\nConnection: close\r\n\r\n".encode())
        found = b""
        while piece := there.recv(65_536):
            found += piece
        return found


def origin_of(stack: Stack) -> bytes:
    return (stack.folder / "data" / "log" / "checkpoint").read_bytes().split(b"\n")[0]


def test_no_answer_with_lines_has_a_head_and_changes_have(server: Stack) -> None:
    with (server.logs / "shop.log").open("a") as log:
        log.write("level=info paid\n")
    name = f"heads-{len(server.passwords)}"
    alice, bob = server.add(f"{name}-alice"), server.add(f"{name}-bob", "approvers")
    request = alice.ask()
    bob.decide(request)
    grant = alice.grant_of(request)
    used = httpx2.post(f"{server.url}/api/v1/grants/{grant}/activate", headers=alice.headers(), timeout=60)
    assert used.status_code == 200
    origin = origin_of(server)
    assert origin in used.headers["loglease-audit-head"].encode()
    everything = quote('{service="shop"}')
    for path in (
        f"/g/{grant}/logs?query={everything}",
        f"/g/{grant}/loki/api/v1/query_range?query={everything}",
        f"/g/{grant}/loki/api/v1/labels",
        f"/g/{grant}/loki/api/v1/series?match[]={everything}",
        f"/loki/api/v1/query_range?query={everything}",
        f"/api/v1/grants/{grant}",
        f"/api/v1/requests/{request['id']}",
    ):
        answer = raw(server, alice, "GET", path)
        assert answer.startswith(b"HTTP/1.1 200"), (path, answer[:300])
        assert not [mark for mark in (*MARKS, origin) if mark in answer.lower()], path
    assert b"paid" in raw(server, alice, "GET", f"/g/{grant}/logs?query={everything}")
    refused = raw(server, alice, "POST", f"/g/{grant}/reveal")
    assert not [mark for mark in (*MARKS, origin) if mark in refused.lower()], json.dumps(refused.decode())
