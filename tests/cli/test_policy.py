from __future__ import annotations

import json
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from tests.cli.conftest import Cli
from tests.cli.fake_server import FakeServer

from loglease.policy.defaults import default_files


@pytest.fixture
def documents(tmp_path: Path) -> Path:
    directory = tmp_path / "policies"
    directory.mkdir()
    for name, content in default_files(["files"]).items():
        (directory / name).write_bytes(content)
    return directory


@pytest.fixture
def broken(documents: Path) -> Path:
    file = documents / "policy.yaml"
    file.write_text(file.read_text().replace("duration: {default: 30m", "duration: {defualt: 30m"))
    return documents


def test_good_documents_pass_without_a_server(cli: Cli, server: FakeServer, documents: Path) -> None:
    cli.store().forget()
    found = cli("policy", "check", str(documents))
    assert (found.code, found.err.startswith("ok: 1 policies, 1 guardrails, 0 errors")) == (0, True)
    assert cli("policy", "check").code == 0
    assert not server.calls


def test_a_mistake_is_shown_with_its_place_and_what_was_meant(cli: Cli, broken: Path) -> None:
    found = cli("policy", "check", str(broken))
    assert found.code == 3
    assert "policy.yaml:" in found.out
    assert "did you mean 'default'?" in found.out
    problems = json.loads(cli("policy", "check", str(broken), "--output", "json").out)["problems"]
    assert {"file", "line", "column", "severity", "code", "message"} <= set(problems[0])
    for command in ("test", "show"):
        assert cli("policy", command, str(broken)).code == 3


def test_tests_pass_or_end_with_four(cli: Cli, documents: Path) -> None:
    passed = cli("policy", "test", str(documents))
    assert (passed.code, passed.err) == (0, "6 cases, 0 failed.\n")
    file = documents / "policy.yaml"
    file.write_text(file.read_text().replace("max: 1h", "max: 45m"))
    failed = cli("policy", "test", str(documents), "--output", "json")
    assert failed.code == 4
    assert [case["ok"] for case in json.loads(failed.out)["cases"]].count(False) >= 1


def test_what_must_never_happen_is_searched_for(cli: Cli, documents: Path) -> None:
    never = (
        "api: loglease/v1\nkind: PolicyTest\nid: limits\nnow: 2026-11-23T09:30:00Z\npeople: {alice: {groups: []}}\n"
        "never:\n  - {if: 'out.outcome == \"auto\"', because: somebody looks}\n"
    )
    file = documents / "limits.test.yaml"
    file.write_text(never)
    passed = cli("policy", "test", str(documents))
    assert (passed.code, passed.err) == (0, "6 cases, 1 searched for, 0 failed.\n")
    assert "ok     limits  never: somebody looks (all, by " in passed.out
    file.write_text(never.replace('"auto"', '"review"'))
    failed = cli("policy", "test", str(documents))
    assert (failed.code, failed.err) == (4, "6 cases, 1 searched for, 1 failed.\n")
    assert "FAIL   limits  never: somebody looks\n       alice asks for " in failed.out
    (found,) = json.loads(cli("policy", "test", str(documents), "--output", "json").out)["never"]
    assert (found["never"], found["ok"], found["sample"]) == ("somebody looks", False, False)


def test_show_says_who_gets_what(cli: Cli, documents: Path) -> None:
    found = cli("policy", "show", str(documents))
    assert "group:everybody  {} on files" in found.out
    assert "1 of group:approvers" in found.out
    assert json.loads(cli("policy", "show", "--output", "json").out)["policies"][0]["id"] == "default"


def test_show_names_the_condition_of_each_route(cli: Cli, documents: Path) -> None:
    file = documents / "policy.yaml"
    route = "  - if: '!req.live'\n    auto: true\n"
    file.write_text(file.read_text().replace("approve:\n", f"approve:\n{route}"))
    assert "if !req.live: automatic; 1 of group:approvers" in cli("policy", "show", str(documents)).out


def test_a_directory_without_documents_is_no_bundle(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert cli("policy", "check", str(tmp_path / "empty")).code == 2
    assert cli("policy", "check", str(tmp_path / "none")).code == 2


def test_requests_may_be_made_under_older_documents(cli: Cli) -> None:
    scenarios = Path(__file__).parents[1] / "policy" / "scenarios" / "tightened"
    with TemporaryDirectory() as folder:
        for name, files in {"old": ["before.yaml"], "new": ["after.yaml", "after.test.yaml"]}.items():
            (Path(folder) / name).mkdir()
            for file in files:
                shutil.copy(scenarios / file, Path(folder) / name)
        old, new = f"{folder}/old", f"{folder}/new"
        assert cli("policy", "test", new).code == 4
        done = cli("policy", "test", new, "--asked-under", old)
        assert (done.code, done.out.count("ok     tightened")) == (0, 4)
        missing = cli("policy", "test", new, "--asked-under", f"{folder}/nowhere")
        assert (missing.code, "nowhere is no directory" in missing.err) == (2, True)
        both = cli("policy", "test", new, "--asked-under", old, "--cover", "1")
        assert (both.code, "--cover is about one set of documents" in both.err) == (2, True)
        (Path(folder) / "old" / "worse.yaml").write_text("kind: Nothing\n")
        broken = cli("policy", "test", new, "--asked-under", old)
        assert (broken.code, "worse.yaml:1:" in broken.out + broken.err) == (3, True)


def test_coverage_names_what_the_tests_never_try_and_is_a_gate(cli: Cli, documents: Path) -> None:
    whole = cli("policy", "test", str(documents), "--cover", "100")
    assert (whole.code, whole.out.splitlines()[-1]) == (0, "coverage: policies 1/1, routes 1/1, leaves 0/0")
    file = documents / "policy.yaml"
    route = "  - if: '!req.live && req.duration < duration(\"1m\")'\n    auto: true\n"
    file.write_text(file.read_text().replace("approve:\n", f"approve:\n{route}"))
    found = cli("policy", "test", str(documents), "--cover", "51")
    assert (found.code, cli("policy", "test", str(documents), "--cover", "0").code) == (4, 0)
    assert "default route 1 is never taken" in found.out
    body = json.loads(cli("policy", "test", str(documents), "--cover", "0", "--output", "json").out)
    assert body["coverage"]["routes"]["covered"] == 1
    assert body["coverage"]["routes"]["missing"][0]["what"] == "default route 1 is never taken"
    assert "coverage" not in json.loads(cli("policy", "test", str(documents), "--output", "json").out)
    assert cli("policy", "test", "--cover", "101").code == 2


def test_check_warns_of_reviews_that_are_due(cli: Cli, documents: Path) -> None:
    file = documents / "policy.yaml"
    file.write_text(
        file.read_text().replace(
            "kind: AccessPolicy\nid: default\n", "kind: AccessPolicy\nid: default\nreview_by: 2027-05-01\n"
        )
    )
    assert "P413" not in cli("policy", "check", str(documents), "--at", "2027-05-01T23:59:59Z").out
    late = cli("policy", "check", str(documents), "--at", "2027-05-02T00:00:00Z")
    assert (late.code, "warning[P413]" in late.out, "kind" in late.out or "api:" in late.out) == (0, True, True)
    assert cli("policy", "check", str(documents), "--at", "tomorrow").code == 2


def test_check_holds_documents_against_a_directory(cli: Cli, documents: Path, tmp_path: Path) -> None:
    people = tmp_path / "people.json"
    who = {"id": "prn_1", "account": "eve", "kind": "human", "person": "per_1", "groups": ["approver"], "enabled": True}
    people.write_text(json.dumps({"items": [who]}))
    found = cli("policy", "check", str(documents), "--directory", str(people))
    assert found.code == 0
    assert "warning[P419] the directory knows no group 'approvers'" in found.out
    assert "did you mean 'approver'?" in found.out
    assert "warning[P415]" in found.out
    assert "P415" not in cli("policy", "check", str(documents)).out
    people.write_text("{}")
    assert cli("policy", "check", str(documents), "--directory", str(people)).code == 2
    assert cli("policy", "check", str(documents), "--directory", str(tmp_path / "none.json")).code == 2


def test_check_warns_of_look_alikes_in_documents_that_do_not_load(cli: Cli, documents: Path) -> None:
    file = documents / "policy.yaml"
    file.write_text(file.read_text().replace("group:approvers", "group:аpprovers"))
    found = cli("policy", "check", str(documents))
    assert (found.code, "error[P302]" in found.out, "warning[P418]" in found.out) == (3, True, True)


def test_the_schema_is_printed_as_json(cli: Cli) -> None:
    found = cli("policy", "schema")
    assert (found.code, json.loads(found.out)["title"]) == (0, "LogLease policy document")
