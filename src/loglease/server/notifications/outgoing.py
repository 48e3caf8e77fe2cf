"""Where calls of ours may go: the address is looked at when it is called, whatever the name meant before."""

from __future__ import annotations

import asyncio
import socket

from loglease.server.notifications.channel import Undelivered
from loglease.server.outgoing import may_call
from loglease.server.proxies import address_in


async def permitted_address(host: str, port: int, *, private: bool) -> str:
    """Return the address to connect to: the first of those a name stands for, if all of them are permitted.

    A name that stands for one address inside and one outside is refused, or the second answer would be chosen.

    Args:
        private: addresses of this machine and of private networks are permitted too.

    Raises:
        Undelivered: the name is not known, or an address is not permitted.
    """
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise Undelivered("The name of its host is not known.") from None
    addresses = [str(address[0]) for *_, address in found]
    if not addresses or not all(is_permitted(one, private=private) for one in addresses):
        raise Undelivered("Its host has an address inside; private_network permits that.")
    return addresses[0]


def is_permitted(address: str, *, private: bool) -> bool:
    """Say whether an address may be called.

    SECURITY: never a multicast, unspecified or link-local one: behind the last are the keys of cloud machines.
    tests/server/notifications/test_outgoing.py.
    """
    known = address_in(f"[{address}]")
    return known is not None and may_call(known, private=private)
