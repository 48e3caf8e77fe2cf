"""Lift a lock: somebody else than whom it is aimed at, and for `everything` somebody else than who set it."""

from __future__ import annotations

from dataclasses import replace

from loglease.access.caller import STEP_UP_S, Caller
from loglease.access.commitments import Commitments, Random
from loglease.access.errors import NotFound, NotPermitted
from loglease.access.permissions import matches
from loglease.access.records import Data, refs
from loglease.audit.interface import Draft, EntryLog, Recorded
from loglease.model.hold import Lock, LockKind, LockOn
from loglease.model.ids import ENTRY, EntryId, GrantId, LockId, NewId, PersonId, PrincipalId, RequestId, TokenId
from loglease.model.instant import Instant
from loglease.model.principal import Role
from loglease.store.interface import Transaction


async def lift_lock(
    lock_id: LockId, *, caller: Caller, log: EntryLog[Transaction], new_id: NewId, random: Random, reason: str = ""
) -> Lock:
    """Lift a lock. Nothing that it ended comes back; a lifted lock is returned unchanged.

    Raises:
        NotFound: there is none.
        NotPermitted: the caller does not administer, or is the one who must not lift it.
        StepUpRequired: the sign-in is too old for this act.
    """
    caller.require_role(Role.ADMIN)

    def work(tx: Transaction, now: Instant) -> Recorded[Lock]:
        lock = tx.holds.find_lock(lock_id)
        if lock is None:
            raise NotFound(f"There is no lock {lock_id}.", next_step="loglease lock list")
        if lock.lifted_at is not None:
            return Recorded(lock)
        caller.require_sign_in(now, STEP_UP_S)
        _require_other(tx, lock, caller)
        done = replace(lock, lifted_at=now, lifted_by=caller.principal.id)
        tx.holds.update_lock(done)
        return Recorded(done, tuple(_entries(tx, done, caller, reason, new_id=new_id, random=random)))

    return await log.commit(work)


def _require_other(tx: Transaction, lock: Lock, caller: Caller) -> None:
    if lock.on.kind is LockKind.EVERYTHING:
        if lock.added_by == caller.principal.id:
            raise NotPermitted(
                "A lock on everything is lifted by somebody else.", next_step="Ask another administrator."
            )
    elif matches(lock.on, principal=caller.principal) or caller.principal.persons & _persons(tx, lock.on):
        raise NotPermitted("Nobody lifts a lock that is aimed at them.", next_step="Ask another administrator.")


def _persons(tx: Transaction, on: LockOn) -> frozenset[PersonId]:
    """Return whose grant, request, token or login a lock is on."""
    if on.kind is LockKind.PERSON:
        return frozenset({PersonId(on.name)})
    owner = _owner(tx, on)
    found = None if owner is None else tx.principals.find(owner)
    return frozenset() if found is None else found.persons


def _owner(tx: Transaction, on: LockOn) -> PrincipalId | None:
    match on.kind:
        case LockKind.GRANT:
            grant = tx.grants.find(GrantId(on.name))
            return None if grant is None else grant.holder
        case LockKind.REQUEST:
            request = tx.requests.find(RequestId(on.name))
            return None if request is None else request.requester
        case LockKind.TOKEN:
            token = tx.tokens.find(TokenId(on.name))
            return None if token is None else token.principal
        case LockKind.PRINCIPAL:
            return PrincipalId(on.name)
        case _:
            return None


def _entries(tx: Transaction, lock: Lock, caller: Caller, reason: str, *, new_id: NewId, random: Random) -> list[Draft]:
    commitments = Commitments(random)
    data: Data = {"lock": lock.id}
    if reason:
        data["reason_c"] = commitments.to("reason_c", reason)
    subjects = []
    if lock.on.kind is LockKind.PERSON:
        subjects = sorted({one.subject for one in tx.principals.of_person(PersonId(lock.on.name))})
    elif lock.on.kind is LockKind.PRINCIPAL:
        found = tx.principals.find(PrincipalId(lock.on.name))
        subjects = [found.subject] if found else []
    facts: list[Data] = [{**data, "subject": subject} for subject in subjects] or [data]
    return [
        Draft(
            id=EntryId(new_id(ENTRY)),
            type="principal.unlocked" if subjects else "lock.lifted",
            actor=caller.principal.subject,
            ref=refs(lock=lock.id),
            data=fact,
            private=commitments.taken(),
        )
        for fact in facts
    ]
