"""Runs policy tests: each case is a decision over made-up people at a frozen instant."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol

from loglease.model.access_request import Wish
from loglease.model.extension import Extends
from loglease.model.ids import GrantId, PrincipalId
from loglease.model.reveal import Reveal
from loglease.model.scope import Scope
from loglease.policy.bundle import Bundle
from loglease.policy.conditions import ABSENT
from loglease.policy.conditions.values import Value
from loglease.policy.decision import decide
from loglease.policy.expected import PolicyTest, TestCase, TestExtension, TestOutcome, TestReveal
from loglease.policy.fact_literals import SUPPOSED, supposed_facts
from loglease.policy.problems import At, Problem
from loglease.policy.profiles import RAW, ProfileInfo, Profiles
from loglease.policy.stories import Later, Story
from loglease.policy.supposed import made_up
from loglease.policy.trace import Decision
from loglease.policy.wanted import differences


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseResult:
    """What came of one case; it passed if nothing was different from what it wanted.

    Attributes:
        decision: on the request of the case.
        again: on the same request later, where the case goes on so far.
        later: what was asked of a grant and of those who reviewed it.
    """

    test: str
    title: str
    at: At
    differences: tuple[str, ...]
    decision: Decision = field(repr=False, compare=False)
    again: tuple[Decision, ...] = field(default=(), repr=False, compare=False)
    later: tuple[Later, ...] = field(default=(), repr=False, compare=False)

    @property
    def ok(self) -> bool:
        """Whether the case passed."""
        return not self.differences

    def render(self) -> str:
        """Write the result as people read it."""
        if self.ok:
            return f"ok     {self.test}  {self.title}"
        lines = [f"FAIL   {self.test}  {self.title}", *(f"       {one}, {self.at}" for one in self.differences)]
        return "\n".join(lines)


def run_tests(
    bundle: Bundle, profiles: Profiles | None = None, *, asked_under: Bundle | None = None
) -> tuple[CaseResult, ...]:
    """Run all tests of a bundle, in the order of documents and cases.

    Args:
        bundle: with its tests.
        profiles: those of a server; without them the Catalog's own word is taken.
        asked_under: an older bundle under which requests are made; what happens then is decided by the newer one.
    """
    return tuple(results_of(bundle, profiles, asked_under=asked_under))


def results_of(
    bundle: Bundle, profiles: Profiles | None = None, *, asked_under: Bundle | None = None
) -> Iterator[CaseResult]:
    """Yield the result of one test after the other, for callers that may have to stop between two."""
    known = profiles if profiles is not None else catalog_profiles(bundle)
    return (_run(bundle, asked_under or bundle, test, case, known) for test in bundle.tests for case in test.cases)


class Result(Protocol):
    """What came of a case, or of a search for what must never happen."""

    @property
    def title(self) -> str:
        """What it is about."""
        ...

    @property
    def at(self) -> At:
        """Where it stands."""
        ...

    @property
    def differences(self) -> tuple[str, ...]:
        """What is wrong."""
        ...


def failures(results: Iterable[Result]) -> list[Problem]:
    """Return the failed tests as problems of their bundle."""
    return [
        Problem(at=one.at, code="P512", message=f"the test '{one.title}' fails: {told}", help="loglease policy test")
        for one in results
        for told in one.differences
    ]


def too_slow(seconds: float) -> Problem:
    """Return the problem of a bundle whose tests were stopped after so many seconds."""
    text = f"the tests take more than {seconds:g} seconds"
    return Problem(at=At("bundle", 1, 1), code="P513", message=text, help="have fewer of them")


def catalog_profiles(bundle: Bundle) -> Mapping[str, ProfileInfo]:
    """Return the profiles that a Catalog declares, and raw, each in the version that a document pins, else in 1."""
    versions = dict(_pinned(bundle))
    declared = {RAW: frozenset[str](), **bundle.catalog.redaction}
    return {name: ProfileInfo(name, versions.get(name, "1"), looser) for name, looser in declared.items()}


def _pinned(bundle: Bundle) -> Iterator[tuple[str, str]]:
    """Yield names of profiles with the versions that policies and guardrails want of them."""
    wanted = [policy.grant.redaction for policy in bundle.policies]
    wanted += [route.grant.redaction or "" for policy in bundle.policies for route in policy.routes]
    wanted += [rail.at_least or "" for rail in bundle.guardrails]
    wanted += [one.policy.grant.redaction for one in bundle.emergencies]
    for text in wanted:
        name, marked, version = text.partition("@")
        if marked:
            yield name, version


def asked(
    bundle: Bundle, test: PolicyTest, case: TestCase, profiles: Profiles
) -> tuple[Wish, Mapping[str, Value], Decision]:
    """Return what a case asks for, what is known by the names of facts, and the decision on it."""
    people = made_up(test.people.values())
    scope = replace(test.scopes[case.scope], profile=case.profile)
    wish = Wish(
        scopes=(scope,),
        reason=case.reason,
        ticket=case.ticket,
        duration_s=case.duration_s,
        limits=case.limits,
        reveal=None if case.reveal is None else _reveal(case.reveal, test, scope),
        extends=None if case.extends is None else _extends(case.extends),
        break_glass=case.break_glass,
        inputs=case.inputs,
    )
    values = {**test.facts, **case.facts, **dict.fromkeys(case.absent, ABSENT), **dict.fromkeys(case.fault, SUPPOSED)}
    facts = supposed_facts(
        bundle, wish, {name: value for name, value in values.items() if name in bundle.facts}, test.now
    )
    asks = people.principals[PrincipalId(case.person)]
    found = decide(bundle, wish, asks, directory=people, now=test.now, profiles=profiles, facts=facts)
    return wish, values, found


def _run(bundle: Bundle, asked_under: Bundle, test: PolicyTest, case: TestCase, profiles: Profiles) -> CaseResult:
    wish, values, found = asked(asked_under, test, case, profiles)
    different = differences(case.want, found)
    story = None
    if case.then and not different:
        story = Story(
            bundle=bundle,
            profiles=profiles,
            wish=wish,
            decision=found,
            policy=case.want.policy if case.want.outcome is not TestOutcome.DENY else None,
            people=dict(test.people),
            values=dict(values),
            now=test.now,
        )
        different = story.play(case.then)
    return CaseResult(
        test=test.id,
        title=case.title,
        at=case.at,
        differences=tuple(different),
        decision=found,
        again=() if story is None else tuple(story.again),
        later=() if story is None else tuple(story.later),
    )


def _extends(wanted: TestExtension) -> Extends:
    chain = tuple(GrantId(f"grt_{number}") for number in range(wanted.number))
    return Extends(chain=chain, policy=wanted.policy)


def _reveal(wanted: TestReveal, test: PolicyTest, scope: Scope) -> Reveal:
    return Reveal(
        grant=GrantId(""),
        policy=wanted.policy,
        asked_at=test.now,
        token="",
        cls=wanted.cls,
        source=scope.source,
        labels=(),
        event_ns=scope.window.start_ns,
        line_sha256="",
        span=1,
    )
