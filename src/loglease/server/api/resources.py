"""What the API answers. Absent fields are left out, never null; every scope carries its sentence in `words`."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Generic, TypeVar

from pydantic import Field

from loglease.model.access_request import RequestState
from loglease.model.ack import Ack
from loglease.model.grant import EndWhy, GrantState
from loglease.model.key_scope import KeyScope
from loglease.model.offer import Outcome
from loglease.model.principal import Kind, Role
from loglease.model.review import Channel, Verdict
from loglease.model.rights import Right
from loglease.model.scope import Level
from loglease.model.session import CloseWhy, Front, SessionKind, SessionState
from loglease.server.api.after_reviews import AfterReviewShown
from loglease.server.api.extensions import ExtensionShown
from loglease.server.api.fields import (
    At,
    Count,
    Digest,
    EventNs,
    GrantIdText,
    LockIdText,
    Network,
    NetworkBound,
    PersonIdText,
    PrincipalIdText,
    RequestIdText,
    Resource,
    ReviewIdText,
    Seconds,
    SessionIdText,
    TokenIdText,
    TokenKind,
)
from loglease.server.api.plans import PlanShown
from loglease.server.api.reveals import RevealShown

Item = TypeVar("Item")


class Page(Resource, Generic[Item]):
    """One page of a list; `next` is the cursor of the following one and absent on the last."""

    items: list[Item]
    next: str | None = None


class Window(Resource):
    """Which event times: from `from_ns` to before `to_ns`, or live, to the end of the grant."""

    from_ns: EventNs
    to_ns: EventNs | None = None
    live: bool


class ScopeShown(Resource):
    """What may be read, for programs and, in `words`, for people."""

    source: str
    selector: str
    all_streams: bool
    window: Window
    level_from: Level | None = None
    contains: list[str] = Field(default_factory=list)
    profile: str | None = None
    words: Annotated[str, Field(description="The scope as one English sentence, the same at every door.")]


class LimitsShown(Resource):
    """Budgets; an absent one is no limit."""

    lines: int | None = None
    bytes: int | None = None
    subjects: int | None = None
    queries: int | None = None
    queries_per_min: int | None = None
    tails: int | None = None


Pseudonyms = Annotated[
    KeyScope,
    Field(
        description="Where equal values have equal pseudonyms: in this grant; in those of its policy that are made on "
        "the same day of UTC; or in all of this deployment that reach as far."
    ),
]


Recording = Annotated[
    Ack,
    Field(
        description="What policy demands of the record of each answer before it leaves: that the database has it; that "
        "a signed head of the audit log covers it; or that witnesses have cosigned such a head. The server's own "
        "setting may demand more."
    ),
]


class OfferShown(Resource):
    """One policy's answer: what it would grant, for how long, with which approvals."""

    number: int
    policy: str
    rule: str
    outcome: Outcome
    plans: list[PlanShown]
    need: Annotated[int, Field(description="The number of approvals that can suffice.")]
    scopes: list[ScopeShown]
    duration_s: Seconds
    limits: LimitsShown
    activate_within_s: Seconds
    review_within_s: Seconds
    single_use: bool
    idle_timeout_s: Seconds | None = None
    network_bound: NetworkBound
    network: Network = None
    pseudonyms: Pseudonyms
    audit: Recording
    words: str


class Offers(Resource):
    """What policy answers to a draft. Nothing was changed."""

    offers: list[OfferShown]
    explanation: Annotated[list[str], Field(description="Which rules decided, as far as the caller may know them.")]
    code: Annotated[
        str | None, Field(description="Where nothing is offered: the problem code that submitting would get.")
    ] = None
    words: str


class Who(Resource):
    """A principal as others may see them."""

    id: PrincipalIdText
    account: str
    name: str
    kind: Kind


class ReviewShown(Resource):
    """One person's decision."""

    id: ReviewIdText
    request: RequestIdText
    reviewer: Who
    stands_for: Who | None = None
    verdict: Verdict
    digest: Digest
    comment: str
    given_at: At
    channel: Channel
    narrowed: list[ScopeShown] | None = None
    narrowed_duration_s: Seconds | None = None
    words: str | None = None


class RequestShown(Resource):
    """An access request: the wish, the offer it took, and what became of it."""

    id: RequestIdText
    state: RequestState
    requester: Who
    scopes: list[ScopeShown]
    reason: str
    ticket: str | None = None
    duration_s: Seconds
    limits: LimitsShown
    offer: OfferShown
    reveal: Annotated[RevealShown | None, Field(description="The one value that is asked for.")] = None
    extends: Annotated[GrantIdText | None, Field(description="The grant that it goes on from, where that ends.")] = None
    digest: Digest
    eligible: Annotated[list[Who], Field(description="Who could review when it was submitted.")]
    reviews: list[ReviewShown]
    approvals: Annotated[int, Field(description="Approvals given so far.")]
    need: Annotated[int, Field(description="Approvals that can suffice by now; a newer policy may demand more.")]
    plans: Annotated[list[PlanShown], Field(description="All that is demanded by now.")]
    may_review: Annotated[bool, Field(description="Whether the caller is among those who may decide it now.")]
    submitted_at: At
    expires_at: At
    decided_at: At | None = None
    decided_by: Who | None = None
    cause: str | None = None
    grant: GrantIdText | None = None
    after_review: AfterReviewShown | None = None
    words: str
    version: int


class Reviewed(Resource):
    """What a review led to; `grant` is there once the request is approved."""

    review: ReviewShown
    request: RequestShown
    grant: GrantIdText | None = None


class Terms(Resource):
    """Exactly what is decided: `terms` are the digested bytes, `private` opens the commitments in them."""

    request: RequestIdText
    digest: Digest
    terms: Annotated[str, Field(description="The canonical JSON whose SHA-256 is the digest.")]
    private: Annotated[
        dict[str, tuple[str, str]], Field(description="Salt (hex) and clear text behind each commitment, by field.")
    ]
    words: str


class TimelineStep(Resource):
    """One thing that happened, as the audit log has it."""

    at: At
    type: str
    entry: str
    actor: str
    text: str


class Timeline(Resource):
    """What happened to a request and its grant, oldest first."""

    items: list[TimelineStep]


class HoldKind(StrEnum):
    """What holds a grant."""

    LOCK = "lock"
    SUSPENSION = "suspension"


class HoldShown(Resource):
    """Why a grant may not be used for now."""

    kind: HoldKind
    cause: str
    reason: str
    by: Annotated[Who | None, Field(description="Who suspended it; not said of locks.")] = None
    since: At
    until: At | None = None


class AccountShown(Resource):
    """What a session handed over; what is uncertain was recorded and perhaps not handed over."""

    lines: Count
    bytes: Count
    uncertain_lines: Count
    uncertain_bytes: Count


class SessionShown(Resource):
    """One use of one grant by one client."""

    id: SessionIdText
    grant: GrantIdText
    principal: Who
    kind: SessionKind
    front: Front
    state: SessionState
    opened_at: At
    closed_at: At | None = None
    why: CloseWhy | None = None
    account: AccountShown


class Spent(Resource):
    """Budgets of a grant: spent or reserved, and what is left where there is a limit."""

    lines: Count
    bytes: Count
    queries: Count
    subjects: Annotated[Count, Field(description="Counted where there is a limit; whoever is stays free.")] = 0
    lines_left: Count | None = None
    bytes_left: Count | None = None
    subjects_left: Count | None = None


class GrantShown(Resource):
    """The right to read: both clocks, budgets, holds."""

    id: GrantIdText
    state: GrantState
    request: RequestIdText
    holder: Who
    policy: str
    basis: Outcome
    scopes: list[ScopeShown]
    duration_s: Seconds
    limits: LimitsShown
    spent: Spent
    single_use: bool
    idle_timeout_s: Seconds | None = None
    network_bound: NetworkBound
    network: Network = None
    pseudonyms: Pseudonyms
    audit: Recording
    digest: Digest
    reviews: list[ReviewIdText]
    holds: list[HoldShown]
    open_sessions: Count
    submitted_at: Annotated[At, Field(description="When it was asked for; lookbacks count from there.")]
    scheduled_at: At
    activate_by: At
    valid_from: At | None = None
    valid_until: At | None = None
    ended_at: At | None = None
    ended_why: EndWhy | None = None
    ended_by: Who | None = None
    reason: str | None = None
    logs: Annotated[
        str, Field(description="Where its lines are read.", examples=["/g/grt_01JDC91T7KT9YV2K3R5W7X87XK/logs"])
    ]
    reveal: Annotated[RevealShown | None, Field(description="The one value that it shows; it reads no lines.")] = None
    extends: Annotated[GrantIdText | None, Field(description="The grant that it goes on from.")] = None
    starts_at: Annotated[At | None, Field(description="It begins by itself then, where that one ends.")] = None
    extension: Annotated[ExtensionShown | None, Field(description="How it may go on itself.")] = None
    words: str
    version: int


class Usage(Resource):
    """What was read under a grant."""

    grant: GrantIdText
    spent: Spent
    sessions: list[SessionShown]


class RevocationShown(Resource):
    """One act of revocation, and how far it has reached. It never claims more than was confirmed."""

    id: Annotated[str, Field(description="`rvk_…`; for a grant that was revoked before, the grant's own id.")]
    on: str
    reason: str
    by: Annotated[Who | None, Field(description="Null where the policy asked for it: `grant.keep`.")]
    at: At
    durable: Annotated[bool, Field(description="False: journalled on this machine, the database did not answer.")]
    grants: list[GrantIdText]
    sessions_ended: list[SessionIdText]
    sessions_ending: list[SessionIdText]


class RevocationPreview(Resource):
    """What an act of revocation would end, as of now."""

    on: str
    grants: list[GrantShown]
    requests: Annotated[list[RequestIdText], Field(description="Undecided requests that it would cancel.")]


class LockShown(Resource):
    """A lock: while it is in force nothing that it matches can be used."""

    id: LockIdText
    on: str
    reason: str
    added_by: Who
    added_at: At
    until: At | None = None
    lifted_at: At | None = None
    lifted_by: Who | None = None
    in_force: bool
    durable: Annotated[bool, Field(description="False: journalled on this machine, the database did not answer.")] = (
        True
    )
    sessions_ended: list[SessionIdText] = Field(default_factory=list)
    sessions_ending: list[SessionIdText] = Field(default_factory=list)


class SourceShown(Resource):
    """A configured source."""

    id: str
    kind: str
    description: str
    follow: bool
    ok: bool
    labels: Annotated[list[str], Field(description="Label names that a scope may constrain.")]


class LabelShown(Resource):
    """One label of a source that the caller may ask for."""

    name: str
    values: Annotated[list[str], Field(description="The values that policy names; none of them is read from logs.")]
    open: Annotated[bool, Field(description="Whether other values may be asked for, too.")]


class PrincipalShown(Resource):
    """A login, for administrators and for its owner."""

    id: PrincipalIdText
    issuer: str
    account: str
    kind: Kind
    person: PersonIdText
    subject: Annotated[str, Field(description="What the audit log calls them.")]
    name: str
    email: str | None = None
    groups: list[str]
    roles: list[Role]
    enabled: bool


class PrincipalAdded(Resource):
    """A new login; the generated password is shown this once."""

    principal: PrincipalShown
    password: str | None = None


class PasswordIssued(Resource):
    """A login with its new generated password, which is shown this once."""

    principal: PrincipalShown
    password: str


class PersonShown(Resource):
    """A human being and their logins."""

    id: PersonIdText
    principals: list[Who]
    manager: PersonIdText | None = None


class GroupShown(Resource):
    """A group and its enabled members."""

    name: str
    members: list[Who]


class Me(Resource):
    """Who the caller is, and what this credential may do."""

    principal: PrincipalShown
    channel: Channel
    interactive: Annotated[bool, Field(description="Whether the credential is a sign-in, which reviewing takes.")]
    rights: list[Right]
    signed_in_at: At | None = None
    grant: GrantIdText | None = None
    may_review_until: At | None = None
    step_up_until: At | None = None
    must_change_password: bool = False


class TokenShown(Resource):
    """A token, never its secret."""

    id: TokenIdText
    kind: TokenKind
    label: str
    rights: list[Right]
    grant: GrantIdText | None = None
    created_at: At
    expires_at: At
    last_used_at: At | None = None


class TokenIssued(Resource):
    """A new token; the secret is shown this once, and not again to a repeated call."""

    token: TokenShown
    secret: str | None = None


class SignedIn(Resource):
    """A pair of tokens: one to call with, one to get the next pair with."""

    access_token: str
    access_expires_at: At
    refresh_token: str
    refresh_expires_at: At
    principal: PrincipalShown
    must_change_password: bool


class Event(Resource):
    """A thin event: what changed. The client fetches what it may see."""

    id: str
    type: str
    at: At
    resource: str
    version: int
