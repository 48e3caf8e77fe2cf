"""Failed sign-ins: they slow down further attempts on one account from one address, and lock nobody out."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Final

from loglease.model.clock import Clock

FREE_FAILURES: Final = 3
MAX_DELAY_S: Final = 60
FORGET_S: Final = 900
MAX_KEYS: Final = 10_000
_SECOND_NS: Final = 1_000_000_000


@dataclass(slots=True)
class _Failures:
    count: int
    last_ns: int


@dataclass(slots=True)
class Brake:
    """Remembers failures per (account, address) in this process; bounded, oldest forgotten first."""

    clock: Clock
    _failures: OrderedDict[tuple[str, str], _Failures] = field(default_factory=OrderedDict)

    def wait_s(self, account: str, address: str) -> int:
        """Return the seconds until the next attempt is looked at; 0 is now."""
        found = self._failures.get((account, address))
        if found is None or found.count <= FREE_FAILURES:
            return 0
        delay_s = min(MAX_DELAY_S, 1 << min(found.count - FREE_FAILURES - 1, 10))
        left_ns = found.last_ns + delay_s * _SECOND_NS - self.clock.boot_ns()
        return max(0, -(-left_ns // _SECOND_NS))

    def failed(self, account: str, address: str) -> None:
        """Count a failure."""
        key, now_ns = (account, address), self.clock.boot_ns()
        found = self._failures.pop(key, None)
        stale = found is None or now_ns - found.last_ns > FORGET_S * _SECOND_NS
        self._failures[key] = _Failures(1 if found is None or stale else found.count + 1, now_ns)
        while len(self._failures) > MAX_KEYS:
            self._failures.popitem(last=False)

    def succeeded(self, account: str, address: str) -> None:
        """Forget the failures of an account from an address."""
        self._failures.pop((account, address), None)
