"""Explanations and answers to "who can?" as clients get them. Spans of time in them are ISO 8601, such as `PT2H`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from loglease.model.offer import Outcome
from loglease.model.principal import Kind
from loglease.model.scope import Level
from loglease.policy.simulation import Change
from loglease.policy.trace import Fix
from loglease.server.api.fields import At, Count, Digest, RequestIdText, Resource

Span = Annotated[str, Field(pattern=r"^P[0-9DTHMS]+$", examples=["PT2H"])]
Ok = Annotated[Literal[True, False, "fault"], Field(description="`fault` where nobody can tell, which counts as a no.")]


class BundleExplained(Resource):
    """By which documents it was decided."""

    revision: Count
    hash: Annotated[str, Field(pattern="^sha256:[0-9a-f]{64}$")]


class ScopeExplained(Resource):
    """What was asked for, also in words."""

    source: str
    selector: str
    from_ns: str
    to_ns: str | None = None
    live: bool
    level_from: Level | None = None
    contains: list[str] | None = None
    profile: str | None = None
    words: str


class WishExplained(Resource):
    """A wish: what, and for how long."""

    scopes: list[ScopeExplained]
    duration: Span | None = None
    break_glass: bool | None = None


class AskedExplained(WishExplained):
    """The wish that was decided on, and whose it is."""

    by: str


class PlanExplained(Resource):
    """Who has to agree: stage after stage, in words."""

    origin: Annotated[str, Field(description="The policy or guardrail that demands it.")]
    stages: list[str]


class AfterExplained(Resource):
    """Who looks at it afterwards, and by when."""

    within: Span
    plans: list[PlanExplained]


class OfferExplained(Resource):
    """An offer, with the route that it takes."""

    offer: int
    policy: str
    rule: str
    outcome: Outcome
    duration: Span
    redaction: str
    approvals: Count
    plans: list[PlanExplained]
    bind: Annotated[list[str] | None, Field(description="What the grant is bound to, such as `network`.")] = None
    route: int | None = None
    after_review: AfterExplained | None = None


class CapsExplained(Resource):
    """Upper bounds of a guardrail."""

    duration: Span | None = None
    lookback: Span | None = None
    lines: int | None = None
    bytes: int | None = None
    subjects: int | None = None
    queries: int | None = None
    queries_per_min: int | None = None
    tails: int | None = None


class GuardrailExplained(Resource):
    """A guardrail that applies; to those who see everything also one that does not."""

    id: str
    title: str
    applies: bool
    mode: Literal["enforce", "observe"]
    deny: bool | None = None
    caps: CapsExplained | None = None
    at_least: str | None = None
    bind: list[str] | None = None
    require: str | None = None
    leaf: str | None = None
    help: str | None = None


class FactExplained(Resource):
    """What was read of a fact, who said so, and how old that is."""

    name: str
    value: bool | int | str
    provider: str
    age: Span | None = None


class StepExplained(Resource):
    """The answer to one question; of a condition, to one part of it."""

    step: str
    ok: Ok
    text: str | None = None
    leaf: str | None = None
    value: bool | int | str | None = None
    provider: str | None = None
    age: Span | None = None
    facts: Annotated[list[FactExplained] | None, Field(description="Where a part reads more than one.")] = None
    fix: Fix | None = None
    advice: str | None = None


class PolicyExplained(Resource):
    """What one policy says, question by question."""

    id: str
    title: str
    at: Annotated[str | None, Field(description="Its place, for those who see everything.")] = None
    owner: str | None = None
    offer: bool
    steps: list[StepExplained]
    routes: list[StepExplained] | None = None


class RefusalExplained(Resource):
    """How sending it would be refused."""

    code: str
    message: str


class ExplanationShown(Resource):
    """Why policy offers what it offers, and what would help. Approvers and owners get no advice: it is not theirs."""

    outcome: Literal["offer", "deny"]
    bundle: BundleExplained
    engine: int
    asked: AskedExplained
    offers: list[OfferExplained]
    guardrails: list[GuardrailExplained]
    policies: Annotated[list[PolicyExplained], Field(description="At most twenty, the nearest first.")]
    narrow_to: list[WishExplained] | None = None
    shorten_to: Span | None = None
    refusal: RefusalExplained | None = None
    next: Annotated[list[Fix] | None, Field(description="What whoever asked can do.")] = None


class Explanation(Resource):
    """Why a request has the offer that it has."""

    request: RequestIdText
    policy: str
    rule: str
    bundle_sha256: Digest
    revision: int
    explanation: list[str]
    explained: Annotated[
        ExplanationShown | None,
        Field(
            description="What the policy in force says of it as it was submitted, as far as the caller may know. "
            "Absent for a reveal."
        ),
    ] = None


class WhyShown(Resource):
    """A question that was answered with no."""

    step: str
    text: str


class AnswerShown(Resource):
    """What a policy would offer to those whom it names."""

    id: str
    title: str
    at: str
    for_: Annotated[list[str], Field(alias="for")]
    kind: Kind
    outcome: Literal["auto", "review", "break_glass", "deny"]
    duration: Span | None = None
    redaction: str | None = None
    approvals: int | None = None
    plans: list[PlanExplained] | None = None
    why: list[WhyShown] | None = None


class WhoCanShown(Resource):
    """To whom a scope would be offered, by policy; offers first. Reason, ticket and approvers are left aside."""

    bundle: BundleExplained
    asked: WishExplained
    policies: list[AnswerShown]


class CaseShown(Resource):
    """One recorded decision, and what would become of it."""

    account: str
    request: Annotated[RequestIdText | None, Field(description="Absent where it was denied.")] = None
    before: str
    after: str


class KindShown(Resource):
    """How many decisions change in one way, of those who are in one group."""

    kind: Change
    group: Annotated[str, Field(description="Empty for those in no group.")]
    count: Count
    examples: list[CaseShown]


class SimulationShown(Resource):
    """What other documents would make of recorded decisions, beside what those in force make of them now."""

    since: At
    in_force: BundleExplained
    bundle_sha256: Digest
    replayed: Count
    same: Count
    changed: Count
    undecided: Annotated[dict[str, Count], Field(description="How many cannot be decided again, by reason.")]
    kinds: list[KindShown]
