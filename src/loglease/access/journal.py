"""The revocation journal: what this process acknowledged, kept on this machine, whatever becomes of the database.

One append-only file of records: length and CRC-32 of the payload as big-endian 32-bit numbers, then the payload, JSON.
A torn last record is cut off; damage that whole records follow refuses the start.
"""

from __future__ import annotations

import asyncio
import os
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from threading import Lock as ThreadLock
from typing import Final, Literal, Self

import orjson

from loglease.model.errors import LogLeaseError
from loglease.model.hold import Lock, SuspendCause, Suspension, parse_lock_on
from loglease.model.ids import GrantId, LockId, PrincipalId, RevocationId
from loglease.model.instant import Instant
from loglease.store.durability import flush
from loglease.store.interface import RevocationRow

_HEADER: Final = struct.Struct(">II")
_MAX_RECORD: Final = 16 << 20


class JournalDamaged(LogLeaseError):
    """The journal is damaged before its last record, so revocations may be missing."""

    code = "store_unavailable"


class JournalRefused(LogLeaseError):
    """The journal takes no record either, so an act that the database did not take is not acknowledged."""

    code = "store_unavailable"


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalRecord:
    """One act: a revocation, lock or suspension, on what, which grants it concerned, when, why and by whom.

    Attributes:
        by: None for a revocation that policy asked for.
        until: for a lock that lapses.
    """

    kind: Literal["revoke", "lock", "suspend"]
    id: str
    on: str
    grants: tuple[GrantId, ...]
    at: Instant
    reason: str
    by: PrincipalId | None
    until: Instant | None = None

    def lock(self) -> Lock:
        """Return the lock as the database stores it."""
        if self.by is None:
            raise JournalDamaged(f"The record of the lock {self.id} does not say who set it.")
        return Lock(
            id=LockId(self.id),
            on=parse_lock_on(self.on),
            reason=self.reason,
            added_by=self.by,
            added_at=self.at,
            until=self.until,
        )

    def suspension(self) -> Suspension:
        """Return the suspension as the database stores it."""
        return Suspension(
            grant=self.grants[0], cause=SuspendCause.PERSON, reason=self.reason, since=self.at, by=self.by
        )

    def row(self) -> RevocationRow:
        """Return the act as the database stores it."""
        return RevocationRow(
            id=RevocationId(self.id),
            on=parse_lock_on(self.on),
            grants=self.grants,
            by=self.by,
            at=self.at,
            reason=self.reason,
        )

    def encoded(self) -> bytes:
        """Return header and payload."""
        payload = orjson.dumps(
            {
                "kind": self.kind,
                "id": self.id,
                "on": self.on,
                "grants": list(self.grants),
                "at": self.at,
                "reason": self.reason,
                "by": self.by,
                "until": self.until,
            }
        )
        return _HEADER.pack(len(payload), zlib.crc32(payload)) + payload


def revocation_record(row: RevocationRow) -> JournalRecord:
    """Return the record of an act of revocation."""
    return JournalRecord(
        kind="revoke", id=row.id, on=str(row.on), grants=row.grants, at=row.at, reason=row.reason, by=row.by
    )


class Journal:
    """The journal of one process; `append` returns once the record is on the disk."""

    def __init__(self, path: Path, descriptor: int, records: list[JournalRecord], size: int) -> None:
        self._path = path
        self._descriptor = descriptor
        self._records = records
        self._size = size
        # Held by the writing thread: whoever waits for it may be cancelled, the write goes on.
        self._writing = ThreadLock()

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open or create the journal, mode 0600, and cut off a torn last record.

        Raises:
            JournalDamaged: a record that is not the last one is damaged.
        """
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        os.fchmod(descriptor, 0o600)
        _keep_name(path.parent)
        content = b""
        while part := os.read(descriptor, 1 << 20):
            content += part
        records, whole = _decoded(content, path)
        if whole < len(content):
            os.ftruncate(descriptor, whole)
            flush(descriptor, str(path))
        return cls(path, descriptor, records, whole)

    def records(self) -> list[JournalRecord]:
        """Return all records, oldest first."""
        return list(self._records)

    async def append(self, record: JournalRecord) -> None:
        """Write one record and wait until it is on the disk.

        Raises:
            JournalRefused: it could not be written; the act must not be acknowledged on the strength of the journal.
        """
        await asyncio.to_thread(self._write, record)

    def _write(self, record: JournalRecord) -> None:
        encoded = record.encoded()
        with self._writing:
            try:
                view = memoryview(encoded)
                while view:
                    view = view[os.write(self._descriptor, view) :]
            except OSError as error:
                # A torn record before the next one would be damage.
                os.ftruncate(self._descriptor, self._size)
                raise JournalRefused(
                    f"Neither the database nor the journal takes this: {error.strerror}. It has not happened.",
                    next_step="Make room on the disk of the data directory and do it again, or stop the server now.",
                ) from error
            flush(self._descriptor, "The revocation journal")
            self._size += len(encoded)
            self._records.append(record)

    async def rewrite(self, change: Callable[[JournalRecord], JournalRecord]) -> int:
        """Write the journal anew with records changed, such as without a text that was erased; return how many differ.

        Raises:
            JournalRefused: it could not be written; the old one stays.
        """
        return await asyncio.to_thread(self._rewrite, change)

    def _rewrite(self, change: Callable[[JournalRecord], JournalRecord]) -> int:
        with self._writing:
            records = [change(one) for one in self._records]
            differing = sum(one != before for one, before in zip(records, self._records, strict=True))
            if not differing:
                return 0
            content = b"".join(one.encoded() for one in records)
            fresh = self._path.with_name(f"{self._path.name}.new")
            try:
                descriptor = os.open(fresh, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC, 0o600)
                view = memoryview(content)
                while view:
                    view = view[os.write(descriptor, view) :]
            except OSError as error:
                raise JournalRefused(
                    f"The journal could not be written anew: {error.strerror}.",
                    next_step="Make room on the disk of the data directory, then restart the server.",
                ) from error
            flush(descriptor, "The revocation journal")
            fresh.replace(self._path)
            _keep_name(self._path.parent)
            os.close(self._descriptor)
            self._descriptor, self._records, self._size = descriptor, records, len(content)
            return differing

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)


def _keep_name(directory: Path) -> None:
    """Make the name of a new file as durable as its content."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _decoded(content: bytes, path: Path) -> tuple[list[JournalRecord], int]:
    """Return the whole records and the length of what they take."""
    records: list[JournalRecord] = []
    position = 0
    while position < len(content):
        payload = _payload_at(content, position)
        if payload is None:
            # Only the last record can be torn. JSON has no zero bytes, so none of it looks like a record's beginning.
            if any(_payload_at(content, later) is not None for later in range(position + 1, len(content))):
                raise JournalDamaged(
                    f"{path} is damaged at byte {position}.",
                    next_step="Restore it from a backup, or move it away and revoke again what it held.",
                )
            break
        fields = orjson.loads(payload)
        records.append(JournalRecord(**{**fields, "grants": tuple(fields["grants"])}))
        position += _HEADER.size + len(payload)
    return records, position


def _payload_at(content: bytes, position: int) -> bytes | None:
    """Return the payload of the whole record that begins there, or None."""
    start = position + _HEADER.size
    if start > len(content):
        return None
    length, crc = _HEADER.unpack_from(content, position)
    if not 0 < length <= min(_MAX_RECORD, len(content) - start):
        return None
    payload = content[start : start + length]
    return payload if zlib.crc32(payload) == crc else None
