from __future__ import annotations

import json
import re
from collections.abc import Callable

import pytest
from tests.cli.conftest import Cli
from tests.cli.fake_server import FakeServer, Reply, problem
from tests.cli.resources import GRANT, REQUEST, grant_shown, request_shown, revoked_grant, session_shown, usage

NOW = {"Date": "Mon, 23 Nov 2026 09:42:10 GMT"}


def test_the_list_shows_state_countdown_and_budget(cli: Cli, server: FakeServer) -> None:
    until = "2026-11-23T10:12:10.000000Z"
    items = [grant_shown(valid_until=until), revoked_grant()]
    server.on("GET", "/grants", Reply({"items": items}, headers=NOW))
    head, active, revoked = cli("grants", "--live", "--mine").out.splitlines()
    assert head.split()[:4] == ["GRANT", "STATE", "HOLDER", "UNTIL"]
    assert active.split()[:5] == [GRANT, "active", "alice@example.com", "2026-11-23", "10:12:10"]
    assert re.search(r"  (30:00|29:[0-5]\d)  ", active)
    assert "990" in active
    assert revoked.split()[1] == "revoked"
    assert server.calls[0].query == {"limit": "50", "mine": "true", "live": "true"}


def test_one_grant_shows_both_clocks_and_its_sessions(cli: Cli, server: FakeServer) -> None:
    server.on("GET", f"/grants/{GRANT}", Reply(grant_shown(state="scheduled", valid_until=None), headers=NOW))
    server.on("GET", f"/grants/{GRANT}/usage", usage(session_shown()))
    found = cli("grants", GRANT)
    assert "30m from first use on; use it before 2099-11-23 09:40:00 UTC" in found.out
    assert session_shown()["id"] in found.out
    assert json.loads(cli("grants", GRANT, "--output", "json").out)["sessions"][0]["why"] == "revoked"


@pytest.mark.parametrize(("left", "said"), [(3, "3 more data subjects"), (1, "1 more data subject"), (0, "0 more")])
def test_a_grant_says_how_many_more_people_there_may_be(cli: Cli, server: FakeServer, left: int, said: str) -> None:
    spent = {"lines": 1, "bytes": 1, "queries": 1, "subjects": 4, "subjects_left": left}
    server.on("GET", f"/grants/{GRANT}", grant_shown(spent=spent))
    server.on("GET", f"/grants/{GRANT}/usage", usage())
    assert said in cli("grants", GRANT).out


@pytest.mark.parametrize(
    ("bound", "said"),
    [
        ({"network_bound": True, "network": "corp"}, "only from network corp"),
        ({"network_bound": True, "network": "2001:db8::/64"}, "only from addresses 2001:db8::/64"),
        ({"network_bound": True}, "from nowhere"),
        ({"network_bound": False}, None),
    ],
)
def test_a_grant_says_from_where_it_can_be_used(
    cli: Cli, server: FakeServer, bound: dict[str, object], said: str | None
) -> None:
    server.on("GET", f"/grants/{GRANT}", grant_shown(**bound))
    server.on("GET", f"/grants/{GRANT}/usage", usage())
    found = cli("grants", GRANT).out
    assert ("Usable" in found) == (said is not None)
    assert said is None or said in found


@pytest.mark.parametrize("until", [{"valid_until": "2026-11-23T10:12:00.900000Z"}, {"valid_until": None}])
def test_a_countdown_never_shows_more_than_was_granted(cli: Cli, server: FakeServer, until: dict[str, str]) -> None:
    began = {"scheduled_at": "2026-11-23T09:42:00.900000Z", "valid_from": "2026-11-23T09:42:00.900000Z"}
    ends = {"activate_by": "2026-11-23T10:12:00.900000Z", **until}
    behind = {"Date": "Mon, 23 Nov 2026 09:41:58 GMT"}
    server.on("GET", f"/grants/{GRANT}", Reply(grant_shown(**began, **ends), headers=behind))
    server.on("GET", f"/grants/{GRANT}/usage", Reply(usage(), headers=behind))
    assert "(30:00 left)" in cli("grants", GRANT).out


@pytest.mark.parametrize("words", [["grants"], ["grants", GRANT]])
def test_nothing_is_wider_than_the_terminal_and_no_identifier_is_cut(
    cli: Cli, server: FakeServer, monkeypatch: pytest.MonkeyPatch, words: list[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    shown = grant_shown(words=" ".join(["a rather long sentence"] * 9))
    server.on("GET", "/grants", {"items": [shown]})
    server.on("GET", f"/grants/{GRANT}", shown)
    server.on("GET", f"/grants/{GRANT}/usage", usage(session_shown()))
    found = cli(*words, "--color", "never", terminal=True)
    assert all(len(line) <= 80 for line in found.out.splitlines())
    assert found.out.split().count("sentence") == 9
    assert "what" not in found.out
    assert ("lines 2" in found.out) is (len(words) > 1), "a cell of a session has its name"
    for whole in (GRANT, "alice@example.com"):
        assert whole in found.out
    wide = cli(*words)
    assert any(len(line) > 80 for line in wide.out.splitlines()), "pipes get whole lines"


def test_a_wide_terminal_gets_a_table(cli: Cli, server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    server.on("GET", "/grants", Reply({"items": [grant_shown()]}, headers=NOW))
    monkeypatch.setenv("COLUMNS", "300")
    assert cli("grants", "--color", "never", terminal=True).out == cli("grants").out


def test_a_grant_that_was_revoked_says_by_whom_when_and_why(cli: Cli, server: FakeServer) -> None:
    server.on("GET", f"/grants/{GRANT}", revoked_grant())
    server.on("GET", f"/grants/{GRANT}/usage", usage())
    found = cli("grants", GRANT)
    assert 'was revoked by bob@example.com at 2026-11-23 10:02:11 UTC: "incident over"' in found.out
    assert found.err == "No session yet.\n"


def test_use_activates_and_return_gives_back(cli: Cli, server: FakeServer) -> None:
    server.on("GET", "/grants", {"items": [grant_shown()]})
    server.on("GET", f"/grants/{GRANT}", grant_shown())
    server.on("POST", f"/grants/{GRANT}/activate", Reply(grant_shown(), headers=NOW))
    server.on("POST", f"/grants/{GRANT}/return", grant_shown(state="ended", ended_why="returned"))
    assert cli("use", GRANT[-6:]).out.startswith(f"grant {GRANT} is active: you may read until 09:40:00 UTC (")
    assert f"{GRANT} ended (returned)" in cli("return", "@last").out
    assert cli("use", GRANT, "--output", "json").code == 0


def test_using_what_is_suspended_is_a_conflict_and_what_has_ended_is_cut(cli: Cli, server: FakeServer) -> None:
    server.on("GET", f"/grants/{GRANT}", grant_shown())
    for code, exit_code in (("grant_not_active", 8), ("grant_ended", 9), ("not_found", 7)):
        server.on("POST", f"/grants/{GRANT}/activate", problem(409, code, "No."))
        assert cli("use", GRANT).code == exit_code


def test_watching_prints_one_object_for_each_change(
    cli: Cli, server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    turns = iter([None, None, None, KeyboardInterrupt])

    def pause(_seconds: float) -> None:
        if (stop := next(turns)) is not None:
            raise stop

    monkeypatch.setattr("loglease.cli.following.time.sleep", pause)
    first, changed = request_shown(), request_shown(state="approved", version=2)
    away = problem(503, "draining", "The server is stopping.")
    server.on("GET", "/requests", {"items": [first]}, {"items": [first]}, away, {"items": [changed]})
    found = cli("requests", "--watch", "--output", "json")
    assert found.code == 130
    assert [json.loads(line)["state"] for line in found.out.splitlines()] == ["pending", "approved"]


def test_since_is_measured_by_the_servers_clock(cli: Cli, server: FakeServer) -> None:
    items = [request_shown(), request_shown(id=REQUEST[:-1] + "N", submitted_at="2026-11-23T06:00:00.000000Z")]
    server.on("GET", "/requests", Reply({"items": items}, headers=NOW))
    found = cli("requests", "--since", "2h", "--output", "json")
    assert [one["id"] for one in json.loads(found.out)["items"]] == [REQUEST]


def test_one_request_shows_its_timeline(cli: Cli, server: FakeServer, no_sleep: Callable[[], float]) -> None:
    server.on("GET", f"/requests/{REQUEST}", request_shown())
    step = {
        "at": "2026-11-23T09:40:00.000000Z",
        "type": "request.submitted",
        "entry": "e",
        "actor": "s",
        "text": "asked",
    }
    server.on("GET", f"/requests/{REQUEST}/timeline", {"items": [step]})
    found = cli("requests", REQUEST)
    assert "09:40:00   asked\n" in found.out
    assert found.err == f"next: loglease approve {REQUEST}\n"
