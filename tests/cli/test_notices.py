"""`admin notify`."""

from __future__ import annotations

from typing import Any

from tests.cli.conftest import Cli
from tests.cli.fake_server import FakeServer

NOTICE: dict[str, Any] = {
    "id": "ntc_01M83T4CM00000000000000001",
    "event": "request.submitted",
    "about": "req_01M83T4CM00000000000000001",
    "recipient": "channel:security",
    "channel": "security",
    "state": "dead",
    "attempts": 3,
    "at": "2026-11-23T09:00:00.000000Z",
    "next_at": "2026-11-23T09:15:00.000000Z",
    "error": "It answered 500.",
}


def test_what_was_given_up_is_listed_with_its_reason(cli: Cli, server: FakeServer) -> None:
    server.on("GET", "/notices", {"items": [NOTICE]})
    shown = cli("admin", "notify", "list", "--dead")
    assert shown.code == 0
    assert "channel:security" in shown.out
    assert "It answered 500." in shown.out
    assert cli("admin", "notify", "list", "--dead", "--waiting").code == 2


def test_a_test_says_whether_it_was_taken(cli: Cli, server: FakeServer) -> None:
    server.on("POST", "/notices/test", {"channel": "security", "taken": True})
    assert cli("admin", "notify", "test", "security").out == "security: taken.\n"
    server.on("POST", "/notices/test", {"channel": "security", "taken": False, "error": "It cannot be reached."})
    refused = cli("admin", "notify", "test", "security")
    assert (refused.code, refused.out) == (1, "security: It cannot be reached.\n")


def test_one_or_all_are_tried_again(cli: Cli, server: FakeServer) -> None:
    server.on("POST", "/notices/retry", {"retried": 2})
    assert cli("admin", "notify", "retry").out == "2 notices are tried again.\n"
    assert cli("admin", "notify", "retry", NOTICE["id"]).code == 0
