from __future__ import annotations

import json
import re
import stat
import subprocess
from copy import deepcopy
from pathlib import Path

import pytest
import yaml
from tests.cli.conftest import Cli
from tests.cli.fake_server import FakeServer, Reply
from tests.cli.resources import GRANT, grant_shown, revoked_grant

GUIDE = Path(__file__).parents[2] / "docs" / "how-to" / "read-with-grafana.md"
NOW = {"Date": "Mon, 23 Nov 2026 09:42:10 GMT"}


@pytest.fixture(autouse=True)
def _ready(server: FakeServer) -> None:
    grant = grant_shown(valid_until="2026-11-23T10:12:10.000000Z")
    server.on("GET", f"/grants/{GRANT}", Reply(grant, headers=NOW))
    server.on("POST", "/tokens", Reply({"token": {"id": "tok_1"}, "secret": "llg_secret"}, 201))


def evaluated(shell: str, text: str, *names: str) -> list[str]:
    """Return variables as a shell has them that has evaluated a text."""
    script = 'eval "$(cat)"; printf "%s\\n" ' + " ".join(f'"${name}"' for name in names)
    found = subprocess.run([shell, "-c", script], input=text, capture_output=True, text=True, check=True)
    assert found.stderr == ""
    return found.stdout.splitlines()


@pytest.mark.parametrize("shell", ["bash", "dash"])
def test_the_shell_gets_an_address_and_a_file_never_the_token(cli: Cli, server: FakeServer, shell: str) -> None:
    found = cli("env", GRANT)
    assert found.code == 0
    assert "llg_secret" not in found.out + found.err
    file = cli.state / "loglease" / f"{GRANT}.token"
    names = ("LOKI_ADDR", "LOKI_BEARER_TOKEN_FILE", "LOGS_URL")
    assert evaluated(shell, found.out, *names) == [
        f"{server.address}/g/{GRANT}",
        str(file),
        f"{server.address}/g/{GRANT}/logs",
    ]
    assert (file.read_text(), stat.S_IMODE(file.stat().st_mode)) == ("llg_secret\n", 0o600)


def test_a_selector_cannot_break_out_of_its_comment(cli: Cli, server: FakeServer) -> None:
    grant = deepcopy(grant_shown(valid_until="2026-11-23T10:12:10.000000Z"))
    grant["scopes"][0]["selector"] = "{service=\"a\n'; LOGS_URL=taken; '$(exit 1)\"}"
    server.on("GET", f"/grants/{GRANT}", Reply(grant, headers=NOW))
    assert evaluated("bash", cli("env", GRANT).out, "LOGS_URL") == [f"{server.address}/g/{GRANT}/logs"]


def test_one_token_is_issued_for_the_time_that_is_left(cli: Cli, server: FakeServer) -> None:
    cli("env", GRANT)
    assert cli("env", GRANT, "--token").out == "llg_secret\n"
    assert cli("env", GRANT, "--header").out == "Authorization: Bearer llg_secret\n"
    (call,) = server.sent("POST", "/tokens")
    assert (call.body["kind"], call.body["grant"]) == ("grant", GRANT)
    assert 1_795 <= call.body["expires_in_s"] <= 1_800


def test_other_forms(cli: Cli, server: FakeServer) -> None:
    found = json.loads(cli("env", GRANT, "--output", "json").out)
    loki = f"{server.address}/g/{GRANT}"
    assert (found["logs"], found["loki"]) == (f"{loki}/logs", loki)
    assert cli("env", GRANT, "--format", "dotenv").out.splitlines() == [
        f"LOKI_ADDR={loki}",
        f"LOKI_BEARER_TOKEN_FILE={cli.state}/loglease/{GRANT}.token",
        f"LOGS_URL={loki}/logs",
    ]
    fish = cli("env", GRANT, "--format", "fish").out
    assert fish.startswith(f"set -gx LOKI_ADDR '{loki}'\n")
    assert f"@(loglease env {GRANT} --header | psub)" in fish


def test_one_program_gets_what_it_needs(cli: Cli, server: FakeServer) -> None:
    curl = cli("env", GRANT, "--tool", "curl").out
    assert "follow=true" in curl
    assert "LOKI" not in curl
    logcli = cli("env", GRANT, "--tool", "logcli").out
    assert "LOGS_URL" not in logcli
    assert "# logcli   logcli query '{service=\"pay-api\"}'\n" in logcli


def test_a_grafana_of_ones_own_gets_a_data_source_without_the_token(cli: Cli, server: FakeServer) -> None:
    found = cli("env", GRANT, "--tool", "grafana").out
    assert "llg_secret" not in found
    assert f'LOGLEASE_TOKEN="$(loglease env {GRANT} --token)"' in found
    [source] = yaml.safe_load(found)["datasources"]
    assert source == {
        "name": f"LogLease {GRANT}",
        "uid": GRANT,
        "type": "loki",
        "access": "proxy",
        "url": f"{server.address}/g/{GRANT}",
        "basicAuth": True,
        "basicAuthUser": "loglease",
        "secureJsonData": {"basicAuthPassword": "$LOGLEASE_TOKEN"},
        "jsonData": {"manageAlerts": False, "maxLines": 1000},
    }
    assert len(source["uid"]) <= 40  # the longest that Grafana takes


def test_the_example_in_the_documents_is_what_is_printed(cli: Cli, server: FakeServer) -> None:
    example, other = re.findall(r"^```yaml\n(.*?)^```", GUIDE.read_text(), re.MULTILINE | re.DOTALL)
    [shown] = set(re.findall(r"grt_[0-9A-Z]{26}", example))
    printed = cli("env", GRANT, "--tool", "grafana").out
    assert example == printed.replace(GRANT, shown).replace(server.address, "http://127.0.0.1:8080")
    [of_one], [of_all] = (yaml.safe_load(text)["datasources"] for text in (example, other))
    assert {name: of_all[name] for name in of_one} == {
        **of_one,
        "name": "LogLease",
        "uid": "loglease",
        "url": "http://127.0.0.1:8080",
    }


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
