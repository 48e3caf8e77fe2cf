"""What came of a request, as conditions of `never` read it: the root `out`.

One offer at a time; where there is none, what only an offer has cannot be told, and the other way round, so that a
condition about what is given never holds of a denial.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace
from typing import Final

from loglease.model.ack import Ack
from loglease.model.instant import MICROSECONDS
from loglease.model.key_scope import KeyScope
from loglease.model.offer import Offer
from loglease.policy.conditions import ABSENT, BOOL, DURATION, INT, Fault, Field, Listed, Record, Text
from loglease.policy.conditions.values import Value
from loglease.policy.documents import NETWORK, AccessPolicy, Catalog, InputRule
from loglease.policy.expected import TestOutcome
from loglease.policy.profiles import RAW
from loglease.policy.roots import Readable
from loglease.policy.trace import CODES, Decision

OUT: Final = "out"
_LIMITS: Final = ("lines", "bytes", "queries", "queries_per_min", "tails")
_NO_OFFER: Final = Fault("nothing is offered")
_NO_DENIAL: Final = Fault("something is offered")
NOT_THERE: Final = (_NO_OFFER, _NO_DENIAL)
"""What comes of asking an offer for what a denial has, and the other way round: that it does not hold."""


def outcome_type(catalog: Catalog, policies: Collection[str]) -> Record:
    """Return what `out` has; names and meanings are those of `want` in a test.

    Args:
        catalog: names the profiles.
        policies: ids of all that can make an offer.
    """
    return Record(
        {
            "outcome": Field(Text(words=frozenset(map(str, TestOutcome)))),
            "policy": Field(Text(words=frozenset(policies))),
            "route": Field(INT, optional=True),
            "stages": Field(INT),
            "reviews": Field(INT),
            "duration": Field(DURATION),
            "redaction": Field(Text(words=frozenset({*catalog.redaction, RAW}))),
            "limits": Field(Record({name: Field(INT, optional=True) for name in _LIMITS})),
            "activate_within": Field(DURATION),
            "pending_max": Field(DURATION),
            "idle_timeout": Field(DURATION, optional=True),
            "single_use": Field(BOOL),
            "pseudonyms": Field(Text(words=frozenset(map(str, KeyScope)))),
            "audit": Field(Text(words=frozenset(map(str, Ack)))),
            "bind": Field(Listed(Text(words=frozenset({NETWORK})), 1)),
            "notify": Field(Listed(Text())),
            "after_review": Field(BOOL),
            "code": Field(Text(words=frozenset(CODES))),
        }
    )


def never_schema(readable: Readable, policies: Iterable[AccessPolicy]) -> Record:
    """Return what conditions of `never` may read: what those of policies may, and what came of it.

    Args:
        readable: what all conditions may read.
        policies: all that can make an offer.
    """
    every = list(policies)
    roots = readable.asked(joint_inputs(every)).fields
    return Record({**roots, OUT: Field(outcome_type(readable.catalog, [one.id for one in every]))})


def joint_inputs(policies: Iterable[AccessPolicy]) -> tuple[InputRule, ...]:
    """Return the fields that policies ask for, each as one that may be left out; without those that mean two things."""
    found: dict[str, InputRule | None] = {}
    for one in (rule for policy in policies for rule in policy.ask.inputs):
        joint = replace(one, required=False, label=one.name)
        found[one.name] = joint if found.get(one.name, joint) == joint else None
    return tuple(one for one in found.values() if one is not None)


def outcomes(found: Decision, *, with_code: bool) -> Iterator[tuple[Offer | None, dict[str, Value]]]:
    """Yield each offer with what `out` is for it; for a denial, that.

    Args:
        found: the decision.
        with_code: also why it is a denial, which takes its time to find out.
    """
    if not found.offers:
        yield None, denial(found.code if with_code else None)
    for offer in found.offers:
        yield offer, _of_offer(offer)


def denial(code: str | None = None) -> dict[str, Value]:
    """Return what `out` is where nothing is offered; without a code nobody can tell why."""
    return _DENIAL if code is None else {**_DENIAL, "code": code}


def _of_offer(offer: Offer) -> dict[str, Value]:
    terms, shape = offer.terms, offer.shape
    limits = terms.limits.named()
    return {
        "outcome": str(offer.outcome),
        "policy": offer.policy,
        "route": ABSENT if offer.route is None else offer.route,
        "stages": max(len(plan.stages) for plan in offer.plans),
        "reviews": offer.need,
        "duration": terms.duration_s * MICROSECONDS,
        "redaction": (terms.scopes[0].profile or "").partition("@")[0],
        "limits": {name: limits.get(name, ABSENT) for name in _LIMITS},
        "activate_within": shape.activate_within_s * MICROSECONDS,
        "pending_max": shape.review_within_s * MICROSECONDS,
        "idle_timeout": ABSENT if shape.idle_timeout_s is None else shape.idle_timeout_s * MICROSECONDS,
        "single_use": shape.single_use,
        "pseudonyms": str(shape.pseudonyms),
        "audit": str(shape.ack),
        "bind": (NETWORK,) if shape.network_bound else (),
        "notify": offer.notify,
        "after_review": offer.after is not None,
        "code": _NO_DENIAL,
    }


_DENIAL: Final[dict[str, Value]] = {
    **dict.fromkeys(outcome_type(Catalog(), ()).fields, _NO_OFFER),
    "outcome": str(TestOutcome.DENY),
    "code": Fault("nobody knows yet"),
}
