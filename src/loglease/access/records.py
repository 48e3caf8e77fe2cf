"""What is written into audit entries, in which shape: scopes, plans, terms, and the digest that reviews are bound to.

Every function here is pure. The shapes are those of the entry types in `audit.types`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import orjson

from loglease.access.commitments import RULE, Commitments
from loglease.audit.interface import SYSTEM
from loglease.model.access_request import Wish
from loglease.model.digest import Canonical, canonical_bytes, sha256_hex
from loglease.model.grant import Grant
from loglease.model.instant import Instant, instant_text
from loglease.model.key_scope import KeyScope
from loglease.model.labels import Matcher
from loglease.model.offer import Joint, Offer, Plan, Shape, Slots, Stage, Terms
from loglease.model.principal import Principal
from loglease.model.reveal import Reveal
from loglease.model.scope import Level, Scope
from loglease.policy.profiles import RAW, Profiles, below

Data = dict[str, Canonical]
ProfilesOf = Callable[[str], list[Data]]
"""Return a redaction profile, ``name@version``, with name and SHA-256, then those that it is stricter than."""

_IN_ORDER: Final = tuple(one for one in Level if one is not Level.UNKNOWN)


def actor_of(principal: Principal | None) -> str:
    """Return the subject that an entry names, or the system for what nobody did."""
    return SYSTEM if principal is None else principal.subject


def scope_data(scope: Scope, commitments: Commitments, profiles: ProfilesOf) -> Data:
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


def terms_data(terms: Terms, commitments: Commitments, profiles: ProfilesOf) -> Data:
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


def offer_data(
    offer: Offer, reveal: Reveal | None, commitments: Commitments, profiles: ProfilesOf, record: str
) -> Data:
    """Return the data of `offer.made`; `record` is the decision record, of which only a commitment is written."""
    return {
        "offer": offer.number,
        "policy": offer.policy,
        "bundle_sha256": offer.bundle_sha256,
        "revision": offer.revision,
        "outcome": str(offer.outcome),
        "rule": offer.rule,
        "plans": [plan_data(plan) for plan in offer.plans],
        **terms_data(offer.terms, commitments, profiles),
        **_revealing(reveal, commitments),
        **({"bind": ["network"]} if offer.shape.network_bound else {}),
        **key_scope_data(offer.shape),
        "activate_within_s": offer.shape.activate_within_s,
        "review_within_s": offer.shape.review_within_s,
        "record_c": commitments.to("record_c", record),
    }


def wish_data(
    wish: Wish, offer: Offer, commitments: Commitments, expires_at: Instant, network: str | None = None
) -> Data:
    """Return the data of `request.submitted`, less digest and channel.

    Args:
        network: from where it is asked; stated only where that binds.
    """
    data: Data = {
        "offer": offer.number,
        "scopes": [scope_data(scope, commitments, unknown_profile) for scope in wish.scopes],
        "reason_c": commitments.to("reason_c", wish.reason),
        "duration_s": wish.duration_s or offer.terms.duration_s,
        "limits": dict(wish.limits.named()),
        "expires_at": instant_text(expires_at),
        **_revealing(wish.reveal, commitments),
    }
    if offer.shape.network_bound and network is not None:
        data["network_c"] = commitments.to("network_c", network)
    if wish.ticket is not None:
        data["ticket_c"] = commitments.to("ticket_c", wish.ticket)
    if wish.extends is not None:
        data["extends"] = wish.extends.grant
    if wish.inputs:
        data["inputs_c"] = commitments.to("inputs_c", orjson.dumps(wish.inputs, option=orjson.OPT_SORT_KEYS).decode())
    return data


def reveal_data(reveal: Reveal, commitments: Commitments) -> Data:
    """Return a reveal as entries carry it; which line it is only as a commitment."""
    data: Data = {
        "grant": reveal.grant,
        "class": reveal.cls,
        "line_c": commitments.to("line_c", reveal.reference),
    }
    return data if reveal.pseudonym is None else {**data, "pseudonym": reveal.pseudonym}


def served_data(reveal: Reveal, rule: str, commitments: Commitments) -> Data:
    """Return the data of `reveal.served`; its grant stands in the entry's references."""
    data = reveal_data(reveal, commitments)
    return {name: value for name, value in data.items() if name != "grant"} | {"rule": rule}


def _revealing(reveal: Reveal | None, commitments: Commitments) -> Data:
    return {} if reveal is None else {"reveal": reveal_data(reveal, commitments)}


def terms_bytes(*, offer: Data, request: str, subject: str, wish: Data) -> bytes:
    """Return the canonical bytes whose SHA-256 is the request's digest: exactly what reviewers decide on."""
    return canonical_bytes({"offer": offer, "request": request, "subject": subject, "wish": wish})


def scheduled_data(
    grant: Grant,
    reveal: Reveal | None,
    holder: Principal,
    commitments: Commitments,
    profiles: ProfilesOf,
    review_by: Instant | None = None,
) -> Data:
    """Return the data of `grant.scheduled`; `review_by` is when its after-review is due."""
    data: Data = {
        "holder": holder.subject,
        "basis": "reviews" if grant.basis == "review" else str(grant.basis),
        "reviews": list(grant.reviews),
        "digest_sha256": grant.digest,
        **terms_data(grant.terms, commitments, profiles),
        **_revealing(reveal, commitments),
        "not_before_at": instant_text(grant.starts_at or grant.scheduled_at),
        "activate_by_at": instant_text(grant.activate_by),
        **bound_data(grant, commitments),
        **key_scope_data(grant.shape),
    }
    return data if review_by is None else data | {"review_by_at": instant_text(review_by)}


def key_scope_data(shape: Shape) -> Data:
    """Return how far pseudonyms reach, as entries carry it; that of one grant goes without saying."""
    return {} if shape.pseudonyms is KeyScope.GRANT else {"pseudonyms": shape.pseudonyms.replace("-", "_")}


def bound_data(grant: Grant, commitments: Commitments) -> Data:
    """Return to which network a grant is bound, as entries carry it: a commitment, equal wherever that is said."""
    if grant.network is None or not grant.shape.network_bound:
        return {}
    return {"network_c": commitments.to("network_c", grant.network)}


def refs(**ids: str | None) -> dict[str, str]:
    """Return the references of an entry, those that are set."""
    return {name: value for name, value in ids.items() if value is not None}
