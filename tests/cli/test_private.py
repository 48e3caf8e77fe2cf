"""Disclosing, erasing, holds and pruning from the command line, against a real server, by several people."""

from __future__ import annotations

import io
import json
from base64 import b64decode, b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.cli.conftest import Result
from tests.fakes.stack import Stack

from loglease.audit.note import SigningKey
from loglease.cli.main import run_command

REASON = "canary-reason-8201"
UNKNOWN_KEY = str(SigningKey("elsewhere.example/1", bytes(32)).verifier)


@dataclass
class Person:
    """Runs commands as one person who has signed in."""

    environment: dict[str, str]

    def __call__(self, *words: str) -> Result:
        out, err = io.StringIO(), io.StringIO()
        code = run_command(words, environment=self.environment, stdin=io.StringIO(), stdout=out, stderr=err)
        return Result(code, out.getvalue(), err.getvalue())

    def json(self, *words: str) -> dict[str, Any]:
        found = self(*words, "--output", "json", "--yes")
        assert found.code == 0, found.err
        return dict(json.loads(found.out))


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    made = Stack(tmp_path_factory.mktemp("private")).start()
    yield made
    assert made.stop() == 0


@pytest.fixture(scope="module")
def people(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Person]:
    folder = tmp_path_factory.mktemp("homes")
    roles = {"erin": ("admin",), "frank": ("admin",), "oscar": ("auditor",), "dora": (), "alice": ()}
    found = {}
    for name, own in roles.items():
        signed_in = stack.add(name, *(("approvers",) if name == "frank" else ()), roles=own)
        if not own:
            signed_in.ask(reason=f"{REASON} of {name}")
        found[name] = Person(
            {
                "LOGLEASE_SERVER": stack.url,
                "LOGLEASE_TOKEN": signed_in.token,
                "XDG_STATE_HOME": str(folder / name),
                "HOME": str(folder),
            }
        )
    return found


def submitted(person: Person, place: int) -> dict[str, Any]:
    return dict(person.json("audit", "list", "--type", "request.submitted")["items"][place])


def test_a_text_is_disclosed_and_checked_against_its_entry(people: dict[str, Person]) -> None:
    erin, oscar = people["erin"], people["oscar"]
    entry = submitted(oscar, -1)
    words = ("audit", "disclose", entry["id"], "reason_c", "--to", "oscar", "--purpose", "case 7")
    found = erin(*words)
    assert found.code == 0, found.err
    assert f"{REASON} of dora" in found.out
    assert f"{entry['data']['reason_c']}  (matches the entry)" in found.out
    assert oscar(*words).code != 0
    assert oscar.json("audit", "list", "--type", "log.disclosed")["items"]


def disclosed(people: dict[str, Person], file: Path) -> tuple[dict[str, Any], str]:
    """Disclose a reason into a file; return its entry, and the public key of the log."""
    oscar = people["oscar"]
    entry = submitted(oscar, -1)
    words = ("audit", "disclose", entry["id"], "reason_c", "--to", "oscar", "--purpose", "case 7", "--file", str(file))
    found = people["erin"](*words)
    assert found.code == 0, found.err
    assert f"loglease audit check {file}" in found.err
    assert REASON not in found.out
    again = people["erin"](*words)
    assert again.code == 2
    assert "is there already" in again.err
    started = oscar.json("audit", "list", "--type", "service.started")["items"][0]
    return entry, str(started["data"]["vkey"])


def test_an_auditor_checks_a_disclosed_text_from_the_file_and_the_key_alone(
    people: dict[str, Person], tmp_path: Path
) -> None:
    file = tmp_path / "reason.disclosure"
    entry, key = disclosed(people, file)
    stranger = Person({"HOME": str(tmp_path), "LOGLEASE_SERVER": "http://127.0.0.1:9"})
    found = stranger("audit", "check", str(file), "--key", key)
    assert (found.code, found.err) == (0, "")
    lines = found.out.splitlines()
    assert lines[0].startswith(f"checkpoint  {key.partition('+')[0]}  size ")
    assert (
        lines[1]
        == f"entry       #{entry['index']}  {entry['id']}  request.submitted by {entry['actor']}  {entry['at']}"
    )
    assert lines[2] == f"reason_c    {REASON} of dora"
    assert lines[3] == f"commitment  {entry['data']['reason_c']}  holds"
    assert lines[4].startswith(f"OK          the text is what entry {entry['index']} of the log of size ")
    body = stranger.json("audit", "check", str(file), "--key", key)
    assert (body["verdict"], body["field"], body["text"]) == ("ok", "reason_c", f"{REASON} of dora")
    assert body["checkpoint"]["signed_by"] == [key]

    whole = json.loads(file.read_bytes())
    for part, name, changed_to in (
        ("text", "clear", "Y2hhbmdlZA=="),
        ("salt", "salt", "00" * 16),
        ("field", "field", "ticket_c"),
        ("entry", "entry_bytes", b64encode(b64decode(whole["entry_bytes"]) + b" ").decode()),
        ("proof", "proof", whole["proof"].replace(f"index {entry['index']}", f"index {entry['index'] + 1}")),
    ):
        content = {**whole, name: changed_to}
        other = tmp_path / f"{part}.disclosure"
        other.write_text(json.dumps(content))
        changed = stranger("audit", "check", str(other), "--key", key)
        assert changed.code == 1, (part, changed.out, changed.err)
        assert changed.out.startswith("TAMPERED"), part
    unknown = stranger("audit", "check", str(file), "--key", UNKNOWN_KEY)
    assert unknown.code == 2
    assert stranger("audit", "check", str(file), "--key", key, "--entry", str(file)).code == 2


def test_holds_are_set_listed_and_released_by_somebody_else(people: dict[str, Person]) -> None:
    erin, frank = people["erin"], people["frank"]
    made = erin.json("audit", "hold", "set", "--reason", "case 7", "--from", "2020-01-01", "--to", "2021-01-01")
    assert made["from_at"] == "2020-01-01T00:00:00.000000Z"
    listed = erin("audit", "hold", "list")
    assert "in force" in listed.out
    assert "2020-01-01T00:00:00Z to 2021-01-01T00:00:00Z" in listed.out
    assert erin("audit", "hold", "release", made["id"], "--yes").code != 0
    assert "needs" not in frank("audit", "hold", "release", "@last", "--yes").err
    assert "released" in erin("audit", "hold", "list").out


def test_a_person_is_erased_with_a_second_administrator(people: dict[str, Person], stack: Stack) -> None:
    erin, frank = people["erin"], people["frank"]
    words = ("audit", "erase", "--subject", "alice", "--comment", "she left", "--yes")
    early = erin(*words)
    assert early.code != 0
    assert "loglease admin user disable" in early.err
    request = submitted(erin, 0)["ref"]["request"]
    assert people["alice"]("cancel", request, "--yes").code == 0
    assert erin("admin", "user", "disable", "alice", "--yes").code == 0
    made = erin(*words)
    assert made.code == 0, made.err
    listed = frank("proposals", "list")
    assert "erase all that alice (sub_" in listed.out
    proposal = frank.json("proposals", "list")["items"][0]["id"]
    assert erin("proposals", "approve", proposal, "--yes").code != 0
    done = frank("proposals", "approve", proposal, "--yes", "--comment", "seen")
    assert done.code == 0, done.err
    assert "another administrator" in done.out
    assert "accepted and done" in done.out
    content = b"".join(path.read_bytes() for path in (stack.folder / "data").rglob("*") if path.is_file())
    assert f"{REASON} of alice".encode() not in content
    assert b"alice@example.com" not in content
    assert "Decided by" in frank("proposals", "show", proposal).out


def test_what_is_to_be_erased_has_to_be_clear(people: dict[str, Person]) -> None:
    for words in ((), ("--entry", "ent_x"), ("--subject", "sub_x", "--entry", "ent_x", "--field", "reason_c")):
        found = people["erin"]("audit", "erase", *words, "--comment", "x")
        assert found.code == 2, words
        assert "--subject" in found.err


def test_a_server_that_keeps_for_ever_prunes_nothing(people: dict[str, Person]) -> None:
    found = people["erin"]("audit", "prune", "--before", "2020-01-01", "--comment", "old", "--yes")
    assert found.code != 0
    assert "for ever" in found.err
    assert "audit.retain" in found.err
