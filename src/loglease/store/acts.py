"""Acts that need a second person, and holds on the log, as rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from sqlalchemy import Connection, RowMapping, and_, bindparam, func, insert, or_, select, update

from loglease.model.act import Act, ActKind
from loglease.model.ids import HoldId, ProposalId
from loglease.model.instant import Instant
from loglease.model.legal_hold import LegalHold
from loglease.model.proposal import ProposalState
from loglease.store.audit_schema import acts, entries, entry_index, legal_holds, private
from loglease.store.document import Codec
from loglease.store.interface import LostRace

_VERDICT: Final = ("state", "decided_at", "decided_by", "answer", "version")
_COLUMNS: Final = ("id", "kind", "author", "proposed_at", *_VERDICT)
_CODEC: Final = Codec(Act, columns=frozenset(_COLUMNS))

_SELECT: Final = select(*(acts.c[name] for name in _COLUMNS), acts.c.document)
_FIND: Final = _SELECT.where(acts.c.id == bindparam("key"))
_UPDATE: Final = (
    update(acts)
    .where(acts.c.id == bindparam("key"), acts.c.version == bindparam("before"))
    .values({name: bindparam(name) for name in _VERDICT})
)
_HOLDS: Final = select(legal_holds).order_by(legal_holds.c.id)
_HOLD: Final = ("id", "from_at", "to_at", "reason", "set_by", "set_at", "released_at", "released_by")
_IN_FORCE: Final = legal_holds.c.released_at.is_(None)
_COVERS: Final = and_(
    _IN_FORCE, legal_holds.c.from_at <= bindparam("instant"), legal_holds.c.to_at >= bindparam("instant")
)
_RELEASE: Final = (
    update(legal_holds)
    .where(legal_holds.c.id == bindparam("key"))
    .values(released_at=bindparam("at"), released_by=bindparam("who"))
)


class SqlActs:
    """`Acts` on one connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def insert(self, act: Act) -> None:
        """Store a new act."""
        row = {name: getattr(act, name) for name in _COLUMNS}
        self._connection.execute(insert(acts), row | {"digest": act.digest, "document": _CODEC.pack(act)})

    def find(self, act_id: ProposalId) -> Act | None:
        """Return an act, or None."""
        row = self._connection.execute(_FIND, {"key": act_id}).mappings().one_or_none()
        return None if row is None else _act(row)

    def update(self, after: Act) -> None:
        """Store a verdict.

        Raises:
            LostRace: the stored version is not the one before.
        """
        row = {name: getattr(after, name) for name in _VERDICT}
        done = self._connection.execute(_UPDATE, row | {"key": after.id, "before": after.version - 1})
        if done.rowcount != 1:
            raise LostRace(f"{after.id} was changed meanwhile.", next_step=f"loglease proposals show {after.id}")

    def page(self, *, before: ProposalId | None = None, limit: int = 50) -> Sequence[Act]:
        """Return acts, newest first, older than `before`."""
        query = _SELECT.order_by(acts.c.id.desc()).limit(limit)
        if before is not None:
            query = query.where(acts.c.id < before)
        return [_act(row) for row in self._connection.execute(query).mappings()]


class SqlLegalHolds:
    """`LegalHolds` on one connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def insert(self, hold: LegalHold) -> None:
        """Store a hold."""
        self._connection.execute(insert(legal_holds), {name: getattr(hold, name) for name in _HOLD})

    def find(self, hold_id: HoldId) -> LegalHold | None:
        """Return a hold, or None."""
        query = _HOLDS.where(legal_holds.c.id == bindparam("key"))
        row = self._connection.execute(query, {"key": hold_id}).mappings().one_or_none()
        return None if row is None else LegalHold(**row)

    def update(self, hold: LegalHold) -> None:
        """Store that a hold was released."""
        row = {"key": hold.id, "at": hold.released_at, "who": hold.released_by}
        if self._connection.execute(_RELEASE, row).rowcount != 1:
            raise LostRace(f"{hold.id} was never set.")

    def all(self) -> Sequence[LegalHold]:
        """Return all holds, oldest first."""
        return [LegalHold(**row) for row in self._connection.execute(_HOLDS).mappings()]

    def on(self, at: Instant) -> LegalHold | None:
        """Return a hold in force on what was recorded at an instant."""
        row = self._connection.execute(_HOLDS.where(_COVERS).limit(1), {"instant": at}).mappings().one_or_none()
        return None if row is None else LegalHold(**row)

    def on_subject(self, subject: str) -> LegalHold | None:
        """Return a hold in force on something that a subject did, or wrote."""
        wrote = (
            select(entries.c.idx).join(private, private.c.entry_id == entries.c.id).where(private.c.subject == subject)
        )
        held = and_(
            _IN_FORCE,
            entry_index.c.at.between(legal_holds.c.from_at, legal_holds.c.to_at),
            or_(entry_index.c.actor == subject, entry_index.c.idx.in_(wrote)),
        )
        query = select(legal_holds).where(select(entry_index.c.idx).where(held).exists()).limit(1)
        row = self._connection.execute(query).mappings().one_or_none()
        return None if row is None else LegalHold(**row)

    def first_held(self) -> Instant | None:
        """Return from which instant on anything is under a hold in force."""
        found = self._connection.execute(select(func.min(legal_holds.c.from_at)).where(_IN_FORCE)).scalar_one()
        return None if found is None else Instant(found)


def _act(row: RowMapping) -> Act:
    columns = dict(row)
    columns |= {"state": ProposalState(columns["state"]), "kind": ActKind(columns["kind"])}
    return _CODEC.unpack(columns.pop("document"), **columns)
