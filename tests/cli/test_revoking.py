from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from tests.cli.conftest import Cli
from tests.cli.fake_server import FakeServer, Reply, problem
from tests.cli.resources import ALICE, BOB, GRANT, REQUEST, REVOCATION, SESSION, grant_shown

DONE = {
    "id": REVOCATION,
    "on": f"grant:{GRANT}",
    "reason": "over",
    "by": BOB,
    "at": "2026-11-23T10:02:11.000000Z",
    "durable": True,
    "grants": [GRANT],
    "sessions_ended": [SESSION],
    "sessions_ending": [],
}


@pytest.fixture(autouse=True)
def _ready(server: FakeServer) -> None:
    server.on("GET", "/grants", {"items": [grant_shown()]})
    server.on("POST", "/revocations", Reply(DONE, 201))


def test_one_grant_is_taken_away_without_a_question(cli: Cli, server: FakeServer) -> None:
    found = cli("revoke", GRANT, "--reason", "over")
    assert found.code == 0
    assert found.out == (
        f"Revoked grant:{GRANT} at 10:02:11 UTC: {GRANT}   ({REVOCATION})\nSessions ended 1, still ending 0.\n"
    )
    (call,) = server.sent("POST", "/revocations")
    assert call.body == {"on": f"grant:{GRANT}", "reason": "over"}
    assert call.headers["idempotency-key"]


def test_several_are_taken_away_each_by_its_own_act(cli: Cli, server: FakeServer) -> None:
    found = cli("revoke", "@last", REQUEST, "--reason", "over", "--output", "json")
    assert [call.body["on"] for call in server.sent("POST", "/revocations")] == [f"grant:{GRANT}", f"request:{REQUEST}"]
    assert len(json.loads(found.out)["items"]) == 2


@pytest.mark.parametrize(
    ("flag", "on"),
    [("--person", "person:dave"), ("--group", "group:dave"), ("--source", "source:dave"), ("--policy", "policy:dave")],
)
def test_all_of_somebody_is_asked_about_first(cli: Cli, server: FakeServer, flag: str, on: str) -> None:
    assert cli("revoke", flag, "dave", "--reason", "left").code == 2
    assert cli("revoke", flag, "dave", "--reason", "left", stdin="n\n", terminal=True).code == 1
    assert not server.sent("POST", "/revocations")
    assert cli("revoke", flag, "dave", "--reason", "left", "--yes").code == 0
    assert server.sent("POST", "/revocations")[0].body["on"] == on


def test_what_is_still_ending_is_looked_at_again_and_told(
    cli: Cli, server: FakeServer, no_sleep: Callable[[], float]
) -> None:
    ending = {**DONE, "sessions_ended": [], "sessions_ending": [SESSION]}
    server.on("POST", "/revocations", Reply(ending, 201))
    server.on("GET", f"/revocations/{REVOCATION}", ending, DONE)
    assert "Sessions ended 1, still ending 0." in cli("revoke", GRANT, "--reason", "over").out
    assert no_sleep() > 0


def test_an_act_that_is_only_journalled_says_so(cli: Cli, server: FakeServer) -> None:
    away = {**DONE, "durable": False, "sessions_ending": [SESSION]}
    server.on("POST", "/revocations", Reply(away, 202))
    found = cli("revoke", GRANT, "--reason", "over")
    assert "Journalled on one machine only" in found.err
    assert "still ending 1" in found.out


@pytest.mark.parametrize(
    ("words", "on"),
    [
        ([GRANT], f"grant:{GRANT}"),
        ([REQUEST], f"request:{REQUEST}"),
        (["--person", ALICE["account"]], f"person:{ALICE['account']}"),
        (["--group", "leads"], "group:leads"),
    ],
)
def test_a_dry_run_shows_and_takes_nothing(cli: Cli, server: FakeServer, words: list[str], on: str) -> None:
    preview = {"on": on, "grants": [grant_shown()], "requests": [REQUEST]}
    server.on("GET", "/revocations/preview", preview)
    assert json.loads(cli("revoke", *words, "--dry-run", "--output", "json").out) == preview
    assert server.sent("GET", "/revocations/preview")[0].query == {"on": on}
    found = cli("revoke", *words, "--dry-run")
    assert (found.code, GRANT in found.out) == (0, True)
    assert f"would be cancelled: {REQUEST}" in found.out
    server.on("GET", "/revocations/preview", {**preview, "grants": [], "requests": []})
    assert cli("revoke", *words, "--dry-run").err == "Nothing would end.\n"
    assert not server.sent("POST", "/revocations")


def test_a_dry_run_is_refused_where_the_act_would_be(cli: Cli, server: FakeServer) -> None:
    server.on("GET", "/revocations/preview", problem(403, "not_permitted", "This takes the role admin."))
    found = cli("revoke", "--person", "dave", "--dry-run")
    assert (found.code, found.out) == (6, "")


@pytest.mark.parametrize("words", [[], [GRANT, "--person", "dave"], ["--person", "a", "--group", "b"]])
def test_what_to_revoke_has_to_be_clear(cli: Cli, server: FakeServer, words: list[str]) -> None:
    found = cli("revoke", *words, "--reason", "over", "--yes")
    assert (found.code, found.err.startswith("error: Say what to revoke")) == (2, True)
    assert not server.sent("POST", "/revocations")


def test_suspend_and_resume_take_a_reason(cli: Cli, server: FakeServer) -> None:
    server.on("POST", f"/grants/{GRANT}/suspend", grant_shown(state="suspended"))
    server.on("POST", f"/grants/{GRANT}/resume", grant_shown())
    assert cli("suspend", GRANT, "--reason", "look").out == f"{GRANT} of alice@example.com is suspended.\n"
    assert json.loads(cli("resume", GRANT, "--reason", "fine", "--output", "json").out)["state"] == "active"
    assert server.sent("POST", f"/grants/{GRANT}/suspend")[0].body == {"reason": "look"}
    assert server.sent("POST", f"/grants/{GRANT}/resume")[0].body == {"reason": "fine"}
    assert cli("suspend", "--reason", "x").code == 2
    assert cli("suspend", GRANT).code == 2
