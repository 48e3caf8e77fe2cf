"""Which facts somebody has to be asked for, before a wish can be decided."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Final

from loglease.model.access_request import Wish
from loglease.model.principal import Principal
from loglease.policy.bundle import Bundle
from loglease.policy.conditions import Condition, Fault
from loglease.policy.conditions.values import Value
from loglease.policy.decision import Point
from loglease.policy.documents import AccessPolicy, FactRule, RiskTerm
from loglease.policy.fact_values import named
from loglease.policy.observed import FactKey, Question
from loglease.policy.roots import PRESENCE, RISK, label_values

APPROVER: Final = "approver"


def facts_read(
    conditions: Iterable[Condition], facts: Mapping[str, FactRule], risk: Iterable[RiskTerm]
) -> frozenset[str]:
    """Return the names of the facts that conditions read; whoever reads the risk reads all that its terms do."""
    paths = {path for one in conditions for path in one.reads}
    if ("ctx", RISK) in paths and f"ctx.{RISK}" not in facts:
        paths |= {path for term in risk for path in term.condition.reads}
    names = {".".join(path[:2]) for path in paths if path[0] in ("ctx", "approver")}
    return frozenset(names & facts.keys())


def questions_of(bundle: Bundle, wish: Wish, principal: Principal) -> tuple[Question, ...]:
    """Return what providers have to be asked before a wish is decided: only what policies for it, or guardrails, read.

    What is known of the call itself is asked of nobody, nor is a fact of a label whose values the wish does not name.
    """
    if not bundle.facts:
        return ()
    read = facts_read(_conditions(bundle, wish, principal), bundle.facts, bundle.risk)
    return tuple(_questions(bundle, sorted(read), wish, principal))


def _conditions(bundle: Bundle, wish: Wish, principal: Principal) -> Iterator[Condition]:
    yield from (rail.condition for rail in bundle.guardrails if rail.condition is not None)
    for policy in bundle.index_for(wish).candidates(principal, {scope.source for scope in wish.scopes}):
        yield from conditions_of(policy)


def facts_wanted(bundle: Bundle, wish: Wish, principal: Principal) -> frozenset[FactKey]:
    """Return the facts that have to be known for a decision on a wish, those of the call itself among them."""
    if not bundle.facts:
        return frozenset()
    labels = label_values(wish, bundle.catalog)
    read = facts_read(_conditions(bundle, wish, principal), bundle.facts, bundle.risk)
    rules = [bundle.facts[name] for name in read]
    return frozenset((one.name, None if label is None else label[1]) for one in rules for label in _labels(one, labels))


def questions_again(
    bundle: Bundle, policy_id: str, wish: Wish, principal: Principal, point: Point
) -> tuple[Question, ...]:
    """Return what providers have to be asked before a request of one policy is decided again."""
    if not bundle.facts:
        return ()
    conditions = [rail.condition for rail in bundle.guardrails if rail.condition is not None]
    policy = next((one for one in bundle.policies if one.id == policy_id), None)
    if policy is not None and point is Point.SESSION_OPEN:
        conditions += [policy.grant.keep.when] if policy.grant.keep is not None else []
    elif policy is not None:
        conditions += conditions_of(policy)
    return tuple(_questions(bundle, sorted(facts_read(conditions, bundle.facts, bundle.risk)), wish, principal))


def conditions_of(policy: AccessPolicy) -> Iterator[Condition]:
    """Yield the conditions that a policy asks of a request and its grant; not what it asks of whoever reviews."""
    ticket, keep = policy.ask.ticket, policy.grant.keep
    found = (
        None if ticket is None else ticket.state,
        policy.when,
        *(route.condition for route in policy.routes),
        None if keep is None else keep.when,
    )
    yield from (one for one in found if one is not None)


def questions_for_review(
    bundle: Bundle, policy: AccessPolicy, wish: Wish, *, requester: Principal, reviewer: Principal
) -> tuple[Question, ...]:
    """Return what providers have to be asked before somebody may approve: of them, and of the request."""
    if policy.approver_when is None:
        return ()
    read = facts_read([policy.approver_when], bundle.facts, bundle.risk)
    about_reviewer = sorted(one for one in read if one.startswith(f"{APPROVER}."))
    about_request = sorted(read.difference(about_reviewer))
    return (
        *_questions(bundle, about_request, wish, requester),
        *_questions(bundle, about_reviewer, wish, reviewer),
    )


def _questions(bundle: Bundle, names: Collection[str], wish: Wish, about: Principal) -> Iterator[Question]:
    labels = label_values(wish, bundle.catalog)
    for name in names:
        rule = bundle.facts[name]
        if rule.provider in PRESENCE:
            continue
        for label in _labels(rule, labels):
            yield Question(rule, about.issuer, about.account, about.kind, label, wish.ticket)


def _labels(rule: FactRule, labels: Mapping[str, Value]) -> Iterator[tuple[str, str] | None]:
    if rule.per is None:
        yield None
        return
    found = named(labels, rule.per)
    if not isinstance(found, Fault):
        yield from ((rule.per, value) for value in found)
