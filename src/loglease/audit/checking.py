"""What is checked of the log before anybody is served: that no entry is missing, and that the newest are whole."""

from __future__ import annotations

from typing import Final

from loglease.audit.entry import entry_of
from loglease.audit.interface import EntryInvalid, Group, Rows
from loglease.audit.merkle import leaf_hash
from loglease.model.errors import LogLeaseError

NEWEST: Final = 4_096
"""How many entries are hashed again at each start."""

_RESTORE: Final = "Do not go on with this database: restore the newest backup, and keep this file for the inquiry."


class LogDamaged(LogLeaseError):
    """The stored log is not what was recorded: an entry is missing, or its bytes changed."""

    code = "audit_unavailable"


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
    before = 0
    for index, content, leaf in group.newest(NEWEST):
        # SQLite keeps what it is given: a foreign hand may have left text where bytes belong.
        if not isinstance(content, bytes) or leaf_hash(content) != leaf:
            raise LogDamaged(f"Audit entry {index} does not hash to its leaf.", next_step=_RESTORE)
        try:
            at = entry_of(content).at
        except EntryInvalid as error:
            raise LogDamaged(f"Audit entry {index} is broken: {error}", next_step=_RESTORE) from error
        if at < before:
            raise LogDamaged(f"Audit entry {index} is older than the one before it.", next_step=_RESTORE)
        before = at
    if before > head.last_at:
        raise LogDamaged(f"Audit entry {last} is newer than the head of the log.", next_step=_RESTORE)
    return head.next
