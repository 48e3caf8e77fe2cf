"""What is allowed in a bundle and still wants attention: reviews that are due, approvers who are too few."""

from __future__ import annotations

from datetime import date

from loglease.model.ids import PrincipalId
from loglease.model.offer import Plan
from loglease.model.principal import Directory
from loglease.policy.bundle import Bundle
from loglease.policy.people import People
from loglease.policy.plan import Bench, unsatisfiable
from loglease.policy.problems import Problem, Problems, Severity


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
    nobody = Bench(people=people, requester=PrincipalId(""), excluded=frozenset())
    for policy in bundle.policies:
        reveal = policy.grant.reveal
        plans = [route.stages for route in policy.routes] + ([] if reveal is None else [reveal.stages])
        if any(unsatisfiable(Plan(policy.id, stages), nobody) is not None for stages in plans):
            problems.add(
                policy.at, "P415", f"nobody could complete the plan of '{policy.id}'", "add people", Severity.WARNING
            )
