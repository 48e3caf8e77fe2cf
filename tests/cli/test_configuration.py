from __future__ import annotations

from pathlib import Path

import pytest
from tests.cli.conftest import Cli
from tests.cli.fake_server import FakeServer

from loglease.cli.configuration import Color, Flags, OutputForm, settings_from
from loglease.cli.errors import ConfigurationInvalid

FILE = """
context = "prod"
[contexts.prod]
server = "https://logs.example.com/"
output = "json"
source = "loki-prod"
duration = "45m"
[contexts.lab]
server = "http://lab.example.com"
insecure_http = true
"""


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "loglease").mkdir()
    (tmp_path / "loglease" / "config.toml").write_text(FILE)
    return {"XDG_CONFIG_HOME": str(tmp_path), "HOME": str(tmp_path)}


def test_nothing_configured_has_a_value_for_everything(tmp_path: Path) -> None:
    found = settings_from(Flags(), {"HOME": str(tmp_path)})
    assert (found.server, found.output, found.context) == ("http://127.0.0.1:8080", OutputForm.TABLE, "default")
    assert found.state_dir == tmp_path / ".local/state/loglease"
    assert not found.no_input


def test_a_flag_beats_a_variable_beats_the_context_beats_the_default(environment: dict[str, str]) -> None:
    assert settings_from(Flags(), environment).output is OutputForm.JSON
    assert settings_from(Flags(), environment).duration_s == 2_700
    assert settings_from(Flags(), {**environment, "LOGLEASE_OUTPUT": "table"}).output is OutputForm.TABLE
    by_flag = settings_from(Flags(output=OutputForm.JSON), {**environment, "LOGLEASE_OUTPUT": "table"})
    assert by_flag.output is OutputForm.JSON
    assert settings_from(Flags(), environment).server == "https://logs.example.com"
    assert settings_from(Flags(), {**environment, "LOGLEASE_SERVER": "https://b"}).server == "https://b"
    assert settings_from(Flags(context="lab"), environment).server == "http://lab.example.com"


def test_no_color_is_heard_and_a_flag_overrules_it(environment: dict[str, str]) -> None:
    plain = {**environment, "NO_COLOR": "1"}
    assert settings_from(Flags(), plain).color is Color.NEVER
    assert settings_from(Flags(color=Color.ALWAYS), plain).color is Color.ALWAYS


@pytest.mark.parametrize("words", [["logs"], ["requests", "--nonsense"], ["nonsense"]])
def test_errors_are_coloured_only_where_that_is_wanted(cli: Cli, server: FakeServer, words: list[str]) -> None:
    server.on("GET", "/grants", {"items": []})
    assert "\x1b[" in cli(*words, terminal=True).err
    for plain in (["--color", "never"], ["--color=never"]):
        assert "\x1b[" not in cli(*words, *plain, terminal=True).err
    assert "\x1b[" not in cli(*words, terminal=True, NO_COLOR="1").err
    assert "\x1b[" in cli(*words, "--color", "always", NO_COLOR="1").err


@pytest.mark.parametrize("words", [["--help"], ["admin", "user", "--help"]])
def test_help_is_coloured_only_where_that_is_wanted(cli: Cli, words: list[str]) -> None:
    for plain in (cli(*words, "--color", "never", terminal=True), cli(*words, terminal=True, NO_COLOR="1")):
        assert "Usage: loglease" in plain.out
        assert "\x1b" not in plain.out
    assert "\x1b[" in cli(*words, "--color", "always").out


@pytest.mark.parametrize(
    ("text", "what", "remedy"),
    [
        ("[contexts.prod]\nsevrer = 'x'", "'sevrer' in context prod of", "Did you mean server?"),
        ("templates = 1", "'templates' in", "Known keys: context, contexts."),
        ("contexts = 1", "are no tables", "Write [contexts.prod]."),
        ("[contexts.prod]\nserver = 8080", "server in context prod of", "Write a text in quotes."),
        ("[contexts.prod]\ninsecure_http = 'no'", "insecure_http in", "Write true or false."),
        ("context = 'other'", "There is no context 'other'.", "Contexts in the file: none."),
        ("[contexts", "is not TOML", "Correct the line it names."),
        ("context = 1", "context is no text.", 'Write context = "prod".'),
        ("[contexts.default]\nduration = 'soon'", "duration: 'soon' is not a duration.", "Write it like 90s"),
    ],
)
def test_a_mistake_in_the_file_is_named_with_its_remedy(tmp_path: Path, text: str, what: str, remedy: str) -> None:
    file = tmp_path / "config.toml"
    file.write_text(text)
    with pytest.raises(ConfigurationInvalid) as caught:
        settings_from(Flags(config=file), {"HOME": str(tmp_path)})
    assert what in caught.value.message
    assert remedy in (caught.value.next_step or "")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("LOGLEASE_SERVER", "logs.example.com"),
        ("LOGLEASE_SERVER", "http://logs.example.com"),
        ("LOGLEASE_SERVER", "https://user@logs.example.com"),
        ("LOGLEASE_OUTPUT", "xml"),
        ("LOGLEASE_TIMEOUT", "0"),
        ("LOGLEASE_TIMEOUT", "soon"),
        ("LOGLEASE_CONTEXT", "nowhere"),
        ("LOGLEASE_CONFIG", "/nowhere/config.toml"),
    ],
)
def test_a_mistake_in_a_variable_is_refused(tmp_path: Path, name: str, value: str) -> None:
    with pytest.raises(ConfigurationInvalid):
        settings_from(Flags(), {"HOME": str(tmp_path), name: value})


@pytest.mark.parametrize("address", ["http://localhost:8080", "http://127.0.0.1:1", "http://[::1]:8080"])
def test_plain_http_is_for_this_machine(tmp_path: Path, address: str) -> None:
    assert settings_from(Flags(server=address), {"HOME": str(tmp_path)}).server == address
