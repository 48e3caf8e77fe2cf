from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from tests.cli.conftest import Cli
from tests.cli.fake_server import FakeServer
from tests.policy.test_live import GRANT
from tests.policy.world import EXAMPLE_TEST, ORGANISATION

OPEN = """\
api: loglease/v1
kind: AccessPolicy
id: sre-open
who: {any_of: [group:sre]}
scopes: [{sources: [prod-logs], labels: {env: prod}, lookback: 1h}]
grant: {duration: {max: 1h}, redaction: strict}
approve: [{otherwise: true, auto: true}]
"""
HOW_TO = (Path(__file__).parents[2] / "docs/how-to/write-a-policy.md").read_text()
REWRITTEN = 'when: req.duration <= duration("1h")\n', 'when: req.duration <= duration("60m")\n'


class Directories:
    """Two directories with the same documents, of which the new one is then edited."""

    def __init__(self, root: Path) -> None:
        self.old, self.new = root / "old", root / "new"
        for directory in (self.old, self.new):
            directory.mkdir()
            (directory / "main.yaml").write_text("---\n".join(ORGANISATION))
            (directory / "main.test.yaml").write_text(EXAMPLE_TEST)

    def edit(self, old: str, new: str, *, directory: Path | None = None) -> None:
        file = (directory or self.new) / "main.yaml"
        assert file.read_text().count(old) == 1
        file.write_text(file.read_text().replace(old, new))

    def add(self, document: str, *, directory: Path | None = None) -> None:
        ((directory or self.new) / "more.yaml").write_text(document)


@pytest.fixture
def two(tmp_path: Path) -> Directories:
    return Directories(tmp_path)


def test_each_change_has_its_line_and_no_server_is_asked(cli: Cli, server: FakeServer, two: Directories) -> None:
    cli.store().forget()
    two.edit("level_from: info", "level_from: debug")
    two.edit("bytes: 2GB", "bytes: 1GB")
    found = cli("policy", "diff", str(two.old), str(two.new))
    assert found.out.splitlines() == [
        "WIDENS   sre-prod  scopes[0].level_from info -> debug",
        "NARROWS  org-floor  caps.bytes 2GB -> 1GB",
    ]
    assert (found.code, found.err) == (0, "1 WIDENS, 1 NARROWS.\n")
    assert not server.calls


def test_programs_get_verdict_hashes_and_places(cli: Cli, two: Directories) -> None:
    two.edit("level_from: info", "level_from: debug")
    body = json.loads(cli("policy", "diff", str(two.old), str(two.new), "--output", "json").out)
    assert body["verdict"] == "WIDENS"
    assert body["old"]["hash"] != body["new"]["hash"]
    line = (two.new / "main.yaml").read_text().partition("id: sre-prod")[0].count("\n") - 1
    assert body["differences"] == [
        {
            "verdict": "WIDENS",
            "kind": "AccessPolicy",
            "document": "sre-prod",
            "place": "scopes[0].level_from",
            "old": "info",
            "new": "debug",
            "file": "main.yaml",
            "line": line,
            "column": 1,
        }
    ]


def test_what_decides_nothing_is_the_same(cli: Cli, two: Directories) -> None:
    same = cli("policy", "diff", str(two.old), str(two.new))
    assert (same.code, same.out, same.err) == (0, "", "SAME: the hashes are equal.\n")
    two.edit("title: Restricted logs", "title: Logs of restricted data  # a comment")
    (two.new / "main.test.yaml").unlink()
    retitled = cli("policy", "diff", str(two.old), str(two.new))
    assert (retitled.code, retitled.out, retitled.err) == (0, "", "SAME: nothing that decides has changed.\n")
    body = json.loads(cli("policy", "diff", str(two.old), str(two.new), "--output", "json").out)
    assert (body["verdict"], body["differences"]) == ("SAME", [])


def test_a_cheaper_way_has_a_line_of_its_own(cli: Cli, two: Directories) -> None:
    two.add(OPEN)
    found = cli("policy", "diff", str(two.old), str(two.new))
    assert (
        "CHEAPER  sre-open  overlaps sre-prod: automatic instead of 1 approval, for group:sre on "
        '{data_class="internal",env="prod"} on prod-logs'
    ) in found.out.splitlines()


@pytest.mark.parametrize(
    ("gates", "code"),
    [
        ("widens", 5),
        ("cheaper", 5),
        ("Undecided, narrows", 0),
        ("undecided,widens", 5),
        ("", 0),
    ],
)
def test_a_gate_ends_with_five(cli: Cli, two: Directories, gates: str, code: int) -> None:
    two.add(OPEN)
    assert cli("policy", "diff", str(two.old), str(two.new), "--fail-on", gates).code == code
    assert cli("policy", "diff", str(two.old), str(two.new), f"--fail-on={gates}", "--output=json").code == code


def test_what_is_not_proved_can_be_a_gate(cli: Cli, two: Directories) -> None:
    two.add(OPEN + REWRITTEN[0], directory=two.old)
    two.add(OPEN + REWRITTEN[1])
    found = cli("policy", "diff", str(two.old), str(two.new), "--fail-on", "undecided")
    assert (found.code, found.out.partition(" ")[0]) == (5, "UNDECIDED")
    assert cli("policy", "diff", str(two.old), str(two.new), "--fail-on", "widens,cheaper").code == 0


def test_an_unknown_gate_is_a_mistake(cli: Cli, two: Directories) -> None:
    found = cli("policy", "diff", str(two.old), str(two.new), "--fail-on", "wider")
    assert found.code == 2
    assert "--fail-on does not know 'wider'" in found.err
    assert "widens, cheaper, undecided, narrows" in found.err


@pytest.mark.parametrize("side", ["old", "new"])
def test_a_side_with_errors_is_named(cli: Cli, two: Directories, side: str) -> None:
    directory = two.old if side == "old" else two.new
    two.edit("lookback: 6h", "lookbak: 6h", directory=directory)
    found = cli("policy", "diff", str(two.old), str(two.new), "--fail-on", "widens")
    assert (found.code, found.out) == (3, "")
    assert found.err.startswith(f"{side.upper()}, {directory}:\nmain.yaml:")
    assert "did you mean 'lookback'?" in found.err
    assert found.err.count(":\nmain.yaml") == 1


def test_errors_of_both_sides_are_shown_at_once(cli: Cli, two: Directories) -> None:
    for directory in (two.old, two.new):
        two.edit("lookback: 6h", "lookbak: 6h", directory=directory)
    found = cli("policy", "diff", str(two.old), str(two.new))
    assert found.code == 3
    assert found.err.index(f"OLD, {two.old}:") < found.err.index(f"NEW, {two.new}:")


def test_both_directories_must_be_there(cli: Cli, two: Directories, tmp_path: Path) -> None:
    assert cli("policy", "diff", str(two.old), str(tmp_path / "none")).code == 2
    assert cli("policy", "diff", str(two.old)).code == 2
    (tmp_path / "empty").mkdir()
    assert cli("policy", "diff", str(tmp_path / "empty"), str(two.new)).code == 2


def test_a_condition_of_several_lines_stays_on_one(cli: Cli, two: Directories) -> None:
    two.add(OPEN + "when: |\n  !req.live &&\n  !req.break_glass\n")
    two.add(OPEN, directory=two.old)
    found = cli("policy", "diff", str(two.old), str(two.new))
    assert found.out.splitlines() == ["NARROWS  sre-open  when + !req.live &&\\n!req.break_glass\\n"]


def test_the_how_to_shows_what_is_printed(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blocks = re.findall(r"```yaml\n(.*?)```", HOW_TO, re.DOTALL)
    old = new = "---\n".join(one for one in blocks if "kind: PolicyTest" not in one)
    for before, after in (
        ("labels: {env: staging}", "labels: {env: [staging, prod]}"),
        ("caps: {duration: 8h,", "caps: {duration: 6h,"),
        ("ask: {reason: {min: 20}}", "ask: {reason: {min: 20}}\nwhen: '!req.live'"),
    ):
        assert new.count(before) == 1
        new = new.replace(before, after)
    for name, text in (("policies", old), ("new", new)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "policies.yaml").write_text(text)
    monkeypatch.chdir(tmp_path)
    (shown,) = re.findall(r"\$ loglease policy diff policies/ new/\n(.*?)```", HOW_TO, re.DOTALL)
    found = cli("policy", "diff", "policies/", "new/")
    assert found.out + found.err == shown


def test_markdown_is_for_a_pull_request(cli: Cli, two: Directories) -> None:
    two.edit("level_from: info", "level_from: debug")
    found = cli("policy", "diff", str(two.old), str(two.new), "--output", "markdown", "--fail-on", "widens")
    assert (found.code, found.err) == (5, "")
    assert found.out.startswith("### Policy: WIDENS\n")
    assert cli("policy", "show", str(two.old), "--output", "markdown").code == 2


def test_live_grants_are_held_against_the_new_documents(cli: Cli, two: Directories, tmp_path: Path) -> None:
    grants = tmp_path / "grants.ndjson"
    shorter = GRANT | {"id": "grt_2", "policy": "payments-prod-debug"}
    grants.write_text(json.dumps(GRANT) + "\n" + json.dumps(shorter | {"duration_s": 10}))
    two.edit("duration: {default: 30m, max: 2h}", "duration: {max: 1h}")
    words = ["policy", "diff", str(two.old), str(two.new), "--live", str(grants)]
    found = cli(*words, "--fail-on", "live")
    assert (found.code, found.out.splitlines()[-1]) == (
        0,
        "LESS     grt_1  maria  payments-prod-debug: duration 2h -> 1h",
    )
    assert found.err.endswith("Of 2 live grants 0 could not be issued now, 1 with less.\n")
    two.edit("id: payments-prod-debug", "id: payments-debug")
    (two.new / "main.test.yaml").unlink()
    refused = cli(*words, "--fail-on", "live")
    assert (refused.code, "REFUSED  grt_2  maria  payments-prod-debug: the policy is gone" in refused.out) == (5, True)
    assert cli(*words).code == 0
    body = json.loads(cli(*words, "--output", "json").out)
    assert [one["grant"] for one in body["live"]] == ["grt_1", "grt_2"]
    people = tmp_path / "people.json"
    people.write_text('{"items": []}')
    two.edit("id: payments-debug", "id: payments-prod-debug")
    assert "the directory does not know the holder" in cli(*words, "--directory", str(people)).out


def test_flags_about_grants_need_grants(cli: Cli, two: Directories, tmp_path: Path) -> None:
    words = ["policy", "diff", str(two.old), str(two.new)]
    assert cli(*words, "--fail-on", "live").code == 2
    assert cli(*words, "--directory", str(tmp_path / "none")).code == 2
    assert cli(*words, "--live", str(tmp_path / "none")).code == 2
    (tmp_path / "bad").write_text("{")
    assert cli(*words, "--live", str(tmp_path / "bad")).code == 2
