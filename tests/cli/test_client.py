from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cli.conftest import Cli
from tests.cli.fake_server import Call, FakeServer, Reply, problem
from tests.cli.resources import ALICE, GRANT, grant_shown

from loglease.cli.client import Client
from loglease.cli.configuration import Flags, settings_from
from loglease.cli.errors import Refused, Unreachable
from loglease.cli.secret_files import write_secret
from loglease.cli.token_store import Tokens
from loglease.model.instant import parse_instant

EXPIRED = problem(401, "token_expired", "The token has expired.")
ME = {
    "principal": {**ALICE, "person": "per_1", "groups": ["leads"], "roles": []},
    "rights": ["logs.read"],
    "channel": "cli",
    "interactive": True,
}
NEXT = {"access_token": "lla_next", "refresh_token": "llr_next"}


@pytest.fixture
def client(cli: Cli) -> Iterator[Client]:
    found = Client(settings_from(Flags(), cli.environment), cli.store())
    yield found
    found.close()


def fresh_only(call: Call) -> Reply | dict[str, object]:
    return ME if call.headers["authorization"] == "Bearer lla_next" else EXPIRED


def test_an_expired_token_is_renewed_and_the_call_repeated(cli: Cli, server: FakeServer) -> None:
    server.on("GET", "/me", fresh_only)
    server.on("POST", "/refresh", NEXT)
    assert cli("whoami").code == 0
    assert [call.body for call in server.sent("POST", "/refresh")] == [{"refresh_token": "llr_present"}]
    assert "authorization" not in server.sent("POST", "/refresh")[0].headers
    assert cli.store().read() == Tokens("lla_next", "llr_next")


def test_what_another_command_has_renewed_is_not_renewed_again(cli: Cli, server: FakeServer, client: Client) -> None:
    """Using a spent refresh token would end the sign-in."""

    def overtaken(call: Call) -> Reply | dict[str, object]:
        cli.store().write(Tokens("lla_next", "llr_next"))
        return fresh_only(call)

    server.on("GET", "/me", overtaken)
    assert client.get("/me") == ME
    assert not server.sent("POST", "/refresh")


def test_a_sign_in_that_has_ended_is_forgotten(cli: Cli, server: FakeServer) -> None:
    server.on("GET", "/me", EXPIRED)
    server.on("POST", "/refresh", problem(401, "not_authenticated", "No."))
    found = cli("whoami")
    assert (found.code, found.err) == (11, "error: Your sign-in has ended. [not_authenticated]\nnext: loglease login\n")
    assert cli.store().read() is None


def test_a_refusal_for_another_reason_renews_nothing(cli: Cli, server: FakeServer) -> None:
    server.on("GET", "/me", problem(401, "step_up_required", "Sign in again."))
    assert cli("whoami").code == 11
    assert not server.sent("POST", "/refresh")


def test_the_environments_token_is_sent_as_it_is(cli: Cli, server: FakeServer, tmp_path: Path) -> None:
    server.on("GET", "/me", ME)
    cli("whoami", LOGLEASE_TOKEN="llp_one")
    file = tmp_path / "token"
    write_secret(file, "llp_two\n")
    cli("whoami", LOGLEASE_TOKEN_FILE=str(file))
    assert [call.headers["authorization"] for call in server.sent("GET", "/me")] == ["Bearer llp_one", "Bearer llp_two"]
    assert cli("whoami", LOGLEASE_TOKEN_FILE=str(tmp_path / "none")).code == 11


def test_we_say_that_we_are_the_command_line(cli: Cli, server: FakeServer) -> None:
    server.on("GET", "/me", ME)
    cli("whoami")
    assert server.calls[0].headers["user-agent"].startswith("loglease-cli/")


def test_a_creating_call_whose_answer_was_lost_is_repeated_under_its_key(server: FakeServer, client: Client) -> None:
    server.on("POST", "/requests", Reply(pieces=lambda: iter([b""]), reset=True), {"id": "req_1"})
    assert client.post("/requests", {}, creates=True) == {"id": "req_1"}
    keys = [call.headers["idempotency-key"] for call in server.sent("POST", "/requests")]
    assert len(keys) == 2
    assert len(set(keys)) == 1
    client.post("/requests", {}, creates=True)
    assert len({call.headers["idempotency-key"] for call in server.sent("POST", "/requests")}) == 2


def test_a_transition_whose_answer_was_lost_is_not_repeated(server: FakeServer, client: Client) -> None:
    server.on("POST", f"/grants/{GRANT}/activate", Reply(pieces=lambda: iter([b""]), reset=True), grant_shown())
    with pytest.raises(Unreachable):
        client.post(f"/grants/{GRANT}/activate")


def test_a_list_is_followed_to_its_end_and_no_further_than_asked(server: FakeServer, client: Client) -> None:
    pages = {None: ([1, 2], "a"), "a": ([3, 4], "b"), "b": ([5], None)}

    def page(call: Call) -> dict[str, object]:
        items, following = pages[call.query.get("cursor")]
        body: dict[str, object] = {"items": [{"id": one} for one in items]}
        return body if following is None else {**body, "next": following}

    server.on("GET", "/requests", page)
    assert [one["id"] for one in client.items("/requests", most=None)] == [1, 2, 3, 4, 5]
    assert [one["id"] for one in client.items("/requests", most=2, state=None, mine=True)] == [1, 2]
    assert server.calls[-1].query == {"limit": "2", "mine": "true"}


def test_time_is_the_servers(server: FakeServer, client: Client) -> None:
    server.on("GET", "/health", Reply({"ok": True}, headers={"Date": "Mon, 23 Nov 2026 09:40:00 GMT"}))
    assert 0 <= client.now() - parse_instant("2026-11-23T09:40:00Z") < 60_000_000


@pytest.mark.parametrize(
    "reply",
    [
        Reply("<html>Welcome</html>", media_type="text/html"),
        Reply("<html>Bad gateway</html>", 502, media_type="text/html"),
        Reply([1, 2]),
        Reply({}, 302, headers={"Location": "https://elsewhere.example.com/"}),
    ],
)
def test_what_is_no_server_of_ours_is_said_to_be_none(cli: Cli, server: FakeServer, reply: Reply) -> None:
    server.on("GET", "/me", reply)
    found = cli("whoami")
    assert found.code == 2
    assert "is no LogLease server" in found.err
    assert not [call for call in server.calls if "elsewhere" in call.path]


def test_nobody_there_is_said_with_what_to_try(cli: Cli) -> None:
    found = cli("whoami", "--server", "http://127.0.0.1:1", LOGLEASE_TOKEN="llp_x")
    assert found.code == 2
    assert found.err.startswith("error: http://127.0.0.1:1 cannot be reached: ")
    assert "next: Check the address (--server, LOGLEASE_SERVER)" in found.err


def test_the_gateways_refusals_are_read_in_both_forms(server: FakeServer, client: Client) -> None:
    text = "grant_ended: It was revoked.\nRule: revocation\nNext: ask again\n"
    body = {"code": "grant_ended", "message": "It was revoked.", "rule": "revocation", "next": "ask again"}
    server.on("GET", "/logs", Reply(text, 403, media_type="text/plain"), Reply(body, 403))
    for _ in range(2):
        with pytest.raises(Refused) as caught, client.stream("/logs", query={}, headers={}):
            pass
        error = caught.value
        assert (error.problem_code, error.message, error.rule, error.next_step, error.status) == (
            "grant_ended",
            "It was revoked.",
            "revocation",
            "ask again",
            403,
        )


def test_a_missing_authority_file_is_named(cli: Cli) -> None:
    found = cli("whoami", "--server", "https://127.0.0.1:1", LOGLEASE_CA_FILE="/nowhere/ca.pem")
    assert found.code == 2
    assert "The CA file /nowhere/ca.pem cannot be used" in found.err
