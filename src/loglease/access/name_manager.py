"""Name whose approval `relation:manager` means for what somebody asks: one person for another, by an administrator."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from loglease.access.caller import STEP_UP_S, Caller
from loglease.access.errors import NotFound, NotPermitted
from loglease.access.records import Data
from loglease.audit.interface import Draft, EntryLog, Recorded
from loglease.model.errors import FieldFault, InvalidField
from loglease.model.ids import ENTRY, EntryId, NewId, PersonId
from loglease.model.instant import Instant
from loglease.model.principal import Kind, Principal, Role
from loglease.store.interface import Transaction


async def name_manager(
    person: PersonId, manager: PersonId | None, *, caller: Caller, log: EntryLog[Transaction], new_id: NewId
) -> None:
    """Name the manager of a person, for all their logins and for the agents and services that are theirs.

    It counts for requests that are submitted from here on: who becomes somebody's manager reviews nothing that waits.

    Args:
        manager: None for nobody.

    Raises:
        NotFound: there is no such person.
        InvalidField: the manager is nobody who could review, or may be that very person.
        NotPermitted: the caller does not administer, or would name their own manager.
        StepUpRequired: the caller's sign-in is too old.
    """
    caller.require_role(Role.ADMIN)
    if person in caller.principal.persons:
        raise NotPermitted("Nobody names their own manager.", next_step="Ask another administrator.")

    def work(tx: Transaction, now: Instant) -> Recorded[None]:
        caller.require_sign_in(now, STEP_UP_S)
        logins = tx.principals.of_person(person)
        if not logins:
            raise NotFound(f"There is no person {person}.", next_step="loglease admin person list")
        subject = "" if manager is None else _reviewer(tx, manager, logins).subject
        entries = []
        for login in logins:
            if login.manager == manager:
                continue
            tx.principals.update(replace(login, manager=manager))
            data: Data = {"subject": login.subject, "change": "manager", "names": []}
            if subject:
                data["other"] = subject
            entries.append(
                Draft(id=EntryId(new_id(ENTRY)), type="principal.changed", actor=caller.principal.subject, data=data)
            )
        return Recorded(None, tuple(entries))

    await log.commit(work)


def _reviewer(tx: Transaction, manager: PersonId, logins: Sequence[Principal]) -> Principal:
    """Return a login with which a manager can review."""
    own = {person for one in logins for person in one.persons}
    for one in tx.principals.of_person(manager):
        if one.kind is Kind.HUMAN and one.enabled and not own & one.persons:
            return one
    raise InvalidField(
        "A manager is another person with an account that is enabled.",
        next_step="loglease admin person list",
        faults=(FieldFault("/manager", "manager_invalid", "It names nobody who could review."),),
    )
