"""What a PolicyTest says, as resolved values: scopes, requests, and what should come of them. People are in `steps`.

Times are seconds. `at` is where a case stands.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from loglease.model.ack import Ack
from loglease.model.instant import Instant
from loglease.model.key_scope import KeyScope
from loglease.model.limits import Limits
from loglease.model.offer import Outcome
from loglease.model.scope import Scope
from loglease.policy.conditions import Condition
from loglease.policy.conditions.values import Value
from loglease.policy.problems import At
from loglease.policy.steps import TestPerson, TestStep


class TestOutcome(StrEnum):
    """What a policy test may want."""

    __test__ = False  # no test class of pytest's

    AUTO = Outcome.AUTO.value
    REVIEW = Outcome.REVIEW.value
    BREAK_GLASS = Outcome.BREAK_GLASS.value
    DENY = "deny"


@dataclass(frozen=True, slots=True)
class TestReveal:
    """A reveal in a policy test: the policy of the grant that it is about, and the class of the value."""

    __test__ = False

    policy: str
    cls: str


@dataclass(frozen=True, slots=True)
class TestExtension:
    """An extension in a policy test: the policy of the grant that it goes on from, and which one of its chain it is."""

    __test__ = False

    policy: str
    number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Want:
    """What should come of a case; None is not looked at.

    Attributes:
        route: its number; so is `policy` of an offer, as are all others up to `after_review`.
        reviews: how many approvals can suffice.
        limits: those that are not set are not looked at.
        network_bound: whether the grant is bound to a network.
        pseudonyms: where equal values have equal pseudonyms.
        ack: what has to be true of the record before anything is acknowledged.
        notify: all who are told of the grant; nobody where it is empty.
        after_review: whether somebody looks at it afterwards.
        code: why there is no offer.
        rule: which policy or guardrail says so.
        next: what the requester can do about it, among others.
    """

    outcome: TestOutcome
    policy: str | None = None
    route: int | None = None
    stages: int | None = None
    reviews: int | None = None
    duration_s: int | None = None
    redaction: str | None = None
    limits: Limits = field(default_factory=Limits)
    activate_within_s: int | None = None
    pending_max_s: int | None = None
    idle_timeout_s: int | None = None
    single_use: bool | None = None
    network_bound: bool | None = None
    pseudonyms: KeyScope | None = None
    ack: Ack | None = None
    notify: tuple[str, ...] | None = None
    after_review: bool | None = None
    code: str | None = None
    rule: str | None = None
    next: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TestCase:
    """One request and what should come of it.

    Attributes:
        facts: what is different from the facts of the whole document.
        fault: facts that cannot be had.
        absent: optional facts that do not exist.
        then: what happens after the request.
    """

    __test__ = False

    title: str
    person: str
    scope: str
    profile: str | None
    duration_s: int | None
    ticket: str | None
    reason: str
    limits: Limits
    reveal: TestReveal | None
    extends: TestExtension | None = None
    break_glass: bool
    inputs: Mapping[str, str] = field(default_factory=dict)
    facts: Mapping[str, Value] = field(default_factory=dict)
    fault: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()
    want: Want
    then: tuple[TestStep, ...] = ()
    at: At


@dataclass(frozen=True, slots=True, kw_only=True)
class NeverRule:
    """What must never happen, whatever the people of a test ask for; `because` says it in words."""

    condition: Condition
    because: str
    at: At


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyTest:
    """A document of tests: a frozen instant, people, scopes, cases, and what must never happen."""

    __test__ = False

    id: str
    now: Instant
    people: Mapping[str, TestPerson]
    facts: Mapping[str, Value] = field(default_factory=dict)
    scopes: Mapping[str, Scope]
    cases: tuple[TestCase, ...]
    never: tuple[NeverRule, ...] = ()
    at: At
