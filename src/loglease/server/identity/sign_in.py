"""Signing in with a password, going on with a refresh token, signing out, changing the password."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from loglease.access.caller import Caller
from loglease.access.commitments import Random
from loglease.audit.interface import Draft, EntryLog, Recorded
from loglease.model.clock import Clock
from loglease.model.ids import TOKEN, NewId, TokenId
from loglease.model.instant import MICROSECONDS, Instant, after
from loglease.model.principal import Principal
from loglease.server.identity import secrets
from loglease.server.identity.accounts import ADMIN_ACCOUNT
from loglease.server.identity.brake import Brake
from loglease.server.identity.credentials import require_unlocked
from loglease.server.identity.names import folded
from loglease.server.identity.passwords import Passwords, checked_password
from loglease.server.identity.records import LOCAL, sign_in_ended, sign_in_failed, signed_in, token_revoked
from loglease.server.identity.secrets import Secret, new_secret
from loglease.server.problems import NotAuthenticated, RateLimited
from loglease.store.interface import LocalAccount, StoredToken, Transaction
from loglease.store.store_interface import Store

ACCESS_S: Final = 15 * 60
SIGN_IN_S: Final = 12 * 3_600
SINGLY_A_MINUTE: Final = 10
ADMIN_FILE: Final = "admin-password"
"""Where the first password is put if there is no terminal to show it on."""

_NEVER: Final = Instant(0)
_WRONG: Final = "Account or password is wrong."


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedIn:
    """A pair of tokens and whose they are."""

    principal: Principal
    access: Secret
    access_expires_at: Instant
    refresh: Secret
    refresh_expires_at: Instant
    must_change: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class WebSignedIn:
    """A new web session; `cookie` is the value to set."""

    principal: Principal
    cookie: Secret
    expires_at: Instant
    must_change: bool = False


@dataclass(slots=True)
class _Failed:
    """Failures of one address that are recorded together."""

    minute: int
    singly: int = 0
    count: int = 0
    first_at: Instant = _NEVER
    last_at: Instant = _NEVER


@dataclass(slots=True, kw_only=True)
class SignIns:
    """Sign-ins of local accounts. Known and unknown accounts get the same answer after the same work.

    Attributes:
        failed_per_min: failures that one address may have; None does not count.
        first_login: file with the first password, removed when that was used.
    """

    store: Store
    log: EntryLog[Transaction]
    passwords: Passwords
    clock: Clock
    new_id: NewId
    random: Random
    brake: Brake
    failed_per_min: int | None
    first_login: Path | None = None
    _failed: dict[str, _Failed] = field(default_factory=dict)

    async def sign_in(self, account: str, password: str, *, address: str) -> SignedIn:
        """Check a password and start a chain of access and refresh tokens.

        Raises:
            NotAuthenticated: account or password is wrong, or the account is disabled.
            Locked: the password is right, and a lock is aimed at its owner.
            RateLimited: too many failures; the message says how long to wait.
        """
        local = await self._checked(account, password, address)

        def work(tx: Transaction, now: Instant) -> Recorded[SignedIn]:
            principal = self._standing(tx, local, now)
            pair = self._pair(tx, principal, now, signed_in_at=now)
            entry = signed_in(principal, address=address, new_id=self.new_id, random=self.random)
            return Recorded(replace(pair, must_change=local.must_change), (entry,))

        return await self.log.commit(work)

    async def web_sign_in(self, account: str, password: str, *, address: str) -> WebSignedIn:
        """Check a password and start a web session with a new identifier.

        Raises:
            NotAuthenticated: as `sign_in`.
            RateLimited: as `sign_in`.
        """
        local = await self._checked(account, password, address)

        def work(tx: Transaction, now: Instant) -> Recorded[WebSignedIn]:
            principal = self._standing(tx, local, now)
            secret = new_secret(secrets.WEB, self.random)
            token = self._token(tx, secret, principal, now, life_s=SIGN_IN_S, signed_in_at=now)
            entry = signed_in(principal, address=address, new_id=self.new_id, random=self.random)
            done = WebSignedIn(
                principal=principal, cookie=secret, expires_at=token.expires_at, must_change=local.must_change
            )
            return Recorded(done, (entry,))

        return await self.log.commit(work)

    async def _checked(self, account: str, password: str, address: str) -> LocalAccount:
        name = folded(account)
        self._require_room(name, address)
        local = await self.store.read(lambda tx: tx.principals.local(name))
        fits = await self.passwords.matches(password, None if local is None else local.password_hash)
        if local is None or not fits:
            self.brake.failed(name, address)
            await self._record_failure(address)
            raise NotAuthenticated(_WRONG, next_step="Check both and try again.")
        self.brake.succeeded(name, address)
        if self.first_login is not None and name == ADMIN_ACCOUNT:
            self.first_login.unlink(missing_ok=True)
        return local

    def _require_room(self, name: str, address: str) -> None:
        if self.failed_per_min is None:
            return
        wait_s = self.brake.wait_s(name, address)
        failed = self._failed.get(address)
        minute = self.clock.now() // (60 * MICROSECONDS)
        if failed is not None and failed.minute == minute and failed.singly + failed.count >= self.failed_per_min:
            wait_s = max(wait_s, 60)
        if wait_s:
            raise RateLimited(wait_s, "failed sign-ins")

    async def _record_failure(self, address: str) -> None:
        """Record the first failures of a minute one by one, and later ones with their number."""
        now = self.clock.now()
        minute = now // (60 * MICROSECONDS)
        drafts = []
        for one in [key for key, value in self._failed.items() if value.minute != minute]:
            drafts += self._together(one)
        failed = self._failed.setdefault(address, _Failed(minute))
        if failed.singly < SINGLY_A_MINUTE:
            failed.singly += 1
            drafts.append(self._failure(address, 1, now, now))
        else:
            failed.count += 1
            failed.first_at, failed.last_at = failed.first_at or now, now
        if drafts:
            await self.log.commit(lambda _tx, _now: Recorded(None, tuple(drafts)))

    def _together(self, address: str) -> list[Draft]:
        failed = self._failed.pop(address)
        return [self._failure(address, failed.count, failed.first_at, failed.last_at)] if failed.count else []

    def _failure(self, address: str, count: int, first_at: Instant, last_at: Instant) -> Draft:
        return sign_in_failed(
            error="credentials",
            count=count,
            first_at=first_at,
            last_at=last_at,
            address=address,
            new_id=self.new_id,
            random=self.random,
        )

    def _standing(self, tx: Transaction, local: LocalAccount, now: Instant) -> Principal:
        """Return the account's principal; a disabled one is answered like a wrong password, a locked one is told."""
        principal = tx.principals.find(local.principal)
        stored = tx.principals.local(local.name)
        # The password was checked before this transaction; meanwhile it may have been changed.
        changed = stored is None or stored.password_hash != local.password_hash
        if changed or principal is None or not principal.enabled:
            raise NotAuthenticated(_WRONG, next_step="Check both and try again.")
        require_unlocked(tx, principal, now)
        return principal

    def _token(
        self,
        tx: Transaction,
        secret: Secret,
        principal: Principal,
        now: Instant,
        *,
        life_s: int,
        signed_in_at: Instant,
        chain: TokenId | None = None,
    ) -> StoredToken:
        """Store a token of a sign-in; the first one gives the chain its name."""
        token_id = TokenId(self.new_id(TOKEN))
        token = StoredToken(
            id=token_id,
            kind=secret.kind,
            principal=principal.id,
            lookup=secret.lookup,
            secret_sha256=secret.sha256,
            rights=frozenset(),
            created_at=now,
            expires_at=min(after(now, life_s), after(signed_in_at, SIGN_IN_S)),
            epoch=tx.epoch,
            chain=chain or token_id,
            signed_in_at=signed_in_at,
        )
        tx.tokens.insert(token)
        return token

    def _pair(
        self,
        tx: Transaction,
        principal: Principal,
        now: Instant,
        *,
        signed_in_at: Instant,
        chain: TokenId | None = None,
    ) -> SignedIn:
        access, refresh = new_secret(secrets.ACCESS, self.random), new_secret(secrets.REFRESH, self.random)
        first = self._token(tx, access, principal, now, life_s=ACCESS_S, signed_in_at=signed_in_at, chain=chain)
        second = self._token(
            tx, refresh, principal, now, life_s=SIGN_IN_S, signed_in_at=signed_in_at, chain=first.chain
        )
        return SignedIn(
            principal=principal,
            access=access,
            access_expires_at=first.expires_at,
            refresh=refresh,
            refresh_expires_at=second.expires_at,
        )

    async def refresh(self, text: str) -> SignedIn:
        """Spend a refresh token for the next pair. One that was spent before ends the whole chain.

        Raises:
            NotAuthenticated: it is none, has expired, was spent or revoked, or its owner may not sign in.
        """
        secret = secrets.secret_of(text)

        def work(tx: Transaction, now: Instant) -> Recorded[SignedIn | None]:
            if secret is None or secret.kind != secrets.REFRESH:
                return Recorded(None)
            token = tx.tokens.by_lookup(secret.lookup)
            if token is None or not secret.fits(token.secret_sha256) or token.signed_in_at is None or not token.chain:
                return Recorded(None)
            principal = tx.principals.find(token.principal)
            if not tx.tokens.spend(token.id, now):
                ended = tx.tokens.revoke(now, chain=token.chain)
                if not ended or principal is None:
                    return Recorded(None)
                entry = token_revoked(
                    token, principal, actor=principal.subject, cause="refresh_reused", new_id=self.new_id
                )
                return Recorded(None, (entry,))
            valid = token.revoked_at is None and now < token.expires_at and token.epoch == tx.epoch
            if not valid or principal is None or not principal.enabled:
                return Recorded(None)
            return Recorded(self._pair(tx, principal, now, signed_in_at=token.signed_in_at, chain=token.chain))

        pair = await self.log.commit(work)
        if pair is None:
            raise NotAuthenticated("The refresh token is not valid.", next_step="loglease login")
        return pair

    async def sign_out(self, caller: Caller) -> None:
        """End the sign-in that the caller's token belongs to, with all it has opened; a long-lived token stays."""

        def work(tx: Transaction, now: Instant) -> Recorded[None]:
            token = None if caller.token is None else tx.tokens.find(caller.token)
            if token is None or token.chain is None or not tx.tokens.revoke(now, chain=token.chain):
                return Recorded(None)
            entry = sign_in_ended(caller.principal, token.chain, why="logout", new_id=self.new_id)
            return Recorded(None, (entry,))

        await self.log.commit(work, urgent=True)

    async def change_password(self, caller: Caller, password: str, new_password: str, *, address: str) -> None:
        """Set a new password; all other sign-ins and tokens of the account end.

        Raises:
            NotAuthenticated: the present password is wrong.
            InvalidField: the new one cannot be used.
        """
        local = await self._checked(caller.principal.account, password, address)
        if caller.principal.issuer != LOCAL or local.principal != caller.principal.id:
            raise NotAuthenticated(_WRONG, next_step="Check both and try again.")
        encoded = await self.passwords.hashed(checked_password(new_password, local.name))

        def work(tx: Transaction, now: Instant) -> Recorded[None]:
            self._standing(tx, local, now)
            own = None if caller.token is None else tx.tokens.find(caller.token)
            tx.principals.update_local(replace(local, password_hash=encoded, must_change=False))
            tx.tokens.revoke(now, principal=local.principal)
            if own is not None:
                entry = token_revoked(
                    own, caller.principal, actor=caller.principal.subject, cause="password", new_id=self.new_id
                )
                return Recorded(None, (entry,))
            return Recorded(None)

        await self.log.commit(work, urgent=True)
