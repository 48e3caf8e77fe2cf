"""The operand ``ip("…")``: which addresses it stands for, and finding addresses in a line."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from loglease.logql.errors import Malformed

Address = IPv4Address | IPv6Address

_VERSION_4 = re.compile(rb"(?<![0-9A-Za-z.])\d{1,3}(?:\.\d{1,3}){3}(?![0-9A-Za-z]|\.\d)")
_VERSION_6 = re.compile(rb"(?<![0-9A-Za-z:.])[0-9A-Fa-f]{0,4}:[0-9A-Fa-f:]*:[0-9A-Fa-f:.]*")


def address_test(pattern: str) -> Callable[[Address], bool]:
    """Return the test whether an address is the pattern's, in its network, or in its range (both ends included).

    Raises:
        Malformed: the pattern is no address, no network in CIDR form and no range ``a-b``.
    """
    first, dash, last = (part.strip() for part in pattern.partition("-"))
    try:
        if dash:
            return _between(ip_address(first), ip_address(last))
        if "/" in pattern:
            network = ip_network(pattern, strict=False)
            return lambda address: address in network
        single = ip_address(pattern)
    except ValueError as error:
        raise Malformed("this is no address, no network such as 10.0.0.0/8 and no range such as a-b") from error
    return lambda address: address == single


def _between(first: Address, last: Address) -> Callable[[Address], bool]:
    if first.version != last.version or int(first) > int(last):
        raise ValueError
    version, low, high = first.version, int(first), int(last)
    return lambda address: address.version == version and low <= int(address) <= high


@lru_cache(maxsize=4096)
def address_of(text: str) -> Address | None:
    """Read an address as the value of a label; None if it is none."""
    try:
        return ip_address(text)
    except ValueError:
        return None


def any_address(line: bytes, test: Callable[[Address], bool]) -> bool:
    """Say whether a line holds an address that passes."""
    for pattern in (_VERSION_4, _VERSION_6):
        for match in pattern.finditer(line):
            found = address_of(match[0].rstrip(b".").decode())
            if found is not None and test(found):
                return True
    return False
