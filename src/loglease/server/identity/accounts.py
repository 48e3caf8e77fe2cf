"""Local accounts: the first administrator, further people, what administrators may change about them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from loglease.access.caller import STEP_UP_S, Caller
from loglease.access.cancel_request import cancelled_entry
from loglease.access.commitments import Random
from loglease.access.dependents import dependent_grants, revoked_entries
from loglease.access.errors import NotFound, NotPermitted
from loglease.access.once import Once
from loglease.audit.interface import SYSTEM, Draft, EntryLog, Recorded
from loglease.model.access_request import CancelWhy, RequestMove, RequestState, move
from loglease.model.digest import canonical_bytes, sha256_hex
from loglease.model.errors import FieldFault, InvalidField
from loglease.model.hold import LockKind, LockOn
from loglease.model.ids import (
    PERSON,
    PRINCIPAL,
    REVOCATION,
    SUBJECT_BYTES,
    NewId,
    PersonId,
    PrincipalId,
    RevocationId,
    subject_of,
)
from loglease.model.instant import Instant
from loglease.model.principal import Kind, Principal, Role
from loglease.server.identity.names import checked_account, checked_name, folded
from loglease.server.identity.passwords import Passwords, checked_password, generated_password
from loglease.server.identity.records import LOCAL, principal_added, principal_changed
from loglease.store.interface import LocalAccount, LostRace, RevocationRow, Transaction

ADMIN_ACCOUNT: Final = "admin"


class AccountTaken(InvalidField):
    """There is an account of that name already."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewAccount:
    """What an administrator says about a new login."""

    account: str
    name: str | None = None
    email: str | None = None
    kind: Kind = Kind.HUMAN
    owner: PrincipalId | None = None
    groups: frozenset[str] = frozenset()
    roles: frozenset[Role] = frozenset()
    password: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What an administrator changes; None stays."""

    name: str | None = None
    groups: frozenset[str] | None = None
    roles: frozenset[Role] | None = None
    enabled: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Added:
    """A new login; `password` is set if it was generated, and is known to nobody else."""

    principal: Principal
    password: str | None = None
    replayed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Accounts:
    """Adds and changes logins."""

    log: EntryLog[Transaction]
    passwords: Passwords
    new_id: NewId
    random: Random

    async def first_admin(self) -> Added | None:
        """Make the account `admin` with a generated password, unless there are local accounts already."""
        password = generated_password(self.random)
        encoded = await self.passwords.hashed(password)

        def work(tx: Transaction, _now: Instant) -> Recorded[Added | None]:
            if tx.principals.local(ADMIN_ACCOUNT) is not None:
                return Recorded(None)
            wanted = NewAccount(account=ADMIN_ACCOUNT, name="Administrator", roles=frozenset({Role.ADMIN}))
            principal, entries = self._insert(tx, wanted, encoded, actor=SYSTEM, must_change=False)
            return Recorded(Added(principal=principal, password=password), entries)

        return await self.log.commit(work)

    async def add(self, wanted: NewAccount, *, caller: Caller, once: Once | None = None) -> Added:
        """Add a local account. Giving a role takes a fresh sign-in.

        Raises:
            NotPermitted: the caller does not administer.
            InvalidField: name or password cannot be used, or the account exists.
            StepUpRequired: a role is given, and the sign-in is too old.
        """
        caller.require_role(Role.ADMIN)
        checked = replace(
            wanted,
            account=checked_account(wanted.account),
            name=checked_name(wanted.name or wanted.account),
            email=None if wanted.email is None else checked_account(wanted.email),
        )
        human = wanted.kind is Kind.HUMAN
        generated = None if wanted.password is not None or not human else generated_password(self.random)
        password = wanted.password if generated is None else generated
        encoded = None if password is None else await self.passwords.hashed(checked_password(password, checked.account))

        def work(tx: Transaction, now: Instant) -> Recorded[Added]:
            if once is not None and (created := once.created(tx, now)) is not None:
                found = tx.principals.find(PrincipalId(created))
                if found is not None:
                    return Recorded(Added(principal=found, replayed=True))
            if checked.roles:
                caller.require_sign_in(now, STEP_UP_S)
            principal, entries = self._insert(
                tx, checked, encoded, actor=caller.principal.subject, must_change=generated is not None
            )
            if once is not None:
                once.remember(tx, principal.id, now)
            return Recorded(Added(principal=principal, password=generated), entries)

        return await self.log.commit(work)

    def _insert(
        self, tx: Transaction, wanted: NewAccount, encoded: str | None, *, actor: str, must_change: bool
    ) -> tuple[Principal, tuple[Draft, ...]]:
        if tx.principals.by_account(LOCAL, wanted.account) is not None:
            raise AccountTaken(
                f"There is an account {wanted.account} already.",
                next_step="Choose another name.",
                faults=(FieldFault("/account", "taken", "There is one already."),),
            )
        owner = self._owner(tx, wanted)
        principal = Principal(
            id=PrincipalId(self.new_id(PRINCIPAL)),
            issuer=LOCAL,
            account=wanted.account,
            kind=wanted.kind,
            person=PersonId(self.new_id(PERSON)) if owner is None else owner.person,
            subject=subject_of(self.random(SUBJECT_BYTES)),
            name=wanted.name or wanted.account,
            email=wanted.email or (wanted.account if "@" in wanted.account else None),
            groups=wanted.groups,
            roles=wanted.roles,
            manager=None if owner is None else owner.manager,
        )
        alike = self._alike(tx, principal)
        principal = replace(principal, suspected=frozenset(one.person for one in alike))
        tx.principals.insert(principal)
        if encoded is not None:
            tx.principals.insert_local(
                LocalAccount(
                    principal=principal.id, name=wanted.account, password_hash=encoded, must_change=must_change
                )
            )
        entries = [principal_added(principal, actor=actor, owner=owner, new_id=self.new_id)]
        for other in alike:
            tx.principals.update(replace(other, suspected=other.suspected | {principal.person}))
            entries.append(self._changed(principal, "suspected", (), actor, other=other.subject))
        if principal.groups:
            entries.append(self._changed(principal, "groups", principal.groups, actor))
        if principal.roles:
            entries.append(self._changed(principal, "roles", principal.roles, actor))
        return principal, tuple(entries)

    def _owner(self, tx: Transaction, wanted: NewAccount) -> Principal | None:
        owner = None if wanted.owner is None else tx.principals.find(wanted.owner)
        if wanted.kind is Kind.HUMAN and wanted.owner is None:
            return None
        if wanted.kind is Kind.HUMAN or owner is None or owner.kind is not Kind.HUMAN or not owner.enabled:
            raise InvalidField(
                "An agent or service has a human owner whose account is enabled, and nobody else has.",
                next_step="Name the principal id of the person who answers for it.",
                faults=(FieldFault("/owner", "owner_required", "It names nobody who can answer for it."),),
            )
        return owner

    def _alike(self, tx: Transaction, principal: Principal) -> list[Principal]:
        """Return the humans with the same e-mail: they may be one person, and count as one wherever two are needed."""
        if principal.kind is not Kind.HUMAN or principal.email is None:
            return []
        return [
            one
            for one in tx.principals.directory().principals.values()
            if one.kind is Kind.HUMAN and one.email is not None and folded(one.email) == folded(principal.email)
        ]

    def _changed(
        self,
        principal: Principal,
        change: str,
        names: frozenset[str] | tuple[str, ...],
        actor: str,
        other: str | None = None,
    ) -> Draft:
        return principal_changed(principal.subject, change, names, actor=actor, new_id=self.new_id, other=other)

    async def change(self, principal_id: PrincipalId, change: Change, *, etag: str, caller: Caller) -> Principal:
        """Change a login. Disabling it ends its tokens, grants and undecided requests in the same act.

        Where nobody is left to answer for the person's agents and services, they are disabled with it.

        Raises:
            NotFound: there is none.
            LostRace: somebody else changed it since `etag` was shown.
            NotPermitted: the caller does not administer, or would change their own roles or standing; or nobody answers
                for the agent or service that is to be enabled.
        """
        caller.require_role(Role.ADMIN)

        def work(tx: Transaction, now: Instant) -> Recorded[Principal]:
            before = _known(tx, principal_id)
            if etag != etag_of(before):
                raise LostRace("The account was changed meanwhile.", next_step="Load it again, then repeat.")
            after = replace(
                before,
                name=before.name if change.name is None else checked_name(change.name),
                groups=before.groups if change.groups is None else change.groups,
                roles=before.roles if change.roles is None else change.roles,
                enabled=before.enabled if change.enabled is None else change.enabled,
            )
            self._require_may_change(before, after, caller, now)
            if after.enabled and not before.enabled:
                _require_owner(tx, after)
            if after != before:
                tx.principals.update(after)
            entries = self._entries(before, after, caller.principal.subject)
            if before.enabled and not after.enabled:
                entries += self._taken_away(tx, after, caller, now)
                entries += self._agents_disabled(tx, after, caller, now)
            return Recorded(after, tuple(entries))

        return await self.log.commit(work, urgent=True)

    async def reset_password(self, principal_id: PrincipalId, *, caller: Caller) -> Added:
        """Give a login a generated password, to be changed at the next sign-in; its sign-ins and tokens end.

        Raises:
            NotFound: there is none.
            NotPermitted: the caller does not administer, or means their own login.
            InvalidField: the login has no password.
            StepUpRequired: the caller's sign-in is too old.
        """
        caller.require_role(Role.ADMIN)
        if caller.principal.id == principal_id:
            raise NotPermitted(
                "Nobody resets their own password.",
                next_step=f"loglease login {caller.principal.account} --new-password",
            )
        password = generated_password(self.random)
        encoded = await self.passwords.hashed(password)

        def work(tx: Transaction, now: Instant) -> Recorded[Added]:
            caller.require_sign_in(now, STEP_UP_S)
            principal = _known(tx, principal_id)
            local = tx.principals.local(principal.account)
            if local is None or local.principal != principal.id:
                raise InvalidField(
                    f"{principal.account} has no password.",
                    next_step="Agents and services have tokens: loglease token.",
                )
            tx.principals.update_local(replace(local, password_hash=encoded, must_change=True))
            tx.tokens.revoke(now, principal=principal.id)
            entry = self._changed(principal, "password", (), caller.principal.subject)
            return Recorded(Added(principal=principal, password=password), (entry,))

        return await self.log.commit(work, urgent=True)

    async def recover_admin(self) -> str:
        """Return a new password of the first account, which gets its role and its standing back; for its operator.

        Raises:
            NotFound: there is no such account.
        """
        password = generated_password(self.random)
        encoded = await self.passwords.hashed(password)

        def work(tx: Transaction, now: Instant) -> Recorded[str]:
            local = tx.principals.local(ADMIN_ACCOUNT)
            before = None if local is None else tx.principals.find(local.principal)
            if local is None or before is None:
                raise NotFound(
                    f"There is no account {ADMIN_ACCOUNT}.", next_step="Start the server once: loglease serve"
                )
            after = replace(before, enabled=True, roles=before.roles | {Role.ADMIN})
            tx.principals.update(after)
            tx.principals.update_local(replace(local, password_hash=encoded, must_change=True))
            tx.tokens.revoke(now, principal=before.id)
            entries = [*self._entries(before, after, SYSTEM), self._changed(after, "password", (), SYSTEM)]
            return Recorded(password, tuple(entries))

        return await self.log.commit(work, urgent=True)

    def _require_may_change(self, before: Principal, after: Principal, caller: Caller, now: Instant) -> None:
        if before.roles != after.roles:
            caller.require_sign_in(now, STEP_UP_S)
        own = caller.principal.id == before.id
        if own and (before.enabled is not after.enabled or before.roles != after.roles):
            raise NotPermitted(
                "Nobody changes their own roles or disables their own account.", next_step="Ask another administrator."
            )

    def _agents_disabled(self, tx: Transaction, principal: Principal, caller: Caller, now: Instant) -> list[Draft]:
        """Disable the agents and services that nobody answers for any more, and end what depends on them."""
        entries: list[Draft] = []
        for agent in _unanswered(tx, principal):
            disabled = replace(agent, enabled=False)
            tx.principals.update(disabled)
            entries += self._entries(agent, disabled, caller.principal.subject)
            entries += self._taken_away(tx, disabled, caller, now)
        return entries

    def _taken_away(self, tx: Transaction, principal: Principal, caller: Caller, now: Instant) -> list[Draft]:
        """End what depends on a login that was disabled: tokens, grants, undecided requests."""
        by, subject = caller.principal.id, caller.principal.subject
        tx.tokens.revoke(now, principal=principal.id)
        on = LockOn(LockKind.PRINCIPAL, principal.id)
        grants = dependent_grants(tx, on, now)
        entries: list[Draft] = []
        if grants:
            row = RevocationRow(
                id=RevocationId(self.new_id(REVOCATION)),
                on=on,
                grants=tuple(grant.id for grant in grants),
                by=by,
                at=now,
                reason="the account was disabled",
            )
            entries += revoked_entries(tx, row, grants, actor=subject, new_id=self.new_id, random=self.random)
            tx.revocations.insert(row)
        for request in tx.requests.pending_of(principal.id):
            if request.state_at(now) is RequestState.PENDING:
                why = CancelWhy.DELETED
                done = move(request, RequestMove.CANCEL, by=by, now=now, cause=why)
                tx.requests.update(done)
                entries.append(cancelled_entry(done, why, actor=subject, new_id=self.new_id))
        return entries

    def _entries(self, before: Principal, after: Principal, actor: str) -> list[Draft]:
        entries = []
        if before.groups != after.groups:
            entries.append(self._changed(after, "groups", after.groups, actor))
        if before.roles != after.roles:
            entries.append(self._changed(after, "roles", after.roles, actor))
        if before.enabled is not after.enabled:
            entries.append(self._changed(after, "enabled" if after.enabled else "disabled", (), actor))
        return entries


def _answered(tx: Transaction, person: PersonId) -> bool:
    """Say whether a human being can sign in, and so answer for the agents and services that are theirs."""
    return any(one.enabled and one.kind is Kind.HUMAN for one in tx.principals.of_person(person))


def _unanswered(tx: Transaction, principal: Principal) -> list[Principal]:
    """Return the enabled agents and services of this login's person, if nobody is left to answer for them."""
    if _answered(tx, principal.person):
        return []
    return [one for one in tx.principals.of_person(principal.person) if one.enabled]


def _require_owner(tx: Transaction, principal: Principal) -> None:
    """Refuse to enable an agent or service that nobody answers for.

    Raises:
        NotPermitted: no login of its owner is enabled.
    """
    if principal.kind is not Kind.HUMAN and not _answered(tx, principal.person):
        raise NotPermitted("The owner of this account is disabled.", next_step="Enable its owner first.")


def etag_of(principal: Principal) -> str:
    """Return the strong ETag of a login, without quotes."""
    return sha256_hex(
        canonical_bytes(
            {
                "id": principal.id,
                "name": principal.name,
                "groups": sorted(principal.groups),
                "roles": sorted(principal.roles),
                "enabled": principal.enabled,
            }
        )
    )[:32]


def _known(tx: Transaction, principal_id: PrincipalId) -> Principal:
    found = tx.principals.find(principal_id)
    if found is None:
        raise NotFound(f"There is no principal {principal_id}.", next_step="loglease admin user list")
    return found
