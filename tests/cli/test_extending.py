from __future__ import annotations

from typing import Any

import pytest
from tests.cli.conftest import Cli
from tests.cli.fake_server import FakeServer, problem
from tests.cli.resources import GRANT, LATER, OFFERS, REQUEST, SCOPE, grant_shown, request_shown

from loglease.cli.extensions import going_on

EXTENSION = "grt_01JDC91T7KT9YV2K3R5W7X87ZZ"


@pytest.fixture(autouse=True)
def _ready(server: FakeServer) -> None:
    server.on("POST", "/offers", OFFERS)
    server.on("POST", "/requests", request_shown(extends=GRANT))
    server.on("GET", f"/grants/{GRANT}", grant_shown())
    server.on("GET", "/grants", {"items": [grant_shown()]})


def sent(server: FakeServer) -> Any:
    (call,) = server.sent("POST", "/requests")
    return call.body


def test_a_grant_and_a_reason_are_enough(cli: Cli, server: FakeServer) -> None:
    assert cli("request", "--extend", GRANT, "--reason", "not found yet", "--wait", "0").code == 10
    assert sent(server) == {"extends": GRANT, "reason": "not found yet"}
    assert [call.body for call in server.sent("POST", "/offers")] == [sent(server)]


def test_the_newest_grant_has_a_name(cli: Cli, server: FakeServer) -> None:
    cli("request", "--extend", "@last", "--reason", "not found yet", "--wait", "0")
    assert sent(server)["extends"] == GRANT


def test_less_is_said_by_flags(cli: Cli, server: FakeServer) -> None:
    words = ["--level", "error", "--for", "10m", "--limit-lines", "50", "--ticket", "PAY-7"]
    cli("request", "--extend", GRANT, "--reason", "not found yet", *words, "--wait", "0")
    body = sent(server)
    assert (body["duration_s"], body["limits"], body["ticket"]) == (600, {"lines": 50}, "PAY-7")
    (scope,) = body["scopes"]
    assert (scope["selector"], scope["window"], scope["level_from"]) == (SCOPE["selector"], SCOPE["window"], "error")


def test_a_window_is_counted_back_by_the_server(cli: Cli, server: FakeServer) -> None:
    cli("request", "--extend", GRANT, "--reason", "not found yet", "--window", "10m", "--live", "--wait", "0")
    assert sent(server)["scopes"][0]["window"] == {"lookback_s": 600, "live": True}


@pytest.mark.parametrize(
    "words", [["--source", "x"], ["--profile", "raw"], ["--like", REQUEST], ["--all-streams"], ["--break-glass"]]
)
def test_what_an_extension_cannot_have_is_refused(cli: Cli, server: FakeServer, words: list[str]) -> None:
    assert cli("request", "--extend", GRANT, "--reason", "not found yet", *words).code == 2
    assert server.sent("POST", "/requests") == []


def test_a_dry_run_asks_for_nothing(cli: Cli, server: FakeServer) -> None:
    assert cli("request", "--extend", GRANT, "--reason", "not found yet", "--dry-run").code == 0
    assert server.sent("POST", "/requests") == []


def test_what_comes_of_it_says_when_it_begins(cli: Cli, server: FakeServer) -> None:
    server.on("POST", "/requests", request_shown(state="approved", grant=EXTENSION, extends=GRANT))
    scheduled = grant_shown(id=EXTENSION, state="scheduled", extends=GRANT, starts_at="2026-11-23T10:10:00.000000Z")
    del scheduled["valid_from"], scheduled["valid_until"]
    server.on("GET", f"/grants/{EXTENSION}", scheduled)
    server.on("GET", f"/grants/{EXTENSION}/usage", {"sessions": []})
    found = cli("request", "--extend", GRANT, "--reason", "not found yet")
    assert f"{EXTENSION} begins by itself at 2026-11-23 10:10:00 UTC, where {GRANT} ends" in found.out
    shown = cli("grants", EXTENSION).out
    assert "begins by itself at" in shown
    assert GRANT in shown


def test_a_refusal_is_shown_with_what_to_do(cli: Cli, server: FakeServer) -> None:
    server.on("POST", "/offers", problem(403, "extension_not_allowed", "The policy does not extend grants."))
    found = cli("request", "--extend", GRANT, "--reason", "not found yet")
    assert found.code != 0
    assert "[extension_not_allowed]" in found.err


@pytest.mark.parametrize(
    ("extension", "words"),
    [
        (None, f"loglease request --like {REQUEST}"),
        ({"left": 0, "by_s": 60}, f"loglease request --like {REQUEST}"),
        ({"left": 1, "by_s": 60}, f"loglease request --extend {GRANT} --reason"),
        ({"left": 1, "by_s": 60, "request": REQUEST}, f"{REQUEST} asks to extend it already"),
        ({"left": 1, "by_s": 60, "grant": EXTENSION}, f"{EXTENSION} goes on from it"),
    ],
)
def test_the_warning_names_what_helps(extension: dict[str, Any] | None, words: str) -> None:
    assert words in going_on(grant_shown(**({} if extension is None else {"extension": extension})))


def test_a_grant_says_how_it_goes_on(cli: Cli, server: FakeServer) -> None:
    server.on("GET", f"/grants/{GRANT}", grant_shown(valid_until=LATER, extension={"left": 1, "by_s": 600}))
    server.on("GET", f"/grants/{GRANT}/usage", {"sessions": []})
    assert f"--extend {GRANT}" in cli("grants", GRANT).out
