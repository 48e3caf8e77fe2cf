from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.cli.conftest import Cli
from tests.fakes.grown_log import ORIGIN, GrownLog
from tests.fakes.numbered import flush_failed

from loglease.audit.note import COSIGNATURE, SigningKey, VerifierKey
from loglease.audit.witness import WitnessState
from loglease.audit.witness_protocol import cosignature_in
from loglease.cli.secret_files import write_secret

LOG = GrownLog()
NAME = "witness.example/w1"
PROGRAM = "from loglease.cli.main import main; main()"


@dataclass
class Started:
    process: subprocess.Popen[str]
    key: VerifierKey
    address: str

    def post(self, body: bytes) -> tuple[int, bytes]:
        try:
            with urllib.request.urlopen(f"{self.address}/add-checkpoint", body, timeout=20) as answer:  # noqa: S310 - ours
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read()


def arguments(directory: Path, *more: str) -> list[str]:
    state, key = str(directory / "witness.state"), str(directory / "witness.key")
    log = str(LOG.key.verifier)
    return ["audit", "witness", "--listen", "127.0.0.1:0", "--log", log, "--state", state, "--key-file", key, *more]


@contextmanager
def started(directory: Path, *more: str) -> Iterator[Started]:
    command = [sys.executable, "-c", PROGRAM, *arguments(directory, "--output", "json", *more)]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, "HOME": str(directory)}
    )
    with process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line, process.communicate()[1]
            said = json.loads(line)
            assert said["logs"] == [ORIGIN]
            yield Started(process, VerifierKey.parse(said["vkey"]), said["address"])
        finally:
            if process.poll() is None:
                process.kill()


def test_a_witness_from_its_first_start_over_a_kill_to_an_orderly_end(tmp_path: Path) -> None:
    with started(tmp_path, "--new", NAME) as first:
        assert first.key.name == NAME
        status, answer = first.post(LOG.submission(0, 5))
        assert status == 200
        cosignature_in(answer, LOG.head(5).text(), first.key)
        first.process.kill()
    assert (tmp_path / "witness.key").stat().st_mode & 0o777 == 0o600
    with started(tmp_path) as second:
        assert second.key == first.key
        assert second.post(LOG.submission(0, 4)) == (409, b"5\n")
        assert second.post(GrownLog(forked_at=3).submission(5, 9))[0] == 422
        status, answer = second.post(LOG.submission(5, 9))
        cosignature_in(answer, LOG.head(9).text(), second.key)
        second.process.send_signal(signal.SIGTERM)
        _, told = second.process.communicate(timeout=20)
        assert second.process.returncode == 0
    lines = [json.loads(line) for line in told.splitlines()]
    assert [next(iter(line)) for line in lines] == ["refused", "cosigned"]


def test_two_on_one_state_are_refused(tmp_path: Path) -> None:
    with started(tmp_path, "--new", NAME):
        command = [sys.executable, "-c", PROGRAM, *arguments(tmp_path)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=20)
        assert done.returncode == 2
        assert "Another process" in done.stderr


def test_what_is_missing_or_wrong_is_told(cli: Cli, tmp_path: Path) -> None:
    assert "--new NAME" in cli(*arguments(tmp_path)).err
    for listen in ("127.0.0.1", "127.0.0.1:x", ":80", "127.0.0.1:99999"):
        found = cli(*arguments(tmp_path, "--new", NAME)[:3], listen, *arguments(tmp_path, "--new", NAME)[4:])
        assert (found.code, "host:port" in found.err) == (2, True)
    assert not (tmp_path / "witness.key").exists()
    found = cli(*arguments(tmp_path, "--new", "two words"))
    assert (found.code, "name of a key" in found.err) == (2, True)
    found = cli(*arguments(tmp_path, "--log", "nonsense", "--new", NAME))
    assert (found.code, "not a public key" in found.err) == (2, True)


def made(directory: Path) -> None:
    """What a first start leaves behind."""
    WitnessState.make(directory / "witness.state", flush_failed=flush_failed)
    write_secret(directory / "witness.key", SigningKey(NAME, bytes([7]) * 32, COSIGNATURE).text() + "\n")


def test_a_witness_that_has_forgotten_does_not_start(cli: Cli, tmp_path: Path) -> None:
    made(tmp_path)
    (tmp_path / "witness.state").unlink()
    for more in ((), ("--new", NAME)):
        found = cli(*arguments(tmp_path, *more))
        assert found.code == 2
        assert "forgotten" in found.err


def test_a_key_is_for_its_owner_alone(cli: Cli, tmp_path: Path) -> None:
    made(tmp_path)
    found = cli(*arguments(tmp_path, "--new", "witness.example/w2"))
    assert (found.code, "is named witness.example/w1" in found.err) == (2, True)
    (tmp_path / "witness.key").chmod(0o644)
    found = cli(*arguments(tmp_path))
    assert (found.code, "chmod 600" in found.err) == (2, True)


@pytest.mark.parametrize("kind", ["log", "rubbish"])
def test_a_key_of_another_kind_is_refused(cli: Cli, tmp_path: Path, kind: str) -> None:
    made(tmp_path)
    (tmp_path / "witness.key").write_text({"log": LOG.key.text(), "rubbish": "x"}[kind])
    found = cli(*arguments(tmp_path))
    assert found.code == 2
    assert LOG.key.text() not in found.err
