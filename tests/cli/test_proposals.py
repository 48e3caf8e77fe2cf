"""A managed policy from the command line, against a real server in a process of its own, by several people."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.cli.conftest import Result
from tests.fakes.stack import CONFIG, Stack

from loglease.cli.main import run_command

MANAGED = CONFIG + '[policy]\ntrust = "managed"\n'


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
def people(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Person]]:
    folder = tmp_path_factory.mktemp("managed")
    stack = Stack(folder, config=MANAGED).start()
    try:
        found = {}
        for name in ("pam", "quinn", "ruth", "alice"):
            token = stack.add(name, roles=() if name == "alice" else ("policy_admin",)).token
            environment = {
                "LOGLEASE_SERVER": stack.url,
                "LOGLEASE_TOKEN": token,
                "XDG_STATE_HOME": str(folder / name),
                "HOME": str(folder),
            }
            found[name] = Person(environment)
        yield found
    finally:
        assert stack.stop() == 0


def fetched(person: Person, folder: Path, *words: str) -> Path:
    found = person("policy", "fetch", str(folder), *words)
    assert found.code == 0, found.err
    return folder


def edited(folder: Path, old: str, new: str) -> Path:
    policy = folder / "policy.yaml"
    assert old in policy.read_text()
    policy.write_text(policy.read_text().replace(old, new))
    return folder


def test_a_policy_is_fetched_changed_proposed_and_approved(people: dict[str, Person], tmp_path: Path) -> None:
    pam, quinn, ruth = (people[name] for name in ("pam", "quinn", "ruth"))
    draft = edited(fetched(pam, tmp_path / "draft"), "lines: 200000", "lines: 900000")
    made = pam("policy", "propose", str(draft), "--comment", "the shop logs more now")
    assert made.code == 0, made.err
    assert "WIDENS  default  grant.limits.lines 200,000 -> 900,000" in made.out
    assert "2 other people have to approve" in made.out
    proposal = pam.json("proposals", "list")["items"][0]["id"]

    own = pam("proposals", "approve", proposal, "--yes")
    assert (own.code, "self_review" in own.err) == (6, True)
    assert people["alice"]("proposals", "list").code == 6
    asked = quinn("proposals", "approve", "@last")
    assert asked.code == 2, "it asks, and there is nobody to answer"
    first = quinn("proposals", "approve", proposal, "--yes", "--comment", "fine")
    assert (first.code, "State: pending, 1 of 2 approvals" in first.out) == (0, True)
    other = ruth("proposals", "approve", proposal, "--yes", "--digest", "0" * 64)
    assert other.code == 8
    last = ruth("proposals", "approve", proposal, "--yes")
    assert (last.code, "State: accepted, revision 2" in last.out) == (0, True)
    shown = ruth("proposals", "show", proposal).out
    assert "approve by quinn: fine" in shown
    assert "accepted, revision 2" in shown

    back = fetched(pam, tmp_path / "back", "--revision", "1")
    assert "lines: 200000" in (back / "policy.yaml").read_text()
    assert pam.json("policy", "propose", str(back), "--comment", "too much after all")["verdict"] == "NARROWS"
    assert quinn.json("proposals", "deny", "@last", "--comment", "leave it")["state"] == "denied"


def test_documents_with_errors_are_refused_with_their_place(people: dict[str, Person], tmp_path: Path) -> None:
    draft = edited(fetched(people["pam"], tmp_path / "draft"), "pending_max: 4h", "pending_maxx: 4h")
    found = people["pam"]("policy", "propose", str(draft), "--comment", "typing")
    assert found.code != 0
    line = (draft / "policy.yaml").read_text().split("\n").index("pending_maxx: 4h") + 1
    assert f"policy.yaml:{line}:1" in found.err


def test_an_author_withdraws(people: dict[str, Person], tmp_path: Path) -> None:
    draft = edited(fetched(people["pam"], tmp_path / "draft"), "max: 1h}", "max: 45m}")
    (draft / "policy.test.yaml").unlink()
    proposal = people["pam"].json("policy", "propose", str(draft), "--comment", "shorter")
    assert (proposal["verdict"], proposal["needed"]) == ("NARROWS", 1)
    assert people["quinn"]("proposals", "withdraw", proposal["id"]).code == 6
    assert people["pam"].json("proposals", "withdraw", "@last")["state"] == "withdrawn"
    assert people["quinn"]("proposals", "approve", proposal["id"], "--yes").code == 8


def test_a_directory_that_is_not_empty_is_left_alone(people: dict[str, Person], tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("mine")
    assert people["pam"]("policy", "fetch", str(tmp_path)).code == 2
    assert people["pam"]("policy", "fetch", str(tmp_path / "new"), "--revision", "77").code == 7
