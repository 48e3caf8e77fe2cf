"""Hears from PostgreSQL that another process committed something that is not to wait for the next poll.

Notifications are not kept for a listener that is away, so nothing may depend on one: polling finds the same, later.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

import psycopg

from loglease.store.postgres_connection import connected

CHANNEL: Final = "loglease_feed"
_LOOK_S: Final = 1.0
_BACK_OFF_S: Final = (0.1, 0.2, 0.5, 1.0, 2.0)


class Feed:
    """A connection of its own that listens, on a thread of its own, and is made again whenever it is lost.

    Args:
        own: what the notifications of this process say; these wake nobody.
    """

    def __init__(self, url: str, own: str, wake: Callable[[], None]) -> None:
        self._url = url
        self._own = own
        self._wake = wake
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="store-feed", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Listen no more. Does not wait: the thread ends within a second, or when its server answers."""
        self._over.set()

    def _run(self) -> None:
        failures = 0
        while not self._over.is_set():
            with suppress(psycopg.Error, OSError), connected(self._url) as driver:
                driver.execute(f"LISTEN {CHANNEL}")
                failures = 0
                # What was told while nobody listened is found by looking once.
                self._wake()
                self._listen(driver)
            self._over.wait(_BACK_OFF_S[min(failures, len(_BACK_OFF_S) - 1)])
            failures += 1

    def _listen(self, driver: Any) -> None:
        while not self._over.is_set():
            told = {one.payload for one in driver.notifies(timeout=_LOOK_S, stop_after=1)}
            if told - {self._own}:
                self._wake()
