"""Run benchmarks one after the other: ``python -m bench [NAME…]``. Each prints its figures and, last, one line of JSON.

A name stands for those that begin with it, too: ``logql`` for ``logql`` and ``logql_against_loki``.

Figures mean something as ratios against what was measured in the same run; absolute ones depend on the machine.
"""

from __future__ import annotations

import json
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
PARTS = {"__init__", "__main__", "audit_rivals", "gateway_stack", "lawful"}


def names() -> list[str]:
    """Return the benchmarks of this folder."""
    return sorted(path.stem for path in HERE.glob("*.py") if path.stem not in PARTS)


def run(name: str) -> tuple[dict[str, Any], bool]:
    """Run one benchmark, show what it prints, and return its line of JSON and whether it holds what it checks.

    One that measured and then says that a goal is missed still has its line.
    """
    print(f"== {name}", flush=True)
    process = subprocess.Popen([sys.executable, "-m", f"bench.{name}"], stdout=subprocess.PIPE, text=True)
    last = ""
    for line in process.stdout or ():
        print(line, end="", flush=True)
        last = line.strip() or last
    holds = process.wait() == 0
    if not holds and not last.startswith("{"):
        raise SystemExit(f"the benchmark {name} ended with {process.returncode}")
    found: dict[str, Any] = json.loads(last)
    return found, holds


def rows(name: str, figures: dict[str, Any], prefix: str = "") -> list[tuple[str, str, str]]:
    """Flatten figures into rows of one table."""
    found = []
    for key, value in figures.items():
        if key == "bench":
            continue
        if isinstance(value, dict):
            found += rows(name, value, f"{prefix}{key}.")
        else:
            found.append((name, f"{prefix}{key}", str(value)))
    return found


def main() -> None:
    asked = [name.replace("-", "_") for name in sys.argv[1:]] or names()
    if unknown := set(asked) - set(names()):
        raise SystemExit(f"no benchmark {', '.join(sorted(unknown))}; there are {', '.join(names())}")
    wanted = [name for name in names() if any(name == one or name.startswith(f"{one}_") for one in asked)]
    results = {name: run(name) for name in wanted}
    table = [row for name, (figures, _) in results.items() for row in rows(name, figures)]
    print(f"\n== {platform.processor() or platform.machine()}, Python {platform.python_version()}")
    for name, figure, value in table:
        print(f"{name:14} {figure:42} {value}")
    if lost := [name for name, (_, holds) in results.items() if not holds]:
        raise SystemExit(f"a goal is missed by {', '.join(lost)}")


if __name__ == "__main__":
    main()
