"""A short soak: a server, a PostgreSQL and clients that fail by seed, and a judge that shares no line with the product.

`SOAK_MINUTES` says for how long faults befall them, `SOAK_SEED` draws these; `make soak` is the long run.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

MINUTES = os.environ.get("SOAK_MINUTES", "3")
SEED = os.environ.get("SOAK_SEED", "20261128")


def test_whatever_fails_each_line_was_covered_and_nothing_acknowledged_is_lost(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "tests.soak",
        "--minutes",
        MINUTES,
        "--seed",
        SEED,
        "--folder",
        str(tmp_path / "soak"),
    ]
    found = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    print(found.stdout)  # noqa: T201 - what was judged
    assert found.returncode == 0, found.stdout
