"""The log that a real Loki and the gateway both answer from: six streams, twenty minutes, no two lines at one time."""

from __future__ import annotations

import json
import random
from typing import Final

SECOND: Final = 10**9
START: Final = 1_700_000_040 * SECOND
"""A whole minute, so that steps of any test begin on it."""
END: Final = START + 1_200 * SECOND

Line = tuple[int, dict[str, str], str]
"""Time in nanoseconds, labels of the stream, text."""


def lines() -> list[Line]:
    """Return the log, the oldest line first; the same each time."""
    chance = random.Random(20_231_114)  # noqa: S311 - made-up lines
    made: list[Line] = []
    for number in range(600):
        ts = START + number * 2 * SECOND + 7_000_000 + number
        service, pod = ("api", "web", "db")[number % 3], str(number // 3 % 2)
        made.append((ts, {"env": "prod", "service": service, "pod": pod}, _text(chance, service, pod, number)))
    return made


def _text(chance: random.Random, service: str, pod: str, number: int) -> str:
    level = chance.choice(("debug", "info", "info", "warn", "error"))
    status = chance.choice((200, 200, 201, 404, 500, 503))
    milliseconds = chance.choice((0.5, 1, 2.5, 10, 12.25, 99.9, 250))
    took = chance.choice(("250us", "1.5ms", "15ms", "1.2s", "2m3s"))
    size = chance.choice(("512B", "1.5KiB", "3kB", "2MB"))
    path = chance.choice(("/cart", "/cart/12", "/login", "/a b", "/ünï"))
    if (service, pod) == ("api", "0"):
        return json.dumps(
            {
                "level": level,
                "status": status,
                "ms": milliseconds,
                "took": took,
                "size": size,
                "path": path,
                "user": {"name": chance.choice(("ann", "bob")), "id": number % 5},
                "tags": ["x", "y"],
                "ok": status < 400,
                "none": None,
            },
            ensure_ascii=False,
        )
    if (service, pod) == ("api", "1"):
        return (
            f"level={level} status={status} ms={milliseconds} took={took} size={size}"
            f' msg="done with {chance.choice(("cart", "login"))}" n={number}'
        )
    if (service, pod) == ("web", "0"):
        return (
            f"10.0.{number % 3}.{number % 250} - {chance.choice(('ann', 'bob', '-'))} GET {path} {status}"
            f" {number * 3 % 1000} {milliseconds / 1000:.6f}"
        )
    if (service, pod) == ("web", "1"):
        return chance.choice(
            (
                '{"level":"warn","status":"not a number","took":"soon"}',
                '{"level":"error","status":500',
                "panic: runtime error",
                "level=error status=500 took=oops",
                'msg="tab\\there" level=info',
                "naïve café ✓",
                "[31mred[0m alert",
                "key=value key=second =x lonely",
                f"retry {number} of 600",
            )
        )
    if (service, pod) == ("db", "0"):
        return json.dumps(
            {"_entry": f"query {number} took={took}", "thread": f"t{number % 4}", "shard": str(number % 2)}
        )
    return f"latency={milliseconds} rows={number % 7} table={chance.choice(('users', 'orders'))}"
