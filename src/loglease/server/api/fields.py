"""The field types that bodies and resources of the API share: times, event times, durations, names, secrets."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field

from loglease.model.hold import LockKind
from loglease.model.instant import MAX_DURATION_S

MAX_EVENT_NS: Final = 2**63 - 1
_ULID: Final = "[0-7][0-9A-HJKMNP-TV-Z]{25}"
_NO_CONTROLS: Final = r"^[^\u0000-\u001f\u007f]*$"
_TEXT: Final = r"^[^\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f]*$"


class Body(BaseModel):
    """What a client sends: strict types, no unknown field."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Resource(BaseModel):
    """What the server answers; clients ignore fields that they do not know."""

    model_config = ConfigDict(frozen=True)


def id_pattern(prefix: str) -> str:
    """Return the regular expression of identifiers with that prefix."""
    return f"^{prefix}_{_ULID}$"


At = Annotated[
    str,
    Field(
        description="RFC 3339 in UTC with microseconds.",
        examples=["2026-11-23T09:40:00.000000Z"],
        json_schema_extra={"format": "date-time"},
    ),
]
EventNs = Annotated[
    str,
    Field(
        pattern=r"^(0|[1-9][0-9]{0,18})$",
        description="An event time: nanoseconds since 1970, as a decimal string.",
        examples=["1795426800000000000"],
    ),
]
Seconds = Annotated[int, Field(ge=1, le=MAX_DURATION_S, description="A duration in whole seconds.", examples=[1800])]
Count = Annotated[int, Field(ge=0)]
Digest = Annotated[str, Field(pattern="^[0-9a-f]{64}$", description="SHA-256 in hex.")]

RequestIdText = Annotated[str, Field(pattern=id_pattern("req"), examples=["req_01JDC8Z0M4T9YV2K3R5W7X8Q4M"])]
GrantIdText = Annotated[str, Field(pattern=id_pattern("grt"), examples=["grt_01JDC91T7KT9YV2K3R5W7X87XK"])]
SessionIdText = Annotated[str, Field(pattern=id_pattern("ses"))]
ReviewIdText = Annotated[str, Field(pattern=id_pattern("rev"))]
PrincipalIdText = Annotated[str, Field(pattern=id_pattern("prn"))]
PersonIdText = Annotated[str, Field(pattern=id_pattern("per"))]
TokenIdText = Annotated[str, Field(pattern=id_pattern("tok"))]
LockIdText = Annotated[str, Field(pattern=id_pattern("lck"))]
RevocationIdText = Annotated[str, Field(pattern=id_pattern("rvk"))]

SourceName = Annotated[str, Field(min_length=1, max_length=100, pattern=_NO_CONTROLS, examples=["files"])]
SelectorText = Annotated[
    str,
    Field(
        min_length=2,
        max_length=8_192,
        description="Which streams, as LogQL writes it. `{}` needs `all_streams`.",
        examples=['{service="pay-api"}'],
    ),
]
Reason = Annotated[str, Field(max_length=2_000, pattern=_TEXT, description="Why, for the people who decide.")]
Inputs = Annotated[
    dict[
        Annotated[str, Field(pattern="^[a-z][a-z0-9_]{0,62}$")],
        Annotated[str, Field(max_length=256, pattern=_NO_CONTROLS)],
    ],
    Field(max_length=16, description="What a policy asks for in fields of its own, by name."),
]
Ticket = Annotated[str, Field(min_length=1, max_length=100, pattern=_NO_CONTROLS, examples=["PAY-1432"])]
ProfileName = Annotated[
    str,
    Field(
        min_length=1, max_length=100, pattern=_NO_CONTROLS, description="Redaction profile, `name` or `name@version`."
    ),
]
Account = Annotated[str, Field(min_length=1, max_length=128, pattern=_NO_CONTROLS, examples=["alice@example.com"])]
ShortText = Annotated[str, Field(max_length=200, pattern=_NO_CONTROLS)]
GroupName = Annotated[
    str, Field(min_length=1, max_length=100, pattern=r"^[^\u0000-\u0020\u007f]+$", examples=["leads"])
]
Password = Annotated[str, Field(min_length=1, max_length=1_024, json_schema_extra={"format": "password"})]
TokenText = Annotated[str, Field(min_length=1, max_length=200, json_schema_extra={"format": "password"})]
OnText = Annotated[
    str,
    Field(
        min_length=1,
        max_length=200,
        pattern=rf"^({'|'.join(kind for kind in LockKind if kind is not LockKind.EVERYTHING)}):.+$|^everything$",
        description="What it is about: `kind:name`, or `everything`.",
        examples=["grant:grt_01JDC91T7KT9YV2K3R5W7X87XK", "person:dave@example.com", "everything"],
    ),
]


class TokenKind(StrEnum):
    """What a token is for."""

    PERSONAL = "personal"
    SERVICE = "service"
    GRANT = "grant"


NetworkBound = Annotated[
    bool, Field(description="Whether it is useless from any network but the one it is asked from.")
]
Network = Annotated[
    str | None,
    Field(
        description="The one network that it is bound to: a name of the configuration, an IPv4 address, or the /64 of "
        "an IPv6 address. Absent where it is bound to none, and where that network is not known."
    ),
]
