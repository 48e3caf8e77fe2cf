from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest
from tests.cli.conftest import Cli

ROUGH = "api:   loglease/v1 # why\nkind: ApproverSet\nid: leads\nany_of:\n- group:leads\n"
NEAT = "api: loglease/v1  # why\nkind: ApproverSet\nid: leads\nany_of:\n  - group:leads\n"


@pytest.fixture
def rough(tmp_path: Path) -> Path:
    directory = tmp_path / "policies"
    (directory / "inner").mkdir(parents=True)
    (directory / "inner/rough.yaml").write_text(ROUGH)
    (directory / "neat.yaml").write_text(NEAT)
    (directory / "notes.txt").write_text(ROUGH)
    return directory


def test_files_are_rewritten_and_named(cli: Cli, rough: Path) -> None:
    file = rough / "inner/rough.yaml"
    file.chmod(0o640)
    found = cli("policy", "fmt", str(rough))
    assert (found.code, found.out) == (0, f"changed {file}\n")
    assert file.read_text() == NEAT
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    assert sorted(one.name for one in file.parent.iterdir()) == ["rough.yaml"]
    assert (cli("policy", "fmt", str(rough)).out, (rough / "notes.txt").read_text()) == ("", ROUGH)


def test_check_changes_nothing_and_ends_with_three(cli: Cli, rough: Path) -> None:
    file = rough / "inner/rough.yaml"
    found = cli("policy", "fmt", "--check", str(file), str(rough / "neat.yaml"))
    assert (found.code, found.out, file.read_text()) == (3, f"would change {file}\n", ROUGH)
    assert cli("policy", "fmt", "--check", str(rough / "neat.yaml")).code == 0
    body = json.loads(cli("policy", "fmt", "--check", str(rough), "--output", "json").out)
    assert body == {"changed": [str(file)], "problems": []}


def test_a_file_that_cannot_be_read_is_left_alone_and_the_others_are_not(cli: Cli, rough: Path) -> None:
    broken = rough / "broken.yaml"
    broken.write_text("api: loglease/v1\nid: &x leads\n")
    found = cli("policy", "fmt", str(rough))
    assert (found.code, found.out) == (3, f"changed {rough / 'inner/rough.yaml'}\n")
    assert f"{broken}:2:5: error[P104]" in found.err
    assert broken.read_text() == "api: loglease/v1\nid: &x leads\n"


def test_a_link_stays_a_link(cli: Cli, rough: Path, tmp_path: Path) -> None:
    link = tmp_path / "link.yaml"
    link.symlink_to(rough / "inner/rough.yaml")
    assert cli("policy", "fmt", str(link)).code == 0
    assert link.is_symlink()
    assert (rough / "inner/rough.yaml").read_text() == NEAT


@pytest.mark.parametrize("words", [[], ["none.yaml"], ["notes.txt"], ["empty"]])
def test_what_is_no_policy_file_is_a_mistake(
    cli: Cli, rough: Path, words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (rough / "empty").mkdir()
    monkeypatch.chdir(rough)
    assert cli("policy", "fmt", *words).code == 2
