"""The house keeps its own rules: sizes, names, lock files, marks of unfinished work."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = sorted((ROOT / "src").rglob("*.py"))
MOST_LINES = 500
LINT_IMPORTS = str(Path(sys.executable).parent / "lint-imports")
UNFINISHED = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b|NotImplementedError")
VAGUE = re.compile(r"^(async )?def (get|handle|process|manage)_|^class \w*(Manager|Helper|Utils)\b", re.MULTILINE)
ADDRESS = re.compile(r'"resolved": *"http|registry *= *"http|^--(extra-)?index-url|https?://', re.MULTILINE)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_is_one_room(path: Path) -> None:
    text = path.read_text()
    assert text.count("\n") <= MOST_LINES, f"{path} has more than {MOST_LINES} lines: two rooms in one?"
    assert not UNFINISHED.search(text), f"{path} holds a mark of unfinished work"
    assert not VAGUE.search(text), f"{path} names something vaguely"


def test_lock_files_pin_hashes_and_hold_no_address() -> None:
    for path in (ROOT / "requirements").glob("*.txt"):
        text = path.read_text()
        assert not ADDRESS.search(text), f"{path} records a download address"
        for requirement in re.findall(r"^[a-z0-9][^\n]*==[^\n]*(?:\n    [^\n]*)*", text, re.MULTILINE | re.IGNORECASE):
            assert "--hash=sha256:" in requirement, requirement


def test_every_direct_dependency_is_locked() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    locked = (ROOT / "requirements" / "dev.txt").read_text().lower()
    wanted = [*project["project"]["dependencies"], *project["dependency-groups"]["dev"]]
    for requirement in wanted:
        name = re.split(r"[><=~;\[ ]", requirement)[0].lower()
        assert re.search(rf"^{re.escape(name)}==", locked, re.MULTILINE), f"{name} is not locked: run `make lock`"


def test_the_import_contracts_hold() -> None:
    linted = subprocess.run([LINT_IMPORTS], cwd=ROOT, capture_output=True, text=True, check=False)
    assert linted.returncode == 0, linted.stdout


@pytest.mark.parametrize(
    ("package", "line", "contract"),
    [
        ("model", "import asyncio", "The core does no I/O"),
        ("policy", "from loglease.audit import interface", "side by side"),
        ("redaction", "from loglease.model import ids", "import nothing of ours"),
        ("access", "from loglease.gateway import cut", "only from below"),
        ("access", "from loglease.store import sqlite", "interfaces of the store"),
        ("gateway", "from loglease.sources import files", "knows readers"),
        ("cli", "from loglease.server import wiring", "REST client"),
        ("audit", "import sqlalchemy", "SQLAlchemy"),
        ("store", "import fastapi", "FastAPI"),
        ("gateway", "import hyperscan", "Hyperscan"),
    ],
)
def test_a_planted_violation_is_caught(tmp_path: Path, package: str, line: str, contract: str) -> None:
    tree = tmp_path / "src"
    subprocess.run(["cp", "-r", str(ROOT / "src"), str(tree)], check=True)
    subprocess.run(["cp", str(ROOT / "pyproject.toml"), str(tmp_path)], check=True)
    (tree / "loglease" / package / "planted.py").write_text(f'"""Planted."""\n\n{line}\n')
    linted = subprocess.run(
        [LINT_IMPORTS, "--no-cache"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        env={"PYTHONPATH": str(tree), "PATH": f"{ROOT / '.venv' / 'bin'}:/usr/bin:/bin"},
    )
    assert linted.returncode != 0, f"nobody noticed `{line}` in {package}"
    broken = [shown for shown in linted.stdout.splitlines() if "BROKEN" in shown]
    assert any(contract in shown for shown in broken), broken
