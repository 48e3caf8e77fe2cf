"""The operation that says who was shown what."""

from __future__ import annotations

from typing import Annotated

from pydantic import ConfigDict, Field

from loglease.access.who_saw import MOST, How, PseudonymWanted, Question, ValueWanted, Why
from loglease.access.who_saw_answer import Answer
from loglease.model.errors import FieldFault, InvalidField
from loglease.model.ids import GrantId
from loglease.model.instant import Interval
from loglease.model.selector_text import parse_selector
from loglease.server.api.calls import CallerOf, ServicesOf
from loglease.server.api.fields import (
    Body,
    Digest,
    EventNs,
    GrantIdText,
    PrincipalIdText,
    RequestIdText,
    Resource,
    SelectorText,
    SessionIdText,
)
from loglease.server.api.operations import Routes
from loglease.server.services import Services
from loglease.server.who_saw import answered, pseudonym_of, value_wanted

routes = Routes("audit")

MAX_VALUE = 4_096
# Names of closed sets come as JSON strings, which strict mode takes for an enumeration only from JSON itself.
HowName = Annotated[How, Field(strict=False)]
Index = Annotated[int, Field(ge=0, le=2**53 - 1, description="A place in the audit log.")]


class ValueAsked(Body):
    """A value in clear. It is looked up as its pseudonym under each grant's key and is kept nowhere."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, hide_input_in_errors=True)

    cls: Annotated[
        str,
        Field(
            alias="class",
            pattern=r"^[a-z][a-z0-9-]{0,39}(\.[a-z0-9-]{1,40}){0,5}$",
            description="A class of values, or the label of its masks; `field` is the value of a field that a path of "
            "a profile names.",
            examples=["pii.email", "email"],
        ),
    ]
    text: Annotated[str, Field(min_length=1, max_length=MAX_VALUE, repr=False, examples=["jane@example.com"])]


class PseudonymAsked(Body):
    """A pseudonym, with a grant under whose key it stands for its value."""

    grant: GrantIdText
    pseudonym: Annotated[
        str,
        Field(pattern=r"^(⟦[a-z][a-z0-9-]{0,39}:[a-z2-7]{10}⟧|[a-z][a-z0-9-]{0,39}:[a-z2-7]{10})$"),
    ]


class WhoSawBody(Body):
    """What is asked. All that is given has to fit; at least one of selector, event times, pseudonym and value."""

    selector: SelectorText | None = None
    since_ns: EventNs | None = None
    until_ns: Annotated[EventNs | None, Field(description="Event times before this one.")] = None
    pseudonym: PseudonymAsked | None = None
    value: ValueAsked | None = None
    hows: Annotated[
        list[HowName],
        Field(
            min_length=1,
            max_length=len(How),
            description="What to look for; absent is all. `served` and `revealed` alone are what is certain.",
            default_factory=lambda: list(How),
        ),
    ]
    first_index: Annotated[Index, Field(description="Where in the log to begin: `next_index` of an answer.")] = 0
    limit: Annotated[int, Field(ge=1, le=MOST, description="How many records to take into account.")] = 1_000


class AskedShown(Resource):
    """What was asked, without a clear value."""

    selector: str | None = None
    since_ns: EventNs | None = None
    until_ns: EventNs | None = None
    hows: list[How] | None = None
    grant: GrantIdText | None = None
    pseudonym: str | None = None
    cls: Annotated[str | None, Field(alias="class")] = None


class PersonSeen(Resource):
    """Who holds or approved a grant; without an account where nobody is known by it any more."""

    principal: PrincipalIdText
    subject: str | None = None
    account: str | None = None


class FoundShown(Resource):
    """Records of one grant that say the same.

    `lines` are those of the streams that fit, in records that have what is asked for; numbers or names where those were
    served, and what was reserved where a process died.
    """

    how: How
    why: Why | None = None
    sessions: list[SessionIdText]
    records: int
    lines: int
    first_ns: str | None = None
    last_ns: str | None = None
    pseudonyms: list[str] | None = None
    indices: list[int]


class SeenShown(Resource):
    """A grant under which it was shown, or may have been."""

    grant: GrantIdText
    parent: GrantIdText | None = None
    request: RequestIdText
    principal: PersonSeen
    profiles: list[str]
    policy: str
    basis: str
    approvers: list[PersonSeen]
    found: list[FoundShown]


class UnsearchableShown(Resource):
    """Grants that served something in which the value cannot be found, and why."""

    why: str
    profile: str
    grants: list[GrantIdText]


class AnswerShown(Resource):
    """What was found, from `first_index` on in a log of `size` entries. `next_index` is there if there may be more."""

    question: AskedShown
    first_index: int
    next_index: int | None = None
    size: int
    min_index: int
    grants: list[SeenShown]
    unsearchable: list[UnsearchableShown]
    not_indexed: str


class WhoSawShown(Resource):
    """The answer. `sha256` is over its canonical JSON, and in the audit entry that records the question."""

    answer: AnswerShown
    sha256: Digest
    entry: str


@routes.post("/audit/who-saw", answers=WhoSawShown, problems=("not_found", "scope_invalid", "scope_undecidable"))
async def ask_who_saw(body: WhoSawBody, caller: CallerOf, services: ServicesOf) -> WhoSawShown:
    """Say who was shown lines of some streams, event times, a pseudonym or a value; the question is recorded."""
    return _shown(await answered(services, caller, _question(body, services)))


def _question(body: WhoSawBody, services: Services) -> Question:
    if body.value is not None and body.pseudonym is not None:
        raise InvalidField(
            "A value and a pseudonym are two questions.",
            next_step="Send one of them.",
            faults=(FieldFault("/pseudonym", "exclusive", "At most one of value and pseudonym is taken."),),
        )
    wanted: ValueWanted | PseudonymWanted | None = None
    if body.value is not None:
        value = body.value.text.encode("utf-8", "replace")
        wanted = value_wanted(body.value.cls, value, library=services.library.current, master=services.pseudonym_key)
    elif body.pseudonym is not None:
        wanted = PseudonymWanted(grant=GrantId(body.pseudonym.grant), pseudonym=pseudonym_of(body.pseudonym.pseudonym))
    return Question(
        selector=None if body.selector is None else parse_selector(body.selector),
        selector_text=body.selector or "",
        window=_window(body),
        wanted=wanted,
        hows=frozenset(body.hows),
        first=body.first_index,
        most=body.limit,
    )


def _window(body: WhoSawBody) -> Interval | None:
    if body.since_ns is None and body.until_ns is None:
        return None
    start, end = int(body.since_ns or 0), None if body.until_ns is None else int(body.until_ns)
    if end is not None and end <= start:
        raise InvalidField(
            "The event times end before they begin.",
            next_step="Send until_ns after since_ns.",
            faults=(FieldFault("/until_ns", "window_invalid", "It is not after since_ns."),),
        )
    return Interval(start, end)


def _shown(answer: Answer) -> WhoSawShown:
    return WhoSawShown(answer=AnswerShown.model_validate(answer.content), sha256=answer.sha256, entry=answer.entry)
