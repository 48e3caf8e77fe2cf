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
EMPTY_LOOKS: Final = 2
"""Looks in a row at which nothing may be queued before the connection is closed in order."""

WHOLE: Final = frozenset({CloseWhy.COMPLETE, CloseWhy.ENDED})
"""Causes after which the answer, as far as the grant goes, is whole, also if it is empty."""

PATIENT: Final = WHOLE | {CloseWhy.LIMIT, CloseWhy.TIME}
"""Causes after which a slow reader may take its time for what it has not read yet."""


async def ended_in_order(
    connection: Connection,
    *,
    write_end: Callable[[], Awaitable[None]] | None,
    clock: Clock,
    patience_ns: int = CUT_NS,
    is_cut: Callable[[], bool] = lambda: True,
) -> bool:
    """Write the end if the socket takes it at once, then close the connection (True) or reset it (False).

    Args:
        connection: of a session that hands over nothing any more.
        write_end: writes end record and end of body without waiting; None where a record was cut in the middle, so that
            no client takes the answer for a whole one.
        patience_ns: how long a whole answer may wait for its reader, the end record included.
        is_cut: asked at each look; once true there is no waiting for the socket, and `CUT_NS` are left.
    """
    looking = _Looks(clock, patience_ns, is_cut)
    if write_end is None:
        connection.reset()
        return False
    await _taken_up(connection, looking)
    if not connection.is_writable:
        connection.reset()
        return False
    await write_end()
    empty_looks = 0
    while not connection.is_lost and looking.go_on():
        empty_looks = empty_looks + 1 if connection.queued_bytes == 0 else 0
        if empty_looks == EMPTY_LOOKS:
            connection.close()
            return True
        await asyncio.sleep(LOOK_S)
    connection.reset()
    return False


async def _taken_up(connection: Connection, looking: _Looks) -> None:
    """Wait until the connection takes bytes again, unless the session is cut."""
    while not (connection.is_lost or connection.is_writable or looking.hurried):
        if not looking.go_on():
            return
        await asyncio.sleep(LOOK_S)


class _Looks:
    """How long to go on looking; less once the session is cut."""

    def __init__(self, clock: Clock, patience_ns: int, is_cut: Callable[[], bool]) -> None:
        self._clock = clock
        self._is_cut = is_cut
        self._until_ns = clock.boot_ns() + patience_ns
        self.hurried = False
        self.go_on()

    def go_on(self) -> bool:
        now_ns = self._clock.boot_ns()
        if not self.hurried and self._is_cut():
            self.hurried, self._until_ns = True, min(self._until_ns, now_ns + CUT_NS)
        return now_ns < self._until_ns
