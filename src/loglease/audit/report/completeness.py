"""Proof that nothing is left out: every index is there, every leaf is its entry's, and all have the signed root."""

from __future__ import annotations

from dataclasses import dataclass, field

from loglease.audit.merkle import Edge, leaf_hash
from loglease.audit.report.asking import Asked, Beside, Logged
from loglease.audit.report.tables import Fact, Form, Row, Table, layout
from loglease.model.instant import Instant

_TYPES = layout("types", "Entries of each type in this time", "type, count:number, first:number, last:number")


@dataclass(slots=True)
class Counted:
    """How many entries of one type there are, and the first and last of them."""

    count: int
    first: int
    last: int


@dataclass(slots=True)
class Completeness:
    """Counts every entry from the beginning of the log to its end, whatever time is asked about.

    Attributes:
        gaps: pairs of an index that was expected and the one that came.
        unlike: indices of entries that do not hash to the leaf that is stored with them.
        root: what the log's root is at the size of the signed checkpoint, recomputed; None where it cannot be.
    """

    asked: Asked
    beside: Beside
    counts: dict[str, Counted] = field(default_factory=dict)
    gaps: list[tuple[int, int]] = field(default_factory=list)
    unlike: list[int] = field(default_factory=list)
    read: int = 0
    root: bytes | None = None
    _next: int = field(init=False)
    _edge: Edge | None = field(init=False)

    def __post_init__(self) -> None:
        self._next = self.beside.first
        self._edge = Edge() if self.beside.first == 0 else None
        self._note_root()

    def add(self, logged: Logged) -> None:
        """Count an entry."""
        entry = logged.entry
        self.count(logged.index, logged.content, logged.leaf, kind=entry.draft.type, at=entry.at)

    def count(self, index: int, content: bytes, leaf: bytes | None, *, kind: str, at: Instant) -> None:
        """Count an entry of which no more is known than its type and time."""
        self.take(index, content, leaf)
        if self.asked.holds(at):
            known = self.counts.get(kind)
            if known is None:
                known = self.counts[kind] = Counted(0, index, index)
            known.count += 1
            known.last = index

    def take(self, index: int, content: bytes, stored: bytes | None) -> None:
        """Look at an entry's place and hash, readable or not."""
        if index != self._next:
            self.gaps.append((self._next, index))
            self._edge = None
        leaf = leaf_hash(content)
        if stored is not None and stored != leaf:
            self.unlike.append(index)
        if self._edge is not None:
            self._edge.append(leaf)
        self.read += 1
        self._next = index + 1
        self._note_root()

    def _note_root(self) -> None:
        head = self.beside.head
        if self._edge is not None and head is not None and self._edge.size == head.size:
            self.root = self._edge.root()

    @property
    def is_dense(self) -> bool:
        """Whether every index below the log's size was there."""
        return not self.gaps and self._next == self.beside.size

    @property
    def root_holds(self) -> bool | None:
        """Whether the recomputed root is the signed one; None where one of the two is missing."""
        head = self.beside.head
        return None if head is None or self.root is None else self.root == head.root

    def facts(self) -> tuple[Fact, ...]:
        """Return what proves that nothing is missing."""
        spans = self.counts.values()
        first = min((one.first for one in spans), default=None)
        last = max((one.last for one in spans), default=None)
        count = sum(one.count for one in spans)
        head = self.beside.head
        return (
            Fact("entries", count, "entries of all types in this time"),
            Fact("first_index", first, "index of the first of them"),
            Fact("last_index", last, "index of the last of them"),
            Fact("dense", self.is_dense, "whether every index of the log was there", Form.TRUTH),
            Fact("log_size", self.beside.size, "entries in the whole log when the report was made"),
            Fact("checkpoint_size", None if head is None else head.size, "entries under the newest signed checkpoint"),
            Fact("checkpoint_root", None if head is None else head.root.hex(), "its root, in hexadecimal", Form.TEXT),
            Fact("root_holds", self.root_holds, "whether the entries, hashed again, have that root", Form.TRUTH),
        )

    def table(self) -> Table:
        """Return the counts of each type."""
        rows = (Row((kind, one.count, one.first, one.last)) for kind, one in sorted(self.counts.items()))
        return Table(_TYPES, tuple(rows))

    def doubts(self) -> tuple[str, ...]:
        """Say what this proof leaves open."""
        found = []
        if self.beside.first:
            found.append(
                f"Entries below index {self.beside.first} were pruned, so the root was not recomputed here: "
                "`loglease audit verify` checks it with what the log directory keeps."
            )
        if self.beside.head is None:
            found.append("This log has no signed checkpoint yet, so nothing here is bound to a signature.")
        elif self.beside.head.size < self.beside.size:
            found.append(
                f"Entries from index {self.beside.head.size} on are newer than the checkpoint; the next covers them."
            )
        return tuple(found)
