"""Principals, the subjects that audit entries name them by, and local accounts as rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from sqlalchemy import Connection, bindparam, exists, func, insert, select, update

from loglease.model.ids import PersonId, PrincipalId
from loglease.model.principal import Directory, Principal, directory_of
from loglease.store.document import Codec
from loglease.store.interface import LocalAccount, LostRace
from loglease.store.rosters import Rosters
from loglease.store.schema import local_accounts, principals, subjects
from loglease.store.statements import rows_of

_CODEC: Final = Codec(Principal)

_NEXT_REVISION: Final = select(func.coalesce(func.max(principals.c.revision), 0) + 1)
_INSERT: Final = insert(principals)
_UPDATE: Final = (
    update(principals)
    .where(principals.c.id == bindparam("key"))
    .values({name: bindparam(name) for name in ("kind", "person", "subject", "revision", "document")})
)
_ALL: Final = select(principals.c.document).order_by(principals.c.id)
_FIND: Final = _ALL.where(principals.c.id == bindparam("key"))
_BY_ACCOUNT: Final = _ALL.where(
    principals.c.issuer == bindparam("issuer"), principals.c.account == bindparam("account")
)
_OF_PERSON: Final = _ALL.where(principals.c.person == bindparam("person"))
_SUBJECT_KNOWN: Final = select(exists().where(subjects.c.subject == bindparam("key")))
_INSERT_SUBJECT: Final = insert(subjects)
_INSERT_LOCAL: Final = insert(local_accounts)
_UPDATE_LOCAL: Final = (
    update(local_accounts)
    .where(local_accounts.c.name == bindparam("key"))
    .values(password_hash=bindparam("password_hash"), must_change=bindparam("must_change"))
)
_LOCAL: Final = select(local_accounts).where(local_accounts.c.name == bindparam("key"))


class SqlPrincipals:
    """`Principals` on one connection."""

    def __init__(self, connection: Connection, rosters: Rosters) -> None:
        self._connection = connection
        self._rosters = rosters

    def insert(self, principal: Principal) -> None:
        """Store a principal that was seen for the first time, and its subject."""
        row = {"id": principal.id, "issuer": principal.issuer, "account": principal.account}
        self._connection.execute(_INSERT, row | self._changing(principal))
        if not self._connection.execute(_SUBJECT_KNOWN, {"key": principal.subject}).scalar_one():
            self._connection.execute(_INSERT_SUBJECT, {"subject": principal.subject, "principal": principal.id})

    def update(self, principal: Principal) -> None:
        """Store what changed; issuer and account never do.

        Raises:
            LostRace: there is no such principal.
        """
        if self._connection.execute(_UPDATE, self._changing(principal) | {"key": principal.id}).rowcount != 1:
            raise LostRace(f"{principal.id} was never added.")

    def _changing(self, principal: Principal) -> dict[str, object]:
        return {
            "kind": principal.kind,
            "person": principal.person,
            "subject": principal.subject,
            "revision": self._connection.execute(_NEXT_REVISION).scalar_one(),
            "document": _CODEC.pack(principal),
        }

    def find(self, principal_id: PrincipalId) -> Principal | None:
        """Return a principal, or None."""
        rows = rows_of(self._connection, _FIND, {"key": principal_id})
        return principal_of(rows[0]["document"]) if rows else None

    def by_account(self, issuer: str, account: str) -> Principal | None:
        """Return the principal that an identity provider knows by this account."""
        key = {"issuer": issuer, "account": account}
        document = self._connection.execute(_BY_ACCOUNT, key).scalar_one_or_none()
        return None if document is None else _CODEC.unpack(document)

    def of_person(self, person: PersonId) -> Sequence[Principal]:
        """Return all logins of one human being."""
        found = self._connection.execute(_OF_PERSON, {"person": person}).scalars()
        return [_CODEC.unpack(document) for document in found]

    def directory(self) -> Directory:
        """Return a snapshot of all principals, and of who is on call."""
        found = [_CODEC.unpack(document) for document in self._connection.execute(_ALL).scalars()]
        rotas = self._rosters.current
        on_call = {
            rota: frozenset(one.id for one in found if (one.issuer, one.account) in accounts)
            for rota, accounts in rotas.items()
        }
        return directory_of(found, on_call)

    def rotas_of(self, principal: Principal) -> frozenset[str]:
        """Return the rotas in which a principal is on call now."""
        login = (principal.issuer, principal.account)
        return frozenset(rota for rota, accounts in self._rosters.current.items() if login in accounts)

    def insert_local(self, account: LocalAccount) -> None:
        """Store a local account."""
        row = {
            "name": account.name,
            "principal": account.principal,
            "password_hash": account.password_hash,
            "must_change": account.must_change,
        }
        self._connection.execute(_INSERT_LOCAL, row)

    def update_local(self, account: LocalAccount) -> None:
        """Store a new password hash.

        Raises:
            LostRace: there is no such account.
        """
        row = {"key": account.name, "password_hash": account.password_hash, "must_change": account.must_change}
        if self._connection.execute(_UPDATE_LOCAL, row).rowcount != 1:
            raise LostRace("There is no such local account.")

    def local(self, name: str) -> LocalAccount | None:
        """Return the local account of that name."""
        row = self._connection.execute(_LOCAL, {"key": name}).mappings().one_or_none()
        return None if row is None else LocalAccount(**row)


def principal_of(document: str) -> Principal:
    """Return the principal of a stored document."""
    return _CODEC.unpack(document)
