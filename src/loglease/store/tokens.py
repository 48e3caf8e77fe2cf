"""Tokens as rows: what finds and checks them, never the tokens."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from sqlalchemy import Connection, RowMapping, bindparam, delete, insert, select, update

from loglease.model.ids import GrantId, PrincipalId, TokenId
from loglease.model.instant import Instant, after
from loglease.model.rights import Right
from loglease.store.interface import StoredToken
from loglease.store.schema import tokens

_SAME: Final = (
    "id",
    "kind",
    "principal",
    "lookup",
    "secret_sha256",
    "created_at",
    "expires_at",
    "epoch",
    "label",
    "chain",
    "signed_in_at",
    "spent_at",
    "revoked_at",
    "last_used_at",
)
_MANAGED: Final = ("llp", "lls")
_KEPT_S: Final = 86_400

_SELECT: Final = select(*(tokens.c[name] for name in _SAME), tokens.c.rights, tokens.c.grant_id.label("grant"))
_INSERT: Final = insert(tokens)
_FIND: Final = _SELECT.where(tokens.c.id == bindparam("key"))
_BY_LOOKUP: Final = _SELECT.where(tokens.c.lookup == bindparam("key"))
_SPEND: Final = (
    update(tokens)
    .where(tokens.c.id == bindparam("key"), tokens.c.spent_at.is_(None))
    .values(spent_at=bindparam("spent_at"))
)
_OF_PRINCIPAL: Final = _SELECT.where(
    tokens.c.principal == bindparam("principal"), tokens.c.kind.in_(_MANAGED), tokens.c.revoked_at.is_(None)
).order_by(tokens.c.id.desc())
_EXPIRED: Final = delete(tokens).where(tokens.c.expires_at < bindparam("before"))


class SqlTokens:
    """`Tokens` on one connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def insert(self, token: StoredToken) -> None:
        """Store a token."""
        row = {name: getattr(token, name) for name in _SAME}
        row |= {"grant_id": token.grant, "rights": " ".join(sorted(token.rights))}
        self._connection.execute(_INSERT, row)

    def by_lookup(self, lookup: str) -> StoredToken | None:
        """Return the token with that public part, valid or not."""
        row = self._connection.execute(_BY_LOOKUP, {"key": lookup}).mappings().one_or_none()
        return None if row is None else _token(row)

    def find(self, token_id: TokenId) -> StoredToken | None:
        """Return a token by its id."""
        row = self._connection.execute(_FIND, {"key": token_id}).mappings().one_or_none()
        return None if row is None else _token(row)

    def spend(self, token_id: TokenId, now: Instant) -> bool:
        """Mark a one-time token as used; False if it was already."""
        return self._connection.execute(_SPEND, {"key": token_id, "spent_at": now}).rowcount == 1

    def revoke(
        self,
        now: Instant,
        *,
        token_id: TokenId | None = None,
        chain: TokenId | None = None,
        principal: PrincipalId | None = None,
        grant: GrantId | None = None,
    ) -> int:
        """Revoke the tokens that match all that is named; naming nothing revokes nothing."""
        named = {"id": token_id, "chain": chain, "principal": principal, "grant_id": grant}
        conditions = [tokens.c[column] == value for column, value in named.items() if value is not None]
        if not conditions:
            return 0
        statement = update(tokens).where(tokens.c.revoked_at.is_(None), *conditions).values(revoked_at=now)
        return self._connection.execute(statement).rowcount

    def of_principal(self, principal: PrincipalId) -> Sequence[StoredToken]:
        """Return the tokens that a person manages, newest first; revoked ones are left out."""
        return [_token(row) for row in self._connection.execute(_OF_PRINCIPAL, {"principal": principal}).mappings()]

    def delete_expired(self, now: Instant) -> int:
        """Remove tokens that expired more than a day ago."""
        return self._connection.execute(_EXPIRED, {"before": after(now, -_KEPT_S)}).rowcount


def _token(row: RowMapping) -> StoredToken:
    columns = dict(row)
    rights = frozenset(Right(name) for name in columns.pop("rights").split())
    return StoredToken(rights=rights, **columns)
