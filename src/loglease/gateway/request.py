"""What a call says: credential, format, parameters. All other headers are dropped unread."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final
from urllib.parse import unquote_to_bytes

from loglease.gateway.errors import (
    CursorInvalid,
    NotAcceptable,
    NotAuthenticated,
    QueryInvalid,
    TooLarge,
    UnknownParameter,
)
from loglease.model.errors import LogLeaseError, Malformed
from loglease.model.instant import NANOSECONDS, Instant, Interval, parse_event_time
from loglease.sources.interface import Direction

MAX_QUERY_STRING: Final = 256 * 1024
MAX_PARAMETERS: Final = 100
DEFAULT_SINCE_NS: Final = 3_600 * NANOSECONDS
_MAX_EVENT_NS: Final = 2**63 - 1

Headers = Iterable[tuple[bytes, bytes]]

_SINGLE: Final = frozenset({"query", "start", "end", "since", "limit", "direction", "follow"})
_TOKEN_NAMES: Final = frozenset({"token", "access_token", "authorization", "api_key", "apikey"})
_TOKEN = re.compile(r"ll[a-z]_[A-Za-z0-9_-]{16,}")
_PROMETHEUS = re.compile(r"(?:(\d+)y)?(?:(\d+)w)?(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?(?:(\d+)ms)?")
_UNITS_NS: Final = tuple(unit * NANOSECONDS for unit in (365 * 86_400, 7 * 86_400, 86_400, 3_600, 60, 1))
_INTEGER = re.compile(r"-?\d{1,19}")
_FLOAT = re.compile(r"\d{1,10}\.\d{0,9}")
_RESUME = re.compile(rb"[A-Za-z0-9_-]{1,400}")


class Format(StrEnum):
    """The shape of an answer, by its media type."""

    NDJSON = "application/x-ndjson"
    SSE = "text/event-stream"
    TEXT = "text/plain"


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameters:
    """The parameters of a log query, read and checked.

    Attributes:
        query: the text as it was asked.
        interval: event times; `end` None for following.
        limit: lines after which the answer ends; None is everything permitted.
    """

    query: str
    interval: Interval
    limit: int | None
    direction: Direction
    follow: bool


def token_of(headers: Headers) -> str:
    """Return the token of a bearer or basic credential; a user name beside it says nothing.

    Raises:
        NotAuthenticated: there is none, more than one, or it has another form.
    """
    values = [value for name, value in headers if name == b"authorization"]
    if len(values) != 1:
        raise _no_credential()
    scheme, _, rest = values[0].strip().partition(b" ")
    token = rest.strip()
    if scheme.lower() == b"basic":
        try:
            token = base64.b64decode(token, validate=True).partition(b":")[2]
        except binascii.Error as error:
            raise _no_credential() from error
    elif scheme.lower() != b"bearer":
        raise _no_credential()
    try:
        text = token.decode("ascii")
    except UnicodeDecodeError as error:
        raise _no_credential() from error
    if not text:
        raise _no_credential()
    return text


def _no_credential() -> NotAuthenticated:
    return NotAuthenticated(
        "This call needs a token: Authorization: Bearer …, or Basic with the token as password.",
        next_step="loglease login, or make a token: loglease token create LABEL --right logs.read",
    )


def format_of(headers: Headers) -> Format:
    """Return the format that the client prefers; NDJSON where it does not say.

    Raises:
        NotAcceptable: it accepts none of ours.
    """
    accepted = b",".join(value for name, value in headers if name == b"accept").decode("latin-1")
    ranked: list[tuple[float, int, Format]] = []
    for place, part in enumerate(accepted.split(",")[:50]):
        media, *parameters = (piece.strip().lower() for piece in part.split(";"))
        weight = _weight(parameters)
        if weight > 0 and (found := _FORMATS.get(media)) is not None:
            ranked.append((-weight, place, found))
    if ranked:
        return min(ranked)[2]
    if accepted.strip():
        raise NotAcceptable(
            "The answer is application/x-ndjson, text/event-stream or text/plain.", next_step="Accept one of them."
        )
    return Format.NDJSON


_FORMATS: Final = {
    "application/x-ndjson": Format.NDJSON,
    "application/*": Format.NDJSON,
    "*/*": Format.NDJSON,
    "text/event-stream": Format.SSE,
    "text/plain": Format.TEXT,
    "text/*": Format.TEXT,
}


def _weight(parameters: list[str]) -> float:
    for parameter in parameters:
        if parameter.startswith("q="):
            try:
                return float(parameter[2:])
            except ValueError:
                return 0.0
    return 1.0


def accepts_only_json(headers: Headers) -> bool:
    """Say whether errors have to be JSON because the client names nothing else."""
    accepted = b",".join(value for name, value in headers if name == b"accept").decode("latin-1")
    kinds = {part.split(";")[0].strip().lower() for part in accepted.split(",") if part.strip()}
    return bool(kinds) and kinds <= {"application/json", "application/x-ndjson"}


def resume_text(headers: Headers) -> str | None:
    """Return the resume value that a client sends back, if it sends one.

    Raises:
        CursorInvalid: it has a form that no resume value has.
    """
    values = [value for name, value in headers if name == b"last-event-id" and value]
    if not values:
        return None
    if len(values) > 1 or not _RESUME.fullmatch(values[0]):
        raise CursorInvalid("The resume value is not one of ours.", next_step="Ask without Last-Event-ID.")
    return values[0].decode("ascii")


def parameters_of(query_string: bytes, now: Instant) -> Parameters:
    """Read the parameters of a log query; names that are not listed are ignored.

    Raises:
        Malformed: a parameter is given twice, or has a value that it cannot have.
        UnknownParameter: a parameter that changes what is meant and is not supported.
        QueryInvalid: the end lies before the start.
        TooLarge: more than 256 KiB.
    """
    values = _single_values(query_string)
    follow = _truth(values)
    interval = _interval(values, now, follow=follow)
    limit = _limit(values)
    word = values.get("direction", "forward" if follow else "backward").lower()
    if word not in set(Direction):
        raise _wrong("direction", "forward or backward")
    if follow and word == Direction.BACKWARD:
        raise _wrong("direction", "forward while following")
    return Parameters(
        query=values.get("query", "{}"),
        interval=interval,
        limit=limit,
        direction=Direction(word),
        follow=follow,
    )


def _single_values(query_string: bytes) -> Mapping[str, str]:
    if len(query_string) > MAX_QUERY_STRING:
        raise TooLarge("The parameters are larger than 256 KiB.", next_step="Ask for less.")
    values: dict[str, str] = {}
    parts = query_string.split(b"&") if query_string else []
    if len(parts) > MAX_PARAMETERS:
        raise TooLarge(f"There are more than {MAX_PARAMETERS} parameters.", next_step="Ask for less.")
    for part in parts:
        name, _, value = (_decoded(piece) for piece in part.partition(b"="))
        if name in _TOKEN_NAMES or _TOKEN.search(value):
            raise Malformed("A token does not belong into an address.", next_step="Send it as Authorization: Bearer.")
        if name == "regexp":
            raise UnknownParameter("regexp is not supported.", next_step="Write the filter into the query.")
        if name in values and name in _SINGLE:
            raise Malformed(f"{name} is given twice.", next_step=f"Give {name} once.")
        values[name] = value
    return values


def _decoded(piece: bytes) -> str:
    try:
        return unquote_to_bytes(piece.replace(b"+", b" ")).decode()
    except UnicodeDecodeError as error:
        raise Malformed("The parameters are not UTF-8.", next_step="Encode them as UTF-8.") from error


def _truth(values: Mapping[str, str]) -> bool:
    word = values.get("follow", "false").lower()
    if word not in {"true", "false", "1", "0"}:
        raise _wrong("follow", "true or false")
    return word in {"true", "1"}


def _limit(values: Mapping[str, str]) -> int | None:
    if "limit" not in values:
        return None
    text = values["limit"]
    if not re.fullmatch(r"[0-9]{1,9}", text) or int(text) < 1:
        raise _wrong("limit", "a whole number from 1")
    return int(text)


def _interval(values: Mapping[str, str], now: Instant, *, follow: bool) -> Interval:
    now_ns = now * 1_000
    end = _time("end", values["end"]) if "end" in values else now_ns
    if "start" in values:
        start = _time("start", values["start"])
    else:
        since = _since(values["since"]) if "since" in values else DEFAULT_SINCE_NS
        start = max(0, min(end, now_ns) - since)
    if follow:
        if "end" in values:
            raise _wrong("end", "left out while following")
        return Interval(start, None)
    if end < start:
        raise QueryInvalid("The end lies before the start.", next_step="Check start and end.")
    return Interval(start, max(end, start + 1))


def _time(name: str, text: str) -> int:
    if _INTEGER.fullmatch(text):
        number = int(text)
        value = number * NANOSECONDS if len(text.lstrip("-")) <= 10 else number  # noqa: PLR2004 - gateway.md 6.2
    elif _FLOAT.fullmatch(text):
        value = round(float(text) * 1_000) * 1_000_000
    else:
        try:
            value = parse_event_time(text)
        except LogLeaseError as error:
            raise _wrong(name, "seconds, nanoseconds or RFC 3339") from error
    if not 0 <= value <= _MAX_EVENT_NS:
        raise _wrong(name, "a time between 1970 and 2262")
    return value


def _since(text: str) -> int:
    match = _PROMETHEUS.fullmatch(text)
    if match is None or not text:
        raise _wrong("since", "a duration such as 30m or 1h30m")
    *larger, milliseconds = match.groups()
    total = sum(int(part or 0) * unit for part, unit in zip(larger, _UNITS_NS, strict=True))
    total += int(milliseconds or 0) * 1_000_000
    if not 0 < total <= _MAX_EVENT_NS:
        raise _wrong("since", "a duration above zero")
    return total


def _wrong(name: str, expected: str) -> Malformed:
    return Malformed(f"{name} has to be {expected}.", next_step=f"Correct {name}.")
