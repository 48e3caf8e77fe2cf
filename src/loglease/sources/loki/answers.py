"""From answers of Loki to rows, with the labels of a stream kept apart from what a line says of itself.

SECURITY: a scope is about stream labels, which a shipper sets. Loki folds structured metadata, which whoever writes a
line sets, into the same object unless it is asked not to; so it is asked, and has to confirm that it did.
tests/sources/loki/test_answers.py.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import repeat
from typing import Any, Final

import orjson

from loglease.model.labels import Labels, labels_of
from loglease.sources.following import Arrival
from loglease.sources.interface import MAX_LINE_BYTES, MAX_TIME_NS, Metadata, SourceLimit, SourceProtocol
from loglease.sources.paging import Row

MAX_LABELS: Final = 100
MAX_METADATA: Final = 2_000
CATEGORIZED: Final = "categorize-labels"
_TELL: Final = "Tell an operator of LogLease."
_NUMBER: Final = re.compile(r"[0-9]{1,19}")
_WITH_PARTS: Final = 3
"""Time, line, and what Loki knows of the line apart from its stream."""


def runs_in(document: bytes, *, structured: bool) -> list[list[Row]]:
    """Return the rows of an answer to a log query, those of one stream together, in the store's order.

    Args:
        structured: whether the store has to confirm that it tells labels and metadata apart.

    Raises:
        SourceProtocol: it is no such answer, or does not confirm that.
        SourceLimit: it has more labels, or a longer line, than there may be.
    """
    data = _data(document)
    if not isinstance(data, dict) or data.get("resultType") != "streams":
        raise nonsense()
    categorized = _categorized(data, structured=structured)
    return [_rows(stream, categorized) for stream in _sequence(data.get("result"))]


def arrival_in(message: bytes, *, structured: bool) -> Arrival:
    """Return what a message of a tail gives; see `runs_in`.

    Raises:
        SourceProtocol: it is no such message.
        SourceLimit: it has more labels, or a longer line, than there may be.
    """
    found = _json(message)
    if not isinstance(found, dict):
        raise nonsense()
    streams = found.get("streams") or ()
    if not streams:
        return Arrival([], lost=bool(found.get("dropped_entries")))
    categorized = _categorized(found, structured=structured)
    rows = [row for stream in _sequence(streams) for row in _rows(stream, categorized)]
    return Arrival(rows, lost=bool(found.get("dropped_entries")))


def streams_in(document: bytes) -> Iterator[Labels]:
    """Yield the streams that an answer lists.

    Raises:
        SourceProtocol: it is no such list.
        SourceLimit: one has more labels than a stream may have.
    """
    return map(_labels, _sequence(_data(document)))


def _json(document: bytes) -> Any:
    try:
        return orjson.loads(document)
    except orjson.JSONDecodeError:
        raise nonsense() from None


def _data(document: bytes) -> object:
    found = _json(document)
    if not isinstance(found, dict) or found.get("status") != "success":
        raise nonsense()
    return found.get("data")


def _categorized(found: Mapping[str, Any], *, structured: bool) -> bool:
    """Say whether labels and metadata are told apart."""
    flags = found.get("encodingFlags") or ()
    if CATEGORIZED in _sequence(flags):
        return True
    if structured:
        raise SourceProtocol(
            "The source does not tell labels of a stream from structured metadata, which everybody can write.",
            next_step="Tell an operator of LogLease: Loki 3 does; for an older one see structured_metadata.",
        )
    return False


def _rows(stream: object, categorized: bool) -> list[Row]:  # noqa: FBT001 - private
    """Return the rows of one stream, column by column: a page has thousands of them."""
    if not isinstance(stream, dict):
        raise nonsense()
    labels = _labels(stream.get("stream"))
    values = _sequence(stream.get("values"))
    if not (_all_of(list, values) and {2, _WITH_PARTS} >= set(map(len, values))):
        raise nonsense()
    metadata = [_metadata(value[2], categorized) if len(value) == _WITH_PARTS else () for value in values]
    times, lines = _times([value[0] for value in values]), _lines([value[1] for value in values])
    return list(map(Row, times, repeat(labels), lines, metadata))


def _labels(found: object) -> Labels:
    pairs = _pairs(found)
    if len(pairs) > MAX_LABELS:
        raise SourceLimit(f"The source has a stream of more than {MAX_LABELS} labels.", next_step=_TELL)
    return labels_of(pairs)


def _metadata(parts: object, categorized: bool) -> Metadata:  # noqa: FBT001 - private
    """Return the structured metadata; no stage of ours parses a line, so nothing can have been parsed."""
    if not categorized or not isinstance(parts, dict):
        raise nonsense()
    if not parts:
        return ()
    if any(part for name, part in parts.items() if name != "structuredMetadata"):
        raise nonsense()
    pairs = _pairs(parts.get("structuredMetadata", {}))
    if len(pairs) > MAX_METADATA:
        raise SourceLimit(f"The source gave a line with more than {MAX_METADATA} fields.", next_step=_TELL)
    return tuple(sorted(pairs.items()))


def _pairs(found: object) -> dict[str, str]:
    if not isinstance(found, dict) or not all(isinstance(value, str) for value in found.values()):
        raise nonsense()
    return found


def _times(texts: Sequence[Any]) -> list[int]:
    if not _all_of(str, texts):
        raise nonsense()
    if not all(map(_NUMBER.fullmatch, texts)):
        raise nonsense()
    times = list(map(int, texts))
    if max(times, default=0) > MAX_TIME_NS:
        raise nonsense()
    return times


def _lines(texts: Sequence[Any]) -> list[bytes]:
    if not _all_of(str, texts):
        raise nonsense()
    lines = [text.encode().removesuffix(b"\n") for text in texts]
    if max(map(len, lines), default=0) > MAX_LINE_BYTES:
        raise SourceLimit("The source gave a line of more than 16 MiB.", next_step=_TELL)
    return lines


def _all_of(kind: type, items: Iterable[object]) -> bool:
    return set(map(type, items)) <= {kind}


def _sequence(found: object) -> Sequence[Any]:
    if not isinstance(found, list | tuple):
        raise nonsense()
    return found


def in_order(rows: Iterable[Row], *, backward: bool) -> bool:
    """Say whether times never step back."""
    times = [row.ts for row in rows]
    return times == sorted(times, reverse=backward)


def nonsense() -> SourceProtocol:
    """Return the error for an answer that cannot be Loki's."""
    return SourceProtocol("The source answered what Loki does not.", next_step=_TELL)
