"""`policy simulate`: from a file of recorded decisions to what other documents would change."""

from __future__ import annotations

import json
from pathlib import Path

import orjson
import pytest
from tests.cli.conftest import Cli
from tests.policy.world import EXAMPLE_TEST, NOW, ORGANISATION, bundle_of, decided, wish_of

from loglease.policy.decision_records import decision_data

BUNDLE = bundle_of(*ORGANISATION)


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    """Return a directory of documents and a file with two decisions, one of them a refusal."""
    directory, decisions = tmp_path / "new", tmp_path / "decisions.ndjson"
    directory.mkdir()
    (directory / "main.yaml").write_text("---\n".join(ORGANISATION))
    (directory / "main.test.yaml").write_text(EXAMPLE_TEST)
    made = [decided(BUNDLE), decided(BUNDLE, wish_of(ticket=None))]
    data = [decision_data(one, request=None, taken=None, closed=None, zones="") for one in made]
    decisions.write_bytes(b"\n".join(map(orjson.dumps, data)) + b"\n")
    return directory, decisions


def test_the_same_documents_change_nothing(cli: Cli, files: tuple[Path, Path]) -> None:
    directory, decisions = files
    done = cli("policy", "simulate", str(directory), "--decisions", str(decisions))
    assert (done.code, done.out) == (0, "2 replayed: 2 same, 0 changed\n")


def test_who_would_gain_is_said_and_gates(cli: Cli, files: tuple[Path, Path]) -> None:
    directory, decisions = files
    main = directory / "main.yaml"
    main.write_text(main.read_text().replace("  ticket: {tracker: tickets, key: 'PAY-[0-9]{1,6}'}\n", ""))
    arguments = ("policy", "simulate", str(directory), "--decisions", str(decisions))
    done = cli(*arguments, "--fail-on", "newly-allowed,fewer-reviews")
    assert done.code == 5
    first, second, *_ = done.out.splitlines()
    assert first == "2 replayed: 1 same, 1 changed"
    assert second.split()[:3] == ["newly", "allowed", "1"]
    assert cli(*arguments, "--fail-on", "longer").code == 0
    shown = json.loads(cli(*arguments, "--output", "json").out)
    assert {one["kind"] for one in shown["kinds"]} == {"newly-allowed"}


def test_only_what_is_new_enough_is_replayed(cli: Cli, files: tuple[Path, Path]) -> None:
    directory, decisions = files
    assert NOW
    done = cli("policy", "simulate", str(directory), "--decisions", str(decisions), "--since", "1s")
    assert done.out == "0 replayed: 0 same, 0 changed\n"


def test_bad_input_is_named(cli: Cli, files: tuple[Path, Path], tmp_path: Path) -> None:
    directory, decisions = files
    done = cli("policy", "simulate", str(directory), "--decisions", str(decisions), "--fail-on", "wider")
    assert done.code == 2
    assert "no kind 'wider'" in done.err
    assert cli("policy", "simulate", str(directory), "--decisions", str(tmp_path / "none")).code == 2
    decisions.write_text("{}\n")
    done = cli("policy", "simulate", str(directory), "--decisions", str(decisions))
    assert done.code == 2
    assert "Line 1 is no recorded decision." in done.err
    (directory / "main.yaml").write_text("x: [\n")
    assert cli("policy", "simulate", str(directory), "--decisions", str(decisions)).code == 3
