"""Connections that cannot write, each used by one thread at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue
from typing import Final, TypeVar

from loglease.store.connection import StoreConnection
from loglease.store.interface import StoreUnavailable, Transaction

Result = TypeVar("Result")

READERS: Final = 4
URGENT_READERS: Final = 2


class Readers:
    """Some connections and the threads that use them."""

    def __init__(self, threads: ThreadPoolExecutor, connections: Sequence[StoreConnection]) -> None:
        self.threads = threads
        self._free: SimpleQueue[StoreConnection] = SimpleQueue()
        for connection in connections:
            self._free.put(connection)

    def run(self, query: Callable[[Transaction], Result]) -> Result:
        """Run a query in a thread of ours."""
        reader = self._free.get()
        try:
            return reader.run(lambda _, transaction: query(transaction))
        finally:
            self._free.put(reader)

    def close(self) -> None:
        """Finish what is running, then close the connections."""
        self.threads.shutdown()
        while not self._free.empty():
            self._free.get().close()


async def on(threads: ThreadPoolExecutor, step: Callable[[], Result]) -> Result:
    """Run a step in a thread.

    Raises:
        StoreUnavailable: the threads have been shut down.
    """
    try:
        running = asyncio.get_running_loop().run_in_executor(threads, step)
    except RuntimeError as error:  # the executor's answer after its shutdown
        raise StoreUnavailable("The database is closed.") from error
    return await running
