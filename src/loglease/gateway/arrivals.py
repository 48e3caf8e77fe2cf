"""How many connections there may be: in all, and of one network address while they serve no session.

A tail that runs for hours is no abuse: from the moment that a connection serves a session it counts in all only, where
grants and principals have limits of their own.
"""

from __future__ import annotations

import ipaddress
from collections import Counter
from dataclasses import dataclass, field
from typing import Final

_ONE_CALLER_BITS: Final = 64


def network_of(address: str) -> str:
    """Return what stands for one caller: an IPv4 address, or the /64 of an IPv6 address, of which one has all."""
    if ":" not in address:
        return address
    try:
        found = ipaddress.IPv6Address(address.partition("%")[0])
    except ValueError:
        return address
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return str(ipaddress.IPv6Network((found, _ONE_CALLER_BITS), strict=False))


@dataclass(slots=True)
class Arrivals:
    """Counts the connections of one listener.

    Attributes:
        most: connections in all; None does not count.
        most_of_one: connections of one address that serve no session.
    """

    most: int | None = None
    most_of_one: int | None = None
    _open: int = 0
    _of_one: Counter[str] = field(default_factory=Counter)

    def take(self, address: str) -> bool:
        """Take a place for a new connection; False if there is none."""
        key = network_of(address)
        is_full = self.most is not None and self._open >= self.most
        if is_full or (self.most_of_one is not None and self._of_one[key] >= self.most_of_one):
            return False
        self._open += 1
        self._of_one[key] += 1
        return True

    def serves_session(self, address: str) -> None:
        """Count a connection in all only from here on."""
        key = network_of(address)
        self._of_one[key] -= 1
        if self._of_one[key] <= 0:
            del self._of_one[key]

    def leave(self, address: str, *, served_session: bool) -> None:
        """Give the place back."""
        self._open -= 1
        if not served_session:
            self.serves_session(address)
