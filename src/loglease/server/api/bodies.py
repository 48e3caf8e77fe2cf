"""What clients send. Strict types, unknown fields are errors; no field for state, approver, policy version or times."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from loglease.model.principal import Kind, Role
from loglease.model.review import Verdict
from loglease.model.rights import Right
from loglease.model.scope import Level
from loglease.server.api.fields import (
    Account,
    At,
    Body,
    EventNs,
    GrantIdText,
    GroupName,
    Inputs,
    OnText,
    Password,
    PersonIdText,
    PrincipalIdText,
    ProfileName,
    Reason,
    Seconds,
    SelectorText,
    ShortText,
    SourceName,
    Ticket,
    TokenKind,
    TokenText,
)
from loglease.server.api.reveals import RevealWanted

# Names of closed sets come as JSON strings, which strict mode takes for an enumeration only from JSON itself.
LevelName = Annotated[Level, Field(strict=False)]
RoleName = Annotated[Role, Field(strict=False)]
RightName = Annotated[Right, Field(strict=False)]
VerdictName = Annotated[Verdict, Field(strict=False)]
KindName = Annotated[Kind, Field(strict=False)]
TokenKindName = Annotated[TokenKind, Field(strict=False)]
Contains = Annotated[list[Annotated[str, Field(min_length=1, max_length=256)]], Field(max_length=8)]
Budget = Annotated[int, Field(ge=1, le=2**53 - 1)]


class WindowWanted(Body):
    """Which event times: a start (`from_ns` or `lookback_s`, counted back from now) and an end, or live."""

    from_ns: EventNs | None = None
    to_ns: EventNs | None = None
    lookback_s: Seconds | None = None
    live: bool = False


class ScopeWanted(Body):
    """What somebody wants to read."""

    source: SourceName
    selector: SelectorText
    all_streams: bool = False
    window: WindowWanted
    level_from: LevelName | None = None
    contains: Contains = Field(default_factory=list)
    profile: ProfileName | None = None


class LimitsWanted(Body):
    """Budgets; absent ones are left to policy."""

    lines: Budget | None = None
    bytes: Budget | None = None
    subjects: Budget | None = None
    queries: Budget | None = None
    queries_per_min: Budget | None = None
    tails: Budget | None = None


class WishBody(Body):
    """A draft: what, why, for how long. It takes one scope, or the reveal of one value, or a grant to extend."""

    scopes: Annotated[list[ScopeWanted], Field(max_length=1)] = Field(default_factory=list)
    reveal: RevealWanted | None = None
    extends: Annotated[
        GrantIdText | None, Field(description="The grant to go on from, where it ends; `scopes` are less than its own.")
    ] = None
    reason: Reason = ""
    ticket: Ticket | None = None
    inputs: Inputs = Field(default_factory=dict)
    duration_s: Seconds | None = None
    limits: LimitsWanted | None = None
    break_glass: Annotated[
        bool,
        Field(description="It is an emergency: the grant starts at once, people are told, and somebody looks at it."),
    ] = False


class ExplainBody(WishBody):
    """A draft, and who would ask for it. Only what is asked for lines is explained, no reveal."""

    principal: Annotated[
        Account | None, Field(description="Account, e-mail or id of who would ask; absent for the caller.")
    ] = None


class RequestBody(WishBody):
    """A request, under the numbered offer or the best one."""

    offer: Annotated[int, Field(ge=1, le=1_000)] | None = None


class NarrowBody(Body):
    """What a reviewer allows instead of all that was offered; absent fields stay as they are."""

    selector: SelectorText | None = None
    window: WindowWanted | None = None
    level_from: LevelName | None = None
    contains: Contains = Field(default_factory=list)
    duration_s: Seconds | None = None
    limits: LimitsWanted | None = None


class ReviewBody(Body):
    """A decision. The digest of what was decided comes in `If-Match`."""

    verdict: VerdictName
    comment: Reason = ""
    narrow: NarrowBody | None = None


class ReasonBody(Body):
    """Why an act is done, for the record."""

    reason: Annotated[Reason, Field(min_length=1)]


class RevocationBody(Body):
    """What to take away, and why."""

    on: OnText
    reason: Annotated[Reason, Field(min_length=1)]


class LockBody(Body):
    """What to lock, why, until when; with `revoke` the grants that it matches end for good."""

    on: OnText
    reason: Annotated[Reason, Field(min_length=1)]
    until: At | None = None
    revoke: bool = False


class TokenBody(Body):
    """A token to issue. A grant token names its grant and can do nothing else."""

    kind: TokenKindName = TokenKind.PERSONAL
    label: Annotated[ShortText, Field(min_length=1)]
    rights: Annotated[list[RightName], Field(max_length=8)] = Field(default_factory=list)
    expires_in_s: Seconds
    grant: GrantIdText | None = None
    principal: Annotated[
        Account | None, Field(description="The agent or service that a service token is for, by account or id.")
    ] = None


class PrincipalBody(Body):
    """A new local account; without a password one is generated and shown once."""

    account: Account
    name: Annotated[ShortText, Field(min_length=1)] | None = None
    email: Annotated[ShortText, Field(min_length=3)] | None = None
    kind: KindName = Kind.HUMAN
    owner: Annotated[PrincipalIdText | None, Field(description="The human who owns an agent or service.")] = None
    groups: Annotated[list[GroupName], Field(max_length=200)] = Field(default_factory=list)
    roles: Annotated[list[RoleName], Field(max_length=3)] = Field(default_factory=list)
    password: Password | None = None


class PrincipalPatch(Body):
    """What to change; absent fields stay."""

    name: Annotated[ShortText, Field(min_length=1)] | None = None
    groups: Annotated[list[GroupName], Field(max_length=200)] | None = None
    roles: Annotated[list[RoleName], Field(max_length=3)] | None = None
    enabled: bool | None = None


class PersonPatch(Body):
    """The person whose approval policies may demand for what this one asks; null for nobody."""

    manager: PersonIdText | None


class PasswordBody(Body):
    """The present password and the next one."""

    password: Password
    new_password: Password


class SignInBody(Body):
    """A sign-in with a local account."""

    account: Account
    password: Password


class RefreshBody(Body):
    """The refresh token; it works once."""

    refresh_token: TokenText


__all__ = [
    "ExplainBody",
    "LockBody",
    "NarrowBody",
    "PasswordBody",
    "PersonPatch",
    "PrincipalBody",
    "PrincipalPatch",
    "ReasonBody",
    "RefreshBody",
    "RequestBody",
    "ReviewBody",
    "RevocationBody",
    "ScopeWanted",
    "SignInBody",
    "TokenBody",
    "WindowWanted",
    "WishBody",
]
