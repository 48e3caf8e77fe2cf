"""Small aggregates as rows: answers to creating calls, acts of revocation, named values."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection, bindparam, delete, insert, select, update

from loglease.model.ids import PrincipalId, RevocationId
from loglease.model.instant import Instant, after
from loglease.store.document import Codec
from loglease.store.interface import RevocationRow
from loglease.store.schema import answers, named_values, revocations

ANSWERS_KEPT_S: Final = 86_400

_KEY: Final = (
    answers.c.principal == bindparam("of"),
    answers.c.route == bindparam("at"),
    answers.c.key == bindparam("named"),
)
_ANSWER: Final = select(answers.c.body, answers.c.created).where(*_KEY, answers.c.answered_at > bindparam("since"))
_FORGET: Final = delete(answers).where(answers.c.answered_at <= bindparam("since"))
_INSERT_ANSWER: Final = insert(answers)

_CODEC: Final = Codec(RevocationRow)
_INSERT_REVOCATION: Final = insert(revocations)
_REVOCATION: Final = select(revocations.c.document).where(revocations.c.id == bindparam("key"))

_VALUE: Final = select(named_values.c.value).where(named_values.c.name == bindparam("key"))
_UPDATE_VALUE: Final = (
    update(named_values).where(named_values.c.name == bindparam("key")).values(value=bindparam("value"))
)
_INSERT_VALUE: Final = insert(named_values)
_DELETE_VALUE: Final = delete(named_values).where(named_values.c.name == bindparam("key"))


class SqlIdempotency:
    """`Idempotency` on one connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def find(self, principal: PrincipalId, route: str, key: str, now: Instant) -> tuple[bytes, str] | None:
        """Return the body digest and the id that was created, or None."""
        wanted = {"of": principal, "at": route, "named": key, "since": after(now, -ANSWERS_KEPT_S)}
        row = self._connection.execute(_ANSWER, wanted).one_or_none()
        return None if row is None else (row.body, row.created)

    def insert(self, principal: PrincipalId, route: str, key: str, body: bytes, created: str, now: Instant) -> None:
        """Remember what a call created, and forget what is older than a day."""
        self._connection.execute(_FORGET, {"since": after(now, -ANSWERS_KEPT_S)})
        row = {
            "principal": principal,
            "route": route,
            "key": key,
            "body": body,
            "created": created,
            "answered_at": now,
        }
        self._connection.execute(_INSERT_ANSWER, row)


class SqlRevocations:
    """`Revocations` on one connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def insert(self, revocation: RevocationRow) -> None:
        """Store an act."""
        self._connection.execute(_INSERT_REVOCATION, {"id": revocation.id, "document": _CODEC.pack(revocation)})

    def find(self, revocation_id: RevocationId) -> RevocationRow | None:
        """Return an act, or None."""
        document = self._connection.execute(_REVOCATION, {"key": revocation_id}).scalar_one_or_none()
        return None if document is None else _CODEC.unpack(document)


class SqlValues:
    """`Values` on one connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def find(self, name: str) -> str | None:
        """Return a value, or None."""
        return self._connection.execute(_VALUE, {"key": name}).scalar_one_or_none()

    def put(self, name: str, value: str) -> None:
        """Store a value."""
        if self._connection.execute(_UPDATE_VALUE, {"key": name, "value": value}).rowcount == 0:
            self._connection.execute(_INSERT_VALUE, {"name": name, "value": value})

    def delete(self, name: str) -> None:
        """Forget a value."""
        self._connection.execute(_DELETE_VALUE, {"key": name})
