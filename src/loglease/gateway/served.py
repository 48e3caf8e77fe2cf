"""Lines on their way out, and the account of those that were handed over.

An item is the encoded record of one line with all that its record in the audit log needs. A `Tally` turns a run of
handed-over items into what `access.reserve` and `access.close_session` write down.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from loglease.access.serving import Settled, Unit
from loglease.gateway.resume import Places
from loglease.model.labels import Labels
from loglease.model.served_list import ServedList, ServedStream

MAX_PSEUDONYMS: Final = 4_096


class Item(NamedTuple):
    """One line, redacted, checked and encoded.

    Attributes:
        record: bytes of the answer's body.
        labels: redacted.
        canonical: what the digest of the served list covers.
        places: where an answer that stops behind this line goes on.
        number: which of the lines it is that its encoder wrote.
        owners: the grants that it is from, by their number in the answer; a number may be from several.
        unit: a line, or something that was made of lines: all items of an answer are of one sort.
    """

    record: bytes
    event_ns: int
    labels: Labels
    canonical: bytes
    places: Places
    pseudonyms: tuple[str, ...] = ()
    masked: tuple[tuple[str, int], ...] = ()
    number: int = 0
    owners: tuple[int, ...] = (0,)
    unit: Unit = Unit.LINE


@dataclass(slots=True)
class _Stream:
    first_ns: int
    last_ns: int
    lines: int = 0


class Tally:
    """What a run of items adds up to that were handed over, in their order. It keeps sums and none of the items."""

    __slots__ = ("_digest", "_labels", "_masked", "_pseudonyms", "_stream", "_streams", "_unit", "lines")

    def __init__(self) -> None:
        self.lines = 0
        self._unit = Unit.LINE
        self._digest = hashlib.sha256()
        self._streams: dict[Labels, _Stream] = {}
        self._pseudonyms: set[str] = set()
        self._masked: dict[str, int] = {}
        self._labels: Labels | None = None
        self._stream = _Stream(0, 0)

    def add(self, items: Sequence[Item]) -> None:
        """Take items whose first byte was handed over."""
        if items and not self.lines:
            self._unit = items[0].unit
        self.lines += len(items)
        masked = self._masked
        for item in items:
            self._digest.update(item.canonical)
            # Lines of one stream share its labels, and looking those up takes longer than all the rest.
            if item.labels is not self._labels:
                self._labels = item.labels
                self._stream = self._streams.setdefault(item.labels, _Stream(item.event_ns, item.event_ns))
            stream = self._stream
            stream.first_ns = min(stream.first_ns, item.event_ns)
            stream.last_ns = max(stream.last_ns, item.event_ns)
            stream.lines += 1
            # One pseudonym more than an entry lists says as much as all of them.
            if item.pseudonyms and len(self._pseudonyms) <= MAX_PSEUDONYMS:
                self._pseudonyms.update(item.pseudonyms)
            for rule, count in item.masked:
                masked[rule] = masked.get(rule, 0) + count

    def settled(self, *, size: int, after: tuple[int, int] = (0, 0), rest: Settled | None = None) -> Settled:
        """Return the account of these items.

        Args:
            size: body bytes that were handed over; less than the records' total if the last one was cut.
            after: lines and bytes that were handed over before.
            rest: the account of those that are left if the record asked for last came about.
        """
        after_lines, after_bytes = after
        if not self.lines:
            return Settled(after_lines=after_lines, after_bytes=after_bytes, size=size, rest=rest)
        overflow = len(self._pseudonyms) > MAX_PSEUDONYMS
        pseudonyms = () if overflow else sorted(self._pseudonyms)
        return Settled(
            after_lines=after_lines,
            after_bytes=after_bytes,
            unit=self._unit,
            lines=self.lines,
            size=size,
            first_ns=min(stream.first_ns for stream in self._streams.values()),
            last_ns=max(stream.last_ns for stream in self._streams.values()),
            masked=dict(self._masked),
            served=_served_list(self._digest.hexdigest(), self._streams, pseudonyms),
            overflow=overflow,
            rest=rest,
        )


def _served_list(digest: str, streams: Mapping[Labels, _Stream], pseudonyms: Sequence[str]) -> bytes:
    listed = [ServedStream(labels, one.first_ns, one.last_ns, one.lines) for labels, one in sorted(streams.items())]
    return ServedList(digest, pseudonyms, listed).encode()
