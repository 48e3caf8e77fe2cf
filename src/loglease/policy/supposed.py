"""People who are made up, for requests that nobody made: those of a test or a file, and approvers taken to be there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from loglease.model.ids import PersonId, PrincipalId, SubjectId
from loglease.model.offer import ON_CALL, Stage
from loglease.model.principal import Directory, Kind, Principal, directory_of
from loglease.policy.bundle import Bundle
from loglease.policy.case_documents import TestDocuments
from loglease.policy.conditions.values import Value
from loglease.policy.documents import AccessPolicy, AfterRule
from loglease.policy.fact_literals import FactLiterals
from loglease.policy.fields import Reader
from loglease.policy.names import Names, Outside
from loglease.policy.people import MANAGER, is_of_the_moment
from loglease.policy.problems import At, Problem, Problems
from loglease.policy.steps import TestPerson
from loglease.policy.tree import documents

_ISSUER: Final = "policy-test"
MANAGED: Final = ":manager"
"""The manager of whoever is made up without one; no name can mean this account."""


def made_up(people: Iterable[TestPerson]) -> Directory:
    """Return a directory of people who are known by their names alone."""
    known = list(people)
    rotas = {rota for one in known for rota in one.on_call}
    return directory_of(
        (_principal(one.name, one.name, one.groups, one.kind, manager=one.manager) for one in known),
        {rota: frozenset(PrincipalId(one.name) for one in known if rota in one.on_call) for rota in rotas},
    )


def read_people(bundle: Bundle, file: str, content: bytes) -> tuple[TestPerson, ...] | list[Problem]:
    """Read people from a file of their own, written as in a PolicyTest: `maria: {groups: [payments-eng]}`.

    Args:
        bundle: the one whose Catalog lists their groups.
        file: its name, as messages show it.
        content: the bytes of the file.

    Returns:
        The people; or what is wrong, in the order of lines.
    """
    problems = Problems()
    nodes = documents(file, content, problems)
    people: tuple[TestPerson, ...] = ()
    if len(nodes) == 1:
        names = Names(problems, bundle.catalog, bundle.approver_sets, Outside())
        people = tuple(TestDocuments(Reader(problems), names, ()).people(nodes[0]).values())
    elif not problems.found():
        problems.add(
            At(file, 1, 1), "P119", f"the file holds {len(nodes) or 'no'} documents, not one with people",
            "write maria: {groups: [engineering]}",
        )  # fmt: skip
    return problems.found() or people


def read_facts(bundle: Bundle, file: str, content: bytes) -> dict[str, Value] | list[Problem]:
    """Read values of facts from a file of their own, written as in a PolicyTest: `ctx.on_call: true`.

    Returns:
        The values by name; or what is wrong, in the order of lines.
    """
    problems = Problems()
    nodes = documents(file, content, problems)
    found: dict[str, Value] = {}
    if len(nodes) == 1:
        found = FactLiterals(Reader(problems), bundle.facts).values(nodes[0])
    elif not problems.found():
        problems.add(
            At(file, 1, 1), "P119", f"the file holds {len(nodes) or 'no'} documents, not one with facts",
            "write ctx.on_call: true",
        )  # fmt: skip
    return problems.found() or found


def with_approvers(bundle: Bundle, asks: Principal) -> Directory:
    """Return a directory of who asks and, for each name that approves, as many others as any plan could need.

    What is missing for an approval then is missing in the documents, not in a directory that nobody gave. That who asks
    has a manager is for the caller to say: `MANAGED`.
    """
    plans = list(_plans(bundle))
    names = {name for plan in plans for stage in plan for block in stage.blocks for name in block.approvers}
    names |= {name for chosen in bundle.approver_sets.values() for name in chosen.any_of}
    most = max((sum(block.need for stage in plan for block in stage.blocks) for plan in plans), default=0)
    found = {name: list(_named(name, most, asks)) for name in sorted(names)}
    on_call = {
        name.partition(":")[2]: frozenset(one.id for one in people)
        for name, people in found.items()
        if is_of_the_moment(name)
    }
    return directory_of([asks, *(one for people in found.values() for one in people)], on_call)


def some_manager() -> Principal:
    """Return the manager of whom nothing is known but that; their person is named `MANAGED`."""
    return _principal(MANAGED, MANAGED, frozenset(), Kind.HUMAN)


def somebody(name: str, kind: Kind = Kind.HUMAN) -> Principal:
    """Return a principal that a name such as `group:sre` or `user:bob` means, and that is in no other group.

    Args:
        name: as policies write whom they are for.
        kind: what the principal is where the name is a group's.
    """
    prefix, _, rest = name.partition(":")
    if prefix == "group":
        return _principal("somebody", "somebody", frozenset({rest}), kind)
    return _principal(rest, rest, frozenset(), Kind.HUMAN if prefix == "user" else Kind(prefix))


def _plans(bundle: Bundle) -> Iterator[tuple[Stage, ...]]:
    for policy in bundle.policies:
        yield from (route.stages for route in policy.routes)
        yield from ((rule.stage,) for rule in after_rules(policy))
    yield from ((rule.stage,) for one in bundle.emergencies for rule in after_rules(one.policy))
    yield from ((rail.require,) for rail in bundle.guardrails if rail.require is not None)


def after_rules(policy: AccessPolicy) -> tuple[AfterRule, ...]:
    """Return the after-reviews of a policy's routes."""
    return tuple(route.after_review for route in policy.routes if route.after_review is not None)


def _named(name: str, count: int, asks: Principal) -> Iterator[Principal]:
    """Yield people whom the name of an approver means, other than who asks."""
    prefix, _, rest = name.partition(":")
    if prefix == "group":
        # No name can mean an account that begins with a colon, so these are members of this group and nobody else.
        accounts = (f":{rest}:{number}" for number in range(1, count + 1))
        yield from (_principal(one, one, frozenset({rest}), Kind.HUMAN) for one in accounts)
    elif prefix == "user" and (asks.kind, asks.account) != (Kind.HUMAN, rest):
        yield _principal(f":{rest}", rest, frozenset(), Kind.HUMAN)
    elif prefix == ON_CALL:
        accounts = (f":{name}:{number}" for number in range(1, count + 1))
        yield from (_principal(one, one, frozenset(), Kind.HUMAN) for one in accounts)
    elif name == MANAGER and asks.manager == MANAGED:
        yield some_manager()


def _principal(id_: str, account: str, groups: frozenset[str], kind: Kind, *, manager: str | None = None) -> Principal:
    return Principal(
        id=PrincipalId(id_),
        issuer=_ISSUER,
        account=account,
        kind=kind,
        person=PersonId(id_),
        subject=SubjectId(id_),
        name=account,
        groups=groups,
        manager=None if manager is None else PersonId(manager),
    )
