"""Rates per address and per principal, counted in this process. Revocations and locks have room of their own."""

from __future__ import annotations

from collections import OrderedDict, deque
from dataclasses import dataclass, field
from typing import Final

from loglease.model.clock import Clock
from loglease.model.principal import Kind, Principal
from loglease.server.problems import RateLimited
from loglease.server.settings import LimitSettings

MAX_KEYS: Final = 20_000
_SECOND_NS: Final = 1_000_000_000
_HOUR_NS: Final = 3_600 * _SECOND_NS


@dataclass(slots=True)
class Buckets:
    """Token buckets by key: `burst` at once, then `per_s`. Bounded; the longest unused key is forgotten."""

    clock: Clock
    per_s: float
    burst: int
    _levels: OrderedDict[str, tuple[float, int]] = field(default_factory=OrderedDict)

    def take(self, key: str) -> int:
        """Take one call; return 0, or the seconds to wait where there is none left."""
        now_ns = self.clock.boot_ns()
        level, at_ns = self._levels.pop(key, (float(self.burst), now_ns))
        level = min(float(self.burst), level + (now_ns - at_ns) / _SECOND_NS * self.per_s)
        enough = level >= 1.0
        self._levels[key] = (level - 1.0 if enough else level, now_ns)
        while len(self._levels) > MAX_KEYS:
            self._levels.popitem(last=False)
        return 0 if enough else max(1, round((1.0 - level) / self.per_s))


@dataclass(slots=True)
class Rates:
    """What one address and one principal may ask for."""

    clock: Clock
    settings: LimitSettings
    _addresses: Buckets = field(init=False)
    _principals: Buckets = field(init=False)
    _urgent: Buckets = field(init=False)
    _submissions: dict[str, deque[int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        limits = self.settings
        self._addresses = Buckets(self.clock, limits.address_per_s, limits.address_burst)
        self._principals = Buckets(self.clock, limits.principal_per_s, limits.principal_burst)
        self._urgent = Buckets(self.clock, limits.principal_per_s, limits.principal_burst)

    def take_address(self, address: str) -> None:
        """Count a call that shows no credential.

        Raises:
            RateLimited: this address has used up its calls.
        """
        if self.settings.enforced and (wait_s := self._addresses.take(address)):
            raise RateLimited(wait_s)

    def take_principal(self, principal: Principal, *, urgent: bool = False) -> None:
        """Count a call of a principal; taking access away has a bucket of its own.

        Raises:
            RateLimited: the principal has used up their calls.
        """
        if self.settings.enforced and (wait_s := (self._urgent if urgent else self._principals).take(principal.id)):
            raise RateLimited(wait_s)

    def take_submission(self, principal: Principal) -> None:
        """Count a submitted request.

        Raises:
            RateLimited: as many were submitted within the last hour as may be.
        """
        if not self.settings.enforced:
            return
        human = principal.kind is Kind.HUMAN
        most = self.settings.submissions_per_h if human else self.settings.machine_submissions_per_h
        now_ns = self.clock.boot_ns()
        times = self._submissions.setdefault(principal.id, deque())
        while times and now_ns - times[0] >= _HOUR_NS:
            times.popleft()
        if len(times) >= most:
            raise RateLimited(max(1, (times[0] + _HOUR_NS - now_ns) // _SECOND_NS), "requests in an hour")
        times.append(now_ns)
