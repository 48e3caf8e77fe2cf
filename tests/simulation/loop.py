"""Time that goes on only when nothing is left to do: an event loop on one thread, the same in every run of a seed."""

from __future__ import annotations

import asyncio
import math
import selectors
from collections.abc import Callable
from typing import Any, Final

from tests.fakes.clock import START

from loglease.model.instant import Instant

_SECOND_NS: Final = 1_000_000_000


class Stuck(AssertionError):
    """Nothing is left to do and nothing is due: somebody waits for what never comes."""


class _Selector(selectors.SelectSelector):
    """Waits for no file: to wait is to let time go on."""

    loop: VirtualLoop

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is None:
            raise Stuck("nothing is due any more")
        if timeout > 0:
            self.loop.now_ns += math.ceil(timeout * _SECOND_NS)
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """The scheduler; `now_ns` is true time, which no machine of a simulation sees as it is."""

    def __init__(self) -> None:
        self.now_ns = 0
        self.steps = 0
        selector = _Selector()
        selector.loop = self
        super().__init__(selector)

    def time(self) -> float:
        """Return true time in seconds."""
        return self.now_ns / _SECOND_NS

    def call_soon(self, callback: Callable[..., object], *args: Any, context: Any = None) -> asyncio.Handle:  # type: ignore[override]
        """Count a step."""
        self.steps += 1
        return super().call_soon(callback, *args, context=context)

    def stop_the_world(self, seconds: float) -> None:
        """Let time go on while nothing runs: every machine stands still, and all clocks go on."""
        self.now_ns += round(seconds * _SECOND_NS)


class MachineClock:
    """The clocks of one machine: a boot clock that is its own, and a wall clock that may step."""

    def __init__(self, loop: VirtualLoop, *, booted_ns: int) -> None:
        self._loop = loop
        self._booted_ns = booted_ns
        self.ahead_us = 0

    def now(self) -> Instant:
        """Return wall time."""
        return Instant(START + self._loop.now_ns // 1_000 + self.ahead_us)

    def boot_ns(self) -> int:
        """Return nanoseconds since boot."""
        return self._loop.now_ns + self._booted_ns
