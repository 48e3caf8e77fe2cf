"""From a source's pages to redacted lines that the scope covers: labels and time first, redaction, then line rules.

Everything behind this room sees redacted text only. Runs in a thread, off the event loop; one instance belongs to one
reading and is never called twice at once.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise, repeat, takewhile
from typing import Final, NamedTuple

import orjson

from loglease.gateway.chunks import PIECE_BYTES, redacting
from loglease.gateway.gathering import Gathering
from loglease.gateway.recheck import Order, Recheck
from loglease.gateway.scan import Scan
from loglease.logql import (
    LEVELS,
    Entry,
    FilterOp,
    JoinedLines,
    LabelTest,
    LineFilter,
    Streams,
    early_test,
    level_of,
    named_level,
)
from loglease.model.labels import Labels, labels_of
from loglease.redaction import RedactionStream, Redactor, Span, Withheld
from loglease.sources.interface import Metadata, Page

CONTEXT_LINES: Final = 400
"""Lines before a backward page that can open a multi-line block reaching into it."""
MAX_STREAMS: Final = 20_000
"""Streams, and labels, that a session remembers; it begins anew with the next one."""

DERIVED_LEVEL: Final = "detected_level"

_LEVELS: Final = {level: {DERIVED_LEVEL: level} for level in LEVELS}
_LEVEL_NOT_READ: Final = {DERIVED_LEVEL: ""}
_PSEUDONYM: Final = "pseudonym"
_NO_METADATA: Final[tuple[Metadata, tuple[str, ...]]] = (), ()
_NO_LINES: Final[JoinedLines[Span]] = JoinedLines.of(b"", (), {})


Covers = Callable[[Page, Page | None], Collection[int]]
"""Returns the places of the lines of a page that another grant covers; takes what `Lines.found` takes."""


@dataclass(frozen=True, slots=True)
class Stream:
    """A stream as the client sees it; `raw` is for telling streams apart only.

    Its labels are encoded once, as a JSON object and as a list of pairs; `level` is what they name as one.
    """

    raw: Labels
    labels: Labels
    named: Mapping[str, str]
    encoded: bytes
    quoted: bytes
    selected: bool
    level: str | None
    pseudonyms: tuple[str, ...]


class Row(NamedTuple):
    """One redacted line.

    Attributes:
        metadata: its own, without the level that we derive.
        entry: the line as the stages of a query have left it; None without stages.
    """

    event_ns: int
    stream: Stream
    text: bytes
    spans: Sequence[Span]
    metadata: Metadata
    pseudonyms: tuple[str, ...]
    entry: Entry | None = None

    def level(self) -> str:
        """Return the level, looked for in what redaction has left."""
        return self.stream.level or level_of(self.text, (), self.metadata)

    def as_entry(self, *, with_level: bool = True) -> Entry:
        """Return the line as the query language takes it.

        Args:
            with_level: find its level, which takes a while; without, the label is there and its value is empty.
        """
        metadata = _LEVELS[self.level()] if with_level else _LEVEL_NOT_READ
        if self.metadata:
            metadata = {**dict(self.metadata), **metadata}
        return Entry(self.event_ns, self.text, self.spans, self.stream.named, metadata)


@dataclass(frozen=True, slots=True)
class Found:
    """The lines of a page that are covered and that no test has dropped which needs no stage.

    Attributes:
        lines: all that were redacted.
        places: where each of those is in the page.
        streams: those of the page that are covered, by their number there.
        numbers: which of those are left, in ascending order.
        metadata: redacts the metadata of a line, and returns the pseudonyms in it.
    """

    page: Page
    lines: JoinedLines[Span]
    places: Sequence[int]
    streams: Mapping[int, Stream]
    numbers: Sequence[int]
    metadata: Callable[[Metadata | None], tuple[Metadata, tuple[str, ...]]]

    def row(self, number: int, entry: Entry | None = None) -> Row:
        """Return one line."""
        page, place, lines = self.page, self.places[number], self.lines
        raw = page.metadata[place]
        # Most lines have no metadata.
        metadata, pseudonyms = self.metadata(raw) if raw else _NO_METADATA
        stream = self.streams[page.stream[place]]
        return Row(page.ts[place], stream, lines.line(number), lines.spans_of(number), metadata, pseudonyms, entry)

    def rows(self) -> Iterator[Row]:
        """Yield the lines that are left."""
        return map(self.row, self.numbers)

    def entries(self, *, with_level: bool) -> Iterator[Entry]:
        """Yield the lines that are left as the query language takes them.

        Args:
            with_level: find the level of each, which takes a while; without, it is there and its value is empty.
        """
        page, places = self.page, self.places
        if with_level or any(page.metadata):
            for row in self.rows():
                yield row.as_entry(with_level=with_level)
            return
        named = {number: stream.named for number, stream in self.streams.items()}
        stream, ts = page.stream, page.ts
        text, ends, spans = self.lines.text, self.lines.ends, self.lines.spans
        for number in self.numbers:
            place = places[number]
            line = text[ends[number - 1] if number else 0 : ends[number] - 1]
            yield Entry(ts[place], line, spans.get(number, ()), named[stream[place]], _LEVEL_NOT_READ)

    def counted(self, *, with_sizes: bool) -> Iterator[tuple[Stream, list[int], list[int] | None]]:
        """Yield the streams, each with the times of its lines, in ascending order if the page is, and their bytes.

        Args:
            with_sizes: find these; None otherwise.
        """
        stream: Sequence[int] = self.page.stream
        times: Sequence[int] = self.page.ts
        if len(self.numbers) < len(self.page):
            places = [self.places[number] for number in self.numbers]
            stream, times = [stream[place] for place in places], [times[place] for place in places]
        sizes: Iterable[list[int] | None] = repeat(None)
        if with_sizes:
            of_all = [end - start - 1 for start, end in pairwise((0, *self.lines.ends))]
            sizes = self._by_stream(stream, [of_all[number] for number in self.numbers])
        return zip(self.streams.values(), self._by_stream(stream, times), sizes, strict=False)

    def _by_stream(self, stream: Sequence[int], values: Sequence[int]) -> Iterable[list[int]]:
        """Return the values of lines by their streams, in the order of these."""
        found: dict[int, list[int]] = {number: [] for number in self.streams}
        add = {number: own.append for number, own in found.items()}
        for number, value in zip(stream, values, strict=True):
            add[number](value)
        return found.values()


class Lines:
    """The redacted lines of one reading.

    Args:
        selector: of the query; evaluated on redacted labels.
        order: checks what the source promised; None for a tail, where lines come as they arrive.
        filters: those of the query that come first; tested before a line's metadata and level are looked at.
        backward: pages come newest first.
        scan: what may be looked at; None for a tail, which has no end.
        literals: texts that the source is asked to look for; a line without them, outside of masks, is not looked at.
        others: grants whose lines are left out.
    """

    def __init__(
        self,
        selector: Iterable[LabelTest],
        *,
        redactor: Redactor,
        recheck: Recheck,
        order: Order | None,
        filters: Sequence[LineFilter],
        backward: bool,
        scan: Scan | None,
        literals: Sequence[bytes] = (),
        others: Sequence[Covers] = (),
    ) -> None:
        self._selector = Streams(selector)
        self._redactor = redactor
        self._recheck = recheck
        self._order = order
        self._backward = backward
        self._scan = scan
        self._others = others
        held = [LineFilter(FilterOp.HOLDS, (text.decode(),)) for text in literals]
        self._literals = early_test(held)
        self._early = early_test([one for one in filters if one not in held])
        self._streams: dict[Labels, Stream] = {}
        self._open: dict[Labels, RedactionStream] = {}
        self._pairs: dict[tuple[str, str], tuple[tuple[str, str], tuple[str, ...]]] = {}

    def found(self, page: Page, older: Page | None = None) -> Found:
        """Redact the next page; return its lines that are covered and whose streams the query selects.

        Args:
            older: for a backward read the page that comes next, since a secret over several lines may begin there.

        Raises:
            Withheld: the redactor cannot vouch for the text.
            SourceProtocol: the source broke the order it promised.
        """
        places = self._recheck.admitted(page)
        if self._order is not None:
            self._order.check(page.ts.tolist() if len(places) == len(page) else [page.ts[place] for place in places])
        # What the scope does not cover is not even redacted: a label that cannot be would end an answer without it.
        covered = range(len(page.streams)) if len(places) == len(page) else {page.stream[place] for place in places}
        streams = {number: self._stream(page.streams[number]) for number in covered}
        if not all(stream.selected for stream in streams.values()):
            places = [place for place in places if streams[page.stream[place]].selected]
        lines = self._redacted(page, places, older) if places else _NO_LINES
        found = Found(page, lines, places, streams, range(len(places)), self._metadata)
        # SECURITY: what a source leaves out, or not, must move no limit; tested in tests/gateway/test_prefilter.py.
        numbers = self._recheck.admits_texts(lines, self._literals.kept(lines, found.numbers))
        if self._recheck.needs_level:
            numbers = [number for number in numbers if self._recheck.admits_level(found.row(number).level())]
        # SECURITY: after redaction, so that a secret that began in another's line is known where it goes on; tested in
        # tests/gateway/test_union.py.
        for covers in self._others:
            theirs = covers(page, older)
            numbers = [number for number in numbers if places[number] not in theirs]
        if self._scan is not None:
            numbers = self._looked_at(self._scan, page, places, lines, numbers)
        return replace(found, numbers=self._early.kept(lines, numbers))

    def shown(self, raw: Labels) -> Labels | None:
        """Return the labels of a stream after redaction, None if the query does not select it."""
        stream = self._stream(raw)
        return stream.labels if stream.selected else None

    def gathering(self) -> Gathering:
        """Return what makes pages of the permitted lines of a backward read."""
        return Gathering(self._recheck)

    def covered(self, page: Page) -> Sequence[int]:
        """Return the places of a page's lines whose labels and event time are covered."""
        return self._recheck.covered(page)

    def _looked_at(
        self, scan: Scan, page: Page, places: Sequence[int], lines: JoinedLines[Span], numbers: Sequence[int]
    ) -> Sequence[int]:
        """Return the lines that come before the first one that is too much."""
        whole = len(numbers) == len(lines.ends)
        size = len(lines.text) - len(lines.ends) if whole else sum(len(lines.line(number)) for number in numbers)
        if scan.takes_all(len(numbers), size):
            return numbers
        return list(takewhile(lambda number: scan.takes(page.ts[places[number]], len(lines.line(number))), numbers))

    @property
    def reached_ns(self) -> int | None:
        """Event time of the first line that was too much; None as long as none was."""
        return None if self._scan is None else self._scan.reached_ns

    @property
    def is_exhausted(self) -> bool:
        """Whether there is more than may be looked at."""
        return self.reached_ns is not None

    def _redacted(self, page: Page, places: Sequence[int], older: Page | None) -> JoinedLines[Span]:
        """Redact the lines at some places of a page.

        What a line says of others, a block over several, is a matter of its stream. Where no block is or begins, all
        lines are redacted together.
        """
        raw = page.lines if len(places) == len(page) else [page.lines[place] for place in places]
        if self._knows_no_block(raw, older):
            return redacted_page(self._redactor.open(), raw)
        by_stream: dict[int, list[int]] = {}
        numbers = range(len(places))
        for number in reversed(numbers) if self._backward else numbers:
            by_stream.setdefault(page.stream[places[number]], []).append(number)
        texts: dict[int, tuple[bytes, Sequence[Span]]] = {}
        for stream, own in by_stream.items():
            lines = redacted_page(self._redaction(page.streams[stream], older), [raw[number] for number in own])
            for place, number in enumerate(own):
                texts[number] = lines.line(place), lines.spans_of(place)
        text = b"".join(texts[number][0] + b"\n" for number in numbers)
        ends = list(accumulate(len(texts[number][0]) + 1 for number in numbers))
        return JoinedLines.of(text, ends, {number: spans for number, (_, spans) in texts.items() if spans})

    def _knows_no_block(self, raw: Sequence[bytes], older: Page | None) -> bool:
        """Say whether no line of these can be part of a block of several lines."""
        if not all(stream.is_fresh for stream in self._open.values()):
            return False
        text = b"\n".join([*raw, *(older.lines if older is not None else ())])
        return not any(mark in text for mark in self._redactor.block_marks)

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
            redacted_page(stream, before)
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

    def _stream(self, raw: Labels) -> Stream:
        found = self._streams.get(raw)
        if found is not None:
            return found
        shown: dict[str, str] = {}
        pseudonyms: list[str] = []
        pairs = [self._pair(name, value) for name, value in raw]
        for (new_name, new_value), tokens in sorted(pairs):  # of names that masks make equal, the order tells nothing
            shown[new_name] = new_value
            pseudonyms += tokens
        labels = labels_of(shown)
        stream = Stream(
            raw=raw,
            labels=labels,
            named=dict(labels),
            encoded=orjson.dumps(dict(labels)),
            quoted=orjson.dumps(labels),
            selected=not self._selector or self._selector.selects(dict(labels)),
            level=named_level(labels),
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
        with redacting(self._redactor):
            new_name = self._redactor.value(None, name.encode("utf-8", "replace"))
            new_value = self._redactor.value(name, value.encode("utf-8", "replace"))
        tokens = (*pseudonyms_in(new_name.out, new_name.spans), *pseudonyms_in(new_value.out, new_value.spans))
        pair = (new_name.out.decode(), new_value.out.decode()), tokens
        if len(self._pairs) >= MAX_STREAMS:
            self._pairs.clear()
        self._pairs[name, value] = pair
        return pair

    def _metadata(self, raw: Metadata | None) -> tuple[Metadata, tuple[str, ...]]:
        """Return a line's metadata after redaction; a level that the source derived is discarded."""
        if not raw:
            return _NO_METADATA
        pairs = [self._pair(name, value) for name, value in raw if name != DERIVED_LEVEL]
        # SECURITY: their order may be that of masked names; tested in tests/promises/test_2_blind_routes.py.
        return tuple(sorted(pair for pair, _ in pairs)), tuple(token for _, tokens in pairs for token in tokens)


def redacted_page(stream: RedactionStream, lines: Sequence[bytes]) -> JoinedLines[Span]:
    """Redact entries, each with a line end, so that an empty one is one, too; those of one stream oldest first.

    Raises:
        Withheld: the redactor cannot vouch for the text.
    """
    has_inner = b"\n" in b"".join(lines)
    texts: list[bytes] = []
    ends: list[int] = []
    spans: dict[int, list[Span]] = {}
    for piece in _pieces(lines):
        raw = b"\n".join([*piece, b""])
        with redacting(stream):
            redacted = stream.feed(raw, list(accumulate(len(line) + 1 for line in piece)) if has_inner else None)
        own = redacted.ends
        if len(own) != len(piece):
            raise Withheld("rule_error")
        for span in redacted.spans:
            number = bisect_right(own, span.start)
            start = own[number - 1] if number else 0
            moved = span._replace(start=span.start - start, end=span.end - start)
            spans.setdefault(len(ends) + number, []).append(moved)
        before = ends[-1] if ends else 0
        ends.extend([end + before for end in own] if before else own)
        texts.append(redacted.out)
    # Without any of their own, all line feeds that redaction has left are those behind lines.
    return (JoinedLines.of if has_inner else JoinedLines)(b"".join(texts), ends, spans)


def _pieces(lines: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
    """Cut a page behind every so many bytes."""
    first = size = 0
    for number, line in enumerate(lines):
        size += len(line) + 1
        if size >= PIECE_BYTES:
            yield lines[first : number + 1]
            first, size = number + 1, 0
    if first < len(lines):
        yield lines[first:]


def pseudonyms_in(text: bytes, spans: Sequence[Span]) -> tuple[str, ...]:
    """Return the pseudonyms in a redacted text."""
    return tuple(text[span.start : span.end].decode() for span in spans if span.treatment == _PSEUDONYM)
