"""The formats that entries are exported in, one line an entry, and what each needs to know."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final, Protocol

from loglease.audit.checking import LogDamaged
from loglease.audit.export import ndjson, ocsf
from loglease.audit.export.grants import Grants
from loglease.audit.merkle import leaf_hash

NEXT_STEP: Final = "Nothing of it is exported. Verify the log, and keep this database for the inquiry."


class Format(StrEnum):
    """How entries are written; the words of the command line and of the API."""

    NDJSON = "ndjson"
    OCSF = "ocsf"


class Logged(Protocol):
    """An entry as it stands in the log."""

    @property
    def index(self) -> int:
        """Its place, from 0 on."""

    @property
    def content(self) -> bytes:
        """Its exact bytes."""

    @property
    def leaf(self) -> bytes:
        """Its hash as a leaf of the log."""


class Writer(Protocol):
    """Makes one line of one entry; the line ends with a newline and has no other."""

    def __call__(self, row: Logged, /, *, origin: str, grants: Grants) -> bytes:
        """Return the line."""


_WRITERS: Final[Mapping[Format, Writer]] = MappingProxyType({Format.NDJSON: ndjson.line, Format.OCSF: ocsf.line})


def lines(rows: Iterable[Logged], wanted: Format, *, origin: str, grants: Grants) -> Iterator[bytes]:
    """Write entries, which have to follow each other without a gap, as lines; the same entries give the same bytes.

    Raises:
        LogDamaged: an entry is missing among them, or its bytes do not hash to its leaf.
    """
    write = _WRITERS[wanted]
    expected: int | None = None
    for row in rows:
        if expected is not None and row.index != expected:
            raise LogDamaged(f"Audit entry {expected} is missing.", next_step=NEXT_STEP)
        # SQLite keeps what it is given: a foreign hand may have left text where bytes belong.
        if not isinstance(row.content, bytes) or leaf_hash(row.content) != row.leaf:
            raise LogDamaged(f"Audit entry {row.index} does not hash to its leaf.", next_step=NEXT_STEP)
        expected = row.index + 1
        yield write(row, origin=origin, grants=grants)
