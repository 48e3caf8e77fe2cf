"""What rules need of entries, read where their hashes and forms are checked, and taken from there to the rules.

Processes that check stretches of a log have their entries at hand. Rules are asked in one process, since each entry is
judged by those before it; if that one parsed every entry again, the others would wait for it. What is handed over is
made by this program for itself, of entries that were found to hold, so it is not looked at again.
"""

from __future__ import annotations

import marshal
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final, NamedTuple

import orjson

from loglease.audit.entry import MAX_ENTRY_BYTES
from loglease.audit.forms import check_form
from loglease.audit.interface import EntryInvalid
from loglease.audit.patterns import capturing
from loglease.audit.semantic.facts import Fact, instant_of, read_fact
from loglease.model.instant import Instant

BATCH: Final = "batch.served"
"""The type of most entries of a log; what rules ask of one is written out, without the names."""

Row = tuple[Any, ...]
"""A `Batch` or a `Fact`, by its length, as the plain tuple that is faster to hand over."""
Settled = tuple[bytes, int, int, int | None, int | None, bytes]
"""What a batch settled: unit, lines, bytes, first and last event time, commitment to the served list."""


class Batch(NamedTuple):
    """An entry `batch.served` as far as rules ask.

    Attributes:
        ref: its grant, its session, and its request if it names that.
        total_lines: settled so far; `total_bytes` likewise.
        lines: reserved; `bytes` likewise.
    """

    id: str
    actor: bytes
    at: Instant
    ref: tuple[str, str, str | None]
    seq: int
    total_lines: int
    total_bytes: int
    lines: int
    bytes: int
    settled: Settled | None

    def fact(self) -> Fact:
        """Return it as rules see any entry."""
        grant, session, request = self.ref
        ref = {"grant": grant, "session": session}
        if request is not None:
            ref["request"] = request
        data: dict[str, Any] = {
            "seq": self.seq,
            "total": {"lines": self.total_lines, "bytes": self.total_bytes},
            "reserved": {"lines": self.lines, "bytes": self.bytes},
        }
        if self.settled is not None:
            unit, lines, size, first, last, served_c = self.settled
            data["settled"] = {"unit": unit.decode(), "lines": lines, "bytes": size, "served_c": served_c.decode()}
            data["settled"] |= {} if first is None else {"first_ns": first}
            data["settled"] |= {} if last is None else {"last_ns": last}
        return Fact(self.id, BATCH, self.actor.decode(), self.at, ref, data)


_SECOND: Final = len("2026-11-23T09:00:30")
BATCH_PARTS: Final = len(Batch._fields)

_batch: Final = capturing(
    BATCH,
    "actor",
    "at",
    "data.reserved.bytes",
    "data.reserved.lines",
    "data.seq",
    "data.settled.bytes",
    "data.settled.first_ns",
    "data.settled.last_ns",
    "data.settled.lines",
    "data.settled.served_c",
    "data.settled.unit",
    "data.total.bytes",
    "data.total.lines",
    "id",
    "ref",
)


def extract(entries: Sequence[bytes]) -> bytes | tuple[int, EntryInvalid]:
    """Check the form of entries and return what rules need of them, for `rows_of`.

    What is no entry is answered as `forms.first_without_form` does. A batch is read by the pattern that checks it; one
    that this does not match, which has letters beyond ASCII or an escape, is parsed like any other entry.
    """
    rows: list[Row] = []
    second, begun = b"", Instant(0)
    for place, content in enumerate(entries):
        match = _batch(content)
        if match is None or len(content) > MAX_ENTRY_BYTES:
            try:
                check_form(content)
            except EntryInvalid as error:
                return place, error
            rows.append(tuple(read_fact(content)))
            continue
        actor, now, size, lines, seq, new_size, first, last, new_lines, listed, unit, total_size, total, one, ref = (
            match.groups()
        )
        if now[:_SECOND] != second:
            second = now[:_SECOND]
            begun = instant_of(f"{second.decode()}.000000Z")
        at = begun + int(now[_SECOND + 1 : -1])
        settled = None
        if unit is not None:
            first_ns, last_ns = None if first is None else int(first), None if last is None else int(last)
            settled = unit, int(new_lines), int(new_size), first_ns, last_ns, listed
        rows.append(
            (one.decode(), actor, at, _ref(ref), int(seq), int(total), int(total_size), int(lines), int(size), settled)
        )
    return marshal.dumps(rows)


@lru_cache(maxsize=4_096)
def _ref(content: bytes) -> tuple[str, str, str | None]:
    """A session has many batches."""
    ref = orjson.loads(content)
    return ref["grant"], ref["session"], ref.get("request")


def rows_of(content: bytes) -> list[Row]:
    """Return what `extract` has made, in another process of this program."""
    rows: list[Row] = marshal.loads(content)  # noqa: S302 - nobody else has written it
    return rows
