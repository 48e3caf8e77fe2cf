"""What policy tests say comes of a request is what comes of it: the same steps over a real store, log and clock."""

from __future__ import annotations

import random
from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.access.glass import watch_of
from tests.fakes.clock import FakeClock
from tests.fakes.world import DIGESTS, ISSUER, PROFILES, World, caller

from loglease.access.activate_grant import activate_grant
from loglease.access.break_glass import break_glass
from loglease.access.caller import Caller
from loglease.access.close_session import close_session
from loglease.access.open_session import open_session
from loglease.access.review_afterwards import review_afterwards
from loglease.access.review_request import review_request
from loglease.access.rules import Rules
from loglease.access.serving import NOTHING
from loglease.access.submit_request import submit_request
from loglease.model.access_request import AccessRequest, RequestState, Wish
from loglease.model.after_review import AfterState, AfterVerdict
from loglease.model.errors import LogLeaseError
from loglease.model.grant import GrantState
from loglease.model.ids import PrincipalId, RequestId, SubjectId
from loglease.model.instant import Instant, Interval
from loglease.model.principal import Principal
from loglease.model.review import Verdict
from loglease.model.session import CloseWhy, Front, SessionKind
from loglease.model.wish import WindowDraft, WishDraft
from loglease.policy import Bundle, Decision, load
from loglease.policy.cases import asked
from loglease.policy.conditions.values import Value
from loglease.policy.expected import PolicyTest, TestCase, TestOutcome
from loglease.policy.observed import Facts, Observed, Question
from loglease.policy.profiles import ProfileInfo
from loglease.policy.roots import PRESENCE
from loglease.policy.steps import BY_OTHERS, REFUSED, SERVED, Act, Standing, TestPerson, TestStep
from loglease.policy.stories import Story, code_of
from loglease.policy.supposed import made_up

FOLDER = Path(__file__).parents[1] / "policy" / "scenarios"
STRICT = {**PROFILES, "strict": ProfileInfo("strict", "1", frozenset({"pii-default"}))}
KNOWN = {**DIGESTS, "strict@1": "cd" * 32}
ROUNDS = 60
HIDDEN = f"{REFUSED} not_found"


def bundle_of(*names: str) -> Bundle:
    loaded = load({name: (FOLDER / name).read_bytes() for name in names}, revision=1)
    assert isinstance(loaded, Bundle), "\n".join(one.render() for one in loaded)
    return loaded


SHOP = bundle_of("shop.yaml", "shop.test.yaml", "stories.test.yaml")
BEFORE = bundle_of("tightened/before.yaml")
AFTER = bundle_of("tightened/after.yaml", "tightened/after.test.yaml")
CASES = [
    *((SHOP, SHOP, test, case) for test in SHOP.tests for case in test.cases if case.then),
    *((BEFORE, AFTER, test, case) for test in AFTER.tests for case in test.cases),
]


class Acted:
    """Goes the way of a story with the use cases of `access`."""

    def __init__(self, world: World, people: Mapping[str, TestPerson], values: Mapping[str, Value], asks: str) -> None:
        self.world = world
        self.people = dict(people)
        self.values = dict(values)
        self.asks = asks
        self.request: AccessRequest | None = None
        self.looked: list[RequestId] = []
        self.draft: WishDraft
        self.bundle: Bundle

    async def begin(self, asked_under: Bundle, bundle: Bundle, wish: Wish, policy: str | None, first: Decision) -> None:
        await self._put({})
        (scope,) = wish.scopes
        lookback_s = (self.world.clock.now() * 1_000 - scope.window.start_ns) // 10**9
        self.draft = WishDraft(
            source=scope.source,
            selector=scope.selector,
            all_streams=not scope.selector.matchers,
            window=WindowDraft(lookback_s=lookback_s, live=scope.window.end_ns is None),
            reason=wish.reason,
            level_from=scope.level_from,
            contains=scope.contains,
            profile=scope.profile,
            ticket=wish.ticket,
            duration_s=wish.duration_s,
            break_glass=wish.break_glass,
        )
        offer = first.offer_of(policy) if policy is not None else next(iter(first.offers), None)
        self._rule_by(asked_under)
        await self._submit(None if offer is None else offer.number)
        self._rule_by(bundle)

    def _rule_by(self, bundle: Bundle) -> None:
        self.world.rules = Rules(
            bundle=bundle, profiles=STRICT, profile_digests=KNOWN, ask=self._answer, presence=self._presence
        )
        self.bundle = bundle

    async def _answer(self, questions: Collection[Question]) -> Facts:
        now = self.world.clock.now()
        return {
            (one.rule.name, None if one.label is None else one.label[1]): Observed(
                self.values[one.rule.name], one.rule.provider, now
            )
            for one in questions
            if one.rule.name in self.values
        }

    def _presence(self, _caller: Caller, now: Instant) -> Facts:
        return {
            (name, None): Observed(self.values[name], rule.provider, now)
            for name, rule in self.bundle.facts.items()
            if rule.provider in PRESENCE and name in self.values
        }

    async def _put(self, changed: Mapping[str, TestPerson]) -> None:
        first = not changed
        known = set() if first else set(self.people)
        self.people |= changed
        for name in self.people if first else changed:
            who = self._principal(name)
            await (self.world.change(who) if name in known else self.world.add(who))

    def _caller(self, name: str) -> Caller:
        return caller(self._principal(name), self.world.clock.now())

    def _principal(self, name: str) -> Principal:
        found = made_up(self.people.values()).principals[PrincipalId(name)]
        return replace(found, issuer=ISSUER, subject=SubjectId(f"sub_{name}"))

    async def _submit(self, offer: int | None) -> str:
        ports = self.world.ports
        self.request = None
        try:
            if self.draft.break_glass:
                watch = watch_of(self.world)
                made = await break_glass(self.draft, caller=self._caller(self.asks), offer=offer, watch=watch, **ports)
            else:
                made = await submit_request(self.draft, caller=self._caller(self.asks), offer=offer, **ports)
        except LogLeaseError as error:
            return f"deny {error.code}"
        self.request = made
        if await self.world.store.read(lambda tx: tx.after_reviews.find(made.id)) is not None:
            self.looked.append(made.id)
        return made.offer.outcome

    async def step(self, step: TestStep) -> str:
        self.world.clock.advance(step.after_s)
        self.values |= step.facts
        if step.people:
            await self._put(step.people)
        if step.act is Act.ASK:
            return await self._submit(None)
        try:
            return await self._act(step)
        except LogLeaseError as error:
            return f"{REFUSED} {error.code}"

    async def _act(self, step: TestStep) -> str:
        by = self._caller(step.by or self.asks)
        if step.act in (Act.JUSTIFY, Act.OBJECT):
            return await self._look(by, step.act)
        if self.request is None:
            missing = {Act.APPROVE: "request_not_pending", Act.DENY: "request_not_pending"}.get(step.act, "not_found")
            return Standing.NONE if step.act is None else f"{REFUSED} {missing}"
        match step.act:
            case None:
                return await self._stands()
            case Act.APPROVE | Act.DENY:
                verdict = Verdict.APPROVE if step.act is Act.APPROVE else Verdict.DENY
                given = {"digest": self.request.digest, "comment": "so it is", "caller": by, "verdict": verdict}
                done = await review_request(self.request.id, **given, **self.world.ports)
                return _named(done.request.state_at(self.world.clock.now()))
            case Act.ACTIVATE:
                return await self._activate(by)
            case _:
                return await self._read(by)

    async def _grant_id(self) -> Any:
        assert self.request is not None
        asked_for = self.request.id
        found = await self.world.store.read(lambda tx: tx.grants.of_request(asked_for))
        return "grt_none" if found is None else found.id

    async def _activate(self, by: Caller) -> str:
        ports = {key: value for key, value in self.world.ports.items() if key != "random"}
        done = await activate_grant(await self._grant_id(), caller=by, watch=watch_of(self.world), **ports)
        return done.state

    async def _read(self, by: Caller) -> str:
        now = self.world.clock.now()
        opened = await open_session(
            await self._grant_id(),
            kind=SessionKind.QUERY,
            front=Front.PLAIN,
            query="{}",
            interval=Interval(0, now * 1_000),
            limit=None,
            caller=by,
            replica="one",
            refuses_outside=False,
            **self.world.ports,
        )
        ports = {key: self.world.ports[key] for key in ("log", "new_id", "random")}
        await close_session(
            opened.session.id, why=CloseWhy.COMPLETE, settled=NOTHING, cut_ms=None, replica="one", **ports
        )
        return SERVED

    async def _look(self, by: Caller, act: Act) -> str:
        verdict = AfterVerdict.JUSTIFIED if act is Act.JUSTIFY else AfterVerdict.NOT_JUSTIFIED
        found = await self.world.store.read(lambda tx: [tx.after_reviews.find(one) for one in self.looked])
        open_ = [one for one in found if one is not None and one.state is not AfterState.JUSTIFIED]
        if not open_:
            return f"{REFUSED} not_found"
        done = await review_afterwards(
            open_[0].request, verdict=verdict, caller=by, comment="looked at it", **self.world.ports
        )
        return done.state

    async def _stands(self) -> str:
        assert self.request is not None
        asked_for, now = self.request.id, self.world.clock.now()
        request = await self.world.store.read(lambda tx: tx.requests.find(asked_for))
        grant = await self.world.store.read(lambda tx: tx.grants.of_request(asked_for))
        assert request is not None
        if grant is None:
            return _named(request.state_at(now))
        match grant.stored_state_at(now):
            case GrantState.ENDED:
                return Standing.LAPSED if grant.valid_from is None else Standing.ENDED
            case GrantState.SCHEDULED:
                return Standing.APPROVED
            case state:
                return str(state)


def _named(state: RequestState) -> str:
    return Standing.WAITING if state is RequestState.PENDING else str(state)


def story_of(asked_under: Bundle, bundle: Bundle, test: PolicyTest, case: TestCase) -> tuple[Story, Decision, Any]:
    wish, values, found = asked(asked_under, test, case, STRICT)
    story = Story(
        bundle=bundle,
        profiles=STRICT,
        wish=wish,
        decision=found,
        policy=case.want.policy if case.want.outcome is not TestOutcome.DENY else None,
        people=dict(test.people),
        values=dict(values),
        now=test.now,
    )
    return story, found, values


async def require_same(
    tmp_path: Path, asked_under: Bundle, bundle: Bundle, test: PolicyTest, case: TestCase, steps: Collection[TestStep]
) -> list[str]:
    """Play the steps both ways, and return what came of each."""
    world = World(tmp_path)
    world.clock = FakeClock(test.now)
    world.new_id._clock = world.clock
    await world.start()
    try:
        story, first, values = story_of(asked_under, bundle, test, case)
        acted = Acted(world, test.people, values, case.person)
        await acted.begin(asked_under, bundle, first.wish, story.policy, first)
        seen = []
        for number, step in enumerate(steps, start=1):
            got, refusal = story.step(step)
            told = f"{got} {code_of(refusal)}" if got in (REFUSED, "deny") else got
            done = await acted.step(step)
            if done == HIDDEN and step.act in BY_OTHERS:  # a server does not show requests to those they are not for
                done, told = REFUSED, told.partition(" ")[0]
            assert done == told, f"{case.title}, step {number}: {step}; before it: {seen}"
            seen.append(told)
        return seen
    finally:
        await world.stop()


@pytest.mark.parametrize(("asked_under", "bundle", "test", "case"), CASES, ids=[one[3].title for one in CASES])
async def test_a_scenario_is_what_happens(
    tmp_path: Path, asked_under: Bundle, bundle: Bundle, test: PolicyTest, case: TestCase
) -> None:
    await require_same(tmp_path, asked_under, bundle, test, case, case.then)


CHANGED = (
    {"ctx.ticket": {"state": "closed"}},
    {"ctx.ticket": {"state": "open"}},
    {"ctx.on_call": True},
    {"ctx.on_call": False},
    {"approver.mfa_age": 3_600_000_000},
    {"approver.mfa_age": 60_000_000},
)


def some_step(chance: random.Random, test: PolicyTest, people: dict[str, TestPerson]) -> TestStep:
    act = chance.choice([None, Act.APPROVE, Act.APPROVE, Act.APPROVE, *Act])
    changed = {}
    if chance.random() < 0.15:
        name = chance.choice(sorted(people))
        groups = frozenset() if chance.random() < 0.5 else test.people[name].groups
        changed = {name: replace(people[name], groups=groups)}
        people |= changed
    return TestStep(
        after_s=chance.choice([0, 0, 60, 1_800, 7_200, 100_000]),
        people=changed,
        facts=chance.choice(CHANGED) if chance.random() < 0.2 else {},
        act=act,
        by=chance.choice(sorted(people)) if act in BY_OTHERS else None,
        at=test.at,
    )


async def test_whatever_is_done_policy_tests_and_access_agree(tmp_path: Path) -> None:
    chance = random.Random(11)  # noqa: S311 - made-up steps
    seen = set()
    for number in range(ROUNDS):
        asked_under, bundle, test, case = chance.choice(CASES)
        people = dict(test.people)
        facts = set(bundle.facts) & set(asked_under.facts)
        steps = [some_step(chance, test, people) for _ in range(12)]
        steps = [
            replace(one, facts={name: value for name, value in one.facts.items() if name in facts}) for one in steps
        ]
        folder = tmp_path / str(number)
        folder.mkdir()
        seen |= set(await require_same(folder, asked_under, bundle, test, case, steps))
    assert {"waiting", "approved", "denied", "active", SERVED, "justified", "expired", "ended"} <= seen
    assert len({one for one in seen if one.startswith(REFUSED)}) >= 6
