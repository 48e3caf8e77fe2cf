"""One JSON answer, made of items: each line, sample or name is one, so that each is reserved, recorded and counted.

What stands between items belongs to the one behind it, so that an answer that stops early, because a budget is used up,
can be closed properly at any item.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import orjson

from loglease.access.serving import Unit
from loglease.gateway.frontends.encoder import Line
from loglease.gateway.frontends.loki.shapes import FLAG, metric, sample, stream_labels, value
from loglease.gateway.resume import Places, Position
from loglease.gateway.served import Item
from loglease.logql.metrics import Answer, Grid, Series
from loglease.model.session import CloseWhy

USED_UP: Final = "The budget of the grant is used up: this answer is not whole."


@dataclass(frozen=True, slots=True)
class Shape:
    """What stands around the items of an answer.

    Attributes:
        head: before the first item.
        group_end: behind the last item of a group, if items come in groups.
        foot: behind the last group.
        counts: whether the answer has statistics, all of which say how many items it has.
    """

    head: bytes
    group_end: bytes
    foot: bytes
    counts: bool = True


class Document:
    """Writes an answer's beginning and end. An answer that is cut cannot say so, and is left without an end."""

    ends_early = False

    def __init__(self, shape: Shape, warnings: Sequence[str] = ()) -> None:
        self._shape = shape
        self._warnings = list(warnings)

    def gap(self, lines: int | None) -> bytes:
        """Write nothing: an answer leaves no lines out."""
        del lines
        return b""

    def end(self, reason: str, lines: int, places: Places | None) -> bytes:
        """Write what closes the answer behind so many items."""
        del places
        shape = self._shape
        warnings = [*self._warnings, *((USED_UP,) if reason == CloseWhy.ENDED else ())]
        parts = [shape.group_end if lines else shape.head, shape.foot]
        if shape.counts:
            names = (b"totalEntriesReturned", b"totalLinesProcessed", b"totalPostFilterLines")
            summary = b",".join(b'"%b":%d' % (name, lines) for name in names)
            parts.append(b',"stats":{"summary":{%b}}}' % summary)
        if warnings:
            parts.append(b',"warnings":' + orjson.dumps(warnings))
        return b"".join((*parts, b"}"))

    def led(self, items: Sequence[Item]) -> list[Item]:
        """Return items with the head before the first and commas between them."""
        head = self._shape.head
        return [one._replace(record=(b"," if number else head) + one.record) for number, one in enumerate(items)]

    def grouped(self, groups: Iterable[tuple[bytes, Sequence[Item]]]) -> list[Item]:
        """Return items with the head before the first, and each group's beginning and end around its items."""
        made: list[Item] = []
        for beginning, items in groups:
            before = (self._shape.group_end + b"," if made else self._shape.head) + beginning
            for one in items:
                made.append(one._replace(record=before + one.record))
                before = b","
        return made


class StreamsEncoder(Document):
    """Writes lines for an answer that lists them by stream; one per answer."""

    def __init__(self, *, categorize: bool, warnings: Sequence[str] = ()) -> None:
        flags = b'"encodingFlags":["%b"],' % FLAG.encode() if categorize else b""
        head = b'{"status":"success","data":{"resultType":"streams",%b"result":[' % flags
        super().__init__(Shape(head, b"]}", b"]"), warnings)
        self._categorize = categorize
        self.streams: list[bytes] = []
        """The stream that each line written so far is listed under, as a JSON object."""

    def line(self, line: Line) -> bytes:
        """Write one line as a value of its stream."""
        self.streams.append(stream_labels(line, categorize=self._categorize))
        return value(line, categorize=self._categorize)

    def by_stream(self, items: Sequence[Item], encoders: Sequence[StreamsEncoder]) -> list[Item]:
        """Return items in the order of the answer: streams by their labels, lines as the query has them.

        Args:
            encoders: what wrote the lines of each grant.
        """
        groups: dict[bytes, list[Item]] = {}
        for item in items:
            stream = encoders[item.owners[0]].streams[item.number]
            groups.setdefault(stream, []).append(item)
        return self.grouped(
            (b'{"stream":%b,"values":[' % stream, members) for stream, members in sorted(groups.items())
        )


def samples_document(*, is_instant: bool, warnings: Sequence[str] = ()) -> Document:
    """Return the answer of a metric query."""
    kind = b"vector" if is_instant else b"matrix"
    head = b'{"status":"success","data":{"resultType":"%b","result":[' % kind
    return Document(Shape(head, b"" if is_instant else b"]}", b"]"), warnings)


def samples(document: Document, answer: Answer, grid: Grid, *, is_instant: bool) -> list[Item]:
    """Return the items of a metric query's answer, one for each number."""
    if is_instant:
        return document.led(
            [
                _item(
                    b'{"metric":%b,"value":%b}' % (metric(series), sample(grid.first_ns, number)),
                    grid.first_ns,
                    series,
                    Unit.SAMPLE,
                )
                for series, [(_, number)] in answer.series
            ]
        )
    return document.grouped(
        (
            b'{"metric":%b,"values":[' % metric(series),
            [_item(sample(grid.at(step), number), grid.at(step), series, Unit.SAMPLE) for step, number in points],
        )
        for series, points in answer.series
    )


def scalar(number: float, ns: int) -> bytes:
    """Return the answer of a query that is a number by itself."""
    return b'{"status":"success","data":{"resultType":"scalar","result":%b}}' % sample(ns, number)


def names_document(warnings: Sequence[str] = ()) -> Document:
    """Return an answer that is a list: of names, values or label sets."""
    return Document(Shape(b'{"status":"success","data":[', b"", b"]", counts=False), warnings)


def name(written: bytes, ns: int, labels: Series = ()) -> Item:
    """Return the item of a name, a value or a label set, written as JSON."""
    return _item(written, ns, labels, Unit.NAME)


def _item(record: bytes, ns: int, series: Series, unit: Unit) -> Item:
    labels = metric(series)
    return Item(
        record=record,
        event_ns=ns,
        labels=series,
        canonical=b'[%b,"%d",%b]\n' % (labels, ns, record),
        places=(Position(ns, 1),),
        pseudonyms=tuple(found.decode() for found in _PSEUDONYM.findall(record)),
        unit=unit,
    )


_PSEUDONYM = re.compile("⟦[^⟦⟧]*:[^⟦⟧]*⟧".encode())
