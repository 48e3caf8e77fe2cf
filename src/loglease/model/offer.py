"""What a policy would grant, for how long, with which approvals. Terms are what people ask for, narrow and approve."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final, Self

from loglease.model.ack import Ack
from loglease.model.errors import InvalidField
from loglease.model.extension import ExtendRule
from loglease.model.key_scope import KeyScope
from loglease.model.limits import Limits
from loglease.model.scope import Scope

ON_CALL: Final = "oncall"
"""What the names of approvers begin with that mean whoever is on call when they review."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What may be read, for how long, how much. Reviews may narrow terms; nothing ever widens them."""

    scopes: tuple[Scope, ...]
    duration_s: int
    limits: Limits

    def __post_init__(self) -> None:
        if not self.scopes:
            raise InvalidField("Terms without a scope allow nothing.", next_step="Name a source and streams.")
        if self.duration_s < 1:
            raise InvalidField(f"A duration of {self.duration_s} seconds is none.", next_step="Ask for 1s or more.")

    def contains(self, other: Self) -> bool:
        """Say whether everything that `other` allows is allowed here, profiles aside."""
        return (
            all(any(ours.contains_scope(theirs) for ours in self.scopes) for theirs in other.scopes)
            and other.duration_s <= self.duration_s
            and self.limits.contains(other.limits)
        )

    def intersect(self, other: Self) -> Terms | None:
        """Return what both allow, under our profiles; None if that is nothing to read."""
        pairs = (ours.intersect(theirs) for ours in self.scopes for theirs in other.scopes)
        scopes = tuple(scope for scope in pairs if scope is not None)
        if not scopes:
            return None
        duration_s = min(self.duration_s, other.duration_s)
        return Terms(scopes=scopes, duration_s=duration_s, limits=self.limits.tightest(other.limits))


@dataclass(frozen=True, slots=True)
class Slots:
    """So many people out of these.

    Attributes:
        approvers: prefixed names: ``group:leads``, ``user:bob``, ``approvers:payments``; sorted.
        need: how many different people must approve, 1 or more.
    """

    approvers: tuple[str, ...]
    need: int


class Joint(StrEnum):
    """Whether a stage needs all of its blocks, or any one."""

    ALL = "all_of"
    ANY = "any_of"


@dataclass(frozen=True, slots=True)
class Escalation:
    """Who may approve besides once a request has waited so long since it was submitted; how many must stays the same.

    Attributes:
        to: prefixed names as in `Slots`; whom they mean is found out when somebody reviews.
    """

    after_s: int
    to: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Stage:
    """One step of a plan; it takes reviews once the stages before it are complete.

    Attributes:
        remind_s: those who can still act are told again each time that nothing has happened for so long.
    """

    blocks: tuple[Slots, ...]
    joint: Joint = Joint.ALL
    remind_s: int | None = None
    escalate: Escalation | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """Stages in order, demanded by one policy or guardrail; no stages means that nobody has to approve."""

    origin: str
    stages: tuple[Stage, ...]

    @property
    def need(self) -> int:
        """The smallest number of approvals that can satisfy the plan."""
        return sum(
            sum(block.need for block in stage.blocks)
            if stage.joint is Joint.ALL
            else min(block.need for block in stage.blocks)
            for stage in self.stages
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class AfterPlan:
    """Who looks afterwards at what was read under a grant that nobody approved.

    Attributes:
        plans: all must be satisfied; the first is the policy's own, the others are demanded by guardrails.
        within_s: it is late after so many seconds.
        escalate_to: approvers who may do it, too, once it is late.
    """

    plans: tuple[Plan, ...]
    within_s: int
    escalate_to: tuple[str, ...] = ()

    def demanded(self, *, late: bool) -> tuple[Plan, ...]:
        """Return the plans as of now: a late one takes the people it is escalated to beside those of the policy."""
        own, *others = self.plans
        if not (late and self.escalate_to):
            return self.plans
        stages = tuple(replace(stage, blocks=tuple(map(self._escalated, stage.blocks))) for stage in own.stages)
        return (replace(own, stages=stages), *others)

    def _escalated(self, block: Slots) -> Slots:
        return replace(block, approvers=tuple(sorted({*block.approvers, *self.escalate_to})))


def need_of(plans: Iterable[Plan]) -> int:
    """Return the number of approvals that can satisfy all plans: one review may count in several of them."""
    return max((plan.need for plan in plans), default=0)


class Outcome(StrEnum):
    """How an offer leads to a grant."""

    AUTO = "auto"
    REVIEW = "review"
    BREAK_GLASS = "break_glass"


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """What a grant looks like beside its terms.

    Attributes:
        activate_within_s: an unused approval lapses after so many seconds.
        review_within_s: a request that nobody decides expires after so many seconds.
        single_use: one session and its resumptions.
        idle_timeout_s: a grant without an open session for so long ends; None is never.
        cut_on_change: open sessions end at once when a new bundle narrows the policy, not with the next session.
        network_bound: useless from any other network than the one from which it was asked for.
        pseudonyms: where equal values have equal pseudonyms.
        ack: what has to be true of its record before anything is acknowledged, whatever the server's setting says.
        extend: how often it may be extended, by how much; None is not at all. What policy says then decides.
    """

    activate_within_s: int
    review_within_s: int
    single_use: bool = False
    idle_timeout_s: int | None = None
    cut_on_change: bool = False
    network_bound: bool = False
    pseudonyms: KeyScope = KeyScope.GRANT
    ack: Ack = Ack.DURABLE
    extend: ExtendRule | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """One policy's answer to a request.

    Attributes:
        number: position among the offers of one decision, from 1.
        policy: id of the policy.
        rule: the route that was taken, in words that the requester may read.
        plans: every plan must be satisfied.
        bundle_sha256: hash of the policy bundle that made the offer, 64 hex digits.
        revision: revision of that bundle.
        notify: who is told when the grant is there, beside those whom it concerns: names as the policy writes them.
        route: number of the route that was taken; None for a reveal, which takes none.
        after: who looks at it afterwards, where nobody has to approve; None where that is not demanded.
    """

    number: int
    policy: str
    rule: str
    outcome: Outcome
    plans: tuple[Plan, ...]
    terms: Terms
    shape: Shape
    bundle_sha256: str
    revision: int
    notify: tuple[str, ...] = ()
    route: int | None = None
    after: AfterPlan | None = None

    @property
    def need(self) -> int:
        """The number of approvals that can suffice."""
        return need_of(self.plans)

    def numbered(self, number: int) -> Offer:
        """Return the same offer at another position."""
        return replace(self, number=number)
