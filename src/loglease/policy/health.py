"""What is allowed in a bundle and still wants attention: reviews that are due, approvers who are too few."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from loglease.model.ids import PrincipalId
from loglease.model.offer import Plan, Stage
from loglease.model.principal import Directory, directory_of
from loglease.policy.bundle import Bundle
from loglease.policy.people import MANAGER, People, is_of_the_moment
from loglease.policy.plan import Bench, unsatisfiable
from loglease.policy.problems import Problem, Problems, Severity
from loglease.policy.supposed import after_rules, some_manager


def complaints(bundle: Bundle, *, today: date, directory: Directory | None = None) -> list[Problem]:
    """Return warnings about a bundle, beside those found at load; none of them stops anything from working.

    Args:
        bundle: the bundle in force, or one to be.
        today: policies whose `review_by` is before it are named.
        directory: with it, approver sets with too few people and plans that nobody could complete are named, too.
    """
    problems = Problems()
    for policy in bundle.policies:
        if policy.review_by is not None and policy.review_by < today:
            problems.add(
                policy.at,
                "P413",
                f"'{policy.id}' was to be reviewed by {policy.review_by}",
                "look at it again and move review_by",
                Severity.WARNING,
            )
    if directory is not None:
        _about_people(bundle, People(directory, bundle.approver_sets), problems)
    return problems.found()


def _about_people(bundle: Bundle, people: People, problems: Problems) -> None:
    humans = list(people.directory.humans())
    for chosen in bundle.approver_sets.values():
        members = {people.counted_as(one) for one in humans if people.may_approve([f"approvers:{chosen.id}"], one)}
        if len(members) < chosen.at_least:
            problems.add(
                chosen.at,
                "P414",
                f"'{chosen.id}' has {len(members)} of {chosen.at_least} people",
                "add people to its groups",
                Severity.WARNING,
            )
    # Whether those who ask have a manager is seen when they ask.
    boss = some_manager()
    managed = People(directory_of([*humans, boss]), bundle.approver_sets, boss.person)
    for policy in bundle.every_policy:
        reveal = policy.grant.reveal
        plans = [route.stages for route in policy.routes] + ([] if reveal is None else [reveal.stages])
        plans += [(rule.stage,) for rule in after_rules(policy)]
        if any(_is_open_to_nobody(stages, managed if _names(stages, MANAGER) else people) for stages in plans):
            problems.add(
                policy.at, "P415", f"nobody could complete the plan of '{policy.id}'", "add people", Severity.WARNING
            )
    for rail in bundle.guardrails:
        if rail.require is not None and _is_open_to_nobody(
            [rail.require], managed if _names([rail.require], MANAGER) else people
        ):
            problems.add(
                rail.at,
                "P415",
                f"nobody could complete the stage that '{rail.id}' demands",
                "add people",
                Severity.WARNING,
            )


def _is_open_to_nobody(stages: Sequence[Stage], people: People) -> bool:
    """Say whether nobody could complete some stages; who will be on call is not known here."""
    if any(is_of_the_moment(name) for stage in stages for block in stage.blocks for name in block.approvers):
        return False
    bench = Bench(people=people, requester=PrincipalId(""), excluded=frozenset())
    return unsatisfiable(Plan("", tuple(stages)), bench) is not None


def _names(stages: Sequence[Stage], name: str) -> bool:
    return any(name in block.approvers for stage in stages for block in stage.blocks)
