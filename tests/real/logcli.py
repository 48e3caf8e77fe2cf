"""Loki's command line, found and never installed, pointed at a gateway as `loglease env` points it."""

from __future__ import annotations

import asyncio
import os
import shutil
from dataclasses import dataclass
from pathlib import Path


def logcli_path() -> str | None:
    """Return the logcli to run, None where there is none."""
    named = os.environ.get("LOGLEASE_LOGCLI")
    if named:
        return named if os.access(named, os.X_OK) else None
    return shutil.which("logcli")


@dataclass(frozen=True)
class Ran:
    code: int
    out: str
    said: str


@dataclass(frozen=True)
class Logcli:
    """Runs logcli with the variables that are printed for it."""

    address: str
    token_file: Path

    async def start(self, *arguments: str) -> asyncio.subprocess.Process:
        """Start it; its output is piped."""
        path = logcli_path()
        assert path is not None
        environment = {
            "PATH": os.environ["PATH"],
            "LOKI_ADDR": self.address,
            "LOKI_BEARER_TOKEN_FILE": str(self.token_file),
            "TZ": "UTC",
        }
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
