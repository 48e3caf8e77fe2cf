"""The second opinion on a soak: the product's own rules of the log, on the log that it left.

A server that is frozen, or has no database, cannot put on the record that a session ended: S19 counts up to the record, and
is held against the faults that there were. Whatever else is broken counts.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.soak.evidence import read_entries

LATE = re.compile(r"ses_\S+ closed ([0-9.]+) s after ")
AT_LAST_S = 3.0
RECOVERED_S = 6.0
"""Within so long after a fault a server has put on the record what it could not."""


def broken(evidence: Path) -> list[str]:
    """Return which rules are broken, but for what the faults explain."""
    program = Path(sys.executable).parent / "loglease"
    key = (evidence / "log.vkey").read_text()
    command = [str(program), "audit", "verify", str(evidence / "log"), "--key", key, "--semantic", "--output", "json"]
    said = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    found = json.loads(said.stdout)
    if "rules" not in found:
        return [f"verify: {said.stdout}"]
    faults = json.loads((evidence / "faults.json").read_text())
    times = [one.seconds for one in read_entries(evidence / "log")[0]]
    violations = [one for one in found["rules"]["breaches"] if one["kind"] == "violation"]
    left = [one for one in violations if not _is_explained(one, faults, times)]
    print(
        f"rules: {len(violations)} violations, {len(violations) - len(left)} of them S19 while nothing could be recorded"
    )
    return [f"{one['rule']}: {one['text']} {one['entries']}" for one in left]


def _is_explained(one: dict[str, Any], faults: list[dict[str, Any]], times: list[float]) -> bool:
    """Say whether a session was on the record late because nothing could be for all of the time, but for the bound."""
    match = LATE.match(one["text"])
    if one["rule"] != "S19" or match is None:
        return False
    closed = times[one["index"]]
    cut = closed - float(match[1])
    counted = cut
    covered = 0.0
    for fault in sorted(faults, key=lambda fault: float(fault["from"])):
        began, over = max(counted, float(fault["from"])), min(closed, float(fault["until"]) + RECOVERED_S)
        if over > began and fault["what"] != "clock_jumps":
            covered += over - began
            counted = over
    return closed - cut - covered <= AT_LAST_S
