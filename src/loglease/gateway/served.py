"""Lines on their way out, and the account of those that were handed over.

An item is the encoded record of one line with all that its record in the audit log needs. `settled` turns a run of
handed-over items into what `access.reserve` and `access.close_session` write down.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
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


@dataclass(slots=True)
class _Tally:
    streams: dict[Labels, _Stream] = field(default_factory=dict)
    pseudonyms: set[str] = field(default_factory=set)
    masked: dict[str, int] = field(default_factory=dict)


def settled(
    items: Sequence[Item], *, size: int, after: tuple[int, int] = (0, 0), rest: Settled | None = None
) -> Settled:
    """Return the account of items that were handed over, in their order.

    Args:
        items: those whose first byte was handed over.
        size: body bytes that were handed over; less than the records' total if the last one was cut.
        after: lines and bytes that were handed over before.
        rest: the account of those that are left if the record asked for last came about.
    """
    after_lines, after_bytes = after
    if not items:
        return Settled(after_lines=after_lines, after_bytes=after_bytes, size=size, rest=rest)
    digest = hashlib.sha256()
    tally = _Tally()
    labels: Labels | None = None
    stream = _Stream(0, 0)
    for item in items:
        digest.update(item.canonical)
        # Lines of one stream share its labels, and looking those up takes longer than all the rest.
        if item.labels is not labels:
            labels = item.labels
            stream = tally.streams.setdefault(labels, _Stream(item.event_ns, item.event_ns))
        stream.first_ns = min(stream.first_ns, item.event_ns)
        stream.last_ns = max(stream.last_ns, item.event_ns)
        stream.lines += 1
        tally.pseudonyms.update(item.pseudonyms)
        for rule, count in item.masked:
            tally.masked[rule] = tally.masked.get(rule, 0) + count
    overflow = len(tally.pseudonyms) > MAX_PSEUDONYMS
    return Settled(
        after_lines=after_lines,
        after_bytes=after_bytes,
        unit=items[0].unit,
        lines=len(items),
        size=size,
        first_ns=min(stream.first_ns for stream in tally.streams.values()),
        last_ns=max(stream.last_ns for stream in tally.streams.values()),
        masked=tally.masked,
        served=_served_list(digest.hexdigest(), tally.streams, () if overflow else sorted(tally.pseudonyms)),
        overflow=overflow,
        rest=rest,
    )


def _served_list(digest: str, streams: Mapping[Labels, _Stream], pseudonyms: Sequence[str]) -> bytes:
    listed = [ServedStream(labels, one.first_ns, one.last_ns, one.lines) for labels, one in sorted(streams.items())]
    return ServedList(digest, pseudonyms, listed).encode()
