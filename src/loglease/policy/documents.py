"""The documents of a policy bundle as resolved values: what is left when form and names have been checked.

Times are seconds, sizes bytes. `at` is where a document or route stands; it is no part of the bundle's hash.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from typing import Final

from loglease.model.ack import Ack
from loglease.model.extension import ExtendRule
from loglease.model.key_scope import KeyScope
from loglease.model.labels import Selector
from loglease.model.limits import Limits
from loglease.model.offer import Slots, Stage
from loglease.model.principal import Kind
from loglease.model.scope import Level
from loglease.policy.conditions import Condition, Text, Type
from loglease.policy.conditions.types import Bool, Int
from loglease.policy.problems import At

API: Final = "loglease/v1"
NETWORK: Final = "network"
"""What grants can be bound to: the only word of `bind`."""
ACTIVATE_WITHIN_S: Final = 8 * 3600
"""How long an approval may stay unused where a policy does not say."""
PENDING_MAX_S: Final = 4 * 3600
"""How long a request waits for its reviews where a policy does not say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalog:
    """The outside names that a bundle may use.

    Attributes:
        labels: allowed values by label; None is any string.
        redaction: profiles, each with those it is stricter than.
    """

    groups: frozenset[str] = frozenset()
    rotas: frozenset[str] = frozenset()
    sources: frozenset[str] = frozenset()
    channels: frozenset[str] = frozenset()
    trackers: frozenset[str] = frozenset()
    labels: Mapping[str, frozenset[str] | None] = field(default_factory=dict)
    redaction: Mapping[str, frozenset[str]] = field(default_factory=dict)


class Combine(StrEnum):
    """How the answers for several values of a label become one."""

    ALL = "all"
    ANY = "any"


@dataclass(frozen=True, slots=True, kw_only=True)
class FactRule:
    """What a fact is, and who is asked for it.

    Attributes:
        name: as conditions write it, such as ``ctx.on_call``.
        optional: it may not exist, which is an answer and no fault.
        provider: `identity`, `gateway`, or one that the server has by this name.
        per: the label for each of whose requested values it is asked; None asks once.
        combine: for a bool with `per`; a record has to be the same for all values.
        max_age_s: how old an answer may be; None for what is known of the call itself.
        span: the least and the greatest whole number that it may be.
    """

    name: str
    type: Type
    optional: bool = False
    provider: str
    per: str | None = None
    combine: Combine | None = None
    max_age_s: int | None = None
    span: tuple[int, int] | None = None
    at: At


@dataclass(frozen=True, slots=True)
class StandInRule:
    """Whom a member of a set may name to review in their place, one at a time and for so many seconds at most."""

    approvers: tuple[str, ...]
    max_s: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RiskTerm:
    """One term of the risk of a request: its points count unless the condition is certainly false.

    Attributes:
        add: 1 to 100; the sum counts to 100.
        show: what people read of it.
    """

    id: str
    add: int
    condition: Condition
    show: str
    at: At


@dataclass(frozen=True, slots=True, kw_only=True)
class ApproverSet:
    """A named set of approvers: members of `any_of` who are in none of `none_of`."""

    id: str
    any_of: tuple[str, ...]
    none_of: tuple[str, ...] = ()
    at_least: int = 1
    stand_ins: StandInRule | None = None
    at: At


@dataclass(frozen=True, slots=True, kw_only=True)
class Who:
    """Whom a policy is for. Empty `any_of` is nobody and is refused at load."""

    kinds: frozenset[Kind] = frozenset({Kind.HUMAN})
    any_of: tuple[str, ...]
    none_of: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ScopeRule:
    """One entry of `scopes`; a requested scope must lie inside a single one."""

    sources: tuple[str, ...]
    selector: Selector
    level_from: Level | None
    contains: tuple[str, ...]
    lookback_s: int
    live: bool


@dataclass(frozen=True, slots=True)
class TicketRule:
    """A ticket that has to be named; `key` is matched in full.

    Attributes:
        state: what the fact about the ticket has to say; None asks nobody.
    """

    tracker: str
    key: str
    state: Condition | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class InputRule:
    """A field of a policy's own in the request form: a claim, which conditions read as ``ask.<name>``."""

    name: str
    type: Bool | Int | Text
    label: str
    required: bool


@dataclass(frozen=True, slots=True)
class AskRule:
    """What the requester has to tell."""

    reason_min: int = 1
    ticket: TicketRule | None = None
    inputs: tuple[InputRule, ...] = ()


@dataclass(frozen=True, slots=True)
class RevealRule:
    """Which masked values a policy lets people ask to see, one a request, and who has to agree.

    Attributes:
        classes: each allows itself and what is below it; there is no word for all.
    """

    classes: tuple[str, ...]
    stages: tuple[Stage, ...]


class Otherwise(StrEnum):
    """What becomes of a grant whose `keep` does not hold any more."""

    SUSPEND = "suspend"
    REVOKE = "revoke"


@dataclass(frozen=True, slots=True, kw_only=True)
class KeepRule:
    """What has to stay true while a grant is active, looked at every so many seconds."""

    when: Condition
    every_s: int
    otherwise: Otherwise


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantRule:
    """What a policy gives; without `reveal` it shows no masked value.

    Attributes:
        cut_on_change: what a new bundle takes away ends open sessions at once.
        network_bound: it is useless from another network than the one from which it was asked for.
        pseudonyms: where equal values have equal pseudonyms.
        ack: what has to be true of the record before anything under it is acknowledged.
        extend: how often it may be extended, and by how much; None is never.
    """

    default_s: int
    max_s: int
    activate_within_s: int = ACTIVATE_WITHIN_S
    single_use: bool = False
    idle_timeout_s: int | None = None
    limits: Limits = field(default_factory=Limits)
    redaction: str
    reveal: RevealRule | None = None
    cut_on_change: bool = False
    network_bound: bool = False
    pseudonyms: KeyScope = KeyScope.GRANT
    ack: Ack = Ack.DURABLE
    keep: KeepRule | None = None
    extend: ExtendRule | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tightening:
    """What a route takes away from the grant of its policy; None leaves a value as it is."""

    max_s: int | None = None
    activate_within_s: int | None = None
    single_use: bool = False
    idle_timeout_s: int | None = None
    limits: Limits = field(default_factory=Limits)
    redaction: str | None = None
    network_bound: bool = False
    pseudonyms: KeyScope | None = None
    ack: Ack | None = None
    extend: ExtendRule | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AfterRule:
    """Who looks at it afterwards, where nobody has to approve.

    Attributes:
        within_s: it is late after so many seconds.
        escalate_to: approvers who may do it, too, once it is late.
    """

    slots: Slots
    within_s: int
    escalate_to: tuple[str, ...] = ()

    @property
    def stage(self) -> Stage:
        """The one stage of its plan."""
        return Stage(blocks=(self.slots,))


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One way to a grant: automatic, or through stages; never neither.

    Attributes:
        condition: when it is taken; None for the last one, which takes all that is left.
        after_review: only automatic ones have it.
        notify: who is told of a grant of this route; None is nobody else.
    """

    number: int
    condition: Condition | None = None
    auto: bool
    stages: tuple[Stage, ...]
    grant: Tightening
    after_review: AfterRule | None = None
    notify: tuple[str, ...] | None = None
    at: At


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessPolicy:
    """Who may be offered what, and who has to agree.

    Attributes:
        when: what must hold besides; None is nothing.
        routes: in the order in which they are tried.
        approver_when: what must hold for whoever reviews, when they do; None is nothing.
    """

    id: str
    title: str
    owner: str | None
    review_by: date | None
    exclusive: bool
    discoverable: bool
    who: Who
    scopes: tuple[ScopeRule, ...]
    ask: AskRule
    when: Condition | None = None
    grant: GrantRule
    routes: tuple[Route, ...]
    approver_when: Condition | None = None
    pending_max_s: int
    at: At


@dataclass(frozen=True, slots=True)
class Rate:
    """How often the glass may be broken.

    Attributes:
        per_person: so many times; the next one is refused.
        window_s: counted back from now.
        alarm_at: so many times by everybody together raise an alarm and stop nobody.
    """

    per_person: int
    window_s: int
    alarm_at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakGlass:
    """Who gets what in an emergency, at once; it is asked only by those who say that it is one.

    Attributes:
        policy: whom it is for, which scopes it has and what it gives, by one automatic route with an after-review.
        step_up_s: so recent must the sign-in be.
        notify: channels and people who are told.
    """

    id: str
    policy: AccessPolicy
    step_up_s: int
    notify: tuple[str, ...]
    rate: Rate
    at: At


@dataclass(frozen=True, slots=True, kw_only=True)
class Applies:
    """Which requests a guardrail is about: overlap is enough. None of `sources` is every source."""

    sources: frozenset[str] | None
    selector: Selector


@dataclass(frozen=True, slots=True, kw_only=True)
class Caps:
    """Upper bounds that a guardrail sets."""

    duration_s: int | None = None
    lookback_s: int | None = None
    limits: Limits = field(default_factory=Limits)


@dataclass(frozen=True, slots=True, kw_only=True)
class Guardrail:
    """An organisation-wide ban, cap or additional stage; it never allows anything.

    Attributes:
        condition: it applies unless this is certainly false; None is always.
        notify: who is told of each grant that it applies to; None is nobody else.
        network_bound: it binds each grant that it applies to, as `GrantRule` does.
        pseudonyms: how far pseudonyms may reach; None bounds nothing.
        ack: what has to be true at least of the record of what it applies to; None demands nothing.
    """

    id: str
    title: str
    enforced: bool
    even_break_glass: bool
    applies: Applies
    condition: Condition | None = None
    caps: Caps
    at_least: str | None
    deny: bool
    require: Stage | None
    notify: tuple[str, ...] | None = None
    network_bound: bool = False
    pseudonyms: KeyScope | None = None
    ack: Ack | None = None
    help: str
    at: At
