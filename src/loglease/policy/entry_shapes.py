"""How entries have what policy gives: scopes, plans, terms and offers, as plain values.

Every function here is pure. What must not stand in an entry goes through `Commits`: whoever records makes salted
commitments, whoever only compares can do without.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, Protocol

from loglease.model.digest import Canonical, sha256_hex
from loglease.model.key_scope import KeyScope
from loglease.model.labels import Matcher
from loglease.model.offer import Joint, Offer, Plan, Shape, Slots, Stage, Terms
from loglease.model.scope import Level, Scope
from loglease.policy.profiles import RAW, Profiles, below

Data = dict[str, Canonical]
ProfilesOf = Callable[[str], list[Data]]
"""Return a redaction profile, ``name@version``, with name and SHA-256, then those that it is stricter than."""

RULE: Final = "rule:"
"""How the names of line rules begin."""

_IN_ORDER: Final = tuple(one for one in Level if one is not Level.UNKNOWN)


class Commits(Protocol):
    """Makes commitments."""

    def to(self, name: str, text: str) -> str:
        """Return what stands for a text in an entry."""


def scope_data(scope: Scope, commitments: Commits, profiles: ProfilesOf) -> Data:
    """Return a scope as entries carry it; line rules only as commitments."""
    data: Data = {
        "source": scope.source,
        "selector": [test for key, matcher in scope.selector.matchers for test in _tests(key, matcher)],
        "from_ns": str(scope.window.start_ns),
        "live": scope.window.live,
        "rules_c": [commitments.to(f"{RULE}{rule}", rule) for rule in line_rules(scope)],
        "profiles": [] if scope.profile is None else profiles(scope.profile),
    }
    if scope.window.end_ns is not None:
        data["to_ns"] = str(scope.window.end_ns)
    return data


def line_rules(scope: Scope) -> list[str]:
    """Return the line rules of a scope as texts, sorted.

    A lowest level comes with all below it: so a scope with a higher one has all rules that one with a lower one has,
    and whoever may not read them still sees that it lies inside.
    """
    rules = [f"contains={literal}" for literal in scope.contains]
    if scope.level_from is not None:
        rules += [f"level_from={one}" for one in _IN_ORDER if 0 < one.rank <= scope.level_from.rank]
    return sorted(rules)


def profiles_of(profiles: Profiles, digests: Mapping[str, str]) -> ProfilesOf:
    """Return how entries have these profiles: each with those that it is stricter than.

    So whoever knows only entries sees that a scope with a stricter profile lies inside of one with a looser one. The
    loosest of all goes without saying.

    Args:
        digests: SHA-256 of each by ``name@version``.
    """

    def found(pinned: str) -> list[Data]:
        looser = sorted(below(pinned.partition("@")[0], profiles) - {RAW})
        known = [profiles[name].pinned for name in looser if name in profiles]
        return [{"name": one, "sha256": digests.get(one, sha256_hex(b""))} for one in (pinned, *known)]

    return found


def unknown_profile(name: str) -> list[Data]:
    """Return a redaction profile as a wish names it, of which no version is fixed yet."""
    return [{"name": name, "sha256": sha256_hex(b"")}]


def _tests(key: str, matcher: Matcher) -> list[Data]:
    tests: list[Data] = [{"label": key, "op": "any"}] if matcher.any_value else []
    for op, values in (
        ("eq", matcher.exact),
        ("not_eq", matcher.except_exact),
        ("not_prefix", matcher.except_prefixes),
        ("prefix", matcher.prefixes),
    ):
        tests += [{"label": key, "op": op, "value": value} for value in sorted(values)]
    return tests


def terms_data(terms: Terms, commitments: Commits, profiles: ProfilesOf) -> Data:
    """Return scopes, duration and limits as entries carry them."""
    return {
        "scopes": [scope_data(scope, commitments, profiles) for scope in terms.scopes],
        "duration_s": terms.duration_s,
        "limits": dict(terms.limits.named()),
    }


def plan_data(plan: Plan) -> list[Data]:
    """Return a plan as a list of stages."""
    return [_stage_data(stage) for stage in plan.stages]


def _stage_data(stage: Stage) -> Data:
    """Return a stage with all who may ever count in it, those of an escalation among them: what a verifier matches."""
    also = () if stage.escalate is None else stage.escalate.to
    blocks = [_slots_data(block, also) for block in stage.blocks]
    if len(blocks) == 1:
        return blocks[0]
    return {"all_of" if stage.joint is Joint.ALL else "any_of": blocks}


def _slots_data(slots: Slots, also: tuple[str, ...]) -> Data:
    return {"from": sorted({*slots.approvers, *also}), "need": slots.need}


def offer_shape(offer: Offer, commitments: Commits, profiles: ProfilesOf) -> Data:
    """Return the data of `offer.made` as far as the offer alone makes it."""
    return {
        "offer": offer.number,
        "policy": offer.policy,
        "bundle_sha256": offer.bundle_sha256,
        "revision": offer.revision,
        "outcome": str(offer.outcome),
        "rule": offer.rule,
        "plans": [plan_data(plan) for plan in offer.plans],
        **terms_data(offer.terms, commitments, profiles),
        **({"bind": ["network"]} if offer.shape.network_bound else {}),
        **key_scope_data(offer.shape),
        "activate_within_s": offer.shape.activate_within_s,
        "review_within_s": offer.shape.review_within_s,
    }


def key_scope_data(shape: Shape) -> Data:
    """Return how far pseudonyms reach, as entries carry it; that of one grant goes without saying."""
    return {} if shape.pseudonyms is KeyScope.GRANT else {"pseudonyms": shape.pseudonyms.replace("-", "_")}
