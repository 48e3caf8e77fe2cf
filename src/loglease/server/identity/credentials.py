"""From a token or cookie to a caller: everything is checked again at each use."""

from __future__ import annotations

from dataclasses import dataclass

from loglease.access.caller import Caller
from loglease.access.errors import Locked
from loglease.access.permissions import is_aimed_at
from loglease.audit.interface import EntryLog, Recorded
from loglease.model.clock import Clock
from loglease.model.hold import LockKind, LockOn
from loglease.model.ids import GrantId, PrincipalId
from loglease.model.instant import Instant
from loglease.model.principal import Principal
from loglease.model.review import Channel
from loglease.server.identity import secrets
from loglease.server.identity.secrets import Secret
from loglease.server.problems import NotAuthenticated, PasswordChangeRequired, TokenExpired
from loglease.store.interface import StoredToken, Transaction
from loglease.store.store_interface import Store

_INTERACTIVE = frozenset({secrets.ACCESS, secrets.WEB})
_BEARER = frozenset({secrets.ACCESS, secrets.PERSONAL, secrets.SERVICE, secrets.GRANT})


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """A caller and the stored token that vouches for them. `must_change`: their password, before anything else."""

    caller: Caller
    token: StoredToken
    must_change: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """Checks what callers come with."""

    store: Store
    log: EntryLog[Transaction]
    clock: Clock

    async def bearer(self, text: str, channel: Channel, *, before_change: bool = False) -> Known:
        """Return who sends this bearer token.

        Args:
            text: the token.
            channel: the door that the caller came through.
            before_change: also somebody who has to change their password first; what they may do then is looked at by
                whoever asks, at `must_change`.

        Raises:
            NotAuthenticated: it is no valid token; which part is wrong is not said.
            TokenExpired: it was valid and has expired.
            Locked: a lock is aimed at its owner or at itself.
            PasswordChangeRequired: its owner has a password that somebody else made.
        """
        return await self._known(text, _BEARER, channel, before_change=before_change)

    async def cookie(self, text: str, *, before_change: bool = False) -> Known:
        """Return whose web session this is.

        Raises:
            NotAuthenticated, TokenExpired, Locked, PasswordChangeRequired: as `bearer`.
        """
        return await self._known(text, frozenset({secrets.WEB}), Channel.WEB, before_change=before_change)

    async def owner_of(self, cookie: str) -> PrincipalId | None:
        """Return whose web session this is or was; it proves nothing any more once the session is over."""
        secret = secrets.secret_of(cookie)
        if secret is None or secret.kind != secrets.WEB:
            return None
        token = await self.store.read(lambda tx: tx.tokens.by_lookup(secret.lookup))
        return token.principal if token is not None and secret.fits(token.secret_sha256) else None

    async def _known(self, text: str, kinds: frozenset[str], channel: Channel, *, before_change: bool) -> Known:
        secret = secrets.secret_of(text)
        if secret is None or secret.kind not in kinds:
            raise _refused()
        now = self.clock.now()
        known = await self.store.read(lambda tx: _known(tx, secret, channel, now), urgent=True)
        if known.must_change and not before_change:
            raise PasswordChangeRequired
        return known

    async def viewer(self, code: str, *, grant: GrantId, cookie: str) -> Known:
        """Spend a viewer code and return who may open that one stream.

        Raises:
            NotAuthenticated: the code was used, is older than 30 s, or belongs to another cookie or grant.
        """
        secret = secrets.secret_of(code)
        session = await self.cookie(cookie)
        if secret is None or secret.kind != secrets.VIEWER:
            raise _refused()

        def work(tx: Transaction, now: Instant) -> Recorded[Known | None]:
            token = tx.tokens.by_lookup(secret.lookup)
            if token is None or not tx.tokens.spend(token.id, now):
                return Recorded(None)
            ours = token.grant == grant and token.chain is not None and token.chain == session.token.chain
            if not ours or token.principal != session.caller.principal.id or token.epoch != tx.epoch:
                return Recorded(None)
            return Recorded(_known(tx, secret, Channel.WEB, now))

        found = await self.log.commit(work)
        if found is None:
            raise _refused()
        return found


def _known(tx: Transaction, secret: Secret, channel: Channel, now: Instant) -> Known:
    token = tx.tokens.by_lookup(secret.lookup)
    if token is None or not secret.fits(token.secret_sha256) or token.kind != secret.kind:
        raise _refused()
    principal = tx.principals.find(token.principal)
    if token.revoked_at is not None or token.epoch != tx.epoch or principal is None or not principal.enabled:
        raise _refused()
    if now >= token.expires_at:
        raise TokenExpired("The token has expired.", next_step="loglease login")
    require_unlocked(tx, principal, now, token=token)
    local = tx.principals.local(principal.account)
    interactive = token.kind in _INTERACTIVE
    caller = Caller(
        principal=principal,
        channel=channel,
        rights=None if interactive else token.rights,
        # A viewer's code is of the sign-in of its page; without the rights of one.
        signed_in_at=token.signed_in_at if interactive or token.kind == secrets.VIEWER else None,
        token=token.id,
        sign_in=token.chain,
        only_grant=token.grant,
        on_call=tx.principals.rotas_of(principal),
    )
    must_change = local is not None and local.principal == principal.id and local.must_change
    return Known(caller=caller, token=token, must_change=must_change)


def require_unlocked(tx: Transaction, principal: Principal, now: Instant, *, token: StoredToken | None = None) -> None:
    """Refuse somebody whom a lock is aimed at. One on everything stops grants, not the control plane.

    Raises:
        Locked: a lock on the login, the person, a group of theirs, or the token.
    """
    on_token = token is not None and tx.holds.locks(now=now, on=LockOn(LockKind.TOKEN, token.id))
    if on_token or is_aimed_at(tx, principal, now):
        raise Locked("A lock stops this for now.", next_step="Ask an administrator.")


def _refused() -> NotAuthenticated:
    return NotAuthenticated("There is no valid sign-in or token with this call.", next_step="loglease login")
