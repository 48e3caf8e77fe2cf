"""The Go programs that evaluation is compared with, found where `make real-servers` builds them, and how to ask one."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from pathlib import Path
from typing import Any

SOURCES = Path(__file__).parent / "oracles"
BUILT = Path(__file__).parents[2] / ".real"


def oracle_path() -> Path | None:
    """Return the program built from the sources as they are now, None where there is none."""
    files = sorted(path for path in SOURCES.iterdir() if path.suffix in (".go", ".mod", ".sum"))
    content = hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()[:16]
    found = BUILT / f"oracles-{content}"
    return found if os.access(found, os.X_OK) else None


class Oracle:
    """One running program that is asked question after question."""

    def __init__(self, *command: Path | str) -> None:
        environment = {"TZ": "UTC", "GOMEMLIMIT": "512MiB"}
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)

    def ask(self, op: str, text: str, **more: Any) -> dict[str, Any]:
        """Ask one question and wait for the answer."""
        asked, answers = self._process.stdin, self._process.stdout
        assert asked is not None
        assert answers is not None
        asked.write(json.dumps({"op": op, "text": text, **more}).encode() + b"\n")
        asked.flush()
        answer: dict[str, Any] = json.loads(answers.readline())
        return answer

    def value(self, op: str, text: str) -> str | None:
        """Ask to read a text; None if the program finds that it is none."""
        answer = self.ask(op, text)
        return None if answer.get("error") else answer.get("value", "")

    def close(self) -> None:
        """End the program."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()
