"""Grants that are bound to a network: asked for from there, useless from anywhere else.

The network is fixed at submit, so that approvers see it and their reviews are bound to it: whoever activates a grant,
or opens its first session, could be the thief. A connection stays where it is, so what holds when a session opens holds
for its batches; a rule that begins to bind ends open sessions (`recheck_grants`), and the next ones are asked.

SECURITY: what nobody knows is no network, and equals none. Tested in tests/access/test_binding.py.
"""

from __future__ import annotations

from loglease.access.errors import NotPermitted, PolicyDenied
from loglease.access.rules import Rules
from loglease.model.grant import Grant
from loglease.model.network import network_in_words
from loglease.model.offer import Offer

RULE = "network of the grant"


def require_network(grant: Grant, rules: Rules, *, bound: bool = False) -> None:
    """Refuse to use a bound grant from anywhere but its network, and from where nobody knows.

    Args:
        rules: those that know the call.
        bound: whether the rules in force bind it, whatever bound it when it was made.

    Raises:
        NotPermitted: the call is from another network, or one of the two is not known.
    """
    if not (bound or grant.shape.network_bound) or (grant.network is not None and grant.network == rules.network):
        return
    again = f"loglease request --like {grant.request}"
    if grant.network is None:
        raise NotPermitted(
            f"{grant.id} is bound to the network that it was asked for from, and that is not known.",
            rule=RULE,
            next_step=f"Ask anew: {again}",
        )
    where = "the network of this call is not known" if rules.network is None else "this call is from another"
    raise NotPermitted(
        f"{grant.id} can be used only from {network_in_words(grant.network)}, and {where}.",
        rule=RULE,
        next_step=f"Use it from there, or ask anew from here: {again}",
    )


def require_known_network(offer: Offer, rules: Rules) -> None:
    """Refuse to take an offer that binds its grant to the network of the call where that is not known.

    Raises:
        PolicyDenied: it is not.
    """
    if offer.shape.network_bound and rules.network is None:
        raise PolicyDenied(
            "This access is bound to the network that it is asked for from, and the network of this call is not known.",
            rule=offer.policy,
            next_step="Ask from a computer whose address the server sees.",
        )
