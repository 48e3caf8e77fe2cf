"""What a decision found: its offers, and for every guardrail and policy the steps that led there."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from loglease.model.access_request import Wish
from loglease.model.instant import Instant
from loglease.model.offer import Offer
from loglease.model.principal import Principal
from loglease.model.selector_text import selector_text
from loglease.model.words import plain, window_in_words
from loglease.policy.documents import AccessPolicy, Guardrail
from loglease.policy.plan import Refusal


class StepName(StrEnum):
    """The questions that a policy is asked, in order."""

    GUARDRAIL = "guardrail"
    WHO = "who"
    SCOPE = "scope"
    PROFILE = "profile"
    REVEAL = "reveal"
    ASK = "ask"
    WHEN = "when"
    PLAN = "plan"
    EXCLUSIVE = "exclusive"
    SHAPE = "shape"


class Fix(StrEnum):
    """What a person can do about a no; part of a closed list."""

    ATTACH_TICKET = "attach_ticket"
    FILL_INPUT = "fill_input"
    NARROW = "narrow"
    SHORTEN = "shorten"
    CHOOSE_OFFER = "choose_offer"
    ASK_OWNER = "ask_owner"


@dataclass(frozen=True, slots=True)
class Step:
    """The answer to one question.

    Attributes:
        refusal: the error to show if nothing but this step stands in the way.
    """

    name: StepName
    ok: bool
    text: str
    fix: Fix | None = None
    refusal: Refusal | None = None


@dataclass(frozen=True, slots=True)
class GuardrailTrace:
    """One guardrail, and whether it is about this request. One that only observes changes nothing."""

    guardrail: Guardrail
    applies: bool


@dataclass(frozen=True, slots=True)
class PolicyTrace:
    """One policy: its answers, and its offer if all of them are yes."""

    policy: AccessPolicy
    steps: tuple[Step, ...]
    offer: Offer | None
    refusal: Refusal | None

    def failed(self) -> frozenset[StepName]:
        """Return the questions that were answered with no."""
        return frozenset(step.name for step in self.steps if not step.ok)

    @property
    def is_for(self) -> bool:
        """Whether the policy is for the principal who asked."""
        return StepName.WHO not in self.failed()


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """Offers, or a denial with its reasons; no offers is a denial.

    Attributes:
        narrowed: smaller wishes that would get an offer, ready to submit.
    """

    bundle_sha256: str
    revision: int
    decided_at: Instant
    principal: Principal
    wish: Wish
    offers: tuple[Offer, ...]
    guardrails: tuple[GuardrailTrace, ...]
    policies: tuple[PolicyTrace, ...]
    narrowed: tuple[Wish, ...] = ()

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
        found = {one.refusal.code: one.refusal for one in self._nearest() if one.refusal is not None}
        for code in _ORDER:
            if code in found:
                refusal = found[code]
                is_ban = code == "guardrail_denied" and bool(self.narrowed)
                return replace(refusal, next_step=self._less()) if is_ban else refusal
        return self._denied()

    def _nearest(self) -> list[PolicyTrace]:
        banned = [one for one in self.policies if StepName.GUARDRAIL in one.failed()]
        return banned or [one for one in self.policies if one.is_for and len(one.failed()) == 1]

    def _denied(self) -> Refusal:
        step = "Ask for a source, streams and times that a policy of yours covers, or ask the owner of the logs."
        if self.narrowed:
            step = self._less()
        elif not any(one.is_for for one in self.policies):
            step = "Ask the owner of the logs which policy is for you."
        return Refusal(code="policy_denied", message="No policy offers this to you.", next_step=step)

    def _less(self) -> str:
        """Say what would be offered instead, as it can be asked for."""
        scope = self.narrowed[0].scopes[0]
        level = "" if scope.level_from is None else f" from level {scope.level_from}"
        text = f"{plain(selector_text(scope.selector))} on {plain(scope.source)}{level}"
        return f"Ask for less: {text}, {window_in_words(scope.window)}."


_ORDER = (
    "guardrail_denied",
    "policy_denied",
    "reason_required",
    "ticket_required",
    "ticket_invalid",
    "profile_unknown",
    "no_eligible_approver",
)
