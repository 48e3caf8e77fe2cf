"""What a decision found: its offers, and for every guardrail and policy the steps that led there."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import cached_property
from typing import Final, Protocol

from loglease.model.access_request import Wish
from loglease.model.instant import Instant
from loglease.model.offer import Offer
from loglease.model.principal import Principal
from loglease.model.selector_text import selector_text
from loglease.model.words import plain, window_in_words
from loglease.policy.conditions.values import Value
from loglease.policy.documents import AccessPolicy, Guardrail
from loglease.policy.observed import Facts
from loglease.policy.plan import Refusal


class StepName(StrEnum):
    """The questions that a policy is asked, in order."""

    BUNDLE = "bundle"
    GUARDRAIL = "guardrail"
    WHO = "who"
    SCOPE = "scope"
    PROFILE = "profile"
    REVEAL = "reveal"
    EXTEND = "extend"
    ASK = "ask"
    WHEN = "when"
    STANDING = "standing"
    KEEP = "keep"
    ROUTE = "route"
    PLAN = "plan"
    EXCLUSIVE = "exclusive"
    SHAPE = "shape"


class Fix(StrEnum):
    """What a person can do about a no; the list is closed."""

    SIGN_IN = "sign_in"
    ATTACH_TICKET = "attach_ticket"
    FILL_INPUT = "fill_input"
    NARROW = "narrow"
    SPLIT = "split"
    SHORTEN = "shorten"
    CHOOSE_OFFER = "choose_offer"
    WAIT_FOR_SOURCE = "wait_for_source"
    ASK_OWNER = "ask_owner"
    BREAK_GLASS = "break_glass"


@dataclass(frozen=True, slots=True)
class Seen:
    """A fact that a condition read.

    Attributes:
        name: as the condition writes it.
        value: a span of time is written as in ISO 8601; what is no plain value, or is not known, in words.
        age_us: how long ago it was true, in microseconds; None where that is not known.
    """

    name: str
    value: bool | int | str
    provider: str
    age_us: int | None


@dataclass(frozen=True, slots=True)
class Step:
    """The answer to one question.

    Attributes:
        leaf: the part of a condition that the step is about.
        seen: the facts that it read.
        is_fault: nobody can tell, which counts as a no.
        refusal: the error to show if nothing but this step stands in the way.
    """

    name: StepName
    ok: bool
    text: str
    fix: Fix | None = None
    refusal: Refusal | None = None
    leaf: str | None = None
    seen: tuple[Seen, ...] = ()
    is_fault: bool = False


@dataclass(frozen=True, slots=True)
class GuardrailTrace:
    """One guardrail, and whether it is about this request. One that only observes changes nothing.

    Attributes:
        overlaps: the request has something of what it is about, so that its condition is asked.
        read: gives what its condition reads.
    """

    guardrail: Guardrail
    applies: bool
    overlaps: bool
    read: Callable[[], Mapping[str, Value]] = field(repr=False, compare=False)

    @property
    def roots(self) -> Mapping[str, Value]:
        """What its condition reads."""
        return self.read()


@dataclass(frozen=True, slots=True)
class PolicyTrace:
    """One policy: its answers, and its offer if all of them are yes.

    Attributes:
        roots: what its conditions read.
        routes: its routes in the order of their trial up to the one that is taken, where there is a choice and the
            answer is to be explained. That one is not taken is no fault of the request.
    """

    policy: AccessPolicy
    steps: tuple[Step, ...]
    offer: Offer | None
    refusal: Refusal | None
    roots: Mapping[str, Value] = field(repr=False, compare=False)
    routes: tuple[Step, ...] = ()

    def failed(self) -> frozenset[StepName]:
        """Return the questions that were answered with no."""
        return frozenset(step.name for step in self.steps if not step.ok)

    @property
    def is_for(self) -> bool:
        """Whether the policy is for the principal who asked."""
        return StepName.WHO not in self.failed()


EXPIRED: Final = "bundle"
"""The rule that a refusal names once the bundle has expired."""
DENIED: Final = "policy_denied"
"""The code of a denial for which there is no nearer one."""
Answers = Callable[[Iterable[AccessPolicy] | None], tuple[PolicyTrace, ...]]
"""Asks some policies, or all of them where None is given."""


class Remedies(Protocol):
    """Finds out by trying what would help with a denial."""

    def narrowed(self, found: Decision) -> tuple[tuple[str, Wish], ...]:
        """Return smaller wishes that would get an offer, each with the id of a policy that makes it."""

    def shorter_s(self, found: Decision) -> int | None:
        """Return for how many seconds at most it would be offered; None if less time is no help."""

    def opens_glass(self, found: Decision) -> bool:
        """Say whether the person may break the glass for what was asked."""


@dataclass(frozen=True, kw_only=True)
class Decision:
    """Offers, or a denial with its reasons; no offers is a denial.

    What only explanations need is found out when it is asked for.

    Attributes:
        facts: what was known of facts.
        read: gives what conditions read, but for what is a policy's own.
        bans: what stands in the way of any offer: the bundle has expired, or guardrails forbid it.
        asked: all policies of the bundle that such a wish is put to.
        named: gives the policies that name the principal who asked.
        answers: asks policies what they say.
        remedies: finds what would help with a denial; None where nobody asks for that.
    """

    bundle_sha256: str
    revision: int
    decided_at: Instant
    principal: Principal
    wish: Wish
    offers: tuple[Offer, ...]
    guardrails: tuple[GuardrailTrace, ...]
    facts: Facts
    read: Callable[[], Mapping[str, Value]] = field(repr=False, compare=False)
    bans: tuple[Step, ...]
    asked: tuple[AccessPolicy, ...] = field(repr=False, compare=False)
    named: Callable[[], tuple[AccessPolicy, ...]] = field(repr=False, compare=False)
    answers: Answers = field(repr=False, compare=False)
    remedies: Remedies | None = field(repr=False, compare=False)

    @property
    def roots(self) -> Mapping[str, Value]:
        """What conditions read, but for what is a policy's own."""
        return self.read()

    @cached_property
    def policies(self) -> tuple[PolicyTrace, ...]:
        """What every policy of the bundle says."""
        return self.answers(None)

    @cached_property
    def own(self) -> tuple[PolicyTrace, ...]:
        """What the policies say that are for the principal who asked."""
        return tuple(one for one in self.answers(self.named()) if one.is_for)

    def own_and(self, others: Callable[[AccessPolicy], bool]) -> tuple[PolicyTrace, ...]:
        """Return what the own policies say, and those others that are chosen; nobody else is asked."""
        known = {one.policy.id for one in self.own}
        chosen = [one for one in self.asked if one.id not in known and others(one)]
        return (*self.own, *self.answers(chosen))

    @cached_property
    def narrowed(self) -> tuple[Wish, ...]:
        """Smaller wishes that would get an offer, ready to submit; none where there is one already."""
        return tuple(wish for _, wish in self.narrowed_by)

    @cached_property
    def narrowed_by(self) -> tuple[tuple[str, Wish], ...]:
        """The same, each with the id of a policy that would offer it."""
        return () if self.offers or self.remedies is None else self.remedies.narrowed(self)

    @cached_property
    def shorter_s(self) -> int | None:
        """For how many seconds at most it would be offered, where it is denied for its duration; else None."""
        return None if self.offers or self.remedies is None else self.remedies.shorter_s(self)

    @cached_property
    def opens_glass(self) -> bool:
        """Whether it is denied, and a BreakGlass document is for this person, covers it and is not closed to them."""
        return not self.offers and self.remedies is not None and self.remedies.opens_glass(self)

    def offer_of(self, policy: str) -> Offer | None:
        """Return the offer of one policy."""
        return next((one for one in self.offers if one.policy == policy), None)

    @property
    def refusal(self) -> Refusal | None:
        """Why there is no offer, in words for the requester; None if there is one.

        A guardrail's ban comes first; then what a policy that is for this person lacks, if it lacks one thing only.
        """
        if self.offers:
            return None
        refusal = self._first
        if refusal is None:
            return self._denied()
        is_ban = refusal.code == "guardrail_denied" and bool(self.narrowed)
        return replace(refusal, next_step=self._less()) if is_ban else refusal

    @property
    def code(self) -> str | None:
        """The code of the refusal, without what would help; None where there is an offer."""
        if self.offers:
            return None
        return DENIED if self._first is None else self._first.code

    @cached_property
    def _first(self) -> Refusal | None:
        reasons = [step.refusal for step in self.bans] or [one.refusal for one in self._nearest()]
        found = {one.code: one for one in reasons if one is not None}
        return next((found[code] for code in CODES if code in found), None)

    def _nearest(self) -> list[PolicyTrace]:
        return [one for one in self.own if len(one.failed()) == 1]

    def _denied(self) -> Refusal:
        step = "Ask for a source, streams and times that a policy of yours covers, or ask the owner of the logs."
        if self.narrowed:
            step = self._less()
        elif not self.own:
            step = "Ask the owner of the logs which policy is for you."
        if self.wish.break_glass and not self.narrowed:
            step = "Ask for access that somebody approves."
        what = "BreakGlass document" if self.wish.break_glass else "policy"
        return Refusal(code=DENIED, message=f"No {what} offers this to you.", next_step=step)

    def _less(self) -> str:
        """Say what would be offered instead, as it can be asked for."""
        scope = self.narrowed[0].scopes[0]
        level = "" if scope.level_from is None else f" from level {scope.level_from}"
        text = f"{plain(selector_text(scope.selector))} on {plain(scope.source)}{level}"
        return f"Ask for less: {text}, {window_in_words(scope.window)}."


CODES: Final = (
    "guardrail_denied",
    "policy_denied",
    "extension_not_allowed",
    "reason_required",
    "ticket_required",
    "ticket_invalid",
    "input_required",
    "profile_unknown",
    "no_eligible_approver",
)
"""Why a decision makes no offer, what is told first in front."""
