"""The embedded file source: watched files in, pages of lines out.

One thread reads the watched files and writes segments. Reads run in worker threads, page by page, and never block the
event loop; a follower waits without a thread until something was committed.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import islice
from typing import Final, ParamSpec, TypeVar

from loglease.model.clock import Clock
from loglease.model.instant import Interval
from loglease.model.labels import Labels, Selector
from loglease.sources.files.configuration import FileSourceConfig, validated
from loglease.sources.files.intake import Intake
from loglease.sources.files.pages import Following, read_pages, streams_between
from loglease.sources.files.reading import Stopped
from loglease.sources.files.storage import Storage
from loglease.sources.interface import Capabilities, Gap, Health, Page, ReadPlan, SourceUnavailable

READING_THREADS: Final = 2
END_CHECK_S: Final = 0.5
RETRY_S: Final = 1.0
PAUSE_FACTOR: Final = 4
LONGEST_PAUSE_S: Final = 2.0
STREAMS_AT_ONCE: Final = 256

_log = logging.getLogger(__name__)
_P = ParamSpec("_P")
_T = TypeVar("_T")


class FileSource:
    """A `Reader` over log files of this machine. `start` before use, `aclose` after it.

    Args:
        configuration: what to watch and where to store.
        clock: wall time for arrival and retention, boot time for waits.
    """

    capabilities = Capabilities(backward=True, follow=True, exact_literal=True, marks=True, exact_series=True)

    def __init__(self, configuration: FileSourceConfig, clock: Clock) -> None:
        self.configuration = validated(configuration)
        self._clock = clock
        self._storage: Storage | None = None
        self._intake: Intake | None = None
        self._turn = threading.Lock()
        self._closing = threading.Event()
        self._poked = threading.Event()
        self._thread: threading.Thread | None = None
        self._threads = ThreadPoolExecutor(READING_THREADS, thread_name_prefix=f"files-{configuration.name}")
        self._waiters: set[_Waiter] = set()
        self._told_of: int | None = None
        self._fault: str | None = None

    async def start(self, *, poll: bool = True) -> None:
        """Take over the directory, repair it and begin to watch.

        Args:
            poll: whether to read the watched files by and by; without it only `refresh` does.

        Raises:
            SourceUnavailable: another process owns the directory, or it cannot be read or written.
        """
        self._storage = await self._in_thread(Storage, self.configuration, self._clock)
        self._intake = Intake(self.configuration, self._storage, self._clock, self._wake_followers)
        if poll:
            self._thread = threading.Thread(
                target=self._watch, name=f"files-{self.configuration.name}-watch", daemon=True
            )
            self._thread.start()

    async def aclose(self) -> None:
        """Stop watching; reads and followers under way end with `SourceUnavailable`."""
        if self._closing.is_set():
            return
        self._closing.set()
        self._poked.set()
        for waiter in list(self._waiters):
            waiter.wake()
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(None, self._close)

    def _close(self) -> None:
        if self._thread is not None:
            self._thread.join()
        self._threads.shutdown(wait=True)
        with self._turn:
            if self._intake is not None:
                self._intake.close()
            if self._storage is not None:
                self._storage.close()

    async def refresh(self) -> None:
        """Read what the watched files hold now; it is durable and readable when this returns.

        Raises:
            SourceUnavailable: the disk refused.
        """
        self._ready()
        while await self._in_thread(self._round):
            pass
        if self._fault is not None:
            raise SourceUnavailable(self._fault)

    # Reader

    async def read(self, plan: ReadPlan) -> AsyncGenerator[Page, None]:
        """Yield the lines of the plan in its order; see `Reader`."""
        storage = self._ready()
        stop = threading.Event()
        pages = read_pages(storage, plan, self._stopped(stop))
        try:
            while (page := await self._step(pages.__next__)) is not None:
                yield page
        finally:
            stop.set()

    async def follow(self, plan: ReadPlan) -> AsyncGenerator[Page | Gap, None]:
        """Yield lines in the order of storing, then new ones as they are committed; see `Reader`.

        Where the interval has an end, following ends when the clock has passed it and all that is stored was given.
        """
        storage = self._ready()
        stop = threading.Event()
        end = plan.interval.end
        stopped = self._stopped(stop)
        following = Following(storage, plan)
        waiter = _Waiter(asyncio.get_running_loop(), plan.selector)
        self._waiters.add(waiter)
        try:
            while True:
                waiter.event.clear()
                over = end is not None and self._clock.now() * 1_000 >= end
                following.is_at_end = False
                while not following.is_at_end:
                    page = await self._step(lambda: following.next(stopped))
                    if page is not None:
                        yield page
                        del page  # it may be long until the next one
                if self._closing.is_set():
                    raise _closed()
                if over:
                    return
                with suppress(TimeoutError):
                    async with asyncio.timeout(None if end is None else END_CHECK_S):
                        await waiter.event.wait()
        finally:
            stop.set()
            self._waiters.discard(waiter)

    async def series(self, selector: Selector, interval: Interval) -> AsyncGenerator[Labels, None]:
        """Yield the label sets that have at least one line there."""
        storage = self._ready()
        stop = threading.Event()
        found = streams_between(storage, selector, interval, self._stopped(stop))
        try:
            while batch := await self._step(lambda: list(islice(found, STREAMS_AT_ONCE))):
                for labels in batch:
                    yield labels
        finally:
            stop.set()

    async def labels(self, selector: Selector, interval: Interval) -> set[str]:
        """Return the names of labels of streams that have lines there."""
        return {name async for labels in self.series(selector, interval) for name, _ in labels}

    async def label_values(self, name: str, selector: Selector, interval: Interval) -> set[str]:
        """Return the values of one label among the streams that have lines there."""
        return {value async for labels in self.series(selector, interval) for key, value in labels if key == name}

    async def check(self) -> Health:
        """Say whether lines are read and stored."""
        if self._storage is None or self._closing.is_set():
            return Health(ok=False, detail="The source is not running.")
        if self._fault is not None:
            return Health(ok=False, detail=self._fault)
        segments = await self._in_thread(self._storage.catalogue.segments)
        stored = sum(segment.length for segment in segments)
        return Health(ok=True, detail=f"{len(self._storage.streams)} streams, {stored >> 20} MiB stored.")

    # Inside

    def _ready(self) -> Storage:
        if self._storage is None or self._closing.is_set():
            raise _closed()
        return self._storage

    def _stopped(self, stop: threading.Event) -> Callable[[], bool]:
        return lambda: stop.is_set() or self._closing.is_set()

    async def _step(self, step: Callable[[], _T]) -> _T | None:
        """Run one step of a read in a worker thread; None at its end."""
        try:
            return await self._in_thread(_or_none, step)
        except Stopped:
            raise _closed() from None

    async def _in_thread(self, work: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
        if self._closing.is_set():
            raise _closed()
        loop = asyncio.get_running_loop()
        try:
            running = loop.run_in_executor(self._threads, lambda: work(*args, **kwargs))
        except RuntimeError:  # the threads have ended between the question above and here
            raise _closed() from None
        return await running

    def _round(self) -> bool:
        with self._turn:
            if self._closing.is_set() or self._intake is None:
                return False
            try:
                more = self._intake.round()
            except OSError as error:
                if self._fault is None:  # it is tried again and again; once is enough to know
                    _log.warning("file_source.write_refused", extra={"errno": error.errno})
                self._fault = "The disk refuses to store lines; what is stored can be read."
                self._intake.reset()
                return False
            self._fault = None
            return more

    def _watch(self) -> None:
        while not self._closing.is_set():
            began_ns = self._clock.boot_ns()
            try:
                more = self._round()
            except Exception:  # noqa: BLE001 - the supervised loop of the watching thread
                _log.exception("file_source.round_failed")
                self._fault = "Watching files failed; it is tried again."
                with self._turn:
                    if self._intake is not None:
                        self._intake.reset()
                more = False
            if not more:
                wait_s = self.configuration.poll_interval_s if self._fault is None else RETRY_S
                took_s = (self._clock.boot_ns() - began_ns) / 10**9
                self._poked.wait(max(wait_s, min(PAUSE_FACTOR * took_s, LONGEST_PAUSE_S)))

    def _wake_followers(self, streams: frozenset[int]) -> None:
        """Wake those who follow one of these streams, and everybody if lines were removed, which they are told of."""
        if (storage := self._storage) is None:
            return
        removed = storage.removed[-1].id if storage.removed else None
        everybody, self._told_of = removed != self._told_of, removed
        for waiter in list(self._waiters):
            if everybody or any(waiter.follows(one, storage.streams[one]) for one in streams):
                waiter.wake()


class _Waiter:
    """A follower that sleeps in its event loop until something was committed that it follows."""

    def __init__(self, loop: asyncio.AbstractEventLoop, selector: Selector) -> None:
        self._loop = loop
        self._selector = selector
        self._known: dict[int, bool] = {}
        self.event = asyncio.Event()

    def follows(self, stream: int, labels: Labels) -> bool:
        """Say whether lines of a stream are wanted; what a number stands for never changes."""
        found = self._known.get(stream)
        if found is None:
            found = self._known[stream] = self._selector.matches(labels)
        return found

    def wake(self) -> None:
        with suppress(RuntimeError):  # its loop has ended, and so has the follower
            self._loop.call_soon_threadsafe(self.event.set)


def _or_none(step: Callable[[], _T]) -> _T | None:
    try:
        return step()
    except StopIteration:
        return None


def _closed() -> SourceUnavailable:
    return SourceUnavailable("The file source is closed.")
