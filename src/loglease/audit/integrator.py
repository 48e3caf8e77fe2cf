"""The integrator: it reads new entries back from the database, checks them, and signs the head of the log over them.

Nothing is signed from memory. What it signs always goes on from what was signed before: the newest head in the database
is part of the same transaction, so of two integrators that go on from the same head only the first one's counts, and
the other drops its own and follows. On any difference it stops signing for good; only a new start begins again.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final, TypeVar

from loglease.audit.checking import Found, Tampered, require_whole
from loglease.audit.checkpoint import Checkpoint, open_checkpoint, sign_checkpoint
from loglease.audit.interface import AuditUnavailable
from loglease.audit.ledger import Ledger, LedgerTx, SignedRow, StoredRow
from loglease.audit.merkle import Edge
from loglease.audit.note import NoteInvalid, Signer, VerifierKey
from loglease.model.instant import Instant

Result = TypeVar("Result")

STEP: Final = 2_048
"""How many entries are checked and signed at once."""
EVERY_S: Final = 0.25
INTEGRATOR: Final = "integrator"

_LATER: Final = "Look before you repeat it."


@dataclass(frozen=True, slots=True)
class SignedHead:
    """A head of the log that was signed, and the signed note itself."""

    checkpoint: Checkpoint
    note: bytes


@dataclass(frozen=True, slots=True)
class Extent:
    """How far the integrator has come: the right edge of the tree, and the time of the last entry in it."""

    edge: Edge
    last_at: Instant

    def grown(self, rows: Sequence[StoredRow]) -> Extent:
        """Return the extent with more rows, each of them checked.

        Raises:
            Tampered: a row is not what was recorded.
        """
        last_at = require_whole(rows, self.edge.size, last_at=self.last_at)
        edge = Edge(self.edge.size, self.edge.hashes)
        edge.extend(leaf for _, _, _, leaf in rows)
        return Extent(edge, last_at)


EMPTY: Final = Extent(Edge(), Instant(0))


@dataclass(frozen=True, slots=True)
class _News:
    """What the database has from a size on: signed heads, the one of that size first, rows, and where the log ends."""

    heads: Sequence[SignedRow]
    rows: Sequence[StoredRow]
    next: int


class Integrator:
    """Signs the heads of one log. Used from one event loop; what takes long runs in a thread of its own.

    Args:
        signers: keys whose name is the log's origin; each signs every head.
        step: see `STEP`.
    """

    def __init__(self, ledger: Ledger, signers: Sequence[Signer], *, step: int = STEP) -> None:
        self._ledger = ledger
        self._signers = tuple(signers)
        self._step = step
        self._known = EMPTY
        self._listeners: list[Callable[[SignedHead], None]] = []
        self._alarms: list[Callable[[Tampered, str], None]] = []
        self._turn = asyncio.Lock()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="audit-integrator")
        self._waiting: list[tuple[int, int, asyncio.Future[None]]] = []
        self._numbers = itertools.count()
        self._pump: asyncio.Task[None] | None = None
        self.head: SignedHead | None = None
        """The newest signed head that this process knows."""
        self.fault: Tampered | None = None
        """What stopped it."""

    @property
    def origin(self) -> str:
        """The log's name."""
        return self._signers[0].verifier.name

    def on_signed(self, listener: Callable[[SignedHead], None]) -> None:
        """Call `listener` on the event loop with each head that is signed here or seen in the database."""
        self._listeners.append(listener)

    def on_tampered(self, alarm: Callable[[Tampered, str], None]) -> None:
        """Call `alarm` on the event loop, once, when something is not what was recorded, with who found it."""
        self._alarms.append(alarm)

    def begin(self, known: Extent, head: SignedHead | None) -> None:
        """Go on from a head that was checked: its tree, and the note; None for a log that nobody has signed yet."""
        self._known, self.head = known, head

    def sign_with(self, signers: Sequence[Signer]) -> None:
        """Sign with other keys of the same name from the next head on."""
        self._signers = tuple(signers)

    async def step(self) -> bool:
        """Check and sign what is new, a bounded part of it; say whether something was.

        Raises:
            Tampered: something is not what was recorded; from then on nothing is signed.
            StoreUnavailable: the database failed; the next step tries again.
        """
        async with self._turn:
            if self.fault is not None:
                raise self.fault
            try:
                return await self._stepped()
            except Tampered as fault:
                self.stop(fault, INTEGRATOR)
                raise

    def stop(self, fault: Tampered, check: str) -> None:
        """Sign nothing any more.

        Args:
            check: who found out why.
        """
        if self.fault is None:
            self.fault = fault
            self._release(AuditUnavailable("The audit log was changed, so nothing is signed.", next_step=_LATER))
            for alarm in self._alarms:
                alarm(fault, check)

    async def finish(self) -> None:
        """Sign all that is there now; what comes meanwhile may wait."""
        size = await self._ledger.read(lambda tx: tx.entries.head().next)
        while self._known.edge.size < size or self.head is None:
            if not await self.step():
                return

    async def run(self, every_s: float = EVERY_S) -> None:
        """Sign what is new, again and again, until cancelled or stopped.

        Raises:
            Tampered: something is not what was recorded.
            StoreUnavailable: as `step`; running it again goes on.
        """
        while True:
            await self.step()
            await asyncio.sleep(every_s)

    async def covered(self, size: int) -> None:
        """Return once a signed head covers so many entries; many who wait share one.

        Raises:
            AuditUnavailable: nothing is signed at the moment.
        """
        if self.fault is not None:
            raise AuditUnavailable("The audit log was changed, so nothing is signed.", next_step=_LATER)
        if self._known.edge.size >= size:
            return
        done = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (size, next(self._numbers), done))
        if self._pump is None:
            self._pump = asyncio.create_task(self._sign_for_those_who_wait(), name="audit integrator")
        await done

    async def aclose(self) -> None:
        """Let what is in the thread come to its end."""
        if self._pump is not None:
            await self._pump
        await asyncio.to_thread(self._thread.shutdown)

    async def _sign_for_those_who_wait(self) -> None:
        try:
            while self._waiting:
                asked = next(self._numbers)
                # Who began to wait meanwhile may wait for what came after the step had looked.
                if not await self.step() and any(number < asked for _, number, _ in self._waiting):
                    raise AuditUnavailable("Nothing is there that could be signed.", next_step=_LATER)  # noqa: TRY301
        except Exception as error:  # noqa: BLE001 - each who waits gets it, as what it means for them
            # What a database or a device that signs says of itself is no business of those who wait.
            refusal = AuditUnavailable("It is recorded, and not signed yet.", next_step=_LATER)
            refusal.__cause__ = error
            self._release(refusal)
        finally:
            self._pump = None

    def _release(self, refusal: AuditUnavailable) -> None:
        waiting, self._waiting = self._waiting, []
        for _, _, done in waiting:
            if not done.done():
                done.set_exception(refusal)

    async def _stepped(self) -> bool:
        known, head = self._known, self.head
        news = await self._ledger.read(lambda tx: self._news(tx, known.edge.size))
        if head is not None:
            require_kept(head, news.heads)
        other = news.heads[-1] if len(news.heads) > (head is not None) else None
        if other is not None:
            await self._follow(known, other)
            return True
        if head is None:
            # The first head is of the empty log, so that every later one has one before it.
            await self._sign(known, None, ())
            return True
        if not news.rows:
            if news.next > known.edge.size:
                raise missing(known.edge.size)
            return False
        await self._sign(known, head, news.rows)
        return True

    def _news(self, tx: LedgerTx, size: int) -> _News:
        heads = tx.checkpoints.since(size, limit=1 if self.head is None else 2)
        return _News(heads, tx.entries.stored(size, self._step), tx.entries.head().next)

    async def _sign(self, known: Extent, before: SignedHead | None, rows: Sequence[StoredRow]) -> None:
        grown, head = await self._in_thread(lambda: self._signed(known, rows))
        if await self._ledger.group(lambda group: _stored(group.transaction, head, before)):
            self._adopt(grown, head)

    def _signed(self, known: Extent, rows: Sequence[StoredRow]) -> tuple[Extent, SignedHead]:
        grown = known.grown(rows)
        checkpoint = Checkpoint(self.origin, grown.edge.size, grown.edge.root())
        return grown, SignedHead(checkpoint, sign_checkpoint(checkpoint, self._signers))

    async def _follow(self, known: Extent, row: SignedRow) -> None:
        """Take over a head that another integrator signed, if it goes on from what is known here."""
        grown = known
        while grown.edge.size < row.size:
            grown = await self._grown(grown, row.size)
        self._adopt(grown, opened(row, [one.verifier for one in self._signers], grown.edge.root()))

    async def _grown(self, known: Extent, most: int) -> Extent:
        first, count = known.edge.size, min(self._step, most - known.edge.size)
        rows = await self._ledger.read(lambda tx: tx.entries.stored(first, count))
        if not rows:
            raise missing(first)
        return await self._in_thread(lambda: known.grown(rows))

    def _adopt(self, grown: Extent, head: SignedHead) -> None:
        self._known, self.head = grown, head
        while self._waiting and self._waiting[0][0] <= grown.edge.size:
            done = heapq.heappop(self._waiting)[2]
            if not done.done():
                done.set_result(None)
        for listener in self._listeners:
            listener(head)

    async def _in_thread(self, work: Callable[[], Result]) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)


def _stored(tx: LedgerTx, head: SignedHead, before: SignedHead | None) -> bool:
    """Store a head as the one successor of the head before; say whether it is.

    Raises:
        Tampered: the head before was changed while this one was signed.
    """
    if before is not None:
        require_kept(before, tx.checkpoints.since(before.checkpoint.size, limit=1))
    checkpoint, prev = head.checkpoint, None if before is None else before.checkpoint.size
    return tx.checkpoints.insert(size=checkpoint.size, prev_size=prev, root=checkpoint.root, note=head.note)


def require_kept(head: SignedHead, found: Sequence[SignedRow]) -> None:
    """Check that a head that was signed is still the first of those found from its size on.

    Raises:
        Tampered: it is gone, or another one.
    """
    size, root = head.checkpoint.size, head.checkpoint.root
    if not found or (found[0].size, found[0].root, found[0].note) != (size, root, head.note):
        raise Tampered(Found.CHAIN, "checkpoints", f"The signed head of size {size} is not there any more.")


def missing(index: int) -> Tampered:
    """Return the error for an entry that the head of the log promises and that is not there."""
    return Tampered(Found.GAP, "entries", f"Audit entry {index} is missing.", first_bad=index)


def opened(row: SignedRow, keys: Sequence[VerifierKey], root: bytes) -> SignedHead:
    """Return a stored head whose signature holds and which says what the entries say.

    Args:
        root: the root over the first `row.size` entries.

    Raises:
        Tampered: another size, root or origin, or no signature of these keys.
    """
    try:
        # SQLite keeps what it is given: a foreign hand may have left text where bytes belong.
        checkpoint = open_checkpoint(row.note if isinstance(row.note, bytes) else b"", keys)
    except NoteInvalid as error:
        raise Tampered(
            Found.SIGNATURE, "checkpoints", f"The signed head of size {row.size} does not hold: {error}"
        ) from error
    if (checkpoint.size, checkpoint.root) != (row.size, row.root):
        raise Tampered(Found.CHAIN, "checkpoints", f"The signed head of size {row.size} says something else.")
    if checkpoint.root != root:
        raise Tampered(Found.ROOT, "entries", f"The first {row.size} entries are not those that were signed.")
    return SignedHead(checkpoint, row.note)
