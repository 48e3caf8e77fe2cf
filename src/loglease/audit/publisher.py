"""The publisher: it writes what was signed into the log directory, as tiles and bundles, and the signed head last.

The directory is a pure function of the rows up to a signed head, so a crash at any place is healed by doing it again.
Whoever reads it while it grows finds everything that the head in it speaks of.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

from loglease.audit.checking import Found, Tampered
from loglease.audit.files import LogFiles
from loglease.audit.frontier import Frontier
from loglease.audit.integrator import SignedHead, missing
from loglease.audit.ledger import Ledger
from loglease.audit.tiles import CHECKPOINT, tiles_of
from loglease.model.clock import Clock

Result = TypeVar("Result")
Cosign = Callable[[bytes], Awaitable[bytes]]
"""Return a signed head with the cosignatures that it has and those that witnesses give within a few seconds."""

STEP: Final = 2_048
EVERY_S: Final = 0.25
AGAIN_S: Final = 600.0
"""How often the newest head is written again although nothing is new."""

_SECOND_NS: Final = 1_000_000_000


class Publisher:
    """The writer of one log directory. Used from one event loop; what takes long runs in a thread of its own.

    Attributes:
        cosign: asked for each head once its tiles are written, and again for one that lacks cosignatures.
    """

    def __init__(self, ledger: Ledger, files: LogFiles, clock: Clock, *, step: int = STEP) -> None:
        self._ledger = ledger
        self._files = files
        self._clock = clock
        self._step = step
        self._wanted: SignedHead | None = None
        self._frontier = Frontier.empty()
        self._written_ns = 0
        self._listeners: list[Callable[[SignedHead], None]] = []
        self._turn = asyncio.Lock()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="audit-publisher")
        self._note = b""
        self.cosign: Cosign | None = None
        self.head: SignedHead | None = None
        """The head in the directory, as the log signed it."""

    def on_published(self, listener: Callable[[SignedHead], None]) -> None:
        """Call `listener` on the event loop with each head that is in the directory, the same one again at times."""
        self._listeners.append(listener)

    def want(self, head: SignedHead) -> None:
        """Publish this head next; one that was wanted before and is not published yet is left out."""
        self._wanted = head

    def begin(self, frontier: Frontier, head: SignedHead | None) -> None:
        """Go on from what is in the directory."""
        self._frontier, self.head = frontier, head
        self._note = b"" if head is None else head.note

    async def run(self, every_s: float = EVERY_S) -> None:
        """Publish what is wanted, again and again, until cancelled.

        Raises:
            LogUnwritable: the directory cannot be written; running it again goes on.
            StoreUnavailable: the database failed; likewise.
            Tampered: what was signed is not what the rows say any more.
        """
        while True:
            await self.publish()
            await asyncio.sleep(every_s)

    async def publish(self) -> None:
        """Publish the newest head that is wanted, in steps; write the one that is there again if that is due.

        Raises:
            LogUnwritable, StoreUnavailable, Tampered: as `run`.
        """
        async with self._turn:
            wanted, head = self._wanted, self.head
            if wanted is not None and (head is None or wanted.checkpoint != head.checkpoint):
                await self._publish(wanted)
            elif head is not None:
                note = self._note if self.cosign is None else await self.cosign(self._note)
                if note != self._note or self._clock.boot_ns() - self._written_ns >= AGAIN_S * _SECOND_NS:
                    await self._put(head, note)

    async def aclose(self) -> None:
        """Let what is in the thread come to its end."""
        await asyncio.to_thread(self._thread.shutdown)

    async def _publish(self, wanted: SignedHead) -> None:
        size, since = wanted.checkpoint.size, self._frontier.size
        grown = self._frontier.copy()
        while grown.size < size:
            await self._grow(grown, size)
        if grown.root() != wanted.checkpoint.root:
            raise Tampered(Found.ROOT, "entries", f"The first {size} entries are not those that were signed.")
        partial = {tile.path: content for tile, content in grown.partial(since).items()}
        await self._in_thread(lambda: self._files.write(partial))
        await self._put(wanted, wanted.note if self.cosign is None else await self.cosign(wanted.note))
        self._frontier = grown
        await self._in_thread(lambda: self._remove_partial(size, since))

    async def _grow(self, grown: Frontier, size: int) -> None:
        """Add some rows, and write the tiles that become full."""
        first, count = grown.size, min(self._step, size - grown.size)
        rows = await self._ledger.read(lambda tx: tx.entries.stored(first, count))
        if not rows or rows[0][0] != first:
            raise missing(first)

        def work() -> None:
            for _, _, content, leaf in rows:
                grown.append(content, leaf)
            self._files.write({tile.path: content for tile, content in grown.taken().items()})

        await self._in_thread(work)

    def _remove_partial(self, size: int, since: int) -> None:
        """Remove the partial tiles of those that are full now."""
        for tile in tiles_of(size, since):
            if tile.is_full:
                self._files.remove(f"{tile.path}.p")

    async def _put(self, head: SignedHead, note: bytes) -> None:
        await self._in_thread(lambda: self._files.write({CHECKPOINT: note}))
        self.head, self._note = head, note
        self._written_ns = self._clock.boot_ns()
        for listener in self._listeners:
            listener(head)

    async def _in_thread(self, work: Callable[[], Result]) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)
