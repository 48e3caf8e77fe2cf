"""Audit entries about people, sign-ins and tokens."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from loglease.access.commitments import Commitments, Random
from loglease.access.records import Data, refs
from loglease.audit.interface import SYSTEM, Draft
from loglease.model.ids import ENTRY, EntryId, NewId, TokenId
from loglease.model.instant import Instant, instant_text
from loglease.model.principal import Principal
from loglease.store.interface import StoredToken

LOCAL: Final = "local"
METHOD: Final = "password"


def _draft(new_id: NewId, entry_type: str, actor: str, data: Data, **ids: str | None) -> Draft:
    return Draft(id=EntryId(new_id(ENTRY)), type=entry_type, actor=actor, ref=refs(**ids), data=data)


def principal_added(principal: Principal, *, actor: str, owner: Principal | None, new_id: NewId) -> Draft:
    """Return the entry of a new login."""
    data: Data = {"subject": principal.subject, "kind": str(principal.kind)}
    if owner is not None:
        data["owner"] = owner.subject
    return _draft(new_id, "principal.added", actor, data)


def principal_changed(
    subject: str, change: str, names: Iterable[str], *, actor: str, new_id: NewId, other: str | None = None
) -> Draft:
    """Return the entry of a changed login: which facts, and the names they have now."""
    data: Data = {"subject": subject, "change": change, "names": sorted(names)}
    if other is not None:
        data["other"] = other
    return _draft(new_id, "principal.changed", actor, data)


def signed_in(principal: Principal, *, address: str, new_id: NewId, random: Random) -> Draft:
    """Return the entry of a sign-in; the address only as a commitment."""
    commitments = Commitments(random)
    data: Data = {
        "auth": {"method": METHOD, "mfa": False, "age_s": 0},
        "issuer": principal.issuer,
        "address_c": commitments.to("address_c", address),
    }
    return Draft(
        id=EntryId(new_id(ENTRY)),
        type="signin.succeeded",
        actor=principal.subject,
        data=data,
        private=commitments.taken(),
    )


def sign_in_failed(
    *, error: str, count: int, first_at: Instant, last_at: Instant, address: str, new_id: NewId, random: Random
) -> Draft:
    """Return the entry of failed sign-ins from one address."""
    commitments = Commitments(random)
    data: Data = {
        "method": METHOD,
        "error": error,
        "count": count,
        "first_at": instant_text(first_at),
        "last_at": instant_text(last_at),
        "address_c": commitments.to("address_c", address),
    }
    return Draft(id=EntryId(new_id(ENTRY)), type="signin.failed", actor=SYSTEM, data=data, private=commitments.taken())


def sign_in_ended(principal: Principal, sign_in: TokenId, *, why: str, new_id: NewId) -> Draft:
    """Return the entry of a sign-in's end; processes that serve streams which it opened hear of it by this entry."""
    return _draft(new_id, "signin.ended", principal.subject, {"why": why}, token=sign_in)


def token_issued(token: StoredToken, owner: Principal, *, actor: str, new_id: NewId) -> Draft:
    """Return the entry of a new token; its label and secret are not in it."""
    data: Data = {
        "token": token.id,
        "subject": owner.subject,
        "rights": sorted(token.rights),
        "expires_at": instant_text(token.expires_at),
    }
    return _draft(new_id, "token.issued", actor, data, token=token.id)


def token_revoked(token: StoredToken, owner: Principal | None, *, actor: str, cause: str, new_id: NewId) -> Draft:
    """Return the entry of a token that was taken away."""
    subject = SYSTEM if owner is None else owner.subject
    return _draft(
        new_id, "token.revoked", actor, {"token": token.id, "subject": subject, "cause": cause}, token=token.id
    )
