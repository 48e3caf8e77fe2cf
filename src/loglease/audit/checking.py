"""What is checked of the stored log: that no entry is missing, and that each is what was recorded."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Final

import orjson

from loglease.audit.forms import check_form
from loglease.audit.interface import EntryInvalid, Group, Rows
from loglease.audit.ledger import StoredRow
from loglease.audit.merkle import leaf_hash
from loglease.model.errors import LogLeaseError
from loglease.model.instant import Instant, parse_instant

NEWEST: Final = 4_096
"""How many entries are hashed again at each start."""

_RESTORE: Final = "Do not go on with this database: restore the newest backup, and keep this file for the inquiry."


class LogDamaged(LogLeaseError):
    """The stored log is not what was recorded: an entry is missing, or its bytes changed."""

    code = "audit_unavailable"


class Found(StrEnum):
    """What is wrong with the log; entries of type ``tamper.found`` name it as their detail."""

    GAP = "gap"
    HASH = "hash"
    FORM = "form"
    ID = "id"
    TIME = "time"
    ROOT = "root"
    CHAIN = "chain"
    SIGNATURE = "signature"
    TILE = "tile"


class Tampered(LogDamaged):
    """Something of the log is not what it was.

    Attributes:
        place: the table, or the path of a file in the log directory.
        first_bad: the lowest index of an entry that is concerned, if that is known.
    """

    def __init__(self, found: Found, place: str, text: str, *, first_bad: int | None = None) -> None:
        super().__init__(text, next_step=_RESTORE)
        self.found = found
        self.place = place
        self.first_bad = first_bad


def require_whole(rows: Sequence[StoredRow], first: int, *, last_at: Instant) -> Instant:
    """Check rows that were read from the database, and return the time of the last of them.

    Args:
        first: the index that the first has to have.
        last_at: time of the entry before them.

    Raises:
        Tampered: an index is missing, or an entry is not what its leaf, its id and its form demand.
    """
    before = ""
    for expected, (index, entry_id, content, leaf) in enumerate(rows, first):
        if index != expected:
            raise _tampered(Found.GAP, expected, "is missing")
        # SQLite keeps what it is given: a foreign hand may have left text where bytes belong.
        if not isinstance(content, bytes) or leaf_hash(content) != leaf:
            raise _tampered(Found.HASH, index, "does not hash to its leaf")
        try:
            check_form(content)
        except EntryInvalid as error:
            raise _tampered(Found.FORM, index, f"is broken: {error}") from error
        entry = orjson.loads(content)
        if entry["id"] != entry_id:
            raise _tampered(Found.ID, index, "is stored under another id")
        if entry["at"] != before:  # the entries of one commit have one time
            before, at = entry["at"], parse_instant(entry["at"])
            if at < last_at:
                raise _tampered(Found.TIME, index, "is older than the one before it")
            last_at = at
    return last_at


def _tampered(found: Found, index: int, text: str) -> Tampered:
    return Tampered(found, "entries", f"Audit entry {index} {text}.", first_bad=index)


async def check_log(rows: Rows[object]) -> int:
    """Check that indices are dense and the newest entries have their hashes, and return the size of the log.

    Raises:
        LogDamaged: they are not; the error names the first bad index.
        StoreUnavailable: the database cannot be read.
    """
    return await rows.group(_checked_size)


def _checked_size(group: Group[object]) -> int:
    count, first, last = group.extent()
    head = group.head
    if count == 0 and head.next == head.min_index == 0:
        return 0
    if first is None or last is None or last + 1 != head.next or first > head.min_index or last - first + 1 != count:
        raise LogDamaged(
            f"The audit log should hold entries {head.min_index} to {head.next - 1}, and holds {count}"
            f" from {first} to {last}.",
            next_step=_RESTORE,
        )
    rows = group.newest(NEWEST)
    newest = require_whole(rows, head.next - len(rows), last_at=Instant(0))
    if newest > head.last_at:
        raise LogDamaged(f"Audit entry {last} is newer than the head of the log.", next_step=_RESTORE)
    return head.next
