"""Who calls, through which door, and what the credential they came with allows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from loglease.access.errors import NotPermitted, StepUpRequired
from loglease.model.ids import GrantId, TokenId
from loglease.model.instant import MICROSECONDS, Instant, duration_text
from loglease.model.principal import Principal, Role
from loglease.model.review import Channel
from loglease.model.rights import Right

REVIEW_SIGN_IN_S: Final = 12 * 3_600
STEP_UP_S: Final = 15 * 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """An authenticated caller.

    Attributes:
        rights: what the token may do; None for an interactive sign-in, which may do all that its person may.
        signed_in_at: when the person proved who they are, interactively; None for long-lived tokens.
        sign_in: the first token of the sign-in that the credential belongs to; None for long-lived tokens.
        only_grant: the one grant that a grant token or viewer code works for.
        address: where on the network the call is from; None where that is not known.
        on_call: the rotas in which the person is on call.
    """

    principal: Principal
    channel: Channel
    rights: frozenset[Right] | None = None
    signed_in_at: Instant | None = None
    token: TokenId | None = None
    sign_in: TokenId | None = None
    only_grant: GrantId | None = None
    address: str | None = None
    on_call: frozenset[str] = frozenset()

    def has(self, right: Right) -> bool:
        """Say whether the credential carries the right."""
        return self.rights is None or right in self.rights

    def require(self, right: Right) -> None:
        """Refuse a token that does not carry the right.

        Raises:
            NotPermitted: the token lacks it.
        """
        if not self.has(right):
            raise NotPermitted(f"This token lacks the right {right}.", next_step="Use a token with it, or sign in.")

    def require_role(self, *roles: Role) -> None:
        """Refuse somebody without any of these roles; a token needs the right `admin` besides.

        Raises:
            NotPermitted: the person has none of them.
        """
        self.require(Right.ADMIN)
        if not self.principal.roles & frozenset(roles):
            names = " or ".join(sorted(roles))
            raise NotPermitted(f"This takes the role {names}.", next_step="Ask an administrator.")

    def require_sign_in(self, now: Instant, within_s: int) -> None:
        """Refuse unless the person signed in interactively within so many seconds.

        Raises:
            StepUpRequired: the sign-in is older, or there is none.
        """
        if self.signed_in_at is None or now - self.signed_in_at > within_s * MICROSECONDS:
            raise StepUpRequired(
                f"This needs a sign-in at most {duration_text(within_s)} old.", next_step="loglease login"
            )
