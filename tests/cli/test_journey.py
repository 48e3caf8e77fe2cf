"""The whole journey through the command line against the real server in a process of its own."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import httpx2
import pytest

PROGRAM = [sys.executable, "-c", "from loglease.cli.main import main; main()"]
PASSWORD = "correct horse battery staple"
WORDS = "checkout fails since nine"
PATIENCE_S = 60


@dataclass
class Person:
    """Runs commands as one person, each in a process of its own."""

    environment: dict[str, str]
    codes: list[int] = field(default_factory=list)

    def run(self, *words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        found = subprocess.run(
            [*PROGRAM, *words],
            input=stdin,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )
        self.codes.append(found.returncode)
        return found

    def json(self, *words: str) -> dict[str, object]:
        found = self.run(*words, "--output", "json")
        body = json.loads(found.stdout)
        assert isinstance(body, dict), found.stderr
        return body

    def start(self, *words: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*PROGRAM, *words], env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )


@dataclass
class Installation:
    address: str
    directory: Path

    def person(self, name: str) -> Person:
        return Person(
            {
                **environment_of(self.directory),
                "LOGLEASE_SERVER": self.address,
                "XDG_STATE_HOME": str(self.directory / "people" / name),
            }
        )

    def log(self, text: str, service: str = "pay-api") -> None:
        with (self.directory / "data" / "logs" / f"{service}.log").open("a") as file:
            file.write(text + "\n")


def environment_of(directory: Path) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(directory),
        "PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring",
        "PYTHONUNBUFFERED": "1",
        "LOGLEASE_IDENTITY__ARGON2_MEMORY_KIB": "8",
        "LOGLEASE_IDENTITY__ARGON2_PASSES": "1",
        "LOGLEASE_IDENTITY__ARGON2_LANES": "1",
        "LOGLEASE_LIMITS__ENFORCED": "false",
    }


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    directory = tmp_path_factory.mktemp("installation")
    words = ["serve", "--data-dir", str(directory / "data"), "--listen", "127.0.0.1:0", "--health", "127.0.0.1:0"]
    log = (directory / "server.log").open("w")
    with (
        log,
        subprocess.Popen(
            [*PROGRAM, *words], env=environment_of(directory), stdout=subprocess.PIPE, stderr=log, text=True
        ) as server,
    ):
        try:
            yield Installation(_address(server, directory), directory)
        finally:
            server.terminate()
            assert server.stdout is not None
            server.stdout.read()


def _address(server: subprocess.Popen[str], directory: Path) -> str:
    assert server.stdout is not None
    for text in server.stdout:
        name, _, value = text.strip().partition(" ")
        if name == "Address":
            address = value.strip()
        elif name == "Next":
            return address
    raise AssertionError((directory / "server.log").read_text())


@pytest.fixture(scope="module")
def people(installation: Installation) -> dict[str, Person]:
    admin = installation.person("admin")
    password = (installation.directory / "data" / "admin-password").read_text()
    signed_in = admin.run("login", "admin", "--password-stdin", "--new-password", stdin=f"{password}{PASSWORD} 1\n")
    assert signed_in.returncode == 0, signed_in.stderr
    found = {"admin": admin, "second admin": installation.person("second admin")}
    second = found["second admin"].run("login", "admin", "--password-stdin", stdin=f"{PASSWORD} 1\n")
    assert second.returncode == 0, second.stderr
    for name, groups in (("alice", []), ("bob", ["--group", "approvers"]), ("leaver", [])):
        added = admin.run("admin", "user", "add", name, "--password-stdin", *groups, stdin=f"{PASSWORD} 2\n")
        assert added.returncode == 0, added.stderr
        found[name] = installation.person(name)
        assert found[name].run("login", name, "--password-stdin", stdin=f"{PASSWORD} 2\n").returncode == 0
    return found


def test_from_asking_to_the_cut(installation: Installation, people: dict[str, Person]) -> None:
    alice, bob = people["alice"], people["bob"]
    installation.log('{"level":"error","msg":"declined","email":"jane@example.com"}')

    assert alice.run("logs").returncode == 7, "no standing access"
    asked = alice.json("request", '{service="pay-api"}', "--reason", WORDS, "--wait", "0")
    assert (asked["state"], alice.codes[-1]) == ("pending", 10)
    assert alice.run("approve", str(asked["id"]), "--yes").returncode == 6, "nobody approves for themselves"

    reviewed = bob.json("approve", "@last", "--yes", "--narrow", "level=warn", "--for", "10m")
    grant = str(reviewed["grant"])
    assert alice.run("request", '{service="pay-api"}', "--level", "error", "--reason", WORDS).returncode == 0
    assert "Nobody was asked." in alice.run("request", '{service="pay-api"}', "--level", "error").stdout

    read = alice.run("logs", "--jsonl")
    (first,) = map(json.loads, read.stdout.splitlines())
    assert read.returncode == 0, read.stderr
    assert "jane@example.com" not in read.stdout
    assert first["masked"] == {"email": 1}
    assert "you may read until" in read.stderr
    assert alice.run("logs", '{service="billing"}').returncode in (2, 6), "outside the scope"

    counted = alice.run("logs", "sum by (service) (count_over_time({}[1h]))")
    assert [text.split() for text in counted.stdout.splitlines()] == [["service", "VALUE"], ["pay-api", "1"]]
    assert loki_labels(alice.run("env", grant).stdout) == ["service"]

    with alice.start("tail", "--jsonl") as tail:
        assert tail.stdout is not None
        assert tail.stderr is not None
        assert _soon(tail.stdout).startswith("{")
        installation.log('{"level":"error","msg":"live"}')
        assert "live" in _soon(tail.stdout)
        revoked = bob.json("revoke", grant, "--reason", "incident over")
        assert (revoked["durable"], revoked["sessions_ending"]) == (True, [])
        said = tail.stderr.read()
        assert tail.wait(PATIENCE_S) == 9
    assert "revoked by bob at " in said
    assert f'"incident over"; 2 lines received in {revoked["sessions_ended"][0]}' in said

    assert alice.run("logs", "--grant", grant).returncode == 9
    entries = alice.json("audit", "list", "--grant", grant, "--all")
    types = {entry["type"] for entry in entries["items"]}  # type: ignore[attr-defined]
    assert {"grant.scheduled", "grant.activated", "session.opened", "batch.served", "grant.revoked"} <= types


def loki_labels(environment: str) -> list[str]:
    """Return the names of labels, asked for with nothing but the variables that a shell has from `env`."""
    script = 'eval "$(cat)"; printf "%s\\n" "$LOKI_ADDR" "$LOKI_BEARER_TOKEN_FILE"'
    shell = subprocess.run(["bash", "-c", script], input=environment, capture_output=True, text=True, check=True)
    address, token_file = shell.stdout.splitlines()
    headers = {"Authorization": f"Bearer {Path(token_file).read_text().strip()}"}
    found: list[str] = httpx2.get(f"{address}/loki/api/v1/labels", headers=headers).json()["data"]
    return found


def _soon(stream: IO[str]) -> str:
    ready, _, _ = select.select([stream], [], [], PATIENCE_S)
    assert ready, "the tail says nothing"
    return stream.readline()


def test_lists_tokens_locks_and_offboarding(people: dict[str, Person]) -> None:
    admin, alice = people["second admin"], people["leaver"]
    assert alice.run("whoami").returncode == 0
    assert "files" in alice.run("sources", "list").stdout
    assert alice.run("sources", "labels", "files", "service").returncode == 0
    secret = alice.run("token", "create", "ci", "--right", "requests.read", "--expires", "1d").stdout.strip()
    assert secret.startswith("llp_")
    by_token = Person({**alice.environment, "LOGLEASE_TOKEN": secret})
    assert by_token.run("requests").returncode == 0
    assert by_token.run("request", '{service="pay-api"}', "--reason", WORDS).returncode == 6
    assert alice.run("token", "delete", "@last").returncode == 0
    assert by_token.run("requests").returncode == 11

    locked = admin.run("lock", "add", "person:leaver", "--reason", "left", "--revoke")
    assert locked.returncode == 0, locked.stderr
    assert alice.run("requests").returncode in (6, 11)
    assert admin.run("lock", "list").stdout.count("in force") == 1
    assert admin.run("admin", "user", "disable", "leaver").returncode == 0
    assert "disabled" in admin.run("admin", "user", "list").stdout
    assert admin.run("logout").returncode == 0
    assert admin.run("whoami").returncode == 11


def test_an_auditor_takes_evidence_away(installation: Installation, people: dict[str, Person], tmp_path: Path) -> None:
    admin, bob = people["admin"], people["bob"]
    for name, more in (("rita", []), ("sam", ["--role", "auditor"])):
        added = admin.run("admin", "user", "add", name, "--password-stdin", *more, stdin=f"{PASSWORD} 2\n")
        assert added.returncode == 0, added.stderr
    rita, sam = installation.person("rita"), installation.person("sam")
    for person, name in ((rita, "rita"), (sam, "sam")):
        assert person.run("login", name, "--password-stdin", stdin=f"{PASSWORD} 2\n").returncode == 0
    installation.log('{"level":"error","msg":"declined","email":"jane@example.com"}', "orders")
    asked = rita.json("request", '{service="orders"}', "--reason", WORDS, "--wait", "0")
    grant = str(bob.json("approve", str(asked["id"]), "--yes")["grant"])
    with rita.start("tail", "--jsonl") as tail:
        assert tail.stdout is not None
        assert _soon(tail.stdout).startswith("{")
        assert bob.run("revoke", grant, "--reason", "enough").returncode == 0
        assert tail.wait(PATIENCE_S) == 9

    assert rita.run("audit", "report", "population").returncode == 6
    story = sam.json("audit", "report", "dossier", "--grant", grant)
    facts = {one["name"]: one.get("value_name", one.get("value")) for one in story["summary"]}  # type: ignore[attr-defined]
    assert (facts["holder"], facts["approvers"], facts["state"]) == ("rita (rita)", ["bob (bob)"], "revoked")
    assert facts["lines"] >= 1
    cuts = next(one["rows"] for one in sam.json("audit", "report", "revocation")["tables"] if one["name"] == "cuts")  # type: ignore[attr-defined]
    (cut,) = [one for one in cuts if one["grant"] == grant]
    assert (cut["sessions"], cut["still_open"], cut["by_name"]) == (1, 0, "bob (bob)")
    assert 0 <= cut["cut_ms"] < PATIENCE_S * 1_000

    folder = tmp_path / "evidence"
    made = sam.run("audit", "report", "population", "--format", "folder", "-o", str(folder))
    assert made.returncode == 0, made.stderr
    key = (folder / "log.vkey").read_text().strip()
    stranger = Person({**sam.environment, "LOGLEASE_SERVER": "http://127.0.0.1:1"})
    checked = stranger.run("audit", "verify-report", str(folder), "--key", key)
    assert checked.returncode == 0, checked.stderr
    assert checked.stdout.startswith("OK")
    index = next(iter(json.loads((folder / "report.json").read_text())["evidence"]))
    entry = ("--entry", str(folder / "entries" / f"{index}.json"), "--key", key)
    alone = stranger.run("audit", "check", str(folder / "proofs" / f"{index}.tlog-proof"), *entry)
    assert alone.returncode == 0, alone.stderr
    entry_id = made.stderr.rpartition("loglease audit sign ")[2].split()[0]
    assert sam.run("audit", "sign", entry_id, "--accepted", "--comment", "whole").returncode == 0
    types = [one["type"] for one in sam.json("audit", "list", "--type", "report.signed")["items"]]  # type: ignore[attr-defined]
    assert types == ["report.signed"]
