"""Where a call comes from, in the form that grants are bound to.

It is the name of a network of ours, else the one IPv4 address, else the /64 of an IPv6 address, which one line has as a
whole. That the rest of the world is one network to conditions binds nothing: whoever stole a token is there, too.
Names begin with a letter and hold no colon or dot, so no name is an address.
"""

from __future__ import annotations


def network_in_words(network: str) -> str:
    """Describe a network: ``network corp``, ``address 203.0.113.7``, ``addresses 2001:db8::/64``."""
    if "/" in network:
        return f"addresses {network}"
    return f"address {network}" if "." in network or ":" in network else f"network {network}"


def bound_in_words(network: str | None) -> str:
    """Say of what is bound from where alone it can be used; None is from nowhere, since it is not known."""
    return "from nowhere: its network is not known" if network is None else f"only from {network_in_words(network)}"
