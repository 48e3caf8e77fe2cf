"""The verifier in Go that shares no line with ours, found where `tests/foreign/build` puts it, and how to ask it."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SOURCES = Path(__file__).parents[1] / "foreign"
BUILT = Path(__file__).parents[2] / ".real"


def foreign_path() -> Path | None:
    """Return the program built from the sources as they are now, None where there is none."""
    files = [*sorted(SOURCES.glob("*.go")), SOURCES / "go.mod"]
    content = hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()[:16]
    found = BUILT / f"foreign-{content}"
    return found if os.access(found, os.X_OK) else None


@dataclass(frozen=True)
class Foreign:
    """The program, and the keys that it is to trust."""

    program: Path
    keys: tuple[str, ...]

    def ask(self, *words: Path | str | int) -> tuple[int, dict[str, Any]]:
        """Run one command with the keys behind it; return its exit code and answer."""
        done = subprocess.run(
            [str(self.program), *map(str, words), *self.keys], capture_output=True, check=False, timeout=300
        )
        assert done.stderr == b"", done.stderr
        found: dict[str, Any] = json.loads(done.stdout)
        return done.returncode, found

    def verdicts(self, vectors: Iterable[dict[str, Any]]) -> list[str | None]:
        """Return what is wrong with each of these vectors, None where nothing is."""
        asked = "".join(json.dumps(one) + "\n" for one in vectors)
        done = subprocess.run([str(self.program), "vectors"], input=asked.encode(), capture_output=True, check=True)
        return [json.loads(line).get("error") for line in done.stdout.splitlines()]
