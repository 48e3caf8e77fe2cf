"""The reveal of one value: what clients send, and what they see of it, which is never the value."""

from __future__ import annotations

import asyncio
from typing import Annotated, Final, Literal

from pydantic import Field

from loglease.access.caller import Caller
from loglease.access.permissions import held_grant
from loglease.access.reveal_draft import RevealDraft
from loglease.model.errors import FieldFault, InvalidField
from loglease.model.ids import GrantId
from loglease.model.instant import event_time_text
from loglease.model.labels import labels_of
from loglease.model.reveal import Reveal, label_of
from loglease.redaction import RedactionError
from loglease.server.api.fields import MAX_EVENT_NS, Body, Digest, EventNs, GrantIdText, Resource
from loglease.server.problems import RedactionUnavailable
from loglease.server.services import Services

_CLASS: Final = r"^[a-z][a-z0-9-]{0,62}(\.[a-z0-9-]{1,63}){0,3}$"

MaskToken = Annotated[
    str,
    Field(
        min_length=1,
        max_length=300,
        pattern=r"^[^\u0000-\u001f\u007f]+$",
        description="A token as it stands in the line.",
        examples=["⟦email:q3f7k2p9xa⟧"],
    ),
]
ClassName = Annotated[str, Field(max_length=200, pattern=_CLASS, examples=["pii.email"])]
LabelPairs = Annotated[dict[str, Annotated[str, Field(max_length=4_096)]], Field(max_length=100)]


class LineServed(Body):
    """A line as it was served: a whole record of the plain endpoint, or these three of it."""

    ts: EventNs
    labels: LabelPairs
    line: Annotated[str, Field(max_length=65_536, description="Its text is looked at and not kept.")]
    type: Literal["line"] = "line"
    time: Annotated[str, Field(max_length=40)] | None = None
    metadata: LabelPairs | None = None
    parsed: LabelPairs | None = None


class RevealWanted(Body):
    """One masked value of one line."""

    grant: Annotated[GrantIdText, Field(description="Under which the line was served.")]
    token: MaskToken
    line: LineServed
    span: Annotated[int, Field(ge=1, le=100_000, description="Which of the line's tokens it is, from 1.")] | None = None
    cls: Annotated[ClassName | None, Field(alias="class", description="Found by the token where it is clear.")] = None


class RevealShown(Resource):
    """Which value may be seen once: a token on a line that was served under a grant."""

    grant: GrantIdText
    token: MaskToken
    cls: Annotated[str, Field(alias="class")]
    source: str
    labels: dict[str, str]
    ts: EventNs
    time: str
    line_sha256: Digest
    span: int


def reveal_shown(reveal: Reveal | None) -> RevealShown | None:
    """Return a reveal, None for none."""
    if reveal is None:
        return None
    return RevealShown(
        grant=reveal.grant,
        token=reveal.token,
        **{"class": reveal.cls},
        source=reveal.source,
        labels=dict(reveal.labels),
        ts=str(reveal.event_ns),
        time=event_time_text(reveal.event_ns),
        line_sha256=reveal.line_sha256,
        span=reveal.span,
    )


async def reveal_draft(
    wanted: RevealWanted, *, reason: str, ticket: str | None, caller: Caller, services: Services
) -> RevealDraft:
    """Return the wish of a body.

    Raises:
        NotFound: the caller holds no such grant.
        InvalidField: a time beyond 64 bits, or a token whose class has to be said.
    """
    event_ns = int(wanted.line.ts)
    if event_ns > MAX_EVENT_NS:
        raise _invalid("/reveal/line/ts", "An event time is too large.", "Send nanoseconds since 1970.")
    return RevealDraft(
        grant=GrantId(wanted.grant),
        token=wanted.token,
        cls=wanted.cls or await _class_of(wanted, caller, services),
        labels=labels_of(wanted.line.labels),
        event_ns=event_ns,
        text=wanted.line.line,
        span=wanted.span,
        reason=reason,
        ticket=ticket,
    )


async def _class_of(wanted: RevealWanted, caller: Caller, services: Services) -> str:
    """Return the one class whose rules write such a token under the grant."""
    grant = await services.store.read(lambda tx: held_grant(tx, caller, GrantId(wanted.grant)))
    try:
        redactor = await asyncio.to_thread(services.redactor_of, grant)
    except RedactionError as error:
        raise RedactionUnavailable from error
    label = label_of(wanted.token)
    classes = sorted({one.rule.cls for one in redactor.active if one.rule.label == label})
    if len(classes) == 1:
        return classes[0]
    known = f" It is one of {', '.join(classes)}." if classes else ""
    raise _invalid("/reveal/class", f"The token alone does not say its class.{known}", "Name the class.")


def _invalid(pointer: str, message: str, next_step: str) -> InvalidField:
    return InvalidField(message, next_step=next_step, faults=(FieldFault(pointer, "reveal", message),))
