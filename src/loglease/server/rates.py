"""Rates per address and per principal, counted in this process. Revocations and locks have room of their own."""

from __future__ import annotations

import hashlib
from collections import OrderedDict, deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from loglease.gateway.arrivals import network_of
from loglease.model.clock import Clock
from loglease.model.errors import LogLeaseError
from loglease.model.principal import Kind, Principal
from loglease.server.problems import RateLimited
from loglease.server.settings import LimitSettings

MAX_KEYS: Final = 20_000
_SECOND_NS: Final = 1_000_000_000
_HOUR_NS: Final = 3_600 * _SECOND_NS
_PREFIX: Final = 18
"""Characters of a token that name it: its kind and its public part."""

_REFUSALS: Final = frozenset({"not_authenticated", "token_expired", "locked", "password_change_required"})


@dataclass(slots=True)
class Buckets:
    """Token buckets by key: `burst` at once, then `per_s`. Bounded; the longest unused key is forgotten."""

    clock: Clock
    per_s: float
    burst: int
    _levels: OrderedDict[str, tuple[float, int]] = field(default_factory=OrderedDict)

    def take(self, key: str) -> int:
        """Take one call; return 0, or the seconds to wait where there is none left."""
        level, now_ns = self._level(key), self.clock.boot_ns()
        wait_s = self._wait_s(level)
        self._levels.pop(key, None)
        self._levels[key] = (level if wait_s else level - 1.0, now_ns)
        while len(self._levels) > MAX_KEYS:
            self._levels.popitem(last=False)
        return wait_s

    def wait_s(self, key: str) -> int:
        """Return the seconds to wait for a call, without taking one; 0 is now."""
        return self._wait_s(self._level(key))

    def _level(self, key: str) -> float:
        now_ns = self.clock.boot_ns()
        level, at_ns = self._levels.get(key, (float(self.burst), now_ns))
        return min(float(self.burst), level + (now_ns - at_ns) / _SECOND_NS * self.per_s)

    def _wait_s(self, level: float) -> int:
        return 0 if level >= 1.0 else max(1, round((1.0 - level) / self.per_s))


@dataclass(slots=True)
class Rates:
    """What one address and one principal may ask for."""

    clock: Clock
    settings: LimitSettings
    _addresses: Buckets = field(init=False)
    _principals: Buckets = field(init=False)
    _urgent: Buckets = field(init=False)
    _failed: Buckets = field(init=False)
    _proven: OrderedDict[bytes, None] = field(default_factory=OrderedDict)
    _submissions: dict[str, deque[int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        limits = self.settings
        self._addresses = Buckets(self.clock, limits.address_per_s, limits.address_burst)
        self._principals = Buckets(self.clock, limits.principal_per_s, limits.principal_burst)
        self._urgent = Buckets(self.clock, limits.principal_per_s, limits.principal_burst)
        self._failed = Buckets(self.clock, limits.failed_sign_ins_per_min / 60, limits.failed_sign_ins_per_min)

    def take_address(self, address: str) -> None:
        """Count a call that shows no credential.

        Raises:
            RateLimited: this address has used up its calls.
        """
        if self.settings.enforced and (wait_s := self._addresses.take(network_of(address))):
            raise RateLimited(wait_s)

    def take_call(self, address: str, credential: str | None) -> None:
        """Count a call by what it shows, before anything of it is looked at.

        Only a credential that was valid when it last came from this address is free here; its principal pays instead.
        So whoever guesses uses up what an address may do without one, and keeps nobody out who has a valid one.

        Raises:
            RateLimited: this address has used up its calls.
        """
        if credential is None or _mark(address, credential) not in self._proven:
            self.take_address(address)

    @contextmanager
    def judging(self, address: str, credential: str) -> Iterator[None]:
        """Remember how a credential turns out that is looked at in the block; one that keeps failing is not looked at.

        Raises:
            RateLimited: it has failed too often from this address.
        """
        key = f"{network_of(address)} {credential[:_PREFIX]}"
        is_new = _mark(address, credential) not in self._proven
        if self.settings.enforced and is_new and (wait_s := self._failed.wait_s(key)):
            raise RateLimited(wait_s, "calls with a credential that is not valid")
        try:
            yield
        except LogLeaseError as error:
            if error.code in _REFUSALS:
                self.refused(address, credential)
                self._failed.take(key)
            raise
        self.proven(address, credential)

    def proven(self, address: str, credential: str) -> None:
        """Remember that a credential from this address is valid."""
        mark = _mark(address, credential)
        self._proven.pop(mark, None)
        self._proven[mark] = None
        while len(self._proven) > MAX_KEYS:
            self._proven.popitem(last=False)

    def refused(self, address: str, credential: str) -> None:
        """Forget that a credential was valid once."""
        self._proven.pop(_mark(address, credential), None)

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


def _mark(address: str, credential: str) -> bytes:
    """Return what a credential from an address is remembered by; never the credential."""
    return hashlib.sha256(f"{network_of(address)} {credential}".encode("utf-8", "surrogateescape")).digest()
