"""How fast redaction is beside its own bare scan, on sparse and dense JSON lines.

Each row is the best of some runs in one process: throughput, the shares of scan and controls (the rest is the closer
look and the joining), spans found.

Run: ``python -m bench.redaction [--lines 60000] [--runs 3] [--engine hyperscan]``. The last line is one object of JSON.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections.abc import Callable

from loglease.redaction import Keys, Redactor, redactor_for
from loglease.redaction.controls import control_edits

CHUNK = 1 << 20
SHARES = {"sparse": 0.02, "dense": 0.30}
LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"


def line(number: int, share: float, chance: random.Random) -> str:
    def hexed(count: int) -> str:
        return "".join(chance.choice("0123456789abcdef") for _ in range(count))

    fields: dict[str, object] = {
        "ts": f"2026-07-31T10:{number // 60 % 60:02}:{number % 60:02}.{chance.randrange(10**6):06}Z",
        "level": chance.choice(["info", "debug", "warn"]),
        "service": "checkout",
        "trace_id": hexed(32),
        "span_id": hexed(16),
        "pod": f"checkout-{hexed(9)}-{hexed(5)}",
        "msg": f"request {number} done: GET /api/v1/items/{chance.randrange(10**6)} in {chance.randrange(900)} ms",
        "status": 200,
    }
    if chance.random() < 0.08:
        fields["order"] = f"{chance.randrange(10**16):016}"
    if chance.random() < share:
        planted = [
            f"password=hunter{chance.randrange(10**6)}",
            f"user anna{chance.randrange(1000)}@example.com",
            "card 4111 1111 1111 1111",
            f"from 203.0.113.{chance.randrange(255)}",
            "token ghp_" + "".join(chance.choice(LETTERS) for _ in range(36)),
        ]
        fields["msg"] = f"{fields['msg']} {chance.choice(planted)}"
    return json.dumps(fields)


def best(runs: int, step: Callable[[], object]) -> float:
    times = []
    for _ in range(runs):
        begun = time.perf_counter()
        step()
        times.append(time.perf_counter() - begun)
    return min(times)


def measured(redactor: Redactor, data: bytes, runs: int) -> dict[str, float]:
    chunks = [data[at : at + CHUNK] for at in range(0, len(data), CHUNK)]
    plan = redactor._plan  # noqa: SLF001 - the bare scan is inside
    spans = 0

    def whole() -> None:
        nonlocal spans
        stream = redactor.open()
        spans = sum(len(stream.feed(chunk).spans) for chunk in chunks) + len(stream.close().spans)

    total = best(runs, whole)
    scan = best(runs, lambda: [plan.scanner.scan(chunk + plan.canary) for chunk in chunks])
    controls = best(runs, lambda: [list(control_edits(chunk)) for chunk in chunks])
    return {
        "mb_per_s": round(len(data) / total / 1e6, 1),
        "to_bare_scan": round(scan / total, 3),
        "controls": round(controls / total, 3),
        "closer_look_and_join": round(1 - (scan + controls) / total, 3),
        "spans": spans,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lines", type=int, default=60_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--engine", default="auto")
    chosen = parser.parse_args()
    redactor = redactor_for(["pii-default@1"], keys=Keys(bytes(32)), marker=bytes(16), engine=chosen.engine)
    rows: dict[str, object] = {"engine": redactor.engine, "rules": len(redactor.active)}
    for name, share in SHARES.items():
        chance = random.Random(1)
        data = "".join(line(number, share, chance) + "\n" for number in range(chosen.lines)).encode()
        rows[name] = row = measured(redactor, data, chosen.runs)
        print(f"{name:7} {len(data) / 1e6:6.1f} MB  " + "  ".join(f"{key} {value}" for key, value in row.items()))
    print(json.dumps(rows))


if __name__ == "__main__":
    main()
