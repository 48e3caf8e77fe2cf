"""Times taken back to back in one process, so that ratios mean something on a machine that others use, too.

They are processor time: what other programs take of the machine meanwhile does not count.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from statistics import median
from typing import Final

CHUNK: Final = 1 << 20


def interleaved(steps: Mapping[str, Callable[[], object]], runs: int) -> dict[str, list[float]]:
    """Run all steps in turn, so many times, after one unmeasured turn; return the processor seconds of each."""
    for step in steps.values():
        step()
    times: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(runs):
        for name, step in steps.items():
            begun = time.process_time()
            step()
            times[name].append(time.process_time() - begun)
    return times


def ratio(over: list[float], under: list[float]) -> float:
    """Return the median of the ratios of two steps' times, each taken in the same turn."""
    return median(one / other for one, other in zip(over, under, strict=True))


def line_chunks(data: bytes, size: int = CHUNK) -> list[bytes]:
    """Cut whole lines into chunks of at most the size, unless one line is longer."""
    chunks, at = [], 0
    while at < len(data):
        end = data.rfind(b"\n", at, at + size) + 1 or data.find(b"\n", at) + 1 or len(data)
        chunks.append(data[at:end])
        at = end
    return chunks
