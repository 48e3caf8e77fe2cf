"""``detected_fields`` and ``detected_field/{name}/values``: what the newest permitted lines hold."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

import orjson

from loglease.gateway.asked import Asked, Means, Prepared
from loglease.gateway.errors import QueryInvalid
from loglease.gateway.frontends.encoder import Line
from loglease.gateway.frontends.loki.document import Document, Shape, name
from loglease.gateway.frontends.loki.names import both_ends
from loglease.gateway.frontends.loki.queries import (
    MAX_ANSWER_BYTES,
    MAX_LIMIT,
    Collected,
    lines_reading,
)
from loglease.gateway.parameters import Values
from loglease.gateway.planner import parsed, planned
from loglease.gateway.rescan import rescan_with
from loglease.gateway.resume import Places
from loglease.gateway.served import Item
from loglease.gateway.subjects import require_countable
from loglease.logql import LogQuery, QueryFailed, Rescan
from loglease.logql.entry import ERROR, ERROR_DETAILS
from loglease.logql.fields import Field, Found, fields_of
from loglease.logql.syntax import JsonParser, LogfmtParser, PatternParser, RegexpParser, Unpack
from loglease.model.instant import Instant
from loglease.model.session import Front, SessionKind
from loglease.sources.interface import Direction

DEFAULT_LINES: Final = 1_000
DEFAULT_LIMIT: Final = 1_000

_PARSERS: Final[Mapping[type, str]] = {
    JsonParser: "json",
    LogfmtParser: "logfmt",
    PatternParser: "pattern",
    RegexpParser: "regexp",
    Unpack: "unpack",
}

Fields = Mapping[str, Field]
Written = Callable[[Fields], Sequence[bytes]]
"""Writes what is answered about fields, one JSON text for each item."""


def fields_question(values: Values, now: Instant) -> Asked:
    """Return what ``detected_fields`` asks: each field, its type, how many values it has, and its way."""

    def written(fields: Fields) -> list[bytes]:
        return [orjson.dumps(_described(label, one)) for label, one in sorted(fields.items())]

    return _question(values, now, b"fields", written)


def field_values_question(values: Values, now: Instant, label: str) -> Asked:
    """Return what ``detected_field/{name}/values`` asks."""

    def written(fields: Fields) -> list[bytes]:
        return [orjson.dumps(value) for value in sorted(fields[label].values if label in fields else ())]

    return _question(values, now, b"values", written)


def _described(label: str, one: Field) -> dict[str, object]:
    described: dict[str, object] = {
        "label": label,
        "type": one.type,
        "cardinality": len(one.values),
        "parsers": one.parsers,
    }
    return described | {"jsonPath": one.path} if one.path else described


def _question(values: Values, now: Instant, list_name: bytes, written: Written) -> Asked:
    text = values.text("query", "{}")
    query = parsed(text or "{}")
    if not isinstance(query, LogQuery):
        raise QueryInvalid("This takes a log query.", next_step='Write one like {service="pay-api"}.')
    lines = values.limit("line_limit", MAX_LIMIT) or DEFAULT_LINES
    limit = values.limit("field_limit", MAX_LIMIT) or values.limit(most=MAX_LIMIT) or DEFAULT_LIMIT
    shape = Shape(b'{"%b":[' % list_name, b"", b'],"limit":%d' % limit, counts=False)

    def prepare(all_means: Sequence[Means]) -> Prepared:
        require_countable(query, [means.subject_labels for means in all_means])
        own = _own_parsers(query)
        encoders = [LookedAt(rescan_with(means.redactor), own) for means in all_means]
        reading, warnings = lines_reading(all_means, query, encoders, Direction.BACKWARD)
        document = Document(shape, warnings)
        start = min(means.interval.start for means in all_means)

        def arranged(items: Sequence[Item]) -> list[Item]:
            # A number is made of the lines of all these grants, so it is recorded and counted under each.
            owners = tuple(sorted({item.owners[0] for item in items}))
            made = written(_fields_in(items, encoders))[:limit]
            return document.led([name(one, start)._replace(owners=owners) for one in made])

        return Prepared(Collected(reading, lines, arranged), document)

    return Asked(
        kind=SessionKind.NAMES,
        front=Front.LOKI,
        query=text,
        interval=both_ends(values.interval(now)),
        limit=None,
        check=lambda scope: planned(query, scope),
        prepare=prepare,
    )


def _own_parsers(query: LogQuery) -> list[str]:
    """Return the parsers that a query names itself."""
    return list(dict.fromkeys(_PARSERS[type(stage)] for stage in query.stages if type(stage) in _PARSERS))


def _fields_in(items: Sequence[Item], encoders: Sequence[LookedAt]) -> Fields:
    """Return the fields of lines.

    Args:
        encoders: what took the lines of each grant.

    Raises:
        QueryFailed: there is more to remember than an answer may hold.
    """
    fields: dict[str, Field] = {}
    size = 0
    for item in items:
        encoder = encoders[item.owners[0]]
        for found in encoder.found(encoder.lines[item.number]):
            if fields.setdefault(found.name, Field()).add(found):
                size += len(found.name) + len(found.value)
        if size > MAX_ANSWER_BYTES:
            raise QueryFailed("too_large", "the fields hold more than 32 MiB", limit=True)
    return fields


class LookedAt:
    """Takes lines for what they hold and writes none of them.

    Args:
        own: parsers of the query: if there are any, the labels that they made are the fields.
    """

    ends_early = False

    def __init__(self, rescan: Rescan, own: Sequence[str]) -> None:
        self._rescan = rescan
        self._own = own
        self.lines: list[Line] = []
        """All lines so far."""

    def line(self, line: Line) -> bytes:
        """Take one line; what is returned counts for how much may be looked at together."""
        self.lines.append(line)
        return line.quoted

    def gap(self, lines: int | None) -> bytes:
        """Write nothing."""
        del lines
        return b""

    def end(self, reason: str, lines: int, places: Places | None) -> bytes:
        """Write nothing: the answer is written around the fields."""
        del reason, lines, places
        return b""

    def found(self, line: Line) -> Iterator[Found]:
        """Yield the fields of a line."""
        metadata: dict[str, str] = orjson.loads(line.metadata)
        for label, value in metadata.items():
            yield Found(label, value)
        if not self._own:
            labels: dict[str, str] = orjson.loads(line.labels)
            yield from fields_of(line.text, taken=labels.keys() | metadata.keys(), rescan=self._rescan)
            return
        made: dict[str, str] = orjson.loads(line.parsed or b"{}")
        for label, value in made.items():
            if label not in (ERROR, ERROR_DETAILS):
                for parser in self._own:
                    yield Found(label, value, parser)
