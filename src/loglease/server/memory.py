"""How the process keeps memory."""

from __future__ import annotations

import ctypes
from typing import Final

_ARENAS_AT_MOST: Final = -8
"""``M_ARENA_MAX`` of glibc's ``mallopt(3)``."""


def keep_one_heap() -> None:
    """Have all threads share one heap, where the C library is glibc.

    It gives each thread a heap of its own otherwise, and what one thread has freed is of no use to the others. One heap
    costs no time here: the threads take turns anyway, at the interpreter's lock.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_ARENAS_AT_MOST, 1)
