"""A clock that moves only when a test says so, and randomness that repeats."""

from __future__ import annotations

import hashlib

from loglease.model.ids import id_of
from loglease.model.instant import Instant, parse_instant

START = parse_instant("2026-11-23T09:00:00Z")


class FakeClock:
    """Wall time and boot time together."""

    def __init__(self, start: Instant = START) -> None:
        self.wall = int(start)
        self.boot = 1_000_000_000_000

    def now(self) -> Instant:
        return Instant(self.wall)

    def boot_ns(self) -> int:
        return self.boot

    def advance(self, seconds: float) -> None:
        self.wall += round(seconds * 1_000_000)
        self.boot += round(seconds * 1_000_000_000)


class FakeRandom:
    """The same bytes in every run."""

    def __init__(self, seed: str = "loglease") -> None:
        self._seed = seed
        self._count = 0

    def __call__(self, size: int) -> bytes:
        self._count += 1
        return hashlib.shake_256(f"{self._seed}/{self._count}".encode()).digest(size)


class FakeIds:
    """Identifiers in ascending order, the same in every run."""

    def __init__(self, clock: FakeClock) -> None:
        self._clock = clock
        self._count = 0

    def __call__(self, prefix: str) -> str:
        self._count += 1
        return id_of(prefix, unix_ms=self._clock.wall // 1_000, randomness=self._count.to_bytes(10, "big"))
