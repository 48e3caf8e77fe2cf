"""What the rest of the product knows of the audit log, and what the log needs of a database.

A change and its record are one transaction. Callers hand in `work`: a plain function that, under the lock of the log's
head, reads, decides, writes, and returns the entries that say so. It awaits nothing, so nothing can happen in between.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Final, Generic, Protocol, TypeVar

from loglease.model.ack import Ack
from loglease.model.digest import Canonical
from loglease.model.errors import LogLeaseError
from loglease.model.ids import EntryId
from loglease.model.instant import Instant

Tx_co = TypeVar("Tx_co", covariant=True)
Result = TypeVar("Result")
Result_co = TypeVar("Result_co", covariant=True)

SYSTEM: Final = "system"
"""The actor of what nobody did: the clock, a restart."""


class AuditUnavailable(LogLeaseError):
    """The record cannot be made durable, so what needed it does not happen."""

    code = "audit_unavailable"


class AuditBusy(AuditUnavailable):
    """More waits to be recorded than may wait."""

    code = "audit_busy"


class EntryInvalid(LogLeaseError):
    """An entry breaks the schema of its type; a fault of ours, never of a caller."""

    code = "internal"


@dataclass(frozen=True, slots=True)
class PrivateField:
    """What a commitment in an entry stands for; kept beside the log so that it can be erased.

    Attributes:
        path: where the commitment is in the entry's data, such as ``reason_c``; one of an array is
            ``rules_c:`` and the commitment.
        salt: 16 random bytes.
        clear: the committed bytes.
    """

    path: str
    salt: bytes
    clear: bytes


class Sealed(Protocol):
    """A private text as it is stored; only `privacy` opens it."""

    @property
    def path(self) -> str:
        """Where the commitment is in the entry's data."""

    @property
    def subject(self) -> str:
        """Under whose key it is."""

    @property
    def nonce(self) -> bytes:
        """The nonce; never used twice with one key."""

    @property
    def ciphertext(self) -> bytes:
        """Salt and clear bytes, sealed."""


@dataclass(frozen=True, slots=True)
class SealedField:
    """`Sealed`, as it is about to be stored."""

    path: str
    subject: str
    nonce: bytes
    ciphertext: bytes


class SubjectKeys(Protocol):
    """The keys of subjects, wrapped, inside one transaction."""

    def find(self, subject: str) -> bytes | None:
        """Return a subject's wrapped key; None before the first text, and once it was erased."""

    def insert(self, subject: str, wrapped: bytes) -> None:
        """Store the wrapped key of a subject who has none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """An entry before it has its place and time in the log.

    Attributes:
        type: one of `audit.types.ENTRY_TYPES`.
        actor: subject who did it, or `SYSTEM`.
        via: subject of the agent or service it was done through.
        ref: ids of the objects concerned, by kind.
        data: the facts; keys and types are fixed by `type`.
        served: canonical bytes of a served list and its salt, for `batch.served` and `session.closed`.
    """

    id: EntryId
    type: str
    actor: str
    ref: Mapping[str, str] = field(default_factory=dict)
    data: Mapping[str, Canonical] = field(default_factory=dict)
    via: str | None = None
    private: tuple[PrivateField, ...] = ()
    served: tuple[bytes, bytes] | None = None


@dataclass(frozen=True, slots=True)
class Recorded(Generic[Result_co]):
    """What a piece of work answers: its result, and the entries that record it; none if nothing changed.

    Attributes:
        ack: what has to be true of the entries before it is answered, if that is more than is demanded anyhow.
    """

    result: Result_co
    entries: tuple[Draft, ...] = ()
    ack: Ack = Ack.DURABLE


@dataclass(frozen=True, slots=True)
class EntryRow:
    """One sequenced entry: its index, its exact bytes, and the columns it is found by.

    Attributes:
        sealed: what is kept of the draft's private texts.
    """

    index: int
    id: EntryId
    at: Instant
    draft: Draft
    content: bytes
    leaf: bytes
    sealed: tuple[SealedField, ...] = ()


class Head(Protocol):
    """The end of the log."""

    @property
    def next(self) -> int:
        """The index that the next entry gets."""

    @property
    def last_at(self) -> Instant:
        """The time of the last entry."""

    @property
    def epoch(self) -> int:
        """The history generation."""

    @property
    def min_index(self) -> int:
        """The lowest index that was not pruned."""


class Group(Protocol[Tx_co]):
    """One open transaction that holds the head's lock. Used from one thread only."""

    @property
    def transaction(self) -> Tx_co:
        """The repositories, inside this transaction."""

    @property
    def head(self) -> Head:
        """The head as it was when the lock was taken."""

    @property
    def subject_keys(self) -> SubjectKeys:
        """The keys of subjects, inside this transaction."""

    def now(self) -> Instant:
        """Return the database's time."""

    def attempt(self) -> AbstractContextManager[None]:
        """Return a savepoint: leaving it with an exception undoes what was written inside, and nothing else."""

    def append(self, rows: Sequence[EntryRow], *, last_at: Instant) -> None:
        """Insert entries and advance the head."""

    def extent(self) -> tuple[int, int | None, int | None]:
        """Return how many entries are stored, and the first and last index."""

    def newest(self, most: int) -> Sequence[tuple[int, str, bytes, bytes]]:
        """Return index, id, bytes and leaf of the last entries, in order."""

    def known(self, ids: Sequence[str]) -> Mapping[str, bytes]:
        """Return the bytes of those entries that are in the log already, by id."""

    def mark(self) -> int | None:
        """Return a mark by which this transaction is found again; None if it wrote nothing."""

    def left(self, mark: int) -> bool:
        """Say whether the transaction that has a mark, the last without entries, became durable."""


class Rows(Protocol[Tx_co]):
    """The database as the log needs it."""

    async def group(self, body: Callable[[Group[Tx_co]], Result]) -> Result:
        """Run `body` in one transaction of the one writer, with the head locked first, and commit.

        Raises:
            StoreUnavailable: the transaction did not become durable, unless it was the commit that failed: then its
                answer may be what was lost.
        """


class EntryLog(Protocol[Tx_co]):
    """The one entrance to the log, and so to every change of state."""

    async def commit(
        self, work: Callable[[Tx_co, Instant], Recorded[Result]], *, urgent: bool = False, limit_s: float | None = None
    ) -> Result:
        """Run `work(transaction, now)` and return its result once it and its entries are durable.

        `now` is the instant that the entries carry. Works of many callers share one commit; one that raises is undone
        alone. An urgent one (revocation, lock, end of a session) goes first and is never refused for lack of room.

        Raises:
            AuditBusy: too much is waiting.
            AuditUnavailable: not durable in time; it may still become so, and is then recorded like any other.
            LogLeaseError: whatever `work` raised; nothing was written.
        """
