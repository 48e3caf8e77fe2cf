"""Parameters of calls: read once, decoded once, each checked before it means anything.

GET reads the address; a POST of a form adds its body. What may be given once and is given twice, in any mix, is
refused, so that no rule of precedence ever decides.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote_to_bytes

from loglease.gateway.errors import QueryInvalid, TooLarge, UnknownParameter
from loglease.logql.quantities import long_duration
from loglease.model.errors import LogLeaseError, Malformed
from loglease.model.instant import NANOSECONDS, Instant, Interval, parse_event_time
from loglease.sources.interface import Direction

MAX_QUERY_STRING: Final = 256 * 1024
MAX_PARAMETERS: Final = 100
DEFAULT_SINCE_NS: Final = 3_600 * NANOSECONDS
MAX_EVENT_NS: Final = 2**63 - 1

_TOKEN_NAMES: Final = frozenset(
    {"token", "access_token", "refresh_token", "auth_token", "id_token", "authorization", "api_key", "apikey"}
    | {"password", "secret"}
)
_TOKEN = re.compile(r"ll[a-z]_[A-Za-z0-9_-]{16,}")
_INTEGER = re.compile(r"-?\d{1,19}")
_FLOAT = re.compile(r"\d{1,10}\.\d{0,9}")
_SECONDS = re.compile(r"\d{1,12}(?:\.\d{0,9})?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameters:
    """The parameters of a query on the plain endpoint, read and checked.

    Attributes:
        query: the text as it was asked.
        interval: event times; `end` None for following.
        limit: lines after which the answer ends; None is everything permitted.
        step: nanoseconds between the numbers of a metric query; None is one number at the end.
        progress: the client wants to be told that a session which is silent still runs.
    """

    query: str
    interval: Interval
    limit: int | None
    direction: Direction
    follow: bool
    step: int | None = None
    progress: bool = False


def parameters_of(query_string: bytes, now: Instant) -> Parameters:
    """Read the parameters of the plain endpoint; names that are not listed are ignored.

    Raises:
        Malformed: a parameter is given twice, or has a value that it cannot have.
        UnknownParameter: a parameter that changes what is meant and is not supported.
        QueryInvalid: the end lies before the start.
        TooLarge: more than 256 KiB.
    """
    values = Values(query_string, single=_PLAIN)
    follow = values.truth("follow")
    direction = values.direction(Direction.FORWARD if follow else Direction.BACKWARD)
    if follow and direction is Direction.BACKWARD:
        raise wrong("direction", "forward while following")
    if follow and "end" in values:
        raise wrong("end", "left out while following")
    return Parameters(
        query=values.text("query", "{}"),
        interval=Interval(values.start(now * 1_000), None) if follow else values.interval(now),
        limit=values.limit(),
        direction=direction,
        follow=follow,
        step=values.seconds("step"),
        progress=values.truth("progress"),
    )


_PLAIN: Final = frozenset({"query", "start", "end", "since", "limit", "direction", "follow", "step", "progress"})


class Values:
    """The parameters of one call.

    Args:
        encoded: the query string, or several such texts: of the address and of the body.
        single: names that may be given once.

    Raises:
        Malformed: one of them is given twice, a text is not UTF-8, or a token is among them.
        UnknownParameter: `regexp`, which would change what is meant.
        TooLarge: more than 256 KiB or 100 parameters.
    """

    def __init__(self, *encoded: bytes, single: frozenset[str]) -> None:
        self._values: dict[str, list[str]] = {}
        parts = [part for text in encoded for part in text.split(b"&") if part]
        self.size = sum(map(len, encoded))
        """Bytes of all parameters, as they were sent."""
        if self.size > MAX_QUERY_STRING:
            raise TooLarge("The parameters are larger than 256 KiB.", next_step="Ask for less.")
        if len(parts) > MAX_PARAMETERS:
            raise TooLarge(f"There are more than {MAX_PARAMETERS} parameters.", next_step="Ask for less.")
        for part in parts:
            name, _, value = (_decoded(piece) for piece in part.partition(b"="))
            if name.lower() in _TOKEN_NAMES or _TOKEN.search(value):
                raise Malformed(
                    "A token does not belong into an address.", next_step="Send it as Authorization: Bearer."
                )
            if name == "regexp":
                raise UnknownParameter("regexp is not supported.", next_step="Write the filter into the query.")
            if name in self._values and name in single:
                raise Malformed(f"{name} is given twice.", next_step=f"Give {name} once.")
            self._values.setdefault(name, []).append(value)

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def text(self, name: str, default: str) -> str:
        """Return a parameter as it was given."""
        return self._values[name][0] if name in self._values else default

    def all(self, *names: str) -> list[str]:
        """Return every value of parameters that may be repeated."""
        return [value for name in names for value in self._values.get(name, ())]

    def truth(self, name: str) -> bool:
        """Return a parameter that is true or false; false if it is not given."""
        word = self.text(name, "false").lower()
        if word not in {"true", "false", "1", "0"}:
            raise wrong(name, "true or false")
        return word in {"true", "1"}

    def limit(self, name: str = "limit", most: int | None = None) -> int | None:
        """Return how many are wanted at most, None if that is not said."""
        if name not in self:
            return None
        text = self.text(name, "")
        if not re.fullmatch(r"[0-9]{1,9}", text) or not 1 <= int(text) <= (most or int(text)):
            raise wrong(name, "a whole number from 1" if most is None else f"a whole number from 1 to {most:,}")
        return int(text)

    def direction(self, default: Direction) -> Direction:
        """Return the order of event times."""
        word = self.text("direction", default).lower()
        if word not in set(Direction):
            raise wrong("direction", "forward or backward")
        return Direction(word)

    def time(self, name: str, default: int) -> int:
        """Return a point in time in nanoseconds since the epoch."""
        return _time(name, self.text(name, "")) if name in self else default

    def interval(self, now: Instant) -> Interval:
        """Return the event times from `start` to `end`, or the last hour, or as long as `since` says.

        Raises:
            QueryInvalid: the end lies before the start.
        """
        now_ns = now * 1_000
        end = self.time("end", now_ns)
        start = self.start(min(end, now_ns))
        if end < start:
            raise QueryInvalid("The end lies before the start.", next_step="Check start and end.")
        return Interval(start, max(end, start + 1))

    def start(self, end_ns: int) -> int:
        """Return `start`, or the time that lies as long before an end as `since` says: an hour by default."""
        return self.time("start", max(0, end_ns - (self.duration("since") or DEFAULT_SINCE_NS)))

    def duration(self, name: str) -> int | None:
        """Return a duration above zero in nanoseconds, None if it is not given."""
        if name not in self:
            return None
        found = long_duration(self.text(name, ""))
        if not found:
            raise wrong(name, "a duration above zero, such as 30m or 1h30m")
        return found

    def seconds(self, name: str) -> int | None:
        """Return seconds, or a duration such as 5m, in nanoseconds, None if it is not given."""
        if name not in self:
            return None
        text = self.text(name, "")
        found = round(float(text) * NANOSECONDS) if _SECONDS.fullmatch(text) else long_duration(text)
        if found is None or not 0 <= found <= MAX_EVENT_NS:
            raise wrong(name, "seconds, or a duration such as 5m")
        return found


def _decoded(piece: bytes) -> str:
    try:
        return unquote_to_bytes(piece.replace(b"+", b" ")).decode()
    except UnicodeDecodeError as error:
        raise Malformed("The parameters are not UTF-8.", next_step="Encode them as UTF-8.") from error


def _time(name: str, text: str) -> int:
    if _INTEGER.fullmatch(text):
        number = int(text)
        value = number * NANOSECONDS if len(text.lstrip("-")) <= 10 else number  # noqa: PLR2004 - digits of seconds
    elif _FLOAT.fullmatch(text):
        value = round(float(text) * 1_000) * 1_000_000
    else:
        try:
            value = parse_event_time(text)
        except LogLeaseError as error:
            raise wrong(name, "seconds, nanoseconds or RFC 3339") from error
    if not 0 <= value <= MAX_EVENT_NS:
        raise wrong(name, "a time between 1970 and 2262")
    return value


def wrong(name: str, expected: str) -> Malformed:
    """Return the error for a value that a parameter cannot have."""
    return Malformed(f"{name} has to be {expected}.", next_step=f"Correct {name}.")
