from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from loglease.cli.main import run_command

TEXT = "mail bob@example.com card 4111 1111 1111 1111\nnothing here\nagain bob@example.com"


def redacted(*words: str, text: str | bytes = TEXT) -> tuple[int, str, str]:
    raw = text if isinstance(text, bytes) else text.encode()
    out, err = io.TextIOWrapper(io.BytesIO()), io.StringIO()
    code = run_command(
        ["redact", *words], environment={}, stdin=io.TextIOWrapper(io.BytesIO(raw)), stdout=out, stderr=err
    )
    out.seek(0)
    return code, out.read(), err.getvalue()


@pytest.fixture
def key(tmp_path: Path) -> Path:
    file = tmp_path / "key"
    file.write_text("ab" * 32 + "\n")
    file.chmod(0o600)
    return file


def test_standard_input_is_masked_and_the_rest_stays() -> None:
    code, out, err = redacted()
    first, second, third = out.split("\n")
    assert (code, err, second) == (0, "", "nothing here")
    assert "bob@example.com" not in out
    assert "4111" not in out
    assert first.partition("⟦")[2].partition("⟧")[0] == third.partition("⟦")[2].partition("⟧")[0]


def test_a_key_makes_equal_tokens_in_every_run_and_no_key_makes_none(key: Path) -> None:
    assert redacted("--key-file", str(key)) == redacted("--key-file", str(key))
    assert redacted()[1] != redacted()[1]


def test_one_process_compiles_the_rules_of_a_profile_once(monkeypatch: pytest.MonkeyPatch) -> None:
    first = redacted("--profile", "secrets")
    monkeypatch.setattr("loglease.redaction.selftest.compiled", lambda *_, **__: pytest.fail("it compiles again"))
    assert redacted("--profile", "secrets")[0] == first[0] == 0


def test_files_are_read_in_turn(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    one.write_text("a bob@example.com\n")
    two.write_bytes(b"\xff\xfe broken \xc3\n")
    code, out, err = redacted(str(one), str(two), "--explain", text="not read\n")
    assert (code, out[-10:]) == (0, " broken \ufffd\n")
    assert "bob@" not in out
    assert "not read" not in out
    assert f"{one}:1:2-" in err


@pytest.mark.parametrize("engine", ["hyperscan", "re2", "python"])
def test_every_engine_gives_the_same(engine: str, key: Path) -> None:
    assert redacted("--engine", engine, "--key-file", str(key))[1] == redacted("--key-file", str(key))[1]


def test_explain_tells_what_where_and_why_but_no_value() -> None:
    _, _, err = redacted("--explain")
    assert "-:1:5-" in err
    assert "-:3:" in err
    assert "pii-core.email (pii.email) pseudonym" in err
    assert "bob@" not in err
    rows = [json.loads(line) for line in redacted("--explain", "--output", "json")[2].splitlines()]
    assert {(row["line"], row["class"]) for row in rows} == {(1, "pii.email"), (1, "pci.card"), (3, "pii.email")}


def test_explain_tells_of_a_number_without_the_word_that_it_needs() -> None:
    _, out, err = redacted("--explain", text="insurance AB 12 34 56 C\norder AB 12 34 56 C here\n")
    assert out.splitlines()[1] == "order AB 12 34 56 C here"
    assert "-:1:10-23 pii-eu.gb-nino (pii.national-id) pseudonym" in err
    assert "-:2:6-19 pii-eu.gb-nino (pii.national-id) rejected by near: none of its words stands before" in err


def test_a_profile_of_ones_own_is_a_file(tmp_path: Path, key: Path) -> None:
    from importlib import resources

    shipped = resources.files("loglease.redaction") / "profiles"
    names = sorted(entry.name for entry in shipped.iterdir() if "secrets" in entry.name)
    file = tmp_path / "mine.yaml"
    file.write_bytes((shipped / names[0]).read_bytes().replace(b"profile: secrets", b"profile: mine"))
    code, out, _ = redacted("--profile", str(file), "--key-file", str(key))
    assert code == 0
    assert "bob@example.com" in out, "the profile secrets masks no mail addresses"


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (["--profile", "nope"], "[profile_unknown]"),
        (["--profile", "/nowhere/p.yaml"], "[usage]"),
        (["/nowhere/log"], "error: /nowhere/log: No such file or directory. [usage]"),
        (["--key-file", "/nowhere/key"], "holds no key of 32 bytes as hex. [usage]"),
        (["--engine", "grep"], 'Choose from: "auto", "hyperscan", "re2", "python". [usage]'),
    ],
)
def test_what_cannot_be_used_prints_no_text(words: list[str], error: str) -> None:
    code, out, err = redacted(*words)
    assert (code, out) == (2, "")
    assert error in err


def test_a_key_file_that_others_can_read_is_refused(key: Path) -> None:
    key.chmod(0o644)
    code, out, err = redacted("--key-file", str(key))
    assert (code, out, "[unsafe_file]" in err) == (2, "", True)


def test_a_line_on_a_slow_pipe_leaves_at_once() -> None:
    """The next line is not sent before the masked one has come back, so a filled buffer would hang here."""
    environment = {**os.environ, "PYTHONUNBUFFERED": ""}
    words = [sys.executable, "-c", "from loglease.cli.main import main; main()", "redact"]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment) as running:
        assert running.stdin is not None
        assert running.stdout is not None
        watchdog = threading.Timer(60, running.kill)
        watchdog.start()
        for number in range(3):
            running.stdin.write(f"line {number} bob@example.com\n".encode())
            running.stdin.flush()
            assert running.stdout.readline().startswith(f"line {number} ⟦email:".encode())
        running.stdin.close()
        assert running.wait() == 0
        watchdog.cancel()
