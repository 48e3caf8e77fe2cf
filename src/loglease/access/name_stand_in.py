"""Name who reviews in one's place for a time, where approver sets let members do that; and end it before its time."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from loglease.access.caller import REVIEW_SIGN_IN_S, Caller
from loglease.access.errors import NotFound, NotPermitted, ReviewerNotHuman
from loglease.access.revoke import resolved
from loglease.access.rules import Rules
from loglease.audit.interface import Draft, EntryLog, Recorded
from loglease.model.errors import FieldFault, InvalidField
from loglease.model.hold import LockKind, LockOn
from loglease.model.ids import ENTRY, EntryId, NewId, PersonId
from loglease.model.instant import Instant, after, instant_text
from loglease.model.principal import Directory, Kind, Principal, Role, StandIn
from loglease.store.interface import Transaction


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Who stands in for whom: a login of the member, one of the other person, and for how long."""

    member: Principal
    by: Principal
    stand_in: StandIn


async def name_stand_in(
    name: str, *, for_s: int, caller: Caller, log: EntryLog[Transaction], rules: Rules, new_id: NewId
) -> Standing:
    """Let somebody review in the caller's place from now on; whoever was named before stands in no longer.

    It counts for requests that are submitted from here on.

    Args:
        name: account, e-mail or person of the other one.
        for_s: for how many seconds.

    Raises:
        ReviewerNotHuman: the caller could not review either.
        StepUpRequired: the sign-in is too old to review with.
        NotFound: nobody has that name.
        InvalidField: no approver set lets the caller name that one, or for so long.
    """
    if caller.principal.kind is not Kind.HUMAN or caller.rights is not None or caller.signed_in_at is None:
        raise ReviewerNotHuman("A stand-in is named by a person who signed in.", next_step="loglease login")

    def work(tx: Transaction, now: Instant) -> Recorded[Standing]:
        caller.require_sign_in(now, REVIEW_SIGN_IN_S)
        person = PersonId(resolved(tx, LockOn(LockKind.PERSON, name)).name)
        wanted = StandIn(person=person, since=now, until=after(now, for_s))
        directory = tx.principals.directory()
        before = tx.principals.of_person(caller.principal.person)
        changed = [replace(one, stand_in=wanted) for one in before if one.kind is Kind.HUMAN]
        by = _deputy(rules, directory, changed, wanted, now)
        me = next(one for one in changed if one.id == caller.principal.id)
        standing = Standing(member=me, by=by, stand_in=wanted)
        for one in changed:
            tx.principals.update(one)
        entry = Draft(
            id=EntryId(new_id(ENTRY)),
            type="stand_in.named",
            actor=me.subject,
            data={"subject": me.subject, "stand_in": by.subject, "until_at": instant_text(wanted.until)},
        )
        ended = [_ended(directory, one, me.subject, now, new_id) for one in before if one.id == me.id]
        return Recorded(standing, (*(one for one in ended if one is not None), entry))

    return await log.commit(work)


def _deputy(rules: Rules, directory: Directory, members: list[Principal], wanted: StandIn, now: Instant) -> Principal:
    """Return a login with which the other person can review in the place of one of these.

    Raises:
        InvalidField: there is none.
    """
    own = {person for one in members for person in one.persons}
    others = [one for one in directory.humans() if one.person == wanted.person and not own & one.persons]
    for one in others:
        if rules.lets_stand_in(one, members, directory, now):
            return one
    raise InvalidField(
        "No approver set that you are in lets you name that person, or for so long.",
        next_step="Name somebody of those that its stand_ins lists, for its max at most.",
        faults=(FieldFault("/stand_in", "stand_in_refused", "The policy does not let you."),),
    )


async def end_stand_in(person: PersonId, *, caller: Caller, log: EntryLog[Transaction], new_id: NewId) -> None:
    """End that somebody stands in for a person; either of the two may, and administrators. Twice is as good as once.

    Raises:
        NotFound: nobody stands in for that person, as far as the caller may know.
    """

    def work(tx: Transaction, now: Instant) -> Recorded[None]:
        directory = tx.principals.directory()
        logins = [one for one in tx.principals.of_person(person) if one.stand_in is not None]
        if not any(_may_know(caller, one) for one in logins):
            raise NotFound("Nobody stands in there.", next_step="loglease stand-in list")
        if Role.ADMIN not in caller.principal.roles and not any(_is_of(caller, one) for one in logins):
            raise NotPermitted("You are neither of the two.", next_step="Ask one of them.")
        entries = [_ended(directory, logins[0], caller.principal.subject, now, new_id)]
        for one in logins:
            tx.principals.update(replace(one, stand_in=None))
        return Recorded(None, tuple(one for one in entries if one is not None))

    await log.commit(work)


def stand_ins(tx: Transaction, caller: Caller, now: Instant) -> list[Standing]:
    """Return who stands in for whom now, as far as it concerns the caller; one for each member."""
    directory = tx.principals.directory()
    found: dict[PersonId, Standing] = {}
    for one in sorted(directory.principals.values(), key=lambda one: one.account):
        if one.stand_in is not None and one.stand_in.in_force(now) and _may_know(caller, one):
            by = _login(directory, one.stand_in.person)
            if by is not None:
                found.setdefault(one.person, Standing(member=one, by=by, stand_in=one.stand_in))
    return list(found.values())


def _is_of(caller: Caller, member: Principal) -> bool:
    stand_in = None if member.stand_in is None else member.stand_in.person
    return caller.principal.person in (member.person, stand_in)


def _may_know(caller: Caller, member: Principal) -> bool:
    return _is_of(caller, member) or bool(caller.principal.roles & {Role.ADMIN, Role.AUDITOR})


def _login(directory: Directory, person: PersonId) -> Principal | None:
    logins: Iterable[Principal] = directory.principals.values()
    return next((one for one in logins if one.person == person and one.kind is Kind.HUMAN), None)


def _ended(directory: Directory, member: Principal, actor: str, now: Instant, new_id: NewId) -> Draft | None:
    """Return the entry of a stand-in that ends before its time; None if its time is over."""
    found = member.stand_in
    by = None if found is None or not found.in_force(now) else _login(directory, found.person)
    if by is None:
        return None
    data = {"subject": member.subject, "stand_in": by.subject}
    return Draft(id=EntryId(new_id(ENTRY)), type="stand_in.ended", actor=actor, data=data)
