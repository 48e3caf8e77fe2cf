"""`may_serve`: the one function that says whether a slice of an answer may be handed to a socket now.

All its instants are readings of the boot clock in nanoseconds, so that neither a stepped wall clock nor a suspended
machine lengthens anything. It is asked in the same step of the event loop as the write.
"""

from __future__ import annotations

from dataclasses import dataclass

from loglease.model.session import CloseWhy


@dataclass(slots=True, kw_only=True)
class Standing:
    """What a gateway knows of one session at this moment; the gateway keeps it up to date.

    Attributes:
        deadline_ns: boot time at which the grant ends; nothing is handed over then or after.
        lapse_ns: boot time at which the newest reservation lapses.
        ceiling_lines: lines that are on the durable record; `handed_lines` never exceeds it. Bytes likewise.
        ending: the first cause of the end, if there is one.
    """

    deadline_ns: int
    lapse_ns: int = 0
    ceiling_lines: int = 0
    ceiling_bytes: int = 0
    handed_lines: int = 0
    handed_bytes: int = 0
    ending: CloseWhy | None = None


def may_serve(
    standing: Standing, *, lines: int, size: int, lease_until_ns: int, epoch_current: bool, boot_ns: int
) -> CloseWhy | None:
    """Return None if `lines` lines of `size` bytes may be handed over now, else why the session has to end.

    Args:
        standing: the session's own state.
        lines: lines that begin in this slice.
        size: bytes of the slice.
        lease_until_ns: boot time until which this gateway is known to have the newest revocations.
        epoch_current: whether the session's history generation is the current one.
        boot_ns: the boot clock now.
    """
    if standing.ending is not None:
        return standing.ending
    if boot_ns >= lease_until_ns or not epoch_current:
        return CloseWhy.DATABASE
    if boot_ns >= standing.deadline_ns:
        return CloseWhy.EXPIRED
    covered = (
        boot_ns < standing.lapse_ns
        and standing.handed_lines + lines <= standing.ceiling_lines
        and standing.handed_bytes + size <= standing.ceiling_bytes
    )
    return None if covered else CloseWhy.AUDIT
