"""How a session's connection ends, for every cause: the end record if the socket takes it, then close or reset.

A cut is not a close: what the kernel still holds would go on to a slow reader. So the connection is closed in order
only if all of it has arrived within a fifth of a second, and is reset otherwise.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from loglease.gateway.connection import Connection
from loglease.gateway.settings import CUT_NS
from loglease.model.clock import Clock
from loglease.model.session import CloseWhy

LOOK_S: Final = 0.005
PATIENT: Final = frozenset({CloseWhy.COMPLETE, CloseWhy.ENDED})
"""Causes after which the answer, as far as the grant goes, is whole: a slow reader may take its time for the rest."""


async def ended_in_order(
    connection: Connection,
    *,
    write_end: Callable[[], Awaitable[None]] | None,
    clock: Clock,
    patience_ns: int = CUT_NS,
    impatient: Callable[[], bool] = lambda: False,
) -> bool:
    """Write the end if the socket takes it at once, then close the connection (True) or reset it (False).

    Args:
        connection: of a session that hands over nothing any more.
        write_end: writes end record and end of body without waiting; None where a record was cut in the middle, so that
            no client takes the answer for a whole one.
        patience_ns: how long the queues may take to empty.
        impatient: asked at each look; once true, only `CUT_NS` are left from then on.
    """
    if connection.is_lost:
        return False
    if write_end is None or not connection.is_writable:
        connection.reset()
        return False
    await write_end()
    until = clock.boot_ns() + patience_ns
    hurried = False
    empty_looks = 0
    while not connection.is_lost and (now := clock.boot_ns()) < until:
        empty_looks = empty_looks + 1 if connection.queued_bytes == 0 else 0
        if empty_looks == 2:  # noqa: PLR2004 - two looks 5 ms apart, sessions.md 8
            connection.close()
            return True
        if not hurried and impatient():
            hurried, until = True, min(until, now + CUT_NS)
        await asyncio.sleep(LOOK_S)
    connection.reset()
    return False
