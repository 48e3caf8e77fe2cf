"""Whom a call comes from where proxies of ours stand in between.

SECURITY: what a client says of its own address is believed of nobody but configured proxies, and of their list only
what they have written themselves: the rightmost hop that is none of them. Tested in tests/server/test_proxies.py.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address

ELSEWHERE: Final = "other"
"""What policies call every network without a name in the configuration."""
_FORWARDED_FOR: Final = b"x-forwarded-for"


def network_named(text: str) -> Network:
    """Read an address or a network of proxies.

    Raises:
        ValueError: it is neither, or an address with host bits behind its prefix.
    """
    return ipaddress.ip_network(text)


@dataclass(frozen=True, slots=True)
class Proxies:
    """The proxies that are believed."""

    networks: tuple[Network, ...]

    @classmethod
    def named(cls, texts: Iterable[str]) -> Proxies:
        """Return the proxies of a configuration that was checked."""
        return cls(tuple(network_named(text) for text in texts))

    def caller_of(self, scope: Mapping[str, Any]) -> str | None:
        """Return the address of whoever called the outermost proxy; None to keep that of the connection."""
        client = scope.get("client")
        nearest = address_in(str(client[0])) if client and self.networks else None
        if nearest is None or not self._trusts(nearest):
            return None
        lists = [value.decode("latin-1") for name, value in scope["headers"] if name == _FORWARDED_FOR]
        for hop in reversed(",".join(lists).split(",")):
            further = address_in(hop)
            if further is None:
                break
            nearest = further
            if not self._trusts(further):
                break
        return str(nearest)

    def _trusts(self, address: Address) -> bool:
        return any(address in network for network in self.networks)


def address_in(text: str) -> Address | None:
    """Read ``192.0.2.1``, ``2001:db8::1``, or either with a port; None for anything else.

    An IPv4 address that is written as one of IPv6 is the IPv4 address.
    """
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        found = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return found.ipv4_mapped or found if isinstance(found, ipaddress.IPv6Address) else found
