"""Loki's command line, pointed at a gateway as `loglease env` points it."""

from __future__ import annotations

import asyncio
import os
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tests.real.stores import ROOT


def logcli_path() -> str | None:
    """Return the logcli to run, None where there is none."""
    named = os.environ.get("LOGLEASE_LOGCLI")
    if named:
        return named if os.access(named, os.X_OK) else None
    built = ROOT / ".real" / "logcli-2.2.1"
    return str(built) if os.access(built, os.X_OK) else None


@cache
def logcli_knows(word: str) -> bool:
    """Say whether this logcli has a command or an option of that name; 2.2.1 has neither volume nor bearer tokens."""
    path = logcli_path()
    assert path is not None
    said = subprocess.run([path, "--help-long"], check=False, capture_output=True, text=True, timeout=60)
    return word in said.stdout + said.stderr


@dataclass(frozen=True)
class Ran:
    code: int
    out: str
    said: str


@dataclass(frozen=True)
class Logcli:
    """Runs logcli with the variables that are printed for it; an old one takes the token as a password."""

    address: str
    token_file: Path

    async def start(self, *arguments: str) -> asyncio.subprocess.Process:
        """Start it; its output is piped."""
        path = logcli_path()
        assert path is not None
        environment = {"PATH": os.environ["PATH"], "LOKI_ADDR": self.address, "TZ": "UTC", **self._credential()}
        return await asyncio.create_subprocess_exec(
            path,
            *arguments,
            env=environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )

    async def run(self, *arguments: str) -> Ran:
        """Run it to its end."""
        process = await self.start(*arguments)
        try:
            out, said = await asyncio.wait_for(process.communicate(), 60)
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        return Ran(process.returncode or 0, out.decode(), said.decode())

    def _credential(self) -> dict[str, str]:
        if logcli_knows("--bearer-token-file"):
            return {"LOKI_BEARER_TOKEN_FILE": str(self.token_file)}
        return {"LOKI_USERNAME": "loglease", "LOKI_PASSWORD": self.token_file.read_text().strip()}
