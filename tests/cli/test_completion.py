from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.cli.conftest import Cli
from tests.cli.fake_server import FakeServer
from tests.cli.resources import ALICE, GRANT, REQUEST, TOKEN, grant_shown, request_shown

from loglease.cli.scripts import SCRIPTS


@pytest.mark.parametrize("shell", sorted(SCRIPTS))
def test_each_script_loads_in_its_shell(cli: Cli, shell: str) -> None:
    found = cli("completion", shell)
    assert (found.code, found.out) == (0, SCRIPTS[shell])
    if shutil.which(shell) is None:
        pytest.skip(f"there is no {shell} here to load it")
    subprocess.run([shell, "-n"], input=found.out, text=True, check=True)


def test_bash_completes_through_its_script(tmp_path: Path) -> None:
    program = tmp_path / "loglease"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -c "from loglease.cli.main import main; main()" "$@"\n')
    program.chmod(0o755)
    typed = "COMP_WORDS=(loglease lock li); COMP_CWORD=2; _loglease"
    script = f"{SCRIPTS['bash']}\n{typed}; printf '%s\\n' \"${{COMPREPLY[@]}}\""
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "HOME": str(tmp_path)}
    found = subprocess.run(["bash", "-c", script], env=environment, capture_output=True, text=True, check=True)
    assert found.stdout.split() == ["lift", "list"]


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        (["to"], ["token"]),
        (["token", ""], ["create", "delete", "list"]),
        (["admin", "user", "d"], ["disable"]),
        (["logs", "--no"], ["--no-escape", "--no-input"]),
        (["request", "--limit"], ["--limit-bytes", "--limit-lines"]),
        (["nonsense", "x"], []),
        (["requests", "--state", "e"], ["expired"]),
        (["requests", "--since", ""], []),
        (["requests", "--output", ""], ["json", "table"]),
        (["--server", ""], []),
        (["--color", "never", "logo"], ["logout"]),
        (["completion", ""], ["bash", "fish", "zsh"]),
        (["admin", "user", "add", "x", "--role", "au"], ["auditor"]),
        (["admin", ""], ["group", "key", "notify", "person", "reset-admin", "user"]),
    ],
)
def test_commands_and_flags(cli: Cli, typed: list[str], words: list[str]) -> None:
    assert cli("complete-words", "--", *typed).out.split() == words


def test_own_identifiers_and_labels_that_may_be_asked_for(cli: Cli, server: FakeServer) -> None:
    server.on("GET", "/grants", {"items": [grant_shown()]})
    server.on("GET", "/requests", {"items": [request_shown()]})
    server.on("GET", "/sources", {"items": [{"id": "files"}]})
    labels = [{"name": "service", "values": ["pay-api", "evil\x1b", "quo'te"]}]
    server.on("GET", "/sources/files/labels", {"items": labels})
    assert cli("complete-words", "--", "use", "grt_").out.split() == [GRANT]
    assert cli("complete-words", "--", "logs", "--grant", "").out.split() == [GRANT]
    assert cli("complete-words", "--", "approve", "").out.split() == [REQUEST]
    assert server.sent("GET", "/requests")[-1].query["needs"] == "my-review"
    assert cli("complete-words", "--", "sources", "show", "").out.split() == ["files"]
    server.on("GET", "/tokens", {"items": [{"id": TOKEN}]})
    server.on("GET", "/principals", {"items": [ALICE]})
    assert cli("complete-words", "--", "token", "delete", "").out.split() == [TOKEN]
    assert cli("complete-words", "--", "admin", "user", "show", "al").out.split() == [ALICE["account"]]
    assert cli("complete-words", "--", "request", "{").out.splitlines() == ['{service="pay-api"}']


def test_a_server_that_does_not_answer_completes_nothing(cli: Cli) -> None:
    found = cli("complete-words", "--", "use", "", LOGLEASE_SERVER="http://127.0.0.1:1", LOGLEASE_TOKEN="x")
    assert (found.code, found.out, found.err) == (0, "", "")
