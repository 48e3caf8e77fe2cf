"""How long reading a bundle again holds the event loop of a server.

A loop ticks each millisecond while a thread reads documents and an old bundle is let go, as `server.reload` does it. A
gap between two ticks counts as far as this process computed in it: what other processes take is no hold of ours.

Run: ``python -m bench.reload [--policies N]``. The last line is one object of JSON; the exit code is 1 where the goal
is missed.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import sys
import time
from typing import Final

from bench.deciding.setting import files_of

from loglease.policy import Bundle, load
from loglease.server.process import SWITCH_S
from loglease.server.reload import let_go, no_full_collection

GOAL_MS: Final = 50.0
ROUNDS: Final = 3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--policies", type=int, default=1_000)
    chosen = parser.parse_args()
    sys.setswitchinterval(SWITCH_S)
    held = asyncio.run(measured(files_of(chosen.policies)))
    worst = round(max(held), 1)
    print(f"{chosen.policies:,} policies: the event loop is held {worst} ms at most, goal {GOAL_MS:g} ms")
    print(json.dumps({"bench": "reload", "policies": chosen.policies, "held_ms": worst, "goal_ms": GOAL_MS}))
    if worst > GOAL_MS:
        raise SystemExit(1)


async def measured(files: dict[str, bytes]) -> list[float]:
    """Return the longest hold of each round in milliseconds."""
    bundle = loaded(files)
    gc.collect()
    gc.freeze()  # as a server does with what its start made
    found = []
    for _ in range(ROUNDS):
        gaps: list[float] = []
        ticking = asyncio.create_task(tick(gaps))
        with no_full_collection():
            new = await asyncio.to_thread(loaded, files)
        parts: list[object] = [*bundle.policies, *bundle.guardrails, *bundle.tests]
        bundle = new
        del new
        await asyncio.to_thread(let_go, parts)
        await asyncio.sleep(0.1)
        ticking.cancel()
        found.append(max(gaps) * 1e3)
    return found


async def tick(gaps: list[float]) -> None:
    while True:
        begun, used = time.perf_counter(), time.process_time()
        await asyncio.sleep(0.001)
        gaps.append(min(time.perf_counter() - begun, time.process_time() - used))


def loaded(files: dict[str, bytes]) -> Bundle:
    bundle = load(files)
    if not isinstance(bundle, Bundle):
        raise SystemExit("\n".join(one.render() for one in bundle))
    return bundle


if __name__ == "__main__":
    main()
