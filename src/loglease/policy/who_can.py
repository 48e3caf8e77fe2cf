"""Whom a wish would be offered to: each policy is asked for somebody whom it is for, not for one person."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from loglease.model.access_request import Wish
from loglease.model.digest import Canonical
from loglease.model.instant import Instant, iso_duration
from loglease.model.offer import Offer
from loglease.model.principal import Kind, Principal, directory_of
from loglease.policy.bundle import Bundle
from loglease.policy.decision import Point, decide
from loglease.policy.documents import AccessPolicy
from loglease.policy.expected import TestOutcome
from loglease.policy.explain import wish_data
from loglease.policy.observed import NOTHING_KNOWN, Facts
from loglease.policy.parts import MAX_SLOTS
from loglease.policy.plan import stages_words
from loglease.policy.profiles import Profiles
from loglease.policy.supposed import somebody
from loglease.policy.trace import PolicyTrace, StepName


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What one policy says to a wish of those whom it names.

    Attributes:
        names: the names in its `who` that get this answer.
        kind: what the principal is.
        offer: None where nothing is offered.
        why: what stands in the way, by question.
    """

    policy: AccessPolicy
    names: tuple[str, ...]
    kind: Kind
    offer: Offer | None
    why: tuple[tuple[StepName, str], ...] = ()

    @property
    def outcome(self) -> TestOutcome:
        """What would come of it, in the words of policy tests."""
        return TestOutcome.DENY if self.offer is None else TestOutcome(self.offer.outcome)

    @property
    def words(self) -> str:
        """Which approvals it takes, or why nothing is offered."""
        if self.offer is None:
            return "; ".join(f"{name}: {text}" for name, text in self.why)
        demanded = [" then ".join(stages_words(plan)) for plan in self.offer.plans if plan.stages]
        if self.offer.after is not None:
            demanded = [f"afterwards {' then '.join(stages_words(plan))}" for plan in self.offer.after.plans]
        return "; ".join(demanded) or "automatic"

    @property
    def data(self) -> dict[str, Canonical]:
        """The answer for programs; absent instead of null."""
        found: dict[str, Canonical] = {
            "id": self.policy.id,
            "title": self.policy.title,
            "at": str(self.policy.at),
            "for": list(self.names),
            "kind": str(self.kind),
            "outcome": str(self.outcome),
        }
        if self.offer is None:
            return found | {"why": [{"step": str(name), "text": text} for name, text in self.why]}
        return found | {
            "duration": iso_duration(self.offer.terms.duration_s),
            "redaction": profile_of(self.offer),
            "approvals": self.offer.need,
            "plans": [{"origin": plan.origin, "stages": list(stages_words(plan))} for plan in self.offer.plans],
        }


def who_can(
    bundle: Bundle, wish: Wish, *, now: Instant, profiles: Profiles, facts: Facts = NOTHING_KNOWN
) -> tuple[Answer, ...]:
    """Ask every policy what those whom it is for would be offered; what is offered comes first.

    Reason, ticket and approvers are left aside: they say what somebody has to bring, not whom a policy is for. Each
    name in `who` is asked for on its own, as somebody who is in no other group.
    """
    policies = bundle.index_for(wish).policies
    answers = [answer for policy in policies for answer in _answers(bundle, wish, policy, now, profiles, facts)]
    return tuple(sorted(answers, key=_order))


def who_can_data(bundle: Bundle, wish: Wish, answers: tuple[Answer, ...]) -> dict[str, Canonical]:
    """Return all answers for programs, beside what was asked."""
    return {
        "bundle": {"revision": bundle.revision, "hash": f"sha256:{bundle.hash}"},
        "asked": wish_data(wish),
        "policies": [one.data for one in answers],
    }


def profile_of(offer: Offer) -> str:
    """Return the profile that masks what an offer shows, by name: documents know nothing of versions."""
    return (offer.terms.scopes[0].profile or "").partition("@")[0]


def _order(answer: Answer) -> tuple[int, int, str]:
    """Put fewest reviews first, then the longest, then by policy, as offers are; what is denied comes last."""
    if answer.offer is None:
        return MAX_SLOTS + 1, 0, answer.policy.id
    return answer.offer.need, -answer.offer.terms.duration_s, answer.policy.id


def _answers(
    bundle: Bundle, wish: Wish, policy: AccessPolicy, now: Instant, profiles: Profiles, facts: Facts
) -> Iterator[Answer]:
    """Yield one answer for all names that get the same."""
    found: dict[tuple[Kind, Offer | None, tuple[tuple[StepName, str], ...]], list[str]] = {}
    for name, asks in _asking(policy):
        decision = decide(
            bundle,
            wish,
            asks,
            directory=directory_of([asks]),
            now=now,
            profiles=profiles,
            facts=facts,
            point=Point.DRAFT,
        )
        (trace,) = decision.answers([policy])
        found.setdefault((asks.kind, trace.offer, _why(trace)), []).append(name)
    for (kind, offer, why), names in found.items():
        yield Answer(policy=policy, names=tuple(names), kind=kind, offer=offer, why=why)


def _asking(policy: AccessPolicy) -> Iterator[tuple[str, Principal]]:
    """Yield the names a policy is for with somebody whom each means; a group's members are of every kind it is for."""
    for name in policy.who.any_of:
        if name.startswith("group:"):
            yield from ((name, somebody(name, kind)) for kind in Kind if kind in policy.who.kinds)
        else:
            yield name, somebody(name)


def _why(trace: PolicyTrace) -> tuple[tuple[StepName, str], ...]:
    """Return what was answered with no; somebody whom a policy is not for is told nothing else of it."""
    noes = tuple((step.name, step.text) for step in trace.steps if not step.ok)
    return tuple(one for one in noes if one[0] is StepName.WHO) or noes
