"""What is wrong with documents that load: conditions that can never hold, routes that are never taken.

Loading leaves this out, since it takes long for some bundles and makes nothing that is granted wrong.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from loglease.policy.bundle import Bundle
from loglease.policy.conditions import Condition, Record
from loglease.policy.conditions.points import can_hold
from loglease.policy.documents import AccessPolicy
from loglease.policy.problems import At, Problem, Problems
from loglease.policy.roots import Readable


def analysed(bundle: Bundle, files: Mapping[str, bytes]) -> list[Problem]:
    """Return what is wrong with the conditions of a bundle, sorted by file and line.

    Args:
        bundle: the documents.
        files: what it was loaded from, to show lines with what is found.
    """
    readable = readable_of(bundle)
    problems = Problems()
    for file, content in files.items():
        problems.read(file, content.decode().replace("\r\n", "\n").split("\n"))
    for at, code, message, remedy in _found(bundle, readable):
        problems.add(at, code, message, remedy)
    return problems.found()


def readable_of(bundle: Bundle) -> Readable:
    """Return what the conditions of a bundle may read."""
    return Readable(catalog=bundle.catalog, calendars=bundle.calendars, facts=bundle.facts, has_risk=bool(bundle.risk))


_Found = tuple[At, str, str, str]


def _found(bundle: Bundle, readable: Readable) -> Iterator[_Found]:
    for policy in bundle.policies:
        schema = readable.asked(policy.ask.inputs)
        if policy.when is not None:
            yield from _dead(policy.when, schema, "nobody ever gets an offer of this policy")
        yield from _routes(policy, schema)
    for one in bundle.emergencies:
        if one.policy.when is not None:
            schema = readable.alone(one.policy.ask.inputs)
            yield from _dead(one.policy.when, schema, "the glass can never be broken")
    for guardrail in bundle.guardrails:
        if guardrail.condition is not None:
            yield from _dead(guardrail.condition, readable.asked(), "the guardrail applies only where nobody can tell")


def _routes(policy: AccessPolicy, schema: Record) -> Iterator[_Found]:
    before: list[Condition] = []
    for route in policy.routes:
        condition = route.condition
        if condition is None or condition.at is None:
            return
        dead = list(_dead(condition, schema, "the route is never taken"))
        if not dead and can_hold(condition, schema, before) is False:
            yield condition.at, "P215", "a route before this one is taken whenever this holds", "put it further up"
        yield from dead
        before.append(condition)


def _dead(condition: Condition, schema: Record, effect: str) -> Iterator[_Found]:
    if condition.at is not None and can_hold(condition, schema) is False:
        yield condition.at, "P214", f"this can never hold: {effect}", "see which of its parts contradict each other"
