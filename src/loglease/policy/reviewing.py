"""What a policy demands after submit: of whoever approves, and of a grant while it is used."""

from __future__ import annotations

from loglease.model.access_request import Wish
from loglease.model.instant import Instant
from loglease.model.principal import Principal
from loglease.policy.asking import Reading, ask_values, condition_steps, keep_steps
from loglease.policy.bundle import Bundle
from loglease.policy.documents import AccessPolicy
from loglease.policy.fact_values import fact_values
from loglease.policy.observed import Facts
from loglease.policy.plan import Refusal
from loglease.policy.roots import roots_of
from loglease.policy.trace import Step, StepName


def approver_refusal(
    policy: AccessPolicy,
    bundle: Bundle,
    wish: Wish,
    requester: Principal,
    facts: Facts,
    *,
    submitted_at: Instant,
    now: Instant,
) -> Refusal | None:
    """Return why somebody may not approve now; None if they may.

    Args:
        requester: who asked: what the condition reads as `who`.
        facts: what is known of the request, and of whoever reviews.
    """
    if policy.approver_when is None:
        return None
    reading = reading_later(policy, bundle, wish, requester, facts, submitted_at=submitted_at, now=now)
    return _first(condition_steps(StepName.WHEN, policy.approver_when, policy, reading))


def keep_refusal(
    policy: AccessPolicy,
    bundle: Bundle,
    wish: Wish,
    holder: Principal,
    facts: Facts,
    *,
    submitted_at: Instant,
    now: Instant,
) -> Refusal | None:
    """Return which part of `keep` does not hold, or cannot be told; None if it holds, or there is none."""
    reading = reading_later(policy, bundle, wish, holder, facts, submitted_at=submitted_at, now=now)
    return _first(keep_steps(policy, reading))


def reading_later(
    policy: AccessPolicy,
    bundle: Bundle,
    wish: Wish,
    requester: Principal,
    facts: Facts,
    *,
    submitted_at: Instant,
    now: Instant,
) -> Reading:
    """Return what conditions of a policy may read after the request; besides, what is known of whoever reviews."""
    roots = roots_of(bundle, wish, requester, facts, submitted_at=submitted_at, now=now)
    roots["ask"] = ask_values(policy.ask, wish)
    roots["approver"] = dict(fact_values(bundle.facts, "approver", facts, {}, now))
    return Reading(bundle, roots, facts, now)


def _first(steps: list[Step]) -> Refusal | None:
    return next((step.refusal for step in steps if step.refusal is not None), None)
