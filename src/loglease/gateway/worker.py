"""From pages to items: re-check, redact, line rules, filters, encode. Runs in a thread, off the event loop.

One worker belongs to one session and is never called twice at once. Everything after redaction sees redacted text only.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final, NamedTuple

import orjson

from loglease.gateway.frontends.plain import Encoder, Line
from loglease.gateway.planner import Plan
from loglease.gateway.recheck import MAX_STREAMS, Order, Recheck
from loglease.gateway.resume import Position
from loglease.gateway.scan import Scan
from loglease.gateway.served import Item
from loglease.logql import LEVELS, Filters, Streams, level_of
from loglease.model.labels import Labels, labels_of
from loglease.redaction import RedactionStream, Redactor, Span
from loglease.sources.interface import Direction, Metadata, Page

CONTEXT_LINES: Final = 400
"""Lines before a backward page that can open a multi-line block reaching into it."""

MAX_HELD: Final = 5_000
DERIVED_LEVEL: Final = "detected_level"
_LEVELS: Final = {level: (DERIVED_LEVEL, level) for level in LEVELS}
_LEVEL_ALONE: Final = {level: orjson.dumps(dict([pair])) for level, pair in _LEVELS.items()}
_PSEUDONYM: Final = "pseudonym"


@dataclass(frozen=True, slots=True)
class _Stream:
    """A stream as the client sees it; its labels are encoded once, as a JSON object and as a list of pairs."""

    raw: Labels
    labels: Labels
    encoded: bytes
    quoted: bytes
    selected: bool
    pseudonyms: tuple[str, ...]


class _Row(NamedTuple):
    event_ns: int
    stream: _Stream
    text: bytes
    spans: Sequence[Span]
    metadata: Metadata
    pseudonyms: tuple[str, ...]
    level: str


class Worker:
    """The evaluation of one session.

    Args:
        order: checks what the source promised; None for a tail, where lines come as they arrive.
        after: resume behind this position.
        scan: what may be looked at; None for a tail, which has no end.
    """

    def __init__(
        self,
        plan: Plan,
        *,
        redactor: Redactor,
        recheck: Recheck,
        encoder: Encoder,
        direction: Direction,
        order: Order | None,
        after: Position | None = None,
        scan: Scan | None = None,
    ) -> None:
        self._redactor = redactor
        self._scan = scan
        self._recheck = recheck
        self._encoder = encoder
        self._order = order
        self._backward = direction is Direction.BACKWARD
        self._streams_of_query = Streams(plan.query.selector)
        self._filters = Filters(plan.query.filters)
        self._streams: dict[Labels, _Stream] = {}
        self._open: dict[Labels, RedactionStream] = {}
        self._pairs: dict[tuple[str, str], tuple[tuple[str, str], tuple[str, ...]]] = {}
        self._held: list[_Row] = []
        self._after = after
        self._edge_ns: int | None = None
        self._edge_seen = 0
        self._skipped = 0

    def page(self, page: Page, older: Page | None = None) -> list[Item]:
        """Evaluate the next page.

        Args:
            older: for a backward read the page that comes next, since a secret over several lines may begin there.

        Raises:
            Withheld: the redactor cannot vouch for the text.
            SourceProtocol: the source broke the order it promised.
        """
        places = self._recheck.admitted(page)
        if self._order is not None:
            for place in places:
                self._order.check(page.ts[place])
        rows = list(self._rows(page, places, older))
        if self._order is not None:
            rows = self._before_limit(rows) if self.is_exhausted else self._in_order(rows)
        return list(self._items(rows))

    @property
    def is_exhausted(self) -> bool:
        """Whether there is more than may be looked at; what was given ends before the time of the first line beyond."""
        return self._scan is not None and self._scan.reached_ns is not None

    def finish(self) -> list[Item]:
        """Return what was held back to be put in order, once a read has no more pages."""
        rows, self._held = self._held, []
        return list(self._items(_tied(rows)))

    def _rows(self, page: Page, places: list[int], older: Page | None) -> Iterator[_Row]:
        streams = [self._stream(labels) for labels in page.streams]
        if not places:
            return
        texts = self._redacted(page, places, older)
        for place in places:
            stream = streams[page.stream[place]]
            if not stream.selected:
                continue
            text, spans = texts[place]
            if not self._recheck.admits_text(text, spans):
                continue
            row = self._row(page, place, stream, text, spans) if self._recheck.needs_level else None
            if row is not None and not self._recheck.admits_level(row.level):
                continue
            if self._scan is not None and not self._scan.takes(page.ts[place], len(text)):
                return
            if self._filters.pass_line(text, spans):
                yield row or self._row(page, place, stream, text, spans)

    def _row(self, page: Page, place: int, stream: _Stream, text: bytes, spans: Sequence[Span]) -> _Row:
        metadata, pseudonyms = self._metadata(page.metadata[place])
        level = level_of(text, stream.labels, metadata)
        return _Row(page.ts[place], stream, text, spans, metadata, pseudonyms, level)

    def _redacted(self, page: Page, places: list[int], older: Page | None) -> dict[int, tuple[bytes, Sequence[Span]]]:
        by_stream: dict[int, list[int]] = {}
        for place in reversed(places) if self._backward else places:
            by_stream.setdefault(page.stream[place], []).append(place)
        texts: dict[int, tuple[bytes, Sequence[Span]]] = {}
        for number, own in by_stream.items():
            stream = self._redaction(page.streams[number], older)
            texts.update(zip(own, _entries(stream, [page.lines[place] for place in own]), strict=True))
        return texts

    def _redaction(self, labels: Labels, older: Page | None) -> RedactionStream:
        """Return the state of a stream; a backward read starts afresh on each page, behind the lines before it."""
        if not self._backward:
            if labels not in self._open:
                if len(self._open) >= MAX_STREAMS:
                    self._open.clear()
                self._open[labels] = self._redactor.open()
            return self._open[labels]
        stream = self._redactor.open()
        before = [] if older is None else self._lines_before(labels, older)
        if before and any(mark in line for line in before for mark in self._redactor.block_marks):
            for _ in _entries(stream, before):
                pass
        return stream

    def _lines_before(self, labels: Labels, older: Page) -> list[bytes]:
        """Return the nearest lines of a stream in an older page, oldest first; only permitted ones count."""
        before = []
        for place in self._recheck.admitted(older):
            if older.streams[older.stream[place]] == labels:
                before.append(older.lines[place])
                if len(before) == CONTEXT_LINES:
                    break
        return before[::-1]

    def _stream(self, raw: Labels) -> _Stream:
        found = self._streams.get(raw)
        if found is not None:
            return found
        shown: dict[str, str] = {}
        pseudonyms: list[str] = []
        for name, value in raw:
            (new_name, new_value), tokens = self._pair(name, value)
            shown[new_name] = new_value
            pseudonyms += tokens
        labels = labels_of(shown)
        stream = _Stream(
            raw=raw,
            labels=labels,
            encoded=orjson.dumps(dict(labels)),
            quoted=orjson.dumps(labels),
            selected=not self._streams_of_query or self._streams_of_query.selects(dict(labels)),
            pseudonyms=tuple(pseudonyms),
        )
        if len(self._streams) >= MAX_STREAMS:
            self._streams.clear()
        self._streams[raw] = stream
        return stream

    def _pair(self, name: str, value: str) -> tuple[tuple[str, str], tuple[str, ...]]:
        """Return a label or metadata field after redaction, and the pseudonyms in it."""
        known = self._pairs.get((name, value))
        if known is not None:
            return known
        new_name = self._redactor.value(None, name.encode("utf-8", "replace"))
        new_value = self._redactor.value(name, value.encode("utf-8", "replace"))
        tokens = (*_pseudonyms(new_name.out, new_name.spans), *_pseudonyms(new_value.out, new_value.spans))
        pair = (new_name.out.decode(), new_value.out.decode()), tokens
        if len(self._pairs) >= MAX_STREAMS:
            self._pairs.clear()
        self._pairs[name, value] = pair
        return pair

    def _metadata(self, raw: Metadata | None) -> tuple[Metadata, tuple[str, ...]]:
        """Return a line's metadata after redaction; a level that the source derived is discarded."""
        if not raw:
            return (), ()
        pairs = [self._pair(name, value) for name, value in raw if name != DERIVED_LEVEL]
        return tuple(pair for pair, _ in pairs), tuple(token for _, tokens in pairs for token in tokens)

    def _in_order(self, rows: list[_Row]) -> list[_Row]:
        """Order lines of one time by what is visible; those of the last time wait, the next page may go on with it."""
        rows = [*self._held, *rows]
        if not rows:
            self._held = []
            return rows
        last = rows[-1].event_ns
        cut = len(rows)
        while cut and rows[cut - 1].event_ns == last:
            cut -= 1
        if len(rows) - cut > MAX_HELD:
            cut = len(rows)
        self._held = rows[cut:]
        return _tied(rows[:cut])

    def _before_limit(self, rows: list[_Row]) -> list[_Row]:
        """Return what lies before the time of the first line beyond the limit.

        SECURITY: which lines of that very time came first may depend on hidden labels, so none of them is given;
        tested in tests/gateway/test_scan.py.
        """
        reached_ns = None if self._scan is None else self._scan.reached_ns
        rows, self._held = [row for row in [*self._held, *rows] if row.event_ns != reached_ns], []
        return _tied(rows)

    def _items(self, rows: Iterable[_Row]) -> Iterator[Item]:
        for row in rows:
            position = self._position(row.event_ns)
            if position is None:
                continue
            text = row.text.decode()
            quoted = orjson.dumps(text)
            stream = row.stream
            metadata = _metadata_json(row)
            masked: dict[str, int] = {}
            pseudonyms = (*stream.pseudonyms, *row.pseudonyms)
            if row.spans:
                for span in row.spans:
                    if span.kind == "mask":
                        masked[span.rule] = masked.get(span.rule, 0) + 1
                pseudonyms = (*pseudonyms, *_pseudonyms(row.text, row.spans))
            yield Item(
                record=self._encoder.line(Line(row.event_ns, stream.encoded, metadata, text, quoted, position)),
                event_ns=row.event_ns,
                labels=stream.labels,
                canonical=b'[%b,"%d",%b]\n' % (stream.quoted, row.event_ns, quoted),
                position=position,
                pseudonyms=pseudonyms,
                masked=tuple(masked.items()),
            )

    def _position(self, event_ns: int) -> Position | None:
        """Return the position behind the next line, or None if an earlier answer had it already."""
        edge = self._edge_ns
        beyond = edge is None or (event_ns < edge if self._backward else event_ns > edge)
        if beyond:
            self._edge_ns, self._edge_seen = event_ns, 1
        elif event_ns == edge:
            self._edge_seen += 1
        position = Position(self._edge_ns or 0, self._edge_seen)
        after = self._after
        if after is not None and event_ns == after.event_ns and self._skipped < after.seen:
            self._skipped += 1
            return None
        return position


def _entries(stream: RedactionStream, lines: list[bytes]) -> Iterator[tuple[bytes, Sequence[Span]]]:
    """Redact entries of one stream, oldest first; each goes in with a line end, so that an empty one is one, too."""
    ends = []
    end = 0
    for line in lines:
        end += len(line) + 1
        ends.append(end)
    for entry, spans in stream.feed(b"\n".join(lines) + b"\n", ends).entries():
        yield bytes(entry).removesuffix(b"\n"), spans


def _metadata_json(row: _Row) -> bytes:
    """Return a line's metadata and derived level as a JSON object."""
    if not row.metadata:
        return _LEVEL_ALONE[row.level]
    return orjson.dumps(dict((*row.metadata, _LEVELS[row.level])))


def _pseudonyms(text: bytes, spans: Sequence[Span]) -> tuple[str, ...]:
    return tuple(text[span.start : span.end].decode() for span in spans if span.treatment == _PSEUDONYM)


def _tied(rows: list[_Row]) -> list[_Row]:
    """Order lines of one time by redacted labels, then runs of one stream by redacted text; never by what is hidden."""
    ordered: list[_Row] = []
    for _, same in groupby(rows, key=lambda row: row.event_ns):
        tied = list(same)
        if len(tied) > 1:
            runs: dict[Labels, list[_Row]] = {}
            for row in tied:
                runs.setdefault(row.stream.raw, []).append(row)
            if len(runs) > 1:
                by_sight = sorted(runs.values(), key=lambda run: (run[0].stream.labels, [row.text for row in run]))
                tied = [row for run in by_sight for row in run]
        ordered += tied
    return ordered
