"""Who may ask for access and who may decide on it, as documents and directory are now: for reviews of rights.

A name is as far as this goes. Conditions, tickets and the slice that is wanted belong to a request, and there is none.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from loglease.model.instant import Instant
from loglease.model.offer import Stage
from loglease.model.principal import EVERYBODY, Directory, Kind, Principal
from loglease.policy.bundle import Bundle
from loglease.policy.documents import AccessPolicy
from loglease.policy.people import MANAGER, People

_GROUP: Final = "group:"


@dataclass(frozen=True, slots=True)
class PresentRight:
    """That a document lets somebody do something.

    Attributes:
        document: id of the policy or guardrail.
        by: the name in it that means the principal, such as ``group:sre``.
    """

    principal: Principal
    document: str
    by: str


@dataclass(slots=True)
class PresentRights:
    """Answers for one bundle and one directory; who is meant by a name is found out once."""

    bundle: Bundle
    directory: Directory
    now: Instant
    _people: People = field(init=False)
    _groups: dict[str, list[Principal]] = field(init=False)
    _meant: dict[str, tuple[Principal, ...]] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self._people = People(self.directory, self.bundle.approver_sets, now=self.now)
        groups: defaultdict[str, list[Principal]] = defaultdict(list)
        for principal in self.directory.principals.values():
            for group in principal.groups:
                groups[group].append(principal)
        groups[EVERYBODY] = list(self.directory.humans())
        self._groups = dict(groups)

    def requesters(self) -> Iterator[PresentRight]:
        """Yield who may ask, policy by policy; emergencies are among them."""
        for policy in self.bundle.every_policy:
            for name in policy.who.any_of:
                for one in self._named(name):
                    if self._people.fits(policy.who, one):
                        yield PresentRight(one, policy.id, name)

    def reviewers(self) -> Iterator[PresentRight]:
        """Yield who may decide, document by document: before, once a request has waited, or afterwards."""
        for document, names in self._approvers():
            for name in names:
                for one in self._named(name):
                    if one.enabled and one.kind is Kind.HUMAN:
                        yield PresentRight(one, document, name)

    def _approvers(self) -> Iterator[tuple[str, list[str]]]:
        for policy in self.bundle.every_policy:
            yield policy.id, sorted({name for stage in _stages(policy) for name in _names(stage)} | _afterwards(policy))
        for rail in self.bundle.guardrails:
            if rail.require is not None:
                yield rail.id, sorted(_names(rail.require))

    def _named(self, name: str) -> tuple[Principal, ...]:
        """Return who is meant by a name, in a stable order."""
        found = self._meant.get(name)
        if found is None:
            found = self._meant[name] = tuple(sorted(self._found(name), key=lambda one: one.id))
        return found

    def _found(self, name: str) -> list[Principal]:
        everybody = self.directory.principals.values()
        if name.startswith(_GROUP):
            return self._groups.get(name.removeprefix(_GROUP), [])
        if name == MANAGER:
            managers = {one.manager for one in everybody}
            return [one for one in everybody if one.kind is Kind.HUMAN and one.person in managers]
        return [one for one in everybody if self._people.is_named(name, one)]


def _stages(policy: AccessPolicy) -> Iterator[Stage]:
    for route in policy.routes:
        yield from route.stages
    if policy.grant.reveal is not None:
        yield from policy.grant.reveal.stages


def _names(stage: Stage) -> set[str]:
    also = () if stage.escalate is None else stage.escalate.to
    return {name for block in stage.blocks for name in block.approvers} | {*also}


def _afterwards(policy: AccessPolicy) -> set[str]:
    rules = [route.after_review for route in policy.routes if route.after_review is not None]
    return {name for rule in rules for name in (*rule.slots.approvers, *rule.escalate_to)}
