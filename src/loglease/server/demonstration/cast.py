"""Who takes part in the demonstration: processes that it starts and ends, and people with sign-ins of their own."""

from __future__ import annotations

import contextlib
import os
import re
import select
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self

import orjson

_START_WITHIN_S: Final = 60.0
_STOP_WITHIN_S: Final = 15.0
_SHOP: Final = "loglease.server.demonstration.shop"
_TRAFFIC: Final = "loglease.server.demonstration.traffic"
_READABLE: Final = ("dpkg.log", "alternatives.log", "syslog", "messages", "kern.log", "auth.log", "apt/history.log")


class StepFailed(Exception):
    """A step did not do what it should; the text says what happened, and where the log is."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a command printed, and its exit code."""

    code: int
    shown: str


@dataclass(slots=True)
class Person:
    """Somebody at a terminal of their own, signed in with the command line."""

    name: str
    home: Path
    server: str

    def _environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("LOGLEASE_")}
        return kept | {
            "XDG_CONFIG_HOME": str(self.home / "config"),
            "XDG_STATE_HOME": str(self.home / "state"),
            "PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring",
            "LOGLEASE_SERVER": self.server,
            "COLUMNS": "118",
            "NO_COLOR": "1",
        }

    def command(self, *words: str) -> list[str]:
        """Return how the command line is started."""
        return [str(Path(sys.executable).parent / "loglease"), *words]

    def run(self, *words: str, typed: str = "") -> Answer:
        """Run a command to its end; the answer has what a terminal would have shown."""
        done = subprocess.run(  # noqa: S603 - our own program
            self.command(*words),
            input=typed,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            env=self._environment(),
        )
        return Answer(done.returncode, done.stdout.rstrip())

    def start(self, *words: str) -> subprocess.Popen[str]:
        """Start a command that goes on."""
        return subprocess.Popen(  # noqa: S603 - our own program
            self.command(*words), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=self._environment()
        )

    def objects(self, *words: str) -> list[dict[str, Any]]:
        """Run a command that lists things, with JSON output, and return them."""
        answer = self.run(*words, "--output", "json")
        if answer.code != 0:
            raise StepFailed(f"`loglease {' '.join(words)}` ended with {answer.code}:\n{answer.shown}")
        found = orjson.loads(answer.shown)
        return list(found["items"])


@dataclass(slots=True)
class Cast:
    """All processes of one demonstration, in one folder that goes with it."""

    folder: Path
    server: str = ""
    admin_password: str = ""
    _running: list[subprocess.Popen[str]] = field(default_factory=list)

    @property
    def logs(self) -> Path:
        """Where the shop writes its log files."""
        return self.folder / "logs"

    def start_shop(self) -> None:
        """Start billing, the shop, and its customers."""
        billing, shop = _free_port(), _free_port()
        self._python(_SHOP, "billing", "--port", str(billing), "--log", str(self.logs / "billing" / "billing.log"))
        self._python(
            *(_SHOP, "shop", "--port", str(shop), "--log", str(self.logs / "shop" / "shop.log")),
            *("--billing", f"http://127.0.0.1:{billing}"),
        )
        self._python(_TRAFFIC, "--shop", f"http://127.0.0.1:{shop}", "--every", "0.2")

    def start_server(self) -> None:
        """Start the product over the shop's logs and whatever system logs this machine lets us read.

        Raises:
            StepFailed: it did not start; the text has the end of its log.
        """
        config = self.folder / "loglease.toml"
        config.write_text(_configuration(self.logs, readable_system_logs()), encoding="utf-8")
        log = self.folder / "server.log"
        process = subprocess.Popen(  # noqa: S603 - our own program
            [
                *(str(Path(sys.executable).parent / "loglease"), "serve", "--config", str(config)),
                *("--data-dir", str(self.folder / "data"), "--listen", _listen(), "--health", "127.0.0.1:0"),
            ],
            stdout=subprocess.PIPE,
            stderr=log.open("w"),
            text=True,
        )
        self._running.append(process)
        shown = _read_until(process, r"^Address +(http\S+)")
        if shown is None:
            end = log.read_text(encoding="utf-8", errors="replace")[-2_000:]
            raise StepFailed(f"The server did not start. The end of {log}:\n{end}")
        self.server = shown
        self.admin_password = (self.folder / "data" / "admin-password").read_text(encoding="utf-8").strip()

    def person(self, name: str) -> Person:
        """Return somebody with a terminal."""
        return Person(name=name, home=self.folder / "people" / name, server=self.server)

    def _python(self, module: str, *words: str) -> None:
        command = [sys.executable, "-m", module, *words]
        self._running.append(
            subprocess.Popen(  # noqa: S603 - our own program
                command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, text=True
            )
        )

    def wait_for_interrupt(self) -> None:
        """Return when the server ends or somebody presses Ctrl-C."""
        with contextlib.suppress(KeyboardInterrupt):
            self._running[-1].wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for process in reversed(self._running):
            process.terminate()
        for process in self._running:
            try:
                process.wait(_STOP_WITHIN_S)
            except subprocess.TimeoutExpired:
                process.kill()
        shutil.rmtree(self.folder, ignore_errors=True)


def readable_system_logs() -> list[Path]:
    """Return the usual log files of this machine that we may read and that hold something."""
    found = (Path("/var/log") / name for name in _READABLE)
    return [path for path in found if path.is_file() and os.access(path, os.R_OK) and path.stat().st_size]


def _configuration(logs: Path, system: Sequence[Path]) -> str:
    text = f"""
[limits]
enforced = false

[sources.shop-logs]
description = "The demonstration's shop and its billing service"
clear_labels = ["service", "env"]

[[sources.shop-logs.watches]]
root = "{logs}"
pattern = "*/*.log*"
path_labels = '(?P<service>[a-z]+)/.*'
labels = {{ env = "demo" }}
"""
    if system:
        text += '\n[sources.system]\ndescription = "System logs of this machine"\nclear_labels = ["file"]\n'
    for path in system:
        text += f"""
[[sources.system.watches]]
root = "/var/log"
pattern = "{path.relative_to("/var/log")}"
labels = {{ file = "{path.stem}" }}
"""
    return text


def _read_until(process: subprocess.Popen[str], pattern: str) -> str | None:
    until = time.monotonic() + _START_WITHIN_S
    shown = ""
    while process.stdout is not None and time.monotonic() < until and process.poll() is None:
        if select.select([process.stdout], [], [], 0.2)[0]:
            shown += os.read(process.stdout.fileno(), 65_536).decode(errors="replace")
            if match := re.search(pattern, shown, re.MULTILINE):
                return match[1]
    return None


def _listen() -> str:
    """Return the usual address if it is free, else any."""
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", 8080))
        except OSError:
            return "127.0.0.1:0"
    return "127.0.0.1:8080"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
