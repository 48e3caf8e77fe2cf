"""The publishing side of the audit log in one process: opened at the start, kept going by loops, ended at the stop."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import structlog

from loglease.access.watch import Watch
from loglease.audit.checking import Tampered
from loglease.audit.files import LogFiles, LogUnwritable
from loglease.audit.integrator import Integrator, SignedHead
from loglease.audit.interface import SYSTEM, AuditUnavailable, Draft, EntryLog, Recorded
from loglease.audit.ledger import Ledger
from loglease.audit.note import SigningKey, VerifierKey
from loglease.audit.publisher import Publisher
from loglease.audit.tiles import ENTRIES, WIDTH, Tile
from loglease.audit.walk import Opened, Walk, opened_log, published_head
from loglease.model.clock import Clock
from loglease.model.ids import ENTRY, EntryId, NewId
from loglease.model.instant import Instant
from loglease.server.log_key import LogKeys, NamedKey
from loglease.store.durability import end_process
from loglease.store.interface import StoreUnavailable, Transaction

LOG_FOLDER: Final = "log"

_PAUSE_SHARE: Final = 4
"""The self-check rests this many times as long as it works."""
_FINISH_S: Final = 10.0
_log: Final = structlog.get_logger("loglease.publishing")


@dataclass(slots=True)
class Publishing:
    """The log's keys, who signs with them, and who writes the log directory.

    Attributes:
        known: keys that signed the log before, and until when the newest of them signs, too.
        trouble: why the newest head is not signed or not in the directory; None if all is well.
        checked_at: when a self-check last found the whole log as it was recorded; None before.
    """

    ledger: Ledger
    files: LogFiles
    keys: LogKeys
    integrator: Integrator
    publisher: Publisher
    clock: Clock
    known: tuple[VerifierKey, ...] = ()
    overlap_until: Instant | None = None
    trouble: str | None = None
    checked_at: Instant | None = None

    @property
    def signer(self) -> SigningKey:
        """The log's key."""
        return self.keys.key

    @property
    def key(self) -> VerifierKey:
        """The log's public key."""
        return self.signer.verifier

    @property
    def verifiers(self) -> list[VerifierKey]:
        """All public keys that the log was signed with."""
        return list(dict.fromkeys([*(one.verifier for one in self.keys.both), *self.known]))

    def take(self, named: Sequence[NamedKey]) -> None:
        """Sign with the log's key, and with the one before it as long as the log says so.

        Args:
            named: the keys that the log names, oldest first.
        """
        self.known = tuple(one.key for one in named)
        self.overlap_until = named[-1].overlap_until if named else None
        self._choose_signers()

    @property
    def signers(self) -> tuple[SigningKey, ...]:
        """Who signs now: the log's key, and behind it the one before as long as the log says so.

        A key that the log does not name yet signs nothing: until it does, the one before is the log's.
        """
        if self.keys.old is not None and self.known and self.known[-1] == self.keys.old.verifier:
            return (self.keys.old,)
        both = self.overlap_until is not None and self.clock.now() < self.overlap_until
        return self.keys.both if both else (self.keys.key,)

    def _choose_signers(self) -> None:
        self.integrator.sign_with(self.signers)

    @property
    def head(self) -> SignedHead | None:
        """The newest signed head."""
        return self.integrator.head

    async def published_head(self) -> SignedHead | None:
        """Return the head in the log directory; None if there is none.

        Raises:
            Tampered: the log's key has not signed it.
        """
        return await asyncio.to_thread(published_head, self.files, self.verifiers)

    async def open(self) -> Opened:
        """Check the signed end of the log, put back what its directory lacks, and go on from there.

        Raises:
            LogDamaged: it is not what was signed.
            LogUnwritable: the directory cannot be used.
            StoreUnavailable: the database cannot be read.
        """
        left = await asyncio.to_thread(self.files.remove_fresh)
        found = await opened_log(self.ledger, self.files, self.verifiers)
        if left or found.mended:
            _log.warning("log_directory_mended", unfinished=left, missing=found.mended)
        self.integrator.begin(found.extent, found.head)
        self.publisher.begin(found.frontier, found.published)
        if found.head is not None:
            self.publisher.want(found.head)
        return found

    async def sign(self) -> None:
        """Sign what is new, for as long as the process runs; `supervised` runs it again after an error."""
        await self._watched(self.integrator.run)

    async def publish(self) -> None:
        """Write what was signed into the directory, for as long as the process runs."""
        await self._watched(self.publisher.run)

    async def check_all(self) -> None:
        """Read the whole log once and compare rows, signed heads and files, without taking more than a share.

        Raises:
            Tampered: they differ; nothing is signed any more.
            StoreUnavailable, LogUnwritable: it could not be looked at.
        """
        published = self.publisher.head
        self._choose_signers()
        if published is None or self.integrator.fault is not None:
            return
        size = published.checkpoint.size
        walk = Walk(self.ledger, self.files, self.verifiers, published=size, pause=_resting(self.clock))
        first = await self.ledger.read(lambda tx: tx.entries.head().min_index)
        try:
            await asyncio.to_thread(walk.begin, first)
            await walk.through(size)
        except Tampered as fault:
            self.integrator.stop(fault, "self_check")
            raise
        if walk.mended:
            _log.warning("log_directory_mended", unfinished=0, missing=walk.mended)
        self.checked_at = self.clock.now()

    async def forget(self, below: int) -> int:
        """Remove the bundles and lowest tiles that hold nothing but entries below an index; return how many files.

        Raises:
            LogUnwritable: one cannot be removed.
        """
        paths = (Tile(level, number, WIDTH).path for number in range(below // WIDTH) for level in (ENTRIES, 0))
        return await asyncio.to_thread(self.files.remove_files, list(paths))

    async def finish(self) -> None:
        """Sign and publish all that is there, then let go; what fails is left to the next start."""
        try:
            async with asyncio.timeout(_FINISH_S):
                await self.integrator.finish()
                await self.publisher.publish()
        except (Tampered, StoreUnavailable, LogUnwritable, TimeoutError) as error:
            _log.warning("log_not_published", error=type(error).__name__)
        finally:
            await self.integrator.aclose()
            await self.publisher.aclose()

    async def _watched(self, run: Callable[[], Awaitable[None]]) -> None:
        try:
            await run()
        except Tampered as fault:
            self.integrator.stop(fault, "publisher")
            # For good: a supervisor that began anew would only find the same.
            await asyncio.Event().wait()
        except (StoreUnavailable, LogUnwritable) as error:
            self.trouble = error.told
            raise


def open_publishing(ledger: Ledger, folder: Path, keys: LogKeys, clock: Clock) -> Publishing:
    """Return the publishing side of a log; nothing is read or written yet."""
    files = LogFiles(folder, flush_failed=end_process)
    integrator, publisher = Integrator(ledger, [keys.key]), Publisher(ledger, files, clock)
    integrator.on_signed(publisher.want)
    publishing = Publishing(ledger, files, keys, integrator, publisher, clock)

    def well(_: SignedHead) -> None:
        publishing.trouble = None

    publisher.on_published(well)
    return publishing


class Alarm:
    """What a finding sets off: everything ends, nothing begins, and it goes on the record.

    No setting turns it off. It ends with a start that finds the log whole.
    """

    def __init__(self, *, log: EntryLog[Transaction], watch: Watch, new_id: NewId) -> None:
        self._log = log
        self._watch = watch
        self._new_id = new_id
        self._recording: asyncio.Task[None] | None = None

    def __call__(self, fault: Tampered, check: str) -> None:
        """End all sessions at once, then record why.

        Args:
            check: who found it.
        """
        _log.critical("log_tampered", check=check, found=fault.found, place=fault.place, first_bad=fault.first_bad)
        self._watch.end_all()
        self._recording = asyncio.get_running_loop().create_task(self._record(fault, check), name="tamper.found")

    async def aclose(self) -> None:
        """Wait until it is recorded, if it can be."""
        if self._recording is not None:
            await self._recording

    async def _record(self, fault: Tampered, check: str) -> None:
        data: dict[str, str | int] = {"check": check, "place": fault.place, "detail": fault.found.value}
        if fault.first_bad is not None:
            data["first_bad"] = fault.first_bad
        entry = Draft(id=EntryId(self._new_id(ENTRY)), type="tamper.found", actor=SYSTEM, data=data)
        try:
            await self._log.commit(lambda _tx, _now: Recorded(None, (entry,)), urgent=True)
        except (AuditUnavailable, StoreUnavailable) as error:
            _log.error("tampering_not_recorded", error=type(error).__name__)


def _resting(clock: Clock) -> Callable[[], Awaitable[None]]:
    """Return a pause that is longer, the longer the work before it took."""
    began = clock.boot_ns()

    async def pause() -> None:
        nonlocal began
        await asyncio.sleep((clock.boot_ns() - began) / 1e9 * _PAUSE_SHARE)
        began = clock.boot_ns()

    return pause
