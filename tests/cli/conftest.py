from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.cli.fake_server import FakeServer

from loglease.cli.main import run_command
from loglease.cli.token_store import Tokens, TokenStore


@pytest.fixture(autouse=True)
def _no_keyring(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep tests away from the keyring of whoever runs them."""
    import keyring
    from keyring.backends.null import Keyring

    before = keyring.get_keyring
    monkeypatch.setattr(keyring, "get_keyring", Keyring)
    assert before is not Keyring


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@dataclass(frozen=True)
class Result:
    code: int
    out: str
    err: str


@dataclass
class Cli:
    """Runs commands in process, as somebody who is signed in."""

    environment: dict[str, str]
    state: Path

    def __call__(self, *arguments: str, stdin: str = "", terminal: bool = False, **variables: str) -> Result:
        kind = Terminal if terminal else io.StringIO
        out, err = kind(), kind()
        environment = {**self.environment, **variables}
        code = run_command(arguments, environment=environment, stdin=kind(stdin), stdout=out, stderr=err)
        return Result(code, out.getvalue(), err.getvalue())

    def store(self) -> TokenStore:
        return TokenStore(
            state_dir=self.state / "loglease", context="default", server=self.environment["LOGLEASE_SERVER"]
        )


@pytest.fixture
def server() -> Iterator[FakeServer]:
    fake = FakeServer()
    fake.on("GET", "/health", {"ok": True})
    yield fake
    fake.stop()


@pytest.fixture
def cli(server: FakeServer, tmp_path: Path) -> Cli:
    environment = {
        "LOGLEASE_SERVER": server.address,
        "XDG_STATE_HOME": str(tmp_path / "state"),
        "XDG_CONFIG_HOME": str(tmp_path / "config"),
        "HOME": str(tmp_path),
    }
    found = Cli(environment, tmp_path / "state")
    found.store().write(Tokens("lla_present", "llr_present"))
    return found


@pytest.fixture
def no_sleep(monkeypatch: pytest.MonkeyPatch) -> Callable[[], float]:
    """Make pauses cost nothing; return how long they would have been."""
    slept: list[float] = []
    for module in ("waiting", "following", "streams"):
        monkeypatch.setattr(f"loglease.cli.{module}.time.sleep", slept.append)
    return lambda: sum(slept)
