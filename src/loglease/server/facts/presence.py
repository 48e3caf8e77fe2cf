"""What a call says of itself: how long ago its caller signed in, and from which of our networks it comes.

These facts exist only while somebody calls, and no provider is asked for them. Nothing that a client writes becomes
one: the sign-in is ours, and the address is that of the connection, or what a proxy of ours says of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Final

from loglease.access.caller import Caller
from loglease.gateway.arrivals import network_of as one_caller
from loglease.model.instant import MICROSECONDS, Instant
from loglease.policy.conditions import DURATION, Fault, Text, Type
from loglease.policy.conditions.values import LONGEST_DURATION, Value
from loglease.policy.documents import FactRule
from loglease.policy.observed import FactKey, Facts, Observed
from loglease.server.proxies import ELSEWHERE, Address, Network, address_in, network_named

IDENTITY: Final = "identity"
GATEWAY: Final = "gateway"
FUTURE_US: Final = 5 * MICROSECONDS
"""How far clocks of ours may be apart."""

_ROOTS: Final = ("ctx", "approver")
Networks = Mapping[str, tuple[Network, ...]]
"""Networks by name, in the order in which they are tried."""
_Answer = Callable[[Caller, str | None, Networks, Instant], Value]


def networks_named(texts: Mapping[str, Iterable[str]]) -> Networks:
    """Return the networks of a configuration that was checked."""
    return MappingProxyType({name: tuple(map(network_named, found)) for name, found in texts.items()})


def presence_types(networks: Networks) -> dict[str, dict[str, Type]]:
    """Return the facts that a call has, by who says so and by name, for `Outside.presence`."""
    net = Text(words=frozenset({*networks, ELSEWHERE}))
    return {
        IDENTITY: {f"{root}.mfa_age": DURATION for root in _ROOTS},
        GATEWAY: {f"{root}.net": net for root in _ROOTS},
    }


def network_of(address: str | None, networks: Networks) -> str | None:
    """Return the network of an address in the form of `model.network`; None where the address is not known."""
    found = None if address is None else address_in(address)
    if found is None:
        return None
    name = _named(found, networks)
    return one_caller(str(found)) if name == ELSEWHERE else name


def presence(rules: Iterable[FactRule], caller: Caller, address: str | None, networks: Networks, now: Instant) -> Facts:
    """Answer those of these rules that a call itself answers; the others are left out.

    ``ctx.…`` is about whoever asks and ``approver.…`` about whoever reviews, so give the rules of the one who calls.

    Args:
        address: of the caller, as `proxies` leaves it in the call; None or a name where it is not known.
    """
    found: dict[FactKey, Observed] = {}
    for rule in rules:
        answer = _ANSWERS.get((rule.provider, rule.name))
        if answer is not None:
            found[rule.name, None] = Observed(answer(caller, address, networks, now), rule.provider, now)
    return found


def _sign_in_age(caller: Caller, _address: str | None, _networks: Networks, now: Instant) -> Value:
    if caller.signed_in_at is None:
        return Fault("the call has a token and no sign-in")
    age = now - caller.signed_in_at
    if not -FUTURE_US <= age <= LONGEST_DURATION:
        return Fault("the sign-in lies in the future" if age < 0 else "the sign-in is more than ten years old")
    return max(age, 0)


def _network(_caller: Caller, address: str | None, networks: Networks, _now: Instant) -> Value:
    found = None if address is None else address_in(address)
    if found is None:
        return Fault("the address of the caller is not known")
    return _named(found, networks)


def _named(address: Address, networks: Networks) -> str:
    return next((name for name, held in networks.items() if any(address in one for one in held)), ELSEWHERE)


_ANSWERS: Final[Mapping[tuple[str, str], _Answer]] = {
    **{(IDENTITY, f"{root}.mfa_age"): _sign_in_age for root in _ROOTS},
    **{(GATEWAY, f"{root}.net"): _network for root in _ROOTS},
}
