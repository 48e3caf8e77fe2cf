from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest
from tests.cli.conftest import Cli

from loglease.cli.errors import _EXITS, Exit
from loglease.cli.reference import reference
from loglease.cli.tree import COMMANDS, GROUPS, KEYS, NOTICES, PEOPLE_GROUPS, RECOVERY, USERS
from loglease.server.problems import KINDS

ROOT = Path(__file__).parents[2]


def named() -> Iterator[tuple[str, str]]:
    yield from ((place, text) for _, _, place, text in COMMANDS)
    for _, _, _, commands in (
        *GROUPS,
        (None, "user", "", USERS),
        (None, "group", "", PEOPLE_GROUPS),
        (None, "notify", "", NOTICES),
        (None, "admin", "", RECOVERY),
        (None, "key", "", KEYS),
    ):
        yield from ((place, text) for _, place, text in commands)


@pytest.mark.parametrize(("place", "text"), list(named()))
def test_help_says_what_the_docstring_says(place: str, text: str) -> None:
    module, _, name = place.partition(":")
    command = getattr(import_module(f"loglease.cli.commands.{module}"), name)
    assert (command.__doc__ or "").partition("\n")[0] == text


def test_the_reference_is_current() -> None:
    committed = (ROOT / "docs" / "reference" / "cli.md").read_text()
    assert committed == reference(), "run: python -m loglease.cli.reference > docs/reference/cli.md"


def test_every_exit_code_stands_for_codes_that_exist() -> None:
    assert set(_EXITS) <= set(KINDS)
    assert {kind.status for code, kind in KINDS.items() if _EXITS.get(code) is Exit.SIGN_IN} == {401}
    left = {code for code, kind in KINDS.items() if kind.status in (401, 403, 404, 409, 412)} - set(_EXITS)
    assert not left, "each of these needs an exit code"


def test_help_imports_neither_client_nor_server_nor_command() -> None:
    program = (
        "import sys\nfrom loglease.cli.main import main\ntry: main(['--help'])\nexcept SystemExit: pass\n"
        "heavy = ('httpx2', 'keyring', 'fastapi', 'sqlalchemy', 'uvicorn', 'loglease.server', 'loglease.policy',"
        " 'loglease.redaction', 'loglease.cli.commands', 'loglease.cli.client')\n"
        "print([name for name in heavy if name in sys.modules], file=sys.stderr)"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert found.stderr == "[]\n"
    assert "Just-in-time access to debug logs." in found.stdout


def test_a_command_shows_its_whole_docstring() -> None:
    program = "from loglease.cli.main import main; main(['tail', '--help'])"
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "Ends with exit code 9" in found.stdout
    assert "--since" in found.stdout
    assert "--output" in found.stdout


def test_help_wraps_paragraphs_and_not_lines_of_the_source() -> None:
    program = "from loglease.cli.main import main; main(['approve', '--help'])"
    environment = {**os.environ, "COLUMNS": "200"}
    found = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert (
        "The digest that goes with the review is computed here from the terms that are shown; --yes skips"
        in found.stdout
    )
    assert "skips the question, not the check." in found.stdout


def test_flags_of_every_command_may_stand_anywhere(cli: Cli) -> None:
    assert cli("--output", "json", "policy", "show").out == cli("policy", "show", "--output=json").out


def test_colour_is_for_terminals_or_on_demand(cli: Cli) -> None:
    assert "\x1b[" not in cli("policy", "show").out
    assert "\x1b[1mBundle" in cli("policy", "show", terminal=True).out
    assert "\x1b[" not in cli("policy", "show", terminal=True, NO_COLOR="1").out
    assert "\x1b[1mPOLICY" in cli("policy", "show", "--color", "always").out
