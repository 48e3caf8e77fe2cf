"""What changes something shows the head of the audit log to keep; what shows lines or values never does."""

from __future__ import annotations

import json

import pytest
from tests.cli.conftest import Cli
from tests.cli.fake_server import FakeServer, Reply, problem
from tests.cli.resources import GRANT, grant_shown, ndjson, usage
from tests.fakes.grown_log import GrownLog

from loglease.audit.checkpoint import head_line, head_of_line
from loglease.cli.client import HEAD_HEADER, Client
from loglease.cli.configuration import Flags, settings_from

HEAD = head_line(GrownLog().head(5))
SENT = {HEAD_HEADER: HEAD}


@pytest.fixture(autouse=True)
def _ready(server: FakeServer) -> None:
    server.on("GET", f"/grants/{GRANT}", grant_shown())


def test_a_change_ends_with_the_head_on_stderr(cli: Cli, server: FakeServer) -> None:
    server.on("POST", f"/grants/{GRANT}/activate", Reply(grant_shown(), headers=SENT))
    found = cli("use", GRANT)
    assert found.code == 0
    assert found.err.splitlines()[-1] == HEAD
    assert head_of_line(found.err.splitlines()[-1]) == GrownLog().head(5)
    assert HEAD not in found.out


def test_programs_get_it_as_a_member(cli: Cli, server: FakeServer) -> None:
    server.on("POST", f"/grants/{GRANT}/activate", Reply(grant_shown(), headers=SENT))
    found = cli("use", GRANT, "--output", "json")
    assert json.loads(found.out)["audit_head"] == HEAD
    assert HEAD not in found.err


@pytest.mark.parametrize(
    "head", ["", "audit head: x 5 AAAA", f"{HEAD}\x1b[2J", f"x {HEAD}", "audit head: a b " + "A" * 43 + "=", HEAD + "="]
)
def test_what_is_no_head_is_not_shown(cli: Cli, server: FakeServer, head: str) -> None:
    server.on("POST", f"/grants/{GRANT}/activate", Reply(grant_shown(), headers={HEAD_HEADER: head}))
    assert "audit head" not in cli("use", GRANT).err
    assert "audit_head" not in json.loads(cli("use", GRANT, "--output", "json").out)


def test_reading_shows_none_and_neither_does_a_refusal(cli: Cli, server: FakeServer) -> None:
    server.on("GET", f"/grants/{GRANT}/usage", usage())
    assert "audit" not in cli("grants", GRANT).err
    server.on("POST", f"/grants/{GRANT}/activate", problem(409, "grant_not_active", "No."))
    assert "audit head" not in cli("use", GRANT).err


def test_where_lines_or_values_were_read_there_is_none(cli: Cli, server: FakeServer) -> None:
    """Also where the same command has changed something before."""
    server.on("POST", f"/grants/{GRANT}/activate", Reply(grant_shown(), headers=SENT))
    server.on("POST", f"/g/{GRANT}/reveal", Reply({"value": "bob"}, headers=SENT))
    server.on("GET", f"/g/{GRANT}/logs", Reply(ndjson({"type": "end", "reason": "complete", "lines": 0}), headers=SENT))
    settings = settings_from(Flags(), cli.environment)

    def reveal(client: Client) -> None:
        assert client.reveal(GRANT) == {"value": "bob"}

    def read(client: Client) -> None:
        with client.stream(f"/g/{GRANT}/logs", query={}, headers={}) as response:
            response.read()

    for look in (reveal, read):
        client = Client(settings, cli.store())
        client.post(f"/grants/{GRANT}/activate")
        seen = [client.audit_head]
        look(client)
        seen.append(client.audit_head)
        client.post(f"/grants/{GRANT}/activate")
        assert [*seen, client.audit_head] == [HEAD, None, None]
        client.close()
