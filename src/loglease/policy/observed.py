"""Facts as they reach a decision: a question to a provider, and what it answered, when."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from loglease.model.instant import Instant
from loglease.model.principal import Kind
from loglease.policy.conditions.values import Value
from loglease.policy.documents import FactRule


@dataclass(frozen=True, slots=True)
class Question:
    """What a provider is asked: one fact about one principal, as little as it takes.

    Attributes:
        rule: the fact, with the type of its answer.
        issuer: who vouches for the account.
        account: the name that the principal signs in with.
        label: the key and the value that the fact is asked for; None where it does not depend on one.
        ticket: the ticket that a request names.
    """

    rule: FactRule
    issuer: str
    account: str
    kind: Kind
    label: tuple[str, str] | None = None
    ticket: str | None = None


@dataclass(frozen=True, slots=True)
class Observed:
    """An answer: a value of the declared type, that it does not exist, or why it cannot be had.

    Attributes:
        value: durations in microseconds, lists as tuples, records as mappings, `ABSENT` or a `Fault`.
        provider: who says so.
        observed_at: when that was true; for a fault, when it was asked.
        reference: where people find it, such as the id of an incident.
    """

    value: Value
    provider: str
    observed_at: Instant
    reference: str | None = None


FactKey = tuple[str, str | None]
"""The name of a fact, and the value of the label that it was asked for."""
Facts = Mapping[FactKey, Observed]
NOTHING_KNOWN: Final[Facts] = MappingProxyType({})
