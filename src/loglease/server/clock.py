"""The only real time, randomness and identifiers. Everybody else takes them as arguments."""

from __future__ import annotations

import os
import threading
import time
from functools import cache
from typing import Final

from loglease.model.ids import id_of
from loglease.model.instant import Instant

_BOOT: Final = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
_RANDOM_BITS: Final = 80


class SystemClock:
    """The machine's clocks. On Linux the boot clock counts suspend; on macOS its monotonic clock does."""

    def now(self) -> Instant:
        """Return wall time in UTC."""
        return Instant(time.time_ns() // 1_000)  # noqa: TID251 - this is the one place

    def boot_ns(self) -> int:
        """Return nanoseconds since boot."""
        return time.clock_gettime_ns(_BOOT)


def system_random(count: int) -> bytes:
    """Return so many bytes from the operating system's generator."""
    return os.urandom(count)  # noqa: TID251 - this is the one place


@cache
def run_marker() -> bytes:
    """Return random bytes that stay the same while the process runs: the mark of the redactor's canary."""
    return system_random(16).hex().encode()


class SystemNewId:
    """Makes identifiers that sort in the order they were made, also within one millisecond of one process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last_ms = 0
        self._last = 0

    def __call__(self, prefix: str) -> str:
        """Return a new identifier with that prefix."""
        with self._lock:
            now_ms = max(time.time_ns() // 1_000_000, self._last_ms)  # noqa: TID251 - this is the one place
            fresh = now_ms > self._last_ms
            value = int.from_bytes(system_random(10)) >> 1 if fresh else self._last + 1
            self._last_ms, self._last = now_ms, value
        return id_of(prefix, unix_ms=now_ms, randomness=value.to_bytes(_RANDOM_BITS // 8))
