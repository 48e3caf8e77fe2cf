"""A wish to see one masked value, as somebody asks for it: a grant, a line that was served under it, a token on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from loglease.access.caller import Caller
from loglease.access.permissions import held_grant, is_held
from loglease.model.access_request import Wish
from loglease.model.digest import sha256_hex
from loglease.model.errors import FieldFault, InvalidField
from loglease.model.grant import Grant, GrantState, refusal
from loglease.model.ids import GrantId
from loglease.model.instant import EventWindow, Instant
from loglease.model.labels import Labels
from loglease.model.reveal import Reveal, tokens_in
from loglease.store.interface import Transaction

MAX_LINE_BYTES: Final = 65_536


@dataclass(frozen=True, slots=True, kw_only=True)
class RevealDraft:
    """What somebody asks for. The line's text is looked at and not kept: a digest of it is.

    Attributes:
        grant: under which the line was served.
        token: as it stands in the line, with or without its brackets.
        cls: class of the masked value.
        labels: of the line's stream, as served.
        text: of the line, as served.
        span: which of the line's tokens it is, from 1; None where the token stands in the line once.
    """

    grant: GrantId
    token: str
    cls: str
    labels: Labels
    event_ns: int
    text: str
    reason: str
    span: int | None = None
    ticket: str | None = None

    def at(self, tx: Transaction, caller: Caller, now: Instant) -> Wish:
        """Return the wish: what the grant's scope has at the line's event time, and which value of the line.

        Raises:
            NotFound: there is no such grant that the caller holds.
            GrantEnded, GrantNotActive: it is not active.
            InvalidField: the line or the token is none that could have been served under it.
        """
        grant = held_grant(tx, caller, self.grant)
        held = is_held(tx, grant, now)
        if grant.state_at(now, held=held) is not GrantState.ACTIVE:
            raise refusal(grant, now, held=held)
        request = tx.requests.find(grant.request)
        if request is None:
            raise LookupError(grant.request)
        token = f"⟦{self.token.strip('⟦⟧')}⟧"
        scope = replace(grant.terms.scopes[0], window=self._window(grant))
        reveal = Reveal(
            grant=grant.id,
            policy=grant.policy,
            asked_at=request.submitted_at,
            token=token,
            cls=self.cls,
            source=scope.source,
            labels=self.labels,
            event_ns=self.event_ns,
            line_sha256=sha256_hex(self.text.encode()),
            span=self._span(token),
        )
        return Wish(scopes=(scope,), reason=self.reason, ticket=self.ticket, reveal=reveal)

    def _window(self, grant: Grant) -> EventWindow:
        """Return the event time of the line as a window, which lies inside that of the grant."""
        if grant.parent is not None:
            raise _invalid("/reveal/grant", f"{grant.id} is to reveal one value itself.", "Name the grant to read.")
        window = EventWindow(self.event_ns, self.event_ns + 1)
        if not grant.terms.scopes[0].window.contains(window):
            raise _invalid("/reveal/line", f"The line is not of the event window of {grant.id}.", _COPY)
        return window

    def _span(self, token: str) -> int:
        if len(self.text.encode()) > MAX_LINE_BYTES:
            raise _invalid("/reveal/line", "The line is longer than 64 KiB.", "Look for the value on another line.")
        places = [number for number, one in enumerate(tokens_in(self.text), 1) if one == token]
        if self.text.strip() == token:
            raise _invalid("/reveal/line", "The token is the whole line, and whole lines are never shown.", None)
        if self.span is None and len(places) > 1:
            raise _invalid("/reveal/span", f"The token stands in the line as number {_listed(places)}.", "Say which.")
        if not places or self.span not in (None, *places):
            raise _invalid("/reveal/token", "The line does not have this token there.", _COPY)
        return self.span or places[0]


_COPY: Final = "Copy the line as it was printed: loglease logs --output json."


def _listed(numbers: Sequence[int]) -> str:
    return ", ".join(str(number) for number in numbers)


def _invalid(pointer: str, message: str, next_step: str | None) -> InvalidField:
    return InvalidField(message, next_step=next_step, faults=(FieldFault(pointer, "reveal", message),))
