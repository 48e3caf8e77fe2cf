"""Threads that evaluate, shared evenly: the next turn is for whoever had least, not for whoever asked first.

Every session's work comes in small pieces. Each piece that waits has a tag: the processor time that its session has had
so far, or the tag of the piece begun last where that is more, so that a new session starts level with those that are
there and one that waited for its client gains no credit. The lowest tag goes next (start-time fair queueing). A light
query is therefore answered soon however many heavy ones run, and none of them waits for ever.

A chunk that misses its deadline ends its piece with `Withheld`, and whatever its thread still finds is thrown away.
Another thread takes its place, and no end of the process waits for it. It is told to stop, again and again, which ends
all code but a call into a library that does not return; that one keeps its thread and nothing else.
"""

from __future__ import annotations

import asyncio
import ctypes
import heapq
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from typing import Any, Final

from loglease.gateway.chunks import Progress, working

DEADLINE_S: Final = 2.0
MAX_STUCK: Final = 16
"""Threads beside those that serve; with more of them stuck, those that serve become fewer instead."""

STOP_AGAIN_S: Final = 1.0


class _Stopped(BaseException):
    """What ends a thread that is stuck. No `Exception`, so that no code that goes on after errors goes on after it."""


class Turns:
    """So many threads and those who wait for one. It belongs to one event loop.

    Args:
        deadline_s: how long the redaction of a chunk may take.
    """

    def __init__(self, threads: int, *, deadline_s: float = DEADLINE_S) -> None:
        self._deadline_s = deadline_s
        self._idle = [_Thread() for _ in range(threads)]
        self._free = threads
        self._waiting: list[tuple[float, int, asyncio.Future[None]]] = []
        self._number = 0
        self._begun_last = 0.0
        self._is_closed = self._is_paused = False
        self.stuck = 0
        """Threads at work on what nobody waits for any more, since it missed its deadline."""

    def turn(self) -> Turn:
        """Return the turn of one session."""
        return Turn(self)

    async def wait(self, had_s: float) -> float:
        """Wait for a thread; return the tag of the piece of work that may begin. `done` has to follow."""
        tag = max(had_s, self._begun_last)
        if self._free and not self._is_paused:
            self._free -= 1
        else:
            place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._number += 1
            heapq.heappush(self._waiting, (tag, self._number, place))
            try:
                await place
            except asyncio.CancelledError:
                if place.done() and not place.cancelled():
                    self.done()
                raise
        self._begun_last = max(self._begun_last, tag)
        return tag

    def done(self) -> None:
        """Give a thread back, to the next who waits."""
        self._free += 1
        self._give()

    def pause(self) -> None:
        """Begin no more work until `resume`; what has begun goes on."""
        self._is_paused = True

    def resume(self) -> None:
        """Go on with those who wait."""
        self._is_paused = False
        self._give()

    def _give(self) -> None:
        while self._free and self._waiting and not self._is_paused:
            _, _, place = heapq.heappop(self._waiting)
            if not place.done():
                self._free -= 1
                place.set_result(None)

    def run(self, work: Callable[[], Any]) -> asyncio.Future[Any]:
        """Begin a piece of work that has its turn; the turn is over when the work is, however long anybody waits.

        Raises (by what is returned):
            Withheld: the redaction of a chunk missed its deadline.
        """
        piece = _Piece(self, self._idle.pop(), self._deadline_s)
        piece.begin(work)
        return piece.outcome

    def finished(self, thread: _Thread) -> None:
        """Take a thread back behind its work."""
        self._idle.append(thread)
        self.done()

    def give_up(self) -> None:
        """Have another thread take the place of one that is stuck."""
        self.stuck += 1
        if self.stuck <= MAX_STUCK and not self._is_closed:
            self.finished(_Thread())

    def came_back(self) -> None:
        """Hear that a thread that was stuck has ended; make one if none took its place."""
        self.stuck -= 1
        if self.stuck >= MAX_STUCK and not self._is_closed:
            self.finished(_Thread())

    def close(self) -> None:
        """Let the threads go."""
        self._is_closed = True
        for thread in self._idle:
            thread.end()


class Turn:
    """Runs the pieces of one session's work in threads, one after another."""

    def __init__(self, turns: Turns) -> None:
        self._turns = turns
        self._had_s = 0.0

    async def __call__(self, work: Callable[..., Any], *args: object) -> Any:
        """Run one piece when it is due; its processor time counts.

        Raises:
            Withheld: the redaction of a chunk missed its deadline.
        """
        tag = await self._turns.wait(self._had_s)

        def counted() -> Any:
            began_s = time.thread_time()
            try:
                return work(*args)
            finally:
                self._had_s = max(self._had_s, tag) + time.thread_time() - began_s

        return await self._turns.run(counted)


class _Piece:
    """One piece of work, and who waits for it. All but the work itself happens in the event loop."""

    def __init__(self, turns: Turns, thread: _Thread, deadline_s: float) -> None:
        self._turns = turns
        self._thread = thread
        self._deadline_s = deadline_s
        self._progress = Progress()
        self._loop = asyncio.get_running_loop()
        self._timer = self._loop.call_later(deadline_s, self._look)
        self._is_given_up = self._is_over = False
        self.outcome: asyncio.Future[Any] = self._loop.create_future()

    def begin(self, work: Callable[[], Any]) -> None:
        self._thread.begin(work, self._progress, self._told)

    def _told(self, result: Any, error: BaseException | None) -> None:
        """Hear from the thread, in the thread, that the work is done."""
        with suppress(RuntimeError):  # the loop is closed, so nobody waits
            self._loop.call_soon_threadsafe(self._finished, result, error)

    def _finished(self, result: Any, error: BaseException | None) -> None:
        self._timer.cancel()
        if self._is_over:
            return
        self._is_over = True
        if self._is_given_up:
            self._thread.end()
            self._turns.came_back()
            return
        self._turns.finished(self._thread)
        if self.outcome.done():
            return
        if error is None:
            self.outcome.set_result(result)
        else:
            self.outcome.set_exception(error)

    def _look(self) -> None:
        """See whether the chunk at work has missed its deadline."""
        left_s = self._progress.left_s(self._deadline_s)
        if left_s > 0:
            self._timer = self._loop.call_later(left_s, self._look)
            return
        self._is_given_up = True
        # SECURITY: what the thread still finds goes nowhere; tested in tests/gateway/test_deadline.py.
        if not self.outcome.done():
            self.outcome.set_exception(self._progress.missed())
        self._turns.give_up()
        self._stop()

    def _stop(self) -> None:
        if not self._is_over:
            self._thread.stop()
            self._timer = self._loop.call_later(STOP_AGAIN_S, self._stop)


_Told = Callable[[Any, BaseException | None], None]
_Job = tuple[Callable[[], Any], Progress, _Told]


class _Thread:
    """A thread that does one piece of work after another. A daemon: a stuck one keeps no process from its end."""

    def __init__(self) -> None:
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._live, name="loglease-evaluate", daemon=True)
        self._thread.start()

    def begin(self, work: Callable[[], Any], progress: Progress, told: _Told) -> None:
        """Begin a piece of work; `told` hears of its end, in the thread."""
        self._jobs.put((work, progress, told))

    def end(self) -> None:
        """Let the thread end behind its work."""
        self._jobs.put(None)

    def stop(self) -> None:
        """Have what runs in the thread end, as soon as it is not in a library."""
        ident = ctypes.c_ulong(self._thread.ident or 0)
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ident, ctypes.py_object(_Stopped))

    def _live(self) -> None:
        with suppress(_Stopped):
            self._run()

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            told = job[-1]
            try:
                _do(*job)
            except _Stopped as error:  # it came between two steps of ours; to tell twice does no harm
                told(None, error)
                return
            del job, told


def _do(work: Callable[[], Any], progress: Progress, told: _Told) -> None:
    working(progress)
    try:
        result = work()
    except BaseException as error:  # noqa: BLE001 - whoever waits for the work gets it
        told(None, error)
    else:
        told(result, None)
