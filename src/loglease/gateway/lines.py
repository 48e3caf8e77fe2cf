"""From a source's pages to redacted lines that the scope covers: labels and time first, redaction, then line rules.

Everything behind this room sees redacted text only. Runs in a thread, off the event loop; one instance belongs to one
reading and is never called twice at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import orjson

from loglease.gateway.recheck import MAX_STREAMS, Order, Recheck
from loglease.gateway.scan import Scan
from loglease.logql import LEVELS, Entry, LabelTest, Streams, level_of
from loglease.model.labels import Labels, labels_of
from loglease.redaction import RedactionStream, Redactor, Span
from loglease.sources.interface import Metadata, Page

CONTEXT_LINES: Final = 400
"""Lines before a backward page that can open a multi-line block reaching into it."""

DERIVED_LEVEL: Final = "detected_level"

_LEVELS: Final = {level: (DERIVED_LEVEL, level) for level in LEVELS}
_PSEUDONYM: Final = "pseudonym"

EarlyTest = Callable[[bytes, Sequence[Span]], bool]
"""A test of redacted text that needs no label: what fails it costs nothing more."""


@dataclass(frozen=True, slots=True)
class Stream:
    """A stream as the client sees it; `raw` is for telling streams apart only.

    Its labels are encoded once, as a JSON object and as a list of pairs.
    """

    raw: Labels
    labels: Labels
    named: Mapping[str, str]
    encoded: bytes
    quoted: bytes
    selected: bool
    pseudonyms: tuple[str, ...]


class Row(NamedTuple):
    """One redacted line."""

    event_ns: int
    stream: Stream
    text: bytes
    spans: Sequence[Span]
    metadata: Metadata
    pseudonyms: tuple[str, ...]
    level: str

    def entry(self) -> Entry:
        """Return the line as the query language takes it."""
        return Entry(self.event_ns, self.text, self.spans, self.stream.named, dict(self.metadata))


class Lines:
    """The redacted lines of one reading.

    Args:
        selector: of the query; evaluated on redacted labels.
        order: checks what the source promised; None for a tail, where lines come as they arrive.
        early: tests lines before their metadata and level are looked at.
        backward: pages come newest first.
        scan: what may be looked at; None for a tail, which has no end.
    """

    def __init__(
        self,
        selector: Iterable[LabelTest],
        *,
        redactor: Redactor,
        recheck: Recheck,
        order: Order | None,
        early: EarlyTest,
        backward: bool,
        scan: Scan | None,
    ) -> None:
        self._selector = Streams(selector)
        self._redactor = redactor
        self._recheck = recheck
        self._order = order
        self._early = early
        self._backward = backward
        self._scan = scan
        self._streams: dict[Labels, Stream] = {}
        self._open: dict[Labels, RedactionStream] = {}
        self._pairs: dict[tuple[str, str], tuple[tuple[str, str], tuple[str, ...]]] = {}

    def rows(self, page: Page, older: Page | None = None) -> Iterator[Row]:
        """Yield the lines of the next page that are covered and whose streams the query selects.

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
            if self._early(text, spans):
                yield row or self._row(page, place, stream, text, spans)

    def shown(self, raw: Labels) -> Labels | None:
        """Return the labels of a stream after redaction, None if the query does not select it."""
        stream = self._stream(raw)
        return stream.labels if stream.selected else None

    def _row(self, page: Page, place: int, stream: Stream, text: bytes, spans: Sequence[Span]) -> Row:
        metadata, pseudonyms = self._metadata(page.metadata[place])
        level = level_of(text, stream.labels, metadata)
        return Row(page.ts[place], stream, text, spans, (*metadata, _LEVELS[level]), pseudonyms, level)

    @property
    def reached_ns(self) -> int | None:
        """Event time of the first line that was too much; None as long as none was."""
        return None if self._scan is None else self._scan.reached_ns

    @property
    def is_exhausted(self) -> bool:
        """Whether there is more than may be looked at."""
        return self.reached_ns is not None

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

    def _stream(self, raw: Labels) -> Stream:
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
        stream = Stream(
            raw=raw,
            labels=labels,
            named=dict(labels),
            encoded=orjson.dumps(dict(labels)),
            quoted=orjson.dumps(labels),
            selected=not self._selector or self._selector.selects(dict(labels)),
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
        tokens = (*pseudonyms_in(new_name.out, new_name.spans), *pseudonyms_in(new_value.out, new_value.spans))
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


def _entries(stream: RedactionStream, lines: list[bytes]) -> Iterator[tuple[bytes, Sequence[Span]]]:
    """Redact entries of one stream, oldest first; each goes in with a line end, so that an empty one is one, too."""
    ends = []
    end = 0
    for line in lines:
        end += len(line) + 1
        ends.append(end)
    for entry, spans in stream.feed(b"\n".join(lines) + b"\n", ends).entries():
        yield bytes(entry).removesuffix(b"\n"), spans


def pseudonyms_in(text: bytes, spans: Sequence[Span]) -> tuple[str, ...]:
    """Return the pseudonyms in a redacted text."""
    return tuple(text[span.start : span.end].decode() for span in spans if span.treatment == _PSEUDONYM)
