"""Who is meant by a name, and which logins are one human being.

In an allowance an ambiguous account is nobody; in a prohibition it is everybody it could be.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from loglease.model.ids import PersonId, PrincipalId
from loglease.model.instant import Instant
from loglease.model.offer import ON_CALL
from loglease.model.principal import EVERYBODY, Directory, Kind, Principal
from loglease.policy.documents import ApproverSet, StandInRule, Who

MAX_GROUPS: Final = 5_000
MANAGER: Final = "relation:manager"
_GROUP: Final = "group:"
_KINDS: Final = {"user": Kind.HUMAN, "agent": Kind.AGENT, "service": Kind.SERVICE}


@dataclass(frozen=True, slots=True)
class People:
    """A directory with what a decision asks of it, computed once.

    Attributes:
        sets: approver sets of the bundle, by id.
        manager: whom `relation:manager` means: the manager of who asks; None means nobody.
        now: when stand-ins have to be in force; None means that nobody stands in for anybody.
        named_by: until when they have to be named: the submit of a request; None means now.
    """

    directory: Directory
    sets: Mapping[str, ApproverSet] = field(default_factory=dict)
    manager: PersonId | None = None
    now: Instant | None = None
    named_by: Instant | None = None
    _deputies: dict[PersonId, list[Principal]] = field(init=False, default_factory=dict)
    _standing: dict[PersonId, list[Principal]] = field(init=False, default_factory=dict)
    _accounts: dict[tuple[Kind, str], list[PrincipalId]] = field(init=False, default_factory=dict)
    _one: dict[PersonId, PersonId] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        for principal in self.directory.principals.values():
            self._accounts.setdefault((principal.kind, principal.account), []).append(principal.id)
            if principal.suspected:
                self._join(principal.persons)
            found = principal.stand_in
            if found is None or self.now is None or not found.in_force(self.now):
                continue
            self._deputies.setdefault(found.person, []).append(principal)
            if found.since <= (self.named_by or self.now):
                self._standing.setdefault(found.person, []).append(principal)

    def _join(self, persons: Iterable[PersonId]) -> None:
        """Count these persons as one from now on."""
        roots = sorted({self.one(person) for person in persons})
        for root in roots:
            self._one[root] = roots[0]

    def one(self, person: PersonId) -> PersonId:
        """Return the name under which a person is counted: the same for all who are, or may be, one human being."""
        root = person
        while (above := self._one.get(root, root)) != root:
            root = above
        return root

    def counted_as(self, principal: Principal) -> PersonId:
        """Return the name under which a principal's person is counted."""
        return self.one(principal.person)

    def counted(self, persons: Iterable[PersonId]) -> frozenset[PersonId]:
        """Return the names under which these persons are counted."""
        return frozenset(self.one(person) for person in persons)

    def is_named(self, name: str, principal: Principal) -> bool:
        """Say whether a name such as `group:sre` certainly means this principal."""
        if name.startswith(_GROUP):
            return is_member(principal, name.removeprefix(_GROUP))
        return self.is_named_itself(name, principal) or bool(self.stands_for(name, principal))

    def is_named_itself(self, name: str, principal: Principal) -> bool:
        """Say whether a name certainly means this principal, and not only somebody in whose place they review."""
        if name.partition(":")[0] in _KINDS and len(self._accounts.get((principal.kind, principal.account), ())) != 1:
            return False
        return self.may_be_named(name, principal)

    def stands_for(self, name: str, principal: Principal) -> list[Principal]:
        """Return the members of an approver set in whose place this principal reviews where the set is asked for."""
        prefix, _, rest = name.partition(":")
        chosen = self.sets.get(rest) if prefix == "approvers" else None
        rule = None if chosen is None else chosen.stand_ins
        members = self._standing.get(principal.person, ()) if principal.kind is Kind.HUMAN else ()
        if chosen is None or rule is None or not members:
            return []
        if not self.is_one_of(rule.approvers, chosen.none_of, principal):
            return []
        return [one for one in members if self._lets_stand_in(one, chosen, rule)]

    def stands_in(self, principal: Principal) -> bool:
        """Say whether a principal stands in for anybody, whichever approver sets let them."""
        return bool(self._standing.get(principal.person))

    def _lets_stand_in(self, member: Principal, chosen: ApproverSet, rule: StandInRule) -> bool:
        return (
            member.kind is Kind.HUMAN
            and member.enabled
            and member.stand_in is not None
            and member.stand_in.span_s <= rule.max_s
            and self.is_one_of(chosen.any_of, chosen.none_of, member)
        )

    def stand_ins_of(self, persons: Iterable[PersonId]) -> frozenset[PersonId]:
        """Return the names under which those are counted who stand in for any of these persons, whenever named."""
        own = self.counted(persons)
        return self.counted(
            person
            for person, members in self._deputies.items()
            if any(not own.isdisjoint(self.counted(one.persons)) for one in members)
        )

    def may_be_named(self, name: str, principal: Principal) -> bool:
        """Say whether a name could mean this principal."""
        if name.startswith(_GROUP):
            return is_member(principal, name.removeprefix(_GROUP))
        prefix, _, rest = name.partition(":")
        if prefix in _KINDS:
            return principal.kind is _KINDS[prefix] and principal.account == rest
        if prefix == "approvers":
            chosen = self.sets.get(rest)
            return chosen is not None and self.is_one_of(chosen.any_of, chosen.none_of, principal)
        if prefix == ON_CALL:
            return principal.id in self.directory.on_call.get(rest, ())
        return name == MANAGER and principal.kind is Kind.HUMAN and principal.person == self.manager

    def is_one_of(self, any_of: Iterable[str], none_of: Iterable[str], principal: Principal) -> bool:
        """Say whether a principal is among the ones and not among the others."""
        for name in none_of:
            if self.may_be_named(name, principal):
                return False
        return any(self.is_named(name, principal) for name in any_of)

    def fits(self, who: Who, principal: Principal) -> bool:
        """Say whether a policy is for this principal."""
        return (
            principal.enabled
            and principal.kind in who.kinds
            and len(principal.groups) <= MAX_GROUPS
            and self.is_one_of(who.any_of, who.none_of, principal)
        )

    def may_approve(self, approvers: Iterable[str], principal: Principal, beside: Collection[PersonId] = ()) -> bool:
        """Say whether a principal is among the approvers of a block; only people ever are.

        Args:
            beside: persons who have spoken for themselves: nobody stands in for one of them.
        """
        return (
            principal.kind is Kind.HUMAN
            and principal.enabled
            and len(principal.groups) <= MAX_GROUPS
            and any(self._may_speak(name, principal, beside) for name in approvers)
        )

    def _may_speak(self, name: str, principal: Principal, beside: Collection[PersonId]) -> bool:
        if name.startswith(_GROUP):
            return is_member(principal, name.removeprefix(_GROUP))
        return self.is_named_itself(name, principal) or any(
            self.counted_as(one) not in beside for one in self.stands_for(name, principal)
        )


def is_member(principal: Principal, group: str) -> bool:
    """Say whether a principal is in a group; everybody who is human is in `everybody`."""
    if group == EVERYBODY:
        return principal.kind is Kind.HUMAN and principal.enabled
    return group in principal.groups


def is_of_the_moment(name: str) -> bool:
    """Say whether a name means whoever it fits at the moment of a review, and not who it fitted at the submit."""
    return name.startswith(f"{ON_CALL}:")
