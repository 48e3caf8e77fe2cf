"""Long-lived tokens, grant tokens and viewer codes: issued, listed, taken away."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from loglease.access.caller import STEP_UP_S, Caller
from loglease.access.commitments import Random
from loglease.access.errors import NotFound, NotPermitted
from loglease.access.once import Once
from loglease.access.permissions import held_grant, require_unlocked
from loglease.audit.interface import EntryLog, Recorded
from loglease.model.errors import FieldFault, InvalidField
from loglease.model.grant import Grant, refusal
from loglease.model.ids import TOKEN, GrantId, NewId, PrincipalId, TokenId
from loglease.model.instant import Instant, after
from loglease.model.principal import Kind, Principal, Role
from loglease.model.rights import Right
from loglease.server.identity import secrets
from loglease.server.identity.names import folded
from loglease.server.identity.records import LOCAL, token_issued, token_revoked
from loglease.server.identity.secrets import Secret, new_secret
from loglease.store.interface import StoredToken, Transaction
from loglease.store.store_interface import Store

PERSONAL_MAX_S: Final = 90 * 86_400
SERVICE_MAX_S: Final = 365 * 86_400
VIEWER_S: Final = 30
MANAGED: Final = frozenset({secrets.PERSONAL, secrets.SERVICE, secrets.GRANT})


@dataclass(frozen=True, slots=True, kw_only=True)
class Issued:
    """A new token; `secret` is None where the call was a repetition."""

    token: StoredToken
    secret: Secret | None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewToken:
    """What somebody wants a token for."""

    kind: str
    label: str
    rights: frozenset[Right]
    expires_in_s: int
    grant: GrantId | None = None
    principal: str | None = None
    """The agent or service by its account or id; only tokens of services name one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokens:
    """Issues tokens. None of these can review."""

    store: Store
    log: EntryLog[Transaction]
    new_id: NewId
    random: Random

    async def issue(self, wanted: NewToken, *, caller: Caller, once: Once | None = None) -> Issued:
        """Issue a token that can do no more than its owner, and no longer than its kind allows.

        Raises:
            NotPermitted: a token wants to make tokens, or the caller lacks what it asks for.
            InvalidField: rights or expiry are not allowed for its kind.
            StepUpRequired: the sign-in is too old; tokens for one grant do not need that.
        """
        if caller.rights is not None:
            raise NotPermitted("A token cannot make tokens.", next_step="loglease login")

        def work(tx: Transaction, now: Instant) -> Recorded[Issued]:
            if once is not None and (created := once.created(tx, now)) is not None:
                found = tx.tokens.find(TokenId(created))
                if found is not None:
                    return Recorded(Issued(token=found, secret=None))
            require_unlocked(tx, caller, now)
            owner, expires_at, rights = self._terms(tx, wanted, caller, now)
            secret = new_secret(wanted.kind, self.random)
            token = StoredToken(
                id=TokenId(self.new_id(TOKEN)),
                kind=wanted.kind,
                principal=owner.id,
                lookup=secret.lookup,
                secret_sha256=secret.sha256,
                rights=rights,
                created_at=now,
                expires_at=expires_at,
                epoch=tx.epoch,
                label=wanted.label,
                grant=wanted.grant,
            )
            tx.tokens.insert(token)
            if once is not None:
                once.remember(tx, token.id, now)
            entry = token_issued(token, owner, actor=caller.principal.subject, new_id=self.new_id)
            return Recorded(Issued(token=token, secret=secret), (entry,))

        return await self.log.commit(work)

    def _terms(
        self, tx: Transaction, wanted: NewToken, caller: Caller, now: Instant
    ) -> tuple[Principal, Instant, frozenset[Right]]:
        if wanted.kind == secrets.GRANT:
            return self._grant_terms(tx, wanted, caller, now)
        caller.require_sign_in(now, STEP_UP_S)
        if wanted.grant is not None:
            raise _invalid("/grant", "Only a grant token names a grant.")
        if not wanted.rights:
            raise _invalid("/rights", "A token without a right is good for nothing.")
        service = wanted.kind == secrets.SERVICE
        most = SERVICE_MAX_S if service else PERSONAL_MAX_S
        if wanted.expires_in_s > most:
            raise _invalid("/expires_in_s", f"It lives at most {most // 86_400} days.")
        owner = self._service_owner(tx, wanted, caller) if service else caller.principal
        if not service and wanted.principal not in (None, caller.principal.id):
            raise _invalid("/principal", "A personal token is the caller's own.")
        if Right.ADMIN in wanted.rights and not owner.roles & {Role.ADMIN, Role.AUDITOR, Role.POLICY_ADMIN}:
            raise NotPermitted("The right admin needs a role.", next_step="Leave it out.")
        return owner, after(now, wanted.expires_in_s), wanted.rights

    def _grant_terms(
        self, tx: Transaction, wanted: NewToken, caller: Caller, now: Instant
    ) -> tuple[Principal, Instant, frozenset[Right]]:
        if wanted.grant is None:
            raise _invalid("/grant", "A grant token names its grant.")
        if wanted.rights - {Right.LOGS_READ}:
            raise _invalid("/rights", "A grant token reads logs and does nothing else.")
        grant = held_grant(tx, caller, wanted.grant)
        if not grant.is_live(now):
            raise refusal(grant, now)
        expires_at = min(after(now, wanted.expires_in_s), _latest_end(grant))
        return caller.principal, expires_at, frozenset({Right.LOGS_READ})

    def _service_owner(self, tx: Transaction, wanted: NewToken, caller: Caller) -> Principal:
        named = wanted.principal or ""
        found = tx.principals.find(PrincipalId(named)) or tx.principals.by_account(LOCAL, folded(named))
        ours = found is not None and (found.person == caller.principal.person or Role.ADMIN in caller.principal.roles)
        if found is None or found.kind is Kind.HUMAN or not ours:
            # One answer, so that nobody learns by guessing which names there are.
            raise InvalidField(
                f"There is no agent or service {named[:80]!r} of yours.",
                next_step="Name one that you own; an administrator may name any.",
                faults=(FieldFault("/principal", "not_allowed", "It names no agent or service of yours."),),
            )
        return found

    async def viewer_code(self, grant_id: GrantId, *, caller: Caller, cookie: StoredToken) -> Secret:
        """Return a code that opens one stream of one grant within 30 s, once, together with that cookie."""

        def work(tx: Transaction, now: Instant) -> Recorded[Secret]:
            held_grant(tx, caller, grant_id)
            secret = new_secret(secrets.VIEWER, self.random)
            tx.tokens.insert(
                StoredToken(
                    id=TokenId(self.new_id(TOKEN)),
                    kind=secrets.VIEWER,
                    principal=caller.principal.id,
                    lookup=secret.lookup,
                    secret_sha256=secret.sha256,
                    rights=frozenset({Right.LOGS_READ}),
                    created_at=now,
                    expires_at=after(now, VIEWER_S),
                    epoch=tx.epoch,
                    chain=cookie.chain,
                    signed_in_at=cookie.signed_in_at,
                    grant=grant_id,
                )
            )
            return Recorded(secret)

        return await self.log.commit(work)

    async def mine(self, caller: Caller) -> Sequence[StoredToken]:
        """Return the caller's own tokens that can be managed.

        Raises:
            NotPermitted: a token without the right `admin` wants to see what else its owner has.
        """
        caller.require(Right.ADMIN)
        return [
            token
            for token in await self.store.read(lambda tx: tx.tokens.of_principal(caller.principal.id))
            if token.kind in MANAGED and token.revoked_at is None
        ]

    async def delete(self, token_id: TokenId, *, caller: Caller) -> None:
        """Take a token away: one's own, that of an own agent, or as an administrator anybody's.

        Any token may end itself, so that a program can give back what it no longer needs.

        Raises:
            NotPermitted: a token without the right `admin` wants to take another one away.
            NotFound: there is none for the caller.
        """
        if token_id != caller.token:
            caller.require(Right.ADMIN)

        def work(tx: Transaction, now: Instant) -> Recorded[None]:
            token = tx.tokens.find(token_id)
            owner = None if token is None else tx.principals.find(token.principal)
            ours = owner is not None and (
                owner.person == caller.principal.person or Role.ADMIN in caller.principal.roles
            )
            if token is None or token.kind not in MANAGED or not ours:
                raise NotFound(f"There is no token {token_id} for you.", next_step="loglease token list")
            if token.revoked_at is not None:
                return Recorded(None)
            tx.tokens.revoke(now, token_id=token.id)
            entry = token_revoked(token, owner, actor=caller.principal.subject, cause="deleted", new_id=self.new_id)
            return Recorded(None, (entry,))

        await self.log.commit(work, urgent=True)

    async def clean_up(self) -> int:
        """Remove tokens that expired long ago; return how many."""
        return await self.log.commit(lambda tx, now: Recorded(tx.tokens.delete_expired(now)))


def _latest_end(grant: Grant) -> Instant:
    """Return when a grant ends at the latest, whether it was activated or not."""
    return grant.valid_until or after(grant.activate_by, grant.terms.duration_s)


def _invalid(pointer: str, text: str) -> InvalidField:
    return InvalidField(text, next_step="Correct the field.", faults=(FieldFault(pointer, "not_allowed", text),))
