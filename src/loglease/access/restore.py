"""After a restore nothing comes back to life by itself: an older database is recognised, and all its grants suspended.

A small file beside the database says how far its log was. A database that does not reach that far, has another entry
there, or comes without the file, was put back from a backup: what was revoked since is not in it.
"""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import orjson

from loglease.access.cancel_request import cancelled_entry
from loglease.access.commitments import Random
from loglease.access.restore_rights import take_away_what_the_log_knows
from loglease.access.suspend_grant import suspended_entry
from loglease.audit.interface import SYSTEM, Draft, EntryLog, Recorded
from loglease.model.access_request import CancelWhy, RequestMove, RequestState, move
from loglease.model.hold import SuspendCause, Suspension
from loglease.model.ids import ENTRY, EntryId, NewId
from loglease.model.instant import Instant
from loglease.store.durability import flush
from loglease.store.interface import Transaction

_REASON: Final = "restored from a backup"
_UNKNOWN: Final = "unknown"
_LEFT: Final = "audit_left_log"
_PAGE: Final = 200
_WITHIN_S: Final = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftLog:
    """The generation of the log before this one, as far as it is known to have been signed.

    Attributes:
        origin: its name.
        size: how many entries its newest known head covers; `root` is that head's root, in hex.
    """

    origin: str
    size: int
    root: str

    def keep(self, tx: Transaction) -> None:
        """Keep it in the database until a start has put it on the record."""
        tx.values.put(_LEFT, orjson.dumps(asdict(self)).decode())


def left_log(tx: Transaction) -> LeftLog | None:
    """Return the generation that was left and that the log does not speak of yet; None if there is none."""
    found = tx.values.find(_LEFT)
    return None if found is None else LeftLog(**orjson.loads(found))


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownHead:
    """How far the log was.

    Attributes:
        leaf: hash of its last entry, in hex; empty for an empty log.
        epoch: the history generation.
        signed_size: how many entries the newest signed head covered; `signed_root` is its root, in hex.
    """

    size: int
    leaf: str
    epoch: int
    signed_size: int = 0
    signed_root: str = ""


def head_of(tx: Transaction) -> KnownHead:
    """Return how far the log is now."""
    last, signed = tx.entries.newest(1), tx.checkpoints.last()
    return KnownHead(
        size=tx.entries.size(),
        leaf=last[0].leaf.hex() if last else "",
        epoch=tx.epoch,
        signed_size=0 if signed is None else signed.size,
        signed_root="" if signed is None else signed.root.hex(),
    )


class HeadFile:
    """The file that keeps the newest head of the log outside the database."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._kept: KnownHead | None = None

    def known(self) -> KnownHead | None:
        """Return what was kept last; None if there is no file, or no whole one."""
        try:
            return KnownHead(**orjson.loads(self._path.read_bytes()))
        except (FileNotFoundError, orjson.JSONDecodeError, TypeError):
            return None

    def keep(self, head: KnownHead) -> None:
        """Replace what is kept, durably; the same head again writes nothing."""
        if head == self._kept:
            return
        fresh = self._path.with_name(f"{self._path.name}.new")
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            os.write(descriptor, orjson.dumps(asdict(head)))
            flush(descriptor, str(self._path))
        finally:
            os.close(descriptor)
        fresh.replace(self._path)
        self._flush_folder()
        self._kept = head

    def forget(self) -> None:
        """Remove what is kept, durably: until it is kept again, the database counts as one that was restored."""
        self._path.unlink(missing_ok=True)
        self._flush_folder()
        self._kept = None

    def _flush_folder(self) -> None:
        directory = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            flush(directory, str(self._path.parent))
        finally:
            os.close(directory)


async def suspend_restored(
    known: KnownHead | None,
    *,
    put_back: int,
    origin: str,
    log: EntryLog[Transaction],
    new_id: NewId,
    random: Random,
    is_new: bool = False,
    is_copy: bool = False,
) -> int | None:
    """Suspend every live grant and cancel every pending request of a database that was restored.

    The epoch is raised, so that sign-ins and tokens of the lost history do not work. Runs before anything is served.

    Args:
        known: what was kept beside the database; None where that was of a generation before this one.
        put_back: how many entries it had lost and has again, from the log directory.
        origin: name of the stored value with the log's origin.
        is_new: the calling server is a new one of several, so that nothing can have been kept beside it.
        is_copy: the database says of itself that it is another than the one in which the log went on last.

    Returns:
        how many grants were suspended; None for a database that is not older than what was known.
    """

    def work(tx: Transaction, now: Instant) -> Recorded[int | None]:
        size, left = tx.entries.size(), left_log(tx)
        has_all = size == 0 or is_new if known is None else _reaches(tx, known)
        if left is None and not put_back and not is_copy and has_all:
            return Recorded(None)
        tx.values.delete(_LEFT)
        epoch = max(tx.epoch, 0 if known is None else known.epoch) + 1
        tx.entries.raise_epoch(epoch)
        lost = take_away_what_the_log_knows(tx, now, new_id=new_id)
        suspended = _suspended(tx, now, new_id=new_id, random=random)
        restored = Draft(
            id=EntryId(new_id(ENTRY)),
            type="log.restored",
            actor=SYSTEM,
            data={
                # What only the log knows was put back, also where that was cut off and this is the next start.
                "from": "tiles" if put_back or lost else "backup",
                **_before(tx, known, left, origin),
                "epoch": epoch,
                "suspended": len(suspended),
            },
        )
        return Recorded(len(suspended), (restored, *lost, *suspended, *_cancelled(tx, now, new_id=new_id)))

    return await log.commit(work, urgent=True, limit_s=_WITHIN_S)


def _before(tx: Transaction, known: KnownHead | None, left: LeftLog | None, origin: str) -> dict[str, str | int]:
    if left is not None:
        return {"old_origin": left.origin, "old_size": left.size, "old_root": left.root}
    return {
        "old_origin": tx.values.find(origin) or _UNKNOWN,
        "old_size": tx.entries.size() if known is None else known.size,
        "old_root": _UNKNOWN if known is None else known.leaf,
    }


def _reaches(tx: Transaction, known: KnownHead) -> bool:
    if known.size == 0:
        return True
    found = tx.entries.since(known.size - 1, limit=1)
    return bool(found) and found[0].index == known.size - 1 and found[0].leaf.hex() == known.leaf


def _suspended(tx: Transaction, now: Instant, *, new_id: NewId, random: Random) -> list[Draft]:
    entries = []
    for grant in tx.grants.live():
        if not grant.is_live(now):
            continue
        suspension = Suspension(grant=grant.id, cause=SuspendCause.RESTORE, reason=_REASON, since=now)
        tx.holds.insert_suspension(suspension)
        entry_id = EntryId(new_id(ENTRY))
        entries.append(suspended_entry(grant, suspension, entry_id=entry_id, actor=SYSTEM, random=random))
    return entries


def _cancelled(tx: Transaction, now: Instant, *, new_id: NewId) -> list[Draft]:
    """Cancel what is undecided: a denial may be among what was lost."""
    entries: list[Draft] = []
    while page := [
        one
        for one in tx.requests.page(state=RequestState.PENDING, limit=_PAGE)
        if one.state_at(now) is RequestState.PENDING
    ]:
        for request in page:
            done = move(request, RequestMove.CANCEL, by=None, now=now, cause=CancelWhy.RESTORE)
            tx.requests.update(done)
            entries.append(cancelled_entry(done, CancelWhy.RESTORE, actor=SYSTEM, new_id=new_id))
    return entries
