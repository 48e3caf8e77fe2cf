from __future__ import annotations

import json
import stat
import subprocess

import pytest
from tests.cli.conftest import Cli
from tests.cli.fake_server import FakeServer, Reply
from tests.cli.resources import GRANT, grant_shown, revoked_grant

NOW = {"Date": "Mon, 23 Nov 2026 09:42:10 GMT"}


@pytest.fixture(autouse=True)
def _ready(server: FakeServer) -> None:
    grant = grant_shown(valid_until="2026-11-23T10:12:10.000000Z")
    server.on("GET", f"/grants/{GRANT}", Reply(grant, headers=NOW))
    server.on("POST", "/tokens", Reply({"token": {"id": "tok_1"}, "secret": "llg_secret"}, 201))


def test_the_shell_gets_an_address_and_a_file_never_the_token(cli: Cli, server: FakeServer) -> None:
    found = cli("env", GRANT)
    assert found.code == 0
    assert "llg_secret" not in found.out + found.err
    values = subprocess.run(
        ["bash", "-c", 'eval "$(cat)"; printf "%s\\n" "$LOGS_URL" "$LOGS_TOKEN_FILE"'],
        input=found.out,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    assert values[0] == f"{server.address}/g/{GRANT}/logs"
    file = cli.state / "loglease" / f"{GRANT}.token"
    assert values[1] == str(file)
    assert (file.read_text(), stat.S_IMODE(file.stat().st_mode)) == ("llg_secret\n", 0o600)


def test_one_token_is_issued_for_the_time_that_is_left(cli: Cli, server: FakeServer) -> None:
    cli("env", GRANT)
    assert cli("env", GRANT, "--token").out == "llg_secret\n"
    assert cli("env", GRANT, "--header").out == "Authorization: Bearer llg_secret\n"
    (call,) = server.sent("POST", "/tokens")
    assert (call.body["kind"], call.body["grant"]) == ("grant", GRANT)
    assert 1_795 <= call.body["expires_in_s"] <= 1_800


def test_other_forms(cli: Cli, server: FakeServer) -> None:
    assert json.loads(cli("env", GRANT, "--output", "json").out)["logs"] == f"{server.address}/g/{GRANT}/logs"
    assert cli("env", GRANT, "--format", "dotenv").out.startswith("LOGS_URL=http://127.0.0.1:")
    assert "follow=true" in cli("env", GRANT, "--tool", "curl").out


def test_what_has_ended_has_no_environment(cli: Cli, server: FakeServer) -> None:
    server.on("GET", f"/grants/{GRANT}", revoked_grant())
    found = cli("env", GRANT)
    assert (found.code, server.sent("POST", "/tokens")) == (9, [])
    assert f"{GRANT} is revoked. [grant_ended]" in found.err


def test_a_token_file_that_others_can_read_is_refused(cli: Cli) -> None:
    cli("env", GRANT)
    (cli.state / "loglease" / f"{GRANT}.token").chmod(0o644)
    found = cli("env", GRANT, "--token")
    assert (found.code, found.out, "[unsafe_file]" in found.err) == (2, "", True)
