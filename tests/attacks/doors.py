"""Ways in that attackers use: bytes on a socket, and a browser without scripts."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx2
from tests.fakes.stack import Person, Refused, Stack
from tests.promises.shared import wire

WITHIN_S = 10
_CSRF = re.compile(r'name="csrf" value="([^"]+)"')


def answered(server: Stack, content: bytes, *, within_s: float = WITHIN_S) -> bytes:
    """Send bytes as they are, and return what comes until the server closes or falls silent."""
    host, _, port = server.url.removeprefix("http://").partition(":")
    raw = b""
    with socket.create_connection((host, int(port)), timeout=within_s) as client:
        try:
            client.sendall(content)
            client.settimeout(1.0)
            while chunk := client.recv(65_536):
                raw += chunk
        except (TimeoutError, ConnectionError):
            pass
    return raw


def statuses(raw: bytes) -> list[int]:
    """Return the status of every answer in what came."""
    return [int(found) for found in re.findall(rb"HTTP/1\.1 (\d{3})", raw)]


def head(person: Person, first: str, *more: str) -> bytes:
    """Return a request head with the person's token."""
    host = person.url.removeprefix("http://")
    lines = [first, f"Host: {host}", f"Authorization: Bearer {person.token}", *more, "", ""]
    return "\r\n".join(lines).encode("latin-1")


def sent(person: Person, method: str, path: str, **options: Any) -> httpx2.Response:
    """Send any call with the person's token, also one that no client of ours would send."""
    headers = person.headers(options.pop("headers", {}))
    return wire().request(method, f"{person.url}{path}", headers=headers, **options)


def refusal(error: Refused) -> tuple[int, str]:
    return error.status, str(error.problem.get("code", ""))


class Browser:
    """Loads pages and sends their forms, with cookies, as a browser without scripts does."""

    def __init__(self, server: Stack, account: str) -> None:
        self.url = server.url
        self.client = httpx2.Client(base_url=server.url, timeout=60)
        self.send("/sign-in", {"account": account, "password": server.passwords[account]})

    def __enter__(self) -> Browser:
        return self

    def __exit__(self, *_: object) -> None:
        self.client.close()

    def send(self, path: str, fields: dict[str, str], page: str | None = None) -> httpx2.Response:
        found = _CSRF.search(self.client.get(page or path).text)
        csrf = {"csrf": found[1]} if found else {}
        return self.client.post(path, data={**fields, **csrf}, headers={"origin": self.url})


def command(person: Person, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    """Run the command line as that person."""
    process = started(person, *arguments)
    told, errors = process.communicate(timeout=120)
    return subprocess.CompletedProcess(arguments, process.returncode, told, errors)


def started(person: Person, *arguments: str) -> subprocess.Popen[bytes]:
    """Start the command line as that person, and let it run."""
    home = {"HOME": "/nonexistent", "XDG_CONFIG_HOME": "/nonexistent", "XDG_STATE_HOME": "/nonexistent"}
    told = {"LOGLEASE_SERVER": person.url, "LOGLEASE_TOKEN": person.token}
    return subprocess.Popen(
        [Path(sys.executable).with_name("loglease"), *arguments],
        env={**os.environ, **home, **told},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
