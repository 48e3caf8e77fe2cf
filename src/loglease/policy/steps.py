"""The people of policy tests, and what they do after a request, as documents write it. `stories` plays it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from loglease.model.after_review import AfterState
from loglease.model.principal import Kind
from loglease.policy.conditions.values import Value
from loglease.policy.problems import At


class Act(StrEnum):
    """What somebody does."""

    APPROVE = "approve"
    DENY = "deny"
    ACTIVATE = "activate"
    READ = "read"
    ASK = "ask"
    JUSTIFY = "justify"
    OBJECT = "object"


class Standing(StrEnum):
    """Where a request and its grant are."""

    NONE = "none"
    WAITING = "waiting"
    APPROVED = "approved"
    DENIED = "denied"
    EXPIRED = "expired"
    LAPSED = "lapsed"
    ACTIVE = "active"
    ENDED = "ended"


REFUSED: Final = "refused"
SERVED: Final = "served"
_REVIEW: Final = (Standing.WAITING, Standing.APPROVED, Standing.DENIED, REFUSED)
_AFTERWARDS: Final = (*AfterState, REFUSED)
WANTED: Final[Mapping[Act | None, tuple[str, ...]]] = MappingProxyType(
    {
        None: tuple(Standing),
        Act.APPROVE: _REVIEW,
        Act.DENY: _REVIEW,
        Act.ACTIVATE: (Standing.ACTIVE, REFUSED),
        Act.READ: (SERVED, REFUSED),
        Act.ASK: ("auto", "review", "break_glass", "deny"),
        Act.JUSTIFY: _AFTERWARDS,
        Act.OBJECT: _AFTERWARDS,
    }
)
"""What a step may want, by what is done in it."""
NEGATIVE: Final = (REFUSED, "deny", Standing.DENIED)
"""What a step may want that has a problem code."""
BY_OTHERS: Final = frozenset({Act.APPROVE, Act.DENY, Act.JUSTIFY, Act.OBJECT})


@dataclass(frozen=True, slots=True, kw_only=True)
class TestPerson:
    """Somebody in a policy test."""

    __test__ = False

    name: str
    groups: frozenset[str]
    kind: Kind
    manager: str | None = None
    on_call: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class TestStep:
    """One step: time passes, people and facts change, somebody does something; in this order.

    Attributes:
        after_s: seconds since the step before it.
        people: who is different from now on.
        facts: what is different from now on.
        by: who does it; None where it is for whoever asks.
        want: what is to come of it; None is not looked at.
        code: of the problem that is to come of it; None is not looked at.
    """

    __test__ = False

    after_s: int = 0
    people: Mapping[str, TestPerson] = field(default_factory=dict)
    facts: Mapping[str, Value] = field(default_factory=dict)
    act: Act | None = None
    by: str | None = None
    want: str | None = None
    code: str | None = None
    at: At
