"""Emergencies and after-reviews in the terminal."""

from __future__ import annotations

from typing import Any

import pytest
from tests.cli.conftest import Cli
from tests.cli.fake_server import FakeServer
from tests.cli.resources import GRANT, REQUEST, grant_shown, request_shown

AT = "2026-11-23T09:40:00.000000Z"
AFTER: dict[str, Any] = {
    "request": REQUEST, "grant": GRANT, "basis": "break_glass", "state": "open", "late": True, "escalated": False,
    "opened_at": AT, "due_at": "2026-11-24T09:40:00.000000Z", "closes": True, "may_review": True, "opinions": [],
}  # fmt: skip
EXPOSURE: dict[str, Any] = {
    "request": REQUEST, "grant": GRANT, "sessions": 2, "lines": 1_234, "bytes": 99_000, "uncertain_lines": 3,
    "masked": {"email": 7}, "complete": False,
    "queries": [{"at": AT, "text": '{service="pay-api"} |= "4711"\x1b[31m', "from_ns": "1795426800000000000", "live": True}],
    "streams": [
        {"labels": {"service": "pay-api"}, "first_ns": "1795426800000000000", "last_ns": "1795426860000000000", "lines": 1_234}
    ],
}  # fmt: skip
DONE = f"/requests/{REQUEST}/after-review"


@pytest.fixture(autouse=True)
def _ready(server: FakeServer) -> None:
    server.on("GET", f"/requests/{REQUEST}", request_shown(state="approved", after_review=AFTER))
    server.on("GET", f"/requests/{REQUEST}/exposure", EXPOSURE)
    server.on("GET", f"/requests/{REQUEST}/timeline", {"items": []})
    server.on("GET", "/requests", {"items": [request_shown()]})
    server.on("GET", "/after-reviews", {"items": [request_shown(state="approved", after_review=AFTER)]})
    server.on("POST", DONE, {**AFTER, "state": "justified", "late": False, "may_review": False})


def test_what_was_read_is_shown_before_anything_is_said(cli: Cli, server: FakeServer) -> None:
    found = cli("approve", "@last", "--after", "--comment", "seen", stdin="y\n", terminal=True)
    assert found.code == 0
    for text in (
        "1,234 lines",
        "3 more lines",
        '|= "4711"',
        "service=pay-api",
        "email 7",
        "broke the glass",
        "LATE since",
    ):
        assert text in found.out
    assert "\x1b[31m" not in found.out
    (call,) = server.sent("POST", DONE)
    assert call.body == {"verdict": "justified", "comment": "seen"}
    assert call.headers["idempotency-key"]
    assert server.sent("GET", "/after-reviews")[0].query == {"undone": "true", "needs": "my-review", "limit": "1"}


@pytest.mark.parametrize(("words", "verdict"), [([], "not_justified"), (["--follow-up"], "follow_up")])
def test_denying_says_why(cli: Cli, server: FakeServer, words: list[str], verdict: str) -> None:
    found = cli("deny", REQUEST, "--after", *words, stdin="nobody knew\ny\n", terminal=True)
    assert found.code == 0
    assert [one.body for one in server.sent("POST", DONE)] == [{"verdict": verdict, "comment": "nobody knew"}]


def test_anything_but_yes_says_nothing(cli: Cli, server: FakeServer) -> None:
    assert cli("approve", REQUEST, "--after", stdin="n\n", terminal=True).code == 1
    assert cli("approve", REQUEST, "--after", stdin="y\n").code == 2
    assert not server.sent("POST", DONE)


def test_flags_that_do_not_go_together_are_refused(cli: Cli, server: FakeServer) -> None:
    for words in (["approve", REQUEST, "--after", "--for", "10m"], ["deny", REQUEST, "--after", "--digest", "ab"]):
        assert cli(*words, "--yes").code == 2
    assert cli("deny", REQUEST, "--follow-up", "--comment", "x", "--yes").code == 2
    assert not server.sent("POST", DONE)


def test_there_may_be_none_or_it_may_be_done(cli: Cli, server: FakeServer) -> None:
    server.on("GET", f"/requests/{REQUEST}", request_shown(state="approved"))
    assert "has no after-review" in cli("approve", REQUEST, "--after", "--yes").err
    server.on("GET", f"/requests/{REQUEST}", request_shown(after_review={**AFTER, "state": "justified"}))
    assert "was found justified" in cli("approve", REQUEST, "--after", "--yes").err
    server.on("GET", "/after-reviews", {"items": []})
    assert "No after-review waits for you" in cli("approve", "@last", "--after", "--yes").err


def test_late_ones_are_marked_in_lists_and_details(cli: Cli) -> None:
    listed = cli("requests", "--after-review")
    assert " LATE" in listed.out
    assert "break-glass" in listed.out
    shown = cli("requests", REQUEST)
    assert "LATE since" in shown.out
    assert "1,234 lines" in shown.out
    assert f"loglease approve {REQUEST} --after" in shown.err


OFFER = request_shown()["offer"] | {"outcome": "break_glass", "need": 0}


def test_the_price_is_told_before_the_glass_is_broken(cli: Cli, server: FakeServer) -> None:
    server.on("GET", "/grants", {"items": []})
    server.on("POST", "/offers", {"offers": [OFFER], "explanation": [], "words": "lines"})
    server.on("POST", "/requests", request_shown(state="approved", after_review=AFTER, grant=GRANT))
    server.on("GET", f"/grants/{GRANT}", grant_shown(state="active", valid_until=AT))
    words = ["request", '{service="pay-api"}', "--source", "files", "--reason", "on fire", "--break-glass"]
    assert cli(*words, stdin="other\n", terminal=True).code == 1
    assert cli(*words, stdin="files\n").code == 2
    assert not server.sent("POST", "/requests")
    found = cli(*words, stdin="files\n", terminal=True)
    assert found.code == 0
    assert "This breaks the glass" in found.err
    assert "at once, looked at afterwards" in found.out
    assert "may look at it" in " ".join(found.out.split())
    (call,) = server.sent("POST", "/requests")
    assert call.body["break_glass"] is True
    assert cli(*words, "--yes").code == 0


def test_a_reveal_is_no_emergency(cli: Cli) -> None:
    assert cli("request", "--reveal", f"{GRANT}:x", "--break-glass").code == 2
