from __future__ import annotations

import json

from tests.cli.conftest import Cli
from tests.cli.fake_server import FakeServer, Reply, problem
from tests.cli.resources import ALICE
from tests.cli.test_client import ME, NEXT

from loglease.cli.token_store import Tokens

SIGNED_IN = {**NEXT, "principal": ALICE, "must_change_password": False}


def test_login_keeps_the_tokens_and_prints_none(cli: Cli, server: FakeServer) -> None:
    server.on("POST", "/sign-in", SIGNED_IN)
    found = cli("login", "alice@example.com", "--password-stdin", stdin="secret word\n")
    assert found.code == 0
    assert server.calls[0].body == {"account": "alice@example.com", "password": "secret word"}
    assert "authorization" not in server.calls[0].headers
    assert cli.store().read() == Tokens("lla_next", "llr_next")
    as_json = cli("login", "alice@example.com", "--password-stdin", "--output", "json", stdin="secret word\n")
    assert json.loads(as_json.out) == {"principal": ALICE, "must_change_password": False}
    assert "ll" not in found.out.replace("loglease", "") or "lla_" not in found.out + found.err + as_json.out


def test_login_says_that_a_generated_password_has_to_go_and_changes_it(cli: Cli, server: FakeServer) -> None:
    server.on("POST", "/sign-in", {**SIGNED_IN, "must_change_password": True}, SIGNED_IN)
    assert "loglease login alice --new-password" in cli("login", "alice", "--password-stdin", stdin="old\n").err
    server.on("POST", "/me/password", Reply(status=204))
    assert cli("login", "alice", "--password-stdin", "--new-password", stdin="old\nfresh\n").code == 0
    assert server.sent("POST", "/me/password")[0].body == {"password": "old", "new_password": "fresh"}
    assert server.calls[-1].body == {"account": "alice", "password": "fresh"}


def test_a_wrong_password_keeps_nothing(cli: Cli, server: FakeServer) -> None:
    cli.store().forget()
    server.on("POST", "/sign-in", problem(401, "not_authenticated", "Account or password is wrong."))
    found = cli("login", "alice", "--password-stdin", stdin="wrong\n")
    assert (found.code, cli.store().read()) == (11, None)
    assert found.err == "error: Account or password is wrong. [not_authenticated]\ntrace: 4bf9\n"


def test_logout_forgets_also_if_nobody_answers(cli: Cli, server: FakeServer) -> None:
    server.on("POST", "/sign-out", problem(503, "store_unavailable", "Away."))
    assert cli("logout").code == 0
    assert cli.store().read() is None


def test_whoami_shows_person_groups_and_rights(cli: Cli, server: FakeServer) -> None:
    server.on("GET", "/me", ME)
    found = cli("whoami")
    for text in ("alice@example.com (human)", "leads", "logs.read", "per_1"):
        assert text in found.out
    assert json.loads(cli("whoami", "--output", "json").out) == ME


def test_a_name_from_elsewhere_cannot_move_the_cursor(cli: Cli, server: FakeServer) -> None:
    server.on("GET", "/me", {**ME, "principal": {**ME["principal"], "name": "Al\x1b[2Jice\u202e"}})  # type: ignore[dict-item]
    found = cli("whoami", terminal=True)
    assert "Al\\x1b[2Jice\\u202e" in found.out
