"""A wish for more time, as the holder of a grant asks for it: the grant, and perhaps less than its scope."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from loglease.access.binding import require_network
from loglease.access.caller import Caller
from loglease.access.errors import ExtensionExists, ExtensionNotAllowed
from loglease.access.permissions import held_grant, is_held
from loglease.access.rules import Rules
from loglease.model.access_request import RequestState, Wish
from loglease.model.errors import FieldFault, NarrowingNotSubset
from loglease.model.extension import Extends
from loglease.model.grant import Grant, GrantState, refusal
from loglease.model.ids import GrantId
from loglease.model.instant import Instant
from loglease.model.limits import Limits
from loglease.model.offer import Outcome
from loglease.model.scope import Scope
from loglease.model.wish import WishDraft
from loglease.store.interface import Transaction


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtensionDraft:
    """What somebody asks for. What is not said is as it was for the grant; a reason has to be.

    Attributes:
        narrower: less than the grant's scope; None asks for all of it.
        duration_s: None asks for as long as the policy gives an extension.
    """

    grant: GrantId
    reason: str
    narrower: WishDraft | None = None
    ticket: str | None = None
    duration_s: int | None = None
    limits: Limits = Limits()
    inputs: Mapping[str, str] = field(default_factory=dict)

    def at(self, tx: Transaction, caller: Caller, now: Instant, rules: Rules) -> Wish:
        """Return the wish as of now.

        Raises:
            NotFound: there is no such grant that the caller holds.
            GrantEnded, GrantNotActive: it is not active.
            NotPermitted: it is bound to a network, and the call is from another.
            ExtensionNotAllowed: it is of a kind that is never extended.
            ExtensionExists: it is extended already, or somebody is to decide on that.
            NarrowingNotSubset: what is asked for is not inside of what the grant allows.
        """
        grant = held_grant(tx, caller, self.grant)
        _require_extendable(grant)
        held = is_held(tx, grant, now)
        if grant.state_at(now, held=held) is not GrantState.ACTIVE:
            raise refusal(grant, now, held=held)
        require_network(grant, rules)  # whoever could extend it from elsewhere would take its binding along
        _require_none(tx, grant, now)
        request = tx.requests.find(grant.request)
        if request is None:
            raise LookupError(grant.request)
        return Wish(
            scopes=self._scopes(grant, now, rules),
            reason=self.reason,
            ticket=self.ticket or request.wish.ticket,
            duration_s=self.duration_s,
            limits=grant.terms.limits.tightest(self.limits),
            inputs={**request.wish.inputs, **self.inputs},
            extends=Extends(chain=(*grant.extends, grant.id), policy=grant.policy),
        )

    def _scopes(self, grant: Grant, now: Instant, rules: Rules) -> tuple[Scope, ...]:
        held = grant.terms.scopes
        reached = tuple(rules.reached(grant.policy, scope, now) for scope in held)
        if self.narrower is None:
            return reached
        return tuple(_inside(one, held, reached) for one in self.narrower.at(now).scopes)


def _inside(wanted: Scope, held: tuple[Scope, ...], reached: tuple[Scope, ...]) -> Scope:
    """Return a scope with the profile of the grant's that it lies in, and as far back as that can be extended."""
    name = (wanted.profile or "").partition("@")[0]
    for ours, now in zip(held, reached, strict=True):
        same = name in ("", (ours.profile or "").partition("@")[0])
        if same and ours.contains_scope(wanted):
            window = wanted.window.intersect(now.window) or wanted.window
            return replace(wanted, window=window, profile=now.profile)
    message = "The extension asks for more than the grant allows."
    raise NarrowingNotSubset(
        message,
        next_step="Leave the scope out to ask for the same, or ask for another grant.",
        faults=(FieldFault("/scopes/0", "narrowing_not_subset", message),),
    )


def _require_extendable(grant: Grant) -> None:
    if grant.basis is Outcome.BREAK_GLASS:
        raise ExtensionNotAllowed(
            f"{grant.id} is of an emergency, which nobody has approved; it is not extended.",
            next_step="Ask for access that somebody approves, or break the glass again: that counts, and is looked at.",
        )
    if grant.parent is not None:
        raise ExtensionNotAllowed(
            f"{grant.id} reveals one value, once; there is nothing to go on with.",
            next_step=f"Extend the grant of its line: {grant.parent}.",
        )


def _require_none(tx: Transaction, grant: Grant, now: Instant) -> None:
    """Refuse a second extension of one grant: both would be valid at once."""
    pending = tx.requests.extending(grant.id)
    if pending is not None and pending.state_at(now) is RequestState.PENDING:
        raise ExtensionExists(
            f"{pending.id} asks to extend {grant.id} already.", next_step=f"loglease requests {pending.id}"
        )
    extension = tx.grants.extension_of(grant.id)
    if extension is not None and extension.is_live(now):
        raise ExtensionExists(
            f"{extension.id} goes on where {grant.id} ends.",
            next_step=f"To go on further, extend that one once it is active: loglease grants {extension.id}",
        )
